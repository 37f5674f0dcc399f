// Whoever calls the engine may be out of stack: every call inside it may then trap. A trap in the middle of a list would leave half
// a list. So each export that changes tables or lists is called with every amount of stack that is left near the limit: either it
// traps and nothing at all has changed, down to the last byte, or it does what it always does.

import { expect, test } from 'vitest';
import * as fprobeLayout from '../../assembly/fprobe/layout.ts';
import * as layout from '../../assembly/layout.ts';
import type { Engine } from '../../src/engine.ts';
import { instantiateEngineSync } from '../../src/engine.ts';
import { engineBytes } from './engine.ts';
import { register, request } from './fprobe.ts';
import { checkAll, checkHeap } from './invariants.ts';

const SITES = 64;

const compiled = new WebAssembly.Module(engineBytes);
let modules = 0;
/// A module that V8 takes for another one, so that nothing of it is compiled yet.
const fresh = (): WebAssembly.Module =>
  new WebAssembly.Module(Uint8Array.of(...engineBytes, 0, 4, 1, 0x6e, ++modules & 0xff, modules >> 8));

/// Makes what the operation works on, and returns the operation.
type Case = (engine: Engine) => () => unknown;

const fill = (count: number, step: () => unknown): void => {
  for (let k = 0; k < count; k++) step();
};
const ops = ({ exports }: Engine): number => exports.ops_register(layout.OPS_HOST, 1, 0);
const user = ({ exports }: Engine): number => exports.fgraph_register(layout.GOPS_HOST, 1, 1, 0);
const all = Array.from({ length: SITES }, (_, site) => site);

/// Writes ids of sites where `filter_set` can read them.
function ids({ exports, memory }: Engine, sites: readonly number[]): number {
  const at = exports.block_alloc(4 * sites.length);
  memory.u32.set(sites, at >>> 2);
  return at;
}

const CASES: Readonly<Record<string, Case>> = {
  task_create:
    ({ exports }) =>
    () =>
      exports.task_create(200),
  'task_create, used memory': ({ exports }) => {
    exports.task_free(exports.task_create(200));
    return () => exports.task_create(200);
  },
  task_free: ({ exports }) => {
    const task = exports.task_create(200);
    const index = exports.fgraph_register(layout.GOPS_GRAPH, 0, 0, 0);
    exports.graph_set_ring(index, task, exports.ring_create(1, 0));
    return () => exports.task_free(task);
  },
  block_alloc:
    ({ exports }) =>
    () =>
      exports.block_alloc(5000),
  block_free: ({ exports }) => {
    const block = exports.block_alloc(5000);
    return () => exports.block_free(block);
  },
  'ring_create, behind a gap': ({ exports }) => {
    exports.block_alloc(40);
    return () => exports.ring_create(4, 0);
  },
  ring_free: ({ exports }) => {
    const ring = exports.ring_create(4, 0);
    return () => exports.ring_free(ring);
  },
  ring_consume: ({ exports, memory }) => {
    const ring = exports.ring_create(4, 0);
    const index = exports.fgraph_register(layout.GOPS_GRAPH, 0, 0, ring);
    exports.site_want(0, index, 1);
    exports.leave(exports.enter(0));
    exports.sync();
    const [tail] = memory.ringRange(ring);
    return () => exports.ring_consume(ring, tail);
  },
  'site_add, a larger table': (engine) => {
    const { exports } = engine;
    exports.fgraph_register(layout.GOPS_PROFILE, 0, 0, 0);
    exports.filter_set(ops(engine), 0, -1, 0, -1);
    exports.filter_set(user(engine), 0, -1, 0, -1);
    return () => exports.site_add(1000);
  },
  site_unload: (engine) => {
    const { exports } = engine;
    exports.filter_set(ops(engine), 0, -1, 0, -1);
    exports.filter_set(user(engine), 0, -1, 0, -1);
    register(engine, { entry: 1, exit: 1 }, all);
    return () => exports.site_unload(0, SITES);
  },
  'filter_set of a user': (engine) => {
    const [index, at] = [user(engine), ids(engine, [1, 2, 63])];
    return () => engine.exports.filter_set(index, at, 3, at, 1);
  },
  'filter_set of ops': (engine) => {
    const at = ids(engine, all);
    fill(5, () => engine.exports.filter_set(ops(engine), at, SITES, 0, -1));
    const handle = ops(engine);
    return () => engine.exports.filter_set(handle, at, SITES, 0, -1);
  },
  'site_want of ops, the first': (engine) => {
    const handle = ops(engine);
    return () => engine.exports.site_want(63, handle, 1);
  },
  'site_want of ops, a longer list': (engine) => {
    fill(2, () => engine.exports.site_want(5, ops(engine), 1));
    const handle = ops(engine);
    return () => engine.exports.site_want(5, handle, 1);
  },
  'site_want of ops, the last goes': (engine) => {
    const handle = ops(engine);
    engine.exports.site_want(5, handle, 1);
    return () => engine.exports.site_want(5, handle, 0);
  },
  'site_want of a user': (engine) => {
    const index = user(engine);
    engine.exports.site_want(5, index, 1);
    return () => engine.exports.site_want(6, index, 1);
  },
  'site_want of a user, a larger set': (engine) => {
    const index = user(engine);
    engine.exports.site_add(1000);
    engine.exports.site_want(5, index, 1);
    return () => engine.exports.site_want(900, index, 1);
  },
  'site_notrace of a user': (engine) => {
    const index = user(engine);
    engine.exports.site_want(5, index, 1);
    return () => engine.exports.site_notrace(5, index, 1);
  },
  'ops_register, a larger table': (engine) => {
    fill(16, () => ops(engine));
    return () => ops(engine);
  },
  'ops_register of a function tracer': ({ exports }) => {
    const ring = exports.ring_create(1, 0);
    return () => exports.ops_register(layout.OPS_FUNCTION, ring, 0);
  },
  ops_unregister: (engine) => {
    const handle = ops(engine);
    engine.exports.filter_set(handle, ids(engine, all), SITES, 0, -1);
    return () => engine.exports.ops_unregister(handle);
  },
  'fgraph_register of a profile':
    ({ exports }) =>
    () =>
      exports.fgraph_register(layout.GOPS_PROFILE, 0, 0, 0),
  'fgraph_register of a graph': ({ exports }) => {
    const ring = exports.ring_create(1, 0);
    return () => exports.fgraph_register(layout.GOPS_GRAPH, 0, 0, ring);
  },
  'fgraph_unregister of a profile': (engine) => {
    const index = engine.exports.fgraph_register(layout.GOPS_PROFILE, 0, 0, 0);
    engine.exports.filter_set(index, ids(engine, all), SITES, 0, -1);
    engine.exports.enter(3);
    return () => engine.exports.fgraph_unregister(index);
  },
  'fgraph_unregister of a graph': (engine) => {
    const index = engine.exports.fgraph_register(layout.GOPS_GRAPH, 0, 0, engine.exports.ring_create(1, 0));
    engine.exports.filter_set(index, 0, -1, ids(engine, [1]), 1);
    engine.exports.graph_options(index, layout.GRAPH_SKIP_SLEEP, 0);
    engine.exports.enter(3);
    return () => engine.exports.fgraph_unregister(index);
  },
  graph_set_ring: (engine) => {
    const { exports } = engine;
    const index = exports.fgraph_register(layout.GOPS_GRAPH, 0, 0, exports.ring_create(1, 0));
    const other = exports.ring_create(1, 0);
    return () => exports.graph_set_ring(index, exports.task_current(), other);
  },
  graph_site:
    ({ exports }) =>
    () =>
      exports.graph_site(3, 1, 1),
  fprobe_request: (engine) => {
    request(engine, { entry: 1 }, [0, 1]);
    return () => engine.exports.fprobe_request(SITES);
  },
  'fprobe_register, with an exit': (engine) => {
    request(engine, { entry: 1, exit: 1, size: 16 }, all);
    return () => engine.exports.fprobe_register(SITES);
  },
  'fprobe_register, without': (engine) => {
    request(engine, { entry: 1 }, all);
    return () => engine.exports.fprobe_register(SITES);
  },
  'fprobe_register, built in, second': (engine) => {
    register(engine, { entry: 1, exit: 1 }, all);
    register(engine, { entry: 1 }, all);
    request(engine, { kind: fprobeLayout.FPROBE_KIND_COUNT }, all);
    return () => engine.exports.fprobe_register(SITES);
  },
  'fprobe_unregister, the last': (engine) => {
    const handle = register(engine, { entry: 1, exit: 1 }, all);
    return () => engine.exports.fprobe_unregister(handle);
  },
  'fprobe_unregister, without an exit': (engine) => {
    register(engine, { entry: 1 }, [0]);
    const handle = register(engine, { entry: 1 }, all);
    return () => engine.exports.fprobe_unregister(handle);
  },
};

/// Goes down until there is no stack left, then up again; calls `act` on the way, `back` steps above the end.
function dive(back: number, act: () => void): void {
  let steps = 0;
  const down = (a: number, b: number, c: number, d: number): number => {
    try {
      down(a, b, c, d);
    } catch {}
    if (steps++ === back) act();
    return a + b + c + d;
  };
  down(1, 2, 3, 4);
}

/// Close to the end each step, where calls inside the engine fail one after the other; further up, where the engine asks for more
/// stack than it needs, every now and then.
const next = (back: number): number => back + (back < 40 ? 1 : 17);
const STEPS = 4000;
const seen = { trapped: 0, done: 0 };

// Twice: what V8 has not compiled yet needs much more stack when it is called.
const TWICE = [false, true].flatMap((isCompiled) =>
  Object.entries(CASES).map(([name, make]) => [`${name}${isCompiled ? ', once more' : ''}`, make, isCompiled] as const),
);
test.each(TWICE)('%s', (_, make, isCompiled) => {
  const start = (): [Engine, () => unknown] => {
    const engine = instantiateEngineSync(isCompiled ? compiled : fresh());
    engine.exports.site_add(SITES);
    return [engine, make(engine)];
  };
  if (isCompiled) start()[1]();
  let engine: Engine | undefined;
  let operation: (() => unknown) | undefined;
  let before = new Uint32Array(0);
  let inARow = 0;
  for (let back = 0; back < STEPS && inARow < 2; back = next(back)) {
    if (!engine) {
      [engine, operation] = start();
      engine.exports.sync();
      before = engine.memory.u32.slice();
    }
    let ended = false;
    dive(back, () => {
      try {
        operation!();
        ended = true;
      } catch {}
    });
    if (ended) {
      seen.done++;
      inARow++;
      checkAll(engine);
      checkHeap(engine);
      engine = undefined;
      continue;
    }
    seen.trapped++;
    inARow = 0;
    const after = engine.memory.u32;
    const changed = before.findIndex((word, k) => word !== after[k]);
    expect({ back, changed, words: after.length }).toEqual({ back, changed: -1, words: before.length });
  }
  expect(inARow).toBe(2);
});

test('both ends were met', () => {
  console.log(`stack limit: ${JSON.stringify(seen)}`);
  expect(seen.trapped).toBeGreaterThan(1000);
  expect(seen.done).toBeGreaterThan(50);
});
