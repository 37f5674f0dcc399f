// The program cannot tell: every test here says what a program sees of itself, and runs four times. First untouched, which shows
// that the expectation is the engine's and not ours; then instrumented with nobody watching, with everything watched from the
// first instruction on, and with some functions watched, others not.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Tracer } from '../../src/tracer.ts';
import { leb, text } from '../instrument/proposals.ts';
import { wat } from '../instrument/support.ts';

type Source = BufferSource | WebAssembly.Module;
type Func = (...args: unknown[]) => unknown;

interface Loaded {
  readonly instance: WebAssembly.Instance;
  readonly module: WebAssembly.Module;
  /// The exports, to be called.
  readonly f: Record<string, Func>;
}

interface Way {
  readonly tracer?: Tracer;
  compile(bytes: BufferSource): Promise<WebAssembly.Module>;
  load(source: Source, imports?: unknown): Promise<Loaded>;
}

const loaded = (instance: WebAssembly.Instance, module: WebAssembly.Module): Loaded => ({
  instance,
  module,
  f: instance.exports as Record<string, Func>,
});

const untouched: Way = {
  compile: (bytes) => WebAssembly.compile(bytes),
  async load(source, imports) {
    const result: unknown = await WebAssembly.instantiate(source as BufferSource, imports as WebAssembly.Imports);
    if (source instanceof WebAssembly.Module) return loaded(result as WebAssembly.Instance, source);
    const { instance, module } = result as WebAssembly.WebAssemblyInstantiatedSource;
    return loaded(instance, module);
  },
};

function through(tracer: Tracer): Way {
  return {
    tracer,
    compile: (bytes) => tracer.compile(bytes),
    async load(source, imports) {
      const { instance, module } = await tracer.instantiate(source, imports as WebAssembly.Imports);
      return loaded(instance, module);
    },
  };
}

async function everything(): Promise<Way> {
  const tracer = await Tracer.create({ clock: 'counter' });
  tracer.startProfile();
  tracer.startGraph({ bufferPages: 4 });
  return through(tracer);
}

const WAYS: Record<string, () => Way | Promise<Way>> = {
  untouched: () => untouched,
  'nothing watched': async () => through(await Tracer.create({ clock: 'counter' })),
  'everything watched': everything,
  'some functions watched': async () => {
    const tracer = await Tracer.create({ clock: 'counter' });
    // Names are those of exports, else `func[N]`.
    tracer.startGraph({ bufferPages: 4, filter: ['func*', '*a*', '*o*'] });
    return through(tracer);
  },
};

/// What `run` threw.
async function thrown(run: () => unknown): Promise<unknown> {
  try {
    await run();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
}

const classAndMessage = (error: unknown) => {
  const { constructor: type, message } = error as Error;
  return `${type.name}: ${message}`;
};

const bytes = (source: string) => wat(source) as Uint8Array<ArrayBuffer>;

const custom = (name: string, ...contents: number[]): number[] => {
  const body = [...text(name), ...contents];
  return [0, ...leb(body.length), ...body];
};

const FACE = Uint8Array.from([
  ...bytes(`(module
    (import "e" "js" (func $js (param i32) (result i32)))
    (import "e" "wasm" (func $wasm (param i32) (result i32)))
    (memory (export "memory") 1 3)
    (table (export "table") 6 funcref)
    (global (export "global") (mut i64) (i64.const 7))
    (tag (export "tag") (param i32))
    (elem (i32.const 0) $add $js $wasm $hidden $first)
    (type $t (func (param i32) (result i32)))
    (func $add (export "z") (export "add") (export "1") (export "0") (param i32 i32) (result i32)
      (i32.add (local.get 0) (local.get 1)))
    (func $hidden (param i32) (result i32) (i32.sub (i32.const 0) (local.get 0)))
    (func $first (export "") (export "__proto__") (export "constructor"))
    (export "js again" (func $js))
    (export "wasm again" (func $wasm))
    (func (export "indirect") (param i32 i32) (result i32)
      (call_indirect (type $t) (local.get 0) (local.get 1)))
    (func (export "direct") (param i32) (result i32)
      (i32.add (call $js (local.get 0)) (call $hidden (call $wasm (local.get 0)))))
    (func (export "reference") (result funcref) (ref.func $add)))`),
  ...custom('hello', 1, 2, 3),
  ...custom('hello', 4),
]);

const importedWasm = async () => {
  const source = '(module (func (export "f") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2))))';
  const { instance } = await WebAssembly.instantiate(bytes(source));
  return instance.exports.f as Func;
};

const UNUSUAL: [name: string, source: string, imports?: unknown][] = [
  ['no imports at all', '(module (import "e" "f" (func)))'],
  ['null for imports', '(module (import "e" "f" (func)))', null],
  ['a number for imports', '(module)', 5],
  ['a text for imports', '(module (import "e" "f" (func)))', 'e'],
  ['no namespace', '(module (import "e" "f" (func)))', {}],
  ['null for a namespace', '(module (import "e" "f" (func)))', { e: null }],
  ['a number for a namespace', '(module (import "e" "f" (func)))', { e: 5 }],
  ['a missing function', '(module (import "e" "f" (func)))', { e: {} }],
  ['the second import missing', '(module (import "e" "f" (func)) (import "e" "g" (func)))', { e: { f() {} } }],
  ['a number for a function', '(module (import "e" "f" (func)))', { e: { f: 5 } }],
  [
    'an object for a function that a table holds',
    '(module (import "e" "f" (func)) (table (export "t") funcref (elem 0)))',
    { e: { f: {} } },
  ],
  ['a function for a memory', '(module (import "e" "m" (memory 1)))', { e: { m() {} } }],
  [
    'a memory that is too small',
    '(module (import "e" "m" (memory 2)))',
    { e: { m: new WebAssembly.Memory({ initial: 1 }) } },
  ],
  [
    'a memory without a maximum',
    '(module (import "e" "m" (memory 1 2)))',
    { e: { m: new WebAssembly.Memory({ initial: 1 }) } },
  ],
  [
    'a table that is too small',
    '(module (import "e" "t" (table 2 funcref)))',
    { e: { t: new WebAssembly.Table({ element: 'anyfunc', initial: 1 }) } },
  ],
  [
    'a table of something else',
    '(module (import "e" "t" (table 1 funcref)))',
    { e: { t: new WebAssembly.Table({ element: 'externref', initial: 1 }) } },
  ],
  [
    'a global of another type',
    '(module (import "e" "g" (global i32)))',
    { e: { g: new WebAssembly.Global({ value: 'i64' }, 1n) } },
  ],
  [
    'a global that may be written',
    '(module (import "e" "g" (global i32)))',
    { e: { g: new WebAssembly.Global({ value: 'i32', mutable: true }, 1) } },
  ],
  ['a number for a 64-bit global', '(module (import "e" "g" (global i64)))', { e: { g: 5 } }],
  ['a number for a 128-bit global', '(module (import "e" "g" (global v128)))', { e: { g: 5 } }],
  ['an object for a tag', '(module (import "e" "t" (tag)))', { e: { t: {} } }],
  ['a data segment out of the memory', '(module (memory 1) (data (i32.const 65536) "x"))'],
  ['an element segment out of the table', '(module (table 1 funcref) (func) (elem (i32.const 1) 0))'],
  ['a body without its result', '(module (func (result i32)))'],
  ['a body with too little on its stack', '(module (func) (func (export "f") (drop (i32.add (i32.const 1)))))'],
  ['a result of another type', '(module (func) (func (export "f") (param i64) (result i32) (local.get 0)))'],
  ['a load that is too aligned', '(module (memory 1) (func (drop (i32.load align=8 (i32.const 0)))))'],
  ['a name exported twice', '(module (func (export "a")) (func (export "a")))'],
  ['a memory above the limit', '(module (memory 65537))'],
  ['a write to a constant global', '(module (global i32 (i32.const 1)) (func (global.set 0 (i32.const 2))))'],
  ['a start function that traps', '(module (func $s (unreachable)) (start $s))'],
  [
    'a start function that divides by zero',
    '(module (func $s (drop (i32.div_s (i32.const 1) (i32.const 0)))) (start $s))',
  ],
  ['a start function without end', '(module (func $s (call $s) (call $s)) (start $s))'],
];

describe.each(Object.entries(WAYS))('%s:', (name, create) => {
  let way: Way;
  beforeAll(async () => {
    way = await create();
  });
  afterAll(() => {
    if (!way.tracer) return;
    const { entries, returns, unwound, stray } = way.tracer.counts();
    expect(way.tracer.frames()).toEqual([]);
    expect(stray).toBe(0);
    expect(entries).toBe(returns + unwound);
    // That it was watched at all, and that calls did end in every way.
    if (name === 'nothing watched') expect(entries).toBe(0);
    else expect(Math.min(returns, unwound)).toBeGreaterThan(20);
  });

  const face = async () => {
    const wasm = await importedWasm();
    const js = (n: number) => n + 100;
    return { wasm, js, ...(await way.load(FACE, { e: { js, wasm } })) };
  };

  test('the exports object: names, order, prototype, frozen', async () => {
    const { instance } = await face();
    const { exports } = instance;
    const names = ['0', '1', 'memory', 'table', 'global', 'tag', 'z', 'add', '', '__proto__', 'constructor'];
    const more = ['js again', 'wasm again', 'indirect', 'direct', 'reference'];
    expect(Reflect.ownKeys(exports)).toEqual([...names, ...more]);
    expect(Object.getPrototypeOf(exports)).toBe(null);
    expect(Object.isFrozen(exports)).toBe(true);
    for (const property of Object.values(Object.getOwnPropertyDescriptors(exports))) {
      expect(property).toEqual({ value: property.value, enumerable: true, writable: false, configurable: false });
    }
    expect(instance.exports).toBe(exports);
    expect(instance).toBeInstanceOf(WebAssembly.Instance);
    expect(Object.keys(instance)).toEqual([]);
    expect(() => Object.assign(instance, { exports: 1 })).toThrow(TypeError);
    expect(() => Object.assign(exports, { add: 1 })).toThrow(TypeError);
    expect(() => Object.assign(exports, { other: 1 })).toThrow(TypeError);
  });

  test('functions: name, length, identity', async () => {
    const { f, js, wasm, instance } = await face();
    const table = instance.exports.table as WebAssembly.Table;
    const seen = (fn: unknown) => [(fn as Func).name, (fn as Func).length, String(fn)];
    expect(seen(f.add)).toEqual(['2', 2, 'function 2() { [native code] }']);
    expect(seen(f.constructor)).toEqual(['4', 0, 'function 4() { [native code] }']);
    expect(seen(table.get(3))).toEqual(['3', 1, 'function 3() { [native code] }']);
    expect(seen(f['js again'])).toEqual(['0', 1, 'function 0() { [native code] }']);
    expect(Reflect.ownKeys(f.add!)).toEqual(Reflect.ownKeys(wasm));
    expect(() => Reflect.construct(f.add!, [])).toThrow('is not a constructor');
    for (const again of ['z', '0', '1']) expect(f[again]).toBe(f.add);
    expect(Object.getOwnPropertyDescriptor(f, '__proto__')!.value).toBe(f['']);

    expect(table.get(0)).toBe(f.add);
    expect(f.reference!()).toBe(f.add);
    expect(table.get(4)).toBe(f['']);
    expect(table.get(3)).toBe(table.get(3));
    expect(table.get(5)).toBe(null);
    expect(table.get(1)).toBe(f['js again']);
    expect(f['js again']).not.toBe(js);
    // A function of WebAssembly stays the object that it was.
    expect(f['wasm again']).toBe(wasm);
    expect(table.get(2)).toBe(wasm);

    expect([f.add!(2, 3), (table.get(0) as Func)(4, 5), (table.get(3) as Func)(6)]).toEqual([5, 9, -6]);
    expect([f['js again']!(1), f['wasm again']!(1), f.direct!(10)]).toEqual([101, 2, 90]);
    expect([f.indirect!(5, 1), f.indirect!(5, 2), f.indirect!(5, 3)]).toEqual([105, 10, -5]);
    table.set(5, f.direct);
    expect(table.get(5)).toBe(f.direct);
    expect(f.indirect!(10, 5)).toBe(90);
    table.set(5, wasm);
    expect(table.get(5)).toBe(wasm);
    expect(f.indirect!(10, 5)).toBe(20);
  });

  test('the module', async () => {
    const { module } = await face();
    const original = new WebAssembly.Module(FACE);
    expect(module).toBeInstanceOf(WebAssembly.Module);
    expect(WebAssembly.Module.exports(module)).toEqual(WebAssembly.Module.exports(original));
    expect(WebAssembly.Module.imports(module)).toEqual(WebAssembly.Module.imports(original));
    const sections = (of: string) => WebAssembly.Module.customSections(module, of).map((s) => [...new Uint8Array(s)]);
    expect(sections('hello')).toEqual([[1, 2, 3], [4]]);
    expect(sections('fprobe')).toEqual([]);
    const wasm = await importedWasm();
    const again = new WebAssembly.Instance(module, { e: { js: Number, wasm } });
    expect((again.exports.add as Func)(2, 3)).toBe(5);
  });

  test('a module as the input', async () => {
    const copy = FACE.slice();
    const module = await way.compile(copy);
    copy.fill(0);
    const imports = { e: { js: (n: number) => n + 1, wasm: await importedWasm() } };
    const one = await way.load(module, imports);
    const two = await way.load(module, imports);
    expect(one.module).toBe(module);
    expect(one.f.direct!(10)).toBe(-9);
    expect(two.f.direct!(10)).toBe(-9);
    expect(one.f.direct).not.toBe(two.f.direct);
    expect(WebAssembly.Module.exports(module).some((each) => each.name.startsWith('__fprobe'))).toBe(false);
  });

  test('bytes in every kind of buffer, taken when they were given', async () => {
    const code = bytes('(module (func (export "fa") (result i32) (i32.const 7)))');
    const padded = new Uint8Array(code.length + 9);
    padded.set(code, 5);
    for (const source of [code.slice().buffer, new Uint8Array(padded.buffer, 5, code.length)]) {
      expect((await way.load(source)).f.fa!()).toBe(7);
    }
    const whole = code.slice();
    const soon = [way.load(padded.subarray(5, 5 + code.length)), way.load(whole.buffer)];
    padded.fill(0);
    whole.fill(0);
    for (const { f } of await Promise.all(soon)) expect(f.fa!()).toBe(7);
  });

  test('imported and exported memories, tables, globals and tags are the same objects', async () => {
    const m = new WebAssembly.Memory({ initial: 1, maximum: 4 });
    const t = new WebAssembly.Table({ element: 'anyfunc', initial: 2 });
    const g = new WebAssembly.Global({ value: 'i32', mutable: true }, 40);
    const Tag = (WebAssembly as unknown as { Tag: new (type: object) => object }).Tag;
    const x = new Tag({ parameters: ['i32'] });
    const { f, instance } = await way.load(
      bytes(`(module
        (import "e" "m" (memory 1 4)) (import "e" "t" (table 2 funcref)) (import "e" "g" (global (mut i32)))
        (import "e" "x" (tag (param i32)))
        (export "m" (memory 0)) (export "t" (table 0)) (export "g" (global 0)) (export "x" (tag 0))
        (elem (i32.const 0) $a)
        (func $a (export "a") (result i32)
          (global.set 0 (i32.add (global.get 0) (i32.const 2)))
          (i32.store (i32.const 0) (global.get 0))
          (drop (memory.grow (i32.const 1)))
          (drop (table.grow (ref.null func) (i32.const 1)))
          (i32.load (i32.const 0))))`),
      { e: { m, t, g, x } },
    );
    const { exports } = instance;
    expect([exports.m === m, exports.t === t, exports.g === g, exports.x === x]).toEqual([true, true, true, true]);
    const before = m.buffer;
    expect(f.a!()).toBe(42);
    expect([g.value, new Int32Array(m.buffer)[0], m.buffer.byteLength, t.length]).toEqual([42, 42, 131072, 3]);
    expect(before.byteLength).toBe(0);
    expect(t.get(0)).toBe(f.a);
    g.value = 1;
    expect((t.get(0) as Func)()).toBe(3);
    // A tag that differs in its payload does not fit.
    const other = { m, t, g, x: new Tag({ parameters: ['i64'] }) };
    expect(
      await thrown(() => way.load(bytes('(module (import "e" "x" (tag (param i32))))'), { e: other })),
    ).toBeInstanceOf(WebAssembly.LinkError);
  });

  test('imports are read once each, in order, and called as they would be', async () => {
    const log: unknown[] = [];
    function js(this: unknown, ...args: unknown[]): unknown {
      log.push(['js', this, args]);
      // Called through the table, where a function of the module might have been: what it enters comes from outside.
      if (args.length === 2) {
        expect(() => f.trap!(1, 1n)).toThrow('unreachable');
        expect(way.tracer?.frames().map(({ name }) => name) ?? []).not.toContain('trap');
      }
      return { valueOf: () => 3.9 };
    }
    const watch = <T extends object>(path: string, object: T): T =>
      new Proxy(object, {
        get(target, key, receiver) {
          log.push(`get ${path}${String(key)}`);
          return Reflect.get(target, key, receiver);
        },
        has: () => Boolean(log.push('has')),
        ownKeys: () => [`keys ${log.push('keys')}`],
      });
    const { f, instance } = await way.load(
      bytes(`(module
        (import "e" "b" (func $b (param i32 i64) (result i32))) (import "d" "a" (func $a (result i32)))
        (import "e" "b" (func $b2 (param f64))) (import "e" "n" (global i32))
        (type $t (func (param i32 i64) (result i32)))
        (table (export "t") 3 funcref) (elem (i32.const 0) $b $call $trap)
        (func $trap (export "trap") (param i32 i64) (result i32) (unreachable))
        (func $call (export "call") (result i32)
          (call $b2 (f64.const 0.5))
          (i32.add (call $a) (i32.add (call $b (i32.const -1) (i64.const -1))
            (call_indirect (type $t) (i32.const 1) (i64.const 2) (i32.const 0))))))`),
      watch('', { e: watch('e.', { b: js, n: 5 }), d: watch('d.', { a: js }) }),
    );
    expect(log.splice(0)).toEqual(['get e', 'get e.b', 'get d', 'get d.a', 'get e', 'get e.b', 'get e', 'get e.n']);
    expect(f.call!()).toBe(9);
    const calls = [[0.5], [], [-1, -1n], [1, 2n]].map((args) => ['js', undefined, args]);
    expect(log.splice(0)).toEqual(calls);
    const viaTable = (instance.exports.t as WebAssembly.Table).get(0) as Func;
    expect(viaTable(7, 8n, 'more')).toBe(3);
    expect(log).toEqual([['js', undefined, [7, 8n]]]);
  });

  test('values: BigInt, several results, references, coercion in order', async () => {
    const { f } = await way.load(
      bytes(`(module
        (func $swap (export "swap") (param i64 f32 f64 i32) (result i32 f64 f32 i64)
          (local.get 3) (local.get 2) (local.get 1) (local.get 0))
        (func (export "round") (param i64 f32 f64 i32) (result i64 f32 f64 i32)
          (local $n i32) (local $d f64) (local $s f32) (local $l i64)
          (call $swap (local.get 0) (local.get 1) (local.get 2) (local.get 3))
          (local.set $l) (local.set $s) (local.set $d) (local.set $n)
          (local.get $l) (local.get $s) (local.get $d) (local.get $n))
        (func (export "pass") (param externref funcref) (result funcref externref) (local.get 1) (local.get 0))
        (func (export "one") (param i64) (result i64) (i64.add (local.get 0) (i64.const 1)))
        (func (export "four") (param i32 i64 f64 i32) (result f64) (f64.add (local.get 2) (f64.convert_i32_s (local.get 0))))
        (func (export "none")))`),
    );
    expect(f.round!(2n ** 63n + 5n, 1.1, Math.PI, 2 ** 32 + 6)).toEqual([
      -(2n ** 63n) + 5n,
      Math.fround(1.1),
      Math.PI,
      6,
    ]);
    expect(f.swap!(-1n, -0, Number.NaN, -1)).toEqual([-1, Number.NaN, -0, -1n]);
    expect(Array.isArray(f.swap!(0n, 0, 0, 0))).toBe(true);
    expect(f.one!(2n ** 63n - 1n)).toBe(-(2n ** 63n));
    expect(f.none!(1, 2, 3)).toBe(undefined);
    for (const value of [{}, Symbol('s'), undefined, null, 5, 'text', 5n, f.none, Object.freeze([])]) {
      const [, out] = f.pass!(value, null) as unknown[];
      expect(out).toBe(value);
    }
    expect((f.pass!(0, f.swap) as unknown[])[0]).toBe(f.swap);

    const order: string[] = [];
    const value = (label: string, of: unknown) => ({
      valueOf() {
        order.push(label);
        return of;
      },
    });
    expect(f.four!(value('a', 1), value('b', 2n), value('c', 3), value('d', 4), value('e', 5))).toBe(4);
    expect(order).toEqual(['a', 'b', 'c', 'd']);
    const bad = [
      [() => f.one!(), 'Cannot convert undefined to a BigInt'],
      [() => f.one!(5), 'Cannot convert 5 to a BigInt'],
      [() => f.four!(Symbol('x'), 1n, 1, 1), 'Cannot convert a Symbol value to a number'],
      [() => f.pass!(1, {}), 'type incompatibility when transforming from/to JS'],
      [() => f.pass!(1, () => 0), 'type incompatibility when transforming from/to JS'],
    ] as const;
    for (const [run, message] of bad) expect(classAndMessage(await thrown(run))).toBe(`TypeError: ${message}`);
    const own = new Error('from valueOf');
    const throwing = {
      valueOf() {
        throw own;
      },
    };
    expect(await thrown(() => f.four!(1, 1n, throwing, 1))).toBe(own);
  });

  test('128-bit values inside, and none outside', async () => {
    const { f } = await way.load(
      bytes(`(module
        (func $v (export "vector") (param v128 i32) (result v128) (i32x4.add (local.get 0) (i32x4.splat (local.get 1))))
        (func $pair (param i32) (result v128 v128) (i32x4.splat (local.get 0)) (v128.const i32x4 1 2 3 4))
        (func (export "lane") (param i32) (result i32)
          (call $pair (local.get 0)) (i32x4.add) (local.get 0) (call $v) (i32x4.extract_lane 3)))`),
    );
    expect(f.lane!(10)).toBe(24);
    expect(classAndMessage(await thrown(() => f.vector!(1, 2)))).toBe(
      'TypeError: type incompatibility when transforming from/to JS',
    );
    expect(f.lane!(-2)).toBe(0);
  });

  test('the start function runs once, before anybody has the instance', async () => {
    const log: string[] = [];
    const m = new WebAssembly.Memory({ initial: 1 });
    const source = `(module (import "e" "log" (func $log (param i32))) (import "e" "m" (memory 1))
      (func $start (export "started") (i32.store8 (i32.const 0) (i32.add (i32.load8_u (i32.const 0)) (i32.const 1)))
        (call $log (i32.load8_u (i32.const 1))))
      (data (i32.const 1) "\\07") (start $start))`;
    const { f } = await way.load(bytes(source), { e: { log: (n: number) => log.push(`log ${n}`), m } });
    expect(log).toEqual(['log 7']);
    expect(Object.keys(f)).toEqual(['started']);
    f.started!();
    expect(new Uint8Array(m.buffer)[0]).toBe(2);
    // One of JavaScript's.
    const calls: unknown[] = [];
    function start(this: unknown, ...args: unknown[]): void {
      calls.push([this, args]);
    }
    const { instance } = await way.load(bytes('(module (import "e" "s" (func $s)) (start $s))'), { e: { s: start } });
    expect(calls).toEqual([[undefined, []]]);
    expect(Reflect.ownKeys(instance.exports)).toEqual([]);
  });

  test('what the start function throws passes through, and what it did stays done', async () => {
    const m = new WebAssembly.Memory({ initial: 1 });
    const Tag = (WebAssembly as unknown as { Tag: new (type: object) => object }).Tag;
    const Exception = (WebAssembly as unknown as { Exception: new (tag: object, payload: unknown[]) => object })
      .Exception;
    for (const error of [new Error('mine'), 5, undefined, new Exception(new Tag({ parameters: ['i32'] }), [1])]) {
      const targets = way.tracer?.targets.size;
      const js = () => {
        throw error;
      };
      const source = `(module (import "e" "js" (func $js)) (import "e" "m" (memory 1)) (func $inner (call $js))
        (func $start (i32.store8 (i32.const 0) (i32.add (i32.load8_u (i32.const 0)) (i32.const 1))) (call $inner))
        (start $start))`;
      const out = await way.load(bytes(source), { e: { js, m } }).then(
        () => 'no error',
        (reason: unknown) => ({ reason }),
      );
      expect((out as { reason: unknown }).reason).toBe(error);
      expect(way.tracer?.targets.size).toBe(targets);
      expect(way.tracer?.frames() ?? []).toEqual([]);
    }
    expect(new Uint8Array(m.buffer)[0]).toBe(4);
  });

  describe('exceptions', () => {
    interface Exception {
      is(tag: unknown): boolean;
      getArg(tag: unknown, index: number): unknown;
    }
    const THROWING = bytes(`(module
      (import "e" "js" (func $js (param i32)))
      (tag $t (export "t") (param i32 i64)) (tag $other (export "other"))
      (table (export "table") 1 funcref) (elem (i32.const 0) $inner)
      (type $i (func (param i32)))
      (func $inner (param i32) (call $js (local.get 0)))
      (func $middle (param i32) (call_indirect (type $i) (local.get 0) (i32.const 0)))
      (func (export "through") (param i32) (call $middle (local.get 0)))
      (func $throw (param i32 i64) (throw $t (local.get 0) (local.get 1)))
      (func (export "throw") (param i32 i64) (call $throw (local.get 0) (local.get 1)))
      (func (export "rethrow") (param i32)
        (try (do (call $middle (local.get 0))) (catch_all (rethrow 0))))
      (func (export "catch") (param i32) (result i32)
        (try (result i32)
          (do (call $middle (local.get 0)) (i32.const -1))
          (catch $t (drop))
          (catch_all (i32.const -2))))
      (func (export "back") (param i32 i64) (result i32)
        (try (result i32)
          (do (call $throw (local.get 0) (local.get 1)) (i32.const -1))
          (catch $t (i32.wrap_i64) (i32.add)))))`);

    test('of JavaScript keep their identity', async () => {
      const values = [new Error('e'), Object.freeze({}), 42, 'text', undefined, null, Symbol('s'), () => 0];
      const { f, instance } = await way.load(THROWING, {
        e: {
          js: (n: number) => {
            throw values[n];
          },
        },
      });
      const stack = (values[0] as Error).stack;
      for (const [n, value] of values.entries()) {
        const viaTable = (instance.exports.table as WebAssembly.Table).get(0) as Func;
        // This engine makes a trap of a null that is thrown again.
        for (const entry of value === null ? [f.through!, viaTable] : [f.through!, viaTable, f.rethrow!]) {
          let reason: unknown = 'no error';
          try {
            entry(n);
          } catch (error) {
            reason = error;
          }
          expect(reason).toBe(value);
        }
        expect(f.catch!(n)).toBe(-2);
      }
      expect((values[0] as Error).stack).toBe(stack);
    });

    test('of WebAssembly carry their tag and payload', async () => {
      const made: object[] = [];
      const { f, instance } = await way.load(THROWING, {
        e: {
          js: (n: number) => {
            throw made[n];
          },
        },
      });
      const { t, other } = instance.exports as Record<string, unknown>;
      const { Exception } = WebAssembly as unknown as {
        Exception: new (tag: unknown, payload: unknown[]) => Exception;
      };
      const error = (await thrown(() => f.throw!(-5, 2n ** 40n))) as Exception;
      expect(error).toBeInstanceOf(Exception);
      expect([error.is(t), error.is(other)]).toEqual([true, false]);
      expect([error.getArg(t, 0), error.getArg(t, 1)]).toEqual([-5, 2n ** 40n]);
      expect(f.back!(40, 2n)).toBe(42);
      made.push(new Exception(t, [9, 1n]), new Exception(other, []), error);
      for (const [n, value] of made.entries()) {
        expect(await thrown(() => f.through!(n))).toBe(value);
        expect(await thrown(() => f.rethrow!(n))).toBe(value);
      }
      expect([f.catch!(0), f.catch!(1), f.catch!(2)]).toEqual([9, -2, -5]);
    });

    test('traps have the class and the message of the engine', async () => {
      const source = `(module (memory 1) (table 2 funcref) (elem (i32.const 0) $f) (type $v (func)) (type $t (func (param f32)))
        (func $f (param i32) (result i32) (local.get 0))
        (func (export "unreachable") (unreachable))
        (func (export "by zero") (drop (i32.div_u (i32.const 1) (call $f (i32.const 0)))))
        (func (export "remainder") (drop (i64.rem_s (i64.const 1) (i64.const 0))))
        (func (export "overflow") (drop (i32.div_s (i32.const 0x80000000) (i32.const -1))))
        (func (export "float") (drop (i32.trunc_f64_s (f64.const 1e300))))
        (func (export "memory") (drop (i32.load (i32.const 65536))))
        (func (export "bulk") (memory.fill (i32.const 65000) (i32.const 0) (i32.const 65000)))
        (func (export "table") (call_indirect (type $v) (i32.const 2)))
        (func (export "null") (call_indirect (type $v) (i32.const 1)))
        (func (export "signature") (call_indirect (type $t) (f32.const 0) (i32.const 0))))`;
      const native = await untouched.load(bytes(source));
      const { f } = await way.load(bytes(source));
      for (const [name, trap] of Object.entries(native.f)) {
        const expected = classAndMessage(await thrown(() => trap()));
        expect(expected).toMatch(/^RuntimeError: ./);
        const error = await thrown(() => f[name]!());
        expect(error).toBeInstanceOf(WebAssembly.RuntimeError);
        expect(classAndMessage(error)).toBe(expected);
      }
    });

    test('a stack overflow is a RangeError, and not the end', async () => {
      const js = (n: number): number => (f.over!(n + 1) as number) + 1;
      const { f } = await way.load(
        bytes(`(module (import "e" "js" (func $js (param i32) (result i32)))
          (func $deep (export "deep") (param i32) (result i32)
            (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 0))
              (else (i32.add (call $deep (i32.sub (local.get 0) (i32.const 1))) (i32.const 1)))))
          (func (export "over") (param i32) (result i32) (i32.add (call $js (local.get 0)) (i32.const 1))))`),
        { e: { js } },
      );
      for (const run of [() => f.deep!(-1), () => f.over!(0), () => f.deep!(-1)]) {
        const error = await thrown(run);
        expect(error).toBeInstanceOf(RangeError);
        expect(classAndMessage(error)).toBe('RangeError: Maximum call stack size exceeded');
        expect(f.deep!(100)).toBe(100);
      }
    });
  });

  test.each(UNUSUAL)('instantiating fails as it would: %s', async (_, source, imports) => {
    const code = bytes(source);
    const expected = classAndMessage(await thrown(() => untouched.load(code, imports)));
    const targets = way.tracer?.targets.size;
    expect(classAndMessage(await thrown(() => way.load(code, imports)))).toBe(expected);
    expect(way.tracer?.targets.size).toBe(targets);
    if (!WebAssembly.validate(code)) return;
    const module = await way.compile(code);
    expect(classAndMessage(await thrown(() => way.load(module, imports)))).toBe(
      classAndMessage(await thrown(() => untouched.load(new WebAssembly.Module(code), imports))),
    );
  });

  test('what a getter among the imports throws', async () => {
    const own = new Error('own');
    const imports = {
      get e() {
        throw own;
      },
    };
    expect(await thrown(() => way.load(bytes('(module (import "e" "f" (func)))'), imports))).toBe(own);
  });
});

test('the start function is traced', async () => {
  const tracer = await Tracer.create({ clock: 'counter' });
  const graph = tracer.startGraph({ bufferPages: 1 });
  const source = (end: string) => `(module (func $inner (export "inner"))
    (func $start (export "begin") (call $inner) ${end}) (start $start))`;
  await tracer.instantiate(bytes(source('')));
  await thrown(() => tracer.instantiate(bytes(source('(unreachable)'))));
  const lines = graph.read({ duration: false, cpu: false }).split('\n');
  expect(lines.filter((line) => /[a-z]\(|\}/.test(line)).map((line) => line.replace(/^[ |]*/, ''))).toEqual([
    'begin() {',
    'inner();',
    '}',
    'begin() {',
    'inner();',
    '} /* unwound */',
  ]);
});

describe('two instances linked to one another', () => {
  const PING = bytes(`(module
    (import "e" "memory" (memory 1))
    (type $t (func (param i32 i32) (result i32)))
    (table (export "table") 2 funcref) (global (export "calls") (mut i32) (i32.const 0)) (tag (export "stop"))
    (elem (i32.const 0) $ping)
    (func $ping (export "ping") (param $n i32) (param $how i32) (result i32)
      (global.set 0 (i32.add (global.get 0) (i32.const 1)))
      (if (i32.eqz (local.get $n)) (then
        (if (i32.eq (local.get $how) (i32.const 1)) (then (unreachable)))
        (if (i32.eq (local.get $how) (i32.const 2)) (then (throw 0)))
        (return (i32.load (i32.const 0)))))
      (call_indirect (type $t) (i32.sub (local.get $n) (i32.const 1)) (local.get $how) (i32.const 1))))`);
  const PONG = bytes(`(module
    (import "a" "ping" (func $ping (param i32 i32) (result i32)))
    (import "a" "table" (table 2 funcref)) (import "a" "stop" (tag $stop)) (import "a" "calls" (global (mut i32)))
    (import "e" "memory" (memory 1))
    (elem (i32.const 1) $pong)
    (func $pong (export "pong") (param i32 i32) (result i32)
      (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1)))
      (call $ping (local.get 0) (local.get 1)))
    (func (export "safe") (param i32 i32) (result i32)
      (try (result i32) (do (call $ping (local.get 0) (local.get 1))) (catch $stop (i32.const -1))))
    (export "ping" (func $ping)) (export "table" (table 0)) (export "calls" (global 0)) (export "stop" (tag 0)))`);

  const watched = async () => (await everything()) as Way & { tracer: Tracer };
  const combinations: Record<string, () => Promise<[Way, Way]>> = {
    'one tracer': async () => {
      const way = await watched();
      return [way, way];
    },
    'two tracers': async () => [await watched(), await watched()],
    'the first traced': async () => [await watched(), untouched],
    'the second traced': async () => [untouched, await watched()],
    'none traced': async () => [untouched, untouched],
  };

  test.each(Object.entries(combinations))('%s', async (_, create) => {
    const [first, second] = await create();
    const memory = new WebAssembly.Memory({ initial: 1 });
    const a = await first.load(PING, { e: { memory } });
    const b = await second.load(PONG, { a: a.instance.exports, e: { memory } });
    for (const shared of ['ping', 'table', 'calls', 'stop']) {
      expect(b.instance.exports[shared]).toBe(a.instance.exports[shared]);
    }
    const table = a.instance.exports.table as WebAssembly.Table;
    expect([table.get(0), table.get(1)]).toEqual([a.f.ping, b.f.pong]);
    expect(table.get(1)).toBe(b.f.pong);

    const total = (what: 'entries' | 'unwound' | 'stray') =>
      [...new Set([first, second])].reduce((sum, { tracer }) => sum + (tracer?.counts()[what] ?? 0), 0);
    const settled = () => {
      for (const { tracer } of [first, second]) expect(tracer?.frames() ?? []).toEqual([]);
      expect(total('stray')).toBe(0);
    };
    // From both sides: by the export, by the table.
    expect(a.f.ping!(10, 0)).toBe(10);
    expect((table.get(1) as Func)(4, 0)).toBe(15);
    expect(b.f.safe!(0, 0)).toBe(15);
    settled();
    const ofFirst = first.tracer ? 11 + 5 + 1 : 0;
    const ofSecond = second.tracer ? 10 + 5 + 1 : 0;
    expect(total('entries')).toBe(ofFirst + ofSecond);
    expect(total('unwound')).toBe(0);

    expect(classAndMessage(await thrown(() => a.f.ping!(3, 1)))).toBe('RuntimeError: unreachable');
    settled();
    const exception = (await thrown(() => b.f.pong!(3, 2))) as { is(tag: unknown): boolean };
    expect(exception.is(a.instance.exports.stop)).toBe(true);
    settled();
    expect(b.f.safe!(3, 2)).toBe(-1);
    settled();
    expect((a.instance.exports.calls as WebAssembly.Global).value).toBe(11 + 5 + 1 + 3 * 4);
    // All that the failed calls entered, less `safe`, which returned.
    expect(total('entries')).toBe(ofFirst + ofSecond + (first.tracer ? 12 : 0) + (second.tracer ? 3 + 4 + 4 : 0));
    expect(total('unwound')).toBe((first.tracer ? 12 : 0) + (second.tracer ? 3 + 4 + 3 : 0));
  });
});
