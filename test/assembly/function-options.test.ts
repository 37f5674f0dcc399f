// The options of the function tracer in the engine (spec/fgraph.md §13): runs of repeats, stacks, arguments, against a list of
// what was called.

import { expect, test } from 'vitest';
import * as layout from '../../assembly/layout.ts';
import * as ringLayout from '../../assembly/ring-layout.ts';
import type { Engine } from '../../src/engine.ts';
import { decodePage, pageBatch } from '../../src/trace/decode.ts';
import { FUNCTION } from '../../src/trace/events.ts';
import type { NotedCall } from '../../src/trace/notes.ts';
import { freshEngine, Random, runSeed } from './engine.ts';
import { checkAll } from './invariants.ts';
import { readRing } from './records.ts';

const { FUNC_ARGUMENTS, FUNC_NO_REPEATS, FUNC_STACK_TRACE } = layout;
const SITES = 6;
const ip = (site: number): number => 0x1000 + 16 * site;

type Row = { site: number; time: number; parent: number; pid: number; repeats: number } & Omit<NotedCall, 'run'>;

/// What the decoder of src/trace makes of the readable pages; the other one has to see the same.
function decoded(engine: Engine, ring: number): Row[] {
  const { exports, memory } = engine;
  const batch = pageBatch();
  const rows: Row[] = [];
  let lastTime = 0;
  const [tail, head] = memory.ringRange(ring);
  for (let sequence = tail; sequence !== (head + 1) >>> 0; sequence = (sequence + 1) >>> 0) {
    expect(decodePage(memory.u32, exports.ring_read(ring, sequence) >>> 0, batch)).toBe(true);
    for (let i = 0; i < batch.count; i++) {
      if (batch.kind[i] !== FUNCTION) continue;
      const noted: NotedCall = { args: null, run: null, stack: null };
      batch.notes.readCall(i, noted);
      const { args, run, stack } = noted;
      const time = batch.time[i];
      if (run !== null) {
        expect(run.count > 0 && run.lastTime > lastTime && run.lastTime < time).toBe(true);
        rows.push({ ...run, time, parent: Number(run.parent), repeats: run.count, args: null, stack: null });
      }
      rows.push({ site: batch.func[i], time, parent: batch.call[i], pid: batch.pid[i], repeats: 0, args, stack });
      lastTime = time;
    }
  }
  const naive = readRing(engine, ring).flatMap(({ events }) => events);
  expect(
    naive.flatMap(({ site, time, call, pid, notes = {} }) => {
      const [who, parent, count] = notes[ringLayout.NOTE_REPEATS] ?? [0n, 0n, 0n];
      const run = [Number(who & 0xffff_ffffn), time, Number(parent), Number(who >> 32n), Number(count), null, null];
      const [args, stack] = [notes[ringLayout.NOTE_ARGUMENTS] ?? null, notes[ringLayout.NOTE_STACK] ?? null];
      return [...(count > 0n ? [run] : []), [site, time, call, pid, 0, args, stack]];
    }),
  ).toEqual(
    rows.map(({ site, time, parent, pid, repeats, args, stack }) => [site, time, parent, pid, repeats, args, stack]),
  );
  return rows;
}

async function start(flags: number, pages = 64, mode = 0) {
  const engine = await freshEngine();
  const { exports } = engine;
  engine.addSites(SITES);
  for (let site = 0; site < SITES; site++) exports.site_set_ip(site, ip(site), 0);
  const ring = engine.createRing(pages, mode);
  const ops = engine.registerOps(layout.OPS_FUNCTION, ring, flags);
  const parents = engine.registerFgraph(layout.GOPS_FRAME, 0, 0, 0);
  for (let site = 0; site < SITES; site++) {
    exports.site_want(site, ops, 1);
    exports.site_want(site, parents, 1);
  }
  return { engine, exports, memory: engine.memory, ring, ops };
}

test('legal sets: none, each by itself, stacks without repeats', async () => {
  const { exports, createRing } = await freshEngine().then((engine) => ({
    exports: engine.exports,
    createRing: () => engine.createRing(1, 0),
  }));
  for (let set = 0; set < 256; set++) {
    const isLegal = [0, 1, 2, 3, 4].includes(set);
    const handle = exports.ops_register(layout.OPS_FUNCTION, createRing(), set << layout.FUNC_SHIFT);
    if (isLegal) expect(exports.ops_unregister(handle)).toBe(0);
    else expect(handle, `set ${set}`).toBe(-layout.EINVAL);
    if (set > 0) expect(exports.ops_register(layout.OPS_HOST, 1, set << layout.FUNC_SHIFT)).toBe(-layout.EINVAL);
  }
});

test('a run that nothing follows is one record; the next call is preceded by what there was of it', async () => {
  const { engine, exports, ring } = await start(FUNC_NO_REPEATS);
  for (let i = 0; i < 5; i++) exports.leave(exports.enter(1));
  expect(decoded(engine, ring).map(({ site, repeats }) => [site, repeats])).toEqual([[1, 0]]);
  const outer = exports.enter(2);
  exports.leave(exports.enter(1)); // from elsewhere
  exports.leave(exports.enter(1));
  exports.leave(outer);
  exports.leave(exports.enter(1));
  expect(decoded(engine, ring).map(({ site, parent, repeats }) => [site, parent, repeats])).toEqual([
    [1, 0, 0],
    [1, 0, 4],
    [2, 0, 0],
    [1, ip(2), 0],
    [1, ip(2), 1],
    [1, 0, 0],
  ]);
  exports.ring_clear(ring);
  exports.leave(exports.enter(1));
  expect(decoded(engine, ring).map(({ site, repeats }) => [site, repeats])).toEqual([[1, 0]]);
});

test('a buffer that another one records into begins without a run', async () => {
  const { engine, exports, ring, ops } = await start(FUNC_NO_REPEATS);
  exports.leave(exports.enter(1));
  exports.ops_unregister(ops);
  const next = engine.registerOps(layout.OPS_FUNCTION, ring, FUNC_NO_REPEATS);
  exports.site_want(1, next, 1);
  exports.leave(exports.enter(1));
  expect(decoded(engine, ring).map(({ site, repeats }) => [site, repeats])).toEqual([
    [1, 0],
    [1, 0],
  ]);
});

test('a run ends after 65535 repeats', async () => {
  const { engine, exports, ring } = await start(FUNC_NO_REPEATS);
  for (let i = 0; i < 65538; i++) exports.leave(exports.enter(3));
  exports.enter(4);
  expect(decoded(engine, ring).map(({ site, repeats }) => [site, repeats])).toEqual([
    [3, 0],
    [3, 65535],
    [3, 0],
    [3, 1],
    [4, 0],
  ]);
});

test('another task begins a run of its own', async () => {
  const { engine, exports, ring } = await start(FUNC_NO_REPEATS);
  const [first, second] = [exports.task_current(), engine.createTask()];
  for (const task of [first, first, second, second, first]) {
    exports.task_switch(task);
    exports.leave(exports.enter(1));
  }
  const rows = decoded(engine, ring);
  expect(rows.map(({ pid, repeats }) => [pid === rows[0].pid, repeats])).toEqual([
    [true, 0],
    [true, 1],
    [false, 0],
    [false, 1],
    [true, 0],
  ]);
});

test('nothing is counted while the buffer is off, and no run begins with a call that found no room', async () => {
  const { engine, exports, memory, ring } = await start(FUNC_NO_REPEATS, 1, ringLayout.RING_STOP);
  exports.leave(exports.enter(1));
  exports.ring_on(ring, 0);
  exports.leave(exports.enter(1));
  exports.ring_on(ring, 1);
  for (let i = 0; memory.ringLost(ring) === 0; i++) exports.leave(exports.enter(2 + (i & 1)));
  const count = decoded(engine, ring).length;
  exports.leave(exports.enter(5));
  exports.ring_consume(ring, 1);
  exports.leave(exports.enter(5));
  exports.leave(exports.enter(5));
  exports.leave(exports.enter(4));
  expect(count).toBeGreaterThan(100);
  expect(decoded(engine, ring).map(({ site, repeats }) => [site, repeats])).toEqual([
    [5, 0],
    [5, 1],
    [4, 0],
  ]);
});

test('a stack holds 256 callers at most', async () => {
  const { engine, exports, ring } = await start(FUNC_STACK_TRACE, 256);
  exports.task_switch(engine.createTask(4096));
  for (let i = 0; i < 300; i++) exports.enter(i % SITES);
  const stacks = decoded(engine, ring).map(({ stack }) => stack!);
  expect(stacks.map(({ length }) => length)).toEqual(Array.from({ length: 300 }, (_, i) => Math.min(i, 256)));
  expect(stacks[5]).toEqual([4, 3, 2, 1, 0].map((site) => BigInt(ip(site))));
});

test('random calls with all sets of options', async () => {
  const seed = runSeed('options of the function tracer');
  for (let run = 0; run < 25; run++) {
    const random = new Random(seed + run);
    const flags = random.pick([
      0,
      FUNC_ARGUMENTS,
      FUNC_NO_REPEATS,
      FUNC_STACK_TRACE,
      FUNC_STACK_TRACE | FUNC_NO_REPEATS,
    ]);
    const { engine, exports, memory, ring } = await start(flags, 2 << random.below(5));
    const stack: [cookie: number, site: number][] = [];
    const expected: string[] = [];
    let runOf = '';
    let repeats = 0;
    const pid = memory.load32(exports.task_current() + layout.TASK_ID);
    for (let step = 0; step < 4000; step++) {
      if (stack.length < 2 || random.below(stack.length * 2) < 9) {
        const site = random.oneIn(2) ? 1 : random.below(SITES);
        const words = Array.from({ length: random.below(5) }, () => BigInt(random.next()));
        const parent = stack.length > 0 ? ip(stack.at(-1)![1]) : 0;
        const what = `${site} ${parent} ${pid}`;
        if (flags & FUNC_NO_REPEATS && what === runOf) {
          repeats++;
        } else {
          if (repeats > 0) expected.push(`${runOf} ×${repeats}`);
          [runOf, repeats] = [flags & FUNC_NO_REPEATS ? what : '', 0];
          const callers = stack.map(([, caller]) => ip(caller)).reverse();
          const args = flags & FUNC_ARGUMENTS ? ` (${words})` : '';
          expected.push(`${what}${args}${flags & FUNC_STACK_TRACE ? ` [${callers}]` : ''}`);
        }
        const enter = exports[(words.length === 0 ? 'enter' : `enter_${words.length}`) as 'enter_1'];
        stack.push([enter(site, ...(words as [bigint])), site]);
      } else {
        exports.leave(stack.pop()![0]);
      }
    }
    checkAll(engine);
    const rows = decoded(engine, ring).map(
      ({ site, parent, pid: task, args, stack: callers, repeats: count }) =>
        `${site} ${parent} ${task}${args ? ` (${args})` : ''}${callers ? ` [${callers}]` : ''}${count > 0 ? ` ×${count}` : ''}`,
    );
    expect(rows.length, `seed ${seed + run}`).toBeGreaterThan(0);
    expect(rows, `seed ${seed + run}`).toEqual(expected.slice(expected.length - rows.length));
  }
});
