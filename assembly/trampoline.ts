// The trampolines: what an instrumented module finds in its table (src/instrument/abi.ts). Each tries direct mode
// first.

import { Direct, direct_leave_long } from './direct';
import { set_enter, set_leave } from './direct-set';
import { fgraph_enter, fgraph_enter_from, fgraph_leave, fgraph_restore } from './fgraph';
import { fregs_enter, fregs_take, fregs_word } from './fregs';
import {
  MARK_TOP, TASK_CALL_FP, TASK_HOOKED, TASK_LIMIT, TASK_RECURSION, TASK_SET, TASK_SHORT, TASK_STACK, TASK_STRAY,
  TASK_TOP,
} from './layout';
import { recursion_mark } from './recursion';
import { SHORT_DONE, short_enter, short_leave } from './short';
import { current, task_switch } from './task';

/// The ways that are left after the shortest. Inlined, since one more call would be felt.
class Longer {
  /// That of a set, which comes first where there are arguments: no user of it reads them. 0: nothing changed.
  @inline static enterSet(site: u32): u32 {
    return load<u32>(current, TASK_SET) ? set_enter(current, site) : 0;
  }

  @inline static enter(site: u32, count: u32): u32 {
    let cookie: u32 = 0;
    if (load<u32>(current, TASK_SHORT)) {
      cookie = short_enter(current, site, count);
      if (cookie == SHORT_DONE) return 0;
    }
    return cookie ? cookie : fgraph_enter(current, site, count);
  }

  @inline static leave(cookie: u32, count: u32, value: u64): void {
    const done = load<u32>(current, TASK_SHORT)
      ? short_leave(current, cookie, count, value)
      : load<u32>(current, TASK_SET) ? set_leave(current, cookie) : direct_leave_long(current, cookie);
    if (!done) fgraph_leave(current, cookie, count, value);
  }
}

/// A function begins. Returns a cookie for `leave`, the address of the frame, or 0: not recorded, nothing to leave.
/// Safe for any `site`; one that does not exist is not recorded.
export function enter(site: u32): u32 {
  let cookie = Direct.enter(current, site);
  if (!cookie) cookie = Longer.enterSet(site);
  return cookie ? cookie : Longer.enter(site, 0);
}

/// A function returns. Frames above `cookie` are unwound first; a cookie whose frame is gone is counted in TASK_STRAY
/// and changes nothing else.
export function leave(cookie: u32): void {
  if (!Direct.leave(current, cookie)) Longer.leave(cookie, 0, 0);
}

/// `leave` with the first word of the results.
export function leave_value(cookie: u32, value: i64): void {
  const count = fregs_take(current, 1);
  if (!Direct.leave(current, cookie)) Longer.leave(cookie, count, value);
}

/// Sends word `index` ahead: an argument from the 17th on, or a result from the second on. Words 32 and up are dropped.
export function word(index: u32, value: i64): void {
  fregs_word(current, index, value);
}

/// A mark for `restore`, never 0: the top of the shadow stack, and how many walkers of plain ops are at work.
export function save(): u32 {
  return recursion_mark(current);
}

/// Drops the frames above `mark`, counted in TASK_UNWOUND, and whatever callbacks were at work there. A mark above the
/// top does nothing; one that is no address in the stack of the current task is counted in TASK_STRAY.
export function restore(mark: u32): void {
  if (mark == load<u32>(current, TASK_TOP) && !load<u32>(current, TASK_RECURSION)) return;
  const top = mark & MARK_TOP;
  if (top < load<u32>(current, TASK_STACK) || top > load<u32>(current, TASK_LIMIT)) {
    store<u32>(current, load<u32>(current, TASK_STRAY) + 1, TASK_STRAY);
    return;
  }
  fgraph_restore(current, top, mark & ~MARK_TOP);
}

// `enter` with the arguments as words, each function storing its own, and only for users who are called with them. Those of up
// to four words try direct mode first, in place; for the rare longer ones a second call is cheaper than more copies of it.

/// What is left when direct mode is not for this entry, and its words are stored.
function enterLonger(site: u32, count: u32): u32 {
  return Longer.enter(site, count);
}

export function enter_1(site: u32, a: i64): u32 {
  let cookie = Direct.enter(current, site);
  if (!cookie) cookie = Longer.enterSet(site);
  if (cookie) return cookie;
  const words = fregs_enter(current, site);
  if (words) {
    store<i64>(words, a);
  }
  return enterLonger(site, 1);
}

export function enter_2(site: u32, a: i64, b: i64): u32 {
  let cookie = Direct.enter(current, site);
  if (!cookie) cookie = Longer.enterSet(site);
  if (cookie) return cookie;
  const words = fregs_enter(current, site);
  if (words) {
    store<i64>(words, a);
    store<i64>(words, b, 8);
  }
  return enterLonger(site, 2);
}

export function enter_3(site: u32, a: i64, b: i64, c: i64): u32 {
  let cookie = Direct.enter(current, site);
  if (!cookie) cookie = Longer.enterSet(site);
  if (cookie) return cookie;
  const words = fregs_enter(current, site);
  if (words) {
    store<i64>(words, a);
    store<i64>(words, b, 8);
    store<i64>(words, c, 16);
  }
  return enterLonger(site, 3);
}

export function enter_4(site: u32, a: i64, b: i64, c: i64, d: i64): u32 {
  let cookie = Direct.enter(current, site);
  if (!cookie) cookie = Longer.enterSet(site);
  if (cookie) return cookie;
  const words = fregs_enter(current, site);
  if (words) {
    store<i64>(words, a);
    store<i64>(words, b, 8);
    store<i64>(words, c, 16);
    store<i64>(words, d, 24);
  }
  return enterLonger(site, 4);
}

export function enter_5(site: u32, a: i64, b: i64, c: i64, d: i64, e: i64): u32 {
  const words = fregs_enter(current, site);
  if (!words) return enter(site);
  store<i64>(words, a);
  store<i64>(words, b, 8);
  store<i64>(words, c, 16);
  store<i64>(words, d, 24);
  store<i64>(words, e, 32);
  return enterLonger(site, 5);
}

export function enter_6(site: u32, a: i64, b: i64, c: i64, d: i64, e: i64, f: i64): u32 {
  const words = fregs_enter(current, site);
  if (!words) return enter(site);
  store<i64>(words, a);
  store<i64>(words, b, 8);
  store<i64>(words, c, 16);
  store<i64>(words, d, 24);
  store<i64>(words, e, 32);
  store<i64>(words, f, 40);
  return enterLonger(site, 6);
}

export function enter_7(site: u32, a: i64, b: i64, c: i64, d: i64, e: i64, f: i64, g: i64): u32 {
  const words = fregs_enter(current, site);
  if (!words) return enter(site);
  store<i64>(words, a);
  store<i64>(words, b, 8);
  store<i64>(words, c, 16);
  store<i64>(words, d, 24);
  store<i64>(words, e, 32);
  store<i64>(words, f, 40);
  store<i64>(words, g, 48);
  return enterLonger(site, 7);
}

export function enter_8(site: u32, a: i64, b: i64, c: i64, d: i64, e: i64, f: i64, g: i64, h: i64): u32 {
  const words = fregs_enter(current, site);
  if (!words) return enter(site);
  store<i64>(words, a);
  store<i64>(words, b, 8);
  store<i64>(words, c, 16);
  store<i64>(words, d, 24);
  store<i64>(words, e, 32);
  store<i64>(words, f, 40);
  store<i64>(words, g, 48);
  store<i64>(words, h, 56);
  return enterLonger(site, 8);
}

export function enter_9(site: u32, a: i64, b: i64, c: i64, d: i64, e: i64, f: i64, g: i64, h: i64, i: i64): u32 {
  const words = fregs_enter(current, site);
  if (!words) return enter(site);
  store<i64>(words, a);
  store<i64>(words, b, 8);
  store<i64>(words, c, 16);
  store<i64>(words, d, 24);
  store<i64>(words, e, 32);
  store<i64>(words, f, 40);
  store<i64>(words, g, 48);
  store<i64>(words, h, 56);
  store<i64>(words, i, 64);
  return enterLonger(site, 9);
}

export function enter_10(
  site: u32, a: i64, b: i64, c: i64, d: i64, e: i64, f: i64, g: i64, h: i64, i: i64, j: i64
): u32 {
  const words = fregs_enter(current, site);
  if (!words) return enter(site);
  store<i64>(words, a);
  store<i64>(words, b, 8);
  store<i64>(words, c, 16);
  store<i64>(words, d, 24);
  store<i64>(words, e, 32);
  store<i64>(words, f, 40);
  store<i64>(words, g, 48);
  store<i64>(words, h, 56);
  store<i64>(words, i, 64);
  store<i64>(words, j, 72);
  return enterLonger(site, 10);
}

export function enter_11(
  site: u32, a: i64, b: i64, c: i64, d: i64, e: i64, f: i64, g: i64, h: i64, i: i64, j: i64, k: i64
): u32 {
  const words = fregs_enter(current, site);
  if (!words) return enter(site);
  store<i64>(words, a);
  store<i64>(words, b, 8);
  store<i64>(words, c, 16);
  store<i64>(words, d, 24);
  store<i64>(words, e, 32);
  store<i64>(words, f, 40);
  store<i64>(words, g, 48);
  store<i64>(words, h, 56);
  store<i64>(words, i, 64);
  store<i64>(words, j, 72);
  store<i64>(words, k, 80);
  return enterLonger(site, 11);
}

export function enter_12(
  site: u32, a: i64, b: i64, c: i64, d: i64, e: i64, f: i64, g: i64, h: i64, i: i64, j: i64, k: i64, l: i64
): u32 {
  const words = fregs_enter(current, site);
  if (!words) return enter(site);
  store<i64>(words, a);
  store<i64>(words, b, 8);
  store<i64>(words, c, 16);
  store<i64>(words, d, 24);
  store<i64>(words, e, 32);
  store<i64>(words, f, 40);
  store<i64>(words, g, 48);
  store<i64>(words, h, 56);
  store<i64>(words, i, 64);
  store<i64>(words, j, 72);
  store<i64>(words, k, 80);
  store<i64>(words, l, 88);
  return enterLonger(site, 12);
}

export function enter_13(
  site: u32, a: i64, b: i64, c: i64, d: i64, e: i64, f: i64, g: i64, h: i64, i: i64, j: i64, k: i64, l: i64, m: i64
): u32 {
  const words = fregs_enter(current, site);
  if (!words) return enter(site);
  store<i64>(words, a);
  store<i64>(words, b, 8);
  store<i64>(words, c, 16);
  store<i64>(words, d, 24);
  store<i64>(words, e, 32);
  store<i64>(words, f, 40);
  store<i64>(words, g, 48);
  store<i64>(words, h, 56);
  store<i64>(words, i, 64);
  store<i64>(words, j, 72);
  store<i64>(words, k, 80);
  store<i64>(words, l, 88);
  store<i64>(words, m, 96);
  return enterLonger(site, 13);
}

export function enter_14(
  site: u32, a: i64, b: i64, c: i64, d: i64, e: i64, f: i64, g: i64, h: i64, i: i64, j: i64, k: i64, l: i64, m: i64,
  n: i64
): u32 {
  const words = fregs_enter(current, site);
  if (!words) return enter(site);
  store<i64>(words, a);
  store<i64>(words, b, 8);
  store<i64>(words, c, 16);
  store<i64>(words, d, 24);
  store<i64>(words, e, 32);
  store<i64>(words, f, 40);
  store<i64>(words, g, 48);
  store<i64>(words, h, 56);
  store<i64>(words, i, 64);
  store<i64>(words, j, 72);
  store<i64>(words, k, 80);
  store<i64>(words, l, 88);
  store<i64>(words, m, 96);
  store<i64>(words, n, 104);
  return enterLonger(site, 14);
}

export function enter_15(
  site: u32, a: i64, b: i64, c: i64, d: i64, e: i64, f: i64, g: i64, h: i64, i: i64, j: i64, k: i64, l: i64, m: i64,
  n: i64, o: i64
): u32 {
  const words = fregs_enter(current, site);
  if (!words) return enter(site);
  store<i64>(words, a);
  store<i64>(words, b, 8);
  store<i64>(words, c, 16);
  store<i64>(words, d, 24);
  store<i64>(words, e, 32);
  store<i64>(words, f, 40);
  store<i64>(words, g, 48);
  store<i64>(words, h, 56);
  store<i64>(words, i, 64);
  store<i64>(words, j, 72);
  store<i64>(words, k, 80);
  store<i64>(words, l, 88);
  store<i64>(words, m, 96);
  store<i64>(words, n, 104);
  store<i64>(words, o, 112);
  return enterLonger(site, 15);
}

/// With all the words that there are if some were sent ahead.
export function enter_16(
  site: u32, a: i64, b: i64, c: i64, d: i64, e: i64, f: i64, g: i64, h: i64, i: i64, j: i64, k: i64, l: i64, m: i64,
  n: i64, o: i64, p: i64
): u32 {
  const count = fregs_take(current, 16);
  const words = fregs_enter(current, site);
  if (!words) return enter(site);
  store<i64>(words, a);
  store<i64>(words, b, 8);
  store<i64>(words, c, 16);
  store<i64>(words, d, 24);
  store<i64>(words, e, 32);
  store<i64>(words, f, 40);
  store<i64>(words, g, 48);
  store<i64>(words, h, 56);
  store<i64>(words, i, 64);
  store<i64>(words, j, 72);
  store<i64>(words, k, 80);
  store<i64>(words, l, 88);
  store<i64>(words, m, 96);
  store<i64>(words, n, 104);
  store<i64>(words, o, 112);
  store<i64>(words, p, 120);
  return enterLonger(site, count);
}

// For trampolines of one's own, which hook a return address (machine.ts). They name the task. The shorter ways need the retp of
// frames for themselves: a task on which this was used never takes them again.

/// Whether `task`, which exists, is the current one now.
function comeTo(task: u32): bool {
  return task == current || task_switch(task) != 0;
}

/// Enters `site` on `task`, whose caller will be returned to at `ret`, an address that is kept at `retp`; `fp` is its frame pointer.
/// `first` is the first word, others may have been sent ahead. Returns a cookie for `leave_call`, or 0: nobody wants the return.
export function enter_call(task: u32, site: u32, first: i64, ret: i64, retp: i64, fp: i64): u32 {
  if (!comeTo(task)) return 0;
  const count = fregs_take(task, 1);
  const words = fregs_enter(task, site);
  if (words) store<i64>(words, first);
  store<u32>(task, 1, TASK_HOOKED);
  store<i64>(task, fp, TASK_CALL_FP);
  return fgraph_enter_from(task, site, count, ret, retp);
}

/// `leave_value` on `task`.
export function leave_call(task: u32, cookie: u32, first: i64): void {
  if (comeTo(task)) fgraph_leave(task, cookie, fregs_take(task, 1), first);
}
