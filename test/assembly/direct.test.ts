// Direct mode and the general path yield the same (spec/fgraph.md §16, 6): the same calls on two engines, one of which never
// enters direct mode, leave the same shadow stacks, records, statistics and counters behind.

import { expect, test } from 'vitest';
import * as layout from '../../assembly/layout.ts';
import * as ringLayout from '../../assembly/ring-layout.ts';
import type { Engine } from '../../src/engine.ts';
import { freshEngine, Random, runSeed } from './engine.ts';
import { readRing } from './records.ts';

const SITES = 20;
const OPERATIONS = 60_000;
const { GOPS_GRAPH, GOPS_PROFILE } = layout;

/// An engine with these users on all sites; `strays`: the last one leaves every seventh site out.
async function subject(direct: boolean, kinds: readonly number[], strays = false) {
  const engine = await freshEngine();
  const { exports, memory } = engine;
  exports.direct_set(direct ? 1 : 0);
  exports.task_switch(engine.createTask(4000));
  engine.addSites(SITES);
  for (let site = 0; site < SITES; site++) memory.setSiteIp(site, 1e12 + site);
  const rings: number[] = [];
  const users = kinds.map((kind, k) => {
    if (kind === GOPS_GRAPH) rings.push(engine.createRing(8, ringLayout.RING_OVERWRITE));
    const index = engine.registerFgraph(kind, 0, 0, kind === GOPS_GRAPH ? rings[rings.length - 1] : 0);
    for (let site = 0; site < SITES; site++) {
      exports.site_want(site, index, strays && k === kinds.length - 1 && site % 7 === 0 ? 0 : 1);
    }
    return index;
  });
  return { engine, exports, memory, rings, users, task: exports.task_current() };
}

type Subject = Awaited<ReturnType<typeof subject>>;

const isDirect = ({ memory, task }: Subject) =>
  memory.load32(task + layout.TASK_DIRECT) !== 0 || memory.load32(task + layout.TASK_SET) !== 0;

/// The shadow stack up to its top.
function stack({ memory }: Engine, task: number): number[] {
  const [from, to] = [layout.TASK_STACK, layout.TASK_TOP].map((field) => memory.load32(task + field) >>> 2);
  return [...memory.u32.subarray(from, to)];
}

/// All that the calls left behind.
function state({ engine, exports, memory, rings, users, task }: Subject) {
  const statistics = users.map((index) => Array.from({ length: SITES }, (_, site) => memory.statistics(index, site)));
  const counts = memory.counts();
  return {
    counts,
    stack: stack(engine, task),
    rings: rings.map((ring) => readRing(engine, ring)),
    statistics,
    now: exports.clock_now(),
  };
}

const cases: [name: string, kinds: number[], strays: boolean][] = [
  ['one graph user', [GOPS_GRAPH], false],
  ['one profile user', [GOPS_PROFILE], false],
  ['graph and profile', [GOPS_GRAPH, GOPS_PROFILE], false],
  ['three graphs and two profiles', [GOPS_PROFILE, GOPS_GRAPH, GOPS_GRAPH, GOPS_PROFILE, GOPS_GRAPH], false],
  ['sets that alternate', [GOPS_PROFILE, GOPS_GRAPH, GOPS_GRAPH], true],
];

test.each(cases)('%s: the same calls, the same stack, records and counters', async (name, kinds, strays) => {
  const seed = runSeed(`direct mode, ${name}`);
  const random = new Random(seed);
  const direct = await subject(true, kinds, strays);
  const looped = await subject(false, kinds, strays);
  const open: number[] = [];
  let wasDirect = 0;
  for (let i = 0; i < OPERATIONS; i++) {
    const choice = random.below(1000);
    // Plunges and climbs in turn, so that returns find their entries on other pages.
    const down = ((i >> 11) & 1 ? 36 : 66) * 10;
    const entering = open.length === 0 || (choice < down && open.length < 360);
    let operation: (s: Subject) => unknown;
    if (entering) {
      const site = random.below(SITES);
      operation = ({ exports }) => exports.enter(site);
    } else if (choice < 980) {
      const back = random.oneIn(50) ? random.below(Math.min(open.length + 1, 6)) : 0;
      const cookie = open[open.length - 1 - back] ?? 0;
      operation = ({ exports }) => exports.leave(cookie);
      open.length = Math.max(open.length - 1 - back, 0);
    } else if (choice < 985) {
      operation = ({ exports }) => exports.sync();
    } else if (choice < 990) {
      operation = ({ exports, rings }) => rings.map((ring) => exports.ring_on(ring, 1));
    } else if (choice < 995) {
      const value = BigInt(i);
      operation = ({ exports }) => [exports.word(3, value), exports.enter_1(SITES, value)];
    } else {
      const mark = open[open.length - 1 - random.below(Math.min(open.length, 6))];
      operation = ({ exports }) => exports.restore(mark);
      while (open.length > 0 && open[open.length - 1] >= mark) open.pop();
    }
    const [a, b] = [operation(direct), operation(looped)];
    if (String(a) !== String(b)) throw new Error(`operation ${i} (seed ${seed}): ${a} in direct mode, ${b} without`);
    if (entering && a !== 0) open.push(Number(a));
    if (isDirect(direct)) wasDirect++;
    if (random.oneIn(400)) expect(state(direct)).toEqual(state(looped));
  }
  expect(isDirect(looped)).toBe(false);
  expect(wasDirect).toBeGreaterThan(OPERATIONS * (strays ? 0.3 : 0.8));
  const long = direct.rings
    .flatMap((ring) => readRing(direct.engine, ring))
    .reduce((sum, { types }) => sum + types[ringLayout.RECORD_RETURN_LONG], 0);
  if (direct.rings.length > 0) expect(long).toBeGreaterThan(0);
});

test('what ends direct mode: another user, another clock, off, pause, the kill switch', async () => {
  const it = await subject(true, [GOPS_GRAPH]);
  const { exports, memory, task, rings, engine } = it;
  const [ring] = rings;
  const call = () => exports.leave(exports.enter(0));
  call();
  expect(isDirect(it)).toBe(true);
  exports.ring_on(ring, 0);
  call();
  expect(isDirect(it)).toBe(false);
  exports.ring_on(ring, 1);
  call();
  exports.task_pause(task, 1);
  expect(isDirect(it)).toBe(false);
  expect(exports.enter(0)).toBe(0);
  exports.task_pause(task, 0);
  call();
  expect(isDirect(it)).toBe(true);
  const profile = engine.registerFgraph(GOPS_PROFILE, 0, 0, 0);
  exports.site_want(0, profile, 1);
  expect(isDirect(it)).toBe(false);
  call();
  expect(isDirect(it)).toBe(true); // for both, as a set
  expect(memory.statistics(profile, 0).count).toBe(1);
  exports.fgraph_unregister(profile);
  call();
  expect(isDirect(it)).toBe(true);
  expect(exports.clock_set(layout.CLOCK_MONO)).toBe(0);
  call();
  expect(isDirect(it)).toBe(false);
  exports.clock_set(layout.CLOCK_COUNTER);
  const open = exports.enter(0);
  expect(isDirect(it)).toBe(true);
  exports.kill();
  expect(exports.enter(0)).toBe(0);
  exports.leave(open);
  expect(memory.load32(task + layout.TASK_DEPTH) | 0).toBe(-1);
  expect(isDirect(it)).toBe(false);
});

test('tables may move while a profiler is in direct mode', async () => {
  const it = await subject(true, [GOPS_PROFILE]);
  const { engine, exports, memory, users } = it;
  const call = () => exports.leave(exports.enter(1));
  for (let i = 0; i < 5; i++) call();
  expect(isDirect(it)).toBe(true);
  engine.addSites(1000);
  for (let i = 0; i < 5; i++) call();
  expect(memory.statistics(users[0], 1).count).toBe(10);
});

test('a task that is no longer the current one is never in direct mode', async () => {
  // The host user refuses and switches the task; the graph user, who comes after him, accepts alone.
  const engine = await freshEngine({
    call() {
      engine.exports.task_switch(other);
      return 0;
    },
  });
  const { exports, memory } = engine;
  const [first, other] = [exports.task_current(), engine.createTask()];
  engine.addSites(1);
  exports.site_want(0, engine.registerFgraph(layout.GOPS_HOST, 1, 0, 0), 1);
  exports.site_want(0, engine.registerFgraph(GOPS_GRAPH, 0, 0, engine.createRing(1, 0)), 1);
  expect(exports.enter(0)).not.toBe(0);
  expect(exports.task_current()).toBe(other);
  expect(memory.load32(first + layout.TASK_DIRECT)).toBe(0);
});
