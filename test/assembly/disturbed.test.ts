// A handler may call any export before it returns. One word says that nothing of what it did disturbed the activation that it
// was called for (assembly/short.ts); so whatever changes something that an activation in hand goes by has to clear that word.
// Here every export that there is, by the list of the instance, is called from inside handlers of every kind. What changed is
// looked up in memory, and how the activation then ends is compared with an engine that takes the general path only.

import { expect, test } from 'vitest';
import * as fprobeLayout from '../../assembly/fprobe/layout.ts';
import * as layout from '../../assembly/layout.ts';
import * as ringLayout from '../../assembly/ring-layout.ts';
import type { Engine } from '../../src/engine.ts';
import { freshEngine, Random, runSeed } from './engine.ts';
import { register, registered, request } from './fprobe.ts';
import { checkAll, ringsOf, tasksOf } from './invariants.ts';

type Values = readonly (number | bigint)[];

/// Sites 0 … 4: two users with handlers and a graph between them; one probe; two probes; plain ops; a profile user alone.
const [USERS, PROBE, PROBES, OPS, QUIET] = [0, 1, 2, 3, 4];
const SITES = 5;
const PAIR = 9; // id of both handlers of each pair: entry, and the exit's is one more

class World {
  readonly engine: Engine;
  readonly log: string[] = [];
  /// The next handler calls this, once.
  action: (() => void) | undefined;
  /// The frame that was on the stack before.
  outer = 0;
  second = 0;
  tasks: number[] = [];
  ring = 0;
  free = 0;
  users: number[] = [];
  ops = 0;
  probes: bigint[] = [];

  /// False: all takes the general path.
  readonly isShort: boolean;

  constructor(engine: Engine, isShort: boolean) {
    this.engine = engine;
    this.isShort = isShort;
  }

  static async make(isShort: boolean): Promise<World> {
    const engine = await freshEngine({
      call(handler, index, site, frame) {
        world.log.push(`${handler} of ${index} at ${site}, ${frame}`);
        const { action } = world;
        world.action = undefined;
        action?.();
        return handler % 2; // of an entry handler of a probe 0 asks for the exit
      },
    });
    const world = new World(engine, isShort);
    const { exports } = engine;
    exports.direct_set(isShort ? 1 : 0);
    engine.addSites(SITES);
    world.second = engine.createTask(512);
    world.tasks = tasksOf(engine);
    world.ring = engine.createRing(1, ringLayout.RING_OVERWRITE);
    world.free = engine.createRing(1, ringLayout.RING_OVERWRITE);
    world.users = [
      engine.registerFgraph(layout.GOPS_HOST, PAIR, PAIR + 1, 0),
      engine.registerFgraph(layout.GOPS_GRAPH, 0, 0, world.ring),
      engine.registerFgraph(layout.GOPS_HOST, PAIR, PAIR + 1, 0),
      engine.registerFgraph(layout.GOPS_PROFILE, 0, 0, 0),
    ];
    for (const user of world.users.slice(0, 3)) exports.site_want(USERS, user, 1);
    exports.site_want(QUIET, world.users[3], 1);
    world.ops = exports.ops_register(layout.OPS_HOST, PAIR, 0);
    exports.site_want(OPS, world.ops, 1);
    exports.site_want(OPS, exports.ops_register(layout.OPS_HOST, PAIR, 0), 1);
    for (const sites of [[PROBE, PROBES], [PROBES]]) {
      world.probes.push(register(engine, { entry: PAIR + 1, exit: PAIR + 1, size: 8 }, sites));
    }
    // Every way has been gone once, and a frame is on the stack.
    for (const site of [USERS, PROBE, PROBES, OPS]) world.pass(site);
    world.outer = exports.enter(QUIET);
    world.pass(PROBE);
    world.pass(USERS);
    return world;
  }

  pass(site: number): void {
    const { enter, leave } = this.engine.exports;
    const cookie = enter(site);
    if (cookie !== 0) leave(cookie);
  }

  call(name: string, values: Values): unknown {
    return (this.engine.exports as unknown as Record<string, (...values: Values) => unknown>)[name](...values);
  }

  /// Everything that an activation in hand goes by. Data above its frame are the business of whoever keeps them.
  state(): string {
    const { memory, exports } = this.engine;
    const words: unknown[] = [exports.task_current(), memory.load64(layout.ABI_COUNTER)];
    const { ABI_SITES, ABI_DEAD, ABI_DISABLED, ABI_CLOCK, ABI_GOPS_MASK, ABI_CALLING_MASK, ABI_TIMED_MASK } = layout;
    for (const at of [ABI_SITES, ABI_DEAD, ABI_DISABLED, ABI_CLOCK, ABI_GOPS_MASK, ABI_CALLING_MASK, ABI_TIMED_MASK]) {
      words.push(memory.load32(at));
    }
    const { ABI_GRAPH_FILTER, ABI_GRAPH_NOTRACE, ABI_GRAPH_DEPTH } = layout;
    for (const at of [ABI_GRAPH_FILTER, ABI_GRAPH_NOTRACE, ABI_GRAPH_DEPTH]) words.push(memory.load32(at));
    for (let user = 0; user < 16; user++) {
      const gops = layout.ABI_GOPS + user * layout.GOPS_SIZE;
      for (let at = 0; at < layout.GOPS_THRESHOLD; at += 4) words.push(memory.load32(gops + at));
    }
    const sites = memory.load32(ABI_SITES);
    for (let site = sites; site < sites + SITES * layout.SITE_SIZE; site += layout.SITE_SIZE) {
      const { SITE_USERS, SITE_OPS, SITE_NODE, SITE_PROBE, SITE_LOCATION } = layout;
      const about = [SITE_USERS, SITE_OPS, SITE_NODE, SITE_PROBE, SITE_LOCATION];
      for (const at of about) words.push(memory.load32(site + at));
      const list = memory.load32(site + SITE_OPS);
      for (let k = 0; k < memory.load32(list + layout.LIST_COUNT); k++) {
        words.push(memory.load32(list + layout.LIST_SLOTS + 4 * k));
      }
    }
    for (const task of tasksOf(this.engine)) {
      if (!this.tasks.includes(task)) continue; // one more is nobody's business
      const { TASK_BASE, TASK_DEPTH, TASK_RECURSION, TASK_PAUSE, TASK_CONTEXT } = layout;
      for (const at of [TASK_BASE, TASK_DEPTH, TASK_RECURSION, TASK_PAUSE, TASK_CONTEXT]) {
        words.push(memory.load32(task + at));
      }
      for (const { base } of memory.frames(task)) {
        words.push(base, memory.load32(base + layout.FRAME_BITMAP), memory.load32(base + layout.FRAME_SITE));
      }
      for (let user = 0; user < 4; user++) {
        words.push(memory.load32(memory.load32(task + layout.TASK_LIMIT) + (4 + user) * layout.WORD_SIZE));
      }
    }
    return JSON.stringify(words);
  }

  /// How things stand when nothing is under way: `state`, and what everybody counted.
  result(): string {
    const { memory, exports } = this.engine;
    exports.sync();
    checkAll(this.engine);
    const counts = tasksOf(this.engine).map((task) => [memory.counts(task), memory.load32(task)]);
    const probes = [...registered(this.engine)].map((probe) => [
      memory.load64(probe + fprobeLayout.FPROBE_HITS),
      memory.load64(probe + fprobeLayout.FPROBE_NMISSED),
      memory.load32(probe + fprobeLayout.FPROBE_RECURSION),
    ]);
    const rings = ringsOf(this.engine).map((ring) => memory.load32(ring + ringLayout.RING_WRITE));
    return JSON.stringify([this.state(), counts, probes, rings]);
  }
}

const long = (count: number): bigint[] => Array.from({ length: count }, (_, k) => BigInt(k));

/// Those that disturb, called in a way that does.
const DISTURBING: Record<string, (world: World) => Values> = {
  enter: () => [QUIET],
  enter_call: ({ engine }) => [engine.exports.task_current(), QUIET, ...long(4)],
  leave_call: ({ engine, outer }) => [engine.exports.task_current(), outer, 1n],
  leave: ({ outer }) => [outer],
  leave_value: ({ outer }) => [outer, 1n],
  restore: ({ outer }) => [outer],
  kill: () => [],
  ftrace_enable: () => [0],
  direct_set: () => [0],
  task_switch: ({ second }) => [second],
  task_context: () => [layout.CONTEXT_IRQ],
  task_pause: ({ engine }) => [engine.exports.task_current(), 1],
  task_ignore: ({ engine }) => [engine.exports.task_current(), -1],
  task_reset: ({ engine }) => [engine.exports.task_current()],
  task_free: ({ second }) => [second],
  graph_depth: () => [1],
  graph_filter: () => [1],
  graph_site: () => [USERS, 1, 1],
  graph_options: ({ users }) => [users[1], layout.GRAPH_SKIP_IRQS, 0],
  graph_set_ring: ({ users, engine }) => [users[1], engine.exports.task_current(), 0],
  fgraph_register: () => [layout.GOPS_PROFILE, 0, 0, 0],
  fgraph_unregister: ({ users }) => [users[2]],
  site_want: ({ users }) => [USERS, users[2], 0],
  site_notrace: ({ users }) => [USERS, users[2], 1],
  filter_set: ({ users }) => [users[2], 0, 0, 0, -1],
  site_add: () => [1000],
  ops_register: () => [layout.OPS_HOST, PAIR, 0],
  ops_unregister: ({ ops }) => [ops],
  fprobe_register: ({ engine }) => {
    request(engine, { entry: PAIR + 1, exit: PAIR + 1 }, [PROBE]);
    return [1];
  },
  fprobe_unregister: ({ probes }) => [probes[0]],
  site_unload: () => [USERS, SITES],
  ...Object.fromEntries(Array.from({ length: 16 }, (_, k) => [`enter_${k + 1}`, () => [QUIET, ...long(k + 1)]])),
};

/// Of those that disturb, some that change nothing which `state` knows.
const UNSEEN = new Set(['direct_set', 'ops_register', 'task_free', 'task_ignore']);

/// Those that never do, however they are called; or, like `clock_set`, not while a handler runs.
const HARMLESS: Record<string, (world: World) => Values> = {
  heap_base: () => [],
  sync: () => [],
  save: () => [],
  word: () => [3, 4n],
  clock_now: () => [],
  clock_set: () => [layout.CLOCK_MONO],
  task_create: () => [64],
  task_current: () => [],
  task_frame: ({ second }) => [second, 0],
  frame_real: ({ second }) => [second, 0, 1n, 2n],
  site_set_ip: () => [USERS, 5, 6],
  stats_clear: ({ users }) => [users[3]],
  reserve: ({ users }) => [users[0], 8],
  retrieve: ({ users }) => [users[0]],
  retrieve_size: ({ users }) => [users[0]],
  retrieve_parent: ({ users }) => [users[0], 1],
  retrieve_parent_size: ({ users }) => [users[0], 1],
  retrieve_word: ({ users }) => [users[0], 1],
  task_variable: ({ users }) => [users[0]],
  block_alloc: () => [100],
  block_free: () => [0],
  ring_clear: ({ ring }) => [ring],
  ring_consume: ({ ring }) => [ring, 0],
  ring_create: () => [1, 0],
  ring_free: ({ free }) => [free],
  ring_on: ({ ring }) => [ring, 0],
  ring_read: ({ ring }) => [ring, 0],
  ring_wait: ({ ring }) => [ring],
  fprobe_clear: ({ probes }) => [probes[0]],
  fprobe_enable: ({ probes }) => [probes[0], 0],
  fprobe_record: ({ probes }) => [probes[0]],
  fprobe_request: () => [1],
  fprobe_site: () => [1, 0],
  fprobe_drain: () => [],
};

const BIG = /^enter_|^leave_value|^leave_call|^word|^frame_real|^fprobe_(unregister|enable|record|clear)$/;

/// Calls handlers of `site`, one of which does `act`, at the entry or at the return; then twice more, without. `serial`: the last
/// number that a lock got before that one, if it is to be another than it is.
async function play(
  isShort: boolean,
  site: number,
  atReturn: boolean,
  act: (world: World) => void,
  serial?: number,
): Promise<World> {
  const world = await World.make(isShort);
  const { exports, memory } = world.engine;
  const begin = (): void => {
    world.action = () => act(world);
    if (serial !== undefined) memory.store32(layout.ABI_SERIAL, serial);
  };
  if (!atReturn) begin();
  const cookie = exports.enter(site);
  if (atReturn) begin();
  world.log.push(`cookie ${cookie}`);
  exports.leave(cookie);
  for (const again of [site, site, QUIET]) world.pass(again);
  return world;
}

const WAYS = [
  ['users', USERS, false],
  ['users at return', USERS, true],
  ['a probe', PROBE, false],
  ['a probe at return', PROBE, true],
  ['two probes', PROBES, false],
  ['two probes at return', PROBES, true],
  ['plain ops', OPS, false],
] as const;

const names = Object.keys((await freshEngine()).exports).filter((name) => name !== 'memory' && name !== 'table');

test('of every export it is known whether it disturbs', () => {
  expect([...Object.keys(DISTURBING), ...Object.keys(HARMLESS)].sort()).toEqual(names.sort());
});

/// The largest number of a lock, after which they begin anew.
const LAST = 0xffffffff;

test.each([...WAYS.map((way) => [...way, undefined] as const), ...WAYS.map((way) => [...way, LAST] as const)])(
  'in a handler of %s: what disturbs is noticed, and all ends as on the general path (%j, %j, numbers of locks after %s)',
  async (_, site, atReturn, serial) => {
    for (const name of names) {
      const values = DISTURBING[name] ?? HARMLESS[name];
      let called = 0;
      let noticed = false;
      const act = (world: World): void => {
        const { memory, exports } = world.engine;
        const task = exports.task_current();
        const number = memory.load32(task + layout.TASK_SHORT);
        const chosen = values(world);
        const before = world.state();
        world.log.push(String(world.call(name, chosen)));
        if (!world.isShort) return;
        called++;
        noticed = memory.load32(task + layout.TASK_SHORT) !== number;
        if (!(name in DISTURBING)) expect(world.state() === before, `${name} changes nothing`).toBe(true);
        else if (!UNSEEN.has(name)) expect(world.state() === before, `${name} changes something`).toBe(false);
      };
      const world = await play(true, site, atReturn, act, serial);
      if (name in DISTURBING) expect([called, noticed], name).toEqual([1, true]);
      const naive = await play(false, site, atReturn, act);
      expect(world.log, name).toEqual(naive.log);
      expect(world.result(), name).toBe(naive.result());
      if (serial === undefined) continue;
      const general = await play(false, site, atReturn, act, serial);
      expect([...general.log, general.result()], name).toEqual([...naive.log, naive.result()]);
    }
  },
);

test('a walker of plain ops whose lock is taken away notices, though no frame goes', async () => {
  const logs = [true, false].map(async (isShort) => {
    const world = await play(isShort, OPS, false, ({ engine: { exports } }) =>
      exports.restore(exports.save() & layout.MARK_TOP),
    );
    return [...world.log, world.result()];
  });
  expect(await logs[0]).toEqual(await logs[1]);
  expect((await logs[0]).filter((line) => line.includes(`at ${OPS}`))).toHaveLength(2 + 1 + 2 + 2);
});

test('whatever handlers do one after the other, all ends as on the general path', async () => {
  const seed = runSeed('disturbed');
  for (let k = 0; k < 600; k++) {
    const random = new Random(seed + k);
    const [, site, atReturn] = random.pick(WAYS);
    const plan = Array.from({ length: 1 + random.below(4) }, () => [random.pick(names), random.next()] as const);
    const act = (world: World): void => {
      for (const [name, noise] of plan) {
        const values = (DISTURBING[name] ?? HARMLESS[name])(world);
        // Sometimes other arguments: numbers that may be a user, a site, a task or a frame.
        const { second, outer, ring } = world;
        const others = new Random(noise);
        const { task_current, save } = world.engine.exports;
        const pick = () => others.pick([0, 1, 2, 3, 4, second, outer, ring, task_current(), save()]);
        const given = others.oneIn(2) || BIG.test(name) ? values : values.map(pick);
        world.log.push(`${name} ${given.join(' ')} → ${world.call(name, given)}`);
      }
    };
    const world = await play(true, site, atReturn, act);
    const naive = await play(false, site, atReturn, act);
    expect(world.log, `seed ${seed + k}`).toEqual(naive.log);
    expect(world.result(), `seed ${seed + k}: ${world.log.join('; ')}`).toBe(naive.result());
  }
});

/// What is heard when the entry handler of the only probe on a function, which wants the exit or not and accepts or not, registers a
/// user with a filter that has the function: calls of handlers, and where the engine stands afterwards.
async function newcomer(isShort: boolean, exit: boolean, result: number, clock: number): Promise<string[]> {
  const heard: string[] = [];
  let joins = false;
  const names = ['', 'probe entered', 'probe left', 'user entered', 'user left'];
  const call = (handler: number): number => {
    heard.push(names[handler]);
    if (handler === 1 && joins) {
      joins = false;
      const user = engine.registerFgraph(layout.GOPS_HOST, 3, 4, 0);
      const graph = engine.registerFgraph(layout.GOPS_GRAPH, 0, 0, engine.createRing(1, ringLayout.RING_OVERWRITE));
      for (const who of [user, graph]) engine.setFilter(who, undefined, undefined);
    }
    return handler === 1 ? result : 1;
  };
  let now = 0;
  const engine = await freshEngine({ call, clock: () => ++now });
  const { exports, memory } = engine;
  exports.direct_set(isShort ? 1 : 0);
  exports.clock_set(clock);
  engine.addSites(2);
  register(engine, { entry: 1, exit: exit ? 2 : 0, size: 8 }, [0]);
  for (let k = 0; k < 3; k++) {
    const cookie = exports.enter(0);
    if (cookie !== 0) exports.leave(cookie);
  }
  joins = true;
  for (let k = 0; k < 3; k++) {
    heard.push(`enter ${k}`);
    const cookie = exports.enter(0);
    const top = memory.load32(exports.task_current() + layout.TASK_TOP);
    if (cookie !== 0) exports.leave(cookie);
    exports.sync();
    heard.push(`${cookie} ${top} ${memory.load64(layout.ABI_COUNTER)} ${now}`);
  }
  checkAll(engine);
  return heard;
}

test.each([layout.CLOCK_COUNTER, layout.CLOCK_MONO])(
  'a user that a probe’s handler registers is asked for this very activation, clock %s',
  async (clock) => {
    for (const exit of [true, false]) {
      for (const result of [0, 1]) {
        const [short, naive] = [await newcomer(true, exit, result, clock), await newcomer(false, exit, result, clock)];
        expect(short, `exit ${exit}, result ${result}`).toEqual(naive);
        expect(naive[naive.indexOf('enter 0') + 2]).toBe('user entered');
      }
    }
  },
);
