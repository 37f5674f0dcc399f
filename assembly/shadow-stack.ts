// The shadow stack (spec/fgraph.md §4): frames, the bitmap word on top of each, and the data that users keep in
// between.
//
//   word 0                                                       LIMIT                        WORDS-16
//    | frame | BITMAP | data DATA | data data DATA | frame | BITMAP |  ...  | slack             | variable[0..15] |
//      ^ base                                        ^ TASK_BASE     ^ TASK_TOP
//
//   any word on top     9..0   distance in words down to the first word of its frame
//                      11..10  type: RESERVED, BITMAP, DATA
//   BITMAP             27..12  users that want the exit     28  one of them unregistered     63..32  site id
//   DATA               16..12  words - 1    20..17  user    21      its user unregistered
//
// On the task of a machine whose CPU has the frame-pointer test one more word lies below each frame, the frame pointer at
// entry (§4.6); `frame_start` is where a frame begins.
//
// Invariant: the stack is empty, or the word under the top leads to the base of the newest frame, and from there the
// word under the base to the one below, until word 0. Nothing but task variables is ever written at word LIMIT or
// above.

import {
  ABI_DEAD, FGRAPH_BITMAP_ORPHAN, FGRAPH_DATA_INDEX_MASK, FGRAPH_DATA_INDEX_SHIFT, FGRAPH_DATA_MASK,
  FGRAPH_DATA_ORPHAN, FGRAPH_DATA_SHIFT, FGRAPH_FRAME_OFFSET_MASK, FGRAPH_INDEX_MASK, FGRAPH_INDEX_SHIFT,
  FGRAPH_SITE_SHIFT, FGRAPH_TYPE_BITMAP, FGRAPH_TYPE_DATA, FGRAPH_TYPE_MASK, FGRAPH_TYPE_RESERVED, FGRAPH_TYPE_SHIFT,
  FRAME_BITMAP, FRAME_BITMAP_EMPTY, FRAME_DATA, FRAME_FUNC, FRAME_RET, FRAME_RETP, FRAME_SITE, FRAME_WORDS, TASK_BASE,
  TASK_CALL_FP, TASK_DEPTH, TASK_FRAME_FP, TASK_LIMIT, TASK_OVERRUN, TASK_STACK, TASK_TOP, WORD_SHIFT, WORD_SIZE,
} from './layout';

/// The word on top of a frame that nobody has accepted yet.
export const RESERVED_WORD: u64 = FGRAPH_TYPE_RESERVED << FGRAPH_TYPE_SHIFT | FRAME_WORDS;

// ---- words

function distance(word: u32): u32 {
  return word & FGRAPH_FRAME_OFFSET_MASK;
}

function wordType(word: u32): u32 {
  return word >> FGRAPH_TYPE_SHIFT & FGRAPH_TYPE_MASK;
}

function dataWords(word: u32): u32 {
  return (word >> FGRAPH_DATA_SHIFT & FGRAPH_DATA_MASK) + 1;
}

function dataIndex(word: u32): u32 {
  return word >> FGRAPH_DATA_INDEX_SHIFT & FGRAPH_DATA_INDEX_MASK;
}

/// A BITMAP word of these users.
export function makeBitmap(bitmap: u32): u32 {
  return bitmap << FGRAPH_INDEX_SHIFT | FRAME_BITMAP_EMPTY;
}

/// A DATA word.
export function makeData(index: u32, words: u32, distance: u32): u32 {
  const owner = index << FGRAPH_DATA_INDEX_SHIFT;
  return owner | (words - 1) << FGRAPH_DATA_SHIFT | FGRAPH_TYPE_DATA << FGRAPH_TYPE_SHIFT | distance;
}

// ---- frames

/// Pushes a frame for an activation of `site`. Returns its base, or 0: engine dead, no stack, or no room (counted as
/// overrun).
export function frame_push(task: u32, site: u32, ret: u64, func: u64, retp: u64): u32 {
  const fp = load<u32>(task, TASK_FRAME_FP);
  const base = load<u32>(task, TASK_TOP) + fp;
  if (load<u32>(0, ABI_DEAD)) return 0;
  const limit = load<u32>(task, TASK_LIMIT);
  if (base + FRAME_DATA >= limit) {
    if (limit != load<u32>(task, TASK_STACK)) store<u32>(task, load<u32>(task, TASK_OVERRUN) + 1, TASK_OVERRUN);
    return 0;
  }
  if (fp) store<u64>(base - fp, load<u64>(task, TASK_CALL_FP));
  store<u64>(base, ret, FRAME_RET);
  store<u64>(base, func, FRAME_FUNC);
  store<u64>(base, retp, FRAME_RETP);
  store<u64>(base, <u64>site << FGRAPH_SITE_SHIFT | RESERVED_WORD, FRAME_BITMAP);
  store<u32>(task, base + FRAME_DATA, TASK_TOP);
  store<u32>(task, base, TASK_BASE);
  store<i32>(task, load<i32>(task, TASK_DEPTH) + 1, TASK_DEPTH);
  return base;
}

/// Inlined where each event takes it.
export class Frame {
  /// Drops the newest frame, whose base is `base`, with all that lies on it.
  @inline static pop(task: u32, base: u32): void {
    const start = frame_start(task, base);
    const below = start == load<u32>(task, TASK_STACK) ? 0 : frame_of(start);
    store<u64>(task, <u64>below << 32 | <u64>start, TASK_TOP); // and TASK_BASE
    store<i32>(task, load<i32>(task, TASK_DEPTH) - 1, TASK_DEPTH);
  }
}

/// The same, called.
export function frame_pop(task: u32, base: u32): void {
  Frame.pop(task, base);
}

/// Address of the first word of the frame at `base`: where the frame below it ends.
export function frame_start(task: u32, base: u32): u32 {
  return base - load<u32>(task, TASK_FRAME_FP);
}

/// Whether the newest frame of `task` is at `base`, and was entered with frame pointer `fp` where that is tested. If not,
/// nothing on this stack can be trusted, and the kill switch is thrown (spec/fgraph.md §4.6).
export function frame_is_sound(task: u32, base: u32, fp: u64): bool {
  const top = load<u32>(task, TASK_TOP);
  if (base && top > base && frame_of(top) == base) {
    const start = frame_start(task, base);
    if (start == base || load<u64>(start) == fp) return true;
  }
  store<u32>(0, 1, ABI_DEAD);
  return false;
}

/// Base of the frame below the one at `base`, 0 below the outermost.
export function frame_below(task: u32, base: u32): u32 {
  const start = frame_start(task, base);
  return start == load<u32>(task, TASK_STACK) ? 0 : frame_of(start);
}

/// Base of the frame whose last word ends at `top`.
export function frame_of(top: u32): u32 {
  return top - WORD_SIZE - (distance(load<u32>(top - WORD_SIZE)) << WORD_SHIFT);
}

/// Whether `base` is the base of a frame on the stack of `task`.
export function frame_exists(task: u32, base: u32): bool {
  if (base >= load<u32>(task, TASK_TOP)) return false;
  let frame = load<u32>(task, TASK_BASE);
  while (frame > base) frame = frame_below(task, frame);
  return frame == base && base != 0;
}

export function frame_func(base: u32): u64 {
  return load<u64>(base, FRAME_FUNC);
}

export function frame_site(base: u32): u32 {
  return load<u32>(base, FRAME_SITE);
}

export function frame_bitmap(base: u32): u32 {
  return load<u32>(base, FRAME_BITMAP) >> FGRAPH_INDEX_SHIFT & FGRAPH_INDEX_MASK;
}

// ---- data of users (§4.4, §4.5)

/// Reserves `words` words for user `index` on top of the newest frame. Returns the address of the first, not zeroed, or
/// 0 when they do not fit.
export function data_reserve(task: u32, index: u32, words: u32): u32 {
  const at = load<u32>(task, TASK_TOP);
  const top = at + (words + 1 << WORD_SHIFT);
  if (top >= load<u32>(task, TASK_LIMIT)) return 0;
  const header = makeData(index, words, distance(load<u32>(at - WORD_SIZE)) + words + 1);
  store<u64>(top - WORD_SIZE, header);
  store<u32>(task, top, TASK_TOP);
  return at;
}

/// Address of the DATA word of user `index` in the frame that ends at `top`, or 0.
export function data_find(top: u32, index: u32): u32 {
  let at = top - WORD_SIZE;
  let word = load<u32>(at);
  while (wordType(word) == FGRAPH_TYPE_DATA) {
    if (dataIndex(word) == index && !(word & FGRAPH_DATA_ORPHAN)) return at;
    at -= dataWords(word) + 1 << WORD_SHIFT;
    word = load<u32>(at);
  }
  return 0;
}

/// Whether what was reserved last in the newest frame is user `index`'s.
export function data_on_top(task: u32, index: u32): bool {
  const word = load<u32>(load<u32>(task, TASK_TOP) - WORD_SIZE);
  return wordType(word) == FGRAPH_TYPE_DATA && dataIndex(word) == index && !(word & FGRAPH_DATA_ORPHAN);
}

/// Bytes of the data in front of the DATA word at `at`: what was reserved, rounded up to words.
export function data_size(at: u32): u32 {
  return dataWords(load<u32>(at)) << WORD_SHIFT;
}

/// Data of user `index` in the newest frame, or 0.
export function data_newest(task: u32, index: u32): u32 {
  const at = data_find(load<u32>(task, TASK_TOP), index);
  return at ? at - data_size(at) : 0;
}

/// Makes the frame that ends at `top` forget user `index`: no exit callback, no data to retrieve. What remains is no
/// longer laid out as the bitmap says.
export function frame_forget(base: u32, top: u32, index: u32): void {
  const word = load<u32>(base, FRAME_BITMAP);
  const at = data_find(top, index);
  if (at) store<u32>(at, load<u32>(at) | FGRAPH_DATA_ORPHAN);
  const keep = ~(wordType(word) == FGRAPH_TYPE_BITMAP ? 1 << (index + FGRAPH_INDEX_SHIFT) : 0);
  store<u32>(base, word & keep | (at ? FGRAPH_BITMAP_ORPHAN : 0), FRAME_BITMAP);
}

// ---- task variables (§6)

export function task_variable_address(task: u32, index: u32): u32 {
  // They begin where the slack ends, FRAME + 1 words behind LIMIT.
  return load<u32>(task, TASK_LIMIT) + load<u32>(task, TASK_FRAME_FP) + (FRAME_WORDS + 1 + index << WORD_SHIFT);
}
