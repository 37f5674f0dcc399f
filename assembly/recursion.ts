// Recursion protection (spec/fgraph.md §9): a bit per context says that callbacks run there. A second entry in the same
// context takes the transition bit, a third is refused.
//
// The kernel's holder always comes back to clear its bit. Ours may not: a handler that traps leaves with the program.
// So each bit has a lock record: which frame its holder works on, and a number that nobody else ever gets. Whoever puts
// the stack back below that frame takes the lock away, and a holder that does come back finds that it no longer has it.
//
//   TASK_RECURSION   14..10 internal   9..5 list walker   4..0 callbacks: transition, normal, softirq, irq, NMI
//   TASK_LOCKS       lock[5]: | base | serial | user whose entry handler runs | 0 |

import {
  ABI_SERIAL, CONTEXT_TRANSITION, LOCK_BASE, LOCK_INDEX, LOCK_INDEX_NONE, LOCK_SERIAL, LOCK_SHARED, LOCK_SHIFT,
  RECURSION_CALLBACK, RECURSION_CALLBACK_MASK, TASK_CONTEXT, TASK_LOCKS, TASK_LOCK_COUNT, TASK_RECURSION,
} from './layout';

export function lock_address(task: u32, bit: u32): u32 {
  return task + TASK_LOCKS + (bit << LOCK_SHIFT);
}

export function recursion_held(task: u32): u32 {
  return load<u32>(task, TASK_RECURSION) & RECURSION_CALLBACK_MASK;
}

/// The callback bit that a lock taken now would get, or -1.
export function recursion_next(task: u32): i32 {
  const bits = recursion_held(task);
  const bit = RECURSION_CALLBACK + load<u32>(task, TASK_CONTEXT);
  if (!bits || !(bits >> bit & 1)) return bit;
  return bits >> (RECURSION_CALLBACK + CONTEXT_TRANSITION) & 1 ? -1 : RECURSION_CALLBACK + CONTEXT_TRANSITION;
}

/// Takes the lock for work on the frame at `base`. Returns its record, or 0 when callbacks must not run.
export function recursion_lock(task: u32, base: u32): u32 {
  const bit = recursion_next(task);
  if (bit < 0) return 0;
  const serial = load<u32>(0, ABI_SERIAL) + 1;
  store<u32>(0, serial, ABI_SERIAL);
  const lock = lock_address(task, bit);
  store<u32>(lock, base, LOCK_BASE);
  store<u32>(lock, serial, LOCK_SERIAL);
  store<u32>(lock, LOCK_INDEX_NONE, LOCK_INDEX);
  store<u32>(task, load<u32>(task, TASK_RECURSION) | 1 << bit, TASK_RECURSION);
  return lock;
}

export function lock_bit(task: u32, lock: u32): u32 {
  return (lock - task - TASK_LOCKS) >> LOCK_SHIFT;
}

export function lock_serial(lock: u32): u32 {
  return load<u32>(lock, LOCK_SERIAL);
}

/// Whether the holder that got `serial` still has the lock.
export function recursion_mine(task: u32, lock: u32, serial: u32): bool {
  return load<u32>(lock, LOCK_SERIAL) == serial && <bool>(load<u32>(task, TASK_RECURSION) >> lock_bit(task, lock) & 1);
}

export function recursion_unlock(task: u32, lock: u32): void {
  store<u32>(task, load<u32>(task, TASK_RECURSION) & ~(1 << lock_bit(task, lock)), TASK_RECURSION);
}

/// Takes away every lock for work on a frame at or above `base`: its holder left without coming back.
export function recursion_break(task: u32, base: u32): void {
  for (let bit: u32 = 0; bit < <u32>TASK_LOCK_COUNT; bit++) {
    const lock = lock_address(task, bit);
    if (recursion_held(task) >> bit & 1 && load<u32>(lock, LOCK_BASE) >= base) recursion_unlock(task, lock);
  }
}

/// Whether a handler of the exclusive group runs on `task` (spec/fprobe.md §12). The mark is in the lock, so that it
/// goes with its holder however that ends.
export function lock_shared(task: u32): bool {
  for (let bit: u32 = 0; bit < <u32>TASK_LOCK_COUNT; bit++) {
    if (load<u32>(task, TASK_RECURSION) >> bit & 1 && load<u8>(lock_address(task, bit), LOCK_SHARED)) return true;
  }
  return false;
}

/// Whether the frame at `base` is being entered or left right now.
export function recursion_works_on(task: u32, base: u32): bool {
  for (let bit: u32 = 0; bit < <u32>TASK_LOCK_COUNT; bit++) {
    if (recursion_held(task) >> bit & 1 && load<u32>(lock_address(task, bit), LOCK_BASE) == base) return true;
  }
  return false;
}

/// The lock of the callback that runs now, the innermost one, or 0.
export function recursion_current(task: u32): u32 {
  const held = recursion_held(task);
  if (!held) return 0;
  // The transition bit is only ever taken inside another; among the contexts the more urgent one has the lower number.
  return lock_address(task, held >> CONTEXT_TRANSITION & 1 ? CONTEXT_TRANSITION : ctz<u32>(held));
}
