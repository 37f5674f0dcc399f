// The function tracer, OPS_FUNCTION, with its options (spec/fgraph.md §13). ftrace.ts records the call; here is what it needs
// room for, and what follows it as notes.
//
//   FUNC_ARGUMENTS     the arguments
//   FUNC_STACK_TRACE   the functions that it was called from, as far as they have a frame
//   FUNC_NO_REPEATS    a call of the same function from the same place by the same task as the one before is only counted.
//                      The next other one says which run it ended, how many repeats there were, and when the last was:
//
//   calls      f <-g    f <-g    f <-g    h <-g
//   records    f <-g                      h <-g REPEATS 2 of f <-g
//
// The run so far stands in the ring buffer, in the words of that note. There is none while RING_RUN_PID is 0: at the
// beginning, and after a call that could not be recorded.

import {
  FRAME_FUNC, FUNC_ARGUMENTS, FUNC_NO_REPEATS, FUNC_STACK_TRACE, OPS_FLAGS, OPS_HANDLER, TASK_BASE, TASK_DEPTH, TASK_ID,
} from '../layout';
import {
  NOTE_ARGUMENTS_MAX, NOTE_REPEATS, NOTE_REPEATS_WORDS, NOTE_STACK, NOTE_STACK_MAX, RECORD_SHIFT, RECORD_SIZE,
  REPEATS_MAX, RING_ON, RING_RUN, RING_RUN_COUNT, RING_RUN_PARENT, RING_RUN_PID, RING_RUN_TIME, RING_WRITE,
} from '../ring-layout';
import { ring_note } from '../ring-buffer';
import { frame_below } from '../shadow-stack';
import { noteArguments } from './graph';

/// Of `function_room`: nothing is to be recorded, the call was counted.
export const FUNCTION_COUNTED: u32 = u32.MAX_VALUE;

function stackDepth(task: u32): u32 {
  const depth = load<i32>(task, TASK_DEPTH) + 1;
  return depth < NOTE_STACK_MAX ? depth : NOTE_STACK_MAX;
}

/// What is called, and by whom: RING_RUN_SITE and RING_RUN_PID.
function runOf(task: u32, site: u32): u64 {
  return <u64>load<u32>(task, TASK_ID) << 32 | <u64>site;
}

/// Bytes of the notes of a call of `site` from `parent` for ops with options, or FUNCTION_COUNTED. 0 only if the buffer is
/// off.
export function function_room(task: u32, ops: u32, site: u32, time: u64, parent: u64): u32 {
  const ring = load<u32>(ops, OPS_HANDLER);
  const options = load<u32>(ops, OPS_FLAGS);
  if (!load<u32>(ring, RING_ON)) return 0;
  let words: u32 = options & FUNC_ARGUMENTS ? 1 + NOTE_ARGUMENTS_MAX : 0;
  if (options & FUNC_STACK_TRACE) words = 1 + stackDepth(task);
  if (options & FUNC_NO_REPEATS) {
    const count = load<u64>(ring, RING_RUN_COUNT);
    const isSame = load<u64>(ring, RING_RUN) == runOf(task, site) && load<u64>(ring, RING_RUN_PARENT) == parent;
    if (isSame && count < <u64>REPEATS_MAX) {
      store<u64>(ring, count + 1, RING_RUN_COUNT);
      store<u64>(ring, time, RING_RUN_TIME);
      return FUNCTION_COUNTED;
    }
    words += 1 + NOTE_REPEATS_WORDS;
  }
  return words << RECORD_SHIFT;
}

/// The call was recorded: adds its notes. `fregs`: the arguments, where FUNC_ARGUMENTS is an option.
export function function_notes(task: u32, ops: u32, site: u32, parent: u64, fregs: u32): void {
  const ring = load<u32>(ops, OPS_HANDLER);
  const options = load<u32>(ops, OPS_FLAGS);
  if (options & FUNC_ARGUMENTS) noteArguments(task, ring, fregs);
  if (options & FUNC_STACK_TRACE) {
    const depth = stackDepth(task);
    const from = load<u32>(ring, RING_WRITE) + RECORD_SIZE;
    let base = load<u32>(task, TASK_BASE);
    for (let at = from; at < from + (depth << RECORD_SHIFT); at += RECORD_SIZE, base = frame_below(task, base)) {
      store<u64>(at, load<u64>(base, FRAME_FUNC));
    }
    ring_note(ring, NOTE_STACK, depth, from);
  }
  if (options & FUNC_NO_REPEATS) {
    if (load<u32>(ring, RING_RUN_PID) && load<u64>(ring, RING_RUN_COUNT)) {
      ring_note(ring, NOTE_REPEATS, NOTE_REPEATS_WORDS, ring + RING_RUN);
    }
    store<u64>(ring, runOf(task, site), RING_RUN);
    store<u64>(ring, parent, RING_RUN_PARENT);
    store<u64>(ring, 0, RING_RUN_COUNT);
  }
}
