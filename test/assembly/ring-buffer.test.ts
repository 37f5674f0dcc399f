// The ring buffer against a list: what is read is what was written, less what is counted as lost.

import { describe, expect, test } from 'vitest';
import * as layout from '../../assembly/layout.ts';
import * as ringLayout from '../../assembly/ring-layout.ts';
import type { Engine } from '../../src/engine.ts';
import { freshEngine, Random, runSeed } from './engine.ts';
import { readRing } from './records.ts';

const { RING_OVERWRITE, RING_STOP } = ringLayout;
/// Records of eight bytes that fit on one page.
const PER_PAGE = (ringLayout.RING_PAGE_SIZE - ringLayout.RING_PAGE_HEADER_SIZE) / ringLayout.RECORD_SIZE;

/// An engine whose graph user records sites 0 to 9 into a ring.
async function withRing(pages: number, mode: number, words = 4096) {
  const engine = await freshEngine();
  const { exports } = engine;
  exports.task_switch(engine.createTask(words));
  engine.addSites(10);
  const ring = engine.createRing(pages, mode);
  const index = engine.registerFgraph(layout.GOPS_GRAPH, 0, 0, ring);
  for (let site = 0; site < 10; site++) exports.site_want(site, index, 1);
  const call = (site: number) => exports.leave(exports.enter(site));
  return { engine, exports, memory: engine.memory, ring, index, call };
}

const sites = (engine: Engine, ring: number) =>
  readRing(engine, ring).flatMap(({ events }) => events.map((e) => e.site));

describe('pages', () => {
  test('a number of pages that is no power of two, or a bad mode, is refused', async () => {
    const { exports } = await freshEngine();
    for (const pages of [0, 3, 6, -1, 2 * ringLayout.RING_PAGES_MAX]) expect(exports.ring_create(pages, 0)).toBe(0);
    expect(exports.ring_create(1, 2)).toBe(0);
    expect(exports.ring_create(2, RING_STOP)).not.toBe(0);
  });

  test('fill up to the last word', async () => {
    const { engine, exports, memory, ring, call } = await withRing(2, RING_OVERWRITE);
    expect(memory.ringRange(ring)).toEqual([1, 0]);
    for (let i = 0; i < PER_PAGE / 2; i++) call(i % 10);
    expect(memory.ringRange(ring)).toEqual([1, 1]);
    const page = exports.ring_read(ring, 1);
    expect(memory.load32(page + ringLayout.RING_PAGE_USED)).toBe(PER_PAGE * ringLayout.RECORD_SIZE);
    expect(readRing(engine, ring)[0].events.length).toBe(PER_PAGE);
    call(0);
    expect(memory.ringRange(ring)).toEqual([1, 2]);
  });

  test('of sixteen buffers that are written in step compete for no set of a cache', async () => {
    const engine = await freshEngine();
    for (const pages of [8, 64]) {
      const rings = Array.from({ length: 16 }, () => engine.createRing(pages, RING_OVERWRITE));
      const lines = rings.map((ring) => engine.memory.load32(ring + ringLayout.RING_FIRST) >>> 6);
      expect(new Set(lines.map((line) => line % 64)).size).toBe(16);
    }
  });

  test('overwrite: the oldest page goes, and is counted in front of the next', async () => {
    const { engine, memory, ring, call } = await withRing(4, RING_OVERWRITE);
    for (let i = 0; i < (PER_PAGE / 2) * 7; i++) call(i % 10);
    const pages = readRing(engine, ring);
    expect(pages.map(({ sequence }) => sequence)).toEqual([4, 5, 6, 7]);
    expect(pages.map(({ lost }) => lost)).toEqual([3 * PER_PAGE, 0, 0, 0]);
    expect(memory.ringLost(ring)).toBe(3 * PER_PAGE);
  });

  test('stop: what is new is dropped, and counted in front of the next page', async () => {
    const { engine, exports, memory, ring, call } = await withRing(2, RING_STOP);
    for (let i = 0; i < PER_PAGE; i++) call(1);
    expect(exports.enter(2)).toBe(0); // refused: an entry that cannot be recorded is not accepted
    call(2);
    expect(memory.ringLost(ring)).toBe(2);
    expect(sites(engine, ring)).toEqual(Array(2 * PER_PAGE).fill(1));
    expect(exports.ring_consume(ring, 1)).toBe(1);
    call(3);
    const pages = readRing(engine, ring);
    expect(pages.map(({ lost }) => lost)).toEqual([0, 2]);
    expect(pages[1].events.map(({ site }) => site)).toEqual([3, 3]);
  });

  test('stop: a return that is dropped leaves the depth of what follows right', async () => {
    const { engine, exports, ring, call } = await withRing(1, RING_STOP);
    const outer = exports.enter(0);
    const inner = exports.enter(1);
    for (let i = 0; i < (PER_PAGE - 2) / 2; i++) call(2);
    exports.leave(inner);
    exports.ring_consume(ring, 1);
    call(3);
    exports.leave(outer);
    expect(readRing(engine, ring)[0]).toMatchObject({
      lost: 1,
      events: [
        { type: 'entry', site: 3, depth: 1 },
        { type: 'return', site: 3, depth: 1 },
        { type: 'return', site: 0, depth: 0, call: 1 },
      ],
    });
  });
});

describe('records', () => {
  test('a return whose entry is on another page says when it was called', async () => {
    const { engine, exports, ring, call } = await withRing(2, RING_OVERWRITE);
    const cookies = [exports.enter(7), exports.enter(8)];
    for (let i = 0; i < PER_PAGE / 2; i++) call(1);
    const again = exports.enter(9);
    exports.leave(again);
    exports.leave(cookies[1]);
    exports.leave(exports.enter(9)); // where the frame of 8 was, but entered on this page
    exports.leave(cookies[0]);
    const [first, second] = readRing(engine, ring);
    expect(first.types[ringLayout.RECORD_RETURN_LONG]).toBe(0);
    expect(second.types[ringLayout.RECORD_RETURN_LONG]).toBe(2);
    const returns = second.events.filter(({ type }) => type === 'return');
    expect(returns.map(({ site, depth, call }) => [site, depth, call]).slice(-4)).toEqual([
      [9, 2, PER_PAGE + 3],
      [8, 1, 2],
      [9, 1, PER_PAGE + 6],
      [7, 0, 1],
    ]);
  });

  test('an unwound frame is a record of its own', async () => {
    const { engine, exports, memory, ring } = await withRing(2, RING_OVERWRITE);
    const mark = exports.save();
    const outer = exports.enter(0);
    exports.enter(1);
    exports.enter(2);
    exports.leave(outer);
    exports.enter(3);
    exports.restore(mark);
    expect(readRing(engine, ring)[0].events.map(({ type, site, depth, call }) => [type, site, depth, call])).toEqual([
      ['entry', 0, 0, 1],
      ['entry', 1, 1, 2],
      ['entry', 2, 2, 3],
      ['unwound', 2, 2, 3],
      ['unwound', 1, 1, 2],
      ['return', 0, 0, 1],
      ['entry', 3, 0, 7],
      ['unwound', 3, 0, 7],
    ]);
    expect(memory.counts()).toMatchObject({ entries: 4, returns: 1, unwound: 3, stray: 0 });
  });

  test('gaps of 2^32 and more, and a clock that stands still or goes back', async () => {
    let now = 5;
    const engine = await freshEngine({ clock: () => now });
    const { exports } = engine;
    engine.addSites(1);
    expect(exports.clock_set(layout.CLOCK_MONO)).toBe(0);
    const ring = engine.createRing(1, 0);
    exports.site_want(0, engine.registerFgraph(layout.GOPS_GRAPH, 0, 0, ring), 1);
    for (const time of [5, 5, 5 + 2 ** 32, 4 + 2 ** 33, 3, Number.NaN, -1, 2 ** 52]) {
      now = time;
      exports.leave(exports.enter(0));
    }
    const [{ events, types }] = readRing(engine, ring);
    const times = [5, 5, 5 + 2 ** 32, 4 + 2 ** 33, 4 + 2 ** 33, 4 + 2 ** 33, 4 + 2 ** 33, 2 ** 52];
    expect(events.map(({ time }) => time)).toEqual(times.flatMap((time) => [time, time]));
    expect(types[ringLayout.RECORD_TIME]).toBe(2); // 2^33 − 1 after 2^32 + 5 still fits into 32 bits
  });

  test('a function that another user alone wants changes the depth unrecorded', async () => {
    const { engine, exports, ring, index, call } = await withRing(1, RING_OVERWRITE);
    const other = engine.registerFgraph(layout.GOPS_PROFILE, 0, 0, 0);
    exports.site_want(5, index, 0);
    exports.site_want(5, other, 1);
    call(1);
    const unseen = exports.enter(5);
    call(2);
    exports.leave(unseen);
    call(3);
    const [{ events, types }] = readRing(engine, ring);
    expect(events.map(({ site, depth }) => [site, depth])).toEqual([
      [1, 0],
      [1, 0],
      [2, 1],
      [2, 1],
      [3, 0],
      [3, 0],
    ]);
    expect(types[ringLayout.RECORD_DEPTH]).toBe(2);
  });
});

describe('reading', () => {
  test('trace leaves everything, trace_pipe takes it, also from the page that is written', async () => {
    const { engine, exports, memory, ring, call } = await withRing(4, RING_OVERWRITE);
    call(1);
    call(2);
    expect(sites(engine, ring)).toEqual([1, 1, 2, 2]);
    expect(sites(engine, ring)).toEqual([1, 1, 2, 2]);
    expect(exports.ring_consume(ring, 1)).toBe(1);
    expect(sites(engine, ring)).toEqual([]);
    expect(exports.ring_read(ring, 1)).toBe(0);
    expect(exports.ring_consume(ring, 1)).toBe(0);
    for (const beyond of [2, 2 ** 31 - 1, 2 ** 31]) expect(exports.ring_consume(ring, beyond)).toBe(-layout.EINVAL);
    call(3);
    expect(memory.ringRange(ring)).toEqual([2, 2]);
    expect(sites(engine, ring)).toEqual([3, 3]);
    expect(memory.ringLost(ring)).toBe(0);
  });

  test('wait asks the host until there is something, or the host gives up', async () => {
    const waits: number[] = [];
    const engine = await freshEngine({
      wait(ring) {
        waits.push(ring);
        if (waits.length === 3) engine.exports.enter(0);
        return waits.length < 5 ? 1 : 0;
      },
    });
    const { exports } = engine;
    engine.addSites(1);
    const ring = engine.createRing(1, 0);
    exports.site_want(0, engine.registerFgraph(layout.GOPS_GRAPH, 0, 0, ring), 1);
    expect(exports.ring_wait(ring)).toBe(1);
    expect(waits).toEqual([ring, ring, ring]);
    exports.ring_consume(ring, 1);
    expect(exports.ring_wait(ring)).toBe(0);
    expect(exports.ring_wait(ring + 4)).toBe(-layout.EINVAL);
  });

  test('off and on: entries are refused, returns leave no record, nothing counts as lost', async () => {
    const { engine, exports, memory, ring } = await withRing(1, RING_OVERWRITE);
    const outer = exports.enter(1);
    const inner = exports.enter(2);
    exports.ring_on(ring, 0);
    expect(exports.enter(3)).toBe(0);
    exports.leave(inner);
    exports.ring_on(ring, 1);
    exports.leave(outer);
    expect(readRing(engine, ring)[0].events.map(({ type, site }) => [type, site])).toEqual([
      ['entry', 1],
      ['entry', 2],
      ['return', 1],
    ]);
    expect(memory.ringLost(ring)).toBe(0);
  });

  test('clear forgets all, also what was lost', async () => {
    const { engine, exports, memory, ring, call } = await withRing(1, RING_OVERWRITE);
    for (let i = 0; i < 1000; i++) call(1);
    exports.ring_clear(ring);
    expect([memory.ringLost(ring), sites(engine, ring)]).toEqual([0, []]);
    call(2);
    expect(readRing(engine, ring)).toMatchObject([{ lost: 0, events: [{ site: 2 }, { site: 2 }] }]);
  });

  test('each task records into a ring of its own', async () => {
    const { engine, exports, ring, index } = await withRing(1, RING_OVERWRITE);
    const [first, second] = [exports.task_current(), engine.createTask()];
    const other = engine.createRing(1, 0);
    const outer = exports.enter(1);
    exports.task_switch(second);
    expect(exports.enter(2)).toBe(0);
    expect(exports.graph_set_ring(index, second, ring)).toBe(-layout.EBUSY);
    expect(exports.graph_set_ring(index, second, other)).toBe(0);
    const inner = exports.enter(2);
    exports.leave(outer);
    exports.task_switch(first);
    exports.leave(outer);
    exports.task_switch(second);
    exports.leave(inner);
    expect([sites(engine, ring), sites(engine, other)]).toEqual([
      [1, 1],
      [2, 2],
    ]);
    expect(readRing(engine, other)[0].events.map(({ time }) => time)).toEqual([2, 4]);
    exports.task_switch(first);
    expect(exports.task_free(second)).toBe(0);
    expect(exports.ring_free(other)).toBe(0);
    expect(exports.ring_free(ring)).toBe(-layout.EBUSY);
  });
});

test('random calls, readers and switches: read plus lost is written', async () => {
  const seed = runSeed('ring buffer');
  for (let run = 0; run < 40; run++) {
    const random = new Random(seed + run);
    const pages = 1 << random.below(4);
    const mode = random.below(2);
    const { engine, exports, memory, ring } = await withRing(pages, mode);
    exports.direct_set(random.below(3));
    const written: string[] = [];
    const read: string[] = [];
    const stack: [cookie: number, site: number, time: number][] = [];
    let time = 0;
    let lost = 0;
    /// Moves what the readable pages hold to `read`; consumes some of them.
    const drain = () => {
      for (const page of readRing(engine, ring)) {
        if (random.oneIn(3)) break;
        for (let i = 0; i < page.lost; i++) read.push('lost');
        for (const { type, site, time, depth, call } of page.events) {
          read.push(`${type} ${site} ${time} ${depth} ${type === 'entry' ? '' : call}`);
        }
        expect(exports.ring_consume(ring, page.sequence)).toBe(1);
      }
    };
    for (let i = 0; i < 6000; i++) {
      if (stack.length < 3 || random.below(stack.length * 2) < 30) {
        const site = random.below(10);
        const cookie = exports.enter(site);
        if (cookie) {
          written.push(`entry ${site} ${++time} ${stack.length} `);
          stack.push([cookie, site, time]);
        } else lost++;
      } else {
        let down = random.oneIn(5) ? 1 + random.below(3) : 1;
        exports.leave(stack[stack.length - down][0]);
        while (down-- > 0) {
          const [, site, call] = stack.pop()!;
          written.push(`${down > 0 ? 'unwound' : 'return'} ${site} ${++time} ${stack.length} ${call}`);
        }
      }
      if (random.oneIn(400)) drain();
    }
    while (memory.ringRange(ring)[0] !== memory.ringRange(ring)[1] + 1) drain();
    // Everything that was read was written, in that order; what is missing in between is marked as lost.
    let at = 0;
    for (const what of read) {
      if (what === 'lost') continue;
      while (at < written.length && written[at] !== what) at++;
      expect(at, `«${what}» was not written after the record before it (seed ${seed + run})`).toBeLessThan(
        written.length,
      );
      at++;
    }
    const events = read.filter((what) => what !== 'lost').length;
    const marked = read.length - events;
    expect(written.length + lost - events).toBe(memory.ringLost(ring));
    expect(marked + memory.load32(ring + ringLayout.RING_UNREPORTED)).toBe(memory.ringLost(ring));
  }
});
