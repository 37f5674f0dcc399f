// Lua by wasmoon: errors are C longjmps, carried out by JavaScript exceptions through `invoke_…` imports.
import { LuaFactory } from 'wasmoon';

const lua = await new LuaFactory().createEngine();
console.log(
  await lua.doString(`
    local caught = 0
    for i = 1, 300 do
      local ok, message = pcall(function() if i % 2 == 0 then error('even ' .. i) end return ('x'):rep(i) end)
      caught = caught + (ok and 1 or #message)
    end
    local sum = 0
    for word in ('the quick brown fox'):rep(50, ' '):gmatch('%a+') do sum = sum + #word end
    return caught .. ' ' .. sum`),
);
try {
  await lua.doString('error("on purpose")');
} catch (error) {
  console.log(error.message.split('\n')[0]);
}
lua.global.close();
