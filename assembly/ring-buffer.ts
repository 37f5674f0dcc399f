// The ring buffer: who writes never waits for who reads. A page is the unit of both: when there is no room, the writer
// closes its page and opens the next one, over the oldest (RING_OVERWRITE) or not at all (RING_STOP); every event that
// is lost that way is counted, and the page behind the gap says how many are missing in front of it.
//
//   sequence   5        6        7        8                      tail <= s <= head: readable
//              | closed | closed | closed | written ->  |        page s is at FIRST + (s mod PAGES) * 4096
//              ^ tail                     ^ head
//
// A reader copies a page and then looks at its sequence number: if that is no longer the one it asked for, the writer
// came round and the copy is worthless. The writer changes the number before anything else on the page.
//
// A return needs no call time when its entry is on the same page. To know that without keeping a page number per frame,
// RING_OLD holds the base of the frame at which the page began: frames at or above it came later. A return below it
// says its call time and moves the border down to itself, since whatever is pushed there afterwards is new.
//
// Every word of a page is either the first of an event (entry, return, unwound, function) or an extra: a second word, a
// depth, a time, a task, a note. RING_EXTRA counts the extras, so that the events of a page are known without reading it.

import { hostWait } from './host';
import { ABI_RINGS, EBUSY, EINVAL } from './layout';
import {
  NOTE_WORDS_SHIFT, RECORD_DEPTH, RECORD_ENTRY, RECORD_FUNCTION, RECORD_PAYLOAD_SHIFT, RECORD_RETURN,
  RECORD_RETURN_LONG, RECORD_SHIFT, RECORD_SIZE, RECORD_TASK, RECORD_TIME, RECORD_UNWOUND, RING_DEPTH, RING_END,
  RING_EXTRA, RING_FIRST, RING_HEAD, RING_HEADER_SIZE, RING_LOST, RING_MODE, RING_NEXT, RING_OLD, RING_ON, RING_PAGES, RING_PAGES_MAX,
  RING_PAGE_DEPTH, RING_PAGE_EVENTS, RING_PAGE_HEADER_SIZE, RING_PAGE_LOST, RING_PAGE_SEQUENCE, RING_PAGE_SHIFT,
  RING_PAGE_SIZE, RING_PAGE_TIME, RING_PAGE_USED, RING_PID, RING_RUN_PID, RING_STOP, RING_TAIL, RING_TASK, RING_TIME,
  RING_UNREPORTED, RING_WRITE,
} from './ring-layout';
import { region_alloc, region_free } from './region';
import { begin, sync } from './task';

// ---- writing

function pageAt(ring: u32, sequence: u32): u32 {
  return load<u32>(ring, RING_FIRST) + ((sequence & (load<u32>(ring, RING_PAGES) - 1)) << RING_PAGE_SHIFT);
}

/// Fills in what the header of the open page, if there is one, leaves open while it is written.
function describeOpen(ring: u32): void {
  const end = load<u32>(ring, RING_END);
  if (!end) return;
  const page = end - RING_PAGE_SIZE;
  const used = load<u32>(ring, RING_WRITE) - page - RING_PAGE_HEADER_SIZE;
  store<u32>(page, used, RING_PAGE_USED);
  store<u32>(page, (used >> RECORD_SHIFT) - load<u32>(ring, RING_EXTRA), RING_PAGE_EVENTS);
}

function closePage(ring: u32): void {
  describeOpen(ring);
  store<u64>(ring, 0, RING_WRITE); // and RING_END
}

/// Opens the next page for an event at `time`, before which the depth is `depth`. `base` is the frame that the event is
/// about. Returns the page, or 0 when the buffer is full and has to stop.
function openPage(ring: u32, time: u64, depth: i32, base: u32): u32 {
  closePage(ring);
  const head = load<u32>(ring, RING_HEAD) + 1;
  const tail = load<u32>(ring, RING_TAIL);
  const page = pageAt(ring, head);
  let lost = load<u32>(ring, RING_UNREPORTED);
  if (head - tail >= load<u32>(ring, RING_PAGES)) {
    if (load<u32>(ring, RING_MODE) == RING_STOP) return 0;
    // The oldest page lies where the new one goes. What is missing in front of it and on it is missing in front of the
    // next.
    const events = load<u32>(page, RING_PAGE_EVENTS);
    const missing = events + load<u32>(page, RING_PAGE_LOST);
    store<u32>(ring, load<u32>(ring, RING_LOST) + events, RING_LOST);
    store<u32>(ring, tail + 1, RING_TAIL);
    if (tail + 1 == head) {
      lost += missing;
    } else {
      const oldest = pageAt(ring, tail + 1);
      store<u32>(oldest, load<u32>(oldest, RING_PAGE_LOST) + missing, RING_PAGE_LOST);
    }
  }
  store<u32>(page, head, RING_PAGE_SEQUENCE);
  // A page after a gap begins with its first event, every other where the one before it ended.
  const last = load<u64>(ring, RING_TIME);
  const start = last && time - last <= <u64>u32.MAX_VALUE ? last : time;
  store<u64>(page, start, RING_PAGE_TIME);
  store<i32>(page, depth, RING_PAGE_DEPTH);
  store<u32>(page, 0, RING_PAGE_USED);
  store<u32>(page, lost, RING_PAGE_LOST);
  store<u32>(page, 0, RING_PAGE_EVENTS);
  store<u32>(ring, 0, RING_UNREPORTED);
  store<u32>(ring, 0, RING_EXTRA);
  store<u32>(ring, 0, RING_PID);
  store<u32>(ring, head, RING_HEAD);
  store<u32>(ring, page + RING_PAGE_HEADER_SIZE, RING_WRITE);
  store<u32>(ring, page + RING_PAGE_SIZE, RING_END);
  store<u64>(ring, start, RING_TIME);
  store<i32>(ring, depth, RING_DEPTH);
  store<u32>(ring, base, RING_OLD);
  return page;
}

/// Records the entry at `depth` of the frame at `base`. False: off, or no room (counted as lost).
export function ring_entry(ring: u32, site: u32, time: u64, depth: i32, base: u32): bool {
  if (!isSimple(ring, time, depth)) return ring_event(ring, RECORD_ENTRY, site, time, depth, 0, base, 0);
  simpleEvent(ring, RECORD_ENTRY, site, time, depth + 1);
  return true;
}

/// Records the return of the frame at `base`, whose depth is `depth` and which was called at `call`.
export function ring_return(ring: u32, site: u32, time: u64, depth: i32, call: u64, base: u32): bool {
  if (base < load<u32>(ring, RING_OLD) || !isSimple(ring, time, depth + 1)) {
    return ring_event(ring, RECORD_RETURN, site, time, depth + 1, call, base, 0);
  }
  simpleEvent(ring, RECORD_RETURN, site, time, depth);
  return true;
}

/// Whether an event at `time`, before which the depth is `depth`, takes eight bytes and has them.
function isSimple(ring: u32, time: u64, depth: i32): bool {
  return load<u32>(ring, RING_WRITE) != load<u32>(ring, RING_END)
    && time - load<u64>(ring, RING_TIME) <= <u64>u32.MAX_VALUE // unsigned, so not before it either
    && load<i32>(ring, RING_DEPTH) == depth
    && load<u32>(ring, RING_ON) != 0;
}

function simpleEvent(ring: u32, type: u32, site: u32, time: u64, depth: i32): void {
  const at = load<u32>(ring, RING_WRITE);
  store<u64>(at, (time - load<u64>(ring, RING_TIME)) << 32 | <u64>(site << RECORD_PAYLOAD_SHIFT | type));
  store<u32>(ring, at + RECORD_SIZE, RING_WRITE);
  store<u64>(ring, time, RING_TIME);
  store<i32>(ring, depth, RING_DEPTH);
}

/// Records any event of the frame at `base`, with room for `notes` bytes of notes behind it: `type` is RECORD_ENTRY,
/// RECORD_RETURN, RECORD_RETURN_LONG where the entry was not recorded, or RECORD_UNWOUND, `depth` the depth before it.
/// False: off, or no room (counted as lost).
export function ring_event(
  ring: u32, type: u32, site: u32, time: u64, depth: i32, call: u64, base: u32, notes: u32
): bool {
  if (!load<u32>(ring, RING_ON)) return false;
  const last = load<u64>(ring, RING_TIME);
  if (time < last) time = last;
  if (type == RECORD_RETURN && base < load<u32>(ring, RING_OLD)) type = RECORD_RETURN_LONG;
  const head = load<u32>(ring, RING_HEAD);
  if (!makeRoom(ring, eventSize(ring, type, time - last, depth) + notes, time, depth, base)) return false;
  if (type == RECORD_RETURN && load<u32>(ring, RING_HEAD) != head) type = RECORD_RETURN_LONG;

  const delta = writeGap(ring, time);
  let at = load<u32>(ring, RING_WRITE);
  let extra: u32 = 0;
  if (load<i32>(ring, RING_DEPTH) != depth) {
    store<u64>(at, <u64>(depth << RECORD_PAYLOAD_SHIFT | RECORD_DEPTH));
    at += RECORD_SIZE;
    extra += 1;
  }
  store<u64>(at, delta << 32 | <u64>(site << RECORD_PAYLOAD_SHIFT | type));
  at += RECORD_SIZE;
  if (hasCall(type)) {
    store<u64>(at, call);
    at += RECORD_SIZE;
    extra += 1;
  }
  if (extra) addExtra(ring, extra);
  store<u32>(ring, at, RING_WRITE);
  store<u64>(ring, time, RING_TIME);
  if (type == RECORD_ENTRY) {
    store<i32>(ring, depth + 1, RING_DEPTH);
  } else {
    store<i32>(ring, depth - 1, RING_DEPTH);
    if (base < load<u32>(ring, RING_OLD)) store<u32>(ring, base, RING_OLD);
  }
  return true;
}

/// Adds a note of `count` words, which lie at `from`, to the event that was recorded last. Its room was asked for with it.
export function ring_note(ring: u32, note: u32, count: u32, from: u32): void {
  const at = load<u32>(ring, RING_WRITE);
  store<u64>(at, <u64>((count << NOTE_WORDS_SHIFT | note) << RECORD_PAYLOAD_SHIFT | RECORD_TIME));
  memory.copy(at + RECORD_SIZE, from, count << RECORD_SHIFT);
  addExtra(ring, count + 1);
  store<u32>(ring, at + (count + 1 << RECORD_SHIFT), RING_WRITE);
}

/// Records that `site` was entered from `parent` by the task `pid`, with room for `notes` bytes of notes behind it. False:
/// off, or no room (counted as lost). Independent of frames and depths.
export function ring_function(ring: u32, site: u32, time: u64, parent: u64, pid: u32, notes: u32): bool {
  if (!load<u32>(ring, RING_ON)) return false;
  const last = load<u64>(ring, RING_TIME);
  if (time < last) time = last;
  const size = (time - last > <u64>u32.MAX_VALUE ? 5 : 3) * RECORD_SIZE + notes;
  if (!makeRoom(ring, size, time, load<i32>(ring, RING_DEPTH), u32.MAX_VALUE)) return false;
  let delta = time - load<u64>(ring, RING_TIME);
  if (delta > <u64>u32.MAX_VALUE) delta = writeGap(ring, time);
  let at = load<u32>(ring, RING_WRITE);
  let extra = load<u32>(ring, RING_EXTRA) + 1;
  if (load<u32>(ring, RING_PID) != pid) {
    store<u64>(at, <u64>(pid << RECORD_PAYLOAD_SHIFT | RECORD_TASK));
    store<u32>(ring, pid, RING_PID);
    extra++;
    at += RECORD_SIZE;
  }
  store<u32>(ring, extra, RING_EXTRA);
  store<u64>(at, delta << 32 | <u64>(site << RECORD_PAYLOAD_SHIFT | RECORD_FUNCTION));
  store<u64>(at, parent, RECORD_SIZE);
  store<u32>(ring, at + 2 * RECORD_SIZE, RING_WRITE);
  store<u64>(ring, time, RING_TIME);
  return true;
}

/// Sees that the open page has `size` bytes left, opening the next one if not. False: the buffer is full and stops; the
/// event is counted as lost.
function makeRoom(ring: u32, size: u32, time: u64, depth: i32, base: u32): bool {
  if (load<u32>(ring, RING_END) - load<u32>(ring, RING_WRITE) >= size) return true;
  if (openPage(ring, time, depth, base)) return true;
  store<u32>(ring, load<u32>(ring, RING_LOST) + 1, RING_LOST);
  store<u32>(ring, load<u32>(ring, RING_UNREPORTED) + 1, RING_UNREPORTED);
  return false;
}

/// The time from the last record to `time`; what 32 bits cannot say is written down, and 0 remains.
function writeGap(ring: u32, time: u64): u64 {
  const gap = time - load<u64>(ring, RING_TIME);
  if (gap <= <u64>u32.MAX_VALUE) return gap;
  const at = load<u32>(ring, RING_WRITE);
  store<u64>(at, RECORD_TIME);
  store<u64>(at, time, RECORD_SIZE);
  store<u32>(ring, at + 2 * RECORD_SIZE, RING_WRITE);
  addExtra(ring, 2);
  return 0;
}

function addExtra(ring: u32, words: u32): void {
  store<u32>(ring, load<u32>(ring, RING_EXTRA) + words, RING_EXTRA);
}

function hasCall(type: u32): bool {
  return type == RECORD_RETURN_LONG || type == RECORD_UNWOUND;
}

function eventSize(ring: u32, type: u32, gap: u64, depth: i32): u32 {
  let size: u32 = RECORD_SIZE;
  if (gap > <u64>u32.MAX_VALUE) size += 2 * RECORD_SIZE;
  if (load<i32>(ring, RING_DEPTH) != depth) size += RECORD_SIZE;
  if (hasCall(type)) size += RECORD_SIZE;
  return size;
}

// ---- owning

/// Whether `ring` is a ring buffer. Handles come from outside and may be anything.
export function ring_exists(ring: u32): bool {
  let at = load<u32>(0, ABI_RINGS);
  while (at && at != ring) at = load<u32>(at, RING_NEXT);
  return at != 0;
}

/// A ring buffer of `pages` pages of 4096 bytes, a power of two up to 65536. `mode` is RING_OVERWRITE or RING_STOP. It
/// is on and empty. Returns its address, or 0: bad argument, or no memory.
export function ring_create(pages: u32, mode: u32): u32 {
  begin();
  if (!pages || pages & (pages - 1) || pages > <u32>RING_PAGES_MAX || mode > <u32>RING_STOP) return 0;
  const ring = region_alloc(RING_HEADER_SIZE);
  if (!ring) return 0;
  const first = region_alloc(pages << RING_PAGE_SHIFT);
  if (!first) {
    region_free(ring, RING_HEADER_SIZE);
    return 0;
  }
  store<u32>(ring, pages, RING_PAGES);
  store<u32>(ring, mode, RING_MODE);
  store<u32>(ring, first, RING_FIRST);
  store<u32>(ring, 1, RING_TAIL); // and head 0: nothing to read
  store<u32>(ring, 1, RING_ON);
  store<u32>(ring, load<u32>(0, ABI_RINGS), RING_NEXT);
  store<u32>(0, ring, ABI_RINGS);
  return ring;
}

/// Makes `task` the one that records here; 0 = nobody.
export function ring_attach(ring: u32, task: u32): void {
  store<u32>(ring, task, RING_TASK);
  store<u32>(ring, 0, RING_RUN_PID);
  store<u32>(ring, u32.MAX_VALUE, RING_OLD); // whatever is in flight on its stack did not begin on this page
}

/// Frees a ring buffer. 0, -EINVAL: no such buffer, -EBUSY: a user still records into it.
export function ring_free(ring: u32): i32 {
  begin();
  let link: u32 = ABI_RINGS;
  while (load<u32>(link) && load<u32>(link) != ring) link = load<u32>(link) + RING_NEXT;
  if (!ring || load<u32>(link) != ring) return -EINVAL;
  if (load<u32>(ring, RING_TASK)) return -EBUSY;
  store<u32>(link, load<u32>(ring, RING_NEXT));
  region_free(load<u32>(ring, RING_FIRST), load<u32>(ring, RING_PAGES) << RING_PAGE_SHIFT);
  region_free(ring, RING_HEADER_SIZE);
  return 0;
}

/// Forgets all that was recorded and all that was lost. 0 or -EINVAL.
export function ring_clear(ring: u32): i32 {
  if (!ring_exists(ring)) return -EINVAL;
  sync();
  store<u64>(ring, 0, RING_WRITE); // and RING_END
  store<u32>(ring, load<u32>(ring, RING_HEAD) + 1, RING_TAIL);
  store<u64>(ring, 0, RING_TIME);
  store<u32>(ring, 0, RING_LOST);
  store<u32>(ring, 0, RING_UNREPORTED);
  store<u32>(ring, 0, RING_RUN_PID);
  return 0;
}

export function ring_clear_all(): void {
  for (let ring = load<u32>(0, ABI_RINGS); ring; ring = load<u32>(ring, RING_NEXT)) ring_clear(ring);
}

/// `tracing_on`: while it is 0 entries are refused and exits leave no record. 0 or -EINVAL.
export function ring_on(ring: u32, on: u32): i32 {
  if (!ring_exists(ring)) return -EINVAL;
  sync();
  store<u32>(ring, on ? 1 : 0, RING_ON);
  return 0;
}

// ---- reading

/// Address of page `sequence`, with its header up to date, or 0 when it is not readable (any more). Consumes nothing:
/// from RING_TAIL to RING_HEAD this is `trace`.
export function ring_read(ring: u32, sequence: u32): u32 {
  if (!ring_exists(ring)) return 0;
  sync();
  const tail = load<u32>(ring, RING_TAIL);
  if (sequence - tail >= load<u32>(ring, RING_HEAD) + 1 - tail) return 0;
  if (sequence == load<u32>(ring, RING_HEAD)) describeOpen(ring);
  return pageAt(ring, sequence);
}

/// Consumes the pages up to and including `sequence`, the last step of `trace_pipe`. The page that is written is closed
/// by it. Returns the number of pages consumed: 0 means that the writer had already come round. -EINVAL: no such buffer
/// or page.
export function ring_consume(ring: u32, sequence: u32): i32 {
  if (!ring_exists(ring)) return -EINVAL;
  sync();
  const tail = load<u32>(ring, RING_TAIL);
  const head = load<u32>(ring, RING_HEAD);
  if (sequence - tail >= head + 1 - tail) return <i32>(sequence - tail) < 0 ? 0 : -EINVAL;
  if (sequence == head) closePage(ring);
  store<u32>(ring, sequence + 1, RING_TAIL);
  return <i32>(sequence + 1 - tail);
}

/// Waits until something can be read, through the import `wait`. 1, or 0 when `wait` gave up; -EINVAL.
export function ring_wait(ring: u32): i32 {
  while (ring_exists(ring)) {
    sync();
    if (load<u32>(ring, RING_HEAD) + 1 != load<u32>(ring, RING_TAIL)) return 1;
    if (!hostWait(ring)) return 0;
  }
  return -EINVAL;
}
