// Direct mode: the shortest way through an entry and an exit, taken while it is known beforehand how they end.
//
// A task is in direct mode (TASK_DIRECT is not 0) while all of this holds:
//   - one user, of kind GOPS_GRAPH, recorded the last event alone, in its ring buffer of this task; the buffer is on
//   - the clock is `counter`
//   - no callback runs, the task is not paused, the engine is not dead
// A site that only this user wants, and a frame that only this user accepted, then take the functions below. Anything
// else leaves direct mode first (`direct_sync`) and takes the general path of fgraph.ts, which enters it again when it
// may. (Where several built-in users want the same functions there is direct-set.ts.)
//
// Since every event of the task is recorded, the place of a record says which event it is (TASK_DIRECT_TIME follows
// when a record takes two words). Four words stand still in direct mode and are brought up to date by `direct_sync`:
//
//   ABI_COUNTER     = TASK_DIRECT_TIME + (RING_WRITE >> 3) - 1
//   RING_TIME       = ABI_COUNTER             so the time between two records is always 1
//   RING_DEPTH      = TASK_DEPTH + 1          so no RECORD_DEPTH is ever due
//   TASK_RETURNS    = (TASK_DIRECT_RETURNS + ABI_COUNTER - TASK_DEPTH) / 2     as entries less returns is the depth
//
// A direct frame is always the same six words:
//
//   base+0 ret | +1 func | +2 retp | +3 site, BITMAP of the user | +4 call time | +5 DATA of the user | +6 <- top

import {
  ABI_CLOCK, ABI_COUNTER, ABI_DEAD, ABI_DISABLED, ABI_LOOPED, ABI_SITES, ABI_SITE_COUNT, CLOCK_COUNTER,
  FGRAPH_DATA_INDEX_SHIFT, FGRAPH_INDEX_SHIFT, FGRAPH_SITE_SHIFT, FGRAPH_TYPE_DATA, FGRAPH_TYPE_SHIFT, FRAME_BITMAP,
  FRAME_BITMAP_EMPTY, FRAME_DATA, FRAME_FUNC, FRAME_RET, FRAME_RETP, FRAME_SITE, FRAME_WORDS, SITE_IP, SITE_SHIFT,
  SITE_USERS, STEP_AT, STEP_SHIFT, STEP_SIZE, TASK_BASE, TASK_CLOCK, TASK_DEPTH, TASK_DIRECT, TASK_DIRECT_HEADER,
  TASK_DIRECT_RETURNS, TASK_DIRECT_RING, TASK_DIRECT_TIME, TASK_LIMIT, TASK_PAUSE, TASK_RECURSION, TASK_RETURNS,
  TASK_SET, TASK_SET_COUNT, TASK_STEPS, TASK_TOP, WORD_SIZE,
} from './layout';
import {
  RECORD_ENTRY, RECORD_PAYLOAD_SHIFT, RECORD_RETURN, RECORD_RETURN_LONG, RECORD_SHIFT, RECORD_SIZE, RING_DEPTH,
  RING_END, RING_EXTRA, RING_OLD, RING_ON, RING_TIME, RING_WRITE,
} from './ring-layout';

/// Words from the DATA word of a direct frame down to its base: the frame, the bitmap word and the call time.
const DIRECT_DISTANCE = FRAME_WORDS + 2;
const DIRECT_HEADER = FRAME_DATA + WORD_SIZE;
const DIRECT_SIZE = DIRECT_HEADER + WORD_SIZE;
/// The upper half of a record made in direct mode: one event after the one before.
export const ONE_EVENT: u64 = 1 << 32;

export class Direct {
  /// Enters `site` on `task` directly. Returns the cookie, or 0 with nothing changed: the general path has to do it.
  @inline static enter(task: u32, site: u32): u32 {
    if (site >= load<u32>(0, ABI_SITE_COUNT)) return 0;
    const record = load<u32>(0, ABI_SITES) + (site << SITE_SHIFT);
    const bitmap = load<u32>(record, SITE_USERS) << FGRAPH_INDEX_SHIFT | FRAME_BITMAP_EMPTY;
    const words = load<u64>(task, TASK_DIRECT); // and TASK_DIRECT_HEADER
    if (bitmap != <u32>words) return 0;
    const place = load<u64>(task, TASK_TOP); // and TASK_BASE
    const base = <u32>place;
    if (base + DIRECT_SIZE >= load<u32>(task, TASK_LIMIT)) return 0;
    const ring = load<u32>(task, TASK_DIRECT_RING);
    const at = load<u32>(ring, RING_WRITE);
    if (at == load<u32>(ring, RING_END)) return 0;

    const parent = place >> 32;
    store<u64>(base, load<u64>(<u32>parent, FRAME_FUNC), FRAME_RET); // the null frame has func 0
    store<u64>(base, load<u64>(record, SITE_IP), FRAME_FUNC);
    store<u64>(base, parent, FRAME_RETP);
    store<u64>(base, <u64>site << FGRAPH_SITE_SHIFT | <u64>bitmap, FRAME_BITMAP);
    store<u64>(base, load<u64>(task, TASK_DIRECT_TIME) + <u64>(at >> RECORD_SHIFT), FRAME_DATA);
    store<u64>(base, words >> 32, DIRECT_HEADER);
    store<u64>(task, place << 32 | <u64>(base + DIRECT_SIZE), TASK_TOP);
    store<i32>(task, load<i32>(task, TASK_DEPTH) + 1, TASK_DEPTH);

    store<u64>(at, ONE_EVENT | <u64>(site << RECORD_PAYLOAD_SHIFT | RECORD_ENTRY));
    store<u32>(ring, at + RECORD_SIZE, RING_WRITE);
    return base;
  }

  /// Leaves the frame `cookie` on `task` directly. False: nothing changed, `direct_leave_long` or the general path has
  /// to do it.
  @inline static leave(task: u32, cookie: u32): bool {
    if (cookie != load<u32>(task, TASK_BASE)) return false;
    // The null frame passes so far; where its bitmap word would be lies ABI_HEAP, a multiple of 16, which no BITMAP is.
    const word = load<u64>(cookie, FRAME_BITMAP); // and FRAME_SITE
    if (<u32>word != load<u32>(task, TASK_DIRECT)) return false;
    const ring = load<u32>(task, TASK_DIRECT_RING);
    if (cookie < load<u32>(ring, RING_OLD)) return false;
    const at = load<u32>(ring, RING_WRITE);
    if (at == load<u32>(ring, RING_END)) return false;

    store<u64>(at, ONE_EVENT | word >> FGRAPH_SITE_SHIFT << RECORD_PAYLOAD_SHIFT | RECORD_RETURN);
    store<u32>(ring, at + RECORD_SIZE, RING_WRITE);
    store<u64>(task, load<u64>(cookie, FRAME_RETP) << 32 | <u64>cookie, TASK_TOP); // and TASK_BASE
    store<i32>(task, load<i32>(task, TASK_DEPTH) - 1, TASK_DEPTH);
    return true;
  }
}

/// Leaves the frame `cookie` like `Direct.leave`, when its entry may be on another page. False: nothing changed.
export function direct_leave_long(task: u32, cookie: u32): bool {
  if (cookie != load<u32>(task, TASK_BASE)) return false;
  if (load<u32>(cookie, FRAME_BITMAP) != load<u32>(task, TASK_DIRECT)) return false;
  const ring = load<u32>(task, TASK_DIRECT_RING);
  const at = load<u32>(ring, RING_WRITE);
  if (load<u32>(ring, RING_END) - at <= <u32>RECORD_SIZE) return false;

  store<u64>(at, ONE_EVENT | <u64>(load<u32>(cookie, FRAME_SITE) << RECORD_PAYLOAD_SHIFT | RECORD_RETURN_LONG));
  store<u64>(at, load<u64>(cookie, FRAME_DATA), RECORD_SIZE);
  store<u32>(ring, at + 2 * RECORD_SIZE, RING_WRITE);
  store<u32>(ring, load<u32>(ring, RING_EXTRA) + 1, RING_EXTRA);
  store<u32>(ring, cookie, RING_OLD);
  store<u64>(task, load<u64>(task, TASK_DIRECT_TIME) - 1, TASK_DIRECT_TIME);
  store<u64>(task, load<u64>(cookie, FRAME_RETP) << 32 | <u64>cookie, TASK_TOP); // and TASK_BASE
  store<i32>(task, load<i32>(task, TASK_DEPTH) - 1, TASK_DEPTH);
  return true;
}

/// Enters direct mode for user `index`, who alone made the last event of `task`, if that event is in `ring`.
export function direct_arm(task: u32, index: u32, ring: u32): void {
  if (!direct_allowed(task) || !direct_fits(task, ring)) return;
  const events = load<u64>(0, ABI_COUNTER);
  store<u32>(task, ring, TASK_DIRECT_RING);
  store<u64>(task, events + 1 - <u64>(load<u32>(ring, RING_WRITE) >> RECORD_SHIFT), TASK_DIRECT_TIME);
  direct_count(task);
  store<u32>(
    task,
    index << FGRAPH_DATA_INDEX_SHIFT | FGRAPH_TYPE_DATA << FGRAPH_TYPE_SHIFT | DIRECT_DISTANCE,
    TASK_DIRECT_HEADER
  );
  store<u32>(task, 1 << (index + FGRAPH_INDEX_SHIFT) | FRAME_BITMAP_EMPTY, TASK_DIRECT);
}

/// Makes TASK_RETURNS follow from the number of events.
export function direct_count(task: u32): void {
  const returns = load<u64>(task, TASK_RETURNS);
  const depth = <u64><i64>load<i32>(task, TASK_DEPTH);
  store<u64>(task, (returns << 1) - load<u64>(0, ABI_COUNTER) + depth, TASK_DIRECT_RETURNS);
}

/// The opposite, once ABI_COUNTER is up to date.
function countReturns(task: u32): void {
  const depth = <u64><i64>load<i32>(task, TASK_DEPTH);
  store<u64>(task, (load<u64>(task, TASK_DIRECT_RETURNS) + load<u64>(0, ABI_COUNTER) - depth) >> 1, TASK_RETURNS);
}

/// Whether `task` may enter direct mode at all: what has nothing to do with who watches.
export function direct_allowed(task: u32): bool {
  return load<u32>(0, ABI_CLOCK) == CLOCK_COUNTER && short_allowed(task);
}

/// The same for a way that reads the clock as everybody does. All of them take the retp of a frame for the frame below it.
export function short_allowed(task: u32): bool {
  const forbidden = load<u32>(0, ABI_LOOPED) | load<u32>(0, ABI_DEAD) | load<u32>(0, ABI_DISABLED);
  const own = load<u64>(task, TASK_CLOCK); // and TASK_HOOKED
  return !(<u64>(forbidden | load<u32>(task, TASK_PAUSE) | load<u32>(task, TASK_RECURSION)) | own);
}

/// Whether the last event of `task` is the last record of `ring`, and the next one can be.
export function direct_fits(task: u32, ring: u32): bool {
  return load<u64>(ring, RING_TIME) == load<u64>(0, ABI_COUNTER)
    && load<i32>(ring, RING_DEPTH) == load<i32>(task, TASK_DEPTH) + 1
    && load<u32>(ring, RING_ON) != 0;
}

/// Leaves direct mode. Every function that reads or changes what stands still in it calls this first.
export function direct_sync(task: u32): void {
  if (load<u32>(task, TASK_SET)) set_sync(task);
  if (!load<u32>(task, TASK_DIRECT)) return;
  const ring = load<u32>(task, TASK_DIRECT_RING);
  const events = load<u64>(task, TASK_DIRECT_TIME) + <u64>(load<u32>(ring, RING_WRITE) >> RECORD_SHIFT) - 1;
  store<u64>(0, events, ABI_COUNTER);
  store<u64>(ring, events, RING_TIME);
  store<i32>(ring, load<i32>(task, TASK_DEPTH) + 1, RING_DEPTH);
  countReturns(task);
  store<u32>(task, 0, TASK_DIRECT);
}

/// The same for a set of users (direct-set.ts).
function set_sync(task: u32): void {
  const end = task + TASK_STEPS + (load<u32>(task, TASK_SET_COUNT) << STEP_SHIFT);
  for (let step = task + TASK_STEPS; step < end; step += STEP_SIZE) {
    const ring = load<u32>(step, STEP_AT);
    if (ring & 1) continue;
    store<u64>(ring, load<u64>(0, ABI_COUNTER), RING_TIME);
    store<i32>(ring, load<i32>(task, TASK_DEPTH) + 1, RING_DEPTH);
  }
  countReturns(task);
  store<u32>(task, 0, TASK_SET);
}
