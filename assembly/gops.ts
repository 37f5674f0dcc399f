// The users of the function graph, gops in the kernel: an array of 16, and who gets which index (spec/fgraph.md §2,
// §3).
//
// Indices are handed out in the order in which they were freed, so that a frame in flight rarely meets a new owner of a
// bit it carries. Rarely is not never: unregistering also goes through all shadow stacks and takes the bit, and the
// data, from every frame. What a user accepted is told to that user or to nobody.
//
//   gops k    | kind | entry | return | stats | rows | generation | options | 0 | threshold u64 | filter | notrace | serial |
//             at ABI_GOPS + k * 64

import { filter_free, filter_start } from './filter';
import {
  ABI_CALLING_MASK, ABI_DEAD, ABI_GOPS, ABI_GOPS_MASK, ABI_GOPS_SERIAL, ABI_LRU, ABI_LRU_LAST, ABI_LRU_NEXT,
  ABI_SITE_CAPACITY, ABI_TASKS, ABI_TIMED_MASK, EBUSY, EINVAL, ENODEV, ENOMEM, ENOSPC, FGRAPH_ARRAY_SIZE, GOPS_ENTRY,
  GOPS_FILTER, GOPS_FPROBE, GOPS_FRAME, GOPS_GENERATION, GOPS_GRAPH, GOPS_HOST, GOPS_KIND, GOPS_OPTIONS, GOPS_PROFILE,
  GOPS_RETURN, GOPS_SERIAL, GOPS_SHIFT, GOPS_SIZE, GOPS_STATS, GOPS_STATS_ROWS, GOPS_STUB, GOPS_WASM, GRAPH_RING,
  GRAPH_SKIP_SLEEP, TASK_BASE, TASK_IGNORED, TASK_NEXT, TASK_TOP,
} from './layout';
import { RING_TASK, STAT_SHIFT } from './ring-layout';
import { manager_update } from './manager';
import { region_alloc, region_free } from './region';
import { ring_attach, ring_exists } from './ring-buffer';
import { frame_below, frame_forget, frame_start, task_variable_address } from './shadow-stack';
import { begin, current, sync, task_account, task_exists } from './task';

const INDEX_NONE = -1;

export function gops_address(index: u32): u32 {
  return ABI_GOPS + (index << GOPS_SHIFT);
}

export function gops_kind(index: u32): u32 {
  return load<u32>(gops_address(index), GOPS_KIND);
}

export function gops_generation(index: u32): u32 {
  return load<u32>(gops_address(index), GOPS_GENERATION);
}

/// Whether `index` belongs to a user. Indices come from outside and may be anything.
export function gops_registered(index: u32): bool {
  return index < <u32>FGRAPH_ARRAY_SIZE && <bool>(load<u32>(0, ABI_GOPS_MASK) >> index & 1);
}

// ---- the index ring

export function gops_start(): void {
  for (let i: u32 = 0; i < <u32>FGRAPH_ARRAY_SIZE; i++) store<i32>(ABI_LRU + (i << 2), i);
}

function allocIndex(): i32 {
  const next = load<u32>(0, ABI_LRU_NEXT);
  const index = load<i32>(ABI_LRU + (next << 2));
  if (index == INDEX_NONE) return INDEX_NONE;
  store<i32>(ABI_LRU + (next << 2), INDEX_NONE);
  store<u32>(0, (next + 1) % FGRAPH_ARRAY_SIZE, ABI_LRU_NEXT);
  store<u32>(0, load<u32>(0, ABI_GOPS_MASK) | 1 << index, ABI_GOPS_MASK);
  return index;
}

function releaseIndex(index: i32): void {
  const last = load<u32>(0, ABI_LRU_LAST);
  assert(load<i32>(ABI_LRU + (last << 2)) == INDEX_NONE);
  store<i32>(ABI_LRU + (last << 2), index);
  store<u32>(0, (last + 1) % FGRAPH_ARRAY_SIZE, ABI_LRU_LAST);
  store<u32>(0, load<u32>(0, ABI_GOPS_MASK) & ~(1 << index), ABI_GOPS_MASK);
}

// ---- registration

/// Registers a function-graph user, who wants no site until he has a filter (`filter_set`, `site_want`).
///
/// | kind | entry, ret | aux |
/// | --- | --- | --- |
/// | GOPS_GRAPH | 0 | ring buffer of the current task, or 0: see `graph_set_ring` |
/// | GOPS_PROFILE, GOPS_FRAME | 0 | 0 |
/// | GOPS_WASM | indices in the exported table, 0 = none | 0 |
/// | GOPS_HOST | ids that the import `call` understands, 0 = none | 0 |
///
/// Returns the user's index, 0 to 15; -EINVAL: bad kind, no handler at all, handlers or an aux where there is no use
/// for them, no such ring buffer; -EBUSY: the ring buffer is taken; -ENOSPC: 16 users already; -ENOMEM; -ENODEV: the
/// engine is dead.
export function fgraph_register(kind: u32, entry: u32, ret: u32, aux: u32): i32 {
  begin();
  if (load<u32>(0, ABI_DEAD)) return -ENODEV;
  if (kind == GOPS_STUB || kind == GOPS_FPROBE || kind > <u32>GOPS_FRAME) return -EINVAL;
  return gops_add(kind, entry, ret, aux);
}

/// The same for any kind.
export function gops_add(kind: u32, entry: u32, ret: u32, aux: u32): i32 {
  const calls = kind == GOPS_WASM || kind == GOPS_HOST || kind == GOPS_FPROBE;
  if (calls != <bool>(entry | ret)) return -EINVAL;
  if (aux) {
    if (kind != GOPS_GRAPH || !ring_exists(aux)) return -EINVAL;
    if (load<u32>(aux, RING_TASK)) return -EBUSY;
  }
  sync();
  const index = allocIndex();
  if (index == INDEX_NONE) return -ENOSPC;
  const gops = gops_address(index);
  if (kind == GOPS_PROFILE && !resizeStats(gops, load<u32>(0, ABI_SITE_CAPACITY))) {
    releaseIndex(index);
    return -ENOMEM;
  }
  for (let task = load<u32>(0, ABI_TASKS); task; task = load<u32>(task, TASK_NEXT)) {
    store<u64>(task_variable_address(task, index), 0);
    store<u32>(task, load<u32>(task, TASK_IGNORED) & ~(1 << index), TASK_IGNORED);
  }
  if (aux) attachRing(current, index, aux);
  const serial = load<u32>(0, ABI_GOPS_SERIAL) + 1;
  store<u32>(0, serial, ABI_GOPS_SERIAL);
  store<u32>(gops, serial, GOPS_SERIAL);
  filter_start(gops + GOPS_FILTER);
  store<u32>(gops, entry, GOPS_ENTRY);
  store<u32>(gops, ret, GOPS_RETURN);
  store<u32>(gops, kind, GOPS_KIND);
  if (kind == GOPS_FRAME) return index;
  const mask: u32 = calls ? ABI_CALLING_MASK : ABI_TIMED_MASK;
  store<u32>(mask, load<u32>(mask) | 1 << index);
  return index;
}

/// Unregisters user `index`, at once, also from inside a handler, his own included: no handler of his is called any
/// more, no frame in flight knows him. His ring buffers stay, readable and free for another user; his statistics go. 0
/// or -EINVAL.
export function fgraph_unregister(index: u32): i32 {
  begin();
  if (!gops_registered(index) || gops_kind(index) == GOPS_FPROBE) return -EINVAL;
  gops_remove(index);
  return 0;
}

/// The same for a user of any kind.
export function gops_remove(index: u32): void {
  sync();
  const gops = gops_address(index);
  frames_forget(index);
  for (let task = load<u32>(0, ABI_TASKS); task; task = load<u32>(task, TASK_NEXT)) {
    if (gops_kind(index) == GOPS_GRAPH) detachRing(task, index);
  }
  const keep = ~(1 << index);
  store<u32>(0, load<u32>(0, ABI_TIMED_MASK) & keep, ABI_TIMED_MASK);
  store<u32>(0, load<u32>(0, ABI_CALLING_MASK) & keep, ABI_CALLING_MASK);
  const rows = load<u32>(gops, GOPS_STATS_ROWS);
  if (rows) region_free(load<u32>(gops, GOPS_STATS), rows << STAT_SHIFT);
  if (load<u32>(gops, GOPS_OPTIONS) & GRAPH_SKIP_SLEEP) task_account(-1);
  filter_free(gops + GOPS_FILTER);
  const generation = gops_generation(index) + 1;
  memory.fill(gops, 0, GOPS_SIZE); // a stub
  store<u32>(gops, generation, GOPS_GENERATION);
  releaseIndex(index);
  manager_update();
}

/// Makes every frame in flight forget user `index`.
export function frames_forget(index: u32): void {
  for (let task = load<u32>(0, ABI_TASKS); task; task = load<u32>(task, TASK_NEXT)) {
    let top = load<u32>(task, TASK_TOP);
    for (let base = load<u32>(task, TASK_BASE); base; base = frame_below(task, base)) {
      frame_forget(base, top, index);
      top = frame_start(task, base);
    }
  }
}

// ---- what the built-in users own: ring buffers per task, in the task variable; a table of statistics

/// The ring buffer that graph user `index` has on `task`, or 0.
export function graph_ring(task: u32, index: u32): u32 {
  return load<u32>(task_variable_address(task, index), GRAPH_RING);
}

function attachRing(task: u32, index: u32, ring: u32): void {
  store<u32>(task_variable_address(task, index), ring, GRAPH_RING);
  ring_attach(ring, task);
}

function detachRing(task: u32, index: u32): void {
  const ring = graph_ring(task, index);
  if (ring) ring_attach(ring, 0);
  store<u32>(task_variable_address(task, index), 0, GRAPH_RING);
}

/// Makes `ring` the buffer that graph user `index` records into when `task` runs, in place of any before; 0 = none: the
/// user then refuses every entry on that task. 0; -EINVAL: no such user, task or buffer; -EBUSY: the buffer is taken.
export function graph_set_ring(index: u32, task: u32, ring: u32): i32 {
  if (!gops_registered(index) || gops_kind(index) != GOPS_GRAPH || !task_exists(task)) return -EINVAL;
  if (ring) {
    if (!ring_exists(ring)) return -EINVAL;
    if (load<u32>(ring, RING_TASK)) return -EBUSY;
  }
  sync();
  detachRing(task, index);
  if (ring) attachRing(task, index, ring);
  return 0;
}

/// Takes all ring buffers from a task that goes away.
export function gops_leave_task(task: u32): void {
  for (let index: u32 = 0; index < <u32>FGRAPH_ARRAY_SIZE; index++) {
    if (gops_kind(index) == GOPS_GRAPH) detachRing(task, index);
  }
}

function resizeStats(gops: u32, rows: u32): bool {
  const had = load<u32>(gops, GOPS_STATS_ROWS);
  if (rows <= had) return true;
  const table = region_alloc(rows << STAT_SHIFT);
  if (!table) return false;
  if (had) {
    const old = load<u32>(gops, GOPS_STATS);
    memory.copy(table, old, had << STAT_SHIFT);
    region_free(old, had << STAT_SHIFT);
  }
  store<u32>(gops, table, GOPS_STATS);
  store<u32>(gops, rows, GOPS_STATS_ROWS);
  return true;
}

/// Makes every table of statistics at least `rows` rows long. False: no memory, nothing is lost.
export function stats_resize(rows: u32): bool {
  for (let index: u32 = 0; index < <u32>FGRAPH_ARRAY_SIZE; index++) {
    if (gops_kind(index) == GOPS_PROFILE && !resizeStats(gops_address(index), rows)) return false;
  }
  return true;
}

/// Zeroes the statistics of user `index`. 0, or -EINVAL: no such user, or he keeps none.
export function stats_clear(index: u32): i32 {
  if (!gops_registered(index) || gops_kind(index) != GOPS_PROFILE) return -EINVAL;
  const gops = gops_address(index);
  const rows = load<u32>(gops, GOPS_STATS_ROWS);
  if (rows) memory.fill(load<u32>(gops, GOPS_STATS), 0, rows << STAT_SHIFT);
  return 0;
}
