// Filters of clients and the manager of the function-graph users (spec/fgraph.md §1.2, §1.5): each row of the table and each of
// its edge cases, what an edit that fails leaves, sites that come and go, and the table at random against itself written down.

import { expect, test } from 'vitest';
import * as layout from '../../assembly/layout.ts';
import type { Engine } from '../../src/engine.ts';
import { freshEngine, Random, runSeed } from './engine.ts';
import { checkAll, checkHeap } from './invariants.ts';
import { Manager } from './manager.ts';

const SITES = 40; // more than one word of bits
const { EBUSY, EINVAL, ENOMEM } = layout;

/// A filter as it is given: `undefined` is no hash, `[]` no function.
type Sites = readonly number[] | undefined;

async function start(sites = SITES) {
  const engine = await freshEngine();
  engine.addSites(sites);
  const { memory } = engine;
  const all = () => Array.from({ length: memory.siteCount() }, (_, site) => site);
  return {
    engine,
    exports: engine.exports,
    register: (filter: Sites, notrace?: Sites) => {
      const user = engine.registerFgraph(layout.GOPS_PROFILE, 0, 0, 0);
      engine.setFilter(user, filter, notrace);
      return user;
    },
    /// Sites that a user wants.
    wanted: (user: number) => all().filter((site) => (memory.siteUsers(site) >>> user) % 2 === 1),
    /// Sites that the manager's filters have, as the records of the sites say.
    managed: () => all().filter((site) => memory.siteWatchers(site) > 0),
    without: (...sites: number[]) => all().filter((site) => !sites.includes(site)),
    check: () => {
      checkAll(engine);
      checkHeap(engine);
    },
  };
}

/// The ids in memory, for exports that read them there.
function inMemory(engine: Engine, ids: readonly number[]): number {
  const at = engine.exports.block_alloc(4 * ids.length);
  engine.memory.u32.set(ids, at >>> 2);
  return at;
}

test('the match rule, and "no function" is not "no filter"', async () => {
  const { register, wanted, managed, without } = await start();
  expect(wanted(register([3, 35], undefined))).toEqual([3, 35]);
  expect(wanted(register([3, 4, 35], [4]))).toEqual([3, 35]);
  expect(wanted(register([], undefined))).toEqual([]);
  expect(wanted(register([5], [5]))).toEqual([]);
  expect(managed()).toEqual([3, 35]); // F - N came out empty, and nobody takes that for everything
  expect(wanted(register(undefined, [0]))).toEqual(without(0));
  expect(wanted(register(undefined))).toEqual(without());
});

test('who only keeps frames and has no filter is told of sites to come as well', async () => {
  const { engine, exports, wanted, managed, without, check } = await start();
  const user = engine.registerFgraph(layout.GOPS_FRAME, 0, 0, 0);
  engine.setFilter(user, undefined, [1]);
  engine.addSites(3);
  expect(wanted(user)).toEqual(without(1));
  expect(exports.enter(42)).not.toBe(0);
  expect(managed()).toEqual([]); // the manager does not stand for him
  check();
});

test('the manager, row by row', async () => {
  const first = await start();
  first.register([1, 2, 3], [3]); // first subops, with a filter: F - N
  expect(first.managed()).toEqual([1, 2]);
  first.register([3, 9], [9]); // another, both with a filter: MF + (F - N)
  expect(first.managed()).toEqual([1, 2, 3]);
  const all = first.register(undefined, [7]); // another without: everything; the notrace of the first was spent on its filter
  expect(first.managed()).toEqual(first.without());
  expect(first.wanted(all)).toEqual(first.without(7));

  const second = await start();
  const one = second.register(undefined, [6, 7, 8]); // first subops, without a filter: everything but N
  expect(second.managed()).toEqual(second.without(6, 7, 8));
  const two = second.register(undefined, [7, 8, 9]); // another: what both notrace
  expect(second.managed()).toEqual(second.without(7, 8));
  const three = second.register([1], [8]); // with a filter: MF is empty, so its notrace counts all the same
  expect(second.managed()).toEqual(second.without(8));
  second.exports.fgraph_unregister(three); // removal: from scratch
  expect(second.managed()).toEqual(second.without(7, 8));
  second.engine.setFilter(two, undefined, [9]); // an edit: from scratch; nothing is in common
  expect(second.managed()).toEqual(second.without());
  second.engine.setFilter(two, undefined, undefined); // no notrace at all: nothing is in common either
  expect(second.managed()).toEqual(second.without());
  second.exports.fgraph_unregister(two);
  expect(second.managed()).toEqual(second.without(6, 7, 8));
  second.engine.setFilter(one, [], undefined); // no function
  expect(second.managed()).toEqual([]);
  second.exports.fgraph_unregister(one); // the last one: the manager goes
  expect(second.managed()).toEqual([]);
  second.check();
});

test('the order of registration counts, not the index', async () => {
  const { exports, engine, register, managed, without } = await start();
  register([1]);
  const old = register(undefined, [2]);
  exports.fgraph_unregister(0);
  for (let k = 0; k < 14; k++) exports.fgraph_unregister(engine.registerFgraph(layout.GOPS_PROFILE, 0, 0, 0));
  const young = register([4], [2]);
  expect([old, young]).toEqual([1, 0]); // the younger one has the lower index
  expect(managed()).toEqual(without(2));
});

test('a user without a filter of his own yet is no user of the manager', async () => {
  const { engine, register, managed, without } = await start();
  register(undefined, [5]);
  const user = engine.registerFgraph(layout.GOPS_PROFILE, 0, 0, 0);
  expect(managed()).toEqual(without(5));
  expect(engine.memory.siteFlags(5) & layout.SITE_FL_TOUCHED).toBe(0); // not even for a moment
  engine.addToFilter(user, 9);
  expect(managed()).toEqual(without());
});

test('single sites', async () => {
  const { engine, exports, wanted, managed, check } = await start();
  const user = engine.registerFgraph(layout.GOPS_PROFILE, 0, 0, 0);
  for (const site of [1, 39, 2]) expect(exports.site_want(site, user, 1)).toBe(0);
  expect(exports.site_want(1, user, 7)).toBe(0); // again
  expect(wanted(user)).toEqual([1, 2, 39]);
  expect(exports.site_notrace(39, user, 1)).toBe(0);
  expect(exports.site_notrace(8, user, 0)).toBe(0); // was not in it
  expect(wanted(user)).toEqual([1, 2]);
  for (const site of [1, 2, 39]) expect(exports.site_want(site, user, 0)).toBe(0);
  expect([wanted(user), managed()]).toEqual([[], []]); // the last one went: no function
  expect(exports.site_want(5, user, 1)).toBe(0);
  expect(exports.site_notrace(5, user, 1)).toBe(0);
  expect(wanted(user)).toEqual([]);
  expect(exports.site_notrace(5, user, 0)).toBe(0);
  expect(wanted(user)).toEqual([5]);
  engine.setFilter(user, undefined, undefined);
  expect(exports.site_want(5, user, 0)).toBe(-EINVAL); // there is no filter to take it from
  expect(exports.site_notrace(5, user, 1)).toBe(0);
  expect(wanted(user)).toHaveLength(SITES - 1);
  check();
});

test('sites to come, and sites that go', async () => {
  const { engine, exports, register, wanted, managed, check } = await start(2);
  const all = register(undefined, [1]);
  const some = register([0, 1]);
  const called = engine.registerOps(layout.OPS_HOST, 1);
  engine.setFilter(called, undefined, [0]);
  const listed = engine.registerOps(layout.OPS_HOST, 1);
  engine.setFilter(listed, [1], undefined);
  expect(engine.addSites(300)).toBe(2);
  expect(wanted(all)).toHaveLength(301);
  expect(wanted(some)).toEqual([0, 1]);
  expect(managed()).toHaveLength(302);
  expect([0, 1, 2, 301].map((site) => engine.memory.siteWatchers(site))).toEqual([1, 3, 2, 2]);
  engine.setFilter(all, undefined, [250]); // beyond the first set's end
  engine.addToFilter(some, 300);
  expect(wanted(some)).toEqual([0, 1, 300]);
  expect(exports.site_unload(0, 200)).toBe(0);
  expect(wanted(all)).toEqual(Array.from({ length: 102 }, (_, k) => 200 + k).filter((site) => site !== 250));
  expect([0, 1, 199].map((site) => engine.memory.siteFlags(site))).toEqual(
    Array(3).fill(layout.SITE_FL_TOUCHED | layout.SITE_FL_DISABLED),
  );
  for (const client of [all, some, called, listed]) engine.setFilter(client, undefined, undefined);
  expect(managed().at(0)).toBe(200); // they do not come back
  expect(exports.site_want(3, some, 1)).toBe(-EINVAL);
  engine.setFilter(some, [3], undefined);
  expect(wanted(some)).toEqual([]);
  check();
});

test('plain ops have filters too, and lose nothing when an edit fails', async () => {
  const { engine, exports, check } = await start();
  const { memory } = engine;
  const attached = (site: number) => memory.siteWatchers(site);
  const direct = engine.registerOps(layout.OPS_HOST, 1, layout.OPS_FL_DIRECT);
  const other = engine.registerOps(layout.OPS_HOST, 2, layout.OPS_FL_DIRECT);
  expect(() => engine.setFilter(direct, undefined, undefined)).toThrow(/EINVAL/); // a direct call needs a filter
  engine.setFilter(direct, [7], undefined);
  engine.setFilter(other, [1, 2, 3], [3]);
  expect([1, 2, 3, 7].map(attached)).toEqual([1, 1, 0, 1]);
  expect(() => engine.setFilter(other, [2, 4, 6, 7, 9], undefined)).toThrow(/EBUSY/);
  expect([1, 2, 3, 4, 6, 7, 9].map(attached)).toEqual([1, 1, 0, 0, 0, 1, 0]); // as before
  expect(exports.site_want(7, other, 1)).toBe(-EBUSY);
  expect(exports.site_notrace(3, other, 0)).toBe(0); // the old filter is still there
  expect(attached(3)).toBe(1);
  engine.setFilter(direct, [8], undefined);
  engine.setFilter(other, [2, 4, 6, 7, 9], undefined);
  expect([1, 2, 3, 4, 6, 7, 8, 9].map(attached)).toEqual([0, 1, 0, 1, 1, 1, 1, 1]);
  check();
  for (const handle of [direct, other]) exports.ops_unregister(handle);
  check();
});

test('what is no filter is refused and changes nothing', async () => {
  const { engine, exports, register, wanted, check } = await start();
  const user = register([1, 2]);
  const ops = engine.registerOps(layout.OPS_HOST, 1);
  const good = inMemory(engine, [5]);
  const bad = inMemory(engine, [5, SITES, 6]);
  const end = exports.memory.buffer.byteLength;
  for (const [client, sites, count, notrace, notraceCount] of [
    [user + 1, good, 1, 0, -1], // nobody
    [15, good, 1, 0, -1],
    [ops + (1 << layout.OPS_SLOT_BITS), good, 1, 0, -1],
    [-1, good, 1, 0, -1],
    [user, bad, 3, 0, -1], // no such site
    [user, good, 1, bad, 3],
    [user, end - 4, 2, 0, -1], // not in memory
    [user, -4, 1, 0, -1],
    [user, good, 2 ** 31 - 1, 0, -1],
    [user, good, 1, end, 1],
  ]) {
    expect(exports.filter_set(client, sites, count, notrace, notraceCount)).toBe(-EINVAL);
  }
  expect(exports.filter_set(user, end, 0, end, 0)).toBe(0); // nothing is read
  expect(wanted(user)).toEqual([]);
  engine.setFilter(user, [1, 2], undefined);
  for (const [site, client] of [
    [SITES, user],
    [-1, user],
    [1, user + 1],
    [1, 4097],
  ]) {
    expect(exports.site_want(site, client, 1)).toBe(-EINVAL);
    expect(exports.site_notrace(site, client, 1)).toBe(-EINVAL);
  }
  expect(wanted(user)).toEqual([1, 2]);
  exports.block_free(good);
  exports.block_free(bad);
  check();
});

test('without memory the old filter stays', async () => {
  const { engine, exports, wanted, managed } = await start(1 << 16);
  const user = engine.registerFgraph(layout.GOPS_PROFILE, 0, 0, 0);
  const ops = engine.registerOps(layout.OPS_HOST, 1);
  for (const [client, site] of [
    [user, 1],
    [user, 2],
    [ops, 1],
  ]) {
    engine.addToFilter(client, site); // the sets are as small as that
  }
  const ids = inMemory(engine, [3, 65000]);
  for (let bytes = 1 << 29; bytes >= 16; ) if (exports.block_alloc(bytes - 16) === 0) bytes >>>= 1;
  expect(exports.filter_set(user, ids, 2, 0, -1)).toBe(-ENOMEM);
  expect(exports.filter_set(user, 0, -1, ids, 2)).toBe(-ENOMEM);
  expect(exports.site_want(65000, user, 1)).toBe(-ENOMEM);
  expect(exports.site_notrace(65000, user, 1)).toBe(-ENOMEM);
  expect(exports.filter_set(ops, 0, -1, 0, -1)).toBe(-ENOMEM); // 65,535 more lists
  expect(exports.site_want(3, ops, 1)).toBe(-ENOMEM);
  expect([wanted(user), managed()]).toEqual([
    [1, 2],
    [1, 2],
  ]);
  expect([1, 2, 3].map((site) => engine.memory.siteWatchers(site))).toEqual([2, 1, 0]);
  expect(exports.filter_set(user, 0, -1, 0, -1)).toBe(0); // takes none
  expect(wanted(user)).toHaveLength(1 << 16);
  checkAll(engine);
});

test('100,000 steps of the table, and what each site knows', async () => {
  const seed = runSeed('manager');
  const random = new Random(seed);
  const { engine, exports, check } = await start(2);
  const { memory } = engine;
  const users = new Map<number, { filter: Sites; notrace: Sites }>(); // in order of registration
  const unloaded = new Set<number>();
  const rows = { sites: 0, empty: 0, common: 0, everything: 0 };
  const some = (): Sites => {
    if (random.oneIn(3)) return undefined;
    const share = random.pick([1, 2, 8]);
    return Array.from({ length: memory.siteCount() }, (_, site) => site).filter(() => random.oneIn(share));
  };
  for (let step = 0; step < 100_000; step++) {
    const user = random.pick([...users.keys(), -1]);
    const site = random.below(memory.siteCount() + 1);
    const old = users.get(user);
    const choice = random.below(20);
    if (user < 0) {
      const pair = { filter: some(), notrace: some() };
      if (users.size < 16) {
        const index = engine.registerFgraph(layout.GOPS_PROFILE, 0, 0, 0);
        users.set(index, pair);
        engine.setFilter(index, pair.filter, pair.notrace);
      }
    } else if (choice < 2) {
      for (const index of random.oneIn(20) ? [...users.keys()] : [user]) {
        exports.fgraph_unregister(index);
        users.delete(index);
      }
    } else if (choice < 8) {
      const pair = { filter: some(), notrace: some() };
      engine.setFilter(user, pair.filter, pair.notrace);
      users.set(user, pair);
    } else if (choice < 13 && old) {
      const on = random.oneIn(2);
      const result = exports.site_want(site, user, on ? 1 : 0);
      if (site === memory.siteCount() || !old.filter) expect(result).toBe(-EINVAL);
      else
        users.set(user, { ...old, filter: [...old.filter.filter((other) => other !== site), ...(on ? [site] : [])] });
    } else if (choice < 18 && old) {
      const on = random.oneIn(2);
      const result = exports.site_notrace(site, user, on ? 1 : 0);
      if (site === memory.siteCount()) expect(result).toBe(-EINVAL);
      else {
        const rest = old.notrace?.filter((other) => other !== site);
        users.set(user, { ...old, notrace: on ? [...(rest ?? []), site] : rest });
      }
    } else if (choice === 18 && memory.siteCount() < 2 * SITES) {
      exports.site_add(1 + random.below(3));
    } else if (choice === 19 && random.oneIn(200)) {
      exports.site_unload(site, 2);
      for (const gone of [site, site + 1]) if (gone < memory.siteCount()) unloaded.add(gone);
    }

    const manager = new Manager<number>();
    for (const { filter, notrace } of users.values()) manager.add(filter, notrace);
    for (let at = 0; at < memory.siteCount(); at++) {
      const isThere = !unloaded.has(at);
      let wanted = 0;
      for (const [index, { filter, notrace }] of users) {
        if (isThere && (!filter || filter.includes(at)) && !notrace?.includes(at)) wanted |= 1 << index;
      }
      const isManaged = isThere && manager.has(at);
      if (memory.siteUsers(at) !== wanted || memory.siteWatchers(at) !== (isManaged ? 1 : 0)) {
        throw new Error(`seed ${seed}, step ${step}, site ${at}: ${memory.siteUsers(at)} instead of ${wanted}`);
      }
      // §16, 7: the manager covers all, and no more when all have filters.
      if (wanted !== 0 && !isManaged) throw new Error(`seed ${seed}: site ${at} is not covered`);
      if (manager.filter !== 'all' && isManaged && wanted === 0)
        throw new Error(`seed ${seed}: site ${at} is too much`);
    }
    if (manager.filter !== 'all') rows.sites++;
    else if (manager.notrace.size > 0) rows.common++;
    else rows.everything++;
    if (users.size === 0) rows.empty++;
    if (step % 1000 === 0) check();
  }
  for (const [row, times] of Object.entries(rows)) expect(times, row).toBeGreaterThan(100);
}, 120_000);
