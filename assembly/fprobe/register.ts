// Registering and unregistering probes (spec/fprobe.md §3 to §7, §10), and with that the two shared clients of function
// entries: the graph user that serves probes with an exit handler and the plain ops that serve the others.
//
// Invariants, at the end of every function here:
//   - a site is wanted by the graph user if and only if its location has a node of an exit probe, by the plain ops if
// and
//     only if it has a node of another
//   - each of the two clients is registered if and only if there is such a node anywhere; the last nodes go after it
//   - a registration that fails leaves everything as it was
//
// Whatever can fail comes first: nodes, locations, the client. Then the nodes go in, and nothing can fail any more.

import { filter_put } from '../filter';
import { gops_add, gops_address, gops_remove } from '../gops';
import {
  ABI_DEAD, E2BIG, EINVAL, ENODEV, ENOENT, ENOMEM, GOPS_FILTER, GOPS_FPROBE, OPS_FILTER, OPS_FPROBE, OPS_SLOT_MASK,
  WORD_SIZE,
} from '../layout';
import {
  ABI_FPROBE_EXITS, ABI_FPROBE_GRAPH, ABI_FPROBE_OPS, ABI_FPROBE_PLAINS, ABI_FPROBE_REQUEST, ABI_FPROBE_REQUEST_ROOM,
  FPROBE_CELLS, FPROBE_ENTRY, FPROBE_EXIT, FPROBE_FLAGS, FPROBE_FL_ALL, FPROBE_FL_DISABLED, FPROBE_GENERATION,
  FPROBE_INDEX, FPROBE_KIND, FPROBE_KIND_HOST, FPROBE_KIND_LAST, FPROBE_KIND_NONE, FPROBE_MIN, FPROBE_NODES,
  FPROBE_NODE_COUNT, FPROBE_PRIVATE, FPROBE_ROWS, FPROBE_ROW_SIZE, FPROBE_SOURCE, FPROBE_STEP, FPROBE_WORDS,
  LOCATION_EXITS, LOCATION_PLAINS, MAX_FPROBE_DATA_SIZE_WORD, NODE_NEXT, NODE_OWNER, NODE_SHIFT, NODE_SITE, NODE_SIZE,
  REQUEST_CELLS, REQUEST_DATA_SIZE, REQUEST_ENTRY, REQUEST_EXIT, REQUEST_FLAGS, REQUEST_INDEX, REQUEST_KIND,
  REQUEST_MIN, REQUEST_PRIVATE, REQUEST_SITES, REQUEST_SOURCE, REQUEST_STEP,
} from './layout';
import { ops_add, ops_address, ops_handle, ops_remove } from '../ops';
import { region_alloc, region_free } from '../region';
import { site_exists, site_is_loaded } from '../site';
import { begin } from '../task';
import { builtin_data_words, builtin_is_exit, builtin_row_size, builtin_valid } from './builtin';
import { location_make, location_of, location_settle } from './location';
import { node_insert, node_remove, node_site, nodes_alloc, nodes_retire } from './node';
import { fprobe_handle, fprobe_of, fprobe_publish, probe_give, probe_take } from './probe';

// ---- the request

/// Where the next registration is written to: a request with room for `count` site ids, zeroed. 0: no memory, or no
/// sites. One at a time; `fprobe_register` takes it back.
export function fprobe_request(count: u32): u32 {
  begin();
  dropRequest();
  const bytes = REQUEST_SITES + (<u64>count << 2);
  if (!count || bytes > <u64>i32.MAX_VALUE) return 0;
  const request = region_alloc(<u32>bytes);
  store<u32>(0, request, ABI_FPROBE_REQUEST);
  store<u32>(0, request ? count : 0, ABI_FPROBE_REQUEST_ROOM);
  return request;
}

function dropRequest(): void {
  const request = load<u32>(0, ABI_FPROBE_REQUEST);
  if (!request) return;
  region_free(request, REQUEST_SITES + (load<u32>(0, ABI_FPROBE_REQUEST_ROOM) << 2));
  store<u32>(0, 0, ABI_FPROBE_REQUEST);
  store<u32>(0, 0, ABI_FPROBE_REQUEST_ROOM);
}

// ---- the two clients

/// Live nodes that a client serves.
function nodesOf(isExit: bool): u32 {
  return load<u32>(isExit ? ABI_FPROBE_EXITS : ABI_FPROBE_PLAINS);
}

function startClient(isExit: bool): i32 {
  const at: u32 = isExit ? ABI_FPROBE_GRAPH : ABI_FPROBE_OPS;
  if (load<u32>(at)) return 0;
  const client = isExit ? gops_add(GOPS_FPROBE, 1, 1, 0) : ops_add(OPS_FPROBE, 1, 0);
  if (client < 0) return client;
  store<u32>(at, isExit ? 1 << client : (client & OPS_SLOT_MASK) + 1);
  return 0;
}

function stopClient(isExit: bool): void {
  const at: u32 = isExit ? ABI_FPROBE_GRAPH : ABI_FPROBE_OPS;
  const client = load<u32>(at);
  if (isExit) gops_remove(ctz<u32>(client));
  else ops_remove(client - 1);
  store<u32>(at, 0);
}

/// Says whether the client of a type wants a site. 0 or -ENOMEM.
function want(site: u32, isExit: bool, on: bool): i32 {
  if (isExit) {
    const index = ctz<u32>(load<u32>(0, ABI_FPROBE_GRAPH));
    return filter_put(index, gops_address(index) + GOPS_FILTER, site, on);
  }
  const slot = load<u32>(0, ABI_FPROBE_OPS) - 1;
  return filter_put(ops_handle(slot), ops_address(slot) + OPS_FILTER, site, on);
}

// ---- registering

/// Registers the probe that the request describes, for its first `count` sites; a site that is named twice counts once.
/// Returns the handle, or -EINVAL: no request, no or too many sites, a kind, flag or built-in that there is none of;
/// -E2BIG: more than 15 words of entry data; -ENOMEM; -ENOENT: no such site; -ENOSPC: 16 graph users already; -ENODEV:
/// the engine is dead. After an error nothing has changed.
export function fprobe_register(count: u32): i64 {
  const request = load<u32>(0, ABI_FPROBE_REQUEST);
  if (!request || !count || count > load<u32>(0, ABI_FPROBE_REQUEST_ROOM)) return -EINVAL;
  begin();
  const result = load<u32>(0, ABI_DEAD) ? -ENODEV : register(request, count);
  dropRequest();
  return result;
}

function register(request: u32, count: u32): i64 {
  const kind = load<u32>(request, REQUEST_KIND);
  const flags = load<u32>(request, REQUEST_FLAGS);
  if (kind > <u32>FPROBE_KIND_LAST || flags & ~FPROBE_FL_ALL) return -EINVAL;
  const isBuiltin = kind > <u32>FPROBE_KIND_HOST;
  if (isBuiltin && !builtin_valid(request)) return -EINVAL;
  const bytes = load<u32>(request, REQUEST_DATA_SIZE);
  if (bytes > <u32>MAX_FPROBE_DATA_SIZE_WORD * WORD_SIZE) return -E2BIG;
  const isExit = isBuiltin
    ? builtin_is_exit(request)
    : kind != FPROBE_KIND_NONE && load<u32>(request, REQUEST_EXIT) != 0;
  const words = isBuiltin ? builtin_data_words(request) : (bytes + WORD_SIZE - 1) / WORD_SIZE;

  const rowSize = isBuiltin ? builtin_row_size(request) : 0;
  const nodes = nodes_alloc(count, rowSize);
  if (!nodes) return -ENOMEM;
  const sites = request + REQUEST_SITES;
  for (let i: u32 = 0; i < count; i++) {
    const site = load<u32>(sites + (i << 2));
    if (site_exists(site) && site_is_loaded(site)) continue;
    nodes_retire(nodes);
    return -ENOENT;
  }
  const probe = probe_take();
  if (!probe) {
    nodes_retire(nodes);
    return -ENOMEM;
  }
  let error = startClient(isExit);
  if (!error && !prepare(sites, count, isExit)) {
    error = -ENOMEM;
    for (let i: u32 = 0; i < count; i++) settle(load<u32>(sites + (i << 2)), isExit);
    if (!nodesOf(isExit)) stopClient(isExit);
  }
  if (error) {
    probe_give(probe);
    nodes_retire(nodes);
    return error;
  }

  store<u32>(probe, flags, FPROBE_FLAGS);
  store<u32>(probe, words, FPROBE_WORDS);
  store<u32>(probe, kind, FPROBE_KIND);
  store<u32>(probe, isBuiltin ? (isExit ? 0 : 1) : load<u32>(request, REQUEST_ENTRY), FPROBE_ENTRY);
  store<u32>(probe, isExit ? (isBuiltin ? 1 : load<u32>(request, REQUEST_EXIT)) : 0, FPROBE_EXIT);
  store<u32>(probe, nodes, FPROBE_NODES);
  store<u32>(probe, count, FPROBE_NODE_COUNT);
  store<u32>(probe, load<u32>(request, REQUEST_PRIVATE), FPROBE_PRIVATE);
  store<u32>(probe, rowSize ? nodes + count * NODE_SIZE : 0, FPROBE_ROWS);
  store<u32>(probe, rowSize, FPROBE_ROW_SIZE);
  store<u32>(probe, load<u32>(request, REQUEST_SOURCE), FPROBE_SOURCE);
  store<u32>(probe, load<u32>(request, REQUEST_CELLS), FPROBE_CELLS);
  store<u32>(probe, load<u32>(request, REQUEST_INDEX), FPROBE_INDEX);
  store<u64>(probe, load<u64>(request, REQUEST_MIN), FPROBE_MIN);
  store<u64>(probe, load<u64>(request, REQUEST_STEP), FPROBE_STEP);
  fprobe_publish(probe);
  for (let i: u32 = 0; i < count; i++) {
    const node = nodes + (i << NODE_SHIFT);
    const site = load<u32>(sites + (i << 2));
    store<u32>(node, site, NODE_SITE);
    node_insert(node, location_of(site), probe, isExit, words);
  }
  return fprobe_handle(probe);
}

/// Makes the locations, and lets the client watch them: it finds nobody there yet. False: no memory, not all were made.
function prepare(sites: u32, count: u32, isExit: bool): bool {
  for (let i: u32 = 0; i < count; i++) {
    const site = load<u32>(sites + (i << 2));
    if (!location_make(site) || want(site, isExit, true)) return false;
  }
  return true;
}

// ---- unregistering

/// The client forgets a site that has no node of its type, and the site its location if it has none at all.
function settle(site: u32, isExit: bool): void {
  const location = location_of(site);
  if (!location) return;
  if (!load<u32>(location + (isExit ? LOCATION_EXITS : LOCATION_PLAINS))) want(site, isExit, false);
  location_settle(location);
}

function removeNode(node: u32, isExit: bool, words: u32): void {
  const site = node_site(node);
  const location = location_of(site);
  node_remove(node, location, isExit, words);
  // Stopped first: a running client with an empty filter would hook every function in the kernel (§7, I2).
  if (nodesOf(isExit)) {
    settle(site, isExit);
  } else {
    stopClient(isExit);
    location_settle(location);
  }
}

/// Unregisters a probe, at once, also from inside a handler, its own included: no handler of it is called any more, no
/// activation under way knows it. Its memory is freed when no callback runs. 0, or -EINVAL: no such probe.
export function fprobe_unregister(handle: i64): i32 {
  const probe = fprobe_of(handle);
  if (!probe) return -EINVAL;
  begin();
  const isExit = load<u32>(probe, FPROBE_EXIT) != 0;
  const words = load<u32>(probe, FPROBE_WORDS);
  const nodes = load<u32>(probe, FPROBE_NODES);
  const end = nodes + (load<u32>(probe, FPROBE_NODE_COUNT) << NODE_SHIFT);
  for (let node = nodes; node < end; node += NODE_SIZE) {
    if (load<u32>(node, NODE_OWNER)) removeNode(node, isExit, words);
  }
  store<u32>(probe, load<u32>(probe, FPROBE_GENERATION) + 1, FPROBE_GENERATION);
  probe_give(probe);
  nodes_retire(nodes);
  return 0;
}

/// No probe watches `site` any more. Probes that have no other site stay registered. Returns how many nodes were removed.
export function fprobe_leave_site(site: u32): u32 {
  const location = location_of(site);
  if (!location) return 0;
  const plain = load<u32>(location, LOCATION_PLAINS); // the location goes with its last node
  return removeAll(load<u32>(location, LOCATION_EXITS), true) + removeAll(plain, false);
}

function removeAll(node: u32, isExit: bool): u32 {
  let removed: u32 = 0;
  while (node) {
    const next = load<u32>(node, NODE_NEXT);
    removeNode(node, isExit, load<u32>(load<u32>(node, NODE_OWNER), FPROBE_WORDS));
    removed++;
    node = next;
  }
  return removed;
}

// ---- what a client may ask and say

/// Disables (`on` is 0) or enables a probe: one store, which counts from the next callback on. Sites stay as they are.
/// 0 or -EINVAL.
export function fprobe_enable(handle: i64, on: u32): i32 {
  const probe = fprobe_of(handle);
  if (!probe) return -EINVAL;
  const flags = load<u32>(probe, FPROBE_FLAGS);
  store<u32>(probe, on ? flags & ~FPROBE_FL_DISABLED : flags | FPROBE_FL_DISABLED, FPROBE_FLAGS);
  return 0;
}

/// Address of a probe's record; 0 = not registered.
export function fprobe_record(handle: i64): u32 {
  return fprobe_of(handle);
}

/// Zeroes what a built-in kind keeps. 0, or -EINVAL: not registered, or it keeps nothing.
export function fprobe_clear(handle: i64): i32 {
  const probe = fprobe_of(handle);
  if (!probe || !load<u32>(probe, FPROBE_ROWS)) return -EINVAL;
  const bytes = load<u32>(probe, FPROBE_NODE_COUNT) * load<u32>(probe, FPROBE_ROW_SIZE);
  memory.fill(load<u32>(probe, FPROBE_ROWS), 0, bytes);
  return 0;
}
