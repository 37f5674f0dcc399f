// Arguments and results as 64-bit words, for handlers that read them. One buffer belongs to callbacks, a second one to
// the one entry that may be nested in a callback (recursion.ts), so that the outer handler's words stay what they were.
//
// Words that do not fit into one call are sent ahead (`word`); TASK_PENDING says how many there are until the call
// comes.

import {
  ABI_CALLING_MASK, CONTEXT_TRANSITION, FREGS_COUNT, FREGS_MAX, FREGS_SIZE, FREGS_WORDS, RECURSION_CALLBACK, SITE_USERS,
  TASK_FREGS, TASK_PENDING, WORD_SHIFT,
} from './layout';
import { lock_address, lock_bit, recursion_next } from './recursion';
import { site_address, site_exists } from './site';

const TRANSITION: i32 = RECURSION_CALLBACK + CONTEXT_TRANSITION;

/// The registers of the callbacks that run under `lock`.
export function fregs_of(task: u32, lock: u32): u32 {
  return task + TASK_FREGS + (lock_bit(task, lock) == TRANSITION ? FREGS_SIZE : 0);
}

/// The registers that a callback would see if it were called now, or 0 when none would be.
export function fregs_next(task: u32): u32 {
  const bit = recursion_next(task);
  return bit < 0 ? 0 : fregs_of(task, lock_address(task, bit));
}

export function fregs_set_count(task: u32, lock: u32, count: u32): void {
  store<u32>(fregs_of(task, lock), count, FREGS_COUNT);
}

export function fregs_set_first(task: u32, lock: u32, value: u64): void {
  store<u64>(fregs_of(task, lock), value, FREGS_WORDS);
}

/// Where the arguments of an entry of `site` go, or 0 when nobody would read them.
export function fregs_enter(task: u32, site: u32): u32 {
  if (!site_exists(site) || !(load<u32>(site_address(site), SITE_USERS) & load<u32>(0, ABI_CALLING_MASK))) return 0;
  const fregs = fregs_next(task);
  return fregs ? fregs + FREGS_WORDS : 0;
}

/// Sends word `index` of the next entry's arguments or the next exit's results ahead. Word 0 always travels with the
/// call; words from 32 on have no place and are dropped.
export function fregs_word(task: u32, index: u32, value: u64): void {
  if (!index || index >= <u32>FREGS_MAX) return;
  const fregs = fregs_next(task);
  if (!fregs) return;
  store<u64>(fregs + FREGS_WORDS + (index << WORD_SHIFT), value);
  if (index >= load<u32>(task, TASK_PENDING)) store<u32>(task, index + 1, TASK_PENDING);
}

/// How many words there are when a call with `count` comes after those that were sent ahead.
export function fregs_take(task: u32, count: u32): u32 {
  const pending = load<u32>(task, TASK_PENDING);
  store<u32>(task, 0, TASK_PENDING);
  return pending > count ? pending : count;
}
