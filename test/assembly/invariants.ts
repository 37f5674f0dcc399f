// The invariants of spec/fgraph.md §16, of the lists of users and ops, and of the heap: what has to hold between any two calls
// of an export, whoever makes them. Each check throws an error that says what is broken.

import * as layout from '../../assembly/layout.ts';
import * as ringLayout from '../../assembly/ring-layout.ts';
import type { Engine } from '../../src/engine.ts';
import { regions as fprobeRegions } from './fprobe.ts';

const WORD = layout.WORD_SIZE;

export function must(condition: boolean, what: string): void {
  if (!condition) throw new Error(`broken: ${what}`);
}

function list({ memory }: Engine, head: number, next: number): number[] {
  const found: number[] = [];
  for (let at = memory.load32(head); at !== 0; at = memory.load32(at + next)) {
    must(found.length < 10_000, `list at ${head} ends`);
    found.push(at);
  }
  return found;
}

export const tasksOf = (engine: Engine) => list(engine, layout.ABI_TASKS, layout.TASK_NEXT);
export const ringsOf = (engine: Engine) => list(engine, layout.ABI_RINGS, ringLayout.RING_NEXT);

function checkTask(engine: Engine, task: number): void {
  const { memory, exports } = engine;
  const field = (offset: number) => memory.load32(task + offset);
  const [bottom, top, limit] = [field(layout.TASK_STACK), field(layout.TASK_TOP), field(layout.TASK_LIMIT)];
  must(top >= bottom && top <= limit && top % WORD === 0, `top ${top} of ${bottom}..${limit}`);
  const room = (field(layout.TASK_WORDS) - layout.SHADOW_STACK_SLACK) * WORD - field(layout.TASK_FRAME_FP);
  must(limit === bottom + room, 'limit');
  must(field(layout.TASK_DIRECT) === 0 || task === exports.task_current(), 'only the current task is in direct mode');
  must(field(layout.TASK_RECURSION) >>> layout.RECURSION_INTERNAL === 0, 'recursion bits');
  let frames = 0;
  for (let end = top; end > bottom; frames++) {
    const base = end - WORD - (memory.load32(end - WORD) & layout.FGRAPH_FRAME_OFFSET_MASK) * WORD;
    must(base >= bottom && base < end, `frame ${base}..${end}`);
    if (frames === 0) must(field(layout.TASK_BASE) === base, 'newest frame');
    const type = (word: number) => (memory.load32(word) >>> layout.FGRAPH_TYPE_SHIFT) & layout.FGRAPH_TYPE_MASK;
    let at = end - WORD;
    const owners = new Set<number>();
    while (type(at) === layout.FGRAPH_TYPE_DATA) {
      const word = memory.load32(at);
      must((word & layout.FGRAPH_FRAME_OFFSET_MASK) === (at - base) / WORD, 'distance of a data word');
      const owner = (word >>> layout.FGRAPH_DATA_INDEX_SHIFT) & layout.FGRAPH_DATA_INDEX_MASK;
      if (!(word & layout.FGRAPH_DATA_ORPHAN)) {
        must(!owners.has(owner), `user ${owner} has data twice`);
        owners.add(owner);
      }
      at -= (((word >>> layout.FGRAPH_DATA_SHIFT) & layout.FGRAPH_DATA_MASK) + 2) * WORD;
      must(at >= base + layout.FRAME_SIZE, 'data reach into the frame');
    }
    must(at === base + layout.FRAME_BITMAP, 'bitmap word');
    const users = (memory.load32(at) >>> layout.FGRAPH_INDEX_SHIFT) & layout.FGRAPH_INDEX_MASK;
    must((users & ~memory.load32(layout.ABI_GOPS_MASK)) === 0, 'a frame knows users that are gone');
    must(memory.load32(base + layout.FRAME_SITE) < memory.load32(layout.ABI_SITE_COUNT), 'site of a frame');
    end = base;
  }
  must((field(layout.TASK_DEPTH) | 0) === frames - 1, `depth ${field(layout.TASK_DEPTH)} of ${frames} frames`);
  if (frames === 0) must(field(layout.TASK_BASE) === 0, 'no newest frame');
  for (let word = limit; word < bottom + (field(layout.TASK_WORDS) - 16) * WORD; word += 4) {
    must(memory.load32(word) === 0, 'the slack stays zero');
  }
}

/// The filter and notrace sets of all clients.
function pairsOf({ memory }: Engine): [filter: number, notrace: number][] {
  const pairs: [number, number][] = [];
  const add = (at: number) => pairs.push([memory.load32(at + layout.FILTER), memory.load32(at + layout.NOTRACE)]);
  for (let i = 0; i < 16; i++) {
    if ((memory.load32(layout.ABI_GOPS_MASK) >>> i) % 2 === 1)
      add(layout.ABI_GOPS + i * layout.GOPS_SIZE + layout.GOPS_FILTER);
  }
  const [table, capacity] = [memory.load32(layout.ABI_OPS), memory.load32(layout.ABI_OPS_CAPACITY)];
  for (let ops = table; ops < table + capacity * layout.OPS_SIZE; ops += layout.OPS_SIZE) {
    if (memory.load32(ops + layout.OPS_KIND) !== 0) add(ops + layout.OPS_FILTER);
  }
  return pairs;
}

function checkUsers({ memory }: Engine): void {
  const mask = memory.load32(layout.ABI_GOPS_MASK);
  const free: number[] = [];
  for (let i = 0; i < 16; i++) {
    const index = memory.load32(layout.ABI_LRU + 4 * i) | 0;
    if (index >= 0) free.push(index);
    const kind = memory.load32(layout.ABI_GOPS + i * layout.GOPS_SIZE + layout.GOPS_KIND);
    must(kind <= layout.GOPS_FRAME && (kind !== 0) === ((mask >>> i) % 2 === 1), `kind of user ${i}`);
  }
  const all = free.reduce((bits, index) => bits | (1 << index), mask);
  must(all === layout.FGRAPH_ARRAY_MASK && free.every((index) => !(mask & (1 << index))), 'free indices');
  const [sites, count] = [memory.load32(layout.ABI_SITES), memory.load32(layout.ABI_SITE_COUNT)];
  for (let site = 0; site < count; site++) {
    const users = memory.load32(sites + site * layout.SITE_SIZE + layout.SITE_USERS);
    must((users & ~mask & ~layout.SITE_HAS_OPS) === 0, `users of site ${site}`);
  }
}

/// Every ops of every list is registered, in order of registration, and counted on both sides.
function checkOps({ memory }: Engine): void {
  const [table, capacity] = [memory.load32(layout.ABI_OPS), memory.load32(layout.ABI_OPS_CAPACITY)];
  const [sites, count] = [memory.load32(layout.ABI_SITES), memory.load32(layout.ABI_SITE_COUNT)];
  const attached = Array<number>(capacity).fill(0);
  let members = 0;
  for (let i = 0; i < 16; i++) {
    const kind = memory.load32(layout.ABI_GOPS + i * layout.GOPS_SIZE + layout.GOPS_KIND);
    if (kind !== layout.GOPS_STUB && kind !== layout.GOPS_FRAME) members |= 1 << i;
  }
  const isOn = memory.load32(layout.ABI_DISABLED) === 0;
  let untraced = 0;
  for (let site = sites; site < sites + count * layout.SITE_SIZE; site += layout.SITE_SIZE) {
    const [users, flags] = [memory.load32(site + layout.SITE_USERS), memory.load32(site + layout.SITE_FLAGS)];
    const list = memory.load32(site + layout.SITE_OPS);
    must(((users & layout.SITE_HAS_OPS) !== 0) === (list !== 0), 'the bit and the list agree');
    const length = memory.load32(list + layout.LIST_COUNT);
    must(length > 0 === (list !== 0), 'no empty lists');
    let last = Number.POSITIVE_INFINITY;
    let direct = false;
    for (let k = 0; k < length; k++) {
      const slot = memory.load32(list + layout.LIST_SLOTS + 4 * k);
      const ops = table + slot * layout.OPS_SIZE;
      must(slot < capacity && memory.load32(ops + layout.OPS_KIND) !== 0, 'ops of a list exists');
      const serial = memory.load32(ops + layout.OPS_SERIAL);
      must(serial < last, 'newest first');
      last = serial;
      attached[slot]++;
      if (memory.load32(ops + layout.OPS_FLAGS) & layout.OPS_FL_DIRECT) direct = true;
    }
    const managed = flags & layout.SITE_MANAGED ? 1 : 0;
    must(managed === 1 || (users & members) === 0, 'the manager covers the users');
    const watchers = length + managed;
    must((flags & layout.SITE_COUNT_MASK) === watchers, 'count of a site');
    must(((flags & layout.SITE_FL_ENABLED) !== 0) === (watchers > 0 && isOn), 'a site is enabled while it is watched');
    must(((flags & layout.SITE_FL_DIRECT) !== 0) === direct, 'direct');
    if (flags & layout.SITE_GRAPH_NOTRACE) untraced++;
  }
  must(untraced === memory.load32(layout.ABI_GRAPH_NOTRACE), 'count of set_graph_notrace');
  let calling = 0;
  for (let slot = 0; slot < capacity; slot++) {
    const ops = table + slot * layout.OPS_SIZE;
    const kind = memory.load32(ops + layout.OPS_KIND);
    if (kind === 0) must(attached[slot] === 0, 'free ops');
    else must(attached[slot] === memory.load32(ops + layout.OPS_SITES), 'sites of ops');
    const sees = kind === layout.OPS_FUNCTION && memory.load32(ops + layout.OPS_FLAGS) & layout.FUNC_ARGUMENTS;
    if (kind > layout.OPS_FUNCTION || sees) calling++;
  }
  must(calling === memory.load32(layout.ABI_OPS_CALLING), 'ops that see arguments');
  const free = new Set<number>();
  for (let next = memory.load32(layout.ABI_OPS_FREE); next !== 0; ) {
    must(!free.has(next) && next <= capacity, 'list of free ops');
    free.add(next);
    must(memory.load32(table + (next - 1) * layout.OPS_SIZE + layout.OPS_KIND) === 0, 'free ops are free');
    next = memory.load32(table + (next - 1) * layout.OPS_SIZE + layout.OPS_NEXT);
  }
}

/// Every byte from the start of the heap to its end is in one region: somebody's, or free.
export const blocksOf = (engine: Engine): number[] =>
  list(engine, layout.ABI_BLOCKS, layout.BLOCK_NEXT - layout.BLOCK_HEADER_SIZE);

export function checkHeap(engine: Engine): void {
  const { memory, exports } = engine;
  const regions: [from: number, size: number, what: string][] = [];
  const add = (from: number, bytes: number, what: string) => {
    regions.push([from, 2 ** Math.ceil(Math.log2(Math.max(bytes, 16))), what]);
  };
  for (const task of tasksOf(engine)) {
    add(task, layout.TASK_SIZE, 'task');
    add(memory.load32(task + layout.TASK_STACK), memory.load32(task + layout.TASK_WORDS) * WORD, 'stack');
  }
  for (const ring of ringsOf(engine)) {
    add(ring, ringLayout.RING_HEADER_SIZE, 'ring');
    add(memory.load32(ring + ringLayout.RING_FIRST), memory.load32(ring + ringLayout.RING_PAGES) << 12, 'pages');
  }
  const capacity = memory.load32(layout.ABI_SITE_CAPACITY);
  if (capacity > 0) add(memory.load32(layout.ABI_SITES), capacity * layout.SITE_SIZE, 'sites');
  for (let site = 0; site < memory.siteCount(); site++) {
    const list = memory.load32(memory.load32(layout.ABI_SITES) + site * layout.SITE_SIZE + layout.SITE_OPS);
    if (list !== 0) add(list, memory.load32(list + layout.LIST_SIZE), 'list');
  }
  const slots = memory.load32(layout.ABI_OPS_CAPACITY);
  if (slots > 0) add(memory.load32(layout.ABI_OPS), slots * layout.OPS_SIZE, 'ops');
  for (let i = 0; i < 16; i++) {
    const gops = layout.ABI_GOPS + i * layout.GOPS_SIZE;
    const rows = memory.load32(gops + layout.GOPS_STATS_ROWS);
    if (rows > 0) add(memory.load32(gops + layout.GOPS_STATS), rows * ringLayout.STAT_SIZE, 'statistics');
  }
  for (const pair of pairsOf(engine)) {
    for (const set of pair) if (memory.load32(set) > 0) add(set, memory.load32(set + layout.SET_BYTES), 'filter');
  }
  for (const [from, bytes] of fprobeRegions(engine)) add(from, bytes, 'fprobes');
  for (const block of blocksOf(engine)) {
    add(
      block - layout.BLOCK_HEADER_SIZE,
      memory.load32(block - layout.BLOCK_HEADER_SIZE + layout.BLOCK_BYTES) + layout.BLOCK_HEADER_SIZE,
      'block',
    );
  }
  for (let k = 0; k < layout.ABI_FREE_CLASSES; k++) {
    for (const free of list(engine, layout.ABI_FREE + 4 * k, 0)) add(free, 2 ** k, 'free');
  }
  let at = Math.max(exports.heap_base(), layout.ABI_END);
  for (const [from, size, what] of regions.sort(([a], [b]) => a - b)) {
    must(from === at, `${what} at ${from} follows what ended at ${at}`);
    at = from + size;
  }
  must(at === memory.load32(layout.ABI_HEAP), 'the heap ends where it says');
}

export function checkAll(engine: Engine): void {
  const { memory, exports } = engine;
  must(memory.load32(layout.ABI_MAGIC) === layout.ABI_MAGIC_VALUE, 'magic');
  for (let address = 0; address < 16; address += 4) must(memory.load32(address) === 0, `address ${address}`);
  const tasks = tasksOf(engine);
  must(tasks.includes(exports.task_current()), 'the current task exists');
  for (const task of tasks) checkTask(engine, task);
  checkUsers(engine);
  checkOps(engine);
}
