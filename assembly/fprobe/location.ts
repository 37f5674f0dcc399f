// Locations: the sites that probes watch (spec/fprobe.md §6.2). Two ways lead to one. An instrumented function knows
// its site, and the site's record points here. Who knows only an address asks the table: chains in buckets that are
// doubled when there are more locations than buckets and halved when there are less than a quarter, so that what is
// found is found as fast among 100,000 as alone.
//
//   site s ──SITE_LOCATION──┐
//                           ▼
//   bucket ──► | ip u64 | site | newest exit node | newest plain node | words | next | link |
//
// A location lives from its first node to its last. NEXT and LINK make removing independent of how long a chain is: a
// client who never gave his sites addresses has all of them in one bucket.

import { SITE_IP, SITE_LOCATION } from '../layout';
import {
  ABI_LOCATIONS, ABI_LOCATION_BITS, ABI_LOCATION_COUNT, LOCATION_BITS_MIN, LOCATION_EXITS, LOCATION_IP, LOCATION_LINK,
  LOCATION_NEXT, LOCATION_PLAINS, LOCATION_SITE, LOCATION_SIZE,
} from './layout';
import { region_alloc, region_free } from '../region';
import { site_address } from '../site';

const GOLDEN: u64 = 0x61C8864680B583EB;
const POINTER_SHIFT: u32 = 2;

function bucketOf(table: u32, bits: u32, ip: u64): u32 {
  return table + (<u32>(ip * GOLDEN >> <u64>(64 - bits)) << POINTER_SHIFT);
}

function bucket(ip: u64): u32 {
  return bucketOf(load<u32>(0, ABI_LOCATIONS), load<u32>(0, ABI_LOCATION_BITS), ip);
}

/// The location of a site, 0 = no probe watches it.
export function location_of(site: u32): u32 {
  return load<u32>(site_address(site), SITE_LOCATION);
}

/// The location at an address, or 0. Of several sites with the same address: the one watched last.
export function location_find(ip: u64): u32 {
  if (!load<u32>(0, ABI_LOCATIONS)) return 0;
  let location = load<u32>(bucket(ip));
  while (location && load<u64>(location, LOCATION_IP) != ip) location = load<u32>(location, LOCATION_NEXT);
  return location;
}

function link(head: u32, location: u32): void {
  const next = load<u32>(head);
  store<u32>(location, next, LOCATION_NEXT);
  store<u32>(location, head, LOCATION_LINK);
  if (next) store<u32>(next, location + LOCATION_NEXT, LOCATION_LINK);
  store<u32>(head, location);
}

/// Moves all locations to a table of 2^newBits buckets. False: no memory, everything stays where it is.
function resize(newBits: u32): bool {
  const table = region_alloc(1 << (newBits + POINTER_SHIFT));
  if (!table) return false;
  const old = load<u32>(0, ABI_LOCATIONS);
  if (old) {
    const bits = load<u32>(0, ABI_LOCATION_BITS);
    const bytes: u32 = 1 << (bits + POINTER_SHIFT);
    for (let at = old; at < old + bytes; at += 1 << POINTER_SHIFT) {
      let location = load<u32>(at);
      while (location) {
        const next = load<u32>(location, LOCATION_NEXT);
        link(bucketOf(table, newBits, load<u64>(location, LOCATION_IP)), location);
        location = next;
      }
    }
    region_free(old, bytes);
  }
  store<u32>(0, table, ABI_LOCATIONS);
  store<u32>(0, newBits, ABI_LOCATION_BITS);
  return true;
}

/// The location of a site, made if there is none. 0: no memory.
export function location_make(site: u32): u32 {
  const record = site_address(site);
  const found = load<u32>(record, SITE_LOCATION);
  if (found) return found;
  if (!load<u32>(0, ABI_LOCATIONS) && !resize(LOCATION_BITS_MIN)) return 0;
  const location = region_alloc(LOCATION_SIZE);
  if (!location) return 0;
  const count = load<u32>(0, ABI_LOCATION_COUNT) + 1;
  const bits = load<u32>(0, ABI_LOCATION_BITS);
  if (count >> bits) resize(bits + 1); // without memory for it chains grow instead
  store<u64>(location, load<u64>(record, SITE_IP), LOCATION_IP);
  store<u32>(location, site, LOCATION_SITE);
  link(bucket(load<u64>(location, LOCATION_IP)), location);
  store<u32>(0, count, ABI_LOCATION_COUNT);
  store<u32>(record, location, SITE_LOCATION);
  return location;
}

/// Forgets a location if no node is left there.
export function location_settle(location: u32): void {
  if (load<u32>(location, LOCATION_EXITS) | load<u32>(location, LOCATION_PLAINS)) return;
  const next = load<u32>(location, LOCATION_NEXT);
  const back = load<u32>(location, LOCATION_LINK);
  store<u32>(back, next);
  if (next) store<u32>(next, back, LOCATION_LINK);
  store<u32>(site_address(load<u32>(location, LOCATION_SITE)), 0, SITE_LOCATION);
  region_free(location, LOCATION_SIZE);
  const count = load<u32>(0, ABI_LOCATION_COUNT) - 1;
  store<u32>(0, count, ABI_LOCATION_COUNT);
  const bits = load<u32>(0, ABI_LOCATION_BITS);
  if (bits > <u32>LOCATION_BITS_MIN && count < (1 << bits >> 2)) resize(bits - 1);
}

/// Site that probes watch at an address, from its two halves; -1: none.
export function fprobe_site(low: u32, high: u32): i32 {
  const location = location_find(<u64>high << 32 | <u64>low);
  return location ? load<i32>(location, LOCATION_SITE) : -1;
}
