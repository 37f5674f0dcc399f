// One module per proposal, with calls whose results show whether it still does what it did. `raw` modules are encoded by
// wabt as they are written; the others are binaryen's reading of the text; a few are bytes.

import { wat, watGc } from './support.ts';

export interface Case {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly calls: readonly (readonly [fn: string, ...args: (number | bigint | null)[]])[];
  readonly imports?: () => WebAssembly.Imports;
}

const one = (name: string, bytes: Uint8Array, calls: Case['calls'], imports?: Case['imports']): Case => ({
  name,
  bytes,
  calls,
  imports,
});

/// A module of functions only, from bytes: `types` are entries of the type section, `functions` give a type index and the
/// body without its size; function k is exported as `fk`. `sections` are whole sections by id, in any order.
export function bytesModule(
  types: number[][],
  functions: [type: number, body: number[]][],
  sections: Record<number, number[]> = {},
): Uint8Array {
  const vector = (items: number[][]) => [...leb(items.length), ...items.flat()];
  const all: Record<number, number[]> = {
    1: vector(types),
    3: vector(functions.map(([type]) => leb(type))),
    7: vector(functions.map((_, i) => [...text(`f${i}`), 0, ...leb(i)])),
    10: vector(functions.map(([, body]) => [...leb(body.length), ...body])),
    ...sections,
  };
  const parts = [[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0]];
  for (const id of [1, 2, 3, 4, 5, 13, 6, 7, 8, 9, 12, 10, 11]) {
    const contents = all[id];
    if (contents !== undefined) parts.push([id], leb(contents.length), contents);
  }
  return Uint8Array.from(parts.flat());
}

export function leb(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...leb(value >>> 7)];
}

export function text(name: string): number[] {
  return [...leb(name.length), ...[...name].map((c) => c.charCodeAt(0))];
}

const control = one(
  'control flow',
  wat(`(module
    (func $early (export "early") (param i32) (result i32)
      (block (block (block (br_table 0 1 2 (local.get 0)) ) (return (i32.const 10))) (return (i32.const 20)))
      (if (result i32) (i32.gt_s (local.get 0) (i32.const 5))
        (then (br 1 (i32.const 30))) (else (return (i32.const 40)))))
    (func (export "loop") (param i32) (result i32) (local i32 i64)
      (loop $l
        (local.set 1 (i32.add (local.get 1) (call $early (local.get 0))))
        (br_if 1 (local.get 1) (i32.eqz (local.get 0)))
        drop
        (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
        (br $l))
      unreachable)
    (func (export "nothing"))
    (func (export "label") (param i32) (br_if 0 (local.get 0)) (br_table 0 0 (local.get 0)))
    (func (export "dead") (result i32) (return (i32.const 1)) (drop) (return (i32.const 2)))
    (func (export "trap") (param i32) (result i32) (i32.div_s (i32.const 1) (local.get 0)))
    (func $fib (export "fib") (param i32) (result i32)
      (if (result i32) (i32.lt_s (local.get 0) (i32.const 2)) (then (local.get 0))
        (else (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1))) (call $fib (i32.sub (local.get 0) (i32.const 2))))))))`),
  [
    ['early', 0],
    ['early', 1],
    ['early', 2],
    ['early', 9],
    ['loop', 7],
    ['nothing'],
    ['label', 1],
    ['label', 0],
    ['dead'],
    ['trap', 3],
    ['trap', 0],
    ['fib', 12],
  ],
);

const multiValue = one(
  'multi-value',
  wat(`(module
    (func $swap (export "swap") (param i32 i64) (result i64 i32) (local.get 1) (local.get 0))
    (func (export "three") (param f32) (result i32 f32 f64)
      (i32.const 7) (local.get 0) (f64.promote_f32 (local.get 0))
      (br_if 0 (i32.const 1)))
    (func (export "early") (param i32) (result i32 i32)
      (if (local.get 0) (then (return (i32.const 1) (i32.const 2))))
      (i32.const 3) (i32.const 4))
    (func (export "blocks") (param i32) (result i32)
      (local.get 0) (i32.const 10)
      (block (param i32 i32) (result i32 i32) (i32.add) (i32.const 3))
      (loop (param i32 i32) (result i32) (i32.sub))
      (call $swap (i64.const 5)) (drop) (i32.wrap_i64)))`),
  [
    ['swap', 3, 4n],
    ['three', 1.5],
    ['early', 0],
    ['early', 1],
    ['blocks', 5],
  ],
);

const references = one(
  'reference types and bulk memory',
  wat(`(module
    (table $t 4 funcref) (table $x 2 externref) (memory 1)
    (type $unary (func (param i32) (result i32)))
    (func $double (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2)))
    (func $negate (export "negate") (param i32) (result i32) (i32.sub (i32.const 0) (local.get 0)))
    (elem $e func $double $negate) (elem (table $t) (i32.const 0) func $negate $double)
    (data $d "abcd") (data (i32.const 100) "zz")
    (func (export "tables") (param i32) (result i32)
      (table.init $t $e (i32.const 2) (i32.const 0) (i32.const 2)) (elem.drop $e)
      (table.copy $t $t (i32.const 0) (i32.const 2) (i32.const 1))
      (drop (table.grow $t (ref.func $negate) (i32.const 2)))
      (table.fill $t (i32.const 5) (ref.null func) (i32.const 1))
      (i32.add (call_indirect $t (type $unary) (local.get 0) (i32.const 4)) (call_indirect $t (type $unary) (local.get 0) (i32.const 0))))
    (func (export "extern") (param externref) (result externref)
      (table.set $x (i32.const 1) (local.get 0))
      (select (result externref) (table.get $x (i32.const 1)) (ref.null extern) (i32.const 1)))
    (func (export "funcref") (result funcref) (table.get $t (i32.const 1)))
    (func (export "memory") (param i32) (result i32)
      (memory.init $d (local.get 0) (i32.const 1) (i32.const 2)) (data.drop $d)
      (memory.copy (i32.const 8) (local.get 0) (i32.const 2)) (memory.fill (i32.const 10) (i32.const 1) (i32.const 1))
      (i32.add (i32.load (i32.const 8)) (memory.grow (i32.const 1)))))`),
  [
    ['tables', 5],
    ['extern', null],
    ['memory', 50],
    ['negate', 3],
  ],
);

const simd = one(
  'SIMD',
  wat(`(module (memory 1)
    (func $add (param v128 v128) (result v128) (i32x4.add (local.get 0) (local.get 1)))
    (func (export "sum") (param i32) (result i32) (local v128)
      (v128.store (i32.const 16) (i8x16.shuffle 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 (i32x4.splat (local.get 0)) (v128.const i32x4 0 0 0 0)))
      (local.set 1 (call $add (v128.load (i32.const 16)) (v128.const i32x4 1 2 3 4)))
      (local.set 1 (v128.load8_lane offset=2 3 (i32.const 15) (local.get 1)))
      (i32.add (i32x4.extract_lane 0 (local.get 1)) (i32x4.extract_lane 3 (local.get 1))))
    (func $never (export "never") (param v128) (result i32) (i32.const 0)))`),
  [['sum', 41]],
);

const relaxed = one(
  'relaxed SIMD',
  wat(`(module (func (export "madd") (param f32) (result f32)
    (f32x4.extract_lane 0 (f32x4.relaxed_madd (f32x4.splat (local.get 0)) (f32x4.splat (f32.const 2)) (f32x4.splat (f32.const 1))))))`),
  [['madd', 3]],
);

const exceptions = one(
  'exceptions, legacy encoding',
  wat(`(module (import "e" "thrower" (func $thrower (param i32))) (tag $t (param i32)) (tag $u)
    (func $throw (param i32) (if (local.get 0) (then (throw $t (local.get 0)))) (throw $u))
    (func (export "catch") (param i32) (result i32)
      (try (result i32) (do (call $throw (local.get 0)) (i32.const -1))
        (catch $t (i32.add (i32.const 1))) (catch $u (i32.const 77)) (catch_all (i32.const 99))))
    (func (export "catchAll") (param i32) (result i32)
      (try (do (call $thrower (local.get 0))) (catch_all (return (i32.const 5)))) (i32.const 6))
    (func (export "rethrow") (param i32) (result i32)
      (try (result i32) (do
        (try (result i32) (do (call $throw (local.get 0)) (i32.const -1))
          (catch $t (drop) (rethrow 0)) (catch $u (i32.const 8))))
        (catch $t (i32.mul (i32.const 2)))))
    (func (export "delegate") (param i32) (result i32)
      (try $outer (result i32)
        (do (block (try (do (call $throw (local.get 0))) (delegate $outer))) (i32.const -1))
        (catch $t (return)) (catch_all (i32.const 3))))
    (func (export "delegateOut") (param i32) (try (do (call $throw (local.get 0))) (delegate 0)))
    (func (export "escapes") (param i32) (call $throw (local.get 0))))`),
  [
    ['catch', 3],
    ['catch', 0],
    ['catchAll', 1],
    ['catchAll', 0],
    ['rethrow', 4],
    ['rethrow', 0],
    ['delegate', 5],
    ['delegate', 0],
    ['escapes', 1],
    ['delegateOut', 1],
  ],
  () => ({
    e: {
      thrower: (x: number) => {
        if (x) throw new Error('from outside');
      },
    },
  }),
);

const tryTable = one(
  'exceptions, try_table',
  watGc(`(module (tag $t (param i32)) (tag $u (param i32 i64)) (tag $v)
    (func $throw (param i32)
      (if (i32.eq (local.get 0) (i32.const 1)) (then (throw $t (i32.const 10))))
      (if (i32.eq (local.get 0) (i32.const 2)) (then (throw $u (i32.const 20) (i64.const 2))))
      (if (i32.eq (local.get 0) (i32.const 3)) (then (throw $v))))
    (func $all (export "all") (param i32) (result i32)
      (block $none
        (block $u (result i32 i64)
          (block $t (result i32)
            (try_table (catch $t $t) (catch $u $u) (catch_all $none) (call $throw (local.get 0)) (return (i32.const 0)))
            (unreachable))
          (return))
        (drop) (return))
      (i32.const 7))
    (func (export "refs") (param i32) (result i32)
      (block $outer (result exnref)
        (block $t (result i32 exnref)
          (try_table (result i32) (catch_ref $t $t) (catch_all_ref $outer) (call $throw (local.get 0)) (i32.const 4))
          (return))
        (drop) (return))
      (drop) (i32.const 5))
    (func $rethrow (param i32)
      (block $e (result exnref)
        (try_table (catch_all_ref $e) (call $throw (local.get 0)))
        (return))
      (throw_ref))
    (func (export "rethrow") (param i32) (result i32)
      (block $t (result i32)
        (try_table (catch $t $t) (call $rethrow (local.get 0)))
        (i32.const 1)))
    (func (export "loop") (param i32) (result i32) (local $n i32)
      (loop $again
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (try_table (catch_all $again)
          (call $throw (local.get 0))
          (return (local.get $n))
        ))
      (unreachable))
    (func (export "nested") (param i32) (result i32)
      (block $out (result i32)
        (block $in (result i32)
          (try_table (catch $t $out)
            (try_table (catch $t $in)
              (block (br_table 1 2 0 1 (local.get 0)))
              (call $throw (i32.const 1)))
            (call $throw (i32.const 1)))
          (i32.const 1))
        (i32.add (i32.const 100)))))`),
  [
    ['all', 0],
    ['all', 1],
    ['all', 2],
    ['all', 3],
    ['refs', 0],
    ['refs', 1],
    ['refs', 2],
    ['rethrow', 1],
    ['rethrow', 0],
    ['loop', 0],
    ['nested', 0],
    ['nested', 1],
    ['nested', 2],
    ['nested', 3],
    ['nested', 4],
    ['rethrow', 3],
  ],
);

// What binaryen's text cannot say: a try_table with parameters, a clause to the function's own level, one to a loop with
// parameters, and branches of every kind from the inside out.
const tryTableBytes = one(
  'exceptions, try_table by hand',
  bytesModule(
    [
      [0x60, 1, 0x7f, 1, 0x7f], // 0: i32 → i32
      [0x60, 1, 0x7f, 0], // 1: i32 →
      [0x60, 2, 0x7f, 0x7e, 1, 0x7f], // 2: i32 i64 → i32
      [0x60, 0, 0], // 3
      [0x60, 1, 0x7f, 1, 0x7e], // 4: i32 → i64
    ],
    [
      // throw the tag with the parameter if it is odd, else return
      [1, [0, 0x20, 0, 0x41, 1, 0x71, 0x04, 0x40, 0x20, 0, 0x08, 0, 0x0b, 0x0b]],
      // i32 i64 on the stack go into a try_table whose clause leads to the function's own level
      [0, [0, 0x20, 0, 0x42, 5, 0x1f, 2, 1, 0, 0, 0, 0x1a, 0x1a, 0x20, 0, 0x10, 0, 0x41, 9, 0x0b, 0x0b]],
      // a loop with a parameter (and another result) is the label: counts down to an even number, each odd one comes round
      // by a throw
      [
        0,
        [
          1, 1, 0x7f, 0x20, 0, 0x03, 4, 0x41, 1, 0x6b, 0x22, 1, 0x1f, 4, 1, 0, 0, 0, 0x1a, 0x20, 1, 0x10, 0, 0x42, 0xe4,
          0, 0x0b, 0x0b, 0xa7, 0x0b,
        ],
      ],
      // br_table, br_if and br through two levels of try_table, to levels outside of both:
      // block A i32, block B, try_table (catch 0 A) (catch_all B), try_table (catch_all 0)
      [
        0,
        [
          0, 0x02, 0x7f, 0x02, 0x40, 0x1f, 0x40, 2, 0, 0, 1, 2, 0, 0x1f, 0x40, 1, 2, 0, 0x20, 0, 0x0e, 1, 2, 0, 0x20, 0,
          0x41, 3, 0x46, 0x04, 0x40, 0x41, 7, 0x10, 0, 0x0b, 0x0b, 0x20, 0, 0x10, 0, 0x41, 2, 0x20, 0, 0x41, 2, 0x46,
          0x0d, 2, 0x0c, 1, 0x0b, 0x0b, 0x41, 3, 0x0b, 0x0b,
        ],
      ],
    ],
    { 13: [1, 0, 1] },
  ),
  [
    ['f1', 1],
    ['f1', 2],
    ['f2', 8],
    ['f2', 7],
    ['f3', 0],
    ['f3', 1],
    ['f3', 2],
    ['f3', 3],
    ['f3', 4],
    ['f3', 5],
  ],
);

const tailCalls = one(
  'tail calls',
  wat(`(module (table 2 funcref) (elem (i32.const 0) $even $odd)
    (type $t (func (param i32) (result i32)))
    (func $even (export "even") (param i32) (result i32)
      (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 1)) (else (return_call $odd (i32.sub (local.get 0) (i32.const 1))))))
    (func $odd (param i32) (result i32)
      (if (i32.eqz (local.get 0)) (then (return (i32.const 0))))
      (return_call_indirect (type $t) (i32.sub (local.get 0) (i32.const 1)) (i32.const 0))))`),
  [
    ['even', 100000],
    ['even', 100001],
  ],
);

const gc = one(
  'GC',
  watGc(`(module
    (rec (type $node (sub (struct (field $v (mut i32)) (field $next (mut (ref null $node))))))
         (type $leaf (sub final $node (struct (field $v (mut i32)) (field $next (mut (ref null $node))) (field i8)))))
    (type $ints (array (mut i32))) (type $bytes (array i8)) (type $fn (func (param i32) (result i32)))
    (data $d "abcdefgh")
    (global $g (mut (ref null $node)) (ref.null $node))
    (global $h (ref $node) (struct.new $node (i32.const 40) (ref.null none)))
    (func $make (param i32) (result (ref $node)) (struct.new $leaf (local.get 0) (global.get $g) (i32.const 3)))
    (func (export "list") (param i32) (result i32) (local $n (ref null $node)) (local $sum i32)
      (loop $l
        (global.set $g (call $make (local.get 0)))
        (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
        (br_if $l (local.get 0)))
      (local.set $n (global.get $g))
      (block $done
        (loop $l
          (local.set $sum (i32.add (local.get $sum) (struct.get $node $v (br_on_null $done (local.get $n)))))
          (local.set $n (struct.get $node $next (local.get $n)))
          (br $l)))
      (i32.add (local.get $sum) (struct.get $node $v (global.get $h))))
    (func (export "arrays") (param i32) (result i32) (local $a (ref $ints))
      (local.set $a (array.new $ints (i32.const 5) (i32.const 10)))
      (array.set $ints (local.get $a) (i32.const 1) (local.get 0))
      (array.fill $ints (local.get $a) (i32.const 2) (i32.const 1) (i32.const 2))
      (array.copy $ints $ints (local.get $a) (i32.const 4) (local.get $a) (i32.const 0) (i32.const 3))
      (i32.add (array.get_u $bytes (array.new_data $bytes $d (i32.const 0) (i32.const 4)) (i32.const 1))
        (i32.add (array.len (array.new_fixed $ints 3 (i32.const 1) (i32.const 2) (i32.const 3)))
          (array.get $ints (local.get $a) (i32.const 5)))))
    (func $cast (param anyref) (result i32)
      (block $leaf (result (ref $leaf))
        (br_on_cast $leaf anyref (ref $leaf) (local.get 0))
        (block $i31 (param anyref) (result (ref i31))
          (br_on_cast $i31 anyref (ref i31))
          (drop) (return (i32.const -1)))
        (return (i31.get_s)))
      (struct.get_s $leaf 2))
    (func (export "casts") (param i32) (result i32)
      (i32.add (call $cast (ref.i31 (local.get 0)))
        (i32.add (call $cast (call $make (i32.const 1))) (call $cast (ref.null none)))))
    (func (export "tests") (param externref) (result i32)
      (i32.add (ref.test (ref $node) (any.convert_extern (local.get 0))) (ref.is_null (extern.convert_any (ref.null any)))))
    (func (export "refs") (param (ref null $node)) (param eqref) (result (ref null $node)) (local.get 0))
    (func (export "nonnull") (param i32) (result (ref i31)) (ref.i31 (local.get 0))))`),
  [
    ['list', 10],
    ['arrays', 6],
    ['casts', 4],
    ['tests', null],
    ['refs', null, null],
    ['nonnull', 5],
  ],
);

// The engine's slots have types of the same signatures, which are other types for all that.
const groups = one(
  'GC, recursion groups and subtypes of slot types',
  watGc(`(module
    (rec (type $enter (func (param i32) (result i32))) (type $leave (func (param i32))) (type $save (func (result i32))))
    (type $word (sub (func (param i32 i64)))) (tag $t (param i32))
    (func $a (type $enter) (local.get 0))
    (func $b (type $leave))
    (func $c (type $save) (i32.const 3))
    (func $d (type $word))
    (func (export "f") (param i32) (result i32)
      (call $b (local.get 0)) (call $d (i32.const 1) (i64.const 2))
      (i32.add (call $a (local.get 0)) (call $c))))`),
  [['f', 4]],
);

const gcExceptions = one(
  'GC inside try_table',
  watGc(`(module (type $s (struct (field i32))) (tag $t (param (ref null $s)))
    (func $throw (param i32) (if (local.get 0) (then (throw $t (struct.new $s (local.get 0))))))
    (func (export "f") (param i32) (result i32)
      (block $caught (result (ref null $s))
        (block $cast (result (ref $s))
          (try_table (catch $t $caught)
            (drop (br_on_cast_fail $cast (ref null $s) (ref null none) (struct.new $s (i32.const 5))))
            (call $throw (local.get 0)))
          (ref.as_non_null (ref.null $s))))
      (struct.get $s 0)))`),
  [
    ['f', 0],
    ['f', 3],
  ],
);

const functionReferences = one(
  'typed function references',
  watGc(`(module (type $fn (func (param i32) (result i32))) (type $make (func (param i32) (result (ref $fn))))
    (elem declare func $inc $dec $loop)
    (table $t 2 (ref null $fn) (ref.func $inc))
    (func $inc (export "inc") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
    (func $dec (param i32) (result i32) (i32.sub (local.get 0) (i32.const 1)))
    (func $pick (param i32) (result (ref $fn)) (if (result (ref $fn)) (local.get 0) (then (ref.func $inc)) (else (ref.func $dec))))
    (func (export "call") (param i32) (result i32) (local $f (ref $fn))
      (local.set $f (call $pick (local.get 0)))
      (call_ref $fn (i32.const 10) (local.get $f)))
    (func $loop (export "loop") (param i32) (result i32)
      (if (i32.eqz (local.get 0)) (then (return (i32.const 42))))
      (return_call_ref $fn (i32.sub (local.get 0) (i32.const 1)) (ref.func $loop)))
    (func (export "null") (param (ref null $fn)) (result i32)
      (block $null (call_ref $fn (i32.const 1) (br_on_null $null (local.get 0))) (return)) (i32.const -1))
    (func (export "give") (result (ref null $fn)) (ref.func $inc))
    (func (export "table") (result i32) (call_indirect $t (type $fn) (i32.const 3) (i32.const 1))))`),
  [['call', 0], ['call', 1], ['loop', 100000], ['null', null], ['table'], ['inc', 1]],
);

const threads = one(
  'threads',
  wat(`(module (memory 1 2 shared)
    (func (export "f") (param i32) (result i32)
      (drop (i32.atomic.rmw.add (i32.const 0) (local.get 0))) (atomic.fence)
      (i64.atomic.store (i32.const 8) (i64.const 5))
      (drop (i32.atomic.rmw8.cmpxchg_u (i32.const 8) (i32.const 5) (i32.const 7)))
      (i32.add (memory.atomic.notify (i32.const 0) (i32.const 1)) (i32.add (i32.atomic.load (i32.const 0)) (i32.load8_u (i32.const 8))))))`),
  [
    ['f', 3],
    ['f', 3],
  ],
);

const memory64 = one(
  'memory64',
  watGc(`(module (memory i64 1) (table $t i64 2 2 funcref) (elem (table $t) (i64.const 0) funcref (ref.func $g) (ref.func $g))
    (type $fn (func (result i32)))
    (func $g (result i32) (i32.const 3))
    (func (export "f") (param i64) (result i32)
      (i32.store offset=0x100 (local.get 0) (i32.const 7))
      (i32.store8 (local.get 0) (i32.wrap_i64 (memory.size)))
      (i32.add (i32.load (i64.add (local.get 0) (i64.const 0x100))) (call_indirect $t (type $fn) (i64.const 1))))
    (func (export "far") (param i64) (result i32) (i32.load offset=0x1122334455 (local.get 0))))`),
  [
    ['f', 16n],
    ['far', 0n],
  ],
);

const multiMemory = one(
  'multi-memory',
  watGc(`(module (memory $a 1) (memory $b (export "b") 1) (data (memory $b) (i32.const 0) "hello")
    (func (export "f") (param i32) (result i32)
      (memory.copy $a $b (i32.const 10) (i32.const 0) (i32.const 5))
      (memory.fill $b (i32.const 4) (i32.const 1) (i32.const 1))
      (i32.store $b offset=8 (local.get 0) (i32.const 99))
      (i32.add (i32.load8_u $a offset=10 (local.get 0)) (i32.add (i32.load $b offset=8 (local.get 0)) (memory.size $b)))))`),
  [['f', 1]],
);

const extendedConst = one(
  'extended constants',
  wat(`(module (global $i (import "e" "i") i32) (memory 1)
    (global $g i32 (i32.add (i32.mul (global.get $i) (i32.const 3)) (i32.const 1)))
    (data (i32.sub (global.get $i) (i32.const 1)) "A")
    (func (export "f") (result i32) (i32.add (global.get $g) (i32.load8_u (i32.const 4)))))`),
  [['f']],
  () => ({ e: { i: 5 } }),
);

const wide = one(
  'wide arithmetic',
  watGc(`(module (func (export "f") (param i64 i64) (result i64)
    (i64.mul_wide_u (local.get 0) (local.get 1)) (drop)
    (i64.add128 (local.get 0) (local.get 1) (i64.const 1) (i64.const 2)) (drop) (i64.add)
    (i64.sub128 (i64.mul_wide_s (local.get 0) (local.get 1)) (i64.const 1) (i64.const 2)) (drop) (i64.add)))`),
  [['f', 7n, 9n]],
);

const linking = one(
  'imports and exports of every kind',
  wat(`(module
    (import "e" "f" (func $f (param i32) (result i32))) (import "e" "m" (memory 1)) (import "e" "t" (table 3 funcref))
    (import "e" "g" (global $g (mut i32))) (import "e" "c" (global $c i32)) (import "e" "tag" (tag $tag (param i32)))
    (memory $own (export "own") 1) (table $owned (export "owned") 2 funcref) (global (export "count") (mut i32) (i32.const 3))
    (tag (export "thrown") (param i32)) (export "again" (func $f)) (export "g" (global $g)) (export "tag" (tag $tag))
    (export "m" (memory 0)) (export "t" (table 0))
    (elem (table 0) (i32.const 1) func $inner $f) (elem (table $owned) (i32.const 0) func $inner $f)
    (type $u (func (param i32) (result i32)))
    (func $inner (param i32) (result i32) (i32.add (local.get 0) (global.get $c)))
    (func $start (i32.store (i32.const 4) (i32.const 17)) (global.set $g (i32.const 5)))
    (start $start)
    (func (export "run") (param i32) (result i32)
      (global.set $g (i32.add (global.get $g) (i32.const 1)))
      (i32.add (call $f (global.get $g))
        (i32.add (call_indirect (type $u) (local.get 0) (i32.const 1))
          (i32.add (call_indirect (type $u) (local.get 0) (i32.const 2)) (i32.load (i32.const 4)))))))`),
  [
    ['run', 4],
    ['again', 5],
  ],
  () => ({
    e: {
      f: (x: number) => x * 2,
      m: new WebAssembly.Memory({ initial: 1 }),
      t: new WebAssembly.Table({ element: 'anyfunc', initial: 3 }),
      g: new WebAssembly.Global({ value: 'i32', mutable: true }, 1),
      c: 100,
      tag: new (WebAssembly as never as { Tag: new (type: { parameters: string[] }) => never }).Tag({
        parameters: ['i32'],
      }),
    },
  }),
);

const empty = one('nothing at all', Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0), []);

const importsOnly = one(
  'imports passed on',
  wat('(module (func (export "f") (import "e" "f") (param i32) (result i32)))'),
  [['f', 3]],
  () => ({ e: { f: (x: number) => x + 1 } }),
);

export const CASES: readonly Case[] = [
  control,
  multiValue,
  references,
  simd,
  relaxed,
  exceptions,
  tryTable,
  tryTableBytes,
  tailCalls,
  gc,
  groups,
  gcExceptions,
  functionReferences,
  threads,
  memory64,
  multiMemory,
  extendedConst,
  wide,
  linking,
  empty,
  importsOnly,
];
