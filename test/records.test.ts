// What records carry beside functions and times (spec/fgraph.md §11 to §13): arguments, results and return addresses, on every
// kind of target, as the text shows them.

import { describe, expect, test } from 'vitest';
import { assembleText } from '../bench/shapes.ts';
import { CPUS } from '../src/arch/index.ts';
import { Tracer } from '../src/index.ts';

type Func = (...args: unknown[]) => unknown;

/// The lines behind the header, without columns.
const lines = (text: string): string[] =>
  text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.replace(/^[^|]*\| {2}/, ''));

const PROGRAM = `(module
  (func $sum (export "sum") (param $a i32) (param $b i64) (result i64) (i64.add (i64.extend_i32_s (local.get $a)) (local.get $b)))
  (func $half (param f64) (result f64) (f64.mul (local.get 0) (f64.const 0.5)))
  (func $wide (param v128 externref f32) (result i32 i32) (i32.const -22) (i32.const 1))
  (func $many (param i32 i32 i32 i32 i32 i32 i32 i32))
  (func $none)
  (func $main (export "main") (param $x i32) (result i32)
    (drop (call $sum (local.get $x) (i64.const -3)))
    (drop (call $half (f64.const 1)))
    (drop (drop (call $wide (v128.const i64x2 1 2) (ref.null extern) (f32.const 1))))
    (call $many (i32.const 0) (i32.const 1) (i32.const 2) (i32.const 3) (i32.const 4) (i32.const 5) (i32.const 6) (i32.const 7))
    (call $none)
    (i32.const -4095)))`;

async function start() {
  const tracer = await Tracer.create({ clock: 'counter' });
  const { instance, target } = await tracer.instantiate(await assembleText('records', PROGRAM));
  return { tracer, target: target!, f: instance.exports as Record<string, Func> };
}

describe('WebAssembly', () => {
  test('arguments by name and value type, results, callers', async () => {
    const { tracer, target, f } = await start();
    const graph = tracer.startGraph({ args: true, retval: true, retaddr: true });
    f.main(-2);
    const { size } = target.sites.find(({ name }) => name === 'main')!;
    const by = `<-main+0x0/0x${size!.toString(16)}`;
    expect(lines(graph.read())).toEqual([
      'main(x=0xfffffffe) { /* <-[host] */',
      `  sum(a=0xfffffffe, b=0xfffffffffffffffd); /* ${by} ret=-5 */`,
      `  half(arg0=(f64)[0x3ff0000000000000]); /* ${by} ret=0x3fe0000000000000 */`,
      `  wide(arg0=(v128)[0x1:0x2], arg1=(externref)[0x0], arg2=(f32)[0x3f800000]); /* ${by} ret=-22 */`,
      `  many(arg0=0x0, arg1=0x1, arg2=0x2, arg3=0x3, arg4=0x4, arg5=0x5, ...); /* ${by} */`,
      `  none(); /* ${by} */`,
      '} /* main ret=-4095 */',
    ]);
    expect(lines(graph.read({ retvalHex: true })).at(-1)).toBe('} /* main ret=0xfffff001 */');
    expect(lines(graph.read({ retval: false, retaddr: false })).at(-1)).toBe('}');
    graph.close();
  });

  test('each by itself, and nothing of it by default', async () => {
    const { tracer, f } = await start();
    const graphs = [{}, { args: true }, { retval: true }, { retaddr: true }].map((options) =>
      tracer.startGraph({ filter: 'sum', ...options }),
    );
    f.sum(1, 2n);
    expect(graphs.map((graph) => lines(graph.read()))).toEqual([
      ['sum();'],
      ['sum(a=0x1, b=0x2);'],
      ['sum(); /* ret=0x3 */'],
      ['sum(); /* <-[host] */'],
    ]);
    expect(() => tracer.startGraph({ args: 1 as unknown as boolean })).toThrow('args is 1, expected true or false');
  });

  test('a module without names of locals, and one whose arguments are not passed', async () => {
    const tracer = await Tracer.create({ clock: 'counter' });
    const text = '(module (func (export "f") (param i32) (result i32) (local.get 0)))';
    const bytes = await assembleText('unnamed', text);
    const graph = tracer.startGraph({ args: true, retval: true });
    for (const args of [true, false]) {
      const { instance } = await tracer.instantiate(bytes, {}, { args });
      (instance.exports.f as Func)(7);
    }
    expect(lines(graph.read())).toEqual(['f(arg0=0x7); /* ret=0x7 */', 'f(...);']);
  });
});

test('JavaScript: words, of which nothing else is known', async () => {
  const tracer = await Tracer.create({ clock: 'counter' });
  const add = tracer.wrap((a: number, b: number) => a + b, 'add') as Func;
  const graph = tracer.startGraph({ args: true, retval: true });
  add(2, -1);
  add(40);
  (add as Func)(1, 2, 'three');
  expect(lines(graph.read())).toEqual([
    'add(arg0=?0x2, arg1=?0xffffffffffffffff); /* ret=0x1 */',
    'add(arg0=?0x28); /* ret=0x7ff8000000000000 */',
    'add(arg0=?0x1, arg1=?0x2, arg2=?0x0); /* ret=0x3 */',
  ]);
  const calls = tracer.startFunction({ args: true });
  const unasked = tracer.startGraph();
  graph.unregister();
  add(1, 1);
  expect(lines(unasked.read())).toEqual(['add();']);
  expect(calls.read()).toContain(': add(arg0=?0x1, arg1=?0x1) <-[host]\n');
});

/// As in recordings of Linux 7.2 on x86_64, with their types.
const TYPES = {
  functions: {
    do_sys_openat2: {
      params: [
        { name: 'dfd', type: 'int' },
        { name: 'filename', type: 'const char *' },
        { name: 'how', type: 'struct open_how *' },
      ],
    },
    vfs_read: {
      params: [
        { name: 'file', type: 'struct file *' },
        { name: 'buf', type: 'char *' },
        { name: 'count', type: 'size_t' },
        { name: 'pos', type: 'loff_t *' },
      ],
    },
    set_timer: {
      params: [
        { name: 'mode', type: 'enum hrtimer_mode' },
        { name: 'id', type: 'kuid_t' },
        { name: 'when', type: 'struct span' },
        { name: 'what', type: 'mystery' },
        { name: '', type: '...' },
      ],
    },
    schedule: { params: [] },
  },
  structs: { 'struct kuid': { size: 4 }, 'struct span': { size: 16 } },
  typedefs: { size_t: 'long unsigned int', loff_t: 'long long int', kuid_t: 'struct kuid' },
  ints: { int: { encoding: 'SIGNED' }, 'long unsigned int': { encoding: '(none)' } },
  enums: { 'enum hrtimer_mode': { values: { HRTIMER_MODE_REL: 1 } } },
};

const BASE = 0x3f0_0000_1000n;
const SYMBOLS = [...Object.keys(TYPES.functions), 'untyped'].map((name, k) => ({
  name,
  address: BASE + BigInt(k) * 0x100n,
  size: 0x80,
}));

describe.each(Object.keys(CPUS))('machine, %s', (arch) => {
  const make = async () => {
    const tracer = await Tracer.create();
    const machine = tracer.machine({ arch, symbols: SYMBOLS, types: TYPES });
    return { tracer, machine };
  };

  test('arguments by their C types, results, and where a call returns to', async () => {
    const { tracer, machine } = await make();
    const graph = tracer.startGraph({ args: true, retval: true, retaddr: true });
    machine.call('do_sys_openat2', [4294967196n, 0x7ffca0655f68n, 0xffa000000017bef0n], (m) => {
      m.call('vfs_read', [0xff110000050d59c0n, 0x4a9300n, 0x40n, 0xffa000000021bee0n], () => -5n);
      m.call('set_timer', [1n, 7n, 8n, 9n, 10n, 11n], (inner) => {
        inner.call('untyped', [1n], () => 0xfffffffbn);
        return 0n;
      });
      m.call('schedule');
      return 3n;
    });
    const offset = (name: string) => {
      const { symbol, returns } = machine.sites.find((site) => site.name === name)!;
      return `<-${name}+0x${(returns - symbol.address).toString(16)}/0x80`;
    };
    const by = offset('do_sys_openat2');
    const outside = machine.model.addresses.trampolines + 0x80n;
    expect(lines(graph.read())).toEqual([
      `do_sys_openat2(dfd=4294967196, filename=0x7ffca0655f68, how=0xffa000000017bef0) { /* <-0x${outside.toString(16)} */`,
      `  vfs_read(file=0xff110000050d59c0, buf=0x4a9300, count=0x40, pos=0xffa000000021bee0); /* ${by} ret=-5 */`,
      `  set_timer(mode=1 [HRTIMER_MODE_REL], id=(STRUCT)[0x7], when=(STRUCT)[0x8:0x9], what=?0xa, =?0xb) { /* ${by} */`,
      `    untyped(); /* ${offset('set_timer')} ret=-5 */`,
      '  } /* set_timer ret=0x0 */',
      `  schedule(); /* ${by} ret=0x0 */`,
      '} /* do_sys_openat2 ret=0x3 */',
    ]);
    expect(lines(graph.read({ retvalHex: true }))[3]).toContain('ret=0xfffffffb');
  });

  test('calls with their arguments', async () => {
    const { tracer, machine } = await make();
    const calls = tracer.startFunction({ args: true });
    machine.call('vfs_read', [1n, 2n, 3n, 4n], (m) => m.call('untyped', [5n]));
    const by = `<-0x${(machine.model.addresses.trampolines + 0x80n).toString(16)}`;
    expect(lines(calls.read()).map((line) => line.replace(/^.*: /, '').replace(by, '<-?'))[0]).toMatch(
      /^vfs_read\(file=0x1, buf=0x2, count=0x3, pos=0x4\) <-/,
    );
    expect(calls.read()).toMatch(/: untyped\(\) <-vfs_read\n/);
  });

  test('a tail call returns where the function does that made it', async () => {
    const { tracer, machine } = await make();
    const graph = tracer.startGraph({ retaddr: true });
    machine.call('schedule', [], (m) => {
      m.call('vfs_read', [], (inner) => inner.tailCall('untyped'));
    });
    const text = lines(graph.read());
    const callers = text.map((line) => /<-(\S+)/.exec(line)?.[1]);
    expect(text.map((line) => line.replace(/[({;].*/, '').trim()).slice(0, 3)).toEqual([
      'schedule',
      'vfs_read',
      'untyped',
    ]);
    expect(callers[1]).toMatch(/^schedule\+0x/);
    expect(callers[2]).toBe(callers[1]);
  });
});
