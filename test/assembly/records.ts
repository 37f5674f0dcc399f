// Reads a ring buffer as ring-layout.ts describes it, word by word and without haste: the decoder that the engine's records are
// tested with, independent of src/trace.

import * as ringLayout from '../../assembly/ring-layout.ts';
import type { Engine } from '../../src/engine.ts';

export interface RingEvent {
  type: 'entry' | 'return' | 'unwound' | 'function';
  site: number;
  time: number;
  depth: number;
  /// Call time, of a return or an unwound frame: from the record, or from the entry on the same page. Of a function: ip of
  /// the caller.
  call: number;
  /// Of a function: the task.
  pid?: number;
  /// Its notes, by kind.
  notes?: Record<number, bigint[]>;
}

export interface Page {
  sequence: number;
  lost: number;
  events: RingEvent[];
  /// How often each type of record occurs.
  types: number[];
}

/// All readable pages, oldest first. Throws at the first thing that does not fit.
export function readRing({ exports, memory }: Engine, ring: number): Page[] {
  const pages: Page[] = [];
  const [tail, head] = memory.ringRange(ring);
  const first = memory.load32(ring + ringLayout.RING_FIRST);
  const [write, end] = [ringLayout.RING_WRITE, ringLayout.RING_END].map((offset) => memory.load32(ring + offset));
  if ((head + 1 - tail) >>> 0 > memory.load32(ring + ringLayout.RING_PAGES)) throw new Error(`ring ${tail}..${head}`);
  for (let sequence = tail; sequence !== (head + 1) >>> 0; sequence = (sequence + 1) >>> 0) {
    const page = exports.ring_read(ring, sequence);
    const number = (sequence & (memory.load32(ring + ringLayout.RING_PAGES) - 1)) >>> 0;
    if (page !== first + number * ringLayout.RING_PAGE_SIZE) throw new Error(`page ${sequence} is at ${page}`);
    const open = page + ringLayout.RING_PAGE_SIZE === end;
    if (open && !(sequence === head && write >= page + ringLayout.RING_PAGE_HEADER_SIZE && write <= end))
      throw new Error(`page ${sequence} is written at ${write}, before ${end}`);
    if (memory.load32(page + ringLayout.RING_PAGE_SEQUENCE) !== sequence)
      throw new Error(`page ${sequence} is not itself`);
    pages.push(readPage((address) => memory.load32(address), page, sequence));
  }
  return pages;
}

function readPage(load: (address: number) => number, page: number, sequence: number): Page {
  const load64 = (address: number) => load(address) + load(address + 4) * 2 ** 32;
  const used = load(page + ringLayout.RING_PAGE_USED);
  const events: RingEvent[] = [];
  const types: number[] = Array(8).fill(0);
  const open: RingEvent[] = [];
  let time = load64(page + ringLayout.RING_PAGE_TIME);
  let depth = load(page + ringLayout.RING_PAGE_DEPTH);
  let pid = 0;
  let at = page + ringLayout.RING_PAGE_HEADER_SIZE;
  const end = at + used;
  if (used % 8 !== 0 || end > page + ringLayout.RING_PAGE_SIZE) throw new Error(`page ${sequence} uses ${used} bytes`);
  while (at < end) {
    const low = load(at);
    const type = low & ringLayout.RECORD_TYPE_MASK;
    const payload = low >>> ringLayout.RECORD_PAYLOAD_SHIFT;
    time += load(at + 4);
    at += ringLayout.RECORD_SIZE;
    types[type]++;
    if (type === ringLayout.RECORD_DEPTH) depth = payload;
    else if (type === ringLayout.RECORD_TASK) pid = payload;
    else if (type === ringLayout.RECORD_FUNCTION) {
      events.push({ type: 'function', site: payload, time, depth, call: load64(at), pid });
      at += ringLayout.RECORD_SIZE;
    } else if (type === ringLayout.RECORD_TIME && payload !== 0) {
      const size = payload >>> ringLayout.NOTE_WORDS_SHIFT;
      const last = events.at(-1);
      if (!last || at + size * 8 > end) throw new Error(`note ${payload} belongs to nothing`);
      const words = Array.from(
        { length: size },
        (_, k) => BigInt(load(at + 8 * k)) | (BigInt(load(at + 8 * k + 4)) << 32n),
      );
      last.notes = { ...last.notes, [payload & ringLayout.NOTE_MASK]: words };
      at += size * 8;
    } else if (type === ringLayout.RECORD_TIME) {
      time = load64(at);
      at += ringLayout.RECORD_SIZE;
    } else if (type === ringLayout.RECORD_ENTRY) {
      const event: RingEvent = { type: 'entry', site: payload, time, depth, call: time };
      events.push(event);
      open[depth] = event;
      open.length = ++depth;
    } else if (type >= ringLayout.RECORD_RETURN && type <= ringLayout.RECORD_UNWOUND) {
      depth--;
      let call: number;
      if (type === ringLayout.RECORD_RETURN) {
        if (open[depth]?.site !== payload) throw new Error(`return of ${payload} at depth ${depth} has no entry`);
        call = open[depth].time;
      } else {
        call = load64(at);
        at += ringLayout.RECORD_SIZE;
      }
      if (call > time || depth < 0) throw new Error(`called at ${call}, ended at ${time}, depth ${depth}`);
      events.push({
        type: type === ringLayout.RECORD_UNWOUND ? 'unwound' : 'return',
        site: payload,
        time,
        depth,
        call,
      });
      if (open.length > depth) open.length = depth;
    } else throw new Error(`record type ${type} at ${at - page}`);
  }
  if (at !== end) throw new Error(`page ${sequence} ends inside a record`);
  const count = load(page + ringLayout.RING_PAGE_EVENTS);
  if (events.length !== count) throw new Error(`page ${sequence} has ${events.length} events and says ${count}`);
  return { sequence, lost: load(page + ringLayout.RING_PAGE_LOST), events, types };
}
