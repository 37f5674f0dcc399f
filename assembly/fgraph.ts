// Entry and exit of an activation, the general path: any number of users, any clock, handlers that do what they like
// (spec/fgraph.md §4.3, §4.6). direct.ts is the shortcut for the common case and yields the same events.
//
// A handler, and the clock import, run outside of the engine. Before they return they may have called any export: entered and
// left functions, unregistered this or another user, added sites, switched the task, or put the stack back below the
// very frame in hand. So after each call out, in this order: frames left above ours are unwound; the lock says whether ours
// is still there (if not, whoever took it has popped our frame); users and bitmap are read again from memory.
//
// A return handler's bit is cleared before it runs: if it traps, the frame is unwound later, and nobody is told twice.

import { clock_is_mono, clock_mono, counter, counter_set } from './clock';
import { direct_arm, direct_sync } from './direct';
import { gops_address, gops_generation, gops_kind, graph_ring } from './gops';
import { hostCall } from './host';
import {
  ABI_CALLING_MASK, ABI_DEAD, ABI_TIMED_MASK, FREGS_IP, GOPS_ENTRY, GOPS_GRAPH, GOPS_PROFILE, GOPS_RETURN, GOPS_WASM, LOCK_INDEX,
  LOCK_INDEX_NONE, RECORD_RETURN, RECORD_UNWOUND, SITE_IP, SITE_USERS, TASK_BASE, TASK_DEPTH, TASK_PAUSE, TASK_RETURNS, TASK_STRAY,
  TASK_TOP, TASK_UNWOUND,
} from './layout';
import { fregs_of } from './fregs';
import {
  lock_serial, recursion_break, recursion_held, recursion_lock, recursion_mine, recursion_unlock, recursion_works_on,
} from './recursion';
import {
  frame_bitmap, frame_exists, frame_func, frame_of, frame_pop, frame_push, frame_set_bitmap, frame_site,
} from './shadow-stack';
import { site_address, site_exists } from './site';
import { graph_entry, graph_exit } from './tracer/graph';
import { profile_entry, profile_exit } from './tracer/profile';

function siteUsers(site: u32): u32 {
  return load<u32>(site_address(site), SITE_USERS);
}

function anyTimed(users: u32): bool {
  return <bool>(users & load<u32>(0, ABI_TIMED_MASK));
}

/// The users above `index`.
function above(users: u32, index: u32): u32 {
  return users & ~((2 << index) - 1);
}

function isSingle(users: u32): bool {
  return users != 0 && !(users & (users - 1));
}

/// Calls a handler of user `index`: of the entry or of the return.
function callOut(handler: u32, index: u32, site: u32, base: u32, fregs: u32): i32 {
  return gops_kind(index) == GOPS_WASM
    ? call_indirect<i32>(handler, index, site, base, fregs)
    : hostCall(handler, index, site, base, fregs);
}

/// An activation of `site` begins. Returns the base of its frame, or 0: refused, nothing changed but perhaps the overrun.
export function fgraph_enter(task: u32, site: u32): u32 {
  direct_sync(task);
  if (!site_exists(site) || load<u32>(task, TASK_PAUSE)) return 0;
  let users = siteUsers(site);
  if (!users) return 0;
  const start = load<u32>(task, TASK_TOP);
  const lock = recursion_lock(task, start);
  if (!lock) return 0;
  const serial = lock_serial(lock);
  const mono = clock_is_mono();
  let time: u64 = 0;
  if (mono && anyTimed(users)) {
    time = clock_mono();
    fgraph_unwind(task, start);
    if (!recursion_mine(task, lock, serial)) return 0;
    users = siteUsers(site);
  }

  const parent = load<u32>(task, TASK_BASE);
  const base = frame_push(task, site, frame_func(parent), load<u64>(site_address(site), SITE_IP), parent);
  if (!base) {
    recursion_unlock(task, lock);
    return 0;
  }
  const depth = load<i32>(task, TASK_DEPTH);
  const fregs = fregs_of(task, lock);
  if (users & load<u32>(0, ABI_CALLING_MASK)) store<u64>(fregs, frame_func(base), FREGS_IP);

  let rest = users;
  while (rest) {
    const index = ctz<u32>(rest);
    const kind = gops_kind(index);
    const top = load<u32>(task, TASK_TOP);
    const number = counter() + 1;
    rest &= rest - 1;
    let accepted: bool;
    if (kind == GOPS_GRAPH) {
      accepted = graph_entry(task, index, site, base, mono ? time : number, depth);
    } else if (kind == GOPS_PROFILE) {
      accepted = profile_entry(task, index, mono ? time : number);
    } else {
      const handler = load<u32>(gops_address(index), GOPS_ENTRY);
      accepted = true;
      if (handler) {
        const generation = gops_generation(index);
        store<u32>(lock, index, LOCK_INDEX);
        accepted = <bool>callOut(handler, index, site, base, fregs);
        if (mono && anyTimed(siteUsers(site))) time = clock_mono();
        fgraph_unwind(task, base + 1);
        if (!recursion_mine(task, lock, serial)) return 0;
        store<u32>(lock, LOCK_INDEX_NONE, LOCK_INDEX);
        if (gops_generation(index) != generation) accepted = false;
        rest = above(siteUsers(site), index);
      }
    }
    if (accepted) {
      if (!frame_bitmap(base)) counter_set(counter() + 1);
      frame_set_bitmap(base, frame_bitmap(base) | 1 << index);
    } else {
      store<u32>(task, top, TASK_TOP);
    }
  }

  recursion_unlock(task, lock);
  const bitmap = frame_bitmap(base);
  if (!bitmap) {
    frame_pop(task, base);
    return 0;
  }
  arm(task, bitmap);
  return base;
}

/// The activation whose frame is at `cookie` ends. What lies above it was left without returning.
export function fgraph_leave(task: u32, cookie: u32): void {
  direct_sync(task);
  if (!frame_exists(task, cookie) || recursion_works_on(task, cookie)) {
    store<u32>(task, load<u32>(task, TASK_STRAY) + 1, TASK_STRAY);
    return;
  }
  recursion_break(task, cookie);
  fgraph_unwind(task, cookie + 1);
  if (load<u32>(task, TASK_BASE) != cookie) return; // the clock import went further
  if (frame_of(load<u32>(task, TASK_TOP)) != cookie) store<u32>(0, 1, ABI_DEAD); // somebody wrote past his data

  const lock = recursion_lock(task, cookie);
  if (!lock) return fgraph_unwind(task, cookie); // no callbacks, but the frame goes
  const serial = lock_serial(lock);
  const mono = clock_is_mono();
  let time: u64 = 0;
  if (mono && anyTimed(frame_bitmap(cookie))) {
    time = clock_mono();
    fgraph_unwind(task, cookie + 1);
    if (!recursion_mine(task, lock, serial)) return;
  }
  const number = counter() + 1;
  counter_set(number);
  if (!mono) time = number;

  const depth = load<i32>(task, TASK_DEPTH);
  const site = frame_site(cookie);
  const fregs = fregs_of(task, lock);
  const bitmap = frame_bitmap(cookie);
  if (bitmap & load<u32>(0, ABI_CALLING_MASK)) store<u64>(fregs, frame_func(cookie), FREGS_IP);
  let rest = bitmap;
  while (rest) {
    const index = ctz<u32>(rest);
    const kind = gops_kind(index);
    rest &= rest - 1;
    if (kind == GOPS_GRAPH) {
      graph_exit(task, index, RECORD_RETURN, site, cookie, time, depth);
    } else if (kind == GOPS_PROFILE) {
      profile_exit(task, index, site, time);
    } else {
      const handler = load<u32>(gops_address(index), GOPS_RETURN);
      if (handler) {
        frame_set_bitmap(cookie, rest);
        callOut(handler, index, site, cookie, fregs);
        if (mono) {
          if (anyTimed(rest)) time = clock_mono();
        } else if (counter() != time) {
          counter_set(counter() + 1);
          time = counter();
        }
        fgraph_unwind(task, cookie + 1);
        if (!recursion_mine(task, lock, serial)) return;
        rest = above(frame_bitmap(cookie), index);
      }
    }
  }

  recursion_unlock(task, lock);
  frame_pop(task, cookie);
  store<u64>(task, load<u64>(task, TASK_RETURNS) + 1, TASK_RETURNS);
  arm(task, bitmap);
}

/// Drops all frames whose base is `from` or above, newest first: they were left without returning. The built-in users are
/// told; handlers are not, as in the kernel, where such an exit never comes.
export function fgraph_unwind(task: u32, from: u32): void {
  let base = load<u32>(task, TASK_BASE);
  if (!base || base < from) return;
  direct_sync(task);
  const mono = clock_is_mono();
  const time = mono ? clock_mono() : 0;
  for (base = load<u32>(task, TASK_BASE); base && base >= from; base = load<u32>(task, TASK_BASE)) {
    const number = counter() + 1;
    const now = mono ? time : number;
    counter_set(number);
    for (let rest = frame_bitmap(base); rest; rest &= rest - 1) {
      const index = ctz<u32>(rest);
      const kind = gops_kind(index);
      if (kind == GOPS_GRAPH) {
        graph_exit(task, index, RECORD_UNWOUND, frame_site(base), base, now, load<i32>(task, TASK_DEPTH));
      } else if (kind == GOPS_PROFILE) {
        profile_exit(task, index, frame_site(base), now);
      }
    }
    frame_pop(task, base);
    store<u32>(task, load<u32>(task, TASK_UNWOUND) + 1, TASK_UNWOUND);
  }
}

/// Puts the shadow stack back to `mark`: what lies above was left without returning, and so were the callbacks at work there.
export function fgraph_restore(task: u32, mark: u32): void {
  if (recursion_held(task)) recursion_break(task, mark);
  fgraph_unwind(task, mark);
}

function arm(task: u32, bitmap: u32): void {
  if (!isSingle(bitmap)) return;
  const index = ctz<u32>(bitmap);
  if (gops_kind(index) != GOPS_GRAPH) return;
  const ring = graph_ring(task, index);
  if (ring) direct_arm(task, index, ring);
}
