// Sites: a table of records with dense ids. What a filter says about a site is worked out when the filter changes and
// kept here as one bit per function-graph user, so that an entry tests one word instead of up to 16 hashes; one more bit
// says that plain ops are attached (ops.ts).
//
//   site s   | ip u64 | flags u32 | users u32 | ops u32 | 0 | location of probes u32 |
//            at ABI_SITES + s * 32, while s < ABI_SITE_COUNT
//
// The flags are those of the kernel's record (spec/fgraph.md §1.3), the count in their low bits what `enabled_functions`
// prints: the function-graph users of a site count as one, since the kernel sees their manager alone.

import { gops_kind, gops_registered, stats_resize } from './gops';
import {
  ABI_GOPS_MASK, ABI_SITES, ABI_SITE_CAPACITY, ABI_SITE_COUNT, EINVAL, ENOMEM, FGRAPH_ARRAY_MASK,
  GOPS_FPROBE, LIST_COUNT, LIST_SLOTS, OPS_FLAGS, OPS_FL_DIRECT, OPS_FL_SAVE_REGS, SITE_FLAGS, SITE_FL_DIRECT,
  SITE_FL_DIRECT_EN, SITE_FL_ENABLED, SITE_FL_REGS, SITE_FL_REGS_EN, SITE_FL_TOUCHED, SITE_GRAPH_MASK, SITE_IP,
  SITE_OPS, SITE_SHIFT, SITE_SIZE, SITE_USERS,
} from './layout';
import { ABI_FPROBE_GRAPH } from './fprobe/layout';
import { RECORD_SITE_MAX } from './ring-layout';
import { ops_address } from './ops';
import { region_alloc, region_free } from './region';
import { sync } from './task';

const SITES_MIN: u32 = 128;
const SITES_MAX: u32 = 1 << (30 - SITE_SHIFT); // the largest region

export function site_address(site: u32): u32 {
  return load<u32>(0, ABI_SITES) + (site << SITE_SHIFT);
}

export function site_exists(site: u32): bool {
  return site < load<u32>(0, ABI_SITE_COUNT);
}

/// Adds `count` sites with ip 0 that nobody wants. Returns the id of the first; the others follow it. -EINVAL: no
/// sites, or more than a record can name, -ENOMEM. The table may move.
export function site_add(count: u32): i32 {
  const first = load<u32>(0, ABI_SITE_COUNT);
  if (!count || count > <u32>RECORD_SITE_MAX) return -EINVAL;
  if (first + count > SITES_MAX) return -ENOMEM;
  const capacity = load<u32>(0, ABI_SITE_CAPACITY);
  if (first + count > capacity) {
    sync(); // direct mode keeps addresses of tables
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
  return <i32>first;
}

/// Sets the ip of a site from its two halves. 0 or -EINVAL.
export function site_set_ip(site: u32, low: u32, high: u32): i32 {
  if (!site_exists(site)) return -EINVAL;
  store<u64>(site_address(site), <u64>high << 32 | <u64>low, SITE_IP);
  return 0;
}

/// Brings the flags and the count of a site up to date with who is attached.
export function site_describe(record: u32): void {
  const list = load<u32>(record, SITE_OPS);
  const ops = load<u32>(list, LIST_COUNT); // the null list is empty
  const count = ops + (load<u32>(record, SITE_USERS) & FGRAPH_ARRAY_MASK ? 1 : 0);
  let flags = load<u32>(record, SITE_FLAGS) & (SITE_FL_TOUCHED | SITE_GRAPH_MASK) | count;
  if (count) flags |= SITE_FL_ENABLED | SITE_FL_TOUCHED;
  for (let k: u32 = 0; k < ops; k++) {
    const wants = load<u32>(ops_address(load<u32>(list + (k << 2), LIST_SLOTS)), OPS_FLAGS);
    if (wants & OPS_FL_SAVE_REGS) flags |= SITE_FL_REGS | SITE_FL_REGS_EN;
    if (wants & OPS_FL_DIRECT) flags |= SITE_FL_DIRECT | SITE_FL_DIRECT_EN;
  }
  store<u32>(record, flags, SITE_FLAGS);
}

/// Sets the users that want a site; the one of the fprobes stays what it is. 0 or -EINVAL: no such site, or a bit of
/// nobody.
export function site_set_users(site: u32, users: u32): i32 {
  const fprobe = load<u32>(0, ABI_FPROBE_GRAPH);
  if (!site_exists(site) || users & ~(load<u32>(0, ABI_GOPS_MASK) & ~fprobe)) return -EINVAL;
  site_mark(site, FGRAPH_ARRAY_MASK & ~fprobe & ~users, false);
  site_mark(site, users, true);
  return 0;
}

/// Sets or clears bits of the users that want a site, which exists.
export function site_mark(site: u32, users: u32, on: bool): void {
  setUsers(site_address(site), users, on);
}

function setUsers(record: u32, users: u32, on: bool): void {
  sync();
  const had = load<u32>(record, SITE_USERS);
  store<u32>(record, on ? had | users : had & ~users, SITE_USERS);
  site_describe(record);
}

/// Says whether user `index` wants a site. 0 or -EINVAL: no such site or user.
export function site_want(site: u32, index: u32, on: u32): i32 {
  if (!site_exists(site) || !gops_registered(index) || gops_kind(index) == GOPS_FPROBE) return -EINVAL;
  site_mark(site, 1 << index, on != 0);
  return 0;
}

/// Makes every site forget user `index`.
export function sites_forget(index: u32): void {
  const end = site_address(load<u32>(0, ABI_SITE_COUNT));
  for (let record = site_address(0); record < end; record += SITE_SIZE) {
    if (load<u32>(record, SITE_USERS) >> index & 1) setUsers(record, 1 << index, false);
  }
}
