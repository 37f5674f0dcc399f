// Filters: which sites a client wants (spec/fgraph.md §1.2). The kernel keeps a hash of locations; sites have dense ids, so
// here it is a set with a bit per site: nothing collides, and nothing has to be resized by a rule.
//
//   pair   | filter | notrace |            of a client, at GOPS_FILTER or OPS_FILTER
//   set    | bytes | bits u32[] |          0: no hash at all; ABI_NO_SITE: the set of no site
//
//   a site matches when  (filter is 0 or has it)  and not  (notrace is not 0 and has it)
//
// So "no function" is never taken for "no filter", as it is where an empty hash means both (§1.5). At a function's entry
// nobody looks into a set: what the sets say is worked out when they change, and kept in the record of the site (site.ts)
// or in its list (ops.ts).

import { gops_address, gops_kind, gops_registered } from './gops';
import {
  ABI_NO_SITE, ABI_SITE_COUNT, EINVAL, ENOMEM, FGRAPH_ARRAY_SIZE, FILTER, GOPS_FILTER, GOPS_FPROBE, NOTRACE,
  OPS_FILTER, OPS_SLOT_MASK, PAGE_SIZE, SET_BITS, SET_BYTES,
} from './layout';
import { manager_site, manager_update } from './manager';
import { ops_filtered, ops_follow, ops_is_direct, ops_of } from './ops';
import { region_alloc, region_free } from './region';
import { site_exists, site_is_loaded } from './site';
import { begin } from './task';

const SET_MIN: u32 = 16;
// In place of a set. Where they point nothing is but zeros, as in the null set.
const NO_MEMORY: u32 = 1;
const NOT_SITES: u32 = 2;

// ---- sets

/// Offset in a set of the word with the bit of `site`.
function wordOf(site: u32): u32 {
  return SET_BITS + (site >> 5 << 2);
}

export function set_has(set: u32, site: u32): bool {
  const at = wordOf(site);
  return at < load<u32>(set, SET_BYTES) && <bool>(load<u32>(set + at) >> (site & 31) & 1); // the null set ends at once
}

function mark(set: u32, site: u32, on: bool): void {
  const word = set + wordOf(site);
  const bit: u32 = 1 << (site & 31);
  store<u32>(word, on ? load<u32>(word) | bit : load<u32>(word) & ~bit);
}

/// A set with room for `site`, with what is in `old`; NO_MEMORY.
function setFor(old: u32, site: u32): u32 {
  let bytes = SET_MIN;
  while (bytes <= wordOf(site)) bytes <<= 1;
  const set = region_alloc(bytes);
  if (!set) return NO_MEMORY;
  memory.copy(set, old, load<u32>(old, SET_BYTES));
  store<u32>(set, bytes, SET_BYTES);
  return set;
}

function setFree(set: u32): void {
  const bytes = load<u32>(set, SET_BYTES);
  if (bytes) region_free(set, bytes);
}

/// Puts `site` into the set at `place`, or takes it out. False: no memory, and all is as it was.
export function set_put(place: u32, site: u32, on: bool): bool {
  const set = load<u32>(place);
  if (wordOf(site) < load<u32>(set, SET_BYTES)) {
    mark(set, site, on);
  } else if (on) {
    const larger = setFor(set, site);
    if (larger == NO_MEMORY) return false;
    mark(larger, site, true);
    store<u32>(place, larger);
    setFree(set);
  }
  return true;
}

// ---- pairs

/// Whether a client with this pair wants `site`.
export function filter_match(pair: u32, site: u32): bool {
  const filter = load<u32>(pair, FILTER);
  return site_is_loaded(site)
    && (!filter || set_has(filter, site))
    && !set_has(load<u32>(pair, NOTRACE), site);
}

/// The pair of a new client, who wants no site.
export function filter_start(pair: u32): void {
  store<u32>(pair, ABI_NO_SITE, FILTER);
  store<u32>(pair, 0, NOTRACE);
}

/// Gives back what a pair holds. Its client has gone.
export function filter_free(pair: u32): void {
  setFree(load<u32>(pair, FILTER));
  setFree(load<u32>(pair, NOTRACE));
}

/// Where the pair of `client` stands, who is a graph user or the handle of plain ops. 0: nobody, or who serves probes.
function pairOf(client: u32): u32 {
  if (client < <u32>FGRAPH_ARRAY_SIZE) {
    return gops_registered(client) && gops_kind(client) != GOPS_FPROBE ? gops_address(client) + GOPS_FILTER : 0;
  }
  const ops = ops_of(client);
  return ops ? ops + OPS_FILTER : 0;
}

// ---- edits

/// The set of the sites whose `count` ids stand at `sites`; 0 for a count below 0, which is no hash at all; NO_MEMORY;
/// NOT_SITES: ids that are not in memory, or no site's.
function setOf(sites: u32, count: i32): u32 {
  if (count < 0) return 0;
  if (count && <u64>sites + (<u64>count << 2) > <u64>memory.size() * PAGE_SIZE) return NOT_SITES;
  const set = setFor(0, load<u32>(0, ABI_SITE_COUNT));
  if (set == NO_MEMORY) return NO_MEMORY;
  for (let i: i32 = 0; i < count; i++) {
    const site = load<u32>(sites + (i << 2));
    if (!site_exists(site)) {
      setFree(set);
      return NOT_SITES;
    }
    mark(set, site, true);
  }
  return set;
}

function isNone(set: u32): bool {
  return set == NO_MEMORY || set == NOT_SITES;
}

/// Makes the filter of `client` count for the sites that exist. 0; -EBUSY or -ENOMEM: plain ops are attached to some of
/// the sites that they want now, and still to all that they wanted before.
function apply(client: u32): i32 {
  if (client >= <u32>FGRAPH_ARRAY_SIZE) return ops_filtered(client & OPS_SLOT_MASK, 0);
  manager_update();
  return 0;
}

/// Replaces both halves of the filter of `client`, a graph user or the handle of plain ops. Each half is so many ids of
/// sites, u32, at an address in memory; a count below 0 is no hash: every site, those to come included, for the filter,
/// no site for the notrace. Activations under way end as they began.
///
/// 0; -EINVAL: no such client or site, ids that are not in memory, OPS_FL_DIRECT without a filter; -EBUSY: a site has
/// another one with OPS_FL_DIRECT; -ENOMEM. After an error the filter is what it was.
export function filter_set(client: u32, sites: u32, count: i32, notraceSites: u32, notraceCount: i32): i32 {
  begin();
  const pair = pairOf(client);
  if (!pair) return -EINVAL;
  if (count < 0 && client >= <u32>FGRAPH_ARRAY_SIZE && ops_is_direct(client & OPS_SLOT_MASK)) return -EINVAL;
  const filter = setOf(sites, count);
  const notrace = setOf(notraceSites, notraceCount);
  let error = filter == NOT_SITES || notrace == NOT_SITES ? -EINVAL : -ENOMEM;
  let useless = <u64>notrace << 32 | <u64>filter;
  if (!isNone(filter) && !isNone(notrace)) {
    const old = load<u64>(pair); // both halves
    store<u64>(pair, useless);
    error = apply(client);
    if (error) {
      store<u64>(pair, old);
      apply(client); // takes back what was attached
    } else {
      useless = old;
    }
  }
  setFree(<u32>useless);
  setFree(<u32>(useless >> 32));
  return error;
}

/// Adds a site to the filter of `client` (`on`), or takes it out; what is left when the last one goes is no function. 0,
/// also when it was so before; -EINVAL: no such client or site, or there is no filter, which has every site; -EBUSY and
/// -ENOMEM as for `filter_set`. After an error the filter is what it was.
export function site_want(site: u32, client: u32, on: u32): i32 {
  const pair = pairOf(client);
  return load<u32>(pair, FILTER) ? edit(site, client, pair, FILTER, on) : -EINVAL; // the null pair has none
}

/// The same for the notrace of `client`, which may be none.
export function site_notrace(site: u32, client: u32, on: u32): i32 {
  return edit(site, client, pairOf(client), NOTRACE, on);
}

function edit(site: u32, client: u32, pair: u32, half: u32, on: u32): i32 {
  begin();
  return pair && site_exists(site) ? filter_put(client, pair + half, site, on != 0) : -EINVAL;
}

/// The same for any client and a site that exists; `place` is that of the half.
export function filter_put(client: u32, place: u32, site: u32, on: bool): i32 {
  const before = load<u32>(place);
  if (set_has(before, site) == on) return 0;
  if (!set_put(place, site, on)) return -ENOMEM;
  if (client >= <u32>FGRAPH_ARRAY_SIZE) {
    const error = ops_follow(client & OPS_SLOT_MASK, site);
    if (error) set_put(place, site, !on);
    return error;
  }
  // The first site makes a hash of no hash, and a user of the manager of somebody who was none.
  if (before > <u32>ABI_NO_SITE) manager_site(site);
  else manager_update();
  return 0;
}
