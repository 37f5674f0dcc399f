// The gate itself: when it fires, what it hands over, and where a function cannot have one.

import { describe, expect, test } from 'vitest';
import { bytesModule, leb } from './proposals.ts';
import { attach, checked, complaint, instantiate, runsHere, wat, watGc } from './support.ts';

const words = (...values: (number | bigint)[]) => values.map((value) => BigInt.asUintN(64, BigInt(value)));
const bits = (value: number) => new BigUint64Array(Float64Array.of(value).buffer)[0]!;
const bits32 = (value: number) => BigInt(new Uint32Array(Float32Array.of(value).buffer)[0]!);

describe('gates', () => {
  test('fire for the sites that are open, and for no others', () => {
    const count = 100;
    const functions = Array.from({ length: count }, (_, i) => `(func (export "f${i}"))`);
    const { engine, exports, result } = attach(wat(`(module (import "e" "f" (func)) ${functions.join('')})`), {
      imports: { e: { f: () => undefined } },
      only: ({ index }) => index % 3 !== 0,
    });
    expect(result.sites.map(({ id }) => id)).toEqual(result.sites.map((_, i) => i));
    const open = result.sites.filter(({ id }) => [0, 1, 30, 31, 32, 33, 63, 64].includes(id));
    engine.open(open.map(({ id }) => id));
    for (let i = 0; i < count; i++) exports[`f${i}`]!();
    expect(engine.log()).toBe(open.map(({ index }) => `enter ${index} leave ${index}`).join(' '));
  });

  test('the setter sets what there is to set', () => {
    const { engine, exports } = attach(wat('(module (func (export "f")))'));
    engine.open([]);
    for (const index of [4, 5, 1000, -1]) engine.set(index, -1);
    exports.f!();
    expect(engine.events).toEqual([]);
  });

  test('a local more in a group of i32 costs no byte', () => {
    const size = (locals: string) => checked(wat(`(module (func (local ${locals})))`)).bytes.length;
    expect(size('i32')).toBe(size('i64') - 2);
    expect(size('i64 i32')).toBe(size('i64'));
  });

  test('a loop of a million tail calls leaves before each call', () => {
    for (const tail of [
      '(return_call $f (i32.sub (local.get 0) (i32.const 1)))',
      '(return_call_indirect (type $t) (i32.sub (local.get 0) (i32.const 1)) (i32.const 0))',
    ]) {
      for (const start of [
        '(func $f (export "f")',
        '(func (export "f") (param i32) (return_call $f (local.get 0))) (func $f',
      ]) {
        const bytes = wat(`(module (type $t (func (param i32))) (table (export "t") 1 funcref) (elem (i32.const 0) $f)
          ${start} (param i32) (if (i32.eqz (local.get 0)) (then (return))) ${tail}))`);
        const { engine, exports } = attach(bytes);
        engine.recording = false;
        exports.f!(1_000_000 as never);
        expect(engine.deepest).toBe(1);
        expect(engine.stack).toEqual([]);
        expect(engine.roots).toHaveLength(1);
      }
    }
  });

  const byReference = watGc(`(module (type $t (func (param i32))) (elem declare func $f)
    (func $f (export "f") (type $t)
      (if (i32.eqz (local.get 0)) (then (return)))
      (return_call_ref $t (i32.sub (local.get 0) (i32.const 1)) (ref.func $f))))`);
  test.runIf(runsHere('tail calls through references', byReference))('the same through references', () => {
    const { engine, exports } = attach(byReference);
    engine.recording = false;
    exports.f!(1_000_000 as never);
    expect(engine.deepest).toBe(1);
    expect(engine.roots).toHaveLength(1);
  });
});

describe('arguments and results', () => {
  test('as words, in order', () => {
    const { engine, exports } = attach(
      wat(`(module
        (func (export "f") (param i32 i64 f32 f64 externref) (result f64 i32)
          (local.get 3) (local.get 0) (local.set 0 (i32.const 0)) (local.set 1 (i64.const 0)))
        (func (export "none") (result i32) (i32.const -2))
        (func (export "early") (param i32) (result i64)
          (if (local.get 0) (then (return (i64.const -1)))) (i64.const 5)))`),
      { args: true },
    );
    exports.f!(-5 as never, -6n as never, 1.5 as never, -2.5 as never, {} as never);
    exports.none!();
    exports.early!(1 as never);
    exports.early!(0 as never);
    expect(engine.events.map((event) => ('words' in event ? event.words : []))).toEqual([
      words(0xfffffffb, -6n, bits32(1.5), bits(-2.5), 0),
      words(bits(-2.5), 0xfffffffb),
      [],
      words(0xfffffffe),
      words(1),
      words(-1n),
      words(0),
      words(5),
    ]);
  });

  test('v128 as two words, low first; results that wait in locals of every type', () => {
    const { engine, exports } = attach(
      wat(`(module
        (func $v (param v128 externref) (result v128 funcref f32) (local.get 0) (ref.null func) (f32.const 2.5))
        (func (export "f") (result i64)
          (call $v (v128.const i64x2 11 22) (ref.null extern)) (drop) (drop) (i64x2.extract_lane 1)))`),
      { args: true },
    );
    expect(exports.f!()).toBe(22n);
    expect(engine.events.map((event) => ('words' in event ? event.words : []))).toEqual([
      [],
      words(11, 22, 0),
      words(11, 22, 0, bits32(2.5)),
      words(22),
    ]);
  });

  test('more words than a slot takes', () => {
    for (const count of [0, 1, 15, 16, 17, 40, 999, 1000]) {
      const params = count > 0 ? `(param ${'i32 '.repeat(count)})` : '';
      const { engine, exports } = attach(wat(`(module (func (export "f") ${params}))`), { args: true });
      const values = Array.from({ length: count }, (_, i) => i * 3 + 1);
      exports.f!(...(values as never[]));
      expect(engine.events[0]).toEqual({ what: 'enter', site: 0, words: words(...values) });
      expect(engine.roots).toHaveLength(1);
    }
  });

  const nonNull = watGc('(module (func (export "f") (param (ref i31)) (result (ref i31)) (local.get 0)))');
  test.runIf(runsHere('references that cannot be null', nonNull))(
    'references that cannot be null pass without a word',
    () => {
      const { engine, exports } = attach(nonNull, { args: true });
      expect(exports.f!(5 as never)).toBe(5);
      expect(engine.events.map((event) => ('words' in event ? event.words : []))).toEqual([words(0), []]);
    },
  );
});

describe('1,000 of a thing', () => {
  test('parameters and results', () => {
    for (const args of [false, true]) {
      const list = 'i64 '.repeat(1000);
      const gets = Array.from({ length: 1000 }, (_, i) => `(local.get ${i})`).join('');
      const bytes = wat(`(module (func (export "f") (param ${list}) (result ${list}) ${gets})
        (func (export "g") (result ${list}) (call 0 ${'(i64.const 7)'.repeat(1000)})))`);
      const { exports, engine } = attach(bytes, { args });
      const values = Array.from({ length: 1000 }, (_, i) => BigInt(i));
      expect(exports.f!(...(values as never[]))).toEqual(values);
      expect((exports.g!() as bigint[]).length).toBe(1000);
      expect(engine.log()).toBe('enter 0 leave 0 enter 1 enter 0 leave 0 leave 1');
      expect(engine.roots).toHaveLength(2);
    }
  });
});

describe('limits', () => {
  // A function that returns its last local, of `count`.
  const withLocals = (count: number, catching = '') =>
    wat(`(module (tag) (func (export "g") (call 1)) (func (export "f") (local ${'i32 '.repeat(count)})
      ${catching} (local.set ${count - 1} (i32.const 3))))`);

  test('the last local that fits', () => {
    const { engine, exports, result } = attach(withLocals(49_999));
    expect(result.skipped).toEqual([]);
    exports.g!();
    expect(engine.log()).toBe('enter 0 enter 1 leave 1 leave 0');
  });

  test('50,000 locals: no gate, but still a face, and the others are watched', () => {
    for (const catching of ['', '(try (do) (catch_all))']) {
      const { engine, exports, result } = attach(withLocals(50_000, catching));
      expect(result.skipped).toEqual([
        {
          reason: 'limit',
          index: 1,
          offset: expect.any(Number),
          size: expect.any(Number),
          why: 'it has 50000 locals, 50000 are allowed',
        },
      ]);
      exports.g!();
      exports.f!();
      expect(engine.log()).toBe('enter 0 leave 0');
      expect(engine.roots).toHaveLength(2);
    }
  });

  test('one more and the engine refuses the module as it always did', () => {
    const bytes = withLocals(50_001);
    expect(() => checked(bytes)).not.toThrow();
    expect(complaint(bytes)).toBeUndefined();
    expect(WebAssembly.validate(bytes as BufferSource)).toBe(false);
  });

  test('a body of the largest size is copied', () => {
    const body = (size: number) => [0, ...new Array<number>(size - 2).fill(0x01), 0x0b];
    for (const [size, skipped] of [
      [7_654_321, 1],
      [7_654_300, 1],
      [7_654_200, 0],
    ] as const) {
      const bytes = largeModule(body(size));
      const result = checked(bytes);
      expect(result.skipped).toHaveLength(skipped);
      expect(result.sites.map(({ index }) => index)).toEqual(skipped === 1 ? [1] : [0, 1]);
      expect(result.faces).toEqual(skipped === 1 ? [1] : [0, 1]);
      if (skipped === 1) expect(result.skipped[0]!.why).toBe('its body would be larger than 7654321 bytes');
    }
  });

  test('as many exports or functions as there may be: everything is left alone', () => {
    const exported = (count: number) => {
      const entries = Array.from({ length: count }, (_, i) => [...leb(6), ...hexName(i), 0, 0]);
      return largeModule([0, 0x0b], { 7: [...leb(count), ...entries.flat()] });
    };
    expect(checked(exported(99_996)).sites).toHaveLength(2);
    const full = checked(exported(99_997));
    expect(full.sites).toEqual([]);
    expect(full.skipped).toHaveLength(2);
    expect(full.skipped[0]!.why).toBe('the module would have 100001 exports, 100000 are allowed');
    expect(Object.keys(instantiate(full.bytes).exports)).toHaveLength(99_997);
  });
});

const hexName = (n: number) => [...n.toString(16).padStart(6, '0')].map((c) => c.charCodeAt(0));

// The first function as given, then an empty one; without spreading millions of bytes over arguments.
function largeModule(first: number[], sections: Record<number, number[]> = {}): Uint8Array {
  const second = [2, 0, 0x0b];
  const code = [2, ...leb(first.length)].concat(first, second);
  return bytesModule(
    [[0x60, 0, 0]],
    [
      [0, []],
      [0, []],
    ],
    { 10: code, ...sections },
  );
}

describe('growth', () => {
  // Many small bodies of calls to an exported function: what is set before each call is what no plan foresees.
  const calls = '(call $f (i32.const 1))'.repeat(8);
  const bytes = wat(`(module (func $f (export "f") (param i32)) ${`(func ${calls})`.repeat(400)})`);

  test('stays within what was asked for', () => {
    const grown = (growth?: number) => checked(bytes, { growth }).bytes.length / bytes.length - 1;
    const once = grown(0);
    const twice = grown(100);
    expect(twice).toBeGreaterThan(once + 0.8);
    for (const growth of [once + 0.1, once + 0.2, once + 0.5]) {
      expect(grown(growth)).toBeLessThanOrEqual(growth + 0.03);
    }
    expect(grown()).toBeCloseTo(once);
    expect(() => checked(bytes, { growth: -1 })).toThrow(RangeError);
  });
});

describe('the start function', () => {
  const text = `(module (import "e" "js" (func $js))
    (global $g (export "g") (mut i32) (i32.const 0))
    (func $start (call $js) (global.set $g (i32.const 1))) (start $start))`;

  test('runs by itself, unwatched', () => {
    let runs = 0;
    const { engine, exports, result } = attach(wat(text), { imports: { e: { js: () => runs++ } } });
    expect(runs).toBe(1);
    expect(engine.events).toEqual([]);
    expect((exports.g as never as WebAssembly.Global).value).toBe(1);
    expect(result.start).toBe(1);
    expect(result.startDeferred).toBe(false);
  });

  test('deferred: waits until it is called, and is watched', () => {
    let runs = 0;
    const { engine, exports, result } = attach(wat(text), { start: 'defer', imports: { e: { js: () => runs++ } } });
    expect(runs).toBe(0);
    expect(result.startDeferred).toBe(true);
    exports.__fprobe_start!();
    expect(runs).toBe(1);
    expect(engine.log()).toBe('enter 1 leave 1');
    expect(engine.roots).toHaveLength(1);
  });

  test('an imported one, deferred', () => {
    let runs = 0;
    const { exports } = attach(wat('(module (import "e" "js" (func $js)) (start $js))'), {
      start: 'defer',
      imports: { e: { js: () => runs++ } },
    });
    expect(runs).toBe(0);
    exports.__fprobe_start!();
    expect(runs).toBe(1);
  });

  test('a module without one', () => {
    const result = checked(wat('(module (func (export "f")))'), { start: 'defer' });
    expect(result.startDeferred).toBe(false);
    expect(Object.keys(instantiate(result.bytes).exports)).not.toContain('__fprobe_start');
  });
});
