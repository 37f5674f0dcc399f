// The graph tracer, GOPS_GRAPH: every entry and every exit becomes a record in the task's ring buffer (spec/fgraph.md
// §11), unless a rule says otherwise (graph-rules.ts). Its task variable is the ring buffer of the task, and where the
// task is as the rules see it. Its datum is the call time, and where time asleep does not count, how long the task had
// slept by then.
//
// What a user's options add to his events (GRAPH_NOTES) follows them as notes. Who records arguments or results is among
// those who see them, ABI_CALLING_MASK, so at his events the lock is held and its registers are filled.

import { gops_address, graph_ring } from '../gops';
import {
  FRAME_RET, FRAME_RETP, FREGS_COUNT, FREGS_WORDS, GOPS_OPTIONS, GOPS_THRESHOLD, GRAPH_ARGUMENTS, GRAPH_CALLERS,
  GRAPH_NOTES, GRAPH_RESULTS, GRAPH_SKIP_SLEEP, GRAPH_UNTRACED, TASK_CLOCK, TASK_SLEEP, TASK_TOP, WORD_SIZE,
} from '../layout';
import {
  NOTE_ARGUMENTS, NOTE_ARGUMENTS_MAX, NOTE_CALLER, NOTE_RESULT, RECORD_ENTRY, RECORD_RETURN, RECORD_RETURN_LONG,
  RECORD_SIZE, RECORD_UNWOUND, RING_TIME,
} from '../ring-layout';
import { lock_fregs } from '../recursion';
import { ring_entry, ring_event, ring_note, ring_return } from '../ring-buffer';
import { data_find, data_reserve, data_size, frame_below } from '../shadow-stack';
import { GRAPH_REFUSED, graph_admit, graph_dismiss, graph_plain, graph_set_state, graph_state } from './graph-rules';

export const GRAPH_WORDS = 1;
/// Bytes of the notes of an entry, at most.
const ENTRY_NOTES = (1 + 1 + 1 + NOTE_ARGUMENTS_MAX) * RECORD_SIZE;
const RETURN_NOTES = (1 + 1) * RECORD_SIZE;

/// Accepts the activation if it could be recorded: a ring buffer, room for the datum, buffer on and not full, and if the
/// rules admit it. `lock`: as the handlers of the event have it, 0 = nobody sees arguments.
export function graph_entry(
  task: u32, index: u32, site: u32, base: u32, time: u64, depth: i32, lock: u32
): bool {
  const ring = graph_ring(task, index);
  if (!ring) return false;
  if (!graph_plain(task, index)) return ruledEntry(task, index, ring, site, base, time, depth, lock);
  const data = data_reserve(task, index, GRAPH_WORDS);
  if (!data || !ring_entry(ring, site, time, depth, base)) return false;
  store<u64>(data, load<u64>(ring, RING_TIME)); // never before the event in front of it
  return true;
}

function ruledEntry(
  task: u32, index: u32, ring: u32, site: u32, base: u32, time: u64, depth: i32, lock: u32
): bool {
  const state = graph_admit(task, index, site, depth);
  if (state == GRAPH_REFUSED) return false;
  if (!(state & GRAPH_UNTRACED)) {
    const gops = gops_address(index);
    const options = load<u32>(gops, GOPS_OPTIONS);
    const sleeps = options & GRAPH_SKIP_SLEEP;
    const data = data_reserve(task, index, sleeps ? 2 * GRAPH_WORDS : GRAPH_WORDS);
    if (!data) return false;
    store<u64>(data, time);
    if (!load<u64>(gops, GOPS_THRESHOLD)) {
      const notes: u32 = options & GRAPH_NOTES ? ENTRY_NOTES : 0;
      if (!ring_event(ring, RECORD_ENTRY, site, time, depth, 0, base, notes)) return false;
      store<u64>(data, load<u64>(ring, RING_TIME));
      if (options & GRAPH_CALLERS) ring_note(ring, NOTE_CALLER, 1, returnAddress(task, base));
      if (options & GRAPH_ARGUMENTS) noteArguments(task, ring, lock_fregs(lock));
    }
    if (sleeps) store<u64>(data, load<u64>(task, TASK_SLEEP), WORD_SIZE);
  }
  graph_set_state(task, index, state); // not before it is certain: a refused entry has no exit that would undo it
  return true;
}

/// Where the return address of the frame at `base` is kept. A tail call returns where the function does that made it: it
/// has the same slot, and finds the exit trampoline there.
function returnAddress(task: u32, base: u32): u32 {
  for (let below = frame_below(task, base); below; below = frame_below(task, base)) {
    if (load<u64>(below, FRAME_RETP) != load<u64>(base, FRAME_RETP)) break;
    base = below;
  }
  return base + FRAME_RET;
}

/// Notes the arguments in `fregs`. On a task of a machine they stand behind the address of the record, as many as there are
/// registers for them.
export function noteArguments(task: u32, ring: u32, fregs: u32): void {
  const isMachine: u32 = load<u32>(task, TASK_CLOCK) ? 1 : 0;
  let count: u32 = isMachine ? NOTE_ARGUMENTS_MAX : load<u32>(fregs, FREGS_COUNT);
  if (count > <u32>NOTE_ARGUMENTS_MAX) count = NOTE_ARGUMENTS_MAX;
  ring_note(ring, NOTE_ARGUMENTS, count, fregs + FREGS_WORDS + isMachine * WORD_SIZE);
}

/// The activation ends, by a return or otherwise. `lock`: as the handlers of the event have it, 0 = nobody sees results.
export function graph_exit(
  task: u32, index: u32, site: u32, base: u32, time: u64, depth: i32, unwound: bool, lock: u32
): void {
  const ring = graph_ring(task, index);
  if (graph_state(task, index) && graph_dismiss(task, index, depth)) return;
  const at = data_find(load<u32>(task, TASK_TOP), index);
  if (!ring || !at) return;
  const size = data_size(at);
  let call = load<u64>(at - size);
  if (size > <u32>WORD_SIZE) {
    call += load<u64>(task, TASK_SLEEP) - load<u64>(at - WORD_SIZE);
    if (call > time) call = time; // accepted while its handler had already put the task to sleep
  }
  const threshold = load<u64>(gops_address(index), GOPS_THRESHOLD);
  if (threshold && time - call < threshold) return;
  const fregs = lock_fregs(lock);
  const hasResult = lock && load<u32>(gops_address(index), GOPS_OPTIONS) & GRAPH_RESULTS && load<u32>(fregs, FREGS_COUNT);
  const isAlone = threshold || size > <u32>WORD_SIZE;
  if (!(unwound || isAlone || hasResult)) {
    ring_return(ring, site, time, depth, call, base);
    return;
  }
  const type = unwound ? RECORD_UNWOUND : isAlone ? RECORD_RETURN_LONG : RECORD_RETURN;
  const notes: u32 = hasResult ? RETURN_NOTES : 0;
  if (ring_event(ring, type, site, time, depth + 1, call, base, notes) && hasResult) {
    ring_note(ring, NOTE_RESULT, 1, fregs + FREGS_WORDS + (load<u32>(task, TASK_CLOCK) ? WORD_SIZE : 0));
  }
}
