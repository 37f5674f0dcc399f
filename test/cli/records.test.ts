// `fprobe trace` with what events carry: arguments, results and callers of programs as they are, the latter against what
// JavaScript passed and got.

import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { fprobe, run } from './fprobe.ts';
import { folder, script } from './subject.ts';

/// Runs `fprobe trace OPTIONS -- node ARGS` and returns the lines of the trace, without columns.
async function traced(options: readonly string[], args: readonly string[]): Promise<string[]> {
  const output = join(folder, 'records.txt');
  const outcome = await fprobe(['trace', ...options, '-o', output, '--', 'node', ...args]);
  expect(outcome).toMatchObject({ end: 0, stderr: '' });
  return readFileSync(output, 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.replace(/^ \d\) [^|]*\| {2}|^.*: /, ''));
}

const GRAPH = ['-O', 'funcgraph-args', '-O', 'funcgraph-retval'];

test('arguments, results and callers in the graph', async () => {
  expect(await traced([...GRAPH, '-g', 'parse'], script('wasm.run()'))).toEqual(
    [1, 3, 5].flatMap((n) => [
      `parse(arg0=0x${n}) {`,
      `  next_token(arg0=0x${n}); /* ret=0x${n + 1} */`,
      `  next_token(arg0=0x${n + 1}); /* ret=0x${n + 2} */`,
      `} /* parse ret=0x${n + 2} */`,
    ]),
  );
  const options = [...GRAPH, '-O', 'nofuncgraph-args', '-O', 'funcgraph-retaddr', '-O', 'funcgraph-retval-hex'];
  const lines = await traced([...options, '--max-graph-depth', '2'], script('wasm.run()'));
  expect(lines[0]).toBe('run() { /* <-[host] */');
  expect(lines[1]).toMatch(/^ {2}parse\(\); \/\* <-run\+0x0\/0x[0-9a-f]+ ret=0x3 \*\/$/);
  expect(lines.at(-1)).toBe('} /* run ret=0x7 */');
});

test('a caller is a function that is traced', async () => {
  const lines = await traced(['-O', 'funcgraph-retaddr', '-l', 'next_token'], script('wasm.run()'));
  expect(new Set(lines)).toEqual(new Set(['next_token(); /* <-[host] */']));
});

test('arguments of the function tracer', async () => {
  const lines = await traced(['-p', 'function', '-O', 'func-args', '-l', 'parse'], script('wasm.run()'));
  expect(lines).toEqual(['parse(arg0=0x1) <-[host]', 'parse(arg0=0x3) <-[host]', 'parse(arg0=0x5) <-[host]']);
});

/// Tells of every call from outside of the module: the index of the function, its arguments, its result.
const WITNESS = `
Math.random = () => 0.5; // names of temporary files
const { instantiate } = WebAssembly;
const calls = [];
let depth = 0;
const witness = (fn) => (...args) => {
  const call = [Number(fn.name), args.map(String), 'none'];
  if (depth++ === 0) calls.push(call);
  try {
    const result = fn(...args);
    call[2] = String(result);
    return result;
  } finally {
    depth--;
  }
};
WebAssembly.instantiate = async (...given) => {
  const { module, instance } = await instantiate(...given);
  const exports = Object.entries(instance.exports).map(([name, value]) => [name, typeof value === 'function' ? witness(value) : value]);
  return { module, instance: { exports: Object.fromEntries(exports) } };
};
require(PACKAGE)().then((SQL) => {
  const db = new SQL.Database();
  db.run('CREATE TABLE t (a INTEGER, b REAL, c TEXT)');
  const insert = db.prepare('INSERT INTO t VALUES (?, ?, ?)');
  for (let i = 0; i < 20; i++) insert.run([i - 10, i / 4, 'x'.repeat(i)]);
  insert.free();
  db.exec('SELECT a, b, sum(b), length(c) FROM t GROUP BY a');
  try { db.exec('SELECT nothing'); } catch {}
  db.close();
  console.log(JSON.stringify(calls));
});
`;

/// A value that JavaScript passed for a parameter of that type, or got, as a word.
function wordOf(type: string, value: string): bigint {
  if (type === 'i32') return BigInt(Number(value) >>> 0);
  if (type === 'i64') return BigInt.asUintN(64, BigInt(value));
  return new BigUint64Array(Float64Array.of(Number(value)).buffer)[0];
}

test('SQLite from npm: every call that JavaScript makes, as JavaScript knows it', async () => {
  const file = createRequire(import.meta.url).resolve('sql.js/dist/sql-wasm-debug.js');
  const app = join(folder, 'witness.cjs');
  writeFileSync(app, WITNESS.replace('PACKAGE', JSON.stringify(file)));
  const output = join(folder, 'witness.txt');
  const outcome = await fprobe(['trace', ...GRAPH, '--max-graph-depth', '1', '-o', output, '--', 'node', app]);
  expect(outcome).toMatchObject({ end: 0, stderr: '' });
  expect(JSON.parse((await run(process.execPath, [app])).stdout)).toEqual(JSON.parse(outcome.stdout)); // as untraced

  const listed = await fprobe(['list', file.replace(/\.js$/, '.wasm'), '--json']);
  const functions = new Map(
    listed.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { index: number; name: string; type: string })
      .map(({ index, name, type }) => [index, { name, type: /\((.*)\) → \((.*)\)/.exec(type ?? '') ?? [] }]),
  );
  const calls = JSON.parse(outcome.stdout) as [index: number, args: string[], result: string][];
  const expected = calls.map(([index, args, result]) => {
    const { name, type } = functions.get(index)!;
    const params = type[1] === '' ? [] : type[1].split(', ');
    const words = params.slice(0, 6).map((param, k) => wordOf(param, args[k] ?? '0'));
    return [name, words, params.length > 6, type[2] === '' ? null : wordOf(type[2], result)];
  });
  const found = Array.from(
    readFileSync(output, 'utf8').matchAll(/^ 0\).*\| {2}([^(\n]+)\((.*)\);(?: \/\* ret=(\S+) \*\/)?$/gm),
    ([, name, list, ret], k) => {
      const args = list === '' ? [] : list.split(', ');
      const words = args.filter((arg) => arg !== '...').map((arg) => BigInt(/0x[0-9a-f]+/.exec(arg)![0]));
      // Numbers from −4095 to −1 print as such, of 32 bits too.
      const bits = functions.get(calls[k]?.[0])?.type[2] === 'i32' ? 32 : 64;
      return [name, words, args.at(-1) === '...', ret === undefined ? null : BigInt.asUintN(bits, BigInt(ret))];
    },
  );
  expect(found.length).toBeGreaterThan(200);
  expect(found).toEqual(expected);
});
