// The manager: the one client of function entries that stands for all function-graph users (spec/fgraph.md §1.5). In the
// kernel it decides which functions are hooked, and each call then asks the users one by one. Here a site knows its users
// exactly, so nothing is hooked that nobody wants; what the manager's filters have is what `enabled_functions` lists.
//
// His filters are the smallest pair that covers those of the users, oldest first, F and N being theirs:
//
//   every F is a hash               filter = union of F - N           so he has a site if any user wants it
//   the oldest has no F             no filter, notrace = common N     so he has it unless every N has it
//   another one has no F            no filter, no notrace             so he has every site
//
// The last two differ because the notrace of an older user, if he has a filter, is spent on that filter. Sets of all this
// are not kept: which of the three rows holds is in ABI_MANAGER, what it means for a site in SITE_MANAGED.
//
// A user takes part from his first filter on. One who only keeps frames, GOPS_FRAME, takes none: the kernel has no need of
// such a user, and what it prints does not count him.

import { filter_match, set_has } from './filter';
import { gops_address } from './gops';
import {
  ABI_GOPS_MASK, ABI_MANAGER, ABI_NO_SITE, ABI_SITE_COUNT, FILTER, GOPS_FILTER, GOPS_FRAME, GOPS_KIND, GOPS_SERIAL,
  MANAGER_ALL, MANAGER_NOTRACE, NOTRACE, SITE_FLAGS, SITE_HAS_OPS, SITE_MANAGED, SITE_USERS,
} from './layout';
import { site_address, site_describe, site_is_loaded } from './site';
import { sync } from './task';

/// Whether the manager stands for this user.
function isMember(gops: u32): bool {
  return load<u32>(gops, GOPS_FILTER + FILTER) != ABI_NO_SITE && load<u32>(gops, GOPS_KIND) != GOPS_FRAME;
}

/// Works out the manager's filters, and what all sites are to the users: whoever came, went, or has another filter.
export function manager_update(): void {
  let all: u32 = 0;
  let notrace: u32 = MANAGER_NOTRACE;
  let oldest = u64.MAX_VALUE;
  for (let rest = load<u32>(0, ABI_GOPS_MASK); rest; rest &= rest - 1) {
    const gops = gops_address(ctz<u32>(rest));
    if (!isMember(gops)) continue;
    const filter = load<u32>(gops, GOPS_FILTER + FILTER);
    if (!filter) all = MANAGER_ALL;
    if (!load<u32>(gops, GOPS_FILTER + NOTRACE)) notrace = 0;
    oldest = min(oldest, <u64>load<u32>(gops, GOPS_SERIAL) << 32 | <u64>filter);
  }
  store<u32>(0, all && !<u32>oldest ? all | notrace : all, ABI_MANAGER);
  const count = load<u32>(0, ABI_SITE_COUNT);
  for (let site: u32 = 0; site < count; site++) manager_site(site);
}

/// Brings what a site knows of the users and of the manager up to date with their filters.
export function manager_site(site: u32): void {
  const record = site_address(site);
  const manager = load<u32>(0, ABI_MANAGER);
  let users: u32 = 0;
  let members: u32 = 0;
  let common = manager >> 1; // of MANAGER_NOTRACE
  for (let rest = load<u32>(0, ABI_GOPS_MASK); rest; rest &= rest - 1) {
    const gops = gops_address(ctz<u32>(rest));
    const wanted = filter_match(gops + GOPS_FILTER, site) ? rest & -rest : 0;
    users |= wanted;
    if (!isMember(gops)) continue;
    members |= wanted;
    if (!set_has(load<u32>(gops, GOPS_FILTER + NOTRACE), site)) common = 0;
  }
  const isManaged = <bool>(manager & MANAGER_ALL ? common ^ 1 : members) && site_is_loaded(site);
  const flags = load<u32>(record, SITE_FLAGS) & ~SITE_MANAGED | (isManaged ? SITE_MANAGED : 0);
  const had = load<u32>(record, SITE_USERS);
  const has = had & SITE_HAS_OPS | users;
  if (has == had && flags == load<u32>(record, SITE_FLAGS)) return;
  sync();
  store<u32>(record, has, SITE_USERS);
  store<u32>(record, flags, SITE_FLAGS);
  site_describe(record);
}
