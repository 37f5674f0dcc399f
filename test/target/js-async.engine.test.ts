// Calls that are not over when they return: promises that settle later, generators that run when they are resumed.

import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import { Tracer } from '../../src/tracer.ts';
import { Random } from '../random-program.ts';

const create = (): Promise<Tracer> => Tracer.create({ clock: 'counter' });

/// Registers a user that writes down what he sees.
function listen(tracer: Tracer): string[] {
  const seen: string[] = [];
  tracer.registerFgraph({
    entry: (event, fregs) => seen.push(`${event.name}(${String(fregs.argument(0))})`) > 0,
    return: (event, fregs) => void seen.push(`${event.name} = ${String(fregs.returnValue())}`),
  });
  return seen;
}

const names = (tracer: Tracer): string[] => tracer.frames().map(({ name }) => name);

describe('settle', () => {
  test('a call returns when its promise settles, others come and go meanwhile', async () => {
    const tracer = await create();
    let resolve!: (value: string) => void;
    const gate = new Promise<string>((yes) => {
      resolve = yes;
    });
    const object = {
      async load(key: string): Promise<string> {
        object.leaf(key);
        const value = await gate;
        object.leaf(value);
        return `${key} ${value}`;
      },
      leaf: (_: string) => names(tracer).join(),
      plain: (n: number) => n,
    };
    const { load } = object;
    tracer.attachObject(object, { name: 'o', settle: true });
    const seen = listen(tracer);
    const first = object.load('a');
    expect(object.plain(1)).toBe(1);
    const second = object.load('b');
    expect(names(tracer)).toEqual([]);
    resolve('now');
    expect(await Promise.all([first, second])).toEqual(['a now', 'b now']);
    expect(first).toBeInstanceOf(Promise);
    expect(seen).toEqual([
      'o.load(a)',
      'o.leaf(a)',
      'o.leaf = o.leaf',
      'o.plain(1)',
      'o.plain = 1',
      'o.load(b)',
      'o.leaf(b)',
      'o.leaf = o.leaf',
      'o.leaf(now)',
      'o.leaf = o.leaf',
      'o.leaf(now)',
      'o.leaf = o.leaf',
      'o.load = a now',
      'o.load = b now',
    ]);
    expect(await load.call(object, 'c')).toBe('c now');
  });

  test('rejections and errors are unwound, and what is no promise returns at once', async () => {
    const tracer = await create();
    const reason = new Error('rejected');
    const made = {
      async rejects() {
        await null;
        throw reason;
      },
      throws() {
        throw reason;
      },
      // biome-ignore lint/suspicious/noThenProperty: what looks like a promise is none
      thenable: () => ({ then: () => {} }),
      sub: () => new (class Sub extends Promise<number> {})((yes) => yes(1)),
      promise: () => Promise.resolve(2),
    };
    const wrap = <F extends (...args: never[]) => unknown>(name: string, fn: F) =>
      tracer.wrap(fn, `o.${name}`, { settle: true });
    const object = Object.fromEntries(Object.entries(made).map(([name, fn]) => [name, wrap(name, fn)])) as typeof made;
    const profile = tracer.startProfile();
    const seen = listen(tracer);
    await expect(object.rejects()).rejects.toBe(reason);
    expect(() => object.throws()).toThrow(reason);
    expect(typeof object.thenable().then).toBe('function');
    const promise = object.sub();
    expect(promise.constructor.name).toBe('Sub');
    expect(seen.slice(0, 6)).toEqual([
      'o.rejects(undefined)',
      'o.throws(undefined)',
      'o.thenable(undefined)',
      'o.thenable = [object Object]',
      'o.sub(undefined)',
      'o.sub = [object Promise]',
    ]);
    expect(await promise).toBe(1);
    expect(await object.promise()).toBe(2);
    expect(seen.slice(6)).toEqual(['o.promise(undefined)', 'o.promise = 2']);
    expect(
      profile
        .rows()
        .map(({ name, count }) => [name, count])
        .sort(),
    ).toEqual([
      ['o.promise', 1],
      ['o.rejects', 1],
      ['o.sub', 1],
      ['o.thenable', 1],
      ['o.throws', 1],
    ]);
    expect(tracer.frames()).toEqual([]);
  });

  test('hundreds at a time, in random order, while users come and go', async () => {
    const tracer = await create();
    const rng = new Random(5);
    let open = 0;
    const object = {
      async work(depth: number): Promise<number> {
        open++;
        object.leaf();
        if (rng.chance(50)) await sleep(rng.below(4));
        else await null;
        const below = depth > 0 ? await Promise.all([object.work(depth - 1), object.wait(rng.below(3))]) : [0];
        if (rng.chance(5)) await Promise.reject(new Error('now and then')).catch(() => {});
        open--;
        return below[0] + 1;
      },
      wait: async (ms: number) => sleep(ms, ms),
      leaf: () => tracer.frames().length,
      fails: async () => {
        await sleep(1);
        throw new Error('always');
      },
    };
    const target = tracer.attachObject(object, { name: 'o', settle: true });
    const profile = tracer.startProfile();
    const user = tracer.registerFgraph({ entry: () => true, return() {} });
    const calls: Promise<unknown>[] = [];
    for (let n = 0; n < 300; n++) {
      calls.push(
        object.work(3),
        object.fails().catch(({ message }: Error) => message),
      );
      if (n % 10 === 0) await null;
      if (n === 150) user.unregister();
    }
    const results = await Promise.all(calls);
    expect(new Set(results)).toEqual(new Set([4, 'always']));
    expect(open).toBe(0);
    const counts = Object.fromEntries(profile.rows().map(({ name, count }) => [name, count]));
    expect(counts).toEqual({ 'o.work': 1200, 'o.wait': 900, 'o.leaf': 1200, 'o.fails': 300 });
    expect(tracer.frames()).toEqual([]);
    expect(tracer.counts()).toMatchObject({ entries: 1200, returns: 1200, unwound: 0, stray: 0 }); // of the leaves
    tracer.detach(target);
  });

  test('pending calls outlive their user, their target and their promise', async () => {
    const tracer = await create();
    setFlagsFromString('--expose-gc');
    const gc = runInNewContext('gc') as () => void;
    let resolve!: (value: number) => void;
    const object = {
      async never() {
        await new Promise(() => {});
      },
      async later() {
        return new Promise<number>((yes) => {
          resolve = yes;
        });
      },
    };
    const target = tracer.attachObject(object, { name: 'o', settle: true });
    const profile = tracer.startProfile({ filter: 'o.never' });
    const user = tracer.registerFgraph({ filter: 'o.later', entry: () => true, return() {} });
    for (let n = 0; n < 10; n++) object.never();
    const later = object.later();
    user.unregister();
    for (let round = 0; round < 100 && (profile.rows()[0]?.count ?? 0) < 10; round++) {
      gc();
      await sleep(5);
    }
    expect(profile.rows().map(({ name, count }) => [name, count])).toEqual([['o.never', 10]]);
    tracer.detach(target);
    resolve(5);
    expect(await later).toBe(5);
    expect(tracer.frames()).toEqual([]);
  });

  test('the graph shows such calls as they are without it', async () => {
    const tracer = await create();
    const object = { load: async () => object.leaf(), leaf: () => 1 };
    tracer.attachObject(object, { name: 'o', settle: true });
    const graph = tracer.startGraph();
    await object.load();
    expect(graph.read({ cpu: false, duration: false })).toContain('o.load() {\n  o.leaf();\n}\n');
  });
});

describe('resume', () => {
  const make = () => {
    const object = {
      *items(n: number): Generator<number, string, unknown> {
        try {
          for (let i = 0; i < n; i++) yield object.leaf(i);
        } catch (error) {
          yield -1;
          throw error;
        }
        return 'done';
      },
      async *later(n: number) {
        for (let i = 0; i < n; i++) yield object.leaf(i);
      },
      leaf: (i: number) => i,
    };
    return object;
  };

  test('the body of a generator runs when somebody takes the next value', async () => {
    const tracer = await create();
    const object = make();
    const { items } = object;
    const before = Reflect.ownKeys(items.prototype);
    const target = tracer.attachObject(object, { name: 'o', resume: true });
    expect(target.sites.map(({ name }) => name)).toEqual([
      'o.items',
      'o.items.next',
      'o.items.return',
      'o.items.throw',
      'o.later',
      'o.later.next',
      'o.later.return',
      'o.later.throw',
      'o.leaf',
    ]);
    const graph = tracer.startGraph();
    expect([...object.items(1)]).toEqual([0]);
    const generator = object.items(5);
    const error = new Error('thrown in');
    expect([generator.next(), generator.throw(error)]).toEqual([
      { value: 0, done: false },
      { value: -1, done: false },
    ]);
    expect(() => generator.next()).toThrow(error);
    for (const _ of object.items(3)) break;
    expect(graph.read({ cpu: false, duration: false }).split('\n').slice(4)).toEqual([
      'o.items();',
      'o.items.next() {',
      '  o.leaf();',
      '}',
      'o.items.next();',
      'o.items();',
      'o.items.next() {',
      '  o.leaf();',
      '}',
      'o.items.throw();',
      'o.items.next(); /* unwound */',
      'o.items();',
      'o.items.next() {',
      '  o.leaf();',
      '}',
      'o.items.return();',
      '',
    ]);
    tracer.detach(target);
    expect(target.left).toEqual([]);
    expect(object.items).toBe(items);
    expect(Reflect.ownKeys(items.prototype)).toEqual(before);
  });

  test('together with settle, of generators that await', async () => {
    const tracer = await create();
    const object = make();
    tracer.attachObject(object, { name: 'o', resume: true, settle: true });
    const seen = listen(tracer);
    const values: number[] = [];
    for await (const value of object.later(2)) values.push(value);
    expect(values).toEqual([0, 1]);
    expect(seen).toEqual([
      'o.later(2)',
      'o.later = [object AsyncGenerator]',
      'o.later.next(undefined)',
      'o.leaf(0)',
      'o.leaf = 0',
      'o.later.next = [object Object]',
      'o.later.next(undefined)',
      'o.leaf(1)',
      'o.leaf = 1',
      'o.later.next = [object Object]',
      'o.later.next(undefined)',
      'o.later.next = [object Object]',
    ]);
  });

  test('of a wrapped generator function', async () => {
    const tracer = await create();
    const items = tracer.wrap(make().items, 'items', { resume: true });
    const profile = tracer.startProfile();
    expect([...items(2)]).toEqual([0, 1]);
    expect(profile.rows().map(({ name, count }) => [name, count])).toEqual([
      ['items.next', 3],
      ['items', 1],
    ]);
  });
});
