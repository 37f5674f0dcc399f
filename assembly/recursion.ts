// Recursion protection (spec/fgraph.md §9): a bit per context says that callbacks run there. A second entry in the same
// context takes the transition bit, a third is refused. Handlers of function-graph users and those of plain ops have a
// group of bits each.
//
// The kernel's holder always comes back to clear its bit. Ours may not: a handler that traps leaves with the program.
// So each bit has a lock record: which frame its holder works on, and a number that nobody else has. Whoever puts
// the stack back below that frame takes the lock away, and a holder that does come back finds that it no longer has it.
//
//   TASK_RECURSION   14..10 internal   9..5 list walker   4..0 callbacks: transition, normal, softirq, irq, NMI
//   TASK_LOCKS       lock[10]: | base | serial | user whose entry handler runs | fregs |
//
// The walker of plain ops works on no frame; its base is one byte below the top. So the frames that its handlers push
// and pop lie above it. Whoever puts the stack back to that top may have come from below, past the walker, or be called by
// one of its handlers: so a mark also says how many walkers there were.

import {
  CONTEXT_TRANSITION, FREGS_COUNT, FREGS_IP, FREGS_SIZE, LOCK_BASE, LOCK_FREGS, LOCK_INDEX, LOCK_INDEX_NONE,
  LOCK_SERIAL, LOCK_SHARED, LOCK_SHIFT, RECURSION_CALLBACK_MASK, RECURSION_INTERNAL, RECURSION_LIST,
  RECURSION_LIST_MASK, RECURSION_LOCK_MASK, TASK_CONTEXT, TASK_FREGS, TASK_LOCKS, TASK_LOCK_COUNT, TASK_RECURSION,
  TASK_SHORT, TASK_TOP,
} from './layout';
import { current, serial_next } from './task';

/// TASK_SHORT together with TASK_RECURSION when the short way is open. Even, which no number of a holder is.
export const SHORT_OPEN: u64 = 2;

function lockAddress(task: u32, bit: u32): u32 {
  return task + TASK_LOCKS + (bit << LOCK_SHIFT);
}

/// The bits of both groups that are set.
export function recursion_held(task: u32): u32 {
  return load<u32>(task, TASK_RECURSION) & RECURSION_LOCK_MASK;
}

/// The bit of `group`, RECURSION_CALLBACK or RECURSION_LIST, that a lock taken now would get, or -1.
export function recursion_next(task: u32, group: u32): i32 {
  const bits = load<u32>(task, TASK_RECURSION);
  const bit = group + load<u32>(task, TASK_CONTEXT);
  if (!(bits >> bit & 1)) return bit;
  const transition = group + CONTEXT_TRANSITION;
  return bits >> transition & 1 ? -1 : transition;
}

/// The registers of a callback that would run now: one buffer for each callback that another one can interrupt, so that
/// the outer handler's words stay what they were.
export function recursion_fregs(task: u32): u32 {
  return task + TASK_FREGS + popcnt<u32>(recursion_held(task)) * FREGS_SIZE;
}

/// Takes the lock for work on the frame at `base`. Returns its record, or 0 when callbacks must not run.
export function recursion_lock(task: u32, base: u32, group: u32): u32 {
  let bit: i32 = group + load<u32>(task, TASK_CONTEXT);
  if (load<u32>(task, TASK_RECURSION) >> bit & 1) {
    bit = recursion_next(task, group);
    if (bit < 0) return 0;
  }
  const serial = serial_next();
  const lock = lockAddress(task, bit);
  store<u32>(lock, base, LOCK_BASE);
  store<u32>(lock, serial, LOCK_SERIAL);
  store<u32>(lock, LOCK_INDEX_NONE, LOCK_INDEX);
  store<u32>(lock, recursion_fregs(task), LOCK_FREGS);
  store<u32>(task, load<u32>(task, TASK_RECURSION) | 1 << bit, TASK_RECURSION);
  if (task == current) store<u32>(task, serial, TASK_SHORT);
  return lock;
}

/// The same when the short way is open, so no bit is set, with the registers that its handlers see.
export function recursion_first(task: u32, base: u32, group: u32, ip: u64, count: u32): u32 {
  const bit = group + load<u32>(task, TASK_CONTEXT);
  const lock = lockAddress(task, bit);
  const fregs = task + TASK_FREGS;
  const serial = serial_next();
  store<u64>(lock, <u64>serial << 32 | <u64>base, LOCK_BASE); // and LOCK_SERIAL
  store<u64>(lock, <u64>fregs << 32 | LOCK_INDEX_NONE, LOCK_INDEX); // and LOCK_FREGS
  store<u64>(task, <u64>(1 << bit) << 32 | <u64>serial, TASK_SHORT); // and TASK_RECURSION
  store<u64>(fregs, ip, FREGS_IP);
  store<u32>(fregs, count, FREGS_COUNT);
  return lock;
}

/// Gives back the lock that `recursion_first` gave, if its holder has it still. The short way is open again if nothing
/// disturbed him.
export function recursion_last(task: u32, lock: u32, serial: u32): void {
  if (recursion_undisturbed(task, serial)) store<u64>(task, SHORT_OPEN, TASK_SHORT);
  else recursion_unlock(task, lock);
}

/// Whether nothing has disturbed the holder of a lock since he got the number `serial`.
export function recursion_undisturbed(task: u32, serial: u32): bool {
  return load<u32>(task, TASK_SHORT) == serial;
}

function lockBit(task: u32, lock: u32): u32 {
  return (lock - task - TASK_LOCKS) >> LOCK_SHIFT;
}

export function lock_fregs(lock: u32): u32 {
  return load<u32>(lock, LOCK_FREGS);
}

export function lock_serial(lock: u32): u32 {
  return load<u32>(lock, LOCK_SERIAL);
}

/// Whether the holder that got `serial` still has the lock: one that is free has no number.
export function recursion_mine(lock: u32, serial: u32): bool {
  return load<u32>(lock, LOCK_SERIAL) == serial;
}

export function recursion_unlock(task: u32, lock: u32): void {
  store<u32>(lock, 0, LOCK_SERIAL);
  store<u32>(task, load<u32>(task, TASK_RECURSION) & ~(1 << lockBit(task, lock)), TASK_RECURSION);
}

/// Takes away every lock for work on a frame at or above `base`: its holder left without coming back.
export function recursion_break(task: u32, base: u32): void {
  for (let bit: u32 = 0; bit < <u32>TASK_LOCK_COUNT; bit++) {
    const lock = lockAddress(task, bit);
    if (recursion_held(task) >> bit & 1 && load<u32>(lock, LOCK_BASE) >= base) recursion_unlock(task, lock);
  }
}

/// Where the stack of `task` may be put back to: its top, and how many walkers of plain ops are at work.
export function recursion_mark(task: u32): u32 {
  return load<u32>(task, TASK_TOP) | recursion_walkers(task);
}

/// Walkers of plain ops that are at work.
function recursion_walkers(task: u32): u32 {
  return popcnt<u32>(load<u32>(task, TASK_RECURSION) & RECURSION_LIST_MASK);
}

/// Takes away the locks of walkers that began at `top` or above, newest first, until `kept` are left.
export function recursion_break_walkers(task: u32, top: u32, kept: u32): void {
  while (recursion_walkers(task) > kept) {
    let newest: u32 = 0;
    for (let bit: u32 = RECURSION_LIST; bit < <u32>RECURSION_INTERNAL; bit++) {
      if (!(load<u32>(task, TASK_RECURSION) >> bit & 1)) continue;
      const lock = lockAddress(task, bit);
      if (!newest || <i32>(lock_serial(lock) - lock_serial(newest)) > 0) newest = lock;
    }
    if (load<u32>(newest, LOCK_BASE) + 1 < top) return;
    recursion_unlock(task, newest);
  }
}

/// Whether a handler of the exclusive group runs on `task` (spec/fprobe.md §12). The mark is in the lock, so that it
/// goes with its holder however that ends.
export function lock_shared(task: u32): bool {
  for (let bit: u32 = 0; bit < <u32>TASK_LOCK_COUNT; bit++) {
    if (load<u32>(task, TASK_RECURSION) >> bit & 1 && load<u8>(lockAddress(task, bit), LOCK_SHARED)) return true;
  }
  return false;
}

/// Whether the frame at `base` is being entered or left right now.
export function recursion_works_on(task: u32, base: u32): bool {
  for (let bit: u32 = 0; bit < <u32>TASK_LOCK_COUNT; bit++) {
    if (recursion_held(task) >> bit & 1 && load<u32>(lockAddress(task, bit), LOCK_BASE) == base) return true;
  }
  return false;
}

/// The lock of the function-graph callback that runs now, the innermost one, or 0.
export function recursion_current(task: u32): u32 {
  const held = load<u32>(task, TASK_RECURSION) & RECURSION_CALLBACK_MASK;
  if (!held) return 0;
  // The transition bit is only ever taken inside another; among the contexts the more urgent one has the lower number.
  return lockAddress(task, held >> CONTEXT_TRANSITION & 1 ? CONTEXT_TRANSITION : ctz<u32>(held));
}
