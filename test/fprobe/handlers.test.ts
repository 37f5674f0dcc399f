// Handlers that are not JavaScript: functions of another WebAssembly module (hand-written, and compiled from AssemblyScript), and
// the engine's own.

import asc from 'assemblyscript/asc';
import { describe, expect, test } from 'vitest';
import { assembleText } from '../../bench/shapes.ts';
import { type Builtin, Tracer, type WasmFprobeHandler } from '../../src/index.ts';
import { Random } from '../assembly/engine.ts';
import { errno } from './fixture.ts';

type Func = (...values: unknown[]) => unknown;

const PROGRAM = `(module
  (func $inc (export "inc") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
  (func $add (export "add") (param i32 i64) (result i64) (i64.add (i64.extend_i32_s (local.get 0)) (local.get 1)))
  (func $outer (export "outer") (param i32) (result i32) (call $inc (call $inc (local.get 0))))
  (func $nothing (export "nothing")))`;

async function start(clock: 'counter' | 'mono' = 'counter') {
  const tracer = await Tracer.create({ clock });
  const { instance, target } = await tracer.instantiate(await assembleText('handlers', PROGRAM));
  const ip = (name: string) => target!.sites.find((site) => site.name === name)!.ip;
  return { tracer, f: instance.exports as Record<string, Func>, ip };
}

interface HandlerModule {
  entry: WasmFprobeHandler;
  exit: WasmFprobeHandler;
  calls(): number;
  sum(): bigint;
}

/// Both keep what they are given: entry writes ip and private into the data, exit adds up what it finds there.
const WAT = `(module
  (import "env" "memory" (memory 1))
  (global $calls (mut i32) (i32.const 0))
  (global $sum (mut i64) (i64.const 0))
  (func (export "entry") (param $private i32) (param $ip i64) (param $ret i64) (param $fregs i32) (param $data i32) (result i32)
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (i64.store (local.get $data) (local.get $ip))
    (i64.store offset=8 (local.get $data) (i64.extend_i32_u (local.get $private)))
    (i32.eq (local.get $private) (i32.const 9)))
  (func (export "exit") (param $private i32) (param $ip i64) (param $ret i64) (param $fregs i32) (param $data i32) (result i32)
    (if (i64.ne (i64.load (local.get $data)) (local.get $ip)) (then unreachable))
    (global.set $sum (i64.add (global.get $sum) (i64.load offset=8 (local.get $data))))
    (i32.const 0))
  (func (export "calls") (result i32) (global.get $calls))
  (func (export "sum") (result i64) (global.get $sum)))`;

const ASSEMBLYSCRIPT = `
let count: i32 = 0;
let total: i64 = 0;
export function entry(private_: i32, ip: i64, ret: i64, fregs: usize, data: usize): i32 {
  count++;
  store<i64>(data, ip);
  store<i64>(data, private_, 8);
  return private_ == 9 ? 1 : 0;
}
export function exit(private_: i32, ip: i64, ret: i64, fregs: usize, data: usize): i32 {
  if (load<i64>(data) != ip) unreachable();
  total += load<i64>(data, 8);
  return 0;
}
export function calls(): i32 { return count; }
export function sum(): i64 { return total; }
`;

async function compileAssemblyScript(source: string): Promise<Uint8Array<ArrayBuffer>> {
  const files = new Map<string, string | Uint8Array>([['handlers.ts', source]]);
  const options = ['handlers.ts', '--runtime', 'stub', '--importMemory', '--noAssert', '-O', '-o', 'handlers.wasm'];
  const { error, stderr } = await asc.main(options, {
    readFile: (name) => (files.get(name) as string) ?? null,
    writeFile: (name, contents) => void files.set(name, contents),
    listFiles: () => [],
  });
  if (error) throw new Error(stderr.toString());
  return Uint8Array.from(files.get('handlers.wasm') as Uint8Array);
}

const load = async (tracer: Tracer, bytes: BufferSource): Promise<HandlerModule> => {
  const { memory } = tracer.engine;
  const { instance } = await WebAssembly.instantiate(bytes, { env: { memory, abort: () => {} } });
  return instance.exports as unknown as HandlerModule;
};

describe('handlers of another WebAssembly module', () => {
  test.each(['hand-written', 'AssemblyScript'])('%s', async (kind) => {
    const { tracer, f, ip } = await start();
    const bytes = await (kind === 'AssemblyScript' ? compileAssemblyScript(ASSEMBLYSCRIPT) : assembleText('h', WAT));
    const handlers = await load(tracer, bytes);
    const { entry, exit } = handlers;
    const probe = tracer.registerFprobe({ symbols: ['inc', 'outer'], entry, exit, entryDataSize: 16, private: 5 });
    expect(f.outer(1)).toBe(3);
    expect([handlers.calls(), handlers.sum(), probe.hits, probe.errors]).toEqual([3, 15n, 3, 0]);
    const cancelled = tracer.registerFprobe({ addresses: [ip('inc')], entry, exit, entryDataSize: 16, private: 9 });
    f.inc(1);
    expect([handlers.calls(), handlers.sum()], 'entry of 9 cancels').toEqual([5, 20n]);
    for (const other of [probe, cancelled]) other.unregister();
    f.outer(1);
    expect(handlers.calls()).toBe(5);
  });

  test('their table entries are used again', async () => {
    const { tracer } = await start();
    const { entry, exit } = await load(tracer, await assembleText('h', WAT));
    tracer.registerFprobe({ symbols: ['inc'], entry, exit, entryDataSize: 16 }).unregister();
    const { length } = tracer.engine.table;
    for (let k = 0; k < 20; k++) {
      const probe = tracer.registerFprobe({ symbols: ['inc'], entry, exit, entryDataSize: 16 });
      expect(errno(() => probe.register({ symbols: ['inc'] }))).toBe('EEXIST');
      probe.unregister();
      expect(errno(() => probe.register({ symbols: ['no'] }))).toBe('ENOENT');
    }
    expect(tracer.engine.table.length).toBe(length);
  });

  test('a function of another type is refused, a trap is the program’s, or counted when guarded', async () => {
    const { tracer, f } = await start();
    const before = tracer.engine.table.length;
    expect(errno(() => tracer.registerFprobe({ symbols: ['inc'], entry: f.inc as never }))).toBe('EINVAL');
    expect(tracer.engine.table.length).toBe(before);
    const { entry, exit } = await load(tracer, await assembleText('h', WAT.replace('i64.ne', 'i64.eq')));
    const handlers = { entry, exit, entryDataSize: 16, symbols: ['inc'] };
    const guarded = tracer.registerFprobe({ ...handlers, symbols: ['inc'], guarded: true });
    expect(f.inc(1)).toBe(2);
    expect([guarded.errors, String(guarded.lastError)]).toEqual([1, 'RuntimeError: unreachable']);
    guarded.unregister();
    const probe = tracer.registerFprobe(handlers);
    expect(() => f.inc(1)).toThrow(WebAssembly.RuntimeError);
    probe.unregister();
    expect(f.outer(1)).toBe(3);
    expect(tracer.counts()).toMatchObject({ unwound: 1, stray: 0 });
    const mixed = tracer.registerFprobe({ symbols: ['inc'], entry: () => 0, exit: exit as never, entryDataSize: 16 });
    f.inc(1);
    expect(mixed.errors, 'its data are whatever they were').toBeLessThanOrEqual(1);
  });
});

describe('built-in handlers', () => {
  const probe = (tracer: Tracer, builtin: Builtin, filter = '*') => tracer.registerFprobe({ filter, builtin });

  test('count, by function; read and cleared with one call', async () => {
    const { tracer, f, ip } = await start();
    const counter = probe(tracer, { keep: 'count' });
    for (let k = 0; k < 5; k++) f.outer(k);
    f.add(1, 2n);
    const rows = counter.read({ clear: true });
    expect(rows.map(({ name, count, ip }) => [name, count, ip])).toEqual([
      ['inc', 10, ip('inc')],
      ['add', 1, ip('add')],
      ['outer', 5, ip('outer')],
    ]);
    expect([counter.read(), counter.hits]).toEqual([[], 16]);
    f.inc(1);
    counter.unregister();
    f.inc(1);
    expect(counter.read({ clear: true })).toMatchObject([{ name: 'inc', count: 1 }]);
    expect(counter.read()).toEqual([]);
  });

  test('arguments, results and their sums', async () => {
    const { tracer, f } = await start();
    const argument = probe(tracer, { keep: 'count', of: 0, signed: true });
    const second = probe(tracer, { keep: 'count', of: 1 });
    const result = probe(tracer, { keep: 'count', of: 'result', signed: true });
    f.inc(-5);
    f.inc(3);
    f.nothing();
    f.add(-7, 2n ** 60n);
    const sums = (rows: ReturnType<typeof argument.read>) => rows.map(({ name, count, sum }) => [name, count, sum]);
    expect(sums(argument.read())).toEqual([
      ['inc', 2, -2],
      ['add', 1, -7],
    ]);
    expect(sums(second.read())).toEqual([['add', 1, 2n ** 60n]]);
    expect(sums(result.read())).toEqual([
      ['inc', 2, 0],
      ['add', 1, -7], // the low 32 bits
    ]);
  });

  test.each(['log2', 'linear', 'first', 'last'] as const)('%s against what it should keep', async (keep) => {
    const { tracer, f } = await start();
    const shape = { log2: {}, linear: { min: -20, step: 7, buckets: 9 }, first: { values: 10 }, last: { values: 10 } }[
      keep
    ];
    const kept = probe(tracer, { keep, of: 0, signed: true, ...shape }, 'inc');
    const results = probe(tracer, { keep, of: 'result', signed: true, ...shape }, 'inc');
    const random = new Random(5);
    const special = [0, 1, -1, 2, 3, 4, 2 ** 30, -(2 ** 31), 2 ** 31 - 1, -20, -21, 42, 43, -14, -13];
    const values = special.concat(Array.from({ length: 40 }, () => random.next() >> random.below(32)));
    for (const [n, value] of values.entries()) {
      f.inc(value);
      for (const [of, sample] of [
        [kept, values.slice(0, n + 1)],
        [results, values.slice(0, n + 1).map((v) => (v + 1) | 0)],
      ] as const) {
        const [row] = of.read();
        expect([row.count, row.sum]).toEqual([n + 1, sample.reduce((sum, v) => sum + v, 0)]);
        if (keep === 'first') expect(row.values).toEqual(sample.slice(0, 10));
        if (keep === 'last') expect(row.values).toEqual(sample.slice(-10));
        for (const { from, to, count } of row.buckets ?? []) {
          expect(sample.filter((v) => v >= from && v < to).length, `${from} to ${to}`).toBe(count);
        }
        if (row.buckets) expect(row.buckets.reduce((sum, { count }) => sum + count, 0)).toBe(n + 1);
      }
    }
  });

  test.each(['counter', 'mono'] as const)('latency with the clock %s', async (clock) => {
    const { tracer, f } = await start(clock);
    const latency = probe(tracer, { keep: 'log2', of: 'latency' });
    for (let k = 0; k < 3; k++) f.outer(k);
    const rows = new Map(latency.read().map((row) => [row.name, row]));
    expect([rows.get('inc')!.count, rows.get('outer')!.count]).toEqual([6, 3]);
    if (clock === 'counter') expect([rows.get('inc')!.sum, rows.get('outer')!.sum]).toEqual([6, 15]);
    else expect(Number(rows.get('outer')!.sum)).toBeGreaterThan(Number(rows.get('inc')!.sum));
    expect(latency.nmissed).toBe(0);
  });

  test('alone or with others, general path or not: the same', async () => {
    const readings: unknown[] = [];
    for (const [short, others] of [
      [1, 0],
      [0, 0],
      [1, 3],
    ]) {
      const { tracer, f } = await start();
      tracer.engine.direct_set(short);
      const probes = [
        probe(tracer, { keep: 'log2', of: 'latency' }, 'outer'),
        probe(tracer, { keep: 'last', of: 0 }, 'inc'),
      ];
      for (let k = 0; k < others; k++) tracer.registerFprobe({ filter: 'add', exit: () => {} });
      for (let k = 0; k < 40; k++) f.outer(k);
      readings.push([probes.map((other) => other.read()), probes.map(({ hits }) => hits), tracer.counts()]);
    }
    expect(readings[1]).toEqual(readings[0]);
    expect(readings[2]).toEqual(readings[0]);
  });

  test('options that are none', async () => {
    const { tracer } = await start();
    const bad: unknown[] = [
      null,
      {},
      { keep: 'median' },
      { keep: 'toString' },
      { keep: 'log2' },
      { keep: 'log2', of: 'hits' },
      { keep: 'count', of: 32 },
      { keep: 'count', of: -1 },
      { keep: 'count', of: 'valueOf' },
      { keep: 'linear', of: 0, buckets: 0 },
      { keep: 'linear', of: 0, step: 0 },
      { keep: 'linear', of: 0, min: 0.5 },
      { keep: 'first', of: 0, values: 1025 },
      { keep: 'first', of: 0, signed: 1 },
      { keep: 'count', size: 1 },
    ];
    for (const builtin of bad) {
      const options = { filter: '*', builtin: builtin as Builtin };
      expect(
        errno(() => tracer.registerFprobe(options)),
        JSON.stringify(builtin),
      ).toBe('EINVAL');
    }
    expect(errno(() => tracer.registerFprobe({ filter: '*', builtin: { keep: 'count' }, exit: () => {} }))).toBe(
      'EINVAL',
    );
    for (const flags of [-1, 8, 0.5, '1']) {
      expect(errno(() => tracer.registerFprobe({ filter: '*', flags: flags as number }))).toBe('EINVAL');
    }
    expect(errno(() => tracer.registerFprobe({ filter: '*', onError: 'no' as never }))).toBe('EINVAL');
    expect(errno(() => tracer.registerFprobe({ filter: '*', entry: 5 as never }))).toBe('EINVAL');
    expect(errno(() => tracer.registerFprobe({ filter: '*', Entry: () => {} } as never))).toBe('EINVAL');
    expect(tracer.registerFprobe({ filter: '*' }).locations, 'no handler at all is fine').toBe(4);
  });
});
