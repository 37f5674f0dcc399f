// What an embedder calls between runs, or from a handler: everything here brings memory up to date first and checks
// what it is given.

import { clock_read } from './clock';
import { fgraph_restore } from './fgraph';
import { gops_leave_task, gops_registered, gops_start } from './gops';
import {
  ABI_CLOCK, ABI_DEAD, ABI_DISABLED, ABI_LOOPED, ABI_MAGIC, ABI_MAGIC_VALUE, ABI_SITE_COUNT, ABI_TASKS, ABI_VERSION,
  ABI_VERSION_VALUE, CLOCK_MONO, EBUSY, EINVAL, FGRAPH_MAX_DATA_SIZE, FRAME_RET, FRAME_RETP, LOCK_BASE, LOCK_INDEX,
  SITE_SIZE, TASK_BASE, TASK_HOOKED, TASK_NEXT, TASK_RECURSION, TASK_TOP, WORD_SIZE,
} from './layout';
import { ops_permanent } from './ops';
import { recursion_current } from './recursion';
import { region_start } from './region';
import { ring_clear_all } from './ring-buffer';
import {
  data_find, data_on_top, data_reserve, data_size, frame_below, frame_exists, frame_start, task_variable_address,
} from './shadow-stack';
import { site_address, site_describe } from './site';
import { begin, current, sync, task_account, task_exists, task_release, task_start } from './task';

/// Runs once, when the module is instantiated.
export function start(): void {
  region_start();
  store<u32>(0, ABI_MAGIC_VALUE, ABI_MAGIC);
  store<u32>(0, ABI_VERSION_VALUE, ABI_VERSION);
  gops_start();
  task_start();
}

/// First address that regions may use: the page of the ABI and what the compiler placed lie below it.
export function heap_base(): u32 {
  return <u32>__heap_base;
}

// ---- tasks

/// Unwinds all frames of `task` and ends all callbacks at work on it. 0 or -EINVAL.
export function task_reset(task: u32): i32 {
  if (!task_exists(task)) return -EINVAL;
  sync();
  fgraph_restore(task, 0, 0);
  if (!load<u32>(task, TASK_BASE)) store<u32>(task, 0, TASK_HOOKED); // unless the clock has entered functions
  return 0;
}

/// Unwinds and frees a task. Its ring buffers stay. 0; -EINVAL: no such task; -EBUSY: it is the current one, or a
/// callback of it runs.
export function task_free(task: u32): i32 {
  if (!task_exists(task)) return -EINVAL;
  if (task == current || load<u32>(task, TASK_RECURSION)) return -EBUSY;
  begin();
  fgraph_restore(task, 0, 0);
  if (!task_exists(task) || task == current || load<u32>(task, TASK_RECURSION)) return -EBUSY; // the clock did it
  gops_leave_task(task);
  task_release(task);
  return 0;
}

/// Base of frame `k` of `task`, 0 = the newest; 0 beyond the outermost or without such a task.
export function task_frame(task: u32, k: u32): u32 {
  if (!task_exists(task)) return 0;
  let base = load<u32>(task, TASK_BASE);
  while (base && k--) base = frame_below(task, base);
  return base;
}

/// The frame that holds the real return address of the slot `retp` where an unwinder found `hook`, the address of the exit
/// trampoline (spec/fgraph.md §5): the newest one of that slot that does not return to the hook itself, as tail calls do.
/// Looks below the frame `cursor`, 0 = from the newest on. 0: none.
export function frame_real(task: u32, cursor: u32, retp: u64, hook: u64): u32 {
  if (!task_exists(task) || (cursor && !frame_exists(task, cursor))) return 0;
  let base = cursor ? frame_below(task, cursor) : load<u32>(task, TASK_BASE);
  while (base && (load<u64>(base, FRAME_RETP) != retp || load<u64>(base, FRAME_RET) == hook)) base = frame_below(task, base);
  return base;
}

// ---- data of a user whose handlers run outside (spec/fgraph.md §4.4 to §6)

/// Reserves `bytes` bytes, 1 to 256, in the frame that is being entered. Only from the entry handler of user `index`,
/// and once. Returns the address of the first word, not zeroed, or 0.
export function reserve(index: u32, bytes: i32): u32 {
  const lock = recursion_current(current);
  if (!lock || load<u32>(lock, LOCK_INDEX) != index || !gops_registered(index)) return 0;
  if (bytes <= 0 || bytes > FGRAPH_MAX_DATA_SIZE) return 0;
  if (load<u32>(lock, LOCK_BASE) != load<u32>(current, TASK_BASE)) return 0; // frames were left above it
  if (data_on_top(current, index)) return 0; // during his handler nobody else puts anything there
  return data_reserve(current, index, <u32>(bytes + WORD_SIZE - 1) / WORD_SIZE);
}

/// The DATA word behind what user `index` reserved in the frame `n` below the newest, or 0.
export function retrieve_word(index: u32, n: u32): u32 {
  if (!gops_registered(index)) return 0;
  let top = load<u32>(current, TASK_TOP);
  let base = load<u32>(current, TASK_BASE);
  while (base && n--) {
    top = frame_start(current, base);
    base = frame_below(current, base);
  }
  return base ? data_find(top, index) : 0;
}

/// Address of the data that user `index` reserved in the newest frame, or 0.
export function retrieve(index: u32): u32 {
  return retrieve_parent(index, 0);
}

/// Bytes of that data, rounded up to words; 0 = none.
export function retrieve_size(index: u32): u32 {
  return retrieve_parent_size(index, 0);
}

/// The same in the frame `n` below the newest, whoever caused that frame.
export function retrieve_parent(index: u32, n: u32): u32 {
  const at = retrieve_word(index, n);
  return at ? at - data_size(at) : 0;
}

export function retrieve_parent_size(index: u32, n: u32): u32 {
  const at = retrieve_word(index, n);
  return at ? data_size(at) : 0;
}

/// Address of the word that user `index` has on the current task, zeroed when he registered; 0: no such user.
export function task_variable(index: u32): u32 {
  return gops_registered(index) ? task_variable_address(current, index) : 0;
}

// ---- switches

/// Selects the clock, CLOCK_COUNTER or CLOCK_MONO, and clears all ring buffers, since times of two clocks do not
/// compare. 0; -EINVAL: no such clock; -EBUSY: frames are in flight that hold times of the old one.
export function clock_set(clock: u32): i32 {
  if (clock > <u32>CLOCK_MONO) return -EINVAL;
  if (clock == load<u32>(0, ABI_CLOCK)) return 0;
  for (let task = load<u32>(0, ABI_TASKS); task; task = load<u32>(task, TASK_NEXT)) {
    if (load<u32>(task, TASK_BASE) | load<u32>(task, TASK_RECURSION)) return -EBUSY;
  }
  sync();
  ring_clear_all();
  task_account(0);
  store<u32>(0, clock, ABI_CLOCK);
  return 0;
}

/// The time now, in units of the selected clock: the number of the last event, or nanoseconds.
export function clock_now(): f64 {
  sync();
  return <f64>clock_read();
}

/// Kill switch (spec/fgraph.md §8), for good: every push is refused from now on; frames in flight end as usual.
export function kill(): void {
  sync();
  store<u32>(0, 1, ABI_DEAD);
}

/// The global switch (spec/fgraph.md §1.1, §1.4): while it is off no client is told of an entry; frames in flight end as
/// usual, and clients come and go. 0; -EBUSY: some ops are not to be switched off.
export function ftrace_enable(on: u32): i32 {
  begin();
  if (!on && ops_permanent()) return -EBUSY;
  store<u32>(0, on ? 0 : 1, ABI_DISABLED);
  const end = site_address(load<u32>(0, ABI_SITE_COUNT));
  for (let record = site_address(0); record < end; record += SITE_SIZE) site_describe(record);
  return 0;
}

/// 0 keeps every event on the general path; otherwise direct mode is allowed, as it is at the start.
export function direct_set(on: u32): void {
  sync();
  store<u32>(0, on ? 0 : 1, ABI_LOOPED);
}
