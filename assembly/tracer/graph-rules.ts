// What the graph tracer leaves out (spec/fgraph.md §11): set_graph_function, set_graph_notrace and max_graph_depth, one
// set for all graph users, and per user what runs in an interrupt, time asleep and tracing_thresh.
//
// Where a task is as a user sees it stands in the upper half of the task variable: inside a function that starts a graph,
// with its depth, or below one that is not traced. Whoever set a bit there accepted that activation, so its exit comes
// and takes the bit away.
//
// Invariant: while any rule or bit is set the user is not in direct mode, which knows of none (`graph_plain`).

import { frames_forget, gops_address, gops_kind, gops_registered } from '../gops';
import {
  ABI_CALLING_MASK, ABI_GRAPH_DEPTH, ABI_GRAPH_FILTER, ABI_GRAPH_NOTRACE, ABI_TASKS, CONTEXT_IRQ, EINVAL, GOPS_GRAPH, GOPS_OPTIONS,
  GOPS_PROFILE, GOPS_THRESHOLD, GRAPH_ARGUMENTS, GRAPH_HAS_THRESHOLD, GRAPH_INSIDE, GRAPH_IRQ, GRAPH_NOTES, GRAPH_RESULTS, GRAPH_SKIP_IRQS, GRAPH_SKIP_SLEEP,
  GRAPH_STATE, GRAPH_STATE_SHIFT, GRAPH_UNTRACED, SITE_FLAGS, SITE_GRAPH_FUNCTION, SITE_GRAPH_MASK, SITE_GRAPH_NOTRACE,
  TASK_CONTEXT, TASK_NEXT,
} from '../layout';
import { task_variable_address } from '../shadow-stack';
import { site_address, site_exists } from '../site';
import { sync, task_account } from '../task';

/// Of `graph_admit`: no.
export const GRAPH_REFUSED: u32 = u32.MAX_VALUE;
const TIME_LIMIT: f64 = 9007199254740992.0;

export function graph_state(task: u32, index: u32): u32 {
  return load<u32>(task_variable_address(task, index), GRAPH_STATE);
}

export function graph_set_state(task: u32, index: u32, state: u32): void {
  store<u32>(task_variable_address(task, index), state, GRAPH_STATE);
}

/// Whether no rule holds for user `index` on `task`.
export function graph_plain(task: u32, index: u32): bool {
  const rules = load<u32>(0, ABI_GRAPH_FILTER) | load<u32>(0, ABI_GRAPH_NOTRACE) | load<u32>(0, ABI_GRAPH_DEPTH);
  return !(rules | load<u32>(gops_address(index), GOPS_OPTIONS) | graph_state(task, index));
}

/// Whether an activation of `site` at `depth` is admitted: the state if it is accepted, or GRAPH_REFUSED. With
/// GRAPH_UNTRACED it is accepted for its exit only.
export function graph_admit(task: u32, index: u32, site: u32, depth: i32): u32 {
  let state = graph_state(task, index);
  if (state & GRAPH_UNTRACED) return GRAPH_REFUSED;
  const flags = load<u32>(site_address(site), SITE_FLAGS);
  if (flags & SITE_GRAPH_NOTRACE) return state | GRAPH_UNTRACED;
  const inIrq = load<u32>(task, TASK_CONTEXT) == CONTEXT_IRQ;
  if (!(state & GRAPH_INSIDE) && load<u32>(0, ABI_GRAPH_FILTER)) {
    if (!(flags & SITE_GRAPH_FUNCTION)) return GRAPH_REFUSED;
    state = <u32>depth << GRAPH_STATE_SHIFT | GRAPH_INSIDE | (inIrq ? GRAPH_IRQ : 0);
  }
  const max = load<i32>(0, ABI_GRAPH_DEPTH);
  if (max && depth >= max) return GRAPH_REFUSED;
  if (inIrq && load<u32>(gops_address(index), GOPS_OPTIONS) & GRAPH_SKIP_IRQS && !(state & GRAPH_IRQ)) {
    return GRAPH_REFUSED;
  }
  return state;
}

/// An accepted activation at `depth` ends: takes away what it set. True: it was accepted for that only.
export function graph_dismiss(task: u32, index: u32, depth: i32): bool {
  const state = graph_state(task, index);
  const ends = state & GRAPH_INSIDE && <i32>(state >> GRAPH_STATE_SHIFT) == depth;
  graph_set_state(task, index, ends ? 0 : state & ~GRAPH_UNTRACED);
  return <bool>(state & GRAPH_UNTRACED);
}

// ---- settings

/// Options of a graph user, GRAPH_SKIP_IRQS, GRAPH_SKIP_SLEEP and GRAPH_NOTES, and tracing_thresh in units of the clock: 0, or
/// returns alone are recorded, of activations that took at least that long. A profile user has GRAPH_SKIP_SLEEP only. He
/// forgets what is in flight when that changes, the other at another threshold. 0 or -EINVAL.
export function graph_options(index: u32, options: u32, threshold: f64): i32 {
  if (!gops_registered(index) || !(threshold >= 0 && threshold < TIME_LIMIT)) return -EINVAL;
  const isGraph = gops_kind(index) == GOPS_GRAPH;
  if (!isGraph && (gops_kind(index) != GOPS_PROFILE || threshold >= 1)) return -EINVAL;
  if (options & ~(GRAPH_SKIP_SLEEP | (isGraph ? GRAPH_SKIP_IRQS | GRAPH_NOTES : 0))) return -EINVAL;
  sync();
  const gops = gops_address(index);
  const before = load<u32>(gops, GOPS_OPTIONS);
  if (isGraph ? load<u64>(gops, GOPS_THRESHOLD) != <u64>threshold : before != options) {
    frames_forget(index);
    for (let task = load<u32>(0, ABI_TASKS); task; task = load<u32>(task, TASK_NEXT)) {
      if (isGraph) graph_set_state(task, index, 0);
      else store<u64>(task_variable_address(task, index), 0);
    }
  }
  const others = load<u32>(0, ABI_CALLING_MASK) & ~(1 << index);
  store<u32>(0, others | (options & (GRAPH_ARGUMENTS | GRAPH_RESULTS) ? 1 << index : 0), ABI_CALLING_MASK);
  if ((before ^ options) & GRAPH_SKIP_SLEEP) task_account(options & GRAPH_SKIP_SLEEP ? 1 : -1);
  store<u64>(gops, <u64>threshold, GOPS_THRESHOLD);
  store<u32>(gops, options | (<u64>threshold ? GRAPH_HAS_THRESHOLD : 0), GOPS_OPTIONS);
  return 0;
}

/// set_graph_function: 0 = every function starts a graph, otherwise only those of `graph_site`, be there any or not.
export function graph_filter(on: u32): void {
  sync();
  store<u32>(0, on ? 1 : 0, ABI_GRAPH_FILTER);
}

/// Whether a site is in set_graph_function, and whether it is in set_graph_notrace. 0 or -EINVAL.
export function graph_site(site: u32, starts: u32, notrace: u32): i32 {
  if (!site_exists(site)) return -EINVAL;
  sync();
  const record = site_address(site);
  const before = load<u32>(record, SITE_FLAGS);
  const flags = (starts ? SITE_GRAPH_FUNCTION : 0) | (notrace ? SITE_GRAPH_NOTRACE : 0);
  store<u32>(record, before & ~SITE_GRAPH_MASK | flags, SITE_FLAGS);
  const change = (notrace ? 1 : 0) - (before & SITE_GRAPH_NOTRACE ? 1 : 0);
  store<u32>(0, load<u32>(0, ABI_GRAPH_NOTRACE) + change, ABI_GRAPH_NOTRACE);
  return 0;
}

/// max_graph_depth: frames at that depth and deeper are left out; 0 = unlimited. 0 or -EINVAL: negative.
export function graph_depth(max: i32): i32 {
  if (max < 0) return -EINVAL;
  sync();
  store<i32>(0, max, ABI_GRAPH_DEPTH);
  return 0;
}
