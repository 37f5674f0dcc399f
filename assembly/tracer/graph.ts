// The graph tracer, GOPS_GRAPH: every entry and every exit becomes a record in the task's ring buffer (spec/fgraph.md §11,
// without the graph filters). Its datum is one word, the call time; its task variable is the ring buffer of the task.

import { graph_ring } from '../gops';
import { RECORD_ENTRY, RING_TIME } from '../layout';
import { ring_event } from '../ring-buffer';
import { data_newest, data_reserve } from '../shadow-stack';

/// Accepts the activation if it could be recorded: a ring buffer, room for the datum, buffer on and not full.
export function graph_entry(task: u32, index: u32, site: u32, base: u32, time: u64, depth: i32): bool {
  const ring = graph_ring(task, index);
  if (!ring) return false;
  const data = data_reserve(task, index, 1);
  if (!data) return false;
  if (!ring_event(ring, RECORD_ENTRY, site, time, depth, 0, base)) return false;
  store<u64>(data, load<u64>(ring, RING_TIME)); // never before the event in front of it
  return true;
}

/// Records the end of an activation: `type` is RECORD_RETURN or RECORD_UNWOUND.
export function graph_exit(task: u32, index: u32, type: u32, site: u32, base: u32, time: u64, depth: i32): void {
  const ring = graph_ring(task, index);
  const data = data_newest(task, index);
  if (ring && data) ring_event(ring, type, site, time, depth + 1, load<u64>(data), base);
}
