// Arguments and results as 64-bit words, for handlers that read them. The trampoline stores them where the handlers of
// this event will look (recursion_fregs), before it is known whether there are any.
//
// Words that do not fit into one call are sent ahead (`word`); TASK_PENDING says how many there are until the call
// comes.

import {
  ABI_CALLING_MASK, FREGS_COUNT, FREGS_IP, FREGS_MAX, FREGS_PARENT, FREGS_WORDS, SITE_USERS, TASK_PENDING, WORD_SHIFT,
} from './layout';
import { lock_fregs, recursion_fregs } from './recursion';
import { site_address, site_exists } from './site';

export function fregs_set_count(lock: u32, count: u32): void {
  store<u32>(lock_fregs(lock), count, FREGS_COUNT);
}

export function fregs_set_first(lock: u32, value: u64): void {
  store<u64>(lock_fregs(lock), value, FREGS_WORDS);
}

export function fregs_set_call(lock: u32, ip: u64, parent: u64): void {
  store<u64>(lock_fregs(lock), ip, FREGS_IP);
  store<u64>(lock_fregs(lock), parent, FREGS_PARENT);
}

/// Where the arguments of an entry of `site` go, or 0 when nobody would read them.
export function fregs_enter(task: u32, site: u32): u32 {
  if (!site_exists(site) || !(load<u32>(site_address(site), SITE_USERS) & load<u32>(0, ABI_CALLING_MASK))) return 0;
  return recursion_fregs(task) + FREGS_WORDS;
}

/// Sends word `index` of the next entry's arguments or the next exit's results ahead. Word 0 always travels with the
/// call; words from 32 on have no place and are dropped.
export function fregs_word(task: u32, index: u32, value: u64): void {
  if (!index || index >= <u32>FREGS_MAX) return;
  store<u64>(recursion_fregs(task) + FREGS_WORDS + (index << WORD_SHIFT), value);
  if (index >= load<u32>(task, TASK_PENDING)) store<u32>(task, index + 1, TASK_PENDING);
}

/// How many words there are when a call with `count` comes after those that were sent ahead.
export function fregs_take(task: u32, count: u32): u32 {
  const pending = load<u32>(task, TASK_PENDING);
  store<u32>(task, 0, TASK_PENDING);
  return pending > count ? pending : count;
}
