// The graph tracer, GOPS_GRAPH: every entry and every exit becomes a record in the task's ring buffer (spec/fgraph.md
// §11), unless a rule says otherwise (graph-rules.ts). Its task variable is the ring buffer of the task, and where the
// task is as the rules see it. Its datum is the call time, and where time asleep does not count, how long the task had
// slept by then.

import { gops_address, graph_ring } from '../gops';
import {
  GOPS_OPTIONS, GOPS_THRESHOLD, GRAPH_SKIP_SLEEP, GRAPH_UNTRACED, TASK_SLEEP, TASK_TOP, WORD_SIZE,
} from '../layout';
import { RING_TIME } from '../ring-layout';
import { ring_entry, ring_return, ring_return_alone, ring_unwound } from '../ring-buffer';
import { data_find, data_reserve, data_size } from '../shadow-stack';
import { GRAPH_REFUSED, graph_admit, graph_dismiss, graph_plain, graph_set_state, graph_state } from './graph-rules';

export const GRAPH_WORDS = 1;

/// Accepts the activation if it could be recorded: a ring buffer, room for the datum, buffer on and not full, and if the
/// rules admit it.
export function graph_entry(task: u32, index: u32, site: u32, base: u32, time: u64, depth: i32): bool {
  const ring = graph_ring(task, index);
  if (!ring) return false;
  if (!graph_plain(task, index)) return ruledEntry(task, index, ring, site, base, time, depth);
  const data = data_reserve(task, index, GRAPH_WORDS);
  if (!data || !ring_entry(ring, site, time, depth, base)) return false;
  store<u64>(data, load<u64>(ring, RING_TIME)); // never before the event in front of it
  return true;
}

function ruledEntry(task: u32, index: u32, ring: u32, site: u32, base: u32, time: u64, depth: i32): bool {
  const state = graph_admit(task, index, site, depth);
  if (state == GRAPH_REFUSED) return false;
  if (!(state & GRAPH_UNTRACED)) {
    const gops = gops_address(index);
    const sleeps = load<u32>(gops, GOPS_OPTIONS) & GRAPH_SKIP_SLEEP;
    const data = data_reserve(task, index, sleeps ? 2 * GRAPH_WORDS : GRAPH_WORDS);
    if (!data) return false;
    store<u64>(data, time);
    if (!load<u64>(gops, GOPS_THRESHOLD)) {
      if (!ring_entry(ring, site, time, depth, base)) return false;
      store<u64>(data, load<u64>(ring, RING_TIME));
    }
    if (sleeps) store<u64>(data, load<u64>(task, TASK_SLEEP), WORD_SIZE);
  }
  graph_set_state(task, index, state); // not before it is certain: a refused entry has no exit that would undo it
  return true;
}

/// The activation ends, by a return or otherwise.
export function graph_exit(
  task: u32, index: u32, site: u32, base: u32, time: u64, depth: i32, unwound: bool
): void {
  const ring = graph_ring(task, index);
  if (graph_state(task, index) && graph_dismiss(task, index, depth)) return;
  const at = data_find(load<u32>(task, TASK_TOP), index);
  if (!ring || !at) return;
  const size = data_size(at);
  let call = load<u64>(at - size);
  if (size > <u32>WORD_SIZE) call += load<u64>(task, TASK_SLEEP) - load<u64>(at - WORD_SIZE);
  const threshold = load<u64>(gops_address(index), GOPS_THRESHOLD);
  if (threshold && time - call < threshold) return;
  if (unwound) ring_unwound(ring, site, time, depth, call, base);
  else if (threshold || size > <u32>WORD_SIZE) ring_return_alone(ring, site, time, depth, call, base);
  else ring_return(ring, site, time, depth, call, base);
}
