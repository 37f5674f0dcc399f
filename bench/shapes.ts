// Small modules, each of which spends its time in calls of one shape. All of them export `run`, which takes how much to do
// and returns a number that can be worked out without it.

import { compileFunction } from 'node:vm';
import wabtInit from 'wabt';

export interface Shape {
  readonly name: string;
  /// What is called, in words.
  readonly what: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /// JavaScript that goes once through the shape's work, given `exports` and `work`. Default: `return exports.run(work)`.
  readonly drive?: string;
  readonly work: number;
  /// Calls of functions that have a gate, in one pass of `work`.
  readonly calls: number;
  readonly expected: number;
  readonly imports?: WebAssembly.Imports;
  /// Every call, or nearly so, comes from JavaScript.
  readonly fromJavaScript?: boolean;
}

/// Name of a function that every shape has and nothing calls: to be probed in place of the others.
export const OTHER = 'other';

interface Sketch extends Omit<Shape, 'bytes'> {
  readonly wat: string;
}

const N = 20_480; // a multiple of what the shapes divide it by

/// `run`: the body `step` `work` times over, with `$i` from work down to 1 and `$x` carried along.
const loop = (step: string): string => `
  (func $run (export "run") (param $i i32) (result i32) (local $x i32)
    (loop $again
      (local.set $x ${step})
      (br_if $again (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
    (local.get $x))`;

/// What `loop` gives for a step as JavaScript.
function looped(step: (x: number, i: number) => number, work = N): number {
  let x = 0;
  for (let i = work; i > 0; i--) x = step(x, i) | 0;
  return x;
}

const range = (n: number): number[] => [...Array(n).keys()];

/// Eight functions in a table, called by the low bits of `$i`.
const viaTable = (exported: boolean): string => `
  (type $t (func (param i32) (result i32)))
  (table ${exported ? '(export "table")' : ''} 8 8 funcref)
  (elem (i32.const 0) ${range(8)
    .map((k) => `$f${k}`)
    .join(' ')})
  ${range(8)
    .map((k) => `(func $f${k} (type $t) (i32.add (local.get 0) (i32.const ${k + 1})))`)
    .join('\n')}
  ${loop('(call_indirect (type $t) (local.get $x) (i32.and (local.get $i) (i32.const 7)))')}`;

const MANY = [...Array(8).fill('i32'), ...Array(4).fill('i64'), 'f32', 'f32', 'f64', 'f64'];

const FIB = 20;
const DEPTH = 64;
const CHAIN = 16;

const fib = (n: number): number => (n < 2 ? n : fib(n - 1) + fib(n - 2));

const sketches: readonly Sketch[] = [
  {
    name: 'leaf',
    what: 'a loop calls one tiny function',
    wat: `(func $leaf (param i32 i32) (result i32)
        (i32.add (i32.mul (local.get 0) (i32.const 31)) (local.get 1)))
      ${loop('(call $leaf (local.get $x) (local.get $i))')}`,
    work: N,
    calls: N + 1,
    expected: looped((x, i) => Math.imul(x, 31) + i),
  },
  {
    name: 'body',
    what: 'a loop calls a function that works for some 25 ns',
    wat: `(func $body (param $x i32) (result i32) (local $n i32)
        (local.set $n (i32.const 16))
        (loop $more
          (local.set $x (i32.add (i32.mul (local.get $x) (i32.const 31)) (local.get $n)))
          (br_if $more (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (local.get $x))
      ${loop('(call $body (i32.add (local.get $x) (local.get $i)))')}`,
    work: N,
    calls: N + 1,
    expected: looped((x, i) => {
      let y = x + i;
      for (let n = 16; n > 0; n--) y = (Math.imul(y, 31) + n) | 0;
      return y;
    }),
  },
  {
    name: 'fib',
    what: 'a function calls itself twice',
    wat: `(func $fib (param i32) (result i32)
        (if (result i32) (i32.lt_u (local.get 0) (i32.const 2))
          (then (local.get 0))
          (else (i32.add
            (call $fib (i32.sub (local.get 0) (i32.const 1)))
            (call $fib (i32.sub (local.get 0) (i32.const 2)))))))
      (func $run (export "run") (param i32) (result i32) (call $fib (local.get 0)))`,
    work: FIB,
    calls: 2 * fib(FIB + 1),
    expected: fib(FIB),
  },
  {
    name: 'early',
    what: 'the same with returns in the middle',
    wat: `(func $fib (param i32) (result i32)
        (if (i32.eqz (local.get 0)) (then (return (i32.const 0))))
        (if (i32.eq (local.get 0) (i32.const 1)) (then (return (i32.const 1))))
        (i32.add
          (call $fib (i32.sub (local.get 0) (i32.const 1)))
          (call $fib (i32.sub (local.get 0) (i32.const 2)))))
      (func $run (export "run") (param i32) (result i32) (call $fib (local.get 0)))`,
    work: FIB,
    calls: 2 * fib(FIB + 1),
    expected: fib(FIB),
  },
  {
    name: 'chain',
    what: `${CHAIN} functions, each calls the next`,
    wat: `${range(CHAIN)
      .map((k) => {
        const x = `(i32.add (local.get 0) (i32.const ${k}))`;
        return `(func $f${k} (param i32) (result i32)
          ${k === CHAIN - 1 ? x : `(i32.xor (call $f${k + 1} ${x}) (i32.const ${k}))`})`;
      })
      .join('\n')}
      ${loop('(call $f0 (i32.add (local.get $x) (local.get $i)))')}`,
    work: N / CHAIN,
    calls: N + 1,
    expected: looped((x, i) => {
      let y = x + i;
      for (let k = 0; k < CHAIN; k++) y += k;
      for (let k = CHAIN - 2; k >= 0; k--) y ^= k;
      return y;
    }, N / CHAIN),
  },
  {
    name: 'wide',
    what: `one function calls ${CHAIN} others`,
    wat: `${range(CHAIN)
      .map(
        (k) =>
          `(func $f${k} (param i32) (result i32) (i32.xor (i32.add (local.get 0) (i32.const ${k})) (i32.const 5)))`,
      )
      .join('\n')}
      (func $wide (param $x i32) (result i32)
        ${range(CHAIN)
          .map((k) => `(local.set $x (call $f${k} (local.get $x)))`)
          .join('\n')}
        (local.get $x))
      ${loop('(call $wide (i32.add (local.get $x) (local.get $i)))')}`,
    work: N / CHAIN,
    calls: (N / CHAIN) * (CHAIN + 1) + 1,
    expected: looped((x, i) => {
      let y = x + i;
      for (let k = 0; k < CHAIN; k++) y = (y + k) ^ 5;
      return y;
    }, N / CHAIN),
  },
  {
    name: 'mutual',
    what: `two functions call each other, ${DEPTH} deep`,
    wat: `(func $even (param i32) (result i32)
        (if (result i32) (local.get 0)
          (then (call $odd (i32.sub (local.get 0) (i32.const 1)))) (else (i32.const 1))))
      (func $odd (param i32) (result i32)
        (if (result i32) (local.get 0)
          (then (call $even (i32.sub (local.get 0) (i32.const 1)))) (else (i32.const 0))))
      ${loop(`(i32.sub (i32.add (local.get $x) (i32.const 1)) (call $even (i32.const ${DEPTH - 1})))`)}`,
    work: N / DEPTH,
    calls: N + 1,
    expected: N / DEPTH,
  },
  {
    name: 'private table',
    what: 'calls through a table that nobody outside sees',
    wat: viaTable(false),
    work: N,
    calls: N + 1,
    expected: looped((x, i) => x + (i & 7) + 1),
  },
  {
    name: 'exported table',
    what: 'calls through an exported table: every function in it has a face',
    wat: viaTable(true),
    work: N,
    calls: N + 1,
    expected: looped((x, i) => x + (i & 7) + 1),
  },
  {
    name: 'params',
    what: `a function of ${MANY.length} parameters`,
    wat: `(func $many (param ${MANY.join(' ')}) (result i32)
        (i32.add (i32.add (local.get 0) (local.get 7))
          (i32.add (i32.wrap_i64 (local.get 11)) (i32.trunc_f64_s (local.get 15)))))
      ${loop(
        `(call $many ${MANY.map((type, k) =>
          k === 0 ? '(local.get $x)' : type === 'i32' ? '(local.get $i)' : `(${type}.const ${k})`,
        ).join(' ')})`,
      )}`,
    work: N,
    calls: N + 1,
    expected: looped((x, i) => x + i + 11 + 15),
  },
  {
    name: 'catch',
    what: 'a function with a landing pad, nothing thrown, calls a tiny one',
    wat: `(func $leaf (param i32) (result i32) (i32.add (local.get 0) (i32.const 3)))
      (func $careful (param i32) (result i32)
        (try (result i32)
          (do (call $leaf (local.get 0)))
          (catch_all (i32.const 7))))
      ${loop('(call $careful (local.get $x))')}`,
    work: N / 2,
    calls: N + 1,
    expected: (3 * N) / 2,
  },
  {
    name: 'tail calls',
    what: 'a function ends in a call of itself',
    wat: `(func $step (param $n i32) (param $x i32) (result i32)
        (if (result i32) (local.get $n)
          (then (return_call $step (i32.sub (local.get $n) (i32.const 1)) (i32.add (local.get $x) (local.get $n))))
          (else (local.get $x))))
      (func $run (export "run") (param i32) (result i32) (call $step (local.get 0) (i32.const 0)))`,
    work: N,
    calls: N + 2,
    expected: ((N / 2) * (N + 1)) | 0,
  },
  {
    name: 'imports',
    what: 'a function that calls a JavaScript function',
    wat: `(import "js" "add" (func $js (param i32) (result i32)))
      (func $out (param i32) (result i32) (call $js (local.get 0)))
      ${loop('(call $out (local.get $x))')}`,
    imports: { js: { add: (x: number) => x + 1 } },
    work: N,
    calls: N + 1,
    expected: N,
  },
  {
    name: 'from JavaScript',
    what: 'JavaScript calls a tiny export',
    wat: `(func $leaf (export "leaf") (param i32) (result i32) (i32.add (local.get 0) (i32.const 3)))`,
    drive: 'const { leaf } = exports; let x = 0; for (let i = 0; i < work; i++) x = leaf(x); return x;',
    work: N,
    calls: N,
    expected: 3 * N,
    fromJavaScript: true,
  },
];

let assembled: Promise<readonly Shape[]> | undefined;

/// All shapes, or those of these names.
export async function shapes(...names: string[]): Promise<readonly Shape[]> {
  assembled ??= assemble();
  const all = await assembled;
  return names.length === 0 ? all : names.map((name) => all.find((shape) => shape.name === name)!);
}

/// The bytes of a module in text form.
export async function assembleText(name: string, wat: string): Promise<Uint8Array<ArrayBuffer>> {
  const wabt = await wabtInit();
  const module = wabt.parseWat(name, wat, { exceptions: true, tail_call: true, threads: true });
  try {
    return module.toBinary({ write_debug_names: true }).buffer as Uint8Array<ArrayBuffer>;
  } finally {
    module.destroy();
  }
}

async function assemble(): Promise<readonly Shape[]> {
  const result: Shape[] = [];
  for (const { wat, ...shape } of sketches) {
    result.push({ ...shape, bytes: await assembleText(shape.name, `(module ${wat} (func $${OTHER}))`) });
  }
  return result;
}

let drivers = 0;

/// One pass through a shape's work. The code is a new function each time: JavaScript that has seen two instances would call
/// both of them another way than each alone.
export function driver(shape: Shape, exports: WebAssembly.Exports): () => number {
  const { work, drive = 'return exports.run(work);' } = shape;
  const pass = compileFunction(`/* ${++drivers} */ ${drive}`, ['exports', 'work']);
  return () => pass(exports, work) as number;
}

let copies = 0;

/// The module once more, with a custom section that no other copy has. V8 shares compiled code between modules of equal
/// bytes; each case has to begin with none.
export function distinct(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const name = [...Buffer.from('copy')];
  const number = ++copies;
  const contents = [name.length, ...name, number & 0xff, (number >>> 8) & 0xff];
  const result = new Uint8Array(bytes.length + 2 + contents.length);
  result.set(bytes);
  result.set([0, contents.length, ...contents], bytes.length);
  return result;
}
