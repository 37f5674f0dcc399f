// Nodes: a probe at a location (spec/fprobe.md §0, §6.2). The nodes of a probe are an array; those of a location are
// two lists, one of probes with an exit handler and one of the others, newest first.
//
//   probe ──► | bytes | node | node | node | rows of a built-in kind |
//                        │      └──────────────► next older at its location
//                        └── owner, site
//
// A callback that walks a list calls handlers on its way, and these may remove nodes, the one in hand too. So a removed
// node loses its owner and keeps its NODE_NEXT: a walker who stands on it finds his way on, over others that were
// removed before to some that were not, or to the end. Its memory stays until no callback runs.

import { ABI_TASKS, SITE_NODE, TASK_NEXT, TASK_RECURSION } from '../layout';
import {
  ABI_FPROBE_EXITS, ABI_FPROBE_PLAINS, ABI_FPROBE_RETIRED, FPROBE_HEADER_WORDS, LOCATION_EXITS, LOCATION_PLAINS,
  LOCATION_SITE, LOCATION_WORDS, NODES_BYTES, NODES_HEADER_SIZE, NODES_NEXT, NODE_LINK, NODE_NEXT, NODE_OWNER,
  NODE_SHIFT, NODE_SITE,
} from './layout';
import { region_alloc, region_free } from '../region';
import { site_address } from '../site';

function count(isExit: bool, change: i32): void {
  const at: u32 = isExit ? ABI_FPROBE_EXITS : ABI_FPROBE_PLAINS;
  store<i32>(at, load<i32>(at) + change);
}

/// Writes down at the site which probe is the only one there, and its node, so that a call needs no other record of the
/// function: what is called seldom is far away.
function nameOnly(location: u32): void {
  const exit = load<u32>(location, LOCATION_EXITS);
  const plain = load<u32>(location, LOCATION_PLAINS);
  const node = exit && plain ? 0 : exit | plain;
  const only = load<u32>(node, NODE_NEXT) ? 0 : node;
  const probe = load<u32>(only, NODE_OWNER); // of none it is 0
  store<u64>(site_address(load<u32>(location, LOCATION_SITE)), <u64>probe << 32 | <u64>only, SITE_NODE); // and SITE_PROBE
}

/// Puts a node at the head of the list of its type, unless its probe has a node there already.
export function node_insert(node: u32, location: u32, probe: u32, isExit: bool, words: u32): void {
  const head = location + (isExit ? LOCATION_EXITS : LOCATION_PLAINS);
  const first = load<u32>(head);
  // Nobody else registers meanwhile, so its own node can only be the newest.
  if (first && load<u32>(first, NODE_OWNER) == probe) return;
  store<u32>(node, first, NODE_NEXT);
  store<u32>(node, head, NODE_LINK);
  if (first) store<u32>(first, node + NODE_NEXT, NODE_LINK);
  if (isExit) {
    store<u32>(location, load<u32>(location, LOCATION_WORDS) + FPROBE_HEADER_WORDS + words, LOCATION_WORDS);
  }
  count(isExit, 1);
  store<u32>(node, probe, NODE_OWNER);
  store<u32>(head, node);
  nameOnly(location);
}

/// Takes a node with an owner out of its list.
export function node_remove(node: u32, location: u32, isExit: bool, words: u32): void {
  const next = load<u32>(node, NODE_NEXT);
  const back = load<u32>(node, NODE_LINK);
  store<u32>(node, 0, NODE_OWNER);
  store<u32>(back, next);
  if (next) store<u32>(next, back, NODE_LINK);
  if (isExit) {
    store<u32>(location, load<u32>(location, LOCATION_WORDS) - FPROBE_HEADER_WORDS - words, LOCATION_WORDS);
  }
  count(isExit, -1);
  nameOnly(location);
}

export function node_site(node: u32): u32 {
  return load<u32>(node, NODE_SITE);
}

// ---- memory

/// Nodes for `count` sites, zeroed, with `rowSize` bytes of rows for each behind them. 0: no memory.
export function nodes_alloc(count: u32, rowSize: u32): u32 {
  const bytes = NODES_HEADER_SIZE + <u64>count * ((1 << NODE_SHIFT) + rowSize);
  if (bytes > <u64>u32.MAX_VALUE) return 0;
  const region = region_alloc(<u32>bytes);
  if (!region) return 0;
  store<u32>(region, <u32>bytes, NODES_BYTES);
  return region + NODES_HEADER_SIZE;
}

/// Frees nodes as soon as no callback runs that might walk them.
export function nodes_retire(nodes: u32): void {
  const region = nodes - NODES_HEADER_SIZE;
  store<u32>(region, load<u32>(0, ABI_FPROBE_RETIRED), NODES_NEXT);
  store<u32>(0, region, ABI_FPROBE_RETIRED);
  fprobe_drain();
}

/// Frees what no callback can reach any more. Returns 0, or 1: something has to wait, since a callback runs on some
/// task.
export function fprobe_drain(): i32 {
  let region = load<u32>(0, ABI_FPROBE_RETIRED);
  if (!region) return 0;
  for (let task = load<u32>(0, ABI_TASKS); task; task = load<u32>(task, TASK_NEXT)) {
    if (load<u32>(task, TASK_RECURSION)) return 1;
  }
  while (region) {
    const next = load<u32>(region, NODES_NEXT);
    region_free(region, load<u32>(region, NODES_BYTES));
    region = next;
  }
  store<u32>(0, 0, ABI_FPROBE_RETIRED);
  return 0;
}
