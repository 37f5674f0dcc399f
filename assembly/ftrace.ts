// Entry of a function that plain ops are attached to: the list walker (spec/fgraph.md §1.3). The newest registration
// comes first, whoever has OPS_FL_DIRECT last, as the kernel makes a direct call when the walker is through. No frame
// is pushed for it, and nothing comes at the exit.
//
// A handler may do here what it may do in fgraph.ts. After each call out: the lock says whether anybody put the stack
// back below us; frames that were left above are unwound; and if a list changed meanwhile, the walk goes on behind the
// registration that was called last. So what was unregistered is not called any more, and what is new is not yet.

import { clock_is_mono, clock_mono, counter, counter_set } from './clock';
import { settle } from './fgraph';
import { fprobe_plain, fprobe_refused } from './fprobe/callback';
import { fregs_set_call, fregs_set_count } from './fregs';
import { hostCall } from './host';
import {
  ABI_CALLING_MASK, ABI_DEAD, FUNC_MASK, LIST_COUNT, LIST_SLOTS, OPS_FLAGS, OPS_FL_STUB, OPS_FPROBE, OPS_FUNCTION,
  OPS_HANDLER, OPS_KIND, OPS_PIDS_MASK, OPS_SERIAL, OPS_WASM, RECURSION_LIST, SITE_HAS_OPS, SITE_IP, SITE_OPS, TASK_BASE,
  TASK_ID, TASK_IGNORED, TASK_RECURSION, TASK_TOP,
} from './layout';
import { FPROBE_RECURSION } from './fprobe/layout';
import { ops_address, ops_handle } from './ops';
import { lock_fregs, lock_serial, recursion_lock, recursion_next, recursion_undisturbed, recursion_unlock } from './recursion';
import { ring_function } from './ring-buffer';
import { RING_RUN_PID } from './ring-layout';
import { site_address } from './site';
import { FUNCTION_COUNTED, function_notes, function_room } from './tracer/function';

/// Position in the list of `site` of the first registration older than `serial`.
function positionAfter(list: u32, serial: u32): u32 {
  const count = load<u32>(list, LIST_COUNT);
  let k: u32 = 0;
  while (k < count && load<u32>(ops_address(load<u32>(list + (k << 2), LIST_SLOTS)), OPS_SERIAL) >= serial) k++;
  return k;
}

/// Tells all ops of `site` that it was entered with `count` words of arguments, from `parent`. False: the stack was put
/// back below where it stood, so the activation is gone.
export function ftrace_call(task: u32, site: u32, count: u32, parent: u64): bool {
  if (load<u32>(0, ABI_DEAD)) return true;
  if (load<u32>(task, TASK_RECURSION) && recursion_next(task, RECURSION_LIST) < 0) {
    fprobe_refused(site, false, FPROBE_RECURSION);
    return true;
  }
  const mono = clock_is_mono();
  const top = load<u32>(task, TASK_TOP);
  let lock: u32 = 0;
  let serial: u32 = 0;
  // The built-in function tracer cannot be interrupted, except by the clock.
  if (mono || load<u32>(0, ABI_CALLING_MASK) & SITE_HAS_OPS) {
    lock = recursion_lock(task, top - 1, RECURSION_LIST);
    serial = lock_serial(lock);
    fregs_set_count(lock, count);
    fregs_set_call(lock, load<u64>(site_address(site), SITE_IP), parent);
  }

  let number = counter() + 1;
  let time: u64 = 0; // of the `mono` clock, read for the first who needs it
  let timed = !mono;
  let list = load<u32>(site_address(site), SITE_OPS);
  for (let k: u32 = 0; k < load<u32>(list, LIST_COUNT); ) { // the null list is empty
    const slot = load<u32>(list + (k++ << 2), LIST_SLOTS);
    const ops = ops_address(slot);
    const kind = load<u32>(ops, OPS_KIND);
    const order = load<u32>(ops, OPS_SERIAL);
    const handler = load<u32>(ops, OPS_HANDLER);
    const flags = load<u32>(ops, OPS_FLAGS);
    if (flags & (load<u32>(task, TASK_IGNORED) & OPS_PIDS_MASK | OPS_FL_STUB)) continue;
    if (kind == OPS_FUNCTION && timed) {
      if (counter() != number) number = counter() + 1;
      const now = mono ? time : number;
      const room = flags & FUNC_MASK ? function_room(task, ops, site, now, parent) : 0;
      if (room == FUNCTION_COUNTED) {
        counter_set(number);
      } else if (ring_function(handler, site, now, parent, load<u32>(task, TASK_ID), room)) {
        counter_set(number);
        if (room) function_notes(task, ops, site, parent, lock_fregs(lock));
      } else if (room) {
        store<u32>(handler, 0, RING_RUN_PID);
      }
      continue;
    }

    if (kind == OPS_FUNCTION) {
      time = clock_mono();
      timed = true;
      k--; // and once more, with the time
    } else {
      const fregs = lock_fregs(lock);
      const frame = load<u32>(task, TASK_BASE);
      if (kind == OPS_FPROBE) fprobe_plain(task, lock, serial, site, top, fregs, parent);
      else if (kind == OPS_WASM) call_indirect<i32>(handler, ops_handle(slot), site, frame, fregs);
      else hostCall(handler, ops_handle(slot), site, frame, fregs);
      timed = !mono;
    }
    if (recursion_undisturbed(task, serial)) continue;
    if (!settle(task, top, lock, serial)) return false;
    list = load<u32>(site_address(site), SITE_OPS);
    k = positionAfter(list, kind == OPS_FUNCTION ? order + 1 : order);
  }
  if (lock) recursion_unlock(task, lock);
  return true;
}
