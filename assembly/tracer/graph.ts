// The graph tracer, GOPS_GRAPH: every entry and every exit becomes a record in the task's ring buffer (spec/fgraph.md
// §11, without the graph filters). Its datum is one word, the call time; its task variable is the ring buffer of the
// task.

import { graph_ring } from '../gops';
import { RING_TIME } from '../layout';
import { ring_entry, ring_return, ring_unwound } from '../ring-buffer';
import { data_newest, data_reserve } from '../shadow-stack';

export const GRAPH_WORDS = 1;

/// Accepts the activation if it could be recorded: a ring buffer, room for the datum, buffer on and not full.
export function graph_entry(task: u32, index: u32, site: u32, base: u32, time: u64, depth: i32): bool {
  const ring = graph_ring(task, index);
  if (!ring) return false;
  const data = data_reserve(task, index, GRAPH_WORDS);
  if (!data) return false;
  if (!ring_entry(ring, site, time, depth, base)) return false;
  store<u64>(data, load<u64>(ring, RING_TIME)); // never before the event in front of it
  return true;
}

export function graph_return(task: u32, index: u32, site: u32, base: u32, time: u64, depth: i32): void {
  const ring = graph_ring(task, index);
  const data = data_newest(task, index);
  if (ring && data) ring_return(ring, site, time, depth, load<u64>(data), base);
}

export function graph_unwound(task: u32, index: u32, site: u32, base: u32, time: u64, depth: i32): void {
  const ring = graph_ring(task, index);
  const data = data_newest(task, index);
  if (ring && data) ring_unwound(ring, site, time, depth, load<u64>(data), base);
}
