// Direct mode and the general path yield the same (spec/fgraph.md §16, 6): the same calls on two engines, one of which never
// enters direct mode, leave the same shadow stacks, records and counters behind.

import { expect, test } from 'vitest';
import * as layout from '../../assembly/layout.ts';
import type { Engine } from '../../src/engine.ts';
import { freshEngine, Random, runSeed } from './engine.ts';
import { readRing } from './records.ts';

const SITES = 20;
const OPERATIONS = 120_000;

async function subject(direct: boolean) {
  const engine = await freshEngine();
  const { exports, memory } = engine;
  exports.direct_set(direct ? 1 : 0);
  exports.task_switch(engine.createTask(2000));
  engine.addSites(SITES);
  const ring = engine.createRing(8, layout.RING_OVERWRITE);
  const index = engine.registerFgraph(layout.GOPS_GRAPH, 0, 0, ring);
  for (let site = 0; site < SITES; site++) {
    memory.setSiteIp(site, 1e12 + site);
    exports.site_want(site, index, 1);
  }
  return { engine, exports, memory, ring, task: exports.task_current() };
}

/// The shadow stack up to its top.
function stack({ memory }: Engine, task: number): number[] {
  const [from, to] = [layout.TASK_STACK, layout.TASK_TOP].map((field) => memory.load32(task + field) >>> 2);
  return [...memory.u32.subarray(from, to)];
}

test('the same calls, the same stack, records and counters', async () => {
  const seed = runSeed('direct mode');
  const random = new Random(seed);
  const direct = await subject(true);
  const looped = await subject(false);
  const open: number[] = [];
  let wasDirect = 0;
  for (let i = 0; i < OPERATIONS; i++) {
    const choice = random.below(1000);
    // Plunges and climbs in turn, so that returns find their entries on other pages.
    const down = ((i >> 11) & 1 ? 36 : 66) * 10;
    const entering = open.length === 0 || (choice < down && open.length < 360);
    let operation: (s: typeof direct) => unknown;
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
      operation = ({ exports, ring }) => exports.ring_on(ring, 1);
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
    if (direct.memory.load32(direct.task + layout.TASK_DIRECT)) wasDirect++;
    if (random.oneIn(400)) {
      expect(direct.memory.counts()).toEqual(looped.memory.counts());
      expect(stack(direct.engine, direct.task)).toEqual(stack(looped.engine, looped.task));
      expect(readRing(direct.engine, direct.ring)).toEqual(readRing(looped.engine, looped.ring));
      expect(direct.exports.clock_now()).toBe(looped.exports.clock_now());
    }
  }
  expect(looped.memory.load32(looped.task + layout.TASK_DIRECT)).toBe(0);
  expect(wasDirect).toBeGreaterThan(OPERATIONS * 0.8);
  const long = readRing(direct.engine, direct.ring).reduce(
    (sum, { types }) => sum + types[layout.RECORD_RETURN_LONG],
    0,
  );
  expect(long).toBeGreaterThan(0);
});

test('what ends direct mode: another user, another clock, off, pause, the kill switch', async () => {
  const { exports, memory, task, ring, engine } = await subject(true);
  const isDirect = () => memory.load32(task + layout.TASK_DIRECT) !== 0;
  const call = () => exports.leave(exports.enter(0));
  call();
  expect(isDirect()).toBe(true);
  exports.ring_on(ring, 0);
  call();
  expect(isDirect()).toBe(false);
  exports.ring_on(ring, 1);
  call();
  exports.task_pause(task, 1);
  expect(isDirect()).toBe(false);
  expect(exports.enter(0)).toBe(0);
  exports.task_pause(task, 0);
  call();
  expect(isDirect()).toBe(true);
  const profile = engine.registerFgraph(layout.GOPS_PROFILE, 0, 0, 0);
  exports.site_want(0, profile, 1);
  call();
  expect(isDirect()).toBe(false);
  expect(memory.statistics(profile, 0).count).toBe(1);
  exports.fgraph_unregister(profile);
  call();
  expect(isDirect()).toBe(true);
  expect(exports.clock_set(layout.CLOCK_MONO)).toBe(0);
  call();
  expect(isDirect()).toBe(false);
  exports.clock_set(layout.CLOCK_COUNTER);
  const open = exports.enter(0);
  expect(isDirect()).toBe(true);
  exports.kill();
  expect(exports.enter(0)).toBe(0);
  exports.leave(open);
  expect(memory.load32(task + layout.TASK_DEPTH) | 0).toBe(-1);
  expect(isDirect()).toBe(false);
});
