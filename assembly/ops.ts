// Plain ops, ftrace_ops in the kernel: clients that want to know when a function is entered, and nothing else
// (spec/fgraph.md §1). Any number of them; each site has a list of those that are attached to it, so a site of which
// nobody wants to know pays nothing, and another one does not search.
//
//   ops table   | kind | handler | flags | serial | generation | sites | next free | 0 |     at ABI_OPS + slot * 32
//   site s      SITE_OPS -> | count | bytes | slot | slot | ...                 newest registration first
//
// A handle is slot and generation in one word. The generation changes when the ops goes, so a handle that was kept is
// noticed; a slot whose generations are used up is not used again.

import { filter_free, filter_match, filter_start } from './filter';
import {
  ABI_CALLING_MASK, ABI_DEAD, ABI_DISABLED, ABI_OPS, ABI_OPS_CALLING, ABI_OPS_CAPACITY, ABI_OPS_FREE, ABI_OPS_SERIAL,
  ABI_SITE_COUNT, EBUSY, EINVAL, ENODEV, ENOMEM, ENOSPC, FUNC_ARGUMENTS, FUNC_MASK, LIST_COUNT, LIST_SIZE, LIST_SLOTS,
  OPS_FILTER, OPS_FLAGS, OPS_FL_DIRECT, OPS_FL_MASK, OPS_FL_PERMANENT, OPS_FPROBE, OPS_FUNCTION, OPS_GENERATION,
  OPS_GENERATION_MAX, OPS_HANDLER, OPS_HOST, OPS_KIND, OPS_NEXT, OPS_NONE, OPS_SERIAL, OPS_SHIFT, OPS_SITES,
  OPS_SLOT_BITS, OPS_SLOT_MASK, SITE_FLAGS, SITE_FL_DIRECT, SITE_HAS_OPS, SITE_OPS, SITE_SIZE, SITE_USERS,
} from './layout';
import { RING_ALL_TASKS, RING_TASK } from './ring-layout';
import { region_alloc, region_free } from './region';
import { ring_attach, ring_exists } from './ring-buffer';
import { site_address, site_describe, site_exists } from './site';
import { begin, sync } from './task';

const OPS_MIN: u32 = 16;
const LIST_MIN: u32 = 16;

export function ops_address(slot: u32): u32 {
  return load<u32>(0, ABI_OPS) + (slot << OPS_SHIFT);
}

export function ops_is_direct(slot: u32): bool {
  return <bool>(load<u32>(ops_address(slot), OPS_FLAGS) & OPS_FL_DIRECT);
}

export function ops_handle(slot: u32): u32 {
  return load<u32>(ops_address(slot), OPS_GENERATION) << OPS_SLOT_BITS | slot;
}

/// The record of `handle`, or 0: stale, none at all, or not for those who come from outside.
export function ops_of(handle: u32): u32 {
  const slot = handle & OPS_SLOT_MASK;
  if (slot >= load<u32>(0, ABI_OPS_CAPACITY) || ops_handle(slot) != handle) return 0;
  const kind = load<u32>(ops_address(slot), OPS_KIND);
  return kind == OPS_NONE || kind == OPS_FPROBE ? 0 : ops_address(slot);
}

// ---- slots

/// Makes room for as many ops again. 0, -ENOSPC or -ENOMEM.
function grow(): i32 {
  const had = load<u32>(0, ABI_OPS_CAPACITY);
  const capacity = had ? had << 1 : OPS_MIN;
  if (capacity > <u32>OPS_SLOT_MASK + 1) return -ENOSPC;
  const table = region_alloc(capacity << OPS_SHIFT);
  if (!table) return -ENOMEM;
  if (had) {
    memory.copy(table, load<u32>(0, ABI_OPS), had << OPS_SHIFT);
    region_free(load<u32>(0, ABI_OPS), had << OPS_SHIFT);
  }
  store<u32>(0, table, ABI_OPS);
  store<u32>(0, capacity, ABI_OPS_CAPACITY);
  for (let slot = capacity; slot-- > had; ) {
    store<u32>(ops_address(slot), 1, OPS_GENERATION);
    release(slot);
  }
  return 0;
}

function release(slot: u32): void {
  store<u32>(ops_address(slot), load<u32>(0, ABI_OPS_FREE), OPS_NEXT);
  store<u32>(0, slot + 1, ABI_OPS_FREE);
}

/// One more, or one less, who sees arguments.
function countCalling(change: i32): void {
  const count = load<u32>(0, ABI_OPS_CALLING) + change;
  store<u32>(0, count, ABI_OPS_CALLING);
  const mask = load<u32>(0, ABI_CALLING_MASK);
  store<u32>(0, count ? mask | SITE_HAS_OPS : mask & ~SITE_HAS_OPS, ABI_CALLING_MASK);
}

// ---- registration

/// Registers a client of entries, attached to no site until it has a filter (`filter_set`, `site_want`).
///
/// | kind | handler |
/// | --- | --- |
/// | OPS_FUNCTION | ring buffer: the function tracer records there, for all tasks |
/// | OPS_WASM | index in the exported table |
/// | OPS_HOST | id that the import `call` understands |
///
/// `flags` are OPS_FL_*, and of OPS_FUNCTION FUNC_*: none, FUNC_ARGUMENTS, or any of the other two. Returns a handle,
/// above 0; -EINVAL: bad kind, handler or flags; -EBUSY: the ring buffer is taken, or OPS_FL_PERMANENT while everything
/// is switched off; -ENOSPC: 4096 ops; -ENOMEM; -ENODEV: the engine is dead.
export function ops_register(kind: u32, handler: u32, flags: u32): i32 {
  if (load<u32>(0, ABI_DEAD)) return -ENODEV;
  if (kind == OPS_NONE || kind > <u32>OPS_HOST || !handler || flags & ~OPS_FL_MASK) return -EINVAL;
  if ((flags & FUNC_MASK) > <u32>(kind == OPS_FUNCTION ? FUNC_ARGUMENTS : 0)) return -EINVAL;
  if (flags & OPS_FL_PERMANENT && load<u32>(0, ABI_DISABLED)) return -EBUSY;
  if (kind == OPS_FUNCTION) {
    if (!ring_exists(handler)) return -EINVAL;
    if (load<u32>(handler, RING_TASK)) return -EBUSY;
  }
  return ops_add(kind, handler, flags);
}

/// The same for any kind, unchecked.
export function ops_add(kind: u32, handler: u32, flags: u32): i32 {
  if (!load<u32>(0, ABI_OPS_FREE)) {
    const error = grow();
    if (error) return error;
  }
  sync();
  const slot = load<u32>(0, ABI_OPS_FREE) - 1;
  const ops = ops_address(slot);
  const serial = load<u32>(0, ABI_OPS_SERIAL) + 1;
  store<u32>(0, load<u32>(ops, OPS_NEXT), ABI_OPS_FREE);
  store<u32>(0, serial, ABI_OPS_SERIAL);
  store<u32>(ops, kind, OPS_KIND);
  store<u32>(ops, handler, OPS_HANDLER);
  store<u32>(ops, flags, OPS_FLAGS);
  store<u32>(ops, flags & OPS_FL_DIRECT ? 0 : serial, OPS_SERIAL); // called last
  filter_start(ops + OPS_FILTER);
  if (kind == OPS_FUNCTION) ring_attach(handler, RING_ALL_TASKS);
  if (kind != OPS_FUNCTION || flags & FUNC_ARGUMENTS) countCalling(1);
  return ops_handle(slot);
}

/// Unregisters, at once, also from inside a handler: none of its handlers is called any more. 0, or -EINVAL: stale
/// handle.
export function ops_unregister(handle: u32): i32 {
  begin();
  if (!ops_of(handle)) return -EINVAL;
  ops_remove(handle & OPS_SLOT_MASK);
  return 0;
}

/// The same for ops of any kind.
export function ops_remove(slot: u32): void {
  const ops = ops_address(slot);
  sync();
  const end = site_address(load<u32>(0, ABI_SITE_COUNT));
  for (let record = site_address(0); record < end && load<u32>(ops, OPS_SITES); record += SITE_SIZE) {
    if (load<u32>(record, SITE_USERS) & SITE_HAS_OPS) detach(record, ops, slot);
  }
  const isFunction = load<u32>(ops, OPS_KIND) == OPS_FUNCTION;
  if (isFunction) ring_attach(load<u32>(ops, OPS_HANDLER), 0);
  if (!isFunction || load<u32>(ops, OPS_FLAGS) & FUNC_ARGUMENTS) countCalling(-1);
  store<u32>(ops, OPS_NONE, OPS_KIND);
  filter_free(ops + OPS_FILTER);
  const generation = load<u32>(ops, OPS_GENERATION);
  if (generation < <u32>OPS_GENERATION_MAX) {
    store<u32>(ops, generation + 1, OPS_GENERATION);
    release(slot);
  }
}

/// Whether some ops are not to be switched off.
export function ops_permanent(): bool {
  for (let slot: u32 = 0; slot < load<u32>(0, ABI_OPS_CAPACITY); slot++) {
    const ops = ops_address(slot);
    if (load<u32>(ops, OPS_KIND) && load<u32>(ops, OPS_FLAGS) & OPS_FL_PERMANENT) return true;
  }
  return false;
}

// ---- the lists of the sites

/// Attaches ops to a site that they want, or detaches them from one that they do not. 0, also when it was so before;
/// -EBUSY: the site has another one with OPS_FL_DIRECT; -ENOMEM. After an error all is as it was.
export function ops_follow(slot: u32, site: u32): i32 {
  const record = site_address(site);
  const ops = ops_address(slot);
  if (filter_match(ops + OPS_FILTER, site)) return attach(record, ops, slot);
  detach(record, ops, slot);
  return 0;
}

/// The same for all sites from `first` on. After an error they are attached to some of those that they want, and to all
/// that they were attached to before.
export function ops_filtered(slot: u32, first: u32): i32 {
  const ops = ops_address(slot);
  const count = load<u32>(0, ABI_SITE_COUNT);
  for (let site = first; site < count; site++) {
    const error = filter_match(ops + OPS_FILTER, site) ? attach(site_address(site), ops, slot) : 0;
    if (error) return error;
  }
  for (let site = first; site < count; site++) ops_follow(slot, site);
  return 0;
}

/// Attaches all ops that have no filter to the sites from `first` on, which are new. 0, or -ENOMEM: to none.
export function ops_join(first: u32): i32 {
  for (let slot: u32 = 0; slot < load<u32>(0, ABI_OPS_CAPACITY); slot++) {
    const ops = ops_address(slot);
    const error = load<u32>(ops, OPS_KIND) && !load<u32>(ops, OPS_FILTER) ? ops_filtered(slot, first) : 0;
    if (!error) continue;
    const end = site_address(load<u32>(0, ABI_SITE_COUNT));
    for (let record = site_address(first); record < end; record += SITE_SIZE) {
      ops_leave_site(record);
      memory.fill(record, 0, SITE_SIZE);
    }
    return error;
  }
  return 0;
}

/// Detaches all ops from a site.
export function ops_leave_site(record: u32): void {
  for (let list = load<u32>(record, SITE_OPS); list; list = load<u32>(record, SITE_OPS)) {
    const slot = load<u32>(list, LIST_SLOTS);
    detach(record, ops_address(slot), slot);
  }
}

function attach(record: u32, ops: u32, slot: u32): i32 {
  const serial = load<u32>(ops, OPS_SERIAL);
  let list = load<u32>(record, SITE_OPS);
  const count = load<u32>(list, LIST_COUNT); // the null list is empty
  let k: u32 = 0;
  for (; k < count; k++) {
    const other = load<u32>(list + (k << 2), LIST_SLOTS);
    if (other == slot) return 0;
    if (load<u32>(ops_address(other), OPS_SERIAL) < serial) break;
  }
  if (ops_is_direct(slot) && load<u32>(record, SITE_FLAGS) & SITE_FL_DIRECT) return -EBUSY;
  const size = load<u32>(list, LIST_SIZE);
  if (<u32>LIST_SLOTS + (count + 1 << 2) > size) {
    const larger = size ? size << 1 : LIST_MIN;
    const copy = region_alloc(larger);
    if (!copy) return -ENOMEM;
    if (size) {
      memory.copy(copy, list, size);
      region_free(list, size);
    }
    list = copy;
    store<u32>(list, larger, LIST_SIZE);
    store<u32>(record, list, SITE_OPS);
  }
  const at = list + LIST_SLOTS + (k << 2);
  memory.copy(at + 4, at, count - k << 2);
  store<u32>(at, slot);
  changed(record, ops, list, count + 1);
  return 0;
}

function detach(record: u32, ops: u32, slot: u32): void {
  const list = load<u32>(record, SITE_OPS);
  const count = load<u32>(list, LIST_COUNT);
  for (let k: u32 = 0; k < count; k++) {
    const at = list + LIST_SLOTS + (k << 2);
    if (load<u32>(at) != slot) continue;
    memory.copy(at, at + 4, count - k - 1 << 2);
    changed(record, ops, list, count - 1);
    return;
  }
}

/// The list of a site has `count` slots now, one of them `ops`, or no longer.
function changed(record: u32, ops: u32, list: u32, count: u32): void {
  sync();
  const before = load<u32>(list, LIST_COUNT);
  store<u32>(ops, load<u32>(ops, OPS_SITES) + count - before, OPS_SITES);
  store<u32>(list, count, LIST_COUNT);
  const users = load<u32>(record, SITE_USERS);
  store<u32>(record, count ? users | SITE_HAS_OPS : users & ~SITE_HAS_OPS, SITE_USERS);
  if (!count) {
    region_free(list, load<u32>(list, LIST_SIZE));
    store<u32>(record, 0, SITE_OPS);
  }
  site_describe(record);
}
