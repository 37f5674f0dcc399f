// Random programs of random objects and classes, three copies of each: two untouched, one traced, with users that come and go
// and targets that are attached and detached meanwhile. All three have to see, return and throw the same, and the shadow stack
// has to be the stack of the functions that run.

import { expect, test } from 'vitest';
import type { JsTarget } from '../../src/index.ts';
import { Tracer } from '../../src/tracer.ts';
import { type Copy, makeCopy, randomObjects } from '../random-objects.ts';
import { Random } from '../random-program.ts';
import { Nesting } from './events.ts';

const PROGRAMS = 100;
const OPERATIONS = 60;

/// One operation on a copy, written so that it needs nothing of the copy but what is passed.
type Operation = (copy: Copy) => unknown;

const KEYS = ['m0', 'm1', 'm2', 'm3', 'm4', 'acc', 'own', 'toString'];

function operation(rng: Random): Operation {
  const pick = <T>(list: readonly T[]): T => list[rng.below(list.length)];
  const budget = 1 + rng.below(60);
  const dives = rng.chance(10);
  const key = pick(KEYS);
  const name = pick(['A', 'B', 'F'] as const);
  const other = pick(['A', 'B', 'F'] as const);
  const self = pick([undefined, null, 5, 'text', {}]);
  const args = Array.from({ length: rng.below(4) }, () => pick([1, 'x', undefined, [], true]));
  const which = pick(['o', 'b', 'ns'] as const);
  type Fn = (...args: unknown[]) => unknown;
  type Class = new (...args: unknown[]) => object;
  const operations: Operation[] = [
    (copy) => (copy[which][key] as Fn | undefined)?.(...args),
    (copy) => Reflect.apply((copy[which][key] ?? copy.ns.f) as Fn, self, args),
    (copy) => new (copy.ns[name] as Class)(...args),
    (copy) => Reflect.construct(copy.ns[name] as Class, args, copy.ns[other] as Class),
    (copy) => {
      class Sub extends (copy.ns[name] as Class) {}
      const instance = new Sub(...args) as Record<string, Fn | undefined>;
      return [
        instance instanceof (copy.ns[name] as Class),
        copy.kind(instance),
        copy.kind(instance[key]?.(...args)),
      ].join();
    },
    (copy) => (copy.ns[name] as Fn)(...args),
    (copy) => (copy.ns[name] as Record<string, Fn>).s0(...args),
    (copy) => new (copy[which][key] as Class)(...args),
    (copy) => Object.keys(copy[which]).join(),
    (copy) => {
      const { configurable, enumerable, writable } = Object.getOwnPropertyDescriptor(copy[which], key) ?? {};
      return [configurable, enumerable, writable].join();
    },
    (copy) => {
      const fn = copy[which][key];
      if (typeof fn !== 'function') return typeof fn;
      return [fn.name, fn.length, String(fn), Reflect.ownKeys(fn).map(String), 'prototype' in fn].join();
    },
    (copy) => {
      (copy.ns.A as { held: { n: number }; n: number }).held.n++;
      (copy.ns.A as { n: number }).n = (copy.ns.A as { held: { n: number } }).held.n;
      return Object.entries(copy.ns.A as object)
        .map(([k, v]) => k + copy.kind(v))
        .join();
    },
    (copy) => (dives ? (copy.o.deep as Fn)(0) : 'no dive'),
    (copy) => {
      copy.o.acc = 5;
      return copy.o.acc;
    },
    (copy) => [...(copy.o.gen as (n: number) => Iterable<number>)(3)].join(),
  ];
  const run = pick(operations);
  return (copy) => {
    copy.setBudget(budget);
    return run(copy);
  };
}

/// What an operation did, in words.
function outcome(copy: Copy, run: Operation): string {
  try {
    const result = run(copy);
    if (result instanceof Promise) {
      result.catch(() => {});
      return 'a promise';
    }
    return `returned ${copy.kind(result)}`;
  } catch (error) {
    return error instanceof RangeError ? 'out of stack' : `threw ${copy.kind(error)}`;
  }
}

const descriptors = (copy: Copy): unknown[] => {
  const { A, B } = copy.ns as Record<string, { prototype: object }>;
  const objects = [copy.ns, copy.o, copy.b, A, B, A.prototype, B.prototype];
  return objects.map((object) => Object.getOwnPropertyDescriptors(object));
};

function attachAll(tracer: Tracer, copy: Copy): JsTarget[] {
  const { A, B } = copy.ns as Record<string, object>;
  return [
    tracer.attachObject(A, { name: 'A' }),
    tracer.attachObject(B, { name: 'B' }),
    tracer.attachObject(copy.ns, { name: 'ns' }),
    tracer.attachObject(copy.o, { name: 'o', prototypes: true }),
    tracer.attachObject(copy.b, { name: 'b', prototypes: true }),
  ];
}

/// What does not tell that it runs.
const QUIET = new Set(['A', 'B', 'F', 'gen', 'deep', 'own']);

/// `o.m1` → m1, `b.A.acc.get` → acc, `o[Symbol(sym)]` → Symbol(sym). The bound function is a name for `f`.
function keyOf(name: string): string {
  const key = /\[(.*)\]$/.exec(name)?.[1] ?? name.replace(/\.[gs]et$/, '').replace(/^.*\./, '');
  return key === 'bound' ? 'f' : key;
}

/// Whether every function that tells is traced.
const isComplete = ({ notrace }: JsTarget): boolean =>
  notrace.every(({ reason }) => /^(constructor|traced as)/.test(reason));

test('traced and untouched copies see the same', async () => {
  const tally = { operations: 0, compared: 0, entries: 0, unwound: 0, words: 0 };
  for (let seed = 1; seed <= PROGRAMS; seed++) {
    const rng = new Random(seed);
    const text = randomObjects(rng);
    const logs: string[][] = [[], [], []];
    const tracer = await Tracer.create({ clock: 'counter' });
    let watched = false;
    const running: string[] = [];
    const compare = (): void => {
      if (!watched) return;
      const frames = tracer.frames().map(({ name }) => keyOf(name));
      expect(
        frames.filter((key) => !QUIET.has(key)),
        `seed ${seed}`,
      ).toEqual(running.toReversed());
      tally.compared++;
    };
    const copies = logs.map((log, k) =>
      makeCopy(text, seed, {
        log: (...words) => void log.push(words.map(String).join(' ')),
        begin: (key) => {
          if (k !== 0) return;
          running.push(key);
          compare();
        },
        end: () => {
          if (k !== 0) return;
          compare();
          running.pop();
        },
      }),
    );
    const [traced] = copies;
    const before = descriptors(traced);
    let targets = attachAll(tracer, traced);
    const graph = tracer.startGraph({ bufferPages: 256 });
    const nest = new Nesting(true);
    const user = rng.chance(30)
      ? tracer.registerFgraph({ entry: (_, fregs) => fregs.argument(0) !== 1, return() {} })
      : undefined;
    for (let k = 0; k < OPERATIONS; k++) {
      if (rng.chance(6)) {
        if (targets.length === 0) {
          targets = attachAll(tracer, traced);
        } else {
          for (const target of targets.toReversed()) tracer.detach(target);
          // Programs assign to `acc`, where no accessor takes it.
          const left = targets.flatMap(({ left }) => left).map(({ name }) => keyOf(name));
          expect(left.filter((key) => key !== 'acc')).toEqual([]);
          targets = [];
        }
      }
      if (rng.chance(5)) graph.on = !graph.on;
      watched = graph.on && targets.length > 0 && targets.every(isComplete);
      const run = operation(rng);
      const [mine, ...others] = copies.map((copy) => outcome(copy, run));
      expect(others, `seed ${seed}, operation ${k}`).toEqual([mine, mine]);
      expect(running).toEqual([]);
      graph.pages((batch) => nest.page(batch), true);
      expect(nest.complaint, `seed ${seed}, operation ${k}`).toBeUndefined();
      tally.operations++;
    }
    expect(logs[0], `seed ${seed}`).toEqual(logs[1]);
    expect(logs[1]).toEqual(logs[2]);
    expect(tracer.frames()).toEqual([]);
    const { entries, returns, unwound, stray } = tracer.counts();
    expect([entries, stray]).toEqual([returns + unwound, 0]);
    user?.unregister();
    for (const target of targets.toReversed()) tracer.detach(target);
    const after = descriptors(traced) as Record<string, PropertyDescriptor>[];
    (before as Record<string, PropertyDescriptor>[]).forEach((holder, n) => {
      for (const key of Reflect.ownKeys(holder) as string[]) {
        if (key === 'n') continue;
        for (const field of ['value', 'get', 'set', 'writable', 'enumerable', 'configurable'] as const) {
          expect(after[n][key][field]).toBe(holder[key][field]);
        }
      }
    });
    tally.entries += entries;
    tally.unwound += unwound;
    tally.words += logs[0].length;
  }
  console.log(
    `${PROGRAMS} programs, ${tally.operations} operations, ${tally.words} log lines, ${tally.entries} entries, ` +
      `${tally.unwound} unwound, ${tally.compared} stacks compared: no difference`,
  );
  expect(tally.compared).toBeGreaterThan(4000);
  expect(tally.unwound).toBeGreaterThan(1000);
});
