// Filters of several users at once: of section H of spec/testcases.md what the API can express, under the numbers there, the
// start-up self tests of spec/fgraph.md §14 that section B does not have, and the rule of the union (§1.5) at random.

import { afterAll, describe, expect, test } from 'vitest';
import { ABI_GOPS_MASK } from '../assembly/layout.ts';
import { assembleText } from '../bench/shapes.ts';
import type { EngineExports } from '../src/engine.ts';
import { GraphTracer } from '../src/graph.ts';
import { type FgraphUser, Tracer } from '../src/index.ts';
import { Random, runSeed } from './assembly/engine.ts';
import { Manager } from './assembly/manager.ts';

type Func = (...args: unknown[]) => unknown;

const ELSEWHERE: readonly [cases: string, why: string][] = [
  ['H9, H26, H27', 'graph and profile beside each other: test/tracer.test.ts and test/target/programs.engine.test.ts'],
  ['H10, H11', 'return values: test/records.test.ts'],
  ['H12', 'globs alone: test/glob.test.ts'],
  ['H13 to H16', 'pid filters: test/pids.test.ts'],
  [
    'H17, H19 to H21, H30 to H37, H47, H50 to H52, H54 to H60',
    'commands, probe events and what files read back: control files',
  ],
  ['H18, H22', 'a tracer has one CPU'],
  ['H23 to H25', 'modules are what is loaded: filters hold for targets to come (test/ftrace.test.ts)'],
  [
    'H28, H29, H38 to H41, H46, H48, H53, H61 to H64',
    'how a filter is written into a file and read back: control files',
  ],
  ['H49', 'direct calls need a CPU’s trampolines'],
];

afterAll(() => {
  for (const [cases, why] of ELSEWHERE) console.log(`not here: ${cases} (${why})`);
});

const NAMES = [
  ...['tick', 'tick_nohz', 'schedule_timeout', 'sched_clock', 'resched_curr', 'mutex_lock', 'spin_unlock', 'lock_time'],
  ...['rcu_read_lock', 'rcu_core', 'time_get', 'clock_read', 'locks_clock', 'timeouts', 'vfs_read', 'nap'],
];

/// `outer` calls `all`, which calls each of the others once.
const PROGRAM = `(module
  ${NAMES.map((name) => `(func $${name})`).join('\n')}
  (func $all (export "all") ${NAMES.map((name) => `(call $${name})`).join(' ')})
  (func $outer (export "outer") (call $all)))`;

async function start() {
  const tracer = await Tracer.create({ clock: 'counter' });
  const { instance } = await tracer.instantiate(await assembleText('filters', PROGRAM));
  return { tracer, f: instance.exports as Record<string, Func> };
}

const ALL = [...NAMES, 'all', 'outer'];

const calls = (graph: GraphTracer): string[] =>
  Array.from(graph.read().matchAll(/^ 0\).*\| +([a-z_]+)\(\)/gm), ([, name]) => name);

const enabled = (tracer: Tracer): string[] => tracer.enabledFunctions().map(({ site }) => site.name);

const having = (...words: string[]): string[] => NAMES.filter((name) => words.some((word) => name.includes(word)));

describe('section H', () => {
  test('H1, H2: only what is filtered, whoever else comes and goes', async () => {
    const { tracer, f } = await start();
    const graph = tracer.startGraph({ filter: 'tick' });
    f.outer();
    expect(calls(graph)).toEqual(['tick']);
    const functions = tracer.startFunction();
    f.outer();
    expect(calls(graph)).toEqual(['tick', 'tick']);
    functions.close();
    f.outer();
    expect(calls(graph)).toEqual(['tick', 'tick', 'tick']);
  });

  test('H3: three instances and one without a filter', async () => {
    const { tracer, f } = await start();
    const graphs = ['*sched*', '*lock*', '*rcu*', undefined].map((filter) => tracer.startGraph({ filter }));
    f.outer();
    expect(graphs.map(calls)).toEqual([having('sched'), having('lock'), having('rcu'), ['outer', 'all', ...NAMES]]);
    graphs[1].unregister();
    f.outer();
    expect(calls(graphs[0])).toEqual([...having('sched'), ...having('sched')]);
    expect(calls(graphs[1])).toEqual(having('lock'));
  });

  test('H4 to H7: filter and notrace of two instances, in every order', async () => {
    const { tracer } = await start();
    const one = () => tracer.startGraph({ filter: '*sched*', notrace: '*time*' });
    const two = () => tracer.startGraph({ filter: '*lock*', notrace: '*clock*' });
    const n1 = ['sched_clock', 'resched_curr'];
    const n2 = ['mutex_lock', 'spin_unlock', 'lock_time', 'rcu_read_lock'];
    const n12 = NAMES.filter((name) => n1.includes(name) || n2.includes(name));
    const first = one();
    expect(enabled(tracer)).toEqual(n1); // H4
    const second = two();
    expect(enabled(tracer)).toEqual(n12);
    first.close();
    expect(enabled(tracer)).toEqual(n2); // H5
    second.close();
    expect(enabled(tracer)).toEqual([]); // H6
    const again = two();
    expect(enabled(tracer)).toEqual(n2);
    const other = one();
    expect(enabled(tracer)).toEqual(n12);
    again.close();
    expect(enabled(tracer)).toEqual(n1); // H7
    other.close();
  });

  test('H8: no filter, two notrace: their intersection is left out', async () => {
    const { tracer } = await start();
    tracer.startGraph({ notrace: '*locks*' });
    tracer.startGraph({ notrace: '*clock*' });
    expect(enabled(tracer)).toEqual(ALL.filter((name) => name !== 'locks_clock'));
  });

  test('the manager covers more than anybody wants where one has no filter (§1.5), and nobody is called there', async () => {
    const { tracer, f } = await start();
    const all = tracer.startGraph({ notrace: '*lock*' });
    expect(enabled(tracer)).toEqual(ALL.filter((name) => !name.includes('lock')));
    const one = tracer.startGraph({ filter: 'tick' });
    expect(enabled(tracer)).toEqual(ALL);
    f.outer();
    expect(calls(all)).toEqual(['outer', 'all', ...NAMES.filter((name) => !name.includes('lock'))]);
    expect(calls(one)).toEqual(['tick']);
    one.unregister();
    expect(enabled(tracer)).toEqual(ALL.filter((name) => !name.includes('lock')));
  });

  test('H42: in filter and in notrace: not traced', async () => {
    const { tracer, f } = await start();
    const heard: string[] = [];
    const graph = tracer.startGraph({ filter: ['tick', 'nap'], notrace: 'tick' });
    const user = tracer.registerFgraph({ filter: 'tick', notrace: 'tick', entry: ({ name }) => void heard.push(name) });
    const ops = tracer.registerFtrace({ filter: 'tick', notrace: 'tick', call: (ip) => void heard.push(String(ip)) });
    f.outer();
    expect([calls(graph), heard, user.matched, ops.matched]).toEqual([['nap'], [], 0, 0]);
    graph.setFilter('tick');
    expect(enabled(tracer)).toEqual([]); // and not everything
  });

  test('H43: max_graph_depth', async () => {
    const { tracer, f } = await start();
    const graph = tracer.startGraph();
    tracer.maxGraphDepth = 1;
    f.outer();
    expect(calls(graph)).toEqual(['outer']);
    graph.clear();
    tracer.maxGraphDepth = 2;
    f.outer();
    expect(calls(graph)).toEqual(['outer', 'all']);
    graph.clear();
    tracer.maxGraphDepth = 0;
    f.outer();
    expect(calls(graph)).toEqual(['outer', 'all', ...NAMES]);
  });

  test('H44: set_graph_function', async () => {
    const { tracer, f } = await start();
    const graph = tracer.startGraph();
    expect(tracer.setGraphFunction('all')).toBe(1);
    expect(tracer.graphFunction).toBe('all');
    f.outer();
    expect(calls(graph)).toEqual(['all', ...NAMES]);
    // Where the kernel refuses a name that nobody has, ours may still come: nothing starts a graph until then.
    expect(tracer.setGraphFunction('no_such')).toBe(0);
    expect(() => tracer.checkFilter({ filter: 'no_such' })).toThrow(/nothing matches 'no_such'/);
    graph.clear();
    f.outer();
    expect(calls(graph)).toEqual([]);
  });

  test('H45: tracing_thresh', async () => {
    const { tracer, f } = await start();
    // In events: `all` and `outer` take two for each function in them, the others one.
    const graph = tracer.startGraph({ threshold: 10 });
    f.outer();
    expect(graph.read()).toMatch(/\} \/\* all \*\/\n.*\} \/\* outer \*\/\n$/);
    expect(graph.read()).not.toMatch(/tick/);
  });
});

describe('start-up self tests', () => {
  test('the graph tracer: well formed, and not without end', async () => {
    const { tracer, f } = await start();
    const graph = tracer.startGraph({ bufferPages: 16 });
    let entries = 0;
    tracer.registerFgraph({ entry: () => entries++ < 100_000_000 });
    const until = performance.now() + 100;
    while (performance.now() < until) f.outer();
    expect(entries).toBeGreaterThan(0);
    expect(calls(graph).length).toBeGreaterThan(0);
    expect(tracer.counts()).toMatchObject({ unwound: 0, overrun: 0, stray: 0 });
  });

  test('the function tracer: one function filtered', async () => {
    const { tracer, f } = await start();
    const functions = tracer.startFunction({ filter: 'vfs_read' });
    const lines = () => functions.read().match(/: vfs_read <-/g)?.length ?? 0;
    expect(lines()).toBe(0);
    f.outer();
    expect(lines()).toBe(1);
  });

  test('activation 123 has no room; neither has what does not fit with its data', async () => {
    const tracer = await Tracer.create({ clock: 'counter', stackWords: 512 });
    const text = `(module (func $down (export "down") (param i32)
      (if (local.get 0) (then (call $down (i32.sub (local.get 0) (i32.const 1)))))))`;
    const { instance } = await tracer.instantiate(await assembleText('down', text));
    const { down } = instance.exports as Record<string, Func>;
    let returns = 0;
    const user: FgraphUser = tracer.registerFgraph({ return: () => void returns++ });
    down(199);
    expect([returns, tracer.counts().overrun]).toEqual([122, 78]);
    user.unregister();
    returns = 0;
    let refused = 0;
    const data: FgraphUser = tracer.registerFgraph({
      entry() {
        if (data.reserveData(8) !== null) return true;
        refused++;
        return false;
      },
      return: () => void returns++,
    });
    down(199);
    expect([returns, refused + returns + tracer.counts().overrun - 78]).toEqual([81, 200]);
    expect(tracer.frames()).toEqual([]);
  });

  test('kill with frames in flight: they end, no new one comes, ENODEV from then on', async () => {
    const { tracer, f } = await start();
    const heard: string[] = [];
    const texts = [tracer.startGraph({ filter: 'nap' }), tracer.startFunction({ filter: 'nap' })];
    const irqs = tracer.startLatency('irqsoff');
    const heads = () => [...texts, irqs].map((tracer) => tracer.read().split('\n').slice(2, 4));
    expect(heads().flat().join()).not.toMatch(/CORRUPTED/);
    const user = tracer.registerFgraph({
      filter: ['outer', 'all', 'nap'],
      entry(event) {
        heard.push(event.name);
        if (event.name === 'all') tracer.engine.kill();
      },
      return: (event) => void heard.push(`/${event.name}`),
    });
    f.outer();
    expect(heard).toEqual(['outer', 'all', '/all', '/outer']);
    f.outer();
    expect(heard.length).toBe(4);
    for (const begin of [
      () => tracer.registerFgraph({ entry: () => true }),
      () => tracer.registerFtrace({ call: () => {} }),
      () => tracer.startGraph(),
      () => tracer.startFunction(),
      () => tracer.startProfile(),
    ]) {
      expect(begin).toThrow(expect.objectContaining({ code: 'ENODEV' }));
    }
    user.unregister();
    expect(tracer.frames()).toEqual([]);
    const warning = ['# WARNING: FUNCTION TRACING IS CORRUPTED', '#          MAY BE MISSING FUNCTION EVENTS'];
    expect(heads()).toEqual([warning, warning, warning]); // §8
  });
});

test('the union, at random: calls are those of whoever is left, counts those of the manager', async () => {
  const random = new Random(runSeed('filters'));
  const { tracer, f } = await start();
  const globs = ['*sched*', '*lock*', '*time*', 't*', '*_*', 'nap', 'nothing', 'all', '[a-m]*', '*'];
  const choose = () =>
    random.oneIn(4) ? undefined : Array.from({ length: random.below(3) }, () => random.pick(globs));
  interface Mine {
    readonly client: { setFilter(f?: string[]): number; setNotrace(f?: string[]): number; unregister(): void };
    readonly isGraph: boolean;
    filter: string[] | undefined;
    notrace: string[] | undefined;
    heard: string[];
  }
  const mine = new Set<Mine>();
  const matcher = (patterns: readonly string[]) => {
    const tests = patterns.map((glob) => new RegExp(`^${glob.replaceAll('*', '.*')}$`));
    return (name: string) => tests.some((regexp) => regexp.test(name));
  };
  const wanted = ({ filter, notrace }: Mine) =>
    ALL.filter((name) => (!filter?.length || matcher(filter)(name)) && !matcher(notrace ?? [])(name)).sort();
  const nameOf = new Map(Array.from(tracer.targets, ({ sites }) => sites).flatMap((s) => s.map((x) => [x.ip, x.name])));

  for (let step = 0; step < 400; step++) {
    const one = mine.size > 0 ? random.pick([...mine]) : undefined;
    const action = random.below(5);
    if (!one || (action === 0 && mine.size < 16)) {
      const entry: Mine = {
        filter: choose(),
        notrace: choose(),
        heard: [],
        isGraph: random.oneIn(2),
        get client() {
          return client;
        },
      };
      const { filter, notrace } = entry;
      const client = entry.isGraph
        ? tracer.registerFgraph({ filter, notrace, entry: ({ name }) => void entry.heard.push(name) })
        : tracer.registerFtrace({
            filter,
            notrace,
            parents: false,
            call: (ip) => void entry.heard.push(nameOf.get(ip)!),
          });
      mine.add(entry);
    } else if (action === 1) {
      one.client.unregister();
      mine.delete(one);
    } else if (action === 2) {
      one.filter = choose();
      expect(one.client.setFilter(one.filter)).toBe(wanted(one).length);
    } else if (action === 3) {
      one.notrace = choose();
      expect(one.client.setNotrace(one.notrace)).toBe(wanted(one).length);
    }
    f.outer();
    for (const client of mine) {
      expect(client.heard.sort()).toEqual(wanted(client));
      client.heard = [];
    }
    const counts = new Map(tracer.enabledFunctions().map(({ site, count }) => [site.name, count]));
    const manager = new Manager<string>();
    const chosen = (globs: string[] | undefined) => (globs?.length ? ALL.filter(matcher(globs)) : undefined);
    for (const { isGraph, filter, notrace } of mine) if (isGraph) manager.add(chosen(filter), chosen(notrace));
    for (const name of ALL) {
      const ops = [...mine].filter((client) => !client.isGraph && wanted(client).includes(name));
      expect(counts.get(name) ?? 0).toBe(ops.length + (manager.has(name) ? 1 : 0));
    }
  }
});

describe('a filter is read once', () => {
  /// Says `first` when it is read for the first time, then `later`, or throws it.
  const fickle = (first: string, later: string | Error): string[] => {
    let reads = 0;
    return new Proxy([first], {
      get(items, key, receiver) {
        if (key !== '0') return Reflect.get(items, key, receiver);
        if (reads++ === 0) return first;
        if (later instanceof Error) throw later;
        return later;
      },
    });
  };

  test('an array that says something else each time', async () => {
    const { tracer, f } = await start();
    const heard: string[] = [];
    const user = tracer.registerFgraph({ filter: fickle('tick', 'nap'), entry: ({ name }) => void heard.push(name) });
    expect([user.filter, user.matched]).toEqual([['tick'], 1]);
    f.all();
    expect(user.setFilter(fickle('nap', 'tick'))).toBe(1);
    expect(user.filter).toEqual(['nap']);
    f.all();
    expect(user.setFilter(fickle('tick', new Error('read twice')))).toBe(1);
    expect(user.filter).toEqual(['tick']);
    f.all();
    expect(user.setNotrace(fickle('tick', 'nap'))).toBe(0);
    expect(user.notrace).toEqual(['tick']);
    f.all();
    expect(heard).toEqual(['tick', 'nap', 'tick']);
  });

  test('what a client shows of its filters is not a way to edit them', async () => {
    const { tracer } = await start();
    const graph = tracer.startGraph({ filter: ['tick'], notrace: ['nap'] });
    graph.setPids([1]);
    graph.setNotracePids([2]);
    for (const half of [graph.filter, graph.notrace, graph.pids, graph.notracePids] as unknown[][]) {
      expect(() => half.push('clock_read')).toThrow(TypeError);
    }
    expect(graph.setNotrace('rcu_core')).toBe(1);
    expect(graph.filter).toEqual(['tick']);
    expect([graph.setFilter(''), graph.setFilter([])]).toEqual([0, tracer.startProfile().matched - 1]);
  });
});

test.each(['startGraph', 'startProfile'] as const)(
  '%s: no memory for the filter alone leaves nothing behind',
  async (name) => {
    const { tracer } = await start();
    const { block_alloc: allocate, memory } = tracer.engine as EngineExports;
    const begin = () =>
      name === 'startGraph'
        ? tracer.startGraph({ filter: 'tick', bufferPages: 1 })
        : tracer.startProfile({ filter: 'tick' });
    const first = begin();
    for (let size = 2 ** 30; size >= 1; ) if (allocate(size) === 0) size /= 2;
    // Gives back room for all that it needs, of which the filter's is taken.
    if (first instanceof GraphTracer) first.close();
    else first.unregister();
    while (allocate(1) !== 0);
    for (let again = 0; again < 3; again++) {
      expect(begin).toThrow('cannot set a filter (ENOMEM)');
      expect(new DataView(memory.buffer).getUint32(ABI_GOPS_MASK, true)).toBe(0);
    }
  },
);
