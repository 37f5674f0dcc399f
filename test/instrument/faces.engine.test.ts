// Faces: calls from JavaScript go through the host's root, calls from inside do not, and the program cannot tell.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import { instrument } from '../../src/instrument/index.ts';
import { attach, checked, FakeEngine, instantiate, runsHere, wat, watGc } from './support.ts';

/// Function indices of the faces that came in from outside.
const rooted = ({ engine, result }: ReturnType<typeof attach>) => engine.roots.map((face) => result.faces[face]);

describe('who gets a face', () => {
  const faces = (text: string, options = {}) => checked(wat(text), options).faces;

  test('exported functions, once each, and nobody else', () => {
    expect(faces('(module (func) (func (export "a") (export "b")) (func (export "c")) (func))')).toEqual([1, 2]);
  });

  test('functions in a table that is exported or imported', () => {
    const table = '(table 2 funcref) (elem (i32.const 0) 1 1)';
    expect(faces(`(module (func) (func) ${table})`)).toEqual([]);
    expect(faces(`(module (func) (func) ${table} (export "t" (table 0)))`)).toEqual([1]);
    expect(faces('(module (import "e" "t" (table 2 funcref)) (func) (func) (elem (i32.const 0) 1))')).toEqual([1]);
    // A table of other things does not let functions out.
    expect(
      faces('(module (func) (table 1 funcref) (table (export "x") 1 externref) (elem (table 0) (i32.const 0) func 0))'),
    ).toEqual([]);
  });

  test('functions in a global that is exported or imported, or mentioned where references travel', () => {
    expect(faces('(module (func) (func) (global funcref (ref.func 1)))')).toEqual([]);
    expect(faces('(module (func) (func) (global (export "g") funcref (ref.func 1)))')).toEqual([1]);
    expect(faces('(module (import "e" "g" (global (mut funcref))) (func) (elem declare func 0))')).toEqual([0]);
    const passes = '(func (export "get") (result funcref) (ref.func 0))';
    expect(faces(`(module (func) (elem declare func 0) ${passes})`)).toEqual([0, 1]);
    expect(
      faces(
        '(module (import "e" "take" (func (param funcref))) (func) (elem declare func 1) (func (call 0 (ref.func 1))))',
      ),
    ).toEqual([1]);
    expect(faces('(module (tag (param funcref)) (func) (elem declare func 0) (func (throw 0 (ref.func 0))))')).toEqual([
      0,
    ]);
  });

  test('not what JavaScript cannot call', () => {
    expect(
      faces('(module (func (export "v") (param v128)) (func (export "r") (result v128) (v128.const i32x4 0 0 0 0)))'),
    ).toEqual([]);
  });

  test('the start function when it is deferred', () => {
    expect(faces('(module (func) (func) (start 1))')).toEqual([]);
    expect(faces('(module (func) (func) (start 1))', { start: 'defer' })).toEqual([1]);
  });

  test('functions without a gate as well', () => {
    expect(faces('(module (func (export "a")))', { only: () => false })).toEqual([0]);
  });

  test('a module without faces has no caller', () => {
    const plain = instantiate(checked(wat('(module (func))')).bytes);
    expect(Object.keys(plain.exports)).toEqual(['__fprobe_table', '__fprobe_set']);
    const faced = instantiate(checked(wat('(module (func (export "f")))')).bytes);
    expect(Object.keys(faced.exports)).toEqual(['f', '__fprobe_table', '__fprobe_set', '__fprobe_call']);
  });
});

describe('a call from outside', () => {
  test('reaches the root with every kind of value, there and back', () => {
    const types = ['i32', 'i64', 'f32', 'f64', 'externref', 'funcref', 'i32', 'externref'];
    const list = types.join(' ');
    const gets = types.map((_, i) => `(local.get ${i})`).join(' ');
    const attached = attach(wat(`(module (func (export "id") (param ${list}) (result ${list}) ${gets}))`));
    const own = attached.exports.id;
    const values = [-1, 2n ** 63n - 1n, 1.5, Number.NaN, { an: 'object' }, own, 7, 'text'];
    expect(attached.exports.id!(...(values as never[]))).toEqual(values);
    expect(rooted(attached)).toEqual([0]);
    expect(attached.engine.log()).toBe('enter 0 leave 0');
  });

  test('keeps nothing alive in the spill globals', async () => {
    const { exports } = attach(wat('(module (func (export "f") (param externref) (result externref) (local.get 0)))'));
    setFlagsFromString('--expose-gc');
    const gc = runInNewContext('gc') as () => void;
    let object: object | undefined = {};
    const weak = new WeakRef(object);
    exports.f!(object as never);
    object = undefined;
    await new Promise((done) => setTimeout(done));
    gc();
    expect(weak.deref()).toBeUndefined();
  });

  test('goes on by itself when the host does not carry it out', () => {
    const attached = attach(
      wat('(module (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))'),
    );
    attached.engine.root = (face) => attached.engine.roots.push(face) * 0;
    expect(attached.exports.add!(2 as never, 3 as never)).toBe(5);
    expect(rooted(attached)).toEqual([0]);
    expect(attached.engine.log()).toBe('enter 0 leave 0');
  });

  test('is not asked for while nobody watches', () => {
    const attached = attach(wat('(module (func (export "f")))'));
    attached.engine.close();
    attached.exports.f!();
    expect(rooted(attached)).toEqual([]);
    expect(attached.engine.events).toEqual([]);
  });
});

describe('a call from inside', () => {
  const text = `(module
    (import "e" "js" (func $js (param i32) (result i32)))
    (type $t (func (param i32) (result i32)))
    (table (export "t") 4 funcref) (elem (i32.const 0) $leaf $outer $js)
    (func $leaf (export "leaf") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
    (func $outer (export "outer") (param i32) (result i32)
      (i32.add (call $leaf (local.get 0)) (call_indirect (type $t) (local.get 0) (i32.const 0))))
    (func (export "tail") (param i32) (result i32) (return_call $leaf (local.get 0)))
    (func (export "tailIndirect") (param i32) (result i32) (return_call_indirect (type $t) (local.get 0) (i32.const 0)))
    (func (export "callJs") (param i32) (result i32) (call $js (local.get 0)))
    (func (export "callJsAfter") (param i32) (result i32)
      (drop (call_indirect (type $t) (i32.const 0) (local.get 0))) (call $js (i32.const 1)))
    (func (export "slot") (param i32 i32) (result i32) (call_indirect (type $t) (local.get 0) (local.get 1))))`;
  const make = (js: (x: number) => number = () => 0) => attach(wat(text), { imports: { e: { js } } });

  test('does not reach the root: direct, through a table, as a tail call', () => {
    for (const [name, args, result] of [
      ['outer', [1], 4],
      ['tail', [1], 2],
      ['tailIndirect', [1], 2],
    ] as const) {
      const attached = make();
      const index = Number(attached.exports[name]!.name);
      expect(attached.exports[name]!(...(args as never as never[]))).toBe(result);
      expect(rooted(attached)).toEqual([index]);
      // The next call from outside does, so nothing was left set.
      attached.exports.leaf!(1 as never);
      expect(rooted(attached)).toEqual([index, 1]);
    }
  });

  test('of JavaScript that calls back is a call from outside again', () => {
    const attached = make((x) => (attached.exports.leaf!(x as never) as number) * 10);
    expect(attached.exports.callJs!(4 as never)).toBe(50);
    expect(rooted(attached)).toEqual([5, 1]);
    expect(attached.engine.log()).toBe('enter 5 enter 1 leave 1 leave 5');
  });

  test('that ends in a foreign function does not pass for the next one', () => {
    const attached = make((x) => (attached.exports.leaf!(x as never) as number) * 10);
    const foreign = instantiate(wat('(module (func (export "f") (param i32) (result i32) (i32.const 3)))'));
    (attached.exports.t as never as WebAssembly.Table).set(3, foreign.exports.f);
    // A foreign function returns without having cleared anything; the import that follows calls back.
    expect(attached.exports.callJsAfter!(3 as never)).toBe(20);
    expect(rooted(attached)).toEqual([6, 1]);
  });

  test('of an import through a table is reported to who wraps imports', () => {
    expect(make().result.importsByReference).toEqual([0]);
    expect(checked(wat('(module (import "e" "f" (func)) (func (export "g") (call 0)))')).importsByReference).toEqual(
      [],
    );
  });

  test('of a function that cannot be faced clears the way', () => {
    // $light is mentioned and has a faced function's signature, but the table stays inside: no face, no leftover.
    const attached = attach(
      wat(`(module
        (import "e" "js" (func $js))
        (type $t (func (param i32) (result i32)))
        (table 2 funcref) (elem (i32.const 0) $light $faced)
        (func $light (param i32) (result i32) (call $js) (i32.const 1))
        (func $faced (export "faced") (param i32) (result i32) (i32.const 2))
        (func (export "f") (param i32) (result i32) (call_indirect (type $t) (i32.const 0) (local.get 0))))`),
      { imports: { e: { js: () => attached.exports.faced!(0 as never) } } },
    );
    expect(attached.result.faces).toEqual([2, 3]);
    expect(attached.exports.f!(0 as never)).toBe(1);
    expect(rooted(attached)).toEqual([3, 2]);
    expect(attached.exports.f!(1 as never)).toBe(2);
    expect(rooted(attached)).toEqual([3, 2, 3]);
  });

  test('of an exported function that only a body mentions', () => {
    // No element segment names $faced: that it can be reached shows only when the bodies are read.
    const attached = attach(
      wat(`(module
        (type $t (func (result i32)))
        (table 1 funcref)
        (func $faced (export "faced") (result i32) (i32.const 2))
        (func (export "f") (result i32)
          (table.set (i32.const 0) (ref.func $faced))
          (call_indirect (type $t) (i32.const 0))))`),
    );
    expect(attached.exports.f!()).toBe(2);
    expect(rooted(attached)).toEqual([1]);
  });

  const references = watGc(`(module
    (type $t (sub (func (result anyref)))) (type $u (sub $t (func (result (ref i31)))))
    (elem declare func $faced)
    (func $faced (export "faced") (type $u) (ref.i31 (i32.const 2)))
    (func (export "f") (result anyref) (local $f (ref $t)) (local.set $f (ref.func $faced)) (call_ref $t (local.get $f)))
    (func (export "g") (result anyref) (local $f (ref $t))
      (local.set $f (ref.func $faced)) (return_call_ref $t (local.get $f))))`);
  test.runIf(runsHere('references to supertypes', references))('through a reference to a supertype', () => {
    const attached = attach(references);
    expect(attached.exports.f!()).toBe(2);
    expect(attached.exports.g!()).toBe(2);
    expect(rooted(attached)).toEqual([1, 2]);
  });
});

describe('leaving without returning', () => {
  test('a trap or a throw takes the frames of its root with it, and only those', () => {
    const attached = attach(
      wat(`(module
        (import "e" "js" (func $js))
        (func $trap (export "trap") (unreachable))
        (func $deep (param i32) (if (local.get 0) (then (call $deep (i32.sub (local.get 0) (i32.const 1)))) (else (call $trap))))
        (func (export "deep") (call $deep (i32.const 3)))
        (func (export "outer") (call $js)))`),
      {
        imports: {
          e: {
            js: () => {
              expect(() => attached.exports.deep!()).toThrow(WebAssembly.RuntimeError);
              expect(attached.engine.stack).toHaveLength(1);
            },
          },
        },
      },
    );
    attached.exports.outer!();
    expect(attached.engine.log()).toBe(
      'enter 4 enter 3 enter 2 enter 2 enter 2 enter 2 enter 1 unwound 1 unwound 2 unwound 2 unwound 2 unwound 2 unwound 3 leave 4',
    );
    expect(rooted(attached)).toEqual([4, 3]);
  });

  test('stack overflow', () => {
    const attached = attach(wat('(module (func $f (export "f") (call $f)))'));
    expect(() => attached.exports.f!()).toThrow(RangeError);
    expect(attached.engine.stack).toEqual([]);
    attached.engine.recording = false;
    const before = attached.engine.roots.length;
    expect(() => attached.exports.f!()).toThrow(RangeError);
    expect(attached.engine.roots.length).toBe(before + 1);
  });

  test('a landing pad drops what the exception left behind', () => {
    const attached = attach(
      wat(`(module (tag $t)
        (func $throw (throw $t))
        (func $middle (call $throw))
        (func $after)
        (func (export "f") (try (do (call $middle)) (catch $t)) (call $after)))`),
    );
    attached.exports.f!();
    expect(attached.engine.log()).toBe('enter 3 enter 1 enter 0 unwound 0 unwound 1 enter 2 leave 2 leave 3');
    expect(attached.result.catching).toBe(1);
  });

  const tryTable = watGc(`(module (tag $t)
    (func $throw (throw $t))
    (func $middle (call $throw))
    (func $after)
    (func (export "f") (block $h (try_table (catch $t $h) (call $middle)) (return)) (call $after)))`);
  test.runIf(runsHere('try_table', tryTable))('the same for try_table', () => {
    const attached = attach(tryTable);
    attached.exports.f!();
    expect(attached.engine.log()).toBe('enter 3 enter 1 enter 0 unwound 0 unwound 1 enter 2 leave 2 leave 3');
  });
});

describe('what the program sees', () => {
  const bytes = wat(`(module
    (table (export "t") 3 funcref) (elem (i32.const 0) $a $b)
    (func $a (export "a") (export "alias") (param i32 i64)) (func $b (param f32) (result f32) (local.get 0))
    (func (export "get") (param i32) (result funcref) (table.get (local.get 0))))`);

  test('names, lengths and identities of functions are what they were', () => {
    const describeExports = (module: Uint8Array) => {
      const { exports } = instantiate(module) as { exports: Record<string, never> };
      const table = exports.t as WebAssembly.Table;
      const get = exports.get as (i: number) => unknown;
      const functions = [exports.a, exports.alias, table.get(0), table.get(1), get(0), get(1)] as (() => void)[];
      return {
        names: functions.map((f) => f.name),
        lengths: functions.map((f) => f.length),
        same: functions.map((f) => functions.indexOf(f)),
        null: table.get(2),
      };
    };
    expect(describeExports(instrument(bytes).bytes)).toEqual(describeExports(bytes));
  });
});

test('gates are switched in the middle of a call', () => {
  const attached = attach(
    wat(`(module (import "e" "js" (func $js))
      (func $in) (func (export "f") (call $in) (call $js) (call $in)))`),
    { imports: { e: { js: () => attached.engine.close() } } },
  );
  attached.exports.f!();
  expect(attached.engine.log()).toBe('enter 2 enter 1 leave 1 leave 2');
  const opened = attach(
    wat('(module (import "e" "js" (func $js)) (func $in) (func (export "f") (call $js) (call $in)))'),
    {
      imports: { e: { js: () => opened.engine.open() } },
    },
  );
  opened.engine.close();
  opened.exports.f!();
  expect(opened.engine.log()).toBe('enter 1 leave 1');
});

test('two instances of one module have gates of their own', () => {
  const result = checked(wat('(module (func (export "f")))'));
  const [one, two] = [instantiate(result.bytes), instantiate(result.bytes)];
  const engines = [new FakeEngine(one, result), new FakeEngine(two, result)];
  engines[0]!.open();
  for (const { exports } of [one, two]) (exports.f as () => void)();
  expect(engines.map((engine) => engine.log())).toEqual(['enter 0 leave 0', '']);
});
