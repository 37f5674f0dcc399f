// What records carry besides (spec/fgraph.md §11 step 8, §12.3): arguments, results and return addresses, written by the
// engine, read by both decoders, against a list of what was passed.

import { describe, expect, test } from 'vitest';
import * as layout from '../../assembly/layout.ts';
import * as ringLayout from '../../assembly/ring-layout.ts';
import type { Engine, EngineExports } from '../../src/engine.ts';
import { ENTER_WORDS_MAX } from '../../src/instrument/abi.ts';
import { decodePage, pageBatch } from '../../src/trace/decode.ts';
import { ENTRY, LOST, RETURN, TraceEvent } from '../../src/trace/events.ts';
import { freshEngine, Random, runSeed } from './engine.ts';
import { checkAll } from './invariants.ts';
import { readRing } from './records.ts';

const { GRAPH_ARGUMENTS, GRAPH_CALLERS, GRAPH_NOTES, GRAPH_RESULTS, GRAPH_SKIP_SLEEP } = layout;
const { NOTE_ARGUMENTS, NOTE_CALLER, NOTE_RESULT } = ringLayout;
const SITES = 8;
const ip = (site: number): bigint => BigInt(0x1000 + 16 * site);

type Enter = (site: number, ...words: bigint[]) => number;

/// Enters with any number of words, as an instrumented module does.
function enter(exports: EngineExports, site: number, words: readonly bigint[]): number {
  if (words.length === 0) return exports.enter(site);
  for (let k = ENTER_WORDS_MAX; k < words.length; k++) exports.word(k, words[k]);
  const direct = Math.min(words.length, ENTER_WORDS_MAX);
  return (exports[`enter_${direct}` as keyof EngineExports] as Enter)(site, ...words.slice(0, direct));
}

interface Decoded {
  kind: number;
  func: number;
  args: readonly bigint[] | null;
  retaddr: number | bigint | null;
  retval: bigint | null;
}

/// What the decoder of src/trace makes of the readable pages.
function decoded({ exports, memory }: Engine, ring: number): Decoded[] {
  const batch = pageBatch();
  const event = new TraceEvent();
  const out: Decoded[] = [];
  const [tail, head] = memory.ringRange(ring);
  for (let sequence = tail; sequence !== (head + 1) >>> 0; sequence = (sequence + 1) >>> 0) {
    expect(decodePage(memory.u32, exports.ring_read(ring, sequence) >>> 0, batch)).toBe(true);
    for (let i = 0; i < batch.count; i++) {
      batch.read(i, event);
      const { kind, func, args, retaddr, retval } = event;
      if (kind !== LOST) out.push({ kind, func, args, retaddr, retval });
    }
  }
  return out;
}

async function start(options: number, { pages = 4, threshold = 0, mode = 0 } = {}) {
  const engine = await freshEngine();
  const { exports } = engine;
  engine.addSites(SITES);
  for (let site = 0; site < SITES; site++) exports.site_set_ip(site, Number(ip(site)), 0);
  const ring = engine.createRing(pages, mode);
  const index = engine.registerFgraph(layout.GOPS_GRAPH, 0, 0, ring);
  expect(exports.graph_options(index, options, threshold)).toBe(0);
  for (let site = 0; site < SITES; site++) exports.site_want(site, index, 1);
  return { engine, exports, memory: engine.memory, ring, index };
}

describe('a record carries', () => {
  test('six arguments at most, of any number that was passed', async () => {
    const { engine, exports, ring } = await start(GRAPH_ARGUMENTS);
    const passed = (count: number) => Array.from({ length: count }, (_, k) => BigInt(k) - 1n);
    for (let count = 0; count <= 20; count++) exports.leave_value(enter(exports, count % SITES, passed(count)), 9n);
    const events = decoded(engine, ring);
    events.forEach(({ kind, args, retval, retaddr }, i) => {
      const words = passed(i >> 1).map((word) => BigInt.asUintN(64, word));
      expect([args, retval, retaddr]).toEqual([kind === ENTRY ? words.slice(0, 6) : null, null, null]);
    });
    expect(events).toHaveLength(42);
  });

  test('the first word of the results, and none of a function without', async () => {
    const { engine, exports, ring } = await start(GRAPH_RESULTS);
    exports.leave_value(enter(exports, 1, [5n]), -22n);
    exports.leave(enter(exports, 2, []));
    const cookie = enter(exports, 3, []);
    exports.word(1, 8n);
    exports.leave_value(cookie, 7n);
    const returns = decoded(engine, ring).filter(({ kind }) => kind === RETURN);
    expect(returns.map(({ func, retval }) => [func, retval])).toEqual([
      [1, BigInt.asUintN(64, -22n)],
      [2, null],
      [3, 7n],
    ]);
  });

  test('the address of the caller, 0 when the host called', async () => {
    const { engine, exports, ring } = await start(GRAPH_CALLERS);
    const outer = exports.enter(1);
    exports.leave(exports.enter(2));
    exports.leave(outer);
    expect(decoded(engine, ring).map(({ func, retaddr }) => [func, retaddr])).toEqual([
      [1, 0n],
      [2, ip(1)],
      [2, null],
      [1, null],
    ]);
  });

  test('the result with a threshold, and when time asleep does not count', async () => {
    for (const { options, threshold } of [
      { options: GRAPH_RESULTS, threshold: 1 },
      { options: GRAPH_RESULTS | GRAPH_SKIP_SLEEP, threshold: 0 },
    ]) {
      const { engine, exports, ring } = await start(options, { threshold });
      exports.leave_value(exports.enter(1), 4n);
      expect(decoded(engine, ring).at(-1)).toMatchObject({ kind: RETURN, func: 1, retval: 4n });
    }
  });

  test('nothing where the frame was left without returning', async () => {
    const { engine, exports, ring } = await start(GRAPH_NOTES);
    const mark = exports.save();
    enter(exports, 1, [1n]);
    enter(exports, 2, [2n]);
    exports.restore(mark);
    const unwound = readRing(engine, ring)[0].events.slice(2);
    expect(unwound.map(({ type, notes }) => [type, notes])).toEqual([
      ['unwound', undefined],
      ['unwound', undefined],
    ]);
  });
});

test('options that are switched while calls are under way hold from the next event on', async () => {
  const { engine, exports, memory, ring, index } = await start(0);
  const first = enter(exports, 1, [1n]);
  expect(memory.load32(exports.task_current() + layout.TASK_DIRECT)).not.toBe(0);
  exports.graph_options(index, GRAPH_ARGUMENTS | GRAPH_RESULTS, 0);
  const second = enter(exports, 2, [2n]);
  expect(memory.load32(exports.task_current() + layout.TASK_DIRECT)).toBe(0);
  exports.leave_value(second, 3n);
  exports.leave_value(first, 4n);
  exports.graph_options(index, 0, 0);
  exports.leave_value(enter(exports, 3, [5n]), 6n);
  expect(memory.load32(exports.task_current() + layout.TASK_DIRECT)).not.toBe(0);
  expect(decoded(engine, ring).map(({ args, retval }) => [args, retval])).toEqual([
    [null, null],
    [[2n], null],
    [null, 3n],
    [null, 4n],
    [null, null],
    [null, null],
  ]);
  exports.graph_options(index, GRAPH_ARGUMENTS, 0);
  exports.fgraph_unregister(index);
  expect(memory.load32(layout.ABI_CALLING_MASK)).toBe(0);
});

test('random calls: every note is on the page of its event, and says what was passed', async () => {
  const seed = runSeed('notes of records');
  for (let run = 0; run < 30; run++) {
    const random = new Random(seed + run);
    let now = 1;
    const engine = await freshEngine({
      clock: () => (now += random.oneIn(200) ? 2 ** 33 : random.below(50)),
      call: () => 1,
    });
    const { exports, memory } = engine;
    exports.clock_set(random.below(2));
    engine.addSites(SITES);
    for (let site = 0; site < SITES; site++) exports.site_set_ip(site, Number(ip(site)), 0);
    // Several graphs with options of their own, and somebody whose handlers see the same words.
    const graphs = Array.from({ length: 1 + random.below(3) }, () => {
      const ring = engine.createRing(1 << random.below(4), random.below(2));
      const index = engine.registerFgraph(layout.GOPS_GRAPH, 0, 0, ring);
      const options = 8 * random.below(8);
      expect(exports.graph_options(index, options, 0)).toBe(0);
      return { ring, index, options, expected: [] as string[] };
    });
    if (random.oneIn(2))
      graphs.push({ ring: 0, index: engine.registerFgraph(layout.GOPS_HOST, 1, 2, 0), options: 0, expected: [] });
    for (const { index } of graphs)
      for (let site = 0; site < SITES; site++) exports.site_want(site, index, random.oneIn(5) ? 0 : 1);

    const stack: { cookie: number; site: number; bitmap: number }[] = [];
    const value = (): bigint => BigInt.asUintN(64, (BigInt(random.next()) << 32n) | BigInt(random.next()));
    const accepted = ({ index }: { index: number }, cookie: number): boolean =>
      ((memory.load32(cookie + layout.FRAME_BITMAP) >>> (layout.FGRAPH_INDEX_SHIFT + index)) & 1) === 1;
    for (let step = 0; step < 3000; step++) {
      if (stack.length < 3 || random.below(stack.length * 2) < 20) {
        const site = random.below(SITES);
        const words = Array.from({ length: random.oneIn(10) ? random.below(33) : random.below(8) }, value);
        const parent = stack.length > 0 ? ip(stack.at(-1)!.site) : 0n;
        const cookie = enter(exports, site, words);
        if (cookie === 0) continue;
        let bitmap = 0;
        for (const graph of graphs) {
          if (!accepted(graph, cookie)) continue;
          bitmap |= 1 << graph.index;
          const args = graph.options & GRAPH_ARGUMENTS ? words.slice(0, 6) : null;
          const retaddr = graph.options & GRAPH_CALLERS ? parent : null;
          graph.expected.push(`${ENTRY} ${site} ${args} ${retaddr} null`);
        }
        stack.push({ cookie, site, bitmap });
      } else {
        const { cookie, site, bitmap } = stack.pop()!;
        const result = random.oneIn(3) ? null : value();
        if (result === null) exports.leave(cookie);
        else exports.leave_value(cookie, result);
        for (const graph of graphs) {
          if (!((bitmap >>> graph.index) & 1)) continue;
          graph.expected.push(`${RETURN} ${site} null null ${graph.options & GRAPH_RESULTS ? result : null}`);
        }
      }
    }
    checkAll(engine);
    for (const { ring, expected } of graphs) {
      if (ring === 0) continue;
      const found = decoded(engine, ring);
      const rows = found.map(({ kind, func, args, retaddr, retval }) => `${kind} ${func} ${args} ${retaddr} ${retval}`);
      const message = `seed ${seed + run}`;
      // A full buffer keeps what is oldest or what is newest; a return that it refused is counted.
      const isOverwriting = memory.load32(ring + ringLayout.RING_MODE) === ringLayout.RING_OVERWRITE;
      if (isOverwriting) expect(rows, message).toEqual(expected.slice(expected.length - rows.length));
      else expect(rows, message).toEqual(expected.slice(0, rows.length));
      const naive = readRing(engine, ring).flatMap(({ events }) => events);
      expect(
        naive.map(({ notes }) => [
          notes?.[NOTE_ARGUMENTS] ?? null,
          notes?.[NOTE_CALLER]?.[0] ?? null,
          notes?.[NOTE_RESULT]?.[0] ?? null,
        ]),
        message,
      ).toEqual(found.map(({ args, retaddr, retval }) => [args, retaddr, retval]));
    }
  }
});
