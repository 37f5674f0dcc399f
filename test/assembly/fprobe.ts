// What the tests of the engine's probes share: registering one, and the invariants of spec/fprobe.md §7 over all tables.

import * as fprobeLayout from '../../assembly/fprobe/layout.ts';
import * as layout from '../../assembly/layout.ts';
import type { Engine } from '../../src/engine.ts';

export interface RawProbe {
  kind?: number;
  entry?: number;
  exit?: number;
  /// Bytes of entry data.
  size?: number;
  flags?: number;
  private?: number;
  source?: number;
  index?: number;
  cells?: number;
  min?: number;
  step?: number;
}

/// Fills the engine's request for `sites`. False: there was no memory for it.
export function request(engine: Engine, probe: RawProbe, sites: readonly number[]): boolean {
  const { exports, memory } = engine;
  const at = exports.fprobe_request(sites.length);
  if (at === 0) return false;
  memory.store32(at + fprobeLayout.REQUEST_KIND, probe.kind ?? fprobeLayout.FPROBE_KIND_HOST);
  memory.store32(at + fprobeLayout.REQUEST_ENTRY, probe.entry ?? 0);
  memory.store32(at + fprobeLayout.REQUEST_EXIT, probe.exit ?? 0);
  memory.store32(at + fprobeLayout.REQUEST_DATA_SIZE, probe.size ?? 0);
  memory.store32(at + fprobeLayout.REQUEST_FLAGS, probe.flags ?? 0);
  memory.store32(at + fprobeLayout.REQUEST_PRIVATE, probe.private ?? 0);
  memory.store32(at + fprobeLayout.REQUEST_SOURCE, probe.source ?? 0);
  memory.store32(at + fprobeLayout.REQUEST_INDEX, probe.index ?? 0);
  memory.store32(at + fprobeLayout.REQUEST_CELLS, probe.cells ?? 0);
  memory.store64(at + fprobeLayout.REQUEST_MIN, probe.min ?? 0);
  memory.store64(at + fprobeLayout.REQUEST_STEP, probe.step ?? 0);
  memory.u32.set(sites, (at + fprobeLayout.REQUEST_SITES) >>> 2);
  return true;
}

/// The handle, or a negative error.
export function register(engine: Engine, probe: RawProbe, sites: readonly number[]): bigint {
  request(engine, probe, sites);
  return engine.exports.fprobe_register(sites.length);
}

/// A counter of a registered probe, by its offset.
export const counter = (engine: Engine, handle: bigint, at: number): number =>
  engine.memory.load32(engine.exports.fprobe_record(handle) + at);

function must(condition: boolean, what: string): void {
  if (!condition) throw new Error(`broken: ${what}`);
}

interface Node {
  readonly isExit: boolean;
  readonly words: number;
  readonly site: number;
}

/// The chunks of the probes' records: address, how many are in it.
function* chunks({ memory }: Engine): Generator<[address: number, count: number]> {
  for (let k = 0; k < memory.load32(fprobeLayout.ABI_FPROBE_CHUNK_COUNT); k++) {
    yield [memory.load32(fprobeLayout.ABI_FPROBE_CHUNKS + 4 * k), fprobeLayout.FPROBE_CHUNK_MIN << k];
  }
}

/// All records.
export function* records(engine: Engine): Generator<number> {
  for (const [chunk, count] of chunks(engine)) {
    for (let k = 0; k < count; k++) yield chunk + k * fprobeLayout.FPROBE_SIZE;
  }
}

/// Those of probes that are registered.
export function* registered(engine: Engine): Generator<number> {
  for (const probe of records(engine)) if (engine.memory.load32(probe + fprobeLayout.FPROBE_NODES) !== 0) yield probe;
}

/// Checks every probe, node, location, bucket, counter, and what the sites say. Returns the number of live nodes.
export function checkFprobes(engine: Engine): number {
  const { memory } = engine;
  const nodes = new Map<number, Node>();
  for (const probe of registered(engine)) {
    const first = memory.load32(probe + fprobeLayout.FPROBE_NODES);
    for (let k = 0; k < memory.load32(probe + fprobeLayout.FPROBE_NODE_COUNT); k++) {
      const node = first + k * fprobeLayout.NODE_SIZE;
      const of = memory.load32(node + fprobeLayout.NODE_OWNER);
      must(of === 0 || of === probe, `owner ${of} of a node of probe ${probe}`);
      if (of === 0) continue;
      const isExit = memory.load32(probe + fprobeLayout.FPROBE_EXIT) !== 0;
      nodes.set(node, {
        isExit,
        words: memory.load32(probe + fprobeLayout.FPROBE_WORDS),
        site: memory.load32(node + fprobeLayout.NODE_SITE),
      });
    }
  }
  const count = (isExit: boolean) => [...nodes.values()].filter((node) => node.isExit === isExit).length;
  must(memory.load32(fprobeLayout.ABI_FPROBE_EXITS) === count(true), 'number of exit nodes');
  must(memory.load32(fprobeLayout.ABI_FPROBE_PLAINS) === count(false), 'number of plain nodes');
  const bit = memory.load32(fprobeLayout.ABI_FPROBE_GRAPH);
  must((bit !== 0) === count(true) > 0, 'the graph user runs if and only if it has something to watch');
  const ops = memory.load32(fprobeLayout.ABI_FPROBE_OPS);
  must((ops !== 0) === count(false) > 0, 'the plain ops run if and only if they have something to watch');
  /// Whether the plain ops are in the list of a site.
  const isListed = (record: number): boolean => {
    const list = memory.load32(record + layout.SITE_OPS);
    const slot = (k: number) => memory.load32(list + layout.LIST_SLOTS + 4 * k);
    return ops !== 0 && Array.from({ length: memory.load32(list) }, (_, k) => slot(k)).includes(ops - 1);
  };

  const inTable = new Set<number>();
  const table = memory.load32(fprobeLayout.ABI_LOCATIONS);
  const buckets = table === 0 ? 0 : 2 ** memory.load32(fprobeLayout.ABI_LOCATION_BITS);
  for (let k = 0; k < buckets; k++) {
    let link = table + 4 * k;
    for (let at = memory.load32(link); at !== 0; at = memory.load32(link)) {
      must(memory.load32(at + fprobeLayout.LOCATION_LINK) === link, 'link of a location');
      must(!inTable.has(at), 'a location stands in the table once');
      inTable.add(at);
      link = at + fprobeLayout.LOCATION_NEXT;
    }
  }
  must(inTable.size === memory.load32(fprobeLayout.ABI_LOCATION_COUNT), 'number of locations');
  must(buckets <= 64 || inTable.size * 4 >= buckets, `${inTable.size} locations in ${buckets} buckets`);

  const users = memory.load32(layout.ABI_SITES);
  let seen = 0;
  for (let site = 0; site < memory.siteCount(); site++) {
    const record = users + site * layout.SITE_SIZE;
    const location = memory.load32(record + layout.SITE_LOCATION);
    const wanted = bit !== 0 && (memory.load32(record + layout.SITE_USERS) & bit) !== 0;
    if (location === 0) {
      must(!isListed(record), `site ${site} is listed for nobody's probe`);
      must(!wanted, `site ${site} is wanted by nobody's probe`);
      must(memory.load64(record + layout.SITE_NODE) === 0, `site ${site} names nobody's probe`);
      continue;
    }
    must(inTable.delete(location), 'a location is in the table');
    must(memory.load32(location + fprobeLayout.LOCATION_SITE) === site, 'site of a location');
    let words = 0;
    const here: number[] = [];
    for (const list of [fprobeLayout.LOCATION_EXITS, fprobeLayout.LOCATION_PLAINS]) {
      let link = location + list;
      for (let at = memory.load32(link); at !== 0; at = memory.load32(link)) {
        const node = nodes.get(at);
        must(
          node !== undefined && node.site === site && node.isExit === (list === fprobeLayout.LOCATION_EXITS),
          'a node',
        );
        must(memory.load32(at + fprobeLayout.NODE_LINK) === link, 'link of a node');
        if (node!.isExit) words += fprobeLayout.FPROBE_HEADER_WORDS + node!.words;
        link = at + fprobeLayout.NODE_NEXT;
        here.push(at);
      }
    }
    seen += here.length;
    const only = here.length === 1 ? here[0] : 0;
    must(memory.load32(record + layout.SITE_NODE) === only, `site ${site} names its only node`);
    must(memory.load32(record + layout.SITE_PROBE) === memory.load32(only), `site ${site} names its only probe`);
    must(words === memory.load32(location + fprobeLayout.LOCATION_WORDS), `words of site ${site}`);
    must(wanted === words > 0, `site ${site} is wanted if and only if an exit probe is there`);
    const plain = memory.load32(location + fprobeLayout.LOCATION_PLAINS) !== 0;
    must(words > 0 || plain, `the location of site ${site} has a node`);
    must(isListed(record) === plain, `site ${site} is listed if and only if another probe is there`);
  }
  must(inTable.size === 0, 'every location belongs to a site');
  must(seen === nodes.size, `${nodes.size} nodes, ${seen} in lists`);
  return seen;
}

/// Regions of the heap that belong to probes: address and size.
export function* regions(engine: Engine): Generator<[address: number, bytes: number]> {
  const { memory } = engine;
  for (const [chunk, count] of chunks(engine)) yield [chunk, count * fprobeLayout.FPROBE_SIZE];
  const request = memory.load32(fprobeLayout.ABI_FPROBE_REQUEST);
  const room = memory.load32(fprobeLayout.ABI_FPROBE_REQUEST_ROOM);
  if (request !== 0) yield [request, fprobeLayout.REQUEST_SITES + 4 * room];
  const table = memory.load32(fprobeLayout.ABI_LOCATIONS);
  const buckets = 2 ** memory.load32(fprobeLayout.ABI_LOCATION_BITS);
  if (table !== 0) yield [table, 4 * buckets];
  for (let k = 0; table !== 0 && k < buckets; k++) {
    let at = memory.load32(table + 4 * k);
    for (; at !== 0; at = memory.load32(at + fprobeLayout.LOCATION_NEXT)) yield [at, fprobeLayout.LOCATION_SIZE];
  }
  const array = (region: number): [number, number] => [region, memory.load32(region + fprobeLayout.NODES_BYTES)];
  for (const probe of registered(engine)) {
    yield array(memory.load32(probe + fprobeLayout.FPROBE_NODES) - fprobeLayout.NODES_HEADER_SIZE);
  }
  let region = memory.load32(fprobeLayout.ABI_FPROBE_RETIRED);
  for (; region !== 0; region = memory.load32(region + fprobeLayout.NODES_NEXT)) yield array(region);
}
