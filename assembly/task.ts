// Tasks: whatever owns a stack. All that an activation changes is in the task block and on the task's shadow stack; the
// pointer to the current task is the engine's only global.
//
// Invariant: only the current task is ever in direct mode (direct.ts), since direct mode keeps the common event
// counter.

import { clock_read } from './clock';
import { direct_sync } from './direct';
import {
  ABI_SERIAL, ABI_SLEEP_USERS, ABI_TASKS, CONTEXT_NORMAL, EINVAL, SHADOW_STACK_NONE, SHADOW_STACK_SLACK,
  SHADOW_STACK_WORDS, SHADOW_STACK_WORDS_MAX, SHADOW_STACK_WORDS_MIN, TASK_CONTEXT, TASK_DEPTH, TASK_DIRECT, TASK_ID,
  TASK_IGNORED, TASK_LIMIT, TASK_NEXT, TASK_PAUSE, TASK_SET, TASK_SHORT, TASK_SIZE, TASK_SLEEP, TASK_STACK, TASK_STAMP,
  TASK_TOP, TASK_WORDS, WORD_SHIFT,
} from './layout';
import { ABI_FPROBE_GRAPH } from './fprobe/layout';
import { region_alloc, region_free } from './region';

export let current: u32 = 0;

/// Inlined where each event on the general path takes it.
export class DirectMode {
  /// Leaves direct mode, so that every word in memory says what layout.ts says it does. It is entered again by itself.
  @inline static leave(): void {
    store<u32>(current, 0, TASK_SHORT);
    if (load<u32>(current, TASK_DIRECT) | load<u32>(current, TASK_SET)) direct_sync(current);
  }
}

/// The same, called.
export function sync(): void {
  DirectMode.leave();
}

const ROOM_FRAMES: u32 = 128;

/// What an export begins with that changes several places in a row: traps unless there is stack for whatever it calls,
/// and leaves direct mode. The engine that runs us may find at any call that its stack is full, and traps there; a list
/// would stay half changed. A frame takes 40 bytes or more, so these are 5 KiB at least; a quarter of it is enough.
/// Only at the beginning: called by a function that has changed something, it would trap where it must not.
export function begin(): void {
  descend(ROOM_FRAMES);
  sync();
}

function descend(frames: u32): void {
  if (frames) descend(frames - 1);
}

export function task_exists(task: u32): bool {
  let at = load<u32>(0, ABI_TASKS);
  while (at && at != task) at = load<u32>(at, TASK_NEXT);
  return at != 0;
}

/// A task with a shadow stack of `words` words of 8 bytes, 64 to 2^24; 0 = 512; SHADOW_STACK_NONE: without one. Task
/// variables are 0, and nothing is shared with any other task (spec/fgraph.md §7). Returns its address, or 0: bad size,
/// or no memory.
export function task_create(words: u32): u32 {
  begin();
  return make(words);
}

/// A number for a lock holder or a task. They are odd, and begin anew after 2^31 of them: none is 0, which stands for a holder who
/// was disturbed and for a lock that is free.
export function serial_next(): u32 {
  const serial = load<u32>(0, ABI_SERIAL) + 2;
  store<u32>(0, serial, ABI_SERIAL);
  return serial;
}

function make(words: u32): u32 {
  if (!words) words = SHADOW_STACK_WORDS;
  if (words == <u32>SHADOW_STACK_NONE) words = SHADOW_STACK_SLACK; // no room for a frame, but for the task variables
  else if (words < <u32>SHADOW_STACK_WORDS_MIN || words > <u32>SHADOW_STACK_WORDS_MAX) return 0;
  const task = region_alloc(TASK_SIZE);
  if (!task) return 0;
  const stack = region_alloc(words << WORD_SHIFT);
  if (!stack) {
    region_free(task, TASK_SIZE);
    return 0;
  }
  const serial = serial_next();
  store<u32>(task, stack, TASK_TOP);
  store<u32>(task, stack + (words - SHADOW_STACK_SLACK << WORD_SHIFT), TASK_LIMIT);
  store<i32>(task, -1, TASK_DEPTH);
  store<u32>(task, CONTEXT_NORMAL, TASK_CONTEXT);
  store<u32>(task, stack, TASK_STACK);
  store<u32>(task, words, TASK_WORDS);
  store<u32>(task, serial, TASK_ID);
  store<u32>(task, load<u32>(0, ABI_TASKS), TASK_NEXT);
  store<u32>(0, task, ABI_TASKS);
  return task;
}

/// Takes a task out of the list and frees it. Whoever calls this has emptied its stack.
export function task_release(task: u32): void {
  let link: u32 = ABI_TASKS;
  while (load<u32>(link) != task) link = load<u32>(link) + TASK_NEXT;
  store<u32>(link, load<u32>(task, TASK_NEXT));
  region_free(load<u32>(task, TASK_STACK), load<u32>(task, TASK_WORDS) << WORD_SHIFT);
  region_free(task, TASK_SIZE);
}

/// The current task. The engine starts with one of 512 words.
export function task_current(): u32 {
  return current;
}

/// Makes `task` the current one. Returns the one before, or 0 when `task` is none.
export function task_switch(task: u32): u32 {
  sync();
  const accounts = load<u32>(0, ABI_SLEEP_USERS);
  const now = accounts ? clock_read() : 0; // first: it may run anything
  if (!task_exists(task)) return 0;
  const previous = current;
  current = task;
  if (accounts && task != previous) {
    store<u64>(previous, now, TASK_STAMP);
    const stamp = load<u64>(task, TASK_STAMP);
    if (stamp) store<u64>(task, load<u64>(task, TASK_SLEEP) + now - stamp, TASK_SLEEP);
    store<u64>(task, 0, TASK_STAMP);
  }
  return previous;
}

/// One more, or one less, who takes time asleep out of durations (spec/fgraph.md §10). 0: another clock.
export function task_account(change: i32): void {
  const count = load<u32>(0, ABI_SLEEP_USERS) + change;
  store<u32>(0, count, ABI_SLEEP_USERS);
  if (count && change) return;
  // A task that is resumed while nobody asks keeps its stamp, which would count the time it ran as sleep later.
  for (let task = load<u32>(0, ABI_TASKS); task; task = load<u32>(task, TASK_NEXT)) store<u64>(task, 0, TASK_STAMP);
}

/// Says in which context the current task runs from now on, CONTEXT_NORMAL to CONTEXT_NMI (spec/fgraph.md §9). Returns
/// the one before, for the end of the interrupt, or -EINVAL.
export function task_context(context: u32): i32 {
  if (context > <u32>CONTEXT_NORMAL) return -EINVAL;
  sync();
  const before = load<i32>(current, TASK_CONTEXT);
  store<u32>(current, context, TASK_CONTEXT);
  return before;
}

/// Raises (`on`) or lowers the pause counter of `task` (spec/fgraph.md §8): entries are refused while it is not 0,
/// frames return normally. Returns the counter, or -EINVAL: no such task, or lowered too often.
export function task_pause(task: u32, on: u32): i32 {
  if (!task_exists(task)) return -EINVAL;
  const count = load<i32>(task, TASK_PAUSE) + (on ? 1 : -1);
  if (count < 0) return -EINVAL;
  sync();
  store<i32>(task, count, TASK_PAUSE);
  return count;
}

/// Says who passes `task` over, as pid filters do (spec/fgraph.md §3): bit k stands for function-graph user k, until the
/// index has another owner, bit OPS_PIDS_SHIFT + k for the plain ops that honour pid filter k. Entries alone are passed
/// over: frames return as they were entered; and probes pass nobody over. 0 or -EINVAL.
export function task_ignore(task: u32, mask: u32): i32 {
  if (!task_exists(task)) return -EINVAL;
  sync();
  store<u32>(task, mask & ~load<u32>(0, ABI_FPROBE_GRAPH), TASK_IGNORED);
  return 0;
}

/// Starts the engine: the first task.
export function task_start(): void {
  store<i32>(0, -1, ABI_SERIAL);
  current = make(0);
}
