// The engine as a product of its own: what it needs, what it offers, how large it is.

import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import * as layout from '../../assembly/layout.ts';
import * as ringLayout from '../../assembly/ring-layout.ts';
import { Engine, EngineError, type EngineExports, instantiateEngine, loadEngine } from '../../src/engine.ts';
import { engineBytes, freshEngine } from './engine.ts';

const folder = new URL('../../assembly/', import.meta.url);
const built = (file: string) => readFileSync(new URL(`../../build/${file}`, import.meta.url));
const textOf = (name: string) => built(`${name}.wat`).toString();
const module = new WebAssembly.Module(engineBytes);
const machine = new WebAssembly.Module(built('machine.wasm'));

test('is at most 32 KiB', () => {
  expect(engineBytes.length).toBeLessThanOrEqual(32 * 1024);
});

test('has exactly three imports', () => {
  expect(
    WebAssembly.Module.imports(module)
      .map(({ module, name, kind }) => `${module}.${name} ${kind}`)
      .sort(),
  ).toEqual(['fprobe.call function', 'fprobe.clock function', 'fprobe.wait function']);
});

test('has one global and no data', () => {
  const text = textOf('fprobe');
  expect(text.match(/\(global \$\S+ \(mut i32\)/g)).toHaveLength(1);
  expect(text).not.toMatch(/\((data|elem) /);
});

test('the machine’s module has nothing of its own where the engine might have it: no memory, table, global or data', () => {
  expect(textOf('machine')).not.toMatch(/\((data|elem|global|table) /);
  expect(
    WebAssembly.Module.imports(machine)
      .map(({ module, name, kind }) => `${module}.${name} ${kind}`)
      .sort(),
  ).toEqual([
    'env.enter_call function',
    'env.leave_call function',
    'env.memory memory',
    'env.restore function',
    'env.task_current function',
    'env.task_switch function',
    'fprobe.call function',
  ]);
});

test('the machine’s module asks for the memory that the engine has, and refuses one of another version', async () => {
  const engine = await freshEngine();
  const imports = { env: engine.exports, fprobe: { call: () => 0 } };
  expect(new WebAssembly.Instance(machine, imports).exports).toHaveProperty('machine_run');
  engine.memory.store32(layout.ABI_VERSION, layout.ABI_VERSION_VALUE - 1);
  expect(() => new WebAssembly.Instance(machine, imports)).toThrow(WebAssembly.RuntimeError);
});

test.each([
  ['EngineExports', 'engine.ts', module],
  ['MachineExports', 'machine-module.ts', machine],
])('the interface %s, the manual and the module name the same exports', (name, file, module) => {
  const names = WebAssembly.Module.exports(module).map(({ name }) => name);
  const source = readFileSync(new URL(`../../src/${file}`, import.meta.url), 'utf8');
  const [, body] = source.match(new RegExp(`interface ${name}[^{]*\\{([\\s\\S]*?)\\n\\}`))!;
  const declared = [...body.matchAll(/^ {2}(?:readonly )?(\w+)[(:]/gm)].map(([, name]) => name);
  expect(declared.sort()).toEqual([...names].sort());
  const manual = readFileSync(new URL('README.md', folder), 'utf8');
  for (const name of names)
    expect(manual, name).toMatch(new RegExp(`\`${name.replace(/^enter_\d+$/, 'enter_n')}[\`(]`));
});

test('no file of it is longer than one head can hold', () => {
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.ts')) continue;
    expect(readFileSync(new URL(name, folder), 'utf8').split('\n').length, name).toBeLessThan(500);
  }
});

test('the first page says who it is, and the heap begins behind what the compiler placed', async () => {
  const { exports, memory } = await freshEngine();
  expect(String.fromCharCode(...new Uint8Array(exports.memory.buffer, layout.ABI_MAGIC, 4))).toBe('FPRB');
  expect(memory.load32(layout.ABI_VERSION)).toBe(layout.ABI_VERSION_VALUE);
  const first = Math.max(exports.heap_base(), layout.ABI_END);
  expect(exports.task_current()).toBeGreaterThanOrEqual(first);
  expect(exports.task_current()).toBeLessThanOrEqual(first + 128); // the gap in front of a large region
  expect(layout.ABI_GOPS + layout.FGRAPH_ARRAY_SIZE * layout.GOPS_SIZE).toBeLessThanOrEqual(layout.ABI_END);
  expect(layout.ABI_FREE + 4 * layout.ABI_FREE_CLASSES).toBeLessThanOrEqual(layout.ABI_GOPS);
});

test('what an entry and an exit touch in direct mode is one cache line', () => {
  const { TASK_TOP, TASK_LIMIT, TASK_DEPTH, TASK_DIRECT, TASK_DIRECT_RING, TASK_DIRECT_HEADER } = layout;
  const hot = [TASK_TOP, TASK_LIMIT, TASK_DEPTH, TASK_DIRECT, TASK_DIRECT_RING, TASK_DIRECT_HEADER];
  for (const offset of [...hot, layout.TASK_DIRECT_TIME]) expect(offset).toBeLessThan(64);
  expect(layout.TASK_BASE).toBe(layout.TASK_TOP + 4); // written as one word
  expect(ringLayout.RING_ON).toBeLessThan(64);
});

test('the loader: package file, module, bytes; another module is refused', async () => {
  expect((await loadEngine()).exports.heap_base()).toBeGreaterThan(0);
  expect((await instantiateEngine(module)).exports.heap_base()).toBeGreaterThan(0);
  const memory = new WebAssembly.Memory({ initial: 1 });
  expect(() => new Engine({ memory } as EngineExports)).toThrow(EngineError);
});

test('views follow memory when it grows', async () => {
  const engine = await freshEngine();
  const before = engine.memory.u32;
  engine.createTask(2 ** 20);
  expect(before.length).toBe(0);
  expect(engine.memory.load32(layout.ABI_VERSION)).toBe(layout.ABI_VERSION_VALUE);
});

test('failures say what and why', async () => {
  const engine = await freshEngine();
  expect(() => engine.createRing(3, 0)).toThrow(RangeError);
  expect(() => engine.createTask(1)).toThrow(/64 to 16777216 words, not 1/);
  expect(() => engine.addSites(0)).toThrow(/cannot add 0 sites \(EINVAL\)/);
  expect(() => engine.memory.siteUsers(0)).toThrow(/site 0 does not exist, there are 0/);
});

test('WASM handlers are called through the table, and a trap in one is cleaned up by restore', async () => {
  // (module (func (export "f") (param i32 i32 i32 i32) (result i32) local.get 2))
  const bytes = [0, 97, 115, 109, 1, 0, 0, 0, 1, 9, 1, 96, 4, 127, 127, 127, 127, 1, 127, 3, 2, 1, 0];
  bytes.push(7, 5, 1, 1, 102, 0, 0, 10, 6, 1, 4, 0, 32, 2, 11);
  const handler = new WebAssembly.Instance(new WebAssembly.Module(Uint8Array.from(bytes))).exports.f;
  const engine = await freshEngine();
  const { exports, memory } = engine;
  const index = exports.table.grow(1);
  exports.table.set(index, handler);
  engine.addSites(2);
  exports.site_want(0, engine.registerFgraph(layout.GOPS_WASM, index, index, 0), 1);
  const cookie = exports.enter(0);
  expect(cookie).not.toBe(0);
  exports.leave(cookie);
  expect(memory.counts()).toMatchObject({ entries: 1, returns: 1 });

  exports.site_want(1, engine.registerFgraph(layout.GOPS_WASM, index + 1, 0, 0), 1); // not in the table
  const outer = exports.enter(0);
  const mark = exports.save();
  expect(() => exports.enter(1)).toThrow(WebAssembly.RuntimeError);
  expect(memory.load32(exports.task_current() + layout.TASK_RECURSION)).not.toBe(0);
  exports.restore(mark);
  expect(memory.load32(exports.task_current() + layout.TASK_RECURSION)).toBe(0);
  expect(exports.save()).toBe(mark);
  exports.leave(outer);
  expect(memory.counts()).toMatchObject({ entries: 3, returns: 2, unwound: 1, stray: 0 });
});
