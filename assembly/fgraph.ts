// Entry and exit of an activation, the general path: any number of users, any clock, handlers that do what they like
// (spec/fgraph.md §4.3, §4.6). direct.ts, direct-set.ts and short.ts are shortcuts for common cases and yield the same
// events.
//
// A handler, and the clock import, run outside of the engine. Before they return they may have called any export:
// entered and left functions, unregistered this or another user, added sites, switched the task, or put the stack back
// below the very frame in hand. All of that is rare, so one word says that nothing of it happened (short.ts). If it did:
// the lock says whether our frame is still there (if not, whoever took the lock has popped it, and all is his now); frames
// left above ours are unwound; users and bitmap are read again from memory. As long as we have the lock our task is not
// in direct mode, but another may have become the current one.
//
// A return handler's bit is cleared before it runs: if it traps, the frame is unwound later, and nobody is told twice.

import { clock_is_mono, clock_mono, counter, counter_set } from './clock';
import { direct_arm } from './direct';
import { set_arm } from './direct-set';
import { fprobe_entry, fprobe_refused, fprobe_return, fprobe_return_refused } from './fprobe/callback';
import { fregs_set_count, fregs_set_first } from './fregs';
import { ftrace_call } from './ftrace';
import { gops_address, gops_generation, gops_kind, graph_ring } from './gops';
import { hostCall } from './host';
import {
  ABI_CALLING_MASK, ABI_DEAD, ABI_DISABLED, ABI_GOPS, ABI_TIMED_MASK, FGRAPH_ARRAY_MASK, FGRAPH_BITMAP_ORPHAN,
  FGRAPH_INDEX_MASK, FGRAPH_INDEX_SHIFT, FRAME_BITMAP, FRAME_BITMAP_EMPTY, FRAME_FUNC, FREGS_IP, GOPS_ENTRY,
  GOPS_FPROBE, GOPS_FRAME, GOPS_GENERATION, GOPS_GRAPH, GOPS_HOST, GOPS_KIND, GOPS_PROFILE, GOPS_RETURN, GOPS_SHIFT,
  GOPS_WASM, LOCK_INDEX, RECURSION_CALLBACK, SITE_HAS_OPS, SITE_IP, SITE_USERS, TASK_BASE, TASK_CALL_FP, TASK_DEPTH,
  TASK_FRAME_FP, TASK_IGNORED, TASK_PAUSE, TASK_RECURSION, TASK_RETURNS, TASK_SHORT, TASK_STRAY, TASK_TOP,
  TASK_UNWOUND,
} from './layout';
import { ABI_FPROBE_GRAPH, ABI_FPROBE_OPS, FPROBE_OVERRUN, FPROBE_RECURSION } from './fprobe/layout';
import {
  lock_fregs, lock_serial, recursion_break, recursion_break_walkers, recursion_held, recursion_lock, recursion_mine,
  recursion_next, recursion_undisturbed, recursion_unlock, recursion_works_on,
} from './recursion';
import {
  Frame, frame_bitmap, frame_exists, frame_func, frame_of, frame_pop, frame_push, frame_site, makeBitmap,
} from './shadow-stack';
import { short_open } from './short';
import { site_address, site_exists } from './site';
import { current, DirectMode, sync } from './task';
import { graph_entry, graph_exit } from './tracer/graph';
import { graph_plain } from './tracer/graph-rules';
import { profile_entry, profile_exit } from './tracer/profile';

/// Of `fgraph_ask`: the frame is gone.
export const GONE: u32 = u32.MAX_VALUE;

/// The users of a site, also those who pass the task over.
export function siteUsers(site: u32): u32 {
  return load<u32>(site_address(site), SITE_USERS) & FGRAPH_ARRAY_MASK;
}

/// The bit of the user that serves fprobes, if there are any.
function fprobes(): u32 {
  return load<u32>(0, ABI_FPROBE_GRAPH);
}

export function anyTimed(users: u32): bool {
  return <bool>(users & load<u32>(0, ABI_TIMED_MASK));
}

/// The users above `index`.
export function above(users: u32, index: u32): u32 {
  return users & ~((2 << index) - 1);
}

function isSingle(users: u32): bool {
  return users != 0 && !(users & (users - 1));
}

/// Whether telling `users` of an event runs anything outside of the engine, or lets a graph see arguments and results, which
/// are found by the lock. Only then is it needed: the built-in users cannot be interrupted.
function callsOut(users: u32, mono: bool): bool {
  return <bool>(users & load<u32>(0, ABI_CALLING_MASK)) || (mono && anyTimed(users));
}

/// After a call out by the holder `serial` of a lock: unwinds what was left on the stack from `from` on. False: the lock
/// is gone, and with it our frame.
export function settle(task: u32, from: u32, lock: u32, serial: u32): bool {
  return recursion_undisturbed(task, serial) || settleDisturbed(task, from, lock, serial);
}

function settleDisturbed(task: u32, from: u32, lock: u32, serial: u32): bool {
  const mine = recursion_mine(lock, serial);
  if (!mine || task != current) sync(); // while we have the lock, our task is not in direct mode
  if (!mine || load<u32>(task, TASK_BASE) < from) return mine;
  fgraph_unwind(task, from);
  return recursion_mine(lock, serial);
}

/// Whether a user has handlers, be they his own or those of probes.
function isCaller(kind: u32): bool {
  return kind - GOPS_WASM <= <u32>(GOPS_FPROBE - GOPS_WASM);
}

/// Asks `users` whether they accept the activation whose frame is at `base`. Returns those who did, as they stand in the
/// frame, with those who stood there before; or GONE with the frame. Without `lock`, if none of them calls out.
export function fgraph_ask(
  task: u32, lock: u32, serial: u32, site: u32, base: u32, users: u32, mono: bool, clock: u64
): u32 {
  // The event takes its number when somebody accepts it, and another one if a handler made events of its own since.
  let time = clock;
  let word = load<u32>(base, FRAME_BITMAP) | FRAME_BITMAP_EMPTY; // what stands in the frame if somebody accepts
  let taken = word != FRAME_BITMAP_EMPTY;
  const fregs = lock_fregs(lock);
  let rest = users & ~load<u32>(task, TASK_IGNORED);
  while (rest) {
    const index = ctz<u32>(rest);
    const gops = index << GOPS_SHIFT; // from ABI_GOPS
    const kind = load<u32>(gops, ABI_GOPS + GOPS_KIND);
    const top = load<u32>(task, TASK_TOP);
    rest &= rest - 1;
    let accepted: i32 = 1;
    if (!isCaller(kind)) {
      if (kind != GOPS_FRAME) {
        accepted = askBuiltin(task, lock, kind, index, site, base, mono ? time : counter() + (taken ? 0 : 1));
      }
    } else {
      const handler = load<u32>(gops, ABI_GOPS + GOPS_ENTRY);
      if (handler) {
        const generation = load<u32>(gops, ABI_GOPS + GOPS_GENERATION);
        const events = counter();
        store<u32>(lock, index, LOCK_INDEX); // who may reserve now
        if (kind == GOPS_WASM) accepted = call_indirect<i32>(handler, index, site, base, fregs);
        else if (kind == GOPS_HOST) accepted = hostCall(handler, index, site, base, fregs);
        else accepted = fprobe_entry(task, lock, serial, index, site, base, fregs, events + (taken ? 0 : 1)) ? 1 : 0;
        if (!recursion_undisturbed(task, serial)) {
          if (mono && anyTimed(siteUsers(site))) time = clock_mono();
          if (!settleDisturbed(task, base + 1, lock, serial)) return GONE;
          if (gops_generation(index) != generation) accepted = 0;
          if (counter() != events) taken = false;
          rest = above(siteUsers(site) & ~load<u32>(task, TASK_IGNORED), index);
          word = load<u32>(base, FRAME_BITMAP) | FRAME_BITMAP_EMPTY;
        }
      }
    }
    if (accepted) {
      if (!taken) counter_set(counter() + 1);
      taken = true;
      word |= 1 << (index + FGRAPH_INDEX_SHIFT);
      store<u32>(base, word, FRAME_BITMAP);
    } else {
      store<u32>(task, top, TASK_TOP);
    }
  }
  return word >> FGRAPH_INDEX_SHIFT & FGRAPH_INDEX_MASK;
}

/// Whether a user who records within the engine accepts the activation.
function askBuiltin(task: u32, lock: u32, kind: u32, index: u32, site: u32, base: u32, time: u64): i32 {
  const accepted = kind == GOPS_PROFILE
    ? profile_entry(task, index, time)
    : graph_entry(task, index, site, base, time, load<i32>(task, TASK_DEPTH), lock);
  return accepted ? 1 : 0;
}

/// Tells `users` that the activation whose frame is at `base` returns; the event has the number `clock`, or with the
/// clock `mono` happened then. False: the frame is gone.
export function fgraph_tell(
  task: u32, lock: u32, serial: u32, site: u32, base: u32, users: u32, mono: bool, clock: u64
): bool {
  let time = clock;
  let orphan = load<u32>(base, FRAME_BITMAP) & FGRAPH_BITMAP_ORPHAN;
  const fregs = lock_fregs(lock);
  let rest = users;
  while (rest) {
    const index = ctz<u32>(rest);
    const gops = index << GOPS_SHIFT; // from ABI_GOPS
    const kind = load<u32>(gops, ABI_GOPS + GOPS_KIND);
    rest &= rest - 1;
    if (!isCaller(kind)) {
      tellBuiltin(task, lock, kind, index, site, base, time, false);
      continue;
    }
    const handler = load<u32>(gops, ABI_GOPS + GOPS_RETURN);
    if (!handler) continue;
    store<u32>(base, makeBitmap(rest) | orphan, FRAME_BITMAP);
    if (kind == GOPS_WASM) call_indirect<i32>(handler, index, site, base, fregs);
    else if (kind == GOPS_HOST) hostCall(handler, index, site, base, fregs);
    else fprobe_return(task, lock, serial, index, site, base, fregs, time);
    if (recursion_undisturbed(task, serial)) continue;
    if (mono && anyTimed(rest)) time = clock_mono();
    if (!settleDisturbed(task, base + 1, lock, serial)) return false;
    rest = above(frame_bitmap(base), index);
    orphan = load<u32>(base, FRAME_BITMAP) & FGRAPH_BITMAP_ORPHAN;
    if (!mono && counter() != time) {
      time = counter() + 1;
      counter_set(time);
    }
  }
  return true;
}

/// Tells a user who records within the engine that the activation ends, by a return or otherwise.
function tellBuiltin(
  task: u32, lock: u32, kind: u32, index: u32, site: u32, base: u32, time: u64, unwound: bool
): void {
  if (kind == GOPS_GRAPH) graph_exit(task, index, site, base, time, load<i32>(task, TASK_DEPTH), unwound, lock);
  else if (kind == GOPS_PROFILE) profile_exit(task, index, site, time);
}

/// An activation of `site` begins, with `count` words of arguments. Returns the base of its frame, or 0: refused,
/// nothing changed but perhaps the overrun.
export function fgraph_enter(task: u32, site: u32, count: u32): u32 {
  const parent = load<u32>(task, TASK_BASE);
  return fgraph_enter_from(task, site, count, frame_func(parent), parent);
}

/// The same with a return address of its own and where that is kept.
export function fgraph_enter_from(task: u32, site: u32, count: u32, ret: u64, retp: u64): u32 {
  DirectMode.leave();
  if (!site_exists(site) || load<u32>(0, ABI_DISABLED)) return 0;
  if (load<u32>(site_address(site), SITE_USERS) & SITE_HAS_OPS) {
    const fp = load<u64>(task, TASK_CALL_FP);
    if (!ftrace_call(task, site, count, ret)) return 0;
    store<u64>(task, fp, TASK_CALL_FP); // handlers may have entered functions
    sync(); // of the task that is current now
  }
  return fgraph_enter_users(task, site, count, ret, retp);
}

/// The same for users alone, once plain ops have been told, outside of direct mode.
export function fgraph_enter_users(task: u32, site: u32, count: u32, ret: u64, retp: u64): u32 {
  let users = siteUsers(site);
  if (!users && load<u32>(0, ABI_FPROBE_OPS) && task == current) short_open(task);
  if (!users || load<u32>(task, TASK_PAUSE)) return 0;
  const mono = clock_is_mono();
  const start = load<u32>(task, TASK_TOP);
  let lock: u32 = 0;
  let serial: u32 = 0;
  let time: u64 = 0;
  if (callsOut(users, mono)) {
    lock = recursion_lock(task, start + load<u32>(task, TASK_FRAME_FP), RECURSION_CALLBACK);
    if (!lock) {
      if (users & fprobes()) fprobe_refused(site, true, FPROBE_RECURSION);
      return 0;
    }
    serial = lock_serial(lock);
    fregs_set_count(lock, count);
    if (mono && anyTimed(users)) {
      store<u32>(task, 0, TASK_SHORT); // after each handler there is something to do: the time is read again
      time = clock_mono();
      if (!settle(task, start, lock, serial)) return 0;
      users = siteUsers(site);
    }
  } else if (load<u32>(task, TASK_RECURSION) && recursion_next(task, RECURSION_CALLBACK) < 0) {
    return 0;
  }

  const base = frame_push(task, site, ret, load<u64>(site_address(site), SITE_IP), retp);
  if (!base) {
    if (users & fprobes()) fprobe_refused(site, true, FPROBE_OVERRUN);
    if (lock) recursion_unlock(task, lock);
    return 0;
  }
  if (lock) store<u64>(lock_fregs(lock), load<u64>(base, FRAME_FUNC), FREGS_IP);
  const bitmap = fgraph_ask(task, lock, serial, site, base, users, mono, time);
  if (bitmap == GONE) return 0;
  if (lock) recursion_unlock(task, lock);
  if (!bitmap) frame_pop(task, base);
  arm(task, users, bitmap);
  return bitmap ? base : 0;
}

/// The activation whose frame is at `cookie` ends, with `count` words of results, the first of which is `value`. What
/// lies above it was left without returning.
export function fgraph_leave(task: u32, cookie: u32, count: u32, value: u64): void {
  DirectMode.leave();
  const isNewest = cookie != 0 && cookie == load<u32>(task, TASK_BASE);
  if (!isNewest || recursion_held(task)) {
    if (!uncover(task, cookie)) return;
  }
  if (!isSound(task, cookie)) return fgraph_unwind(task, cookie);

  const mono = clock_is_mono();
  let bitmap = frame_bitmap(cookie);
  let lock: u32 = 0;
  let serial: u32 = 0;
  let time: u64 = 0;
  if (callsOut(bitmap, mono)) {
    lock = recursion_lock(task, cookie, RECURSION_CALLBACK);
    if (!lock) {
      if (bitmap & fprobes()) fprobe_return_refused(task, ctz<u32>(fprobes()));
      return fgraph_unwind(task, cookie); // no callbacks, but the frame goes
    }
    serial = lock_serial(lock);
    fregs_set_count(lock, count);
    if (count) fregs_set_first(lock, value);
    store<u64>(lock_fregs(lock), load<u64>(cookie, FRAME_FUNC), FREGS_IP);
    if (mono && anyTimed(bitmap)) {
      store<u32>(task, 0, TASK_SHORT);
      time = clock_mono();
      if (!settle(task, cookie + 1, lock, serial)) return;
      bitmap = frame_bitmap(cookie);
    }
  } else if (load<u32>(task, TASK_RECURSION) && recursion_next(task, RECURSION_CALLBACK) < 0) {
    return fgraph_unwind(task, cookie);
  }
  const number = counter() + 1;
  counter_set(number);
  if (!mono) time = number;

  if (!fgraph_tell(task, lock, serial, frame_site(cookie), cookie, bitmap, mono, time)) return;

  if (lock) recursion_unlock(task, lock);
  Frame.pop(task, cookie);
  store<u64>(task, load<u64>(task, TASK_RETURNS) + 1, TASK_RETURNS);
  arm(task, bitmap, bitmap);
}

/// Whether the word under the top leads to `base`, the newest frame. If not, somebody wrote past his data; nothing on
/// this stack can be trusted, and the kill switch is thrown (spec/fgraph.md §4.6).
function isSound(task: u32, base: u32): bool {
  if (frame_of(load<u32>(task, TASK_TOP)) == base) return true;
  store<u32>(0, 1, ABI_DEAD);
  return false;
}

/// Makes the frame at `cookie` the newest one, and takes the locks for work above it. False: it is gone, or being
/// entered or left right now; that is counted and changes nothing else.
function uncover(task: u32, cookie: u32): bool {
  if (!frame_exists(task, cookie) || recursion_works_on(task, cookie)) {
    store<u32>(task, load<u32>(task, TASK_STRAY) + 1, TASK_STRAY);
    return false;
  }
  recursion_break(task, cookie);
  fgraph_unwind(task, cookie + 1);
  return load<u32>(task, TASK_BASE) == cookie; // the clock import may have gone further
}

/// Drops all frames whose base is `from` or above, newest first: they were left without returning. The built-in users
/// are told; handlers are not, as in the kernel, where such an exit never comes.
export function fgraph_unwind(task: u32, from: u32): void {
  let base = load<u32>(task, TASK_BASE);
  if (!base || base < from) return;
  const mono = clock_is_mono();
  const time = mono && anyTimed(FGRAPH_ARRAY_MASK) ? clock_mono() : 0; // before anything is changed
  sync();
  for (base = load<u32>(task, TASK_BASE); base && base >= from; base = load<u32>(task, TASK_BASE)) {
    const number = counter() + 1;
    const now = mono ? time : number;
    counter_set(number);
    for (let rest = isSound(task, base) ? frame_bitmap(base) : 0; rest; rest &= rest - 1) {
      const index = ctz<u32>(rest);
      tellBuiltin(task, 0, gops_kind(index), index, frame_site(base), base, now, true);
    }
    frame_pop(task, base);
    store<u32>(task, load<u32>(task, TASK_UNWOUND) + 1, TASK_UNWOUND);
  }
}

/// Puts the shadow stack back to `top`: what lies above was left without returning, and so were the callbacks at work
/// there, and there itself all walkers of plain ops but the `walkers` oldest.
export function fgraph_restore(task: u32, top: u32, walkers: u32): void {
  sync();
  if (recursion_held(task)) {
    recursion_break(task, top);
    recursion_break_walkers(task, top, walkers);
  }
  fgraph_unwind(task, top);
}

/// After an event that `users` were asked about and `bitmap` took part in: opens a shorter way for the next one if it may.
function arm(task: u32, users: u32, bitmap: u32): void {
  if (task != current || bitmap & load<u32>(task, TASK_IGNORED)) return; // as of the return of what was entered before
  if (users & load<u32>(0, ABI_CALLING_MASK)) return short_open(task);
  const index = ctz<u32>(bitmap);
  if (isSingle(bitmap) && gops_kind(index) == GOPS_GRAPH) {
    const ring = graph_ring(task, index);
    if (ring && graph_plain(task, index)) direct_arm(task, index, ring);
  } else if (bitmap) {
    set_arm(task, bitmap);
  }
}
