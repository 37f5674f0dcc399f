// Sites: a table of records with dense ids. What a filter says about a site is worked out when the filter changes
// (manager.ts) and kept here as one bit per function-graph user, so that an entry tests one word instead of up to 16
// hashes; one more bit says that plain ops are attached (ops.ts).
//
//   site s   | ip u64 | flags u32 | users u32 | ops u32 | node u32 | probe u32 | location of probes u32 |
//            at ABI_SITES + s * 32, while s < ABI_SITE_COUNT
//
// The flags are those of the kernel's record (spec/fgraph.md §1.3), the count in their low bits what `enabled_functions`
// prints: of the function-graph users it knows their manager alone.

import { fprobe_leave_site } from './fprobe/register';
import { stats_resize } from './gops';
import {
  ABI_DISABLED, ABI_SITES, ABI_SITE_CAPACITY, ABI_SITE_COUNT, EINVAL, ENOMEM, LIST_COUNT, LIST_SLOTS, OPS_FLAGS,
  OPS_FL_DIRECT, OPS_FL_REGS_MASK, SITE_FLAGS, SITE_FL_DIRECT, SITE_FL_DIRECT_EN, SITE_FL_DISABLED, SITE_FL_ENABLED,
  SITE_FL_REGS, SITE_FL_REGS_EN, SITE_FL_TOUCHED, SITE_GRAPH_MASK, SITE_IP, SITE_MANAGED, SITE_OPS, SITE_SHIFT,
} from './layout';
import { RECORD_SITE_MAX } from './ring-layout';
import { manager_site } from './manager';
import { ops_address, ops_join, ops_leave_site } from './ops';
import { region_alloc, region_free } from './region';
import { begin } from './task';

/// What no client changes.
const SITE_KEPT: u32 = SITE_FL_TOUCHED | SITE_FL_DISABLED | SITE_GRAPH_MASK | SITE_MANAGED;
const SITES_MIN: u32 = 128;
const SITES_MAX: u32 = 1 << (30 - SITE_SHIFT); // the largest region

export function site_address(site: u32): u32 {
  return load<u32>(0, ABI_SITES) + (site << SITE_SHIFT);
}

export function site_exists(site: u32): bool {
  return site < load<u32>(0, ABI_SITE_COUNT);
}

/// Whether a site, which exists, is still there.
export function site_is_loaded(site: u32): bool {
  return !(load<u32>(site_address(site), SITE_FLAGS) & SITE_FL_DISABLED);
}

/// Adds `count` sites with ip 0, wanted by the clients that have no filter. Returns the id of the first; the others follow
/// it. -EINVAL: no sites, or more than a record can name, -ENOMEM. The table may move.
export function site_add(count: u32): i32 {
  begin(); // direct mode keeps addresses of tables
  const first = load<u32>(0, ABI_SITE_COUNT);
  if (!count || count > <u32>RECORD_SITE_MAX) return -EINVAL;
  if (first + count > SITES_MAX) return -ENOMEM;
  const capacity = load<u32>(0, ABI_SITE_CAPACITY);
  if (first + count > capacity) {
    let larger = capacity ? capacity : SITES_MIN;
    while (larger < first + count) larger <<= 1;
    const table = region_alloc(larger << SITE_SHIFT);
    if (!table) return -ENOMEM;
    if (!stats_resize(larger)) {
      region_free(table, larger << SITE_SHIFT);
      return -ENOMEM;
    }
    const old = load<u32>(0, ABI_SITES);
    if (old) {
      memory.copy(table, old, first << SITE_SHIFT);
      region_free(old, capacity << SITE_SHIFT);
    }
    store<u32>(0, table, ABI_SITES);
    store<u32>(0, larger, ABI_SITE_CAPACITY);
  }
  store<u32>(0, first + count, ABI_SITE_COUNT);
  const error = ops_join(first);
  if (error) {
    store<u32>(0, first, ABI_SITE_COUNT);
    return error;
  }
  for (let site = first; site < first + count; site++) manager_site(site);
  return <i32>first;
}

/// The `count` sites from `first` on go away, as those of a module that is unloaded: no client watches them any more, and
/// none will, whatever its filter. Returns how many probes lost a site.
export function site_unload(first: u32, count: u32): u32 {
  begin();
  let removed: u32 = 0;
  for (let site = first; site_exists(site) && site - first < count; site++) {
    removed += fprobe_leave_site(site);
    const record = site_address(site);
    store<u32>(record, load<u32>(record, SITE_FLAGS) | SITE_FL_DISABLED, SITE_FLAGS);
    ops_leave_site(record);
    manager_site(site);
  }
  return removed;
}

/// Sets the ip of a site from its two halves. 0 or -EINVAL.
export function site_set_ip(site: u32, low: u32, high: u32): i32 {
  if (!site_exists(site)) return -EINVAL;
  store<u64>(site_address(site), <u64>high << 32 | <u64>low, SITE_IP);
  return 0;
}

/// Brings the flags and the count of a site up to date with who is attached, and what it does with whether everything is
/// switched off.
export function site_describe(record: u32): void {
  const list = load<u32>(record, SITE_OPS);
  const ops = load<u32>(list, LIST_COUNT); // the null list is empty
  let flags = load<u32>(record, SITE_FLAGS) & SITE_KEPT;
  const count = ops + (flags & SITE_MANAGED ? 1 : 0);
  flags |= count;
  if (count) flags |= SITE_FL_TOUCHED;
  for (let k: u32 = 0; k < ops; k++) {
    const wants = load<u32>(ops_address(load<u32>(list + (k << 2), LIST_SLOTS)), OPS_FLAGS);
    if (wants & OPS_FL_REGS_MASK) flags |= SITE_FL_REGS;
    if (wants & OPS_FL_DIRECT) flags |= SITE_FL_DIRECT;
  }
  if (count && !load<u32>(0, ABI_DISABLED)) {
    flags |= SITE_FL_ENABLED;
    if (flags & SITE_FL_REGS) flags |= SITE_FL_REGS_EN;
    if (flags & SITE_FL_DIRECT) flags |= SITE_FL_DIRECT_EN;
  }
  store<u32>(record, flags, SITE_FLAGS);
}
