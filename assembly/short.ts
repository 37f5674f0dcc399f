// The short way through entry and exit of functions whose users have handlers. It does what the general path of fgraph.ts
// does, word for word, without asking again what the last event on the general path found out: that this task may.
//
// TASK_SHORT says so. It is set at the end of such an event on the general path and cleared by `sync`, so by everything
// that changes what the answer depends on. While a handler runs, the number of its lock stands there instead; if it still
// does afterwards, nothing has disturbed us:
//
//   TASK_SHORT, TASK_RECURSION   SHORT_OPEN, 0  ── recursion_first ──►  serial, bit  ── recursion_last ──►  SHORT_OPEN, 0
//                                                                            └── sync ──►  0, bit  ──► recursion_unlock
//
// Invariant: an export that changes frames, locks, users, what they want, or the task calls `sync`. The others may come
// between a handler's call and its return without being noticed: they read, they reserve or send words ahead for that
// very activation, or they change what is looked up anew each time it is used (a ring buffer's or a probe's state).
//
// Whatever there is besides (plain ops, users that need the host's clock, no room) goes the general path, with nothing
// changed yet. A function that one probe watches and nobody else has a way of its own, fprobe/short.ts.

import { clock_is_mono, counter, counter_set } from './clock';
import { short_allowed } from './direct';
import { fgraph_ask, fgraph_tell, GONE } from './fgraph';
import { OnlyProbe } from './fprobe/short';
import {
  ABI_CALLING_MASK, ABI_SITE_COUNT, ABI_TIMED_MASK, FGRAPH_SITE_SHIFT, FRAME_BITMAP, FRAME_DATA, FRAME_FUNC, FRAME_RET,
  FRAME_RETP, FREGS_WORDS, LOCK_SERIAL, RECURSION_CALLBACK, SITE_HAS_OPS, SITE_IP, SITE_PROBE, SITE_USERS, TASK_BASE,
  TASK_DEPTH, TASK_FREGS, TASK_LIMIT, TASK_RETURNS, TASK_SHORT, TASK_TOP,
} from './layout';
import { recursion_first, recursion_last, SHORT_OPEN } from './recursion';
import { frame_bitmap, frame_of, frame_pop, frame_site, RESERVED_WORD } from './shadow-stack';
import { site_address } from './site';

/// Entered, with nothing to leave.
export const SHORT_DONE: u32 = u32.MAX_VALUE;

/// Whether these users can be served here: somebody has handlers, and nobody needs the host's clock.
function fits(users: u32): bool {
  return <bool>(users & load<u32>(0, ABI_CALLING_MASK)) && !(clock_is_mono() && users & load<u32>(0, ABI_TIMED_MASK));
}

/// Pushes a frame of `site`, whose record is at `about`: four words, then what there is up to `top`.
export function short_push(task: u32, about: u32, base: u32, word: u64, top: u32): void {
  const parent = load<u32>(task, TASK_BASE);
  store<u64>(base, load<u64>(parent, FRAME_FUNC), FRAME_RET); // the null frame has func 0
  store<u64>(base, load<u64>(about, SITE_IP), FRAME_FUNC);
  store<u64>(base, parent, FRAME_RETP);
  store<u64>(base, word, FRAME_BITMAP);
  store<u64>(task, <u64>base << 32 | <u64>top, TASK_TOP); // and TASK_BASE
  store<i32>(task, load<i32>(task, TASK_DEPTH) + 1, TASK_DEPTH);
}

/// The newest frame, at `base`, returns.
export function short_pop(task: u32, base: u32): void {
  store<u64>(task, load<u64>(base, FRAME_RETP) << 32 | <u64>base, TASK_TOP); // and TASK_BASE
  store<i32>(task, load<i32>(task, TASK_DEPTH) - 1, TASK_DEPTH);
  store<u64>(task, load<u64>(task, TASK_RETURNS) + 1, TASK_RETURNS);
}

/// Enters `site` with `count` words of arguments. Returns the cookie, SHORT_DONE, or 0 with nothing changed.
export function short_enter(task: u32, site: u32, count: u32): u32 {
  if (site >= load<u32>(0, ABI_SITE_COUNT) || load<u64>(task, TASK_SHORT) != SHORT_OPEN) return 0;
  const about = site_address(site);
  if (load<u32>(about, SITE_PROBE)) {
    const cookie = OnlyProbe.enter(task, site, about, count);
    if (cookie) return cookie;
  }
  const users = load<u32>(about, SITE_USERS);
  const base = load<u32>(task, TASK_TOP);
  const top = base + FRAME_DATA;
  if (users & SITE_HAS_OPS || !fits(users) || top >= load<u32>(task, TASK_LIMIT)) return 0;

  short_push(task, about, base, <u64>site << FGRAPH_SITE_SHIFT | RESERVED_WORD, top);
  const lock = recursion_first(task, base, RECURSION_CALLBACK, load<u64>(base, FRAME_FUNC), count);
  const serial = load<u32>(lock, LOCK_SERIAL);
  const bitmap = fgraph_ask(task, lock, serial, site, base, users, clock_is_mono(), 0);
  if (bitmap == GONE) return SHORT_DONE;
  recursion_last(task, lock, serial);
  if (bitmap) return base;
  frame_pop(task, base);
  return SHORT_DONE;
}

/// Leaves the frame `cookie` with `count` words of results, the first of which is `value`. False: nothing changed.
export function short_leave(task: u32, cookie: u32, count: u32, value: u64): bool {
  if (load<u64>(task, TASK_SHORT) != SHORT_OPEN || !cookie || cookie != load<u32>(task, TASK_BASE)) return false;
  if (OnlyProbe.leave(task, cookie, count, value)) return true;
  const users = frame_bitmap(cookie);
  if (!fits(users) || frame_of(load<u32>(task, TASK_TOP)) != cookie) return false;

  const number = counter() + 1;
  counter_set(number);
  const lock = recursion_first(task, cookie, RECURSION_CALLBACK, load<u64>(cookie, FRAME_FUNC), count);
  const serial = load<u32>(lock, LOCK_SERIAL);
  if (count) store<u64>(task + TASK_FREGS, value, FREGS_WORDS);
  const mono = clock_is_mono();
  if (!fgraph_tell(task, lock, serial, frame_site(cookie), cookie, users, mono, mono ? 0 : number)) return true;
  recursion_last(task, lock, serial);
  short_pop(task, cookie);
  return true;
}

/// After an event on the general path: opens the short way if there can be one.
export function short_open(task: u32): void {
  if (short_allowed(task)) store<u32>(task, <u32>SHORT_OPEN, TASK_SHORT);
}
