// The JavaScript target from outside: what it finds and how it calls it, what it leaves alone, what a program can see of it, and
// that everything is put back.

import assert from 'node:assert';
import { inspect } from 'node:util';
import { constants, runInThisContext } from 'node:vm';
import { afterEach, describe, expect, test } from 'vitest';
import * as layout from '../../assembly/layout.ts';
import type { GraphTracer } from '../../src/graph.ts';
import { Tracer } from '../../src/tracer.ts';
import { wat } from '../instrument/support.ts';
import { nesting } from './events.ts';

const create = (): Promise<Tracer> => Tracer.create({ clock: 'counter' });

/// The recorded lines, less header and columns.
const lines = (graph: GraphTracer): string[] =>
  graph
    .read({ cpu: false, duration: false })
    .split('\n')
    .filter((line) => line && !line.startsWith('#'))
    .map((line) => line.trimEnd());

const names = ({ sites }: { sites: readonly { name: string }[] }): string[] => sites.map(({ name }) => name);

const original = Object.getOwnPropertyDescriptor(Function.prototype, 'toString');
afterEach(() => {
  for (const tracer of tracers) for (const target of tracer.targets) tracer.detach(target);
  tracers.clear();
  expect(Object.getOwnPropertyDescriptor(Function.prototype, 'toString')).toEqual(original);
});
const tracers = new Set<Tracer>();

async function start(): Promise<Tracer> {
  const tracer = await create();
  tracers.add(tracer);
  return tracer;
}

describe('what is found', () => {
  test('methods, accessors, symbols, odd keys, and several properties with one function', async () => {
    const tracer = await start();
    const shared = () => 'shared';
    const service = {
      load() {},
      get size() {
        return 1;
      },
      set size(_) {},
      shared,
      again: shared,
      'two words': () => {},
      7() {},
      async later() {},
      *items() {},
      bound: shared.bind(null),
      native: Math.max,
      Class: class {},
      [Symbol.iterator]: () => [][Symbol.iterator](),
      [Symbol('tag')]: () => {},
      number: 5,
      nested: { not() {} },
    };
    const target = tracer.attachObject(service, { name: 'svc' });
    expect(names(target)).toEqual([
      'svc[7]',
      'svc.load',
      'svc.size.get',
      'svc.size.set',
      'svc.shared',
      'svc["two words"]',
      'svc.later',
      'svc.items',
      'svc.bound',
      'svc.native',
      'svc.Class',
      'svc[Symbol.iterator]',
      'svc[Symbol(tag)]',
    ]);
    expect(target.notrace).toEqual([]);
    expect(target.sites.filter(({ aliases }) => aliases.length > 0)).toEqual([
      { id: 4, ip: target.number * 2 ** 32 + 4, index: 4, name: 'svc.shared', aliases: ['svc.again'] },
    ]);
    expect(service.shared).toBe(service.again);
    const graph = tracer.startGraph({ filter: 'svc.again' });
    service.shared();
    service.again();
    service.load();
    expect(lines(graph)).toEqual(['svc.shared();', 'svc.shared();']);
  });

  class Base {
    static make() {
      return new this();
    }
    run(): string {
      return 'base';
    }
    kept() {
      return this.constructor === Service;
    }
  }
  class Service extends Base {
    override run(): string {
      return `${super.run()} and service`;
    }
    get state(): string {
      return this.run();
    }
  }

  test('what an object inherits, as far up as it is written in JavaScript', async () => {
    const tracer = await start();
    const service = new Service();
    const target = tracer.attachObject(service, { name: 'svc', prototypes: true });
    expect(names(target)).toEqual(['svc.run', 'svc.state.get', 'svc.Base.run', 'svc.kept']);
    expect(target.notrace.map(({ name, reason }) => `${name}: ${reason.split(':')[0]}`)).toEqual([
      'svc.constructor: constructor',
      'svc.Base.constructor: constructor',
    ]);
    const graph = tracer.startGraph();
    expect([service.state, service.kept()]).toEqual(['base and service', true]);
    expect(lines(graph)).toEqual([
      'svc.state.get() {',
      '  svc.run() {',
      '    svc.Base.run();',
      '  }',
      '}',
      'svc.kept();',
    ]);
  });

  test('of a class its static members, and with prototypes what its instances do', async () => {
    const tracer = await start();
    const own = tracer.attachObject(Base, { name: 'Base' });
    expect(names(own)).toEqual(['Base.make']);
    tracer.detach(own);
    const all = tracer.attachObject(Service, { name: 'Service', prototypes: true });
    expect(names(all)).toEqual([
      'Service.make',
      'Service.prototype.run',
      'Service.prototype.state.get',
      'Service.Base.prototype.run',
      'Service.prototype.kept',
    ]);
    const graph = tracer.startGraph();
    expect(Service.make()).toBeInstanceOf(Service);
    expect(new Service().kept()).toBe(true);
    expect(lines(graph)).toEqual(['Service.make();', 'Service.prototype.kept();']);
  });

  test('filter and notrace, over whole names and over the part behind the name', async () => {
    const tracer = await start();
    const object = { getA() {}, getB() {}, setA() {}, other() {} };
    const some = tracer.attachObject(object, { name: 'o', filter: ['get*', 'o.set*'], notrace: '*B' });
    expect(names(some)).toEqual(['o.getA', 'o.setA']);
    expect(some.notrace).toEqual([]);
    expect(some.sites.map(({ index }) => index)).toEqual([0, 2]);
    expect(Object.keys(object)).toEqual(['getA', 'getB', 'setA', 'other']);
  });
});

describe('what is left alone', () => {
  test('properties that cannot be changed, and why', async () => {
    const tracer = await start();
    const object = Object.defineProperties(
      {},
      {
        fixed: { value() {}, enumerable: true },
        writable: { value: () => 1, writable: true, enumerable: true },
        accessor: { get: () => 1, enumerable: true },
        free: { value: () => 2, configurable: true, enumerable: true },
      },
    ) as { writable(): number; free(): number };
    const before = Object.getOwnPropertyDescriptors(object);
    const target = tracer.attachObject(object, { name: 'o' });
    expect(names(target)).toEqual(['o.writable', 'o.free']);
    expect(target.notrace).toEqual([
      { index: 0, name: 'o.fixed', reason: 'not writable' },
      { index: 2, name: 'o.accessor.get', reason: 'not configurable' },
    ]);
    const profile = tracer.startProfile();
    expect(object.writable() + object.free()).toBe(3);
    expect(profile.rows().map(({ name }) => name)).toEqual(['o.writable', 'o.free']);
    tracer.detach(target);
    expect(Object.getOwnPropertyDescriptors(object)).toEqual(before);
    expect(names(tracer.attachObject(Object.freeze({ f() {} })))).toEqual([]);
  });

  test('a class with private static members', async () => {
    const tracer = await start();
    // biome-ignore lint/complexity/noStaticOnlyClass: as programs write them
    class Counter {
      static #count = 0;
      static next() {
        // biome-ignore lint/complexity/noThisInStatic: it is the receiver that matters
        return ++this.#count;
      }
    }
    class Plain {
      #own = 1;
      static make() {
        return new Plain();
      }
      own() {
        return this.#own;
      }
    }
    const object = { Counter, Plain };
    const target = tracer.attachObject(object, { name: 'o' });
    expect(names(target)).toEqual(['o.Plain']);
    expect(target.notrace[0].reason).toContain('private static members');
    expect([object.Counter.next(), object.Counter.next(), object.Plain.make().own()]).toEqual([1, 2, 1]);
    expect(() => tracer.wrap(Counter as never)).toThrow('private static members');
    expect(names(tracer.attachObject(Counter, { name: 'Counter' }))).toEqual(['Counter.next']);
    expect(Counter.next()).toBe(3);
  });

  test('code of the program: no getter, no trap, no function runs', async () => {
    const tracer = await start();
    const fail = (): never => {
      throw new Error('the program ran');
    };
    const trapped = <T extends object>(target: T): T =>
      new Proxy(target, new Proxy({}, { get: fail }) as ProxyHandler<T>);
    class Thrower {
      constructor() {
        fail();
      }
    }
    const object = {
      get bad() {
        return fail();
      },
      proxy: trapped(() => 1),
      trappedClass: trapped(Thrower),
      Thrower,
      __proto__: trapped({ inherited() {} }),
    };
    const target = tracer.attachObject(object, { name: 'o', prototypes: true });
    expect(names(target)).toEqual(['o.bad.get', 'o.proxy', 'o.trappedClass', 'o.Thrower']);
    expect(() => object.bad).toThrow('the program ran');
    expect(() => object.proxy()).toThrow('the program ran');
    tracer.wrap(trapped(() => 1));
    expect(() => tracer.attachObject(trapped({}))).toThrow('is a Proxy');
  });

  test('traced functions: once is enough', async () => {
    const tracer = await start();
    const fn = () => 1;
    const a = { fn };
    const b = { other: fn };
    const first = tracer.attachObject(a, { name: 'a' });
    const second = tracer.attachObject(b, { name: 'b' });
    expect(names(second)).toEqual([]);
    expect(second.notrace).toEqual([{ index: 0, name: 'b.other', reason: 'traced as a.fn' }]);
    expect(b.other).toBe(a.fn);
    expect([tracer.wrap(fn), tracer.wrap(a.fn)]).toEqual([a.fn, a.fn]);
    const again = tracer.attachObject(a, { name: 'again' });
    expect(again.notrace).toEqual([{ index: 0, name: 'again.fn', reason: 'traced as a.fn' }]);
    tracer.detach(again);
    tracer.detach(second);
    expect(b.other).toBe(fn);
    const standIn = a.fn;
    tracer.detach(first);
    expect(a.fn).toBe(fn);
    // A stand-in whose target is gone gives way to the function.
    const c = { standIn };
    const third = tracer.attachObject(c, { name: 'c' });
    expect(names(third)).toEqual(['c.standIn']);
    expect(c.standIn).not.toBe(standIn);
    const profile = tracer.startProfile();
    c.standIn();
    standIn();
    expect(profile.rows().map(({ name, count }) => [name, count])).toEqual([['c.standIn', 1]]);
    tracer.detach(third);
    expect(c.standIn).toBe(standIn);
  });
});

describe('detach', () => {
  test('restores every descriptor, unless somebody else has changed it', async () => {
    const tracer = await start();
    const object = {
      f() {},
      g() {},
      gone() {},
      frozen() {},
      get size() {
        return 1;
      },
    } as Record<string, unknown>;
    const before = Object.getOwnPropertyDescriptors(object);
    const target = tracer.attachObject(object, { name: 'o' });
    const theirs = () => 'theirs';
    object.g = theirs;
    delete object.gone;
    Object.defineProperty(object, 'frozen', { writable: false, configurable: false });
    const frozen = object.frozen;
    tracer.detach(target);
    expect(target.left.map(({ name }) => name)).toEqual(['o.g', 'o.gone', 'o.frozen']);
    expect(object.g).toBe(theirs);
    expect(object.frozen).toBe(frozen);
    expect(Object.getOwnPropertyDescriptor(object, 'f')).toEqual(before.f);
    expect(Object.getOwnPropertyDescriptor(object, 'size')).toEqual(before.size);
    expect(Object.keys(object)).toEqual(['f', 'g', 'frozen', 'size']);
    tracer.detach(target); // nothing more
    expect([...tracer.targets]).toEqual([]);
  });

  test('from inside of a call', async () => {
    const tracer = await start();
    const object = {
      outer: () => {
        tracer.detach(target);
        return object.inner();
      },
      inner: () => 5,
    };
    const target = tracer.attachObject(object, { name: 'o' });
    const graph = tracer.startGraph();
    expect(object.outer()).toBe(5);
    expect(lines(graph)).toEqual(['o.outer();']);
    expect(tracer.frames()).toEqual([]);
  });
});

describe('what a program sees of a traced function', () => {
  function plain(this: unknown, a: number, b: number) {
    return [this, a, b, new.target];
  }
  plain.extra = { deep: 1 };
  class Shape {
    static sides = 0;
    static count() {
      // biome-ignore lint/complexity/noThisInStatic: it is the receiver that matters
      return ++this.sides;
    }
    target: unknown;
    constructor() {
      this.target = new.target;
    }
  }
  const functions = {
    plain,
    Shape,
    arrow: (a: unknown) => a,
    async later(a: unknown) {
      return a;
    },
    *items(a: unknown) {
      yield a;
    },
    async *laterItems() {},
    bound: plain.bind(1, 2),
    max: Math.max,
    frozen: Object.freeze(() => 1),
  };

  test.each(Object.keys(functions) as (keyof typeof functions)[])('%s', async (key) => {
    const tracer = await start();
    const original = functions[key];
    const object = { f: original };
    const target = tracer.attachObject(object);
    tracer.startProfile();
    const traced = object.f;
    expect(traced).not.toBe(original);
    expect(Reflect.ownKeys(traced)).toEqual(Reflect.ownKeys(original));
    for (const own of Reflect.ownKeys(original)) {
      const [mine, theirs] = [traced, original].map((fn) => Object.getOwnPropertyDescriptor(fn, own)!);
      expect({ ...mine, value: 0 }).toEqual({ ...theirs, value: 0 });
      expect(mine.value).toBe(theirs.value);
    }
    expect(Object.getPrototypeOf(traced)).toBe(Object.getPrototypeOf(original));
    expect(Object.isFrozen(traced)).toBe(Object.isFrozen(original));
    expect(String(traced)).toBe(String(original));
    expect(inspect(traced, { depth: 5 })).toBe(inspect(original, { depth: 5 }));
    expect(typeof traced).toBe('function');
    const thrown = (fn: unknown): unknown => {
      try {
        return Reflect.construct(Object, [], fn as never) && 'constructor';
      } catch (error) {
        return (error as Error).name;
      }
    };
    expect(thrown(traced)).toBe(thrown(original));
    tracer.detach(target);
    expect(String(traced)).toContain('native code'); // nothing is traced: toString is the engine's again
  });

  test('getters and setters', async () => {
    const tracer = await start();
    const key = Symbol('key');
    const odd = Object.assign(() => 2, { more: true });
    class Base {
      #size = 1;
      get size() {
        return this.#size;
      }
      set size(size) {
        this.#size = size;
      }
      get [key](): boolean {
        return this instanceof Base;
      }
    }
    Object.defineProperty(Base.prototype, 'odd', { get: odd, configurable: true });
    const before = Object.getOwnPropertyDescriptors(Base.prototype);
    const target = tracer.attachObject(Base.prototype, { name: 'o' });
    const now = Object.getOwnPropertyDescriptors(Base.prototype);
    for (const [name, part] of [
      ['size', 'get'],
      ['size', 'set'],
      [key, 'get'],
      ['odd', 'get'],
    ] as const) {
      const [traced, original] = [now, before].map((all) => all[name as 'size'][part] as () => unknown);
      expect(traced).not.toBe(original);
      expect(Object.getOwnPropertyDescriptors(traced)).toEqual(Object.getOwnPropertyDescriptors(original));
      expect(Reflect.ownKeys(traced)).toEqual(Reflect.ownKeys(original));
      expect([String(traced), Object.getPrototypeOf(traced)]).toEqual([String(original), Function.prototype]);
    }
    for (const watched of [false, true]) {
      const profile = watched ? tracer.startProfile() : undefined;
      const object = new Base() as Base & Record<PropertyKey, unknown>;
      object.size += 2;
      expect([object.size, object[key], object.odd]).toEqual([3, true, 2]);
      expect(() => Object.create(object).size).toThrow(TypeError);
      expect(() => new (now.size.get as never as new () => object)()).toThrow('is not a constructor');
      expect(
        profile
          ?.rows()
          .map(({ name, count }) => [name, count])
          .sort(),
      ).toEqual(
        profile && [
          ['o.odd.get', 1],
          ['o.size.get', 3],
          ['o.size.set', 1],
          ['o[Symbol(key)].get', 1],
        ],
      );
    }
    tracer.detach(target);
    expect(Object.getOwnPropertyDescriptors(Base.prototype)).toEqual(before);
  });

  test('properties that come, go and change later are the same', async () => {
    const tracer = await start();
    const fn = Object.assign(() => {}, { count: 0 } as Record<string, unknown>);
    const object = { fn };
    tracer.attachObject(object);
    object.fn.count = 1;
    (fn.count as number)++;
    object.fn.added = 5;
    expect([object.fn.count, fn.added]).toEqual([2, 5]);
  });

  test('new, new.target and inheritance', async () => {
    const tracer = await start();
    class Other {}
    const object = { Shape, plain, Other };
    tracer.attachObject(object, { name: 'o' });
    for (const watched of [false, true]) {
      const profile = watched ? tracer.startProfile() : undefined;
      class Square extends object.Shape {}
      expect(new object.Shape().target).toBe(Shape);
      expect(new Square().target).toBe(Square);
      expect(new Square()).toBeInstanceOf(object.Shape);
      expect(Square.count()).toBe(1);
      const other = Reflect.construct(object.Shape, [], object.Other) as { target: unknown };
      expect(other.target).toBe(Other);
      expect(other).toBeInstanceOf(Other);
      expect(new (object.plain as never as new (a: number) => unknown[])(1)).toMatchObject([{}, 1, undefined, plain]);
      expect(() => (object.Shape as never as () => void)()).toThrow(
        "Class constructor Shape cannot be invoked without 'new'",
      );
      expect(profile?.rows().map(({ name, count }) => [name, count])).toEqual(
        watched
          ? [
              ['o.Shape', 5],
              ['o.plain', 1],
            ]
          : undefined,
      );
    }
  });

  test('this and arguments, of strict and sloppy functions', async () => {
    const tracer = await start();
    const sloppy = new Function('return this') as () => unknown;
    const strict = function (this: unknown, ..._: unknown[]) {
      // biome-ignore lint/complexity/noArguments: their number is what is looked at
      return [this, arguments.length];
    };
    const object = { sloppy, strict };
    tracer.attachObject(object);
    for (const watched of [false, true]) {
      if (watched) tracer.startProfile();
      expect(object.sloppy.call(undefined)).toBe(globalThis);
      expect(object.sloppy()).toBe(object);
      expect(typeof object.sloppy.call(1)).toBe('object');
      expect(object.strict.call(1, undefined, 2)).toEqual([1, 2]);
      const { strict: alone } = object;
      expect(alone()).toEqual([undefined, 0]);
      expect(Reflect.apply(object.strict, null, Array(300).fill(0))).toEqual([null, 300]);
    }
  });

  test('results are the same objects, of async functions and generators too', async () => {
    const tracer = await start();
    const promise = Promise.resolve(1);
    const object = {
      promise: () => promise,
      async later() {
        await promise;
        return object.promise();
      },
      *items(n: number): Generator<number, string> {
        for (let i = 0; i < n; i++) yield i;
        return 'done';
      },
    };
    const items = object.items;
    tracer.attachObject(object, { name: 'o' });
    const graph = tracer.startGraph();
    expect(object.promise()).toBe(promise);
    expect(await object.later()).toBe(1);
    const generator = object.items(2);
    expect(Object.getPrototypeOf(generator)).toBe(items.prototype);
    expect([...generator]).toEqual([0, 1]);
    expect(lines(graph)).toEqual(['o.promise();', 'o.later();', 'o.promise();', 'o.items();']);
  });
});

describe('leaving without returning', () => {
  test('an error passes as it is, and its frames are unwound', async () => {
    const tracer = await start();
    const thrown = new Error('thrown');
    const object = {
      fail(): never {
        throw thrown;
      },
      pass(): void {
        object.fail();
      },
      catches(): unknown {
        try {
          object.pass();
        } catch (error) {
          return [error, object.leaf()];
        }
      },
      leaf: () => tracer.frames().map(({ name }) => name),
      Class: class {
        constructor() {
          object.fail();
        }
      },
    };
    tracer.attachObject(object, { name: 'o' });
    const graph = tracer.startGraph();
    expect(object.catches()).toEqual([thrown, ['o.leaf', 'o.catches']]);
    expect(() => new object.Class()).toThrow(thrown);
    expect(lines(graph)).toEqual([
      'o.catches() {',
      '  o.pass() {',
      '    o.fail(); /* unwound */',
      '  } /* unwound */',
      '  o.leaf();',
      '}',
      'o.Class() {',
      '  o.fail(); /* unwound */',
      '} /* unwound */',
    ]);
    expect(tracer.counts()).toEqual({ entries: 6, returns: 2, unwound: 4, overrun: 0, stray: 0 });
  });

  test('recursion until the stack is full', async () => {
    const tracer = await Tracer.create({ clock: 'counter', stackWords: 1 << 20 });
    tracers.add(tracer);
    const object = {
      dive(n: number): number {
        return object.dive(n + 1) + 1;
      },
      leaf: () => 1,
    };
    tracer.attachObject(object, { name: 'o' });
    const graph = tracer.startGraph({ bufferPages: 4096 });
    for (let round = 0; round < 20; round++) {
      expect(() => object.dive(0)).toThrow(RangeError);
      expect(object.leaf()).toBe(1);
      expect(tracer.frames()).toEqual([]);
    }
    const nest = nesting(graph);
    expect(nest.complaint).toBeUndefined();
    expect(nest.open).toEqual([]);
    expect(nest.returns).toBe(20);
    expect(tracer.counts()).toMatchObject({ overrun: 0, stray: 0 });
  });

  test('at the very edge of the stack, from every depth', async () => {
    const tracer = await start();
    const object = { leaf: (n: number): number => (n === 0 ? 0 : object.deep(n)), deep: (n: number) => untraced(n) };
    const untraced = (n: number): number => (n === 0 ? 0 : untraced(n - 1) + 1);
    const dive = (n: number): number => (n === 0 ? object.leaf(50) : dive(n - 1));
    tracer.attachObject(object, { name: 'o' });
    const graph = tracer.startGraph();
    let full = 1;
    while (passes(() => dive(full))) full *= 2;
    let low = full / 2;
    for (let high = full; low + 1 < high; ) {
      const middle = (low + high) >>> 1;
      if (passes(() => dive(middle))) low = middle;
      else high = middle;
    }
    for (let n = low - 200; n < low + 200; n++) {
      passes(() => dive(n));
      object.leaf(0);
      expect(tracer.frames()).toEqual([]);
    }
    const nest = nesting(graph, true);
    expect(nest.complaint).toBeUndefined();
    expect(tracer.counts().stray).toBe(0);
  });

  // What is not traced calls what is, ever further down, so that any call of ours may be the one that does not fit; wherever that
  // was, the next call finds the stack and the locks as they should be.
  const WATCHING: Record<string, (tracer: Tracer) => void> = {
    'a graph with the clock mono': (tracer) => void tracer.startGraph({ bufferPages: 1 }),
    handlers: (tracer) => void tracer.registerFgraph({ entry() {}, return() {} }),
    ops: (tracer) => void tracer.registerFtrace({ call() {} }),
    'a probe of entries': (tracer) => void tracer.registerFprobe({ filter: '*', entry() {} }),
  };
  test.each(Object.keys(WATCHING))('an overflow in the middle of a call, whatever is under way: %s', async (kind) => {
    for (let pad = 0; pad < 60; pad++) {
      const tracer = await Tracer.create(kind.includes('mono') ? {} : { clock: 'counter' });
      tracers.add(tracer);
      const object = { leaf: (n: number) => n };
      tracer.attachObject(object, { name: 'o' });
      WATCHING[kind](tracer);
      let heard = 0;
      const counter = tracer.registerFtrace({ call: () => void heard++ });
      const recurse = (n: number): number => {
        object.leaf(n);
        return 1 + recurse(n + 1);
      };
      const begin = Array(pad).fill(0); // arguments, which shift all frames by a word each
      for (let k = 0; k < 5; k++) expect(() => Reflect.apply(recurse, undefined, begin)).toThrow(RangeError);
      heard = 0;
      for (let k = 0; k < 10; k++) object.leaf(k);
      expect({ pad, heard, frames: tracer.frames() }).toEqual({ pad, heard: 10, frames: [] });
      counter.unregister();
      for (const target of tracer.targets) tracer.detach(target);
      tracers.delete(tracer);
    }
  });
});

function passes(call: () => void): boolean {
  try {
    call();
    return true;
  } catch (error) {
    expect(error).toBeInstanceOf(RangeError);
    return false;
  }
}

describe('several tracers', () => {
  test('see the same calls, and go in any order', async () => {
    const one = await start();
    const two = await start();
    const object = { f: (n: number): number => (n === 0 ? 0 : object.f(n - 1)) };
    const { f } = object;
    const text = String(f);
    const first = one.attachObject(object, { name: 'one' });
    const second = two.attachObject(object, { name: 'two' });
    const profiles = [one.startProfile(), two.startProfile()];
    expect(object.f(2)).toBe(0);
    expect(String(object.f)).toBe(text);
    expect(profiles.map((profile) => profile.rows()[0].count)).toEqual([3, 3]);
    one.detach(first);
    expect(first.left.map(({ name }) => name)).toEqual(['one.f']);
    expect(object.f(0)).toBe(0);
    expect(profiles.map((profile) => profile.rows()[0].count)).toEqual([3, 4]);
    two.detach(second);
    expect(second.left).toEqual([]);
    expect(object.f(0)).toBe(0);
  });
});

describe('wrap', () => {
  test('gives a function of its own target', async () => {
    const tracer = await start();
    const add = tracer.wrap((a: number, b: number) => a + b, 'add');
    function named() {
      return add(1, 2);
    }
    const traced = tracer.wrap(named);
    expect(Array.from(tracer.targets, ({ name, number }) => [name, number])).toEqual([
      ['add', 1],
      ['named', 2],
    ]);
    const graph = tracer.startGraph();
    expect(traced()).toBe(3);
    expect(lines(graph)).toEqual(['named() {', '  add();', '}']);
    for (const target of tracer.targets) tracer.detach(target);
    expect(traced()).toBe(3);
    expect(lines(graph)).toHaveLength(3);
  });
});

describe('bad input', () => {
  test.each<[string, (tracer: Tracer) => unknown, string]>([
    ['no object', (t) => t.attachObject(5 as never), 'attachObject: 5 has no functions, expected an object'],
    ['null', (t) => t.attachObject(null as never), 'attachObject: null has no functions, expected an object'],
    ['an option', (t) => t.attachObject({}, { nam: 'x' } as never), "attachObject has no option 'nam'"],
    ['a name', (t) => t.attachObject({}, { name: 5 as never }), 'name is 5, expected a string'],
    ['no name', (t) => t.attachObject({}, { name: '' }), "name is '', expected a string that is not empty"],
    ['prototypes', (t) => t.attachObject({}, { prototypes: 1 as never }), 'prototypes is 1, expected a boolean'],
    ['a filter', (t) => t.attachObject({}, { filter: 5 as never }), 'filter is 5, expected a glob'],
    ['no function', (t) => t.wrap({} as never), 'wrap: an object is no function'],
    ['a name of wrap', (t) => t.wrap(() => {}, 7 as never), 'wrap: the name is 7, expected'],
  ])('%s', async (_, call, message) => {
    const tracer = await start();
    expect(() => call(tracer)).toThrow(TypeError);
    expect(() => call(tracer)).toThrow(message);
    expect(tracer.targets.size).toBe(0);
  });
});

/// A module as Node has it; the test runner's own imports are no namespaces.
const importModule = (name: string): Promise<Record<string, unknown>> =>
  runInThisContext(`import(${JSON.stringify(name)})`, {
    importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  });

describe('the exports of a module', () => {
  test('stand for good', async () => {
    const tracer = await start();
    const module = await importModule('node:path');
    expect(() => tracer.attachObject(module)).toThrow('the exports of a module cannot be replaced');
  });

  test('as a copy', async () => {
    const tracer = await start();
    const source =
      'export const f = () => 1; export let n = 0; export const add = () => { n += f(); return n; }; export { add as default };';
    const module = await importModule(`data:text/javascript,${source}`);
    const { exports, target } = tracer.attachModule(module, { name: 'm' });
    expect(names(target)).toEqual(['m.add', 'm.f']);
    expect(target.sites[0].aliases).toEqual(['m.default']);
    const profile = tracer.startProfile();
    expect([(exports.add as () => number)(), exports.n, exports.default]).toEqual([1, 1, exports.add]);
    expect(Object.keys(exports)).toEqual(Object.keys(module));
    expect(Object.prototype.toString.call(exports)).toBe('[object Module]');
    expect(profile.rows().map(({ name }) => name)).toEqual(['m.add']); // the module itself calls f by its own name
    tracer.detach(target);
    expect(exports.add).toBe(module.add);
  });
});

describe('handlers', () => {
  test('see the values themselves, and can replace the result', async () => {
    const tracer = await start();
    const made: unknown[] = [];
    const object = {
      f: (..._: unknown[]): unknown => 'result',
      Class: class {
        constructor(a: unknown) {
          made.push(a);
        }
      },
    };
    tracer.attachObject(object, { name: 'o' });
    const seen: unknown[] = [];
    let replace: unknown;
    const user = tracer.registerFgraph({
      entry(event, fregs) {
        seen.push([event.name, fregs.argument(0), fregs.argument(1), fregs.returnValue()]);
        return true;
      },
      return(event, fregs) {
        seen.push([event.name, fregs.argument(0), fregs.returnValue()]);
        if (replace !== undefined) fregs.setReturnValue(replace as never);
      },
    });
    const argument = { deep: [1] };
    expect(object.f(argument, 'text', 3)).toBe('result');
    const instance = new object.Class(argument);
    expect(seen).toEqual([
      ['o.f', argument, 'text', undefined],
      ['o.f', undefined, 'result'],
      ['o.Class', argument, undefined, undefined],
      ['o.Class', undefined, instance],
    ]);
    expect((seen[0] as unknown[])[1]).toBe(argument);
    replace = { other: 1 };
    expect(object.f()).toBe(replace);
    expect(new object.Class(1)).toBe(replace);
    expect(made).toHaveLength(2);
    replace = 5;
    expect(object.f()).toBe(5);
    expect(new object.Class(1)).toBeInstanceOf(object.Class); // the handler failed: no object
    expect(user.errors).toBe(1);
  });

  test('call traced functions themselves, and each sees its own', async () => {
    const tracer = await start();
    const object = {
      outer: (a: string) => `${a}!`,
      inner: (a: string) => `${a}?`,
      fails: (a: string) => assert.fail(a),
    };
    tracer.attachObject(object, { name: 'o' });
    const seen: unknown[] = [];
    tracer.registerFgraph({
      entry(event, fregs) {
        seen.push([event.name, fregs.argument(0)]);
        if (event.name === 'o.outer') {
          object.inner('nested');
          expect(() => object.fails('nested')).toThrow('nested');
          seen.push([event.name, fregs.argument(0)]);
        }
        return true;
      },
      return(event, fregs) {
        if (event.name === 'o.outer') object.inner('at the exit');
        seen.push([event.name, fregs.returnValue()]);
      },
    });
    const others: unknown[] = [];
    tracer.registerFgraph({
      filter: 'o.outer',
      entry: (_, fregs) => others.push(fregs.argument(0)) > 0,
      return: (_, fregs) => others.push(fregs.returnValue()),
    });
    expect(object.outer('first')).toBe('first!');
    expect(seen).toEqual([
      ['o.outer', 'first'],
      ['o.inner', 'nested'],
      ['o.inner', 'nested?'],
      ['o.fails', 'nested'],
      ['o.outer', 'first'],
      ['o.inner', 'at the exit'],
      ['o.inner', 'at the exit?'],
      ['o.outer', 'first!'],
    ]);
    expect(others).toEqual(['first', 'first!']);
    expect(tracer.frames()).toEqual([]);
  });

  test('in WebAssembly are given words', async () => {
    const tracer = await start();
    const text = `(module
      (import "test" "put" (func $put (param i64)))
      (import "fprobe" "memory" (memory 4 32768))
      (func $words (param $fregs i32) (local $n i32)
        (call $put (i64.extend_i32_u (i32.load offset=${layout.FREGS_COUNT} (local.get $fregs))))
        (loop $next
          (if (i32.lt_u (local.get $n) (i32.load offset=${layout.FREGS_COUNT} (local.get $fregs))) (then
            (call $put (i64.load offset=${layout.FREGS_WORDS}
              (i32.add (local.get $fregs) (i32.shl (local.get $n) (i32.const 3)))))
            (local.set $n (i32.add (local.get $n) (i32.const 1)))
            (br $next)))))
      (func (export "entry") (param i32 i32 i32 i32) (result i32) (call $words (local.get 3)) (i32.const 1))
      (func (export "return") (param i32 i32 i32 i32) (result i32) (call $words (local.get 3)) (i32.const 0)))`;
    const seen: bigint[] = [];
    const module = new WebAssembly.Module(wat(text) as Uint8Array<ArrayBuffer>);
    const { exports } = new WebAssembly.Instance(module, {
      fprobe: tracer.engine,
      test: { put: (word: bigint) => void seen.push(word) },
    });
    const object = { f: (...args: unknown[]): unknown => args[0] };
    tracer.attachObject(object, { name: 'o' });
    const user = tracer.registerFgraph({ entry: exports.entry as never, return: exports.return as never });
    const double = (value: number) => new BigInt64Array(new Float64Array([value]).buffer)[0];
    const values = [
      -5,
      1.5,
      2 ** 53,
      -0,
      true,
      false,
      7n,
      -(2n ** 63n),
      2n ** 64n + 1n,
      'text',
      null,
      undefined,
      {},
      Number.NaN,
    ];
    const words = [
      -5n,
      double(1.5),
      double(2 ** 53),
      0n,
      1n,
      0n,
      7n,
      -(2n ** 63n),
      1n,
      0n,
      0n,
      0n,
      0n,
      double(Number.NaN),
    ];
    expect(object.f(...values)).toBe(-5);
    expect(object.f()).toBe(undefined);
    object.f(...Array.from({ length: 40 }, (_, n) => n + 1));
    const expected = [
      14n,
      ...words,
      1n,
      -5n,
      0n,
      1n,
      0n,
      32n,
      ...Array.from({ length: 32 }, (_, n) => BigInt(n + 1)),
      1n,
      1n,
    ];
    expect(seen).toEqual(expected);
    // Values go on to handlers in JavaScript, and words are no longer made when nobody is left to read them.
    user.unregister();
    const got: unknown[] = [];
    tracer.registerFgraph({ entry: (_, fregs) => got.push(fregs.argument(0)) > 0, return() {} });
    const big = { toString: () => assert.fail('looked at') };
    object.f(big);
    expect(got).toEqual([big]);
    expect(seen).toHaveLength(expected.length);
  });

  test('built into the engine are given words as well', async () => {
    const tracer = await start();
    const object = { f: (a: unknown, _?: unknown): unknown => a };
    tracer.attachObject(object, { name: 'o' });
    const plain = tracer.registerFprobe({ filter: 'o.f', entry: () => true, exit() {} });
    const argument = tracer.registerFprobe({ filter: 'o.f', builtin: { keep: 'last', of: 1, signed: true } });
    const values = () => [argument, result].map((probe) => probe.read()[0]?.values);
    object.f(1, -7);
    const result = tracer.registerFprobe({ filter: 'o.f', builtin: { keep: 'first', of: 'result' } });
    object.f(5, 6);
    object.f('text'); // no second argument: nothing of it is kept
    expect(values()).toEqual([
      [-7, 6],
      [5, 0],
    ]);
    expect(plain.hits).toBe(3);
    argument.unregister();
    object.f(8, 9);
    expect(values()).toEqual([
      [-7, 6],
      [5, 0, 8],
    ]);
  });
});

test('what tracing itself is made of can be traced', async () => {
  const module = new WebAssembly.Module(
    wat(`(module (func (export "h") (param i32 i32 i32 i32) (result i32) (i32.const 1)))`) as Uint8Array<ArrayBuffer>,
  );
  const objects = { Math, Number, Reflect, Object, JSON, Array: Array.prototype, Function: Function.prototype };
  const more = { WeakMap: WeakMap.prototype, Map: Map.prototype, DataView: DataView.prototype, performance };
  const work = () => {
    const list = [3, 1, 2].map((n) => Math.max(n, 1.5)).sort();
    const map = new Map([[1, Number.isInteger(2)]]);
    map.forEach((value, key) => {
      list.push(Number(value) + key);
    });
    new DataView(new ArrayBuffer(8)).setFloat64(0, 1);
    return JSON.stringify([
      list,
      Reflect.apply(String.prototype.at, 'abc', [1]),
      Object.keys({ a: 1 }),
      performance.now() > 0,
    ]);
  };
  const expected = work();
  for (const clock of ['counter', 'mono'] as const) {
    const tracer = await Tracer.create({ clock });
    const targets = Object.entries({ ...objects, ...more }).map(([name, object]) =>
      tracer.attachObject(object, { name, prototypes: name === 'performance' }),
    );
    const profile = tracer.startProfile();
    const { h } = new WebAssembly.Instance(module).exports;
    const users = [
      tracer.registerFgraph({ entry: h as never, return: h as never }),
      tracer.registerFgraph({ entry: (_, fregs) => Math.max(Number(fregs.argument(0) !== 0), 1) === 1, return() {} }),
    ];
    let seen: string;
    try {
      seen = work();
    } finally {
      for (const user of users) user.unregister();
      for (const target of targets) tracer.detach(target);
    }
    expect(seen).toBe(expected);
    expect(targets.flatMap(({ left }) => left)).toEqual([]);
    expect(tracer.frames()).toEqual([]);
    const called = profile.rows().map(({ name }) => name);
    const names = [
      'Math.max',
      'Array.push',
      'Map.forEach',
      'DataView.setFloat64',
      'JSON.stringify',
      'Reflect.apply',
      'performance.now',
    ];
    expect(called).toEqual(expect.arrayContaining(names));
  }
});
