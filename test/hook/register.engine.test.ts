// `node --import fprobe/register`: programs of every kind do the same with it, and their modules are traced.

import { mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { assembleText } from '../../bench/shapes.ts';
import { Programs, REGISTER } from './run.ts';

const programs = new Programs();
afterAll(() => programs.remove());

const ADD = `(module $adder
  (import "js" "note" (func $note (param i32)))
  (func $twice (param i32) (result i32) (i32.add (local.get 0) (local.get 0)))
  (func $start (call $note (i32.const -1)))
  (start $start)
  (func (export "add") (param i32 i32) (result i32)
    (call $note (local.get 0))
    (i32.add (call $twice (local.get 0)) (local.get 1))))`;

const SHARED = `(module
  (import "js" "memory" (memory 1 1 shared))
  (func $bump (drop (i32.atomic.rmw.add (i32.const 0) (i32.const 1))))
  (func (export "run") (param $n i32)
    (loop $again (call $bump) (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))`;

beforeAll(async () => {
  programs.write('add.wasm', await assembleText('adder', ADD));
  programs.write('shared.wasm', await assembleText('shared', SHARED));
  programs.write('plain.wasm', await assembleText('plain', '(module (func (export "f") (result i32) (i32.const 42)))'));
});

/// Runs a program untouched, with the hook and in a session, and expects the same of all. Returns the session's recordings.
async function same(file: string, source: string, node: readonly string[] = []) {
  programs.write(file, source);
  const untouched = await programs.run(file, { node });
  const [hooked, traced] = await Promise.all([programs.hooked(file, { node }), programs.traced(file, {}, { node })]);
  const { recordings, directory, ...outcome } = traced;
  expect(hooked).toEqual(untouched);
  expect(outcome).toEqual(untouched);
  expect(untouched.stdout).not.toBe('');
  return { recordings, stdout: untouched.stdout, code: untouched.code, stderr: untouched.stderr };
}

const LOAD = `
  const imports = { js: { note: (n) => console.log('note', n) } };
  const bytes = readFileSync(new URL('add.wasm', url));
  const show = (instance) => console.log(instance.exports.add(20, 2), instance instanceof WebAssembly.Instance);`;

const FORMS: Record<string, string> = {
  constructors: 'show(new WebAssembly.Instance(new WebAssembly.Module(bytes), imports));',
  'compile, then instantiate': 'show(await WebAssembly.instantiate(await WebAssembly.compile(bytes), imports));',
  'instantiate with bytes': `
    const { instance, module } = await WebAssembly.instantiate(bytes, imports);
    show(instance);
    show(new WebAssembly.Instance(module, imports));`,
  'a view into a larger buffer': `
    const large = new Uint8Array(bytes.length + 9);
    large.set(bytes, 5);
    show((await WebAssembly.instantiate(large.subarray(5, 5 + bytes.length), imports)).instance);`,
  streaming: `
    const response = () => new Response(bytes, { headers: { 'content-type': 'application/wasm' } });
    show(await WebAssembly.instantiate(await WebAssembly.compileStreaming(response()), imports));
    show((await WebAssembly.instantiateStreaming(Promise.resolve(response()), imports)).instance);`,
  'structured clone': 'show(new WebAssembly.Instance(structuredClone(new WebAssembly.Module(bytes)), imports));',
  'bytes that are changed at once': `
    const copy = new Uint8Array(bytes);
    const promise = WebAssembly.instantiate(copy, imports);
    copy.fill(0);
    show((await promise).instance);`,
};

describe('every way to load', () => {
  test('as an ES module, all of them', async () => {
    const body = Object.entries(FORMS).map(([name, code]) => `{ console.log(${JSON.stringify(name)}); ${code} }`);
    const { recordings, stdout } = await same(
      'forms.mjs',
      `import { readFileSync } from 'node:fs'; const url = import.meta.url; ${LOAD} ${body.join('\n')}`,
    );
    const count = stdout.match(/42 true/g)!.length;
    expect(count).toBe(stdout.match(/note -1/g)!.length);
    expect(count).toBe(9);
    const [recording] = recordings;
    expect(recordings.length).toBe(1);
    expect(recording.modules.length).toBe(count);
    // add, twice and the start function, each time.
    expect(recording.counts).toEqual({ entries: 3 * count, returns: 3 * count, unwound: 0, overrun: 0, stray: 0 });
    expect(recording.symbols.length).toBe(3 * count);
    expect(new Set(recording.symbols.map(({ name }) => name))).toEqual(new Set(['start', 'twice', 'add']));
    for (const { name, functions, size, instrumentedSize } of recording.modules) {
      expect({ name, functions }).toEqual({ name: 'adder', functions: 3 });
      expect(instrumentedSize === 0 || instrumentedSize > size).toBe(true);
    }
    expect(recording).toMatchObject({ tid: 0, comm: 'forms.mjs', end: 'exit', notes: [], globs: [] });
  });

  test('as CommonJS', async () => {
    const { recordings } = await same(
      'forms.cjs',
      `const { readFileSync } = require('node:fs'); const url = require('node:url').pathToFileURL(__filename); ${LOAD}
       console.log(require.main === module, ${FORMS.constructors.slice(0, -1)})`,
    );
    expect(recordings[0].counts.entries).toBe(3);
  });

  test('imported as an ES module', async () => {
    const major = Number.parseInt(process.versions.node, 10);
    const { recordings, stdout } = await same(
      'esm.mjs',
      `import { f } from './plain.wasm'; console.log(f(), f.name, f.length);`,
      major < 22 ? ['--experimental-wasm-modules'] : [],
    );
    expect(stdout).toBe('42 0 0\n');
    expect(recordings[0]).toMatchObject({ counts: { entries: 1 }, symbols: [{ name: 'f', index: 0 }] });
  });

  test('-r works too, and the program can import the tracer', async () => {
    programs.write(
      'own.mjs',
      `import { readFileSync } from 'node:fs'; import { tracer } from 'fprobe/register'; const url = import.meta.url; ${LOAD}
       const graph = tracer.startGraph({ filter: 'twice' }); ${FORMS.constructors}
       console.log(tracer.targets.size, graph.matched, graph.read().includes('twice();'));`,
    );
    // The package's own name, as the program finds it.
    mkdirSync(join(programs.folder, 'app/node_modules'), { recursive: true });
    symlinkSync(join(import.meta.dirname, '../..'), join(programs.folder, 'app/node_modules/fprobe'), 'dir');
    for (const file of ['own.mjs', 'add.wasm']) {
      symlinkSync(join(programs.folder, file), join(programs.folder, 'app', file));
    }
    for (const option of ['--import', '-r']) {
      const node = [
        option,
        join(programs.folder, 'app/node_modules/fprobe/dist/src/register.js'),
        '--preserve-symlinks-main',
      ];
      const { stdout, stderr } = await programs.run('app/own.mjs', { node });
      expect({ stdout, stderr }).toEqual({ stdout: 'note -1\nnote 20\n42 true\n1 0 true\n', stderr: '' });
    }
  });
});

test('the example of the README', async () => {
  const readme = readFileSync(join(import.meta.dirname, '../../README.md'), 'utf8');
  const example = /^```javascript\n(.*?)^```$/ms.exec(readme)![1];
  programs.write('watch.mjs', example.replace("'fprobe/register'", `'${pathToFileURL(REGISTER)}'`));
  programs.write(
    'app.cjs',
    `require('sql.js/dist/sql-wasm-debug.js')().then((SQL) => {
       console.log(new SQL.Database().exec('select 6 * 7')[0].values);
     });`,
  );
  const { stdout, stderr } = await programs.run('app.cjs', { node: ['--import', './watch.mjs'] });
  expect(stdout).toBe('[ [ 42 ] ]\n');
  expect(stderr).toMatch(/^ {2}Function +Hit +Time +Avg\n/);
  expect(stderr).toMatch(/^ {2}sqlite3_step +3 +[\d.]+ us +[\d.]+ us *$/m);
});

describe('workers', () => {
  const worker = (options: string, body: string) => `
    const { Worker, isMainThread, parentPort, workerData, SHARE_ENV, getEnvironmentData } = require('node:worker_threads');
    const bytes = require('node:fs').readFileSync(__dirname + '/plain.wasm');
    if (isMainThread) {
      const module = new WebAssembly.Module(bytes);
      const worker = new Worker(__filename, { workerData: { module }, ...${options} });
      worker.on('message', (message) => console.log(message));
      worker.on('exit', (code) => console.log('exit', code));
      console.log(worker instanceof Worker, worker.constructor === Worker, Worker.name, Worker.length);
    } else {
      ${body}
      parentPort.postMessage([process.execArgv, 'A' in process.env, getEnvironmentData('fprobe')]);
    }`;
  const SEND = `
      parentPort.postMessage(new WebAssembly.Instance(workerData.module).exports.f());
      parentPort.postMessage(WebAssembly.Module.exports(workerData.module));
      parentPort.postMessage(WebAssembly.Module.customSections(workerData.module, 'fprobe'));
      parentPort.postMessage(new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports.f());`;

  test.each([
    ['no options', '{}'],
    ['execArgv: []', '{ execArgv: [] }'],
    ['env: {}', '{ env: {} }'],
    ['env: SHARE_ENV', '{ env: SHARE_ENV }'],
    ['both', "{ env: { A: '1' }, execArgv: ['--no-warnings'] }"],
  ])('with %s, and a module that was sent to it', async (name, options) => {
    // The thread that watches for signals is the first of a session, so numbers differ.
    const file = `worker-${name.replace(/\W/g, '')}.cjs`;
    const { recordings } = await same(file, worker(options, SEND));
    expect(recordings.map(({ counts }) => counts.entries)).toEqual([0, 2]);
    expect(recordings[1].symbols.map((symbol) => symbol.name)).toEqual(['f', 'f']);
  });

  test('whose code is evaluated, inside of another worker', async () => {
    const inner = `const i = new WebAssembly.Instance(new WebAssembly.Module(require('fs').readFileSync('plain.wasm')));
      console.log('inner', i.exports.f());`;
    const outer = `const { Worker } = require('worker_threads');
      new Worker(${JSON.stringify(inner)}, { eval: true }).on('exit', (code) => console.log('inner exit', code));`;
    const { recordings } = await same(
      'nested.mjs',
      `import { Worker } from 'node:worker_threads';
       new Worker(${JSON.stringify(outer)}, { eval: true, execArgv: [], env: {} }).on('exit', (code) => console.log(code));`,
    );
    expect(recordings.map(({ counts }) => counts.entries)).toEqual([0, 0, 1]);
  });

  test('that share a memory', async () => {
    const { recordings, stdout } = await same(
      'shared.mjs',
      `import { readFileSync } from 'node:fs';
       import { Worker, isMainThread, workerData } from 'node:worker_threads';
       import { fileURLToPath } from 'node:url';
       const run = ({ module, memory }) => new WebAssembly.Instance(module, { js: { memory } }).exports.run(1000);
       if (isMainThread) {
         const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
         const module = await WebAssembly.compile(readFileSync(new URL('shared.wasm', import.meta.url)));
         const workers = [1, 2].map(() => new Worker(fileURLToPath(import.meta.url), { workerData: { module, memory } }));
         run({ module, memory });
         await Promise.all(workers.map((worker) => new Promise((done) => worker.on('exit', done))));
         console.log(new Int32Array(memory.buffer)[0]);
       } else run(workerData);`,
    );
    expect(stdout).toBe('3000\n');
    expect(recordings.map(({ counts }) => counts.entries)).toEqual([1001, 1001, 1001]);
  });
});

describe('programs from npm', () => {
  test('SQLite, loaded by emscripten’s code in CommonJS', async () => {
    const { recordings } = await same(
      'sqljs.cjs',
      `require('sql.js')().then((SQL) => {
         const db = new SQL.Database();
         db.run('create table t (a, b)');
         for (let i = 0; i < 20; i++) db.run('insert into t values (?, ?)', [i, 'x'.repeat(i)]);
         console.log(db.exec('select sum(a), group_concat(b) from t')[0].values);
         try { db.run('select nothing'); } catch (error) { console.log(error.message); }
       });`,
    );
    expect(recordings[0].counts.entries).toBeGreaterThan(10_000);
    expect(recordings[0].modules[0]).toMatchObject({ name: 'sql-wasm', functions: 1968 });
  });

  test('source maps, in Rust; a hash, its module compiled at once', async () => {
    const { recordings } = await same(
      'maps.mjs',
      `import { SourceMapConsumer, SourceMapGenerator } from 'source-map';
       import { digest } from '@chainsafe/as-sha256';
       const map = new SourceMapGenerator({ file: 'a.js' });
       map.addMapping({ generated: { line: 1, column: 4 }, original: { line: 7, column: 2 }, source: 'b.js' });
       await SourceMapConsumer.with(map.toJSON(), null, (consumer) => {
         console.log(JSON.stringify(consumer.originalPositionFor({ line: 1, column: 5 })));
       });
       console.log(Buffer.from(digest(Buffer.from('abc'))).toString('hex'));`,
    );
    expect(recordings[0].modules.length).toBe(2);
    expect(recordings[0].counts.entries).toBeGreaterThan(50);
  });
});
