// What a program can find out about `WebAssembly`: with the hook it is what it was. One program makes every wrong call and looks
// at everything there is to see, and prints what it finds; untouched and hooked it prints the same.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { assembleText } from '../../bench/shapes.ts';
import { Programs } from './run.ts';

const programs = new Programs();
afterAll(() => programs.remove());

// A custom section of name and contents, short ones.
const section = (name: string, ...contents: number[]): number[] => {
  return [0, 1 + name.length + contents.length, name.length, ...Buffer.from(name), ...contents];
};

beforeAll(async () => {
  const one = await assembleText(
    'one',
    `(module (import "js" "f" (func)) (import "js" "m" (memory 1))
      (table (export "table") 2 funcref) (elem (i32.const 0) $inner) (global (export "g") i32 (i32.const 5))
      (func $inner (export "inner") (param i32) (result i32) (local.get 0))
      (func (export "call") (call 0)))`,
  );
  const sections = [...section('.debug_line', 1, 2), ...section('mine', 7), ...section('sourceMappingURL', 1, 0x78)];
  programs.write('one.wasm', Uint8Array.from([...one, ...sections]));
  programs.write('empty.wasm', await assembleText('empty', '(module)'));
  programs.write('traps.wasm', await assembleText('traps', '(module (func $go unreachable) (start $go))'));
  // The body leaves a value behind: only the engine notices.
  programs.write(
    'invalid.wasm',
    Uint8Array.from([0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 10, 6, 1, 4, 0, 65, 1, 11]),
  );
});

const PRELUDE = `
  import { readFileSync } from 'node:fs';
  import { createHash } from 'node:crypto';
  const read = (name) => new Uint8Array(readFileSync(new URL(name, import.meta.url)));
  const [one, empty, traps, invalid] = ['one', 'empty', 'traps', 'invalid'].map((name) => read(name + '.wasm'));
  const imports = { js: { f() {}, m: new WebAssembly.Memory({ initial: 1 }) } };
  const garbage = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
  const cut = one.subarray(0, 40);
  const response = (body, type = 'application/wasm', status = 200) =>
    new Response(body, { status, headers: { 'content-type': type } });
  const used = response(one);
  await used.arrayBuffer();
  const detached = new Uint8Array(8);
  structuredClone(detached.buffer, { transfer: [detached.buffer] });
  const shared = new Uint8Array(new SharedArrayBuffer(one.length));
  shared.set(one);
  const module = new WebAssembly.Module(one);
  const emptyModule = new WebAssembly.Module(empty);`;

const SOURCES = [
  '',
  'undefined',
  'null',
  '5',
  "'text'",
  '{}',
  '[]',
  'new ArrayBuffer(0)',
  'garbage',
  'cut',
  'invalid',
  'detached',
];
const KINDS = ['shared', 'shared.buffer', 'new DataView(one.buffer)', 'new Uint16Array(empty.buffer)', 'one.buffer'];
const RESPONSES = [
  '5',
  "response(one, 'text/plain')",
  "response(one, 'application/wasm', 404)",
  'response(garbage)',
  'used',
];
const MORE = [
  'response(invalid)',
  "Promise.reject(new Error('mine'))",
  "response(one, 'application/wasm; x=1')",
  'response(one)',
];
const IMPORTS = [
  '',
  ', undefined',
  ', 5',
  ', {}',
  ', { js: 5 }',
  ', { js: {} }',
  ', { js: { f: 5 } }',
  ', { js: { f() {}, m: 5 } }',
];

const CALLS: string[] = [
  ...[...SOURCES, ...KINDS].flatMap((source) => [
    `new WebAssembly.Module(${source})`,
    `WebAssembly.compile(${source})`,
    `WebAssembly.instantiate(${source})`,
    `WebAssembly.validate(${source})`,
  ]),
  ...['', '5', '{}', 'Object.create(WebAssembly.Module.prototype)', 'null'].flatMap((module) => [
    `new WebAssembly.Instance(${module})`,
    `WebAssembly.Module.exports(${module})`,
    `WebAssembly.Module.imports(${module})`,
    `WebAssembly.Module.customSections(${module})`,
    `WebAssembly.Module.customSections(${module || 'undefined'}, 'name')`,
  ]),
  ...IMPORTS.flatMap((given) => [
    `new WebAssembly.Instance(module${given})`,
    `WebAssembly.instantiate(module${given})`,
    `WebAssembly.instantiate(one${given})`,
  ]),
  ...['', ...RESPONSES, ...MORE].flatMap((source) => [
    `WebAssembly.compileStreaming(${source})`,
    `WebAssembly.instantiateStreaming(${source})`,
    `WebAssembly.instantiateStreaming(${source || 'undefined'}, imports)`,
  ]),
  'WebAssembly.Module(one)',
  'WebAssembly.Instance(emptyModule)',
  'new WebAssembly.compile(one)',
  'new WebAssembly.Module.exports(module)',
  'new WebAssembly.Instance(new WebAssembly.Module(traps))',
  'WebAssembly.instantiate(traps)',
  "WebAssembly.Module.customSections(module, { toString() { throw new Error('mine') } })",
  'WebAssembly.Module.customSections(module, Symbol())',
  "new WebAssembly.Instance(module, { get js() { throw new RangeError('mine') } })",
  "WebAssembly.instantiate(one, { get js() { throw new RangeError('mine') } })",
  'Reflect.construct(WebAssembly.Module, [one], 5)',
  'WebAssembly.Module.call({}, one)',
  'class A extends WebAssembly.Module { constructor() { super(garbage) } } new A()',
];

const describeResult = `
  const describe = (value) => Object.prototype.toString.call(value) + (typeof value === 'object' && value ? ' ' + Object.keys(value) : '');
  const error = (e) => [e?.constructor?.name, e?.name, e?.message, e?.code].join(' | ');
  async function outcome(call) {
    let result;
    try { result = call(); } catch (e) { return 'throws ' + error(e); }
    if (!(result instanceof Promise)) return 'returns ' + describe(result);
    try { return 'resolves ' + describe(await result); } catch (e) { return 'rejects ' + error(e); }
  }`;

async function compare(file: string, source: string): Promise<string[]> {
  programs.write(file, source);
  const untouched = await programs.run(file);
  const hooked = await programs.hooked(file);
  expect(untouched).toMatchObject({ code: 0, stderr: '' });
  const lines = untouched.stdout.trimEnd().split('\n');
  expect(hooked.stdout.trimEnd().split('\n')).toEqual(lines);
  expect(hooked).toEqual(untouched);
  return lines;
}

describe('with the hook', () => {
  test('wrong calls fail as they do without', async () => {
    const calls = CALLS.map(
      (code) => `[${JSON.stringify(code)}, () => { ${code.startsWith('class') ? code : `return ${code}`} }]`,
    );
    const lines = await compare(
      'wrong.mjs',
      `${PRELUDE} ${describeResult}
       for (const [code, call] of [${calls.join(',\n')}]) console.log(code + ': ' + (await outcome(call)).replaceAll('\\n', ' '));`,
    );
    expect(lines.length).toBe(CALLS.length);
    // The program is what it is meant to be: each kind of outcome occurs.
    for (const kind of [': throws TypeError', ': throws CompileError', ': throws RangeError', ': rejects LinkError']) {
      expect(lines.some((line) => line.includes(kind))).toBe(true);
    }
  });

  test('classes, functions, modules and instances look the same', async () => {
    await compare(
      'look.mjs',
      `${PRELUDE}
       const attributes = (holder, key) => {
         const { value, ...rest } = Object.getOwnPropertyDescriptor(holder, key);
         return [key, typeof value, value?.name, value?.length, JSON.stringify(rest)].join(' ');
       };
       for (const holder of [WebAssembly, WebAssembly.Module, WebAssembly.Module.prototype, WebAssembly.Instance.prototype]) {
         for (const key of Reflect.ownKeys(holder)) {
           if (typeof key === 'string' && key !== 'exports') console.log(attributes(holder, key));
         }
       }
       class Mine extends WebAssembly.Module { get mine() { return 1; } }
       class Own extends WebAssembly.Instance {}
       const mine = new Mine(one);
       const own = new Own(mine, imports);
       console.log(mine.mine, mine instanceof Mine, mine instanceof WebAssembly.Module, own instanceof Own, own.exports.inner(4));
       console.log(module.constructor === WebAssembly.Module, Object.getPrototypeOf(module) === WebAssembly.Module.prototype);
       console.log(Reflect.construct(WebAssembly.Module, [one], Array) instanceof Array);
       const instance = new WebAssembly.Instance(module, imports);
       console.log(instance.constructor === WebAssembly.Instance, Object.keys(instance), String(instance), String(module));
       console.log(Object.isFrozen(instance.exports), Object.getPrototypeOf(instance.exports), Object.keys(instance.exports));
       console.log(instance.exports.inner === instance.exports.table.get(0), instance.exports.inner.name, instance.exports.inner.length);
       const both = await WebAssembly.instantiate(one, imports);
       console.log(Object.keys(both), both.module instanceof WebAssembly.Module, WebAssembly.instantiate(one, imports) instanceof Promise);`,
    );
  });

  test('modules have the exports, imports and sections of the original, and the bytes stay what they are', async () => {
    const lines = await compare(
      'sections.mjs',
      `${PRELUDE}
       const digest = () => createHash('sha256').update(one).digest('hex');
       const before = digest();
       const instances = await WebAssembly.instantiate(one, imports);
       for (const some of [module, instances.module, await WebAssembly.compile(one), await WebAssembly.compileStreaming(response(one))]) {
         console.log(JSON.stringify(WebAssembly.Module.exports(some)), JSON.stringify(WebAssembly.Module.imports(some)));
         for (const name of ['name', 'mine', '.debug_line', 'sourceMappingURL', 'fprobe', 'absent']) {
           const found = WebAssembly.Module.customSections(some, name);
           console.log(name, found.map((buffer) => buffer.constructor.name + Buffer.from(buffer).toString('hex')));
         }
       }
       console.log(JSON.stringify(WebAssembly.Module.exports(structuredClone(module))), one.length, before === digest());
       console.log(WebAssembly.validate(one), WebAssembly.validate(invalid));`,
    );
    expect(lines.at(-2)).toMatch(/\d+ true$/);
  });

  test('promises settle, and errors are thrown, in the order in which they would', async () => {
    await compare(
      'order.mjs',
      `${PRELUDE}
       const log = [];
       const note = (name) => () => log.push(name);
       const all = [WebAssembly.compile(garbage).catch(note('garbage')), WebAssembly.instantiate(5).catch(note('five'))];
       log.push('called');
       await Promise.all(all);
       let reads = '';
       const watched = { get js() { reads += 'j'; return { get f() { reads += 'f'; return () => {}; }, get m() { reads += 'm'; return imports.js.m; } }; } };
       const pending = WebAssembly.instantiate(one, watched);
       await pending;
       new WebAssembly.Instance(module, watched);
       console.log(log[0], log.slice(1).sort().join(), reads);`,
    );
  });

  test('modules that Node itself uses are left alone', async () => {
    programs.write(
      'node.mjs',
      "import 'fprobe'; const { default: x } = await import('./cjs.cjs'); await fetch('data:text/plain,x'); console.log(x);",
    );
    programs.write('cjs.cjs', 'module.exports = 1;');
    programs.write(
      'node.mjs',
      "import x from './cjs.cjs'; await (await fetch('data:text/plain,x')).text(); console.log(x);",
    );
    const { recordings, stdout } = await programs.traced('node.mjs');
    expect(stdout).toBe('1\n');
    expect(recordings[0].modules).toEqual([]);
  });
});

describe('what goes wrong on our side', () => {
  test('a malformed module: the engine’s error, and a note with the place', async () => {
    programs.write(
      'bad.mjs',
      `${PRELUDE} try { new WebAssembly.Module(cut); } catch (e) { console.log(e.message); } await WebAssembly.instantiate(garbage).catch((e) => console.log(e.name));`,
    );
    const { recordings, stderr } = await programs.traced('bad.mjs');
    expect(stderr).toBe('');
    const errors = recordings[0].modules.map(({ error }) => error).filter((error) => error);
    expect(errors.length).toBe(2);
    expect(errors[0]).toMatch(/^wasm: .* at byte \d+, expected /);
    expect(errors[1]).toMatch(/^wasm: 0x01 at byte 0, expected the magic number/);
  });

  test('a hook that fails at every turn', async () => {
    const body = `${PRELUDE}
      const instance = new WebAssembly.Instance(module, imports);
      console.log(instance.exports.inner(3), Object.keys(instance.exports), JSON.stringify(WebAssembly.Module.exports(module)));
      const both = await WebAssembly.instantiate(one, imports);
      console.log(both.instance.exports.inner(4));
      await WebAssembly.instantiate(traps).catch((e) => console.log(e.name, e.message));`;
    programs.write('broken.mjs', body);
    programs.write(
      'break.mjs',
      `import { tracer } from '${new URL('../../dist/src/register.js', import.meta.url)}'; tracer.link = () => { throw new Error('broken'); };`,
    );
    const untouched = await programs.run('broken.mjs');
    expect(untouched.stdout).toMatch(/^3 /);
    const hook = ['--import', './break.mjs'];
    expect(await programs.run('broken.mjs', { node: hook })).toEqual(untouched);
    const verbose = await programs.run('broken.mjs', { node: hook, env: { FPROBE_VERBOSE: '1' } });
    expect(verbose).toEqual({ ...untouched, stderr: 'fprobe: linking failed, the module runs on untraced: broken\n' });
  });

  test('a request that cannot be read', async () => {
    programs.write('fine.mjs', "console.log('fine');");
    const outcome = await programs.hooked('fine.mjs', { env: { FPROBE_REQUEST: '/nowhere/request.json' } });
    expect(outcome).toMatchObject({ code: 0, stdout: 'fine\n' });
    expect(outcome.stderr).toMatch(/^fprobe: cannot read the trace request \/nowhere\/request.json: ENOENT.*\n$/);
    if (process.platform === 'win32') return;
    expect(await programs.hooked('fine.mjs', { env: { FPROBE_REQUEST: '/dev/zero' } })).toMatchObject({
      ...{ code: 0, stdout: 'fine\n' },
      stderr:
        "fprobe: cannot read the trace request /dev/zero: EINVAL: it is a device (expected a file), read '/dev/zero'\n",
    });
  });

  test('a directory that went away', async () => {
    programs.write(
      'gone.mjs',
      "import { rmSync } from 'node:fs'; rmSync(process.env.GONE, { recursive: true }); console.log('fine');",
    );
    const { mkdirSync } = await import('node:fs');
    const { join } = await import('node:path');
    const { writeRequest } = await import('../../src/session.ts');
    const gone = join(programs.folder, 'gone');
    mkdirSync(gone);
    const request = writeRequest(gone);
    const outcome = await programs.hooked('gone.mjs', { env: { FPROBE_REQUEST: request, GONE: gone } });
    expect(outcome).toMatchObject({ code: 0, stdout: 'fine\n' });
    expect(outcome.stderr).toMatch(/^fprobe: ENOENT.*\n$/);
  });
});
