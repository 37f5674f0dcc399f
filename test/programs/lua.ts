// Lua: its errors are C longjmps, which this build carries out with JavaScript exceptions: `pcall` leaves the module
// through an `invoke_…` import, calls back in, and a thrown exception unwinds the WebAssembly frames between the two.
import type { LuaFactory } from 'wasmoon';
import { type Bytes, bytesOf, outcome, type Program, requireFresh, throughGlobal } from './program.ts';

const wasm = (): Bytes => bytesOf('wasmoon/dist/glue.wasm');

export const lua: Program = {
  name: 'lua',
  package: 'wasmoon',
  language: 'C',
  wasm,
  async start(instantiate) {
    const { LuaFactory: Factory, LuaEngine: Engine } = requireFresh('wasmoon') as typeof import('wasmoon');
    const module = await throughGlobal(instantiate, wasm(), () => (new Factory() as LuaFactory).getLuaModule());
    return {
      run(scale = 1) {
        const engine = new Engine(module, { openStandardLibs: true });
        try {
          const lines: string[] = [];
          engine.global.set('report', (text: string) => {
            lines.push(text);
          });
          engine.global.set('refuse', (text: string) => {
            throw new Error(`refused ${text}`);
          });
          engine.global.set('scale', scale);
          lines.push(`returned ${engine.doStringSync(SCRIPT)}`);
          for (const mistake of MISTAKES) lines.push(outcome(() => engine.doStringSync(mistake)).split('\n')[0]);
          return lines.join('\n');
        } finally {
          engine.global.close();
        }
      },
    };
  },
};

const SCRIPT = `
local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end
local numbers = 0
for i = 1, 5 * scale do numbers = numbers + fib(20) end
report('fib ' .. numbers)

local Vector = {}
Vector.__index = Vector
Vector.__add = function(a, b) return setmetatable({ x = a.x + b.x, y = a.y + b.y }, Vector) end
Vector.__tostring = function(v) return string.format('(%d, %.3f)', v.x, v.y) end
local sum = setmetatable({ x = 0, y = 0 }, Vector)
for i = 1, 20000 * scale do sum = sum + setmetatable({ x = i % 7, y = 1 / i }, Vector) end
report('vectors ' .. tostring(sum))

local caught = {}
for i = 1, 800 * scale do
  local ok, message = pcall(function()
    if i % 3 == 0 then error({ code = i }) end
    if i % 3 == 1 then local missing = nil; return missing.field end
    return select('#', pcall(error, 'inner ' .. i))
  end)
  local key = type(message) == 'table' and 'code' or tostring(message):gsub('%d+', 'N')
  caught[key] = (caught[key] or 0) + 1
end
local keys = {}
for key in pairs(caught) do keys[#keys + 1] = key end
table.sort(keys)
for _, key in ipairs(keys) do report('caught ' .. key .. ' ' .. caught[key]) end

local function produce(limit)
  return coroutine.wrap(function() for i = 1, limit do coroutine.yield(i * i % 13) end return 'end' end)
end
local total = 0
for value in produce(8000 * scale) do if value == 'end' then break end total = total + value end
report('coroutine ' .. total)

local words = {}
for i = 1, 1500 * scale do words[i] = string.format('%x-%s', i * 7919 % 4096, string.rep('ab', i % 5)) end
table.sort(words, function(a, b) return #a < #b or (#a == #b and a < b) end)
local text = table.concat(words, ' ')
local count = 0
for hex in text:gmatch('(%x+)%-') do count = count + tonumber(hex, 16) end
report('strings ' .. #text .. ' ' .. count .. ' ' .. text:gsub('ab+', '_'):sub(1, 60))

local ok, message = pcall(refuse, 'politely')
report('host ' .. tostring(ok) .. ' ' .. tostring(message):sub(1, 60))
local depth = 0
local function dive() depth = depth + 1; return 1 + dive() end
report('overflow ' .. tostring(pcall(dive)) .. ' ' .. depth)
return collectgarbage('count') > 0
`;

const MISTAKES = [
  'return 1 +',
  'error("on purpose")',
  'return nil + 1',
  'refuse("loudly")',
  'return ("x"):rep(-1, 3):bad()',
];
