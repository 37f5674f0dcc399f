// Plain ops (spec/fgraph.md §1): order, lists that change during a walk, handles, recursion, what they see. The start-up
// self-tests of the function tracer (§14) are the cases B10 to B17 of spec/testcases.md.

import { expect, test } from 'vitest';
import * as layout from '../../assembly/layout.ts';
import * as ringLayout from '../../assembly/ring-layout.ts';
import type { Engine } from '../../src/engine.ts';
import { freshEngine } from './engine.ts';
import { readRing } from './records.ts';

type Handler = (handle: number, site: number, frame: number, fregs: number) => unknown;

/// An engine with `sites` sites, ip 100 + site, whose ops handlers are closures.
async function start(sites = 4) {
  const handlers: Handler[] = [() => 0];
  const engine: Engine = await freshEngine({ call: (handler, ...rest) => Number(handlers[handler](...rest) ?? 0) });
  const { exports, memory } = engine;
  engine.addSites(sites);
  for (let site = 0; site < sites; site++) memory.setSiteIp(site, 100 + site);
  const handler = (call: Handler) => handlers.push(call) - 1;
  const ops = (call: Handler, on: readonly number[], flags = 0): number => {
    const handle = engine.registerOps(layout.OPS_HOST, handler(call), flags);
    for (const site of on) engine.addToFilter(handle, site);
    return handle;
  };
  return { engine, exports, memory, handler, ops };
}

test('the newest registration is called first, whenever it was attached; a direct one last, a stub never', async () => {
  const { engine, exports, ops } = await start();
  const called: string[] = [];
  const a = ops(() => void called.push('a'), []);
  ops(() => void called.push('b'), [0]);
  ops(() => void called.push('direct'), [0], layout.OPS_FL_DIRECT);
  ops(() => void called.push('stub'), [0], layout.OPS_FL_STUB);
  ops(() => void called.push('c'), [0]);
  engine.addToFilter(a, 0);
  engine.addToFilter(a, 0); // once is enough
  expect(exports.enter(0)).toBe(0);
  expect(called).toEqual(['c', 'b', 'a', 'direct']);
});

test('handles: stale, foreign and impossible ones are refused, and a slot that is used again has another', async () => {
  const { engine, exports, ops } = await start();
  const first = ops(() => {}, [0]);
  expect(exports.ops_unregister(first)).toBe(0);
  const second = ops(() => {}, [0]);
  expect(second).not.toBe(first);
  expect(second & layout.OPS_SLOT_MASK).toBe(first & layout.OPS_SLOT_MASK);
  for (const handle of [first, 0, -1, second + 1, second ^ (1 << 30), layout.OPS_SLOT_MASK]) {
    expect(exports.ops_unregister(handle)).toBe(-layout.EINVAL);
    expect(exports.site_want(0, handle, 1)).toBe(-layout.EINVAL);
  }
  expect(exports.site_want(4, second, 1)).toBe(-layout.EINVAL);
  expect(engine.memory.siteWatchers(0)).toBe(1);
  const bad: [kind: number, handler: number, flags: number][] = [
    [0, 1, 0],
    [4, 1, 0],
    [layout.OPS_HOST, 0, 0],
    [layout.OPS_HOST, 1, 1],
    [layout.OPS_FUNCTION, 64, 0],
  ];
  for (const args of bad) expect(exports.ops_register(...args)).toBe(-layout.EINVAL);
});

test('4096 are enough, and one more is ENOSPC', async () => {
  const { engine, exports } = await start();
  for (let i = 0; i < 4096; i++) engine.registerOps(layout.OPS_HOST, 1);
  expect(() => engine.registerOps(layout.OPS_HOST, 1)).toThrow(/4096 plain ops are registered already.*ENOSPC/);
  exports.kill();
  expect(exports.ops_register(layout.OPS_HOST, 1, 0)).toBe(-layout.ENODEV);
});

test('a site has one direct call; its flags and its count say who is attached', async () => {
  const { engine, exports, memory, ops } = await start();
  const { SITE_FL_ENABLED, SITE_FL_DIRECT, SITE_FL_REGS, SITE_FL_TOUCHED } = layout;
  const direct = ops(() => {}, [0], layout.OPS_FL_DIRECT);
  const other = ops(() => {}, [1], layout.OPS_FL_DIRECT | layout.OPS_FL_SAVE_REGS);
  expect(exports.site_want(0, other, 1)).toBe(-layout.EBUSY);
  const users = [0, 1].map(() => engine.registerFgraph(layout.GOPS_PROFILE, 0, 0, 0));
  for (const user of users) exports.site_want(0, user, 1);
  const has = (site: number, bits: number) => (memory.siteFlags(site) & bits) >>> 0 === bits >>> 0;
  expect(memory.siteWatchers(0)).toBe(2); // the direct call and the manager of all graph users
  expect(has(0, SITE_FL_ENABLED | SITE_FL_DIRECT | SITE_FL_TOUCHED)).toBe(true);
  expect(has(0, SITE_FL_REGS)).toBe(false);
  expect(has(1, SITE_FL_REGS)).toBe(true);
  exports.ops_unregister(direct);
  for (const user of users) exports.fgraph_unregister(user);
  expect(memory.siteFlags(0)).toBe(SITE_FL_TOUCHED);
  expect(exports.site_want(0, other, 1)).toBe(0);
  expect(memory.siteFlags(2)).toBe(0);
});

test('B10–B14: three probes and an unfiltered one, a filter that loses a function, all gone', async () => {
  const { engine, exports, ops } = await start();
  const counts = [0, 0, 0, 0];
  const count = (k: number) => () => void counts[k]++;
  const probes = [ops(count(0), [0]), ops(count(1), [1]), ops(count(2), [0, 1])];
  const call = (site: number) => {
    expect(exports.enter(site)).toBe(0);
    return counts.slice(0, 3);
  };
  expect(call(0)).toEqual([1, 0, 1]);
  expect(call(1)).toEqual([1, 1, 2]);
  probes.push(ops(count(3), [0, 1, 2, 3]));
  expect(call(0)).toEqual([2, 1, 3]);
  expect(call(1)).toEqual([2, 2, 4]);
  expect(counts[3]).toBe(2);
  engine.exports.site_want(0, probes[2], 0);
  expect(call(0)).toEqual([3, 2, 4]);
  expect(call(1)).toEqual([3, 3, 5]);
  for (const probe of probes) exports.ops_unregister(probe);
  counts.fill(0);
  call(0);
  call(0);
  expect(counts).toEqual([0, 0, 0, 0]);
});

test('B15, B16: a handler that calls the traced function runs once more, never twice', async () => {
  const { exports, ops } = await start();
  let recursive = 0;
  ops(() => {
    recursive++;
    exports.enter(0);
  }, [0]);
  exports.enter(0);
  expect(recursive).toBe(2);

  let safe = 0;
  ops(() => {
    if (safe++ < 1) exports.enter(1);
  }, [1]);
  exports.enter(1);
  expect(safe).toBe(2);
});

test('B17: a direct call and the graph see the same function', async () => {
  const { engine, exports, ops } = await start();
  let direct = 0;
  ops(() => void direct++, [0], layout.OPS_FL_DIRECT);
  const ring = engine.createRing(1, ringLayout.RING_OVERWRITE);
  exports.site_want(0, engine.registerFgraph(layout.GOPS_GRAPH, 0, 0, ring), 1);
  for (let i = 0; i < 3; i++) exports.leave(exports.enter(0));
  expect(direct).toBe(3);
  const types = readRing(engine, ring)[0].events.map(({ type }) => type);
  expect(types).toEqual(['entry', 'return', 'entry', 'return', 'entry', 'return']);
});

test('who registers or unregisters during a walk: the gone are not called, the new not yet', async () => {
  const { engine, exports, ops } = await start();
  const called: string[] = [];
  const last = ops(() => void called.push('last'), [0]);
  const middle = ops(() => void called.push('middle'), [0]);
  const self = ops(() => {
    called.push('self');
    exports.ops_unregister(middle);
    exports.ops_unregister(self);
    ops(() => void called.push('new'), [0]);
  }, [0]);
  exports.enter(0);
  expect(called).toEqual(['self', 'last']);
  called.length = 0;
  exports.enter(0);
  expect(called).toEqual(['new', 'last']);
  exports.ops_unregister(last);
  expect(engine.memory.siteWatchers(0)).toBe(1);
});

test('arguments, ip and parent; those of a nested call do not touch those of the outer handler', async () => {
  const { engine, exports, memory, ops } = await start();
  exports.site_want(3, engine.registerFgraph(layout.GOPS_FRAME, 0, 0, 0), 1);
  const seen: number[][] = [];
  const read = (fregs: number) =>
    seen.push([
      memory.load64(fregs + layout.FREGS_IP),
      memory.load64(fregs + layout.FREGS_PARENT),
      ...Array.from({ length: memory.load32(fregs + layout.FREGS_COUNT) }, (_, k) =>
        memory.load64(fregs + layout.FREGS_WORDS + 8 * k),
      ),
    ]);
  ops(
    (_, site, frame, fregs) => {
      expect(memory.load64(frame + layout.FRAME_FUNC)).toBe(memory.load64(fregs + layout.FREGS_PARENT));
      if (site === 0) exports.enter_6(1, 11n, 12n, 13n, 14n, 15n, 16n);
      read(fregs);
    },
    [0, 1],
  );
  exports.enter_2(0, 5n, 6n);
  const parent = exports.enter(3);
  exports.enter_1(1, 7n);
  exports.leave(parent);
  expect(seen).toEqual([
    [101, 0, 11, 12, 13, 14, 15, 16],
    [100, 0, 5, 6],
    [101, 103, 7],
  ]);
});

test('inside a handler of a graph user ops are called, and the other way round', async () => {
  const { engine, exports, handler, ops } = await start();
  const called: string[] = [];
  const user = engine.registerFgraph(
    layout.GOPS_HOST,
    handler(() => {
      called.push('graph');
      exports.enter(1);
      return 1;
    }),
    0,
    0,
  );
  exports.site_want(0, user, 1);
  ops(() => {
    called.push('ops');
    const cookie = exports.enter(0);
    if (cookie) exports.leave(cookie);
  }, [1]);
  exports.leave(exports.enter(0));
  // Each of the two groups lets one nested callback through.
  expect(called).toEqual(['graph', 'ops', 'graph', 'ops']);
  expect(engine.memory.counts()).toMatchObject({ entries: 2, returns: 2, stray: 0 });
  expect(engine.memory.load32(exports.task_current() + layout.TASK_RECURSION)).toBe(0);
});

test('the function tracer: site, parent and task of each entry, in order, over pages and tasks', async () => {
  const { engine, exports, memory } = await start();
  const ring = engine.createRing(2, ringLayout.RING_OVERWRITE);
  const handle = engine.registerOps(layout.OPS_FUNCTION, ring);
  expect(exports.ring_free(ring)).toBe(-layout.EBUSY);
  expect(exports.ops_register(layout.OPS_FUNCTION, ring, 0)).toBe(-layout.EBUSY);
  for (let site = 0; site < 4; site++) engine.addToFilter(handle, site);
  const frame = engine.registerFgraph(layout.GOPS_FRAME, 0, 0, 0);
  exports.site_want(3, frame, 1);
  const [first, second] = [exports.task_current(), engine.createTask()];
  const expected: unknown[] = [];
  let time = 0;
  for (let i = 0; i < 200; i++) {
    const task = i % 3 === 0 ? second : first;
    exports.task_switch(task);
    const pid = memory.load32(task + layout.TASK_ID);
    const outer = exports.enter(3);
    time += 2; // the function event, and the entry that the frame user accepted
    expected.push({ type: 'function', site: 3, time: time - 1, depth: 0, call: 0, pid });
    expect(exports.enter(1)).toBe(0);
    expected.push({ type: 'function', site: 1, time: ++time, depth: 0, call: 103, pid });
    exports.leave(outer);
    time++;
  }
  const pages = readRing(engine, ring);
  const events = pages.flatMap((page) => page.events);
  expect(pages.length).toBe(2);
  expect(events).toEqual(expected.slice(-events.length));
  expect(events.length + memory.ringLost(ring)).toBe(400);
  expect(exports.ops_unregister(handle)).toBe(0);
  expect(exports.ring_free(ring)).toBe(0);
});

test('with the host clock: read once for all function ops, and again after a handler', async () => {
  let now = 100;
  const engine = await freshEngine({ clock: () => now++ });
  const { exports } = engine;
  engine.addSites(1);
  exports.clock_set(layout.CLOCK_MONO);
  const rings = [0, 1, 2].map(() => engine.createRing(1, ringLayout.RING_OVERWRITE));
  const add = (kind: number, handler: number) => engine.addToFilter(engine.registerOps(kind, handler), 0);
  add(layout.OPS_FUNCTION, rings[0]);
  add(layout.OPS_HOST, 1);
  add(layout.OPS_FUNCTION, rings[1]);
  add(layout.OPS_FUNCTION, rings[2]);
  exports.enter(0);
  expect(rings.map((ring) => readRing(engine, ring)[0].events[0].time)).toEqual([101, 100, 100]);
  expect(now).toBe(102);
});

test('a handler that throws: the program puts the stack back, and ops are called again', async () => {
  const { engine, exports, memory, ops } = await start();
  exports.site_want(2, engine.registerFgraph(layout.GOPS_FRAME, 0, 0, 0), 1);
  let calls = 0;
  ops(() => {
    calls++;
    exports.enter(2); // and never left
    throw new Error('of a handler');
  }, [0]);
  const outer = exports.enter(2);
  const mark = exports.save();
  for (let i = 1; i < 4; i++) {
    expect(() => exports.enter(0)).toThrow('of a handler');
    exports.restore(mark);
    expect(memory.load32(exports.task_current() + layout.TASK_RECURSION)).toBe(0);
    expect(exports.save()).toBe(mark);
    expect(calls).toBe(i);
  }
  exports.leave(outer);
  expect(memory.counts()).toEqual({ entries: 4, returns: 1, unwound: 3, overrun: 0, stray: 0 });
});

test('a handler that leaves a frame on the stack, and one that puts the stack back below itself', async () => {
  const { engine, exports, memory, ops } = await start();
  exports.site_want(2, engine.registerFgraph(layout.GOPS_FRAME, 0, 0, 0), 1);
  exports.site_want(0, engine.registerFgraph(layout.GOPS_FRAME, 0, 0, 0), 1);
  let act: () => unknown = () => exports.enter(2);
  const called: number[] = [];
  ops(() => void called.push(1), [0]);
  ops(() => act(), [0]);
  const outer = exports.enter(2);
  const inner = exports.enter(0);
  expect(inner).not.toBe(0);
  exports.leave(inner);
  expect(called).toEqual([1]);
  act = () => exports.restore(outer);
  expect(exports.enter(0)).toBe(0); // the activation is gone
  expect(called).toEqual([1]);
  expect(memory.counts()).toMatchObject({ entries: 3, returns: 1, unwound: 2 });
});
