// Sites: a table of records with dense ids. What a filter says about a site is worked out when the filter changes and
// kept here as one bit per function-graph user, so that an entry tests one word instead of up to 16 hashes.
//
//   site s   | ip u64 | flags u32 | users u32 | reserved 16 |        at ABI_SITES + s * 32, while s < ABI_SITE_COUNT

import { gops_kind, gops_registered, stats_resize } from './gops';
import {
  ABI_FPROBE_GRAPH, ABI_GOPS_MASK, ABI_SITES, ABI_SITE_CAPACITY, ABI_SITE_COUNT, EINVAL, ENOMEM, GOPS_FPROBE,
  RECORD_SITE_MAX, SITE_IP, SITE_SHIFT, SITE_SIZE, SITE_USERS,
} from './layout';
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

/// Sets the users that want a site; the one of the fprobes stays what it is. 0 or -EINVAL: no such site, or a bit of
/// nobody.
export function site_set_users(site: u32, users: u32): i32 {
  const fprobe = load<u32>(0, ABI_FPROBE_GRAPH);
  if (!site_exists(site) || users & ~(load<u32>(0, ABI_GOPS_MASK) & ~fprobe)) return -EINVAL;
  const record = site_address(site);
  store<u32>(record, users | load<u32>(record, SITE_USERS) & fprobe, SITE_USERS);
  return 0;
}

/// Sets or clears bits of the users that want a site, which exists.
export function site_mark(site: u32, users: u32, on: bool): void {
  const record = site_address(site);
  const had = load<u32>(record, SITE_USERS);
  store<u32>(record, on ? had | users : had & ~users, SITE_USERS);
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
  const keep = ~(1 << index);
  for (let record = site_address(0); record < end; record += SITE_SIZE) {
    store<u32>(record, load<u32>(record, SITE_USERS) & keep, SITE_USERS);
  }
}
