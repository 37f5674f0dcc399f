// Every export with any arguments, in any order, also from inside handlers that throw: nothing but refusals and stray counts
// may come of it. After each step the invariants of spec/fgraph.md §16 are checked, every now and then also that each byte
// of the heap belongs to exactly one region.

import { expect, test } from 'vitest';
import * as fprobeLayout from '../../assembly/fprobe/layout.ts';
import * as layout from '../../assembly/layout.ts';
import * as ringLayout from '../../assembly/ring-layout.ts';
import { freshEngine, Random, runSeed } from './engine.ts';
import { checkFprobes, records, registered, request } from './fprobe.ts';
import { blocksOf, checkAll, checkHeap, ringsOf, tasksOf } from './invariants.ts';
import { readRing } from './records.ts';

const STEPS = 60_000;
const STEPS_PER_ENGINE = 3000;

class Thrown extends Error {}

/// What the steps came to, so that a test that no longer tests much is noticed.
const seen = { entries: 0, unwound: 0, overrun: 0, stray: 0, thrown: 0, users: 0, records: 0, probes: 0, ops: 0 };

const SKIPPED = new Set(['memory', 'table', 'heap_base', 'kill']);

/// How many arguments an export takes; the numbers of an instance's own functions say so.
const isLong = (name: string, position: number) =>
  (/^enter_\d/.test(name) && position > 0) ||
  (/^(enter|leave)_call$/.test(name) && position > 1) ||
  ((name === 'leave_value' || name === 'word') && position === 1) ||
  (name === 'frame_real' && position > 1) ||
  (/^fprobe_(unregister|enable|record|clear)$/.test(name) && position === 0);

async function run(seed: number): Promise<void> {
  const random = new Random(seed);
  const history: string[] = [];
  let nested = 0;
  let down = true;

  const outside = (): number => {
    for (let n = random.below(3); n > 0 && nested < 3; n--) {
      nested++;
      try {
        step();
      } finally {
        nested--;
      }
    }
    if (random.oneIn(40)) throw new Thrown();
    return random.below(2);
  };
  const engine = await freshEngine({
    call: outside,
    clock: () => (random.oneIn(30) ? outside() : random.pick([0, 1, 5, 1e9, 2 ** 53, -1, Number.NaN, random.next()])),
    wait: () => random.below(2),
  });
  const { exports, memory } = engine;
  const names = Object.keys(exports).filter((name) => !SKIPPED.has(name));

  /// Something that may mean something: ids, handles, addresses, limits, noise.
  const value = (): number => {
    switch (random.below(9)) {
      case 0:
        return random.pick([0, 1, 2, 3, 4, 15, 16, 17, 63, 64, 255, 256, 257]);
      case 1:
        return random.pick([-1, -2, -8, 2 ** 31, 2 ** 31 - 1, 2 ** 30, 2 ** 32 - 1]);
      case 2:
        return random.pick(tasksOf(engine));
      case 3:
        return random.pick([0, ...ringsOf(engine)]);
      case 4:
        return exports.task_frame(exports.task_current(), random.below(5));
      case 5:
        return memory.stackBottom() + random.below(600) * (random.oneIn(4) ? 1 : 8);
      case 6:
        return random.next();
      default:
        return random.below(6);
    }
  };

  /// Handle of a probe, registered most of the time.
  const probe = (): bigint => {
    const found = random.pick([0, ...registered(engine)]);
    if (found === 0) return BigInt(random.below(4)) << 28n;
    return memory.u64[(found + fprobeLayout.FPROBE_HEADER) >>> layout.WORD_SHIFT] & (2n ** 60n - 1n);
  };

  /// Writes a request that makes sense, or nearly so. Returns how many sites are in it.
  const ask = (): number => {
    const kind = random.below(fprobeLayout.FPROBE_KIND_LAST + 2);
    const builtin = kind > fprobeLayout.FPROBE_KIND_HOST;
    const sites = Array.from({ length: 1 + random.below(6) }, () => random.below(random.oneIn(9) ? 400 : 8));
    const [entry, exit, size] = builtin ? [0, 0, 0] : [random.below(3), random.below(3), random.below(130)];
    const source = random.below(5) | (random.oneIn(2) ? fprobeLayout.FPROBE_SOURCE_SIGNED32 : 0);
    const shape = { index: random.below(3), cells: random.below(5), min: random.below(9), step: random.below(4) };
    return request(engine, { kind, entry, exit, size, flags: random.below(9), source, ...shape }, sites)
      ? sites.length
      : 1;
  };

  /// A handle of some generation, often the right one.
  const handle = (): number => {
    const slot = random.below(6);
    const at = memory.load32(layout.ABI_OPS) + slot * layout.OPS_SIZE + layout.OPS_GENERATION;
    const generation = memory.load32(layout.ABI_OPS_CAPACITY) > 0 ? memory.load32(at) : 1;
    return (Math.max(generation - (random.oneIn(6) ? 1 : 0), 0) << layout.OPS_SLOT_BITS) | slot;
  };

  /// A call that makes sense, for something has to be there that nonsense could break.
  const sensible = (): [name: string, ...values: (number | bigint)[]] => {
    const task = exports.task_current();
    const site = random.below(8);
    switch (random.below(22)) {
      case 15:
        return ['fprobe_register', ask()];
      case 16:
        return random.oneIn(3) ? ['fprobe_enable', probe(), random.below(2)] : ['fprobe_unregister', probe()];
      case 12: {
        const kind = 1 + random.below(3);
        const handler = kind === layout.OPS_FUNCTION ? random.pick([0, ...ringsOf(engine)]) : 1;
        return [
          'ops_register',
          kind,
          handler,
          random.oneIn(5)
            ? random.pick([4, 32, 1 << 17, ...[1, 2, 3, 4, 5].map((set) => set << layout.FUNC_SHIFT)])
            : 0,
        ];
      }
      case 13:
        return ['site_want', site, handle(), random.below(4)];
      case 14:
        return random.oneIn(3) ? ['ops_unregister', handle()] : ['graph_site', site, random.below(2), random.below(2)];
      case 0: {
        const client = random.oneIn(2) ? random.below(8) : handle();
        const half = () => (random.oneIn(3) ? [random.pick([0, layout.ABI_SITES]), random.below(3)] : [0, -1]);
        return random.oneIn(6)
          ? ['filter_set', client, ...half(), ...half()]
          : random.oneIn(6)
            ? ['site_notrace', site, client, random.below(2)]
            : ['site_want', site, client, random.below(5)];
      }
      case 1: {
        const kind = 1 + random.below(6);
        const [entry, ret] =
          kind < layout.GOPS_WASM || kind === layout.GOPS_FRAME ? [0, 0] : [1 + random.below(2), random.below(2)];
        return ['fgraph_register', kind, entry, ret, kind === 1 ? random.pick([0, ...ringsOf(engine)]) : 0];
      }
      case 2:
        if (random.oneIn(3))
          return ['graph_options', random.below(8), random.below(64) & ~layout.GRAPH_HAS_THRESHOLD, 0];
        return ['graph_set_ring', random.below(8), random.pick(tasksOf(engine)), random.pick([0, ...ringsOf(engine)])];
      case 3:
        return ['ring_create', 1 << random.below(3), random.below(2)];
      case 4:
        return ['leave', exports.task_frame(task, random.below(3))];
      case 5:
        return ['reserve', random.below(8), 1 + random.below(80)];
      case 6:
        return random.oneIn(4) ? ['fgraph_unregister', random.below(16)] : ['enter_2', site, 5n, 6n];
      default:
        return down ? ['enter', site] : ['leave', exports.task_frame(task, 0)];
    }
  };

  /// Handlers throw, and a WASM handler that is none traps; nothing else may.
  const attempt = (action: () => void): void => {
    const mark = exports.save();
    try {
      action();
    } catch (error) {
      const isTrap =
        error instanceof WebAssembly.RuntimeError && /table index|null function|indirect call/.test(error.message);
      if (!(error instanceof Thrown) && !isTrap) throw error;
      seen.thrown++;
      if (!random.oneIn(8)) attempt(() => exports.restore(mark)); // what a target does
      if (nested > 0 && random.oneIn(2)) throw error;
    }
  };

  const step = (): void => {
    if (random.oneIn(down ? 300 : 50)) down = !down;
    let [name, ...values] = sensible();
    if (random.oneIn(3)) {
      name = random.pick(names);
      const { length } = exports[name] as () => void;
      values = Array.from({ length }, (_, k) => (isLong(name, k) ? BigInt(value()) : value()));
    }
    const func = exports[name] as (...values: (number | bigint)[]) => unknown;
    // Room for all: the sizes that would fill it are a test of their own.
    const many = tasksOf(engine).length > 6;
    if (name === 'task_create' && (many || Number(values[0]) > 5000)) values[0] = many ? 1 : 64;
    if (name === 'ring_create' && ringsOf(engine).length > 6) values[0] = 3;
    // Some sites have to stay, and be entered.
    if (name === 'site_unload' && random.below(8) > 0) values[0] = memory.siteCount();
    if (name === 'task_ignore' && random.below(8) > 0) values[1] = 0;
    if (name === 'ring_create' && Number(values[0]) > 64) values[0] = 4;
    if (name === 'fprobe_request' && Number(values[0]) > 5000) values[0] = 300;
    if (name === 'ops_register' && memory.load32(layout.ABI_OPS_CAPACITY) > 32) name = 'ops_unregister';
    if (name === 'graph_filter' || name === 'graph_depth') values = [random.oneIn(5) ? 1 : 0];
    if (name === 'block_alloc' && (Number(values[0]) > 5000 || blocksOf(engine).length > 6)) name = 'block_free';
    if (name === 'site_add') values[0] = memory.load32(layout.ABI_SITE_COUNT) > 140 ? -1 : random.below(100);
    history.push(`${' '.repeat(nested)}${name} ${values.join(' ')}`);
    if (history.length > 40) history.shift();
    attempt(() => {
      const result = func(...values);
      if (/^enter/.test(name) && result !== 0) seen.entries++;
    });
    checkAll(engine);
  };

  try {
    engine.addSites(8);
    for (let i = 0; i < STEPS_PER_ENGINE; i++) {
      step();
      if (i % 8 === 0) checkFprobes(engine);
      if (i % 100 === 0) checkHeap(engine);
      if (i % 500 === 0)
        for (const ring of ringsOf(engine))
          for (const { events } of readRing(engine, ring)) seen.records += events.length;
      // Tasks that are stuck for good, paused or in a callback that never came back, are freed up now and then.
      if (random.oneIn(200)) {
        attempt(() => exports.task_reset(exports.task_current()));
        while (exports.task_pause(exports.task_current(), 0) > 0);
      }
    }
    checkHeap(engine);
    for (const task of tasksOf(engine)) {
      const counts = memory.counts(task);
      for (const key of ['unwound', 'overrun', 'stray'] as const) seen[key] += counts[key];
    }
    seen.ops += memory.load32(layout.ABI_OPS_SERIAL);
    for (const probe of records(engine)) seen.probes += memory.load32(probe + fprobeLayout.FPROBE_GENERATION);
    for (let i = 0; i < 16; i++)
      seen.users += memory.load32(layout.ABI_GOPS + i * layout.GOPS_SIZE + layout.GOPS_GENERATION);
  } catch (error) {
    throw new Error(`seed ${seed}: ${(error as Error).message}\n${history.join('\n')}`, { cause: error });
  }
}

test(`${STEPS} steps of anything`, async () => {
  const seed = runSeed('raw exports');
  for (let k = 0; k < STEPS / STEPS_PER_ENGINE; k++) await run(seed + k);
  console.log(JSON.stringify(seen));
  for (const [what, count] of Object.entries(seen)) expect(count, what).toBeGreaterThan(STEPS / 1000);
});

test('memory that runs out is a refusal, and what was there goes on working', async () => {
  const engine = await freshEngine();
  const { exports } = engine;
  const rings: number[] = [];
  for (let ring = exports.ring_create(ringLayout.RING_PAGES_MAX, 0); ring !== 0; ) {
    rings.push(ring);
    ring = exports.ring_create(ringLayout.RING_PAGES_MAX, 0);
  }
  expect(rings.length).toBeGreaterThanOrEqual(4);
  expect(() => engine.createRing(ringLayout.RING_PAGES_MAX, 0)).toThrow(/ENOMEM/);
  expect(exports.site_add(2 ** 24)).toBe(-layout.ENOMEM);
  expect(exports.site_add(2 ** 29)).toBe(-layout.EINVAL);
  expect(exports.site_add(100)).toBe(0);
  const index = engine.registerFgraph(layout.GOPS_GRAPH, 0, 0, rings[0]);
  exports.site_want(7, index, 1);
  exports.leave(exports.enter(7));
  expect(readRing(engine, rings[0])[0].events.length).toBe(2);
  for (const ring of rings.slice(1)) expect(exports.ring_free(ring)).toBe(0);
  checkAll(engine);
  checkHeap(engine);
});

test('the checks find what they look for', async () => {
  const engine = await freshEngine();
  const { exports, memory } = engine;
  const task = exports.task_current();
  expect(exports.ring_free(engine.createRing(1, 0))).toBe(0);
  const lists = Array.from({ length: layout.ABI_FREE_CLASSES }, (_, k) => layout.ABI_FREE + 4 * k);
  const damages: [address: number, value: number][] = [
    [task + layout.TASK_TOP, memory.stackBottom() + 8],
    [task + layout.TASK_DEPTH, 3],
    [memory.load32(task + layout.TASK_LIMIT), 1],
    [layout.ABI_GOPS_MASK, 1],
    [lists.find((list) => memory.load32(list) !== 0)!, 0], // what a buffer left over
  ];
  checkAll(engine);
  checkHeap(engine);
  for (const [address, value] of damages) {
    const before = memory.load32(address);
    memory.store32(address, value);
    expect(() => {
      checkAll(engine);
      checkHeap(engine);
    }).toThrow(/broken/);
    memory.store32(address, before);
  }
  checkAll(engine);
});
