// Tasks (spec/fgraph.md §7 to §10): what is a task's own, what happens when one goes, contexts, time asleep, and the real
// return addresses that an unwinder asks for.

import { expect, test } from 'vitest';
import * as layout from '../../assembly/layout.ts';
import * as ringLayout from '../../assembly/ring-layout.ts';
import { freshEngine } from './engine.ts';
import { readRing } from './records.ts';

const { GOPS_GRAPH, GOPS_PROFILE, GOPS_HOST, GOPS_FRAME } = layout;
const NONE = layout.SHADOW_STACK_NONE;

test('L5: a task made while users are registered has a stack and variables of its own, all zero', async () => {
  const engine = await freshEngine({ call: () => 1 });
  const { exports, memory } = engine;
  engine.addSites(1);
  const users = Array.from({ length: 16 }, () => engine.registerFgraph(GOPS_HOST, 1, 0, 0));
  for (const user of users) memory.store64(exports.task_variable(user), 1000 + user);
  exports.site_want(0, users[3], 1);
  const parent = exports.task_current();
  exports.enter(0);
  const child = engine.createTask(100);
  exports.task_switch(child);
  for (const user of users) expect(memory.load64(exports.task_variable(user))).toBe(0);
  expect(memory.counts()).toEqual({ entries: 0, returns: 0, unwound: 0, overrun: 0, stray: 0 });
  const cookie = exports.enter(0);
  expect(cookie).toBe(memory.stackBottom(child));
  memory.store64(exports.task_variable(users[0]), 7);
  exports.task_switch(parent);
  for (const user of users) expect(memory.load64(exports.task_variable(user))).toBe(1000 + user);
  expect(exports.task_frame(child, 0)).toBe(cookie);
});

test('L4: a task that goes inside a hooked function takes its frames along and leaves those of others alone', async () => {
  const engine = await freshEngine();
  const { exports, memory } = engine;
  engine.addSites(2);
  const rings = [0, 1].map(() => engine.createRing(1, ringLayout.RING_OVERWRITE));
  const graph = engine.registerFgraph(GOPS_GRAPH, 0, 0, rings[0]);
  for (const site of [0, 1]) exports.site_want(site, graph, 1);
  const first = exports.task_current();
  const outer = exports.enter(0);
  const second = engine.createTask();
  exports.graph_set_ring(graph, second, rings[1]);
  exports.task_switch(second);
  exports.enter(0);
  exports.enter(1);
  expect(exports.task_free(second)).toBe(-layout.EBUSY);
  exports.task_switch(first);
  const heap = memory.load32(layout.ABI_HEAP);
  expect(exports.task_free(second)).toBe(0);
  expect(exports.task_switch(second)).toBe(0);
  expect(readRing(engine, rings[1])[0].events.map(({ type }) => type)).toEqual([
    'entry',
    'entry',
    'unwound',
    'unwound',
  ]);
  expect(exports.ring_free(rings[1])).toBe(0);
  exports.leave(outer);
  expect(memory.counts()).toMatchObject({ entries: 1, returns: 1, unwound: 0 });
  engine.createTask();
  expect(memory.load32(layout.ABI_HEAP)).toBe(heap); // the memory is used again
});

test('stacks and what is on them outlive the last user; who comes later is not told of it', async () => {
  const engine = await freshEngine({ call: () => 1 });
  const { exports, memory } = engine;
  engine.addSites(1);
  const user = engine.registerFgraph(GOPS_HOST, 1, 1, 0);
  exports.site_want(0, user, 1);
  const cookie = exports.enter(0);
  exports.fgraph_unregister(user);
  expect(memory.load32(exports.task_current() + layout.TASK_STACK)).toBe(cookie);
  expect(exports.task_frame(exports.task_current(), 0)).toBe(cookie);
  exports.leave(cookie);
  expect(memory.counts()).toMatchObject({ entries: 1, returns: 1 });
});

test('L6: a task without a stack runs unhooked, and nothing is counted', async () => {
  const engine = await freshEngine({ call: () => 1 });
  const { exports, memory } = engine;
  engine.addSites(1);
  const ring = engine.createRing(1, ringLayout.RING_OVERWRITE);
  const users = [GOPS_HOST, GOPS_FRAME, GOPS_PROFILE].map((kind) =>
    engine.registerFgraph(kind, kind === GOPS_HOST ? 1 : 0, 0, 0),
  );
  let called = 0;
  for (const user of users) exports.site_want(0, user, 1);
  engine.addToFilter(engine.registerOps(layout.OPS_FUNCTION, ring), 0);
  const bare = exports.task_create(NONE);
  expect(bare).not.toBe(0);
  exports.task_switch(bare);
  for (let i = 0; i < 5; i++) called += exports.enter(0);
  expect(called).toBe(0);
  expect(memory.counts()).toEqual({ entries: 0, returns: 0, unwound: 0, overrun: 0, stray: 0 });
  expect(readRing(engine, ring)[0].events.length).toBe(5); // entries alone need no stack
  for (const user of users) expect(memory.load64(exports.task_variable(user))).toBe(0);
  exports.restore(exports.save());
  exports.task_reset(bare);
  expect(memory.counts().stray).toBe(0);
});

test('overrun counts what did not fit, and pause what was refused does not', async () => {
  const engine = await freshEngine();
  const { exports, memory } = engine;
  engine.addSites(1);
  exports.site_want(0, engine.registerFgraph(GOPS_FRAME, 0, 0, 0), 1);
  for (let i = 0; i < 125; i++) exports.enter(0);
  expect(memory.counts()).toMatchObject({ entries: 122, overrun: 3 }); // spec/fgraph.md §4
  exports.task_pause(exports.task_current(), 1);
  expect(exports.enter(0)).toBe(0);
  expect(memory.counts()).toMatchObject({ entries: 122, overrun: 3 });
  exports.leave(exports.task_frame(exports.task_current(), 0));
  expect(memory.counts()).toMatchObject({ returns: 1 });
  exports.task_pause(exports.task_current(), 0);
  exports.kill();
  expect(exports.enter(0)).toBe(0);
  expect(memory.counts()).toMatchObject({ entries: 122, overrun: 3 });
  for (let frame = 1; frame !== 0; ) {
    frame = exports.task_frame(exports.task_current(), 0);
    if (frame !== 0) exports.leave(frame);
  }
  expect(memory.counts()).toMatchObject({ entries: 122, returns: 122, unwound: 0 });
});

test('each context has a callback of its own on top of those it interrupts, and one nested entry for all', async () => {
  const { CONTEXT_NORMAL, CONTEXT_SOFTIRQ, CONTEXT_IRQ, CONTEXT_NMI } = layout;
  const contexts = [CONTEXT_NORMAL, CONTEXT_SOFTIRQ, CONTEXT_IRQ, CONTEXT_NMI];
  const ran: number[] = [];
  const bits: number[] = [];
  const engine = await freshEngine({
    call: (_handler, _index, site) => {
      ran.push(site);
      bits.push(memory.load32(exports.task_current() + layout.TASK_RECURSION));
      const next = contexts[ran.length];
      if (next !== undefined) {
        const before = exports.task_context(next);
        exports.leave(exports.enter(0));
        exports.task_context(before);
      } else {
        const nested = exports.enter(0); // the transition bit
        if (nested) exports.leave(nested);
      }
      return 1;
    },
  });
  const { exports, memory } = engine;
  engine.addSites(1);
  exports.site_want(0, engine.registerFgraph(GOPS_HOST, 1, 0, 0), 1);
  expect(exports.task_context(4)).toBe(-layout.EINVAL);
  exports.leave(exports.enter(0));
  // Normal, soft irq, irq, NMI, and the one that is nested; the sixth is refused.
  expect(bits).toEqual([0b01000, 0b01100, 0b01110, 0b01111, 0b11111]);
  expect(memory.load32(exports.task_current() + layout.TASK_RECURSION)).toBe(0);
  expect(memory.counts()).toMatchObject({ entries: 5, returns: 5, stray: 0 });
});

test('time asleep: counts or does not, as each user wants it, in graphs and profiles', async () => {
  let now = 1000;
  const engine = await freshEngine({ clock: () => now });
  const { exports, memory } = engine;
  exports.clock_set(layout.CLOCK_MONO);
  engine.addSites(2);
  const rings = [0, 1].map(() => engine.createRing(1, ringLayout.RING_OVERWRITE));
  const graphs = rings.map((ring) => engine.registerFgraph(GOPS_GRAPH, 0, 0, ring));
  const profiles = [0, 1].map(() => engine.registerFgraph(GOPS_PROFILE, 0, 0, 0));
  for (const user of [...graphs, ...profiles]) for (const site of [0, 1]) exports.site_want(site, user, 1);
  const [first, second] = [exports.task_current(), engine.createTask()];
  const sleep = (time: number) => {
    exports.task_switch(second);
    now += time;
    exports.task_switch(first);
  };
  sleep(50); // nobody asks yet
  expect(exports.graph_options(graphs[1], layout.GRAPH_SKIP_SLEEP, 0)).toBe(0);
  expect(exports.graph_options(profiles[1], layout.GRAPH_SKIP_SLEEP, 0)).toBe(0);
  expect(exports.graph_options(profiles[1], layout.GRAPH_SKIP_SLEEP, 1)).toBe(-layout.EINVAL);
  expect(exports.graph_options(profiles[1], layout.GRAPH_SKIP_IRQS, 0)).toBe(-layout.EINVAL);
  sleep(20);
  const outer = exports.enter(0);
  now += 3;
  sleep(100);
  const inner = exports.enter(1);
  sleep(200);
  now += 5;
  exports.leave(inner);
  exports.leave(outer);
  const durations = (ring: number) =>
    readRing(engine, ring)[0].events.flatMap(({ type, site, time, call }) =>
      type === 'return' ? [[site, time - call]] : [],
    );
  expect(durations(rings[0])).toEqual([
    [1, 205],
    [0, 308],
  ]);
  expect(durations(rings[1])).toEqual([
    [1, 5],
    [0, 8],
  ]);
  expect([0, 1].map((site) => memory.statistics(profiles[0], site).total)).toEqual([308, 205]);
  expect([0, 1].map((site) => memory.statistics(profiles[0], site).self)).toEqual([103, 205]);
  expect([0, 1].map((site) => memory.statistics(profiles[1], site).total)).toEqual([8, 5]);
  expect([0, 1].map((site) => memory.statistics(profiles[1], site).self)).toEqual([3, 5]);

  exports.fgraph_unregister(graphs[1]);
  exports.graph_options(profiles[1], 0, 0);
  expect(memory.load32(layout.ABI_SLEEP_USERS)).toBe(0);
  exports.task_switch(second);
  exports.task_switch(first);
  expect(memory.load64(second + layout.TASK_STAMP)).toBe(0);
});

test('real return addresses: of the right slot, past tail calls, below the cursor (spec/fgraph.md §5)', async () => {
  const engine = await freshEngine();
  const { exports, memory } = engine;
  engine.addSites(1);
  exports.site_want(0, engine.registerFgraph(GOPS_FRAME, 0, 0, 0), 1);
  const HOOK = 0xdead;
  // Outermost first: what a CPU would have stored. The last two share a slot: a tail call, whose frame returns to the hook.
  const stored = [
    { ret: 0x100, retp: 0x9000 },
    { ret: 0x200, retp: 0x8000 },
    { ret: 0x300, retp: 0x7000 },
    { ret: HOOK, retp: 0x7000 },
  ];
  const bases = stored.map(({ ret, retp }) => {
    const base = exports.enter(0);
    memory.store64(base + layout.FRAME_RET, ret);
    memory.store64(base + layout.FRAME_RETP, retp);
    return base;
  });
  const task = exports.task_current();
  const real = (cursor: number, retp: number) => exports.frame_real(task, cursor, BigInt(retp), BigInt(HOOK));
  expect(real(0, 0x7000)).toBe(bases[2]);
  expect(real(bases[2], 0x8000)).toBe(bases[1]);
  expect(real(bases[1], 0x9000)).toBe(bases[0]);
  expect(real(bases[0], 0x9000)).toBe(0);
  expect(real(bases[2], 0x7000)).toBe(0);
  expect(real(0, 0x6000)).toBe(0);
  expect(real(bases[2] + 8, 0x8000)).toBe(0);
  expect(exports.frame_real(task + 8, 0, 0n, 0n)).toBe(0);
});
