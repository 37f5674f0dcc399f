// Writer and reader of the ring buffer against each other: random programs run on the engine, and what is decoded must be
// what happened, on pages that were left by every kind of event at every place.

import { expect, test } from 'vitest';
import { CLOCK_COUNTER, CLOCK_MONO, GOPS_GRAPH, GOPS_PROFILE } from '../../assembly/layout.ts';
import { RING_OVERWRITE, RING_STOP } from '../../assembly/ring-layout.ts';
import { loadEngine } from '../../src/engine.ts';
import { decodePage, pageBatch } from '../../src/trace/decode.ts';
import { ENTRY, LOST, RETURN, TraceEvent, UNWOUND } from '../../src/trace/events.ts';
import { seeded } from './random.ts';

type Row = [kind: number, func: number, depth: number, time: number, call: number];

const SITES = 40;

interface Frame {
  site: number;
  cookie: number;
  depth: number;
  call: number;
  recorded: boolean;
}

async function run(clock: number, mode: number, pages: number, consume: boolean, both: boolean): Promise<void> {
  const { random, seed } = seeded(clock * 100 + mode * 10 + pages);
  let now = 1;
  const engine = await loadEngine({ clock: () => now });
  const { exports, memory } = engine;
  exports.clock_set(clock);
  engine.addSites(SITES);
  const ring = engine.createRing(pages, mode);
  const user = engine.registerFgraph(GOPS_GRAPH, 0, 0, ring);
  // Another user puts frames between the recorded ones.
  const other = engine.registerFgraph(GOPS_PROFILE, 0, 0, 0);
  for (let site = 0; site < SITES; site++) {
    exports.site_want(site, user, site < SITES / 2 ? 1 : 0);
    exports.site_want(site, other, both ? 1 : 0);
  }

  const batch = pageBatch();
  const read: Row[] = [];
  const event = new TraceEvent();
  let lost = 0;
  const readAll = (take: boolean): void => {
    const [tail, head] = memory.ringRange(ring);
    for (let sequence = tail; sequence !== head + 1; sequence++) {
      const page = exports.ring_read(ring, sequence);
      expect(decodePage(memory.u32, page, batch), `seed ${seed}, page ${sequence}`).toBe(true);
      for (let i = 0; i < batch.count; i++) {
        batch.read(i, event);
        if (event.kind === LOST) lost += event.count;
        else read.push([event.kind, event.func, event.depth, event.time, event.call]);
      }
      if (take) exports.ring_consume(ring, sequence);
    }
  };

  const happened: Row[] = [];
  const stack: Frame[] = [];
  const tick = (): number => {
    now += random(100) === 0 ? 2 ** 33 : random(1000);
    return now;
  };
  const end = (kind: typeof RETURN | typeof UNWOUND, { site, depth, call, recorded }: Frame): void => {
    if (recorded) happened.push([kind, site, depth, now, call]);
  };
  for (let step = 0; step < 12_000; step++) {
    tick();
    const choice = random(100);
    if (choice < 50 && stack.length < 30) {
      const site = random(SITES);
      const cookie = exports.enter(site);
      const recorded = cookie !== 0 && site < SITES / 2;
      if (cookie !== 0) {
        if (recorded) happened.push([ENTRY, site, stack.length, now, now]);
        stack.push({ site, cookie, depth: stack.length, call: now, recorded });
      }
    } else if (choice < 96 && stack.length > 0) {
      const frame = stack.pop()!;
      exports.leave(frame.cookie);
      end(RETURN, frame);
    } else if (stack.length > 1) {
      // The program left some frames at once and returns from the one below them.
      const left = 1 + random(stack.length - 1);
      for (let i = 0; i < left; i++) end(UNWOUND, stack.pop()!);
      const frame = stack.pop()!;
      exports.leave(frame.cookie);
      end(RETURN, frame);
    }
    if (consume && random(400) === 0) readAll(true);
  }
  readAll(true);

  // The counter gives every event a number of its own; only differences can be told from outside.
  const rows = clock === CLOCK_MONO ? read : read.map(([kind, func, depth]): Row => [kind, func, depth, 0, 0]);
  const wanted =
    clock === CLOCK_MONO ? happened : happened.map(([kind, func, depth]): Row => [kind, func, depth, 0, 0]);
  const message = `seed ${seed}: clock ${clock} mode ${mode} pages ${pages}`;
  expect(memory.ringLost(ring), message).toBe(lost);
  if (mode === RING_OVERWRITE) {
    expect(read.length + lost, message).toBe(happened.length);
    if (!consume) expect(rows, message).toEqual(wanted.slice(wanted.length - rows.length));
  }
  if (lost === 0) expect(rows, message).toEqual(wanted);
  for (const [, , , time, call] of read) expect(call).toBeLessThanOrEqual(time);
}

test.each([
  [CLOCK_COUNTER, RING_OVERWRITE, 64, false, false],
  [CLOCK_COUNTER, RING_OVERWRITE, 2, false, true],
  [CLOCK_COUNTER, RING_OVERWRITE, 1, false, false],
  [CLOCK_COUNTER, RING_OVERWRITE, 8, true, true],
  [CLOCK_MONO, RING_OVERWRITE, 64, false, true],
  [CLOCK_MONO, RING_OVERWRITE, 2, false, false],
  [CLOCK_MONO, RING_OVERWRITE, 8, true, true],
  [CLOCK_COUNTER, RING_STOP, 256, true, false],
])('clock %i, mode %i, %i pages, consumed %s, another user %s', run);
