// Who watches which functions. Globs are evaluated here, once per function: when a client registers, edits its filter, or a target
// arrives. The engine gets the two sets of sites, and knows from there who wants a site and what the manager covers
// (assembly/filter.ts, assembly/manager.ts); a gate is open while anybody wants its site.

import type { Engine } from './engine.ts';
import { compileHalves, type Filter, type FilterHalves, type FilterPair, isMatch } from './filter.ts';
import { readArray } from './options.ts';
import { checkPids, type PidFilter, Pids } from './pids.ts';
import { roomToBegin } from './stack.ts';
import type { Target, TargetSite } from './target/target.ts';
import type { Tasks } from './tasks.ts';

/// The caller's array may change later, or say something else each time it is read.
const copyHalf = (what: keyof FilterPair, filter: Filter | undefined): Filter | undefined =>
  typeof filter === 'object' ? (Object.freeze(readArray(what, filter) as string[] | undefined) ?? filter) : filter;

const copyPair = ({ filter, notrace }: FilterPair): FilterPair => ({
  filter: copyHalf('filter', filter),
  notrace: copyHalf('notrace', notrace),
});

/// Somebody whom some of the functions concern.
interface Selection {
  readonly halves: FilterHalves<TargetSite>;
  /// Functions that matched when that was last asked for all.
  matched: number;
}

/// A client of the engine.
export interface Watching extends Selection {
  /// Index of a user of the function graph, or handle of plain ops.
  readonly client: number;
}

/// Whoever marks functions, but does not watch them.
export interface Rule extends Selection {
  readonly mark: (site: number, marked: boolean) => void;
}

/// One client's filter pair.
class Watch implements Watching {
  matched = 0;
  readonly #users: Users;
  readonly #client: () => number;
  /// Functions that there can be any question of; undefined: all.
  readonly #only: ((site: TargetSite) => boolean) | undefined;
  #pair: FilterPair;
  #halves: FilterHalves<TargetSite>;

  constructor(users: Users, pair: FilterPair, client: () => number, only?: (site: TargetSite) => boolean) {
    this.#users = users;
    this.#client = client;
    this.#only = only;
    this.#pair = copyPair(pair);
    this.#halves = this.#compile(this.#pair);
  }

  #compile(pair: FilterPair): FilterHalves<TargetSite> {
    const halves = compileHalves(pair);
    const only = this.#only;
    return only ? { ...halves, filter: (site) => only(site) && (halves.filter?.(site) ?? true) } : halves;
  }

  get client(): number {
    return this.#client();
  }

  get halves(): FilterHalves<TargetSite> {
    return this.#halves;
  }

  get pair(): FilterPair {
    return this.#pair;
  }

  /// Replaces the pair, which nobody else holds. Calls under way are left as they were entered. Throws TypeError for what is no
  /// filter, ENOMEM; nothing has changed then.
  edit(pair: FilterPair): void {
    const before = this.#halves;
    this.#halves = this.#compile(pair);
    try {
      this.#users.refilter(this);
    } catch (error) {
      this.#halves = before;
      throw error;
    }
    this.#pair = pair;
  }
}

/// A client as its owner holds it: its filters can be read and edited.
export abstract class Watcher {
  readonly #watch: Watch;
  readonly #users: Users;
  #pids: PidFilter = {};
  #isWatching = false;

  /// `client` says by what name the engine knows it; `only` which functions it can watch at all, if not all.
  constructor(users: Users, pair: FilterPair, client: () => number, only?: (site: TargetSite) => boolean) {
    this.#users = users;
    this.#watch = new Watch(users, pair, client, only);
    roomToBegin(); // who makes one registers it
  }

  /// Functions that the filters matched when they were last set; later targets add to them without being counted here.
  get matched(): number {
    return this.#watch.matched;
  }

  get filter(): Filter | undefined {
    return this.#watch.pair.filter;
  }

  get notrace(): Filter | undefined {
    return this.#watch.pair.notrace;
  }

  /// Replaces the functions to watch; none, `undefined` or `[]`: all. Calls under way end as they began. Returns how many functions
  /// match both filters now. Throws TypeError for what is no filter, and nothing has changed then.
  setFilter(filter?: Filter): number {
    return this.#set({ filter });
  }

  /// The same for the functions not to watch; none: watch all that the filter has.
  setNotrace(notrace?: Filter): number {
    return this.#set({ notrace });
  }

  /// The tasks to watch, `set_ftrace_pid`; `undefined`: all. An empty list is one that `functionFork` has emptied, as its tasks
  /// exited, and means none.
  get pids(): readonly number[] | undefined {
    return this.#pids.pids;
  }

  /// The tasks not to watch, `set_ftrace_notrace_pid`.
  get notracePids(): readonly number[] {
    return this.#pids.notracePids ?? [];
  }

  /// Replaces the tasks to watch, those to come included; `undefined` or `[]`: all. Calls under way end as they began. Throws
  /// TypeError or RangeError for what is no list of pids; ENOSPC: 12 clients of entries alone have pid filters. Nothing has changed
  /// then.
  setPids(pids?: readonly number[]): void {
    this.#setPids({ ...this.#pids, pids: checkPids('setPids', pids) });
  }

  /// The same for the tasks not to watch, who are passed over even if `pids` has them.
  setNotracePids(pids?: readonly number[]): void {
    this.#setPids({ ...this.#pids, notracePids: checkPids('setNotracePids', pids) });
  }

  #setPids(filter: PidFilter): void {
    roomToBegin();
    if (this.#isWatching) this.#users.setPids(this.#watch, filter);
    this.#pids = filter;
  }

  #set(change: FilterPair): number {
    const pair = copyPair({ ...this.#watch.pair, ...change });
    roomToBegin();
    this.checkFilters(pair);
    this.#watch.edit(pair);
    this.filtersChanged();
    return this.#watch.matched;
  }

  /// For who cannot watch every function. Throws what `setFilter` and `setNotrace` are to throw.
  protected checkFilters(_pair: FilterPair): void {}

  /// For who has more to do then.
  protected filtersChanged(): void {}

  protected get halves(): FilterHalves<TargetSite> {
    return this.#watch.halves;
  }

  protected beginWatching(): void {
    this.#users.setPids(this.#watch, this.#pids);
    this.#isWatching = true;
    this.#users.add(this.#watch);
  }

  /// Ends with the client: `unregister` tells the engine that it goes.
  protected endWatching(unregister: () => void): void {
    this.#isWatching = false;
    this.#users.remove(this.#watch, unregister);
  }
}

/// Functions of a target that are told to the engine one by one: setting a filter looks at those of all targets.
const FEW = 100;

export class Users {
  readonly #engine: Engine;
  readonly #targets = new Set<Target>();
  /// Removed, but calls of theirs are under way that may end without notice.
  readonly #leaving = new Set<Target>();
  readonly #watches = new Set<Watching>();
  readonly #rules = new Set<Rule>();
  /// Whoever has marked sites by himself.
  readonly #holders = new Set<object>();

  readonly #pids: Pids;
  #enabled = true;

  constructor(engine: Engine, tasks: Tasks) {
    this.#engine = engine;
    this.#pids = new Pids(engine, tasks);
  }

  /// Makes `filter` that of a client that is registered. Throws ENOSPC.
  setPids(watch: Watching, filter: PidFilter): void {
    if (filter.pids ?? filter.notracePids) this.#pids.set(watch, filter);
    else this.#pids.remove(watch);
  }

  /// Whether pid filters follow tasks that fork and exit.
  get followsForks(): boolean {
    return this.#pids.follows;
  }
  set followsForks(on: boolean) {
    this.#pids.follows = on;
  }

  /// Whether gates are open at all.
  get enabled(): boolean {
    return this.#enabled;
  }

  /// Opens the gates of what is watched, or closes all. Throws EBUSY while ops that are permanent are registered.
  setEnabled(on: boolean): void {
    roomToBegin();
    this.settle();
    this.#engine.enable(on);
    this.#enabled = on;
    this.#updateGates();
  }

  get targets(): ReadonlySet<Target> {
    return this.#targets;
  }

  /// Brings the shadow stack up to date: whoever reads what was recorded, or changes who records, does this first.
  settle(): void {
    for (const target of this.#targets) target.settle();
    for (const target of this.#leaving) if (target.settle()) this.#leaving.delete(target);
  }

  /// Hands the filters of `watch` to the engine and opens the gates of all functions that match.
  add(watch: Watching): void {
    this.settle();
    this.#watches.add(watch);
    this.refilter(watch);
  }

  /// `unregister` makes the engine forget the client of `watch`, whether that was ever added or not.
  remove(watch: Watching, unregister: () => void): void {
    const watched = this.#watches.delete(watch);
    if (watched) this.settle();
    this.#pids.remove(watch);
    unregister();
    if (watched) this.#updateGates();
  }

  /// Hands the filters of `watch` to the engine again, since they changed; one that was not added only counts anew. Throws ENOMEM,
  /// and all is as it was then.
  refilter(watch: Watching): void {
    if (!this.#watches.has(watch)) {
      watch.matched = this.#count(watch.halves);
      return;
    }
    watch.matched = this.#hand(watch.halves, watch.client);
    this.#updateGates();
  }

  /// Marks all functions that `rule` matches, now and in targets to come.
  addRule(rule: Rule): void {
    this.#rules.add(rule);
    rule.matched = 0;
    for (const target of this.#targets) rule.matched += this.#mark(target, rule);
  }

  removeRule(rule: Rule): void {
    if (!this.#rules.delete(rule)) return;
    for (const { sites } of this.#targets) for (const { id } of sites) rule.mark(id, false);
  }

  /// `holder` has marked sites as wanted: opens their gates.
  hold(holder: object): void {
    this.#holders.add(holder);
    this.#updateGates();
  }

  /// `holder` has taken his marks back.
  release(holder: object): void {
    if (this.#holders.delete(holder)) this.#updateGates();
  }

  addTarget(target: Target): void {
    this.#targets.add(target);
    for (const watch of this.#watches) this.#extend(watch, target);
    for (const rule of this.#rules) this.#mark(target, rule);
    this.#updateGates();
  }

  removeTarget(target: Target): void {
    if (!this.#targets.delete(target)) return;
    if (target.sites.length > 0) this.#engine.exports.site_unload(target.firstSite, target.sites.length);
    this.#openGates(target);
    target.setWatched(false);
    if (!target.settle()) this.#leaving.add(target);
  }

  /// Adds the functions of a new target to the filters of `watch`.
  #extend({ halves, client }: Watching, { sites }: Target): void {
    if (sites.length > FEW) {
      this.#hand(halves, client);
      return;
    }
    for (const site of sites) {
      if (halves.filter?.(site)) this.#engine.addToFilter(client, site.id);
      if (halves.notrace?.(site)) this.#engine.addToNotrace(client, site.id);
    }
  }

  /// Hands both halves of a filter to the engine, evaluated for all functions. Returns how many match.
  #hand(halves: FilterHalves<TargetSite>, client: number): number {
    const filter: number[] | undefined = halves.filter && [];
    const notrace: number[] | undefined = halves.notrace && [];
    let matched = 0;
    for (const { sites } of this.#targets) {
      for (const site of sites) {
        const isIn = !halves.filter || halves.filter(site);
        const isOut = halves.notrace?.(site) ?? false;
        if (isIn) filter?.push(site.id);
        if (isOut) notrace?.push(site.id);
        if (isIn && !isOut) matched++;
      }
    }
    this.#engine.setFilter(client, filter, notrace);
    return matched;
  }

  #count(halves: FilterHalves<TargetSite>): number {
    let matched = 0;
    for (const { sites } of this.#targets) for (const site of sites) if (isMatch(halves, site)) matched++;
    return matched;
  }

  #mark(target: Target, { halves, mark }: Rule): number {
    let matched = 0;
    for (const site of target.sites) {
      const marked = isMatch(halves, site);
      if (marked) matched++;
      mark(site.id, marked);
    }
    return matched;
  }

  #updateGates(): void {
    // Landing pads and roots first: a gate that opens before them could leave a frame that nobody drops.
    const watched = this.#watches.size + this.#holders.size > 0;
    if (watched) for (const target of this.#targets) target.setWatched(true);
    for (const target of this.#targets) this.#openGates(target);
    if (!watched) for (const target of this.#targets) target.setWatched(false);
  }

  #openGates(target: Target): void {
    const { memory } = this.#engine;
    const words = new Uint32Array((target.sites.length + 31) >>> 5);
    target.sites.forEach((site, k) => {
      if (this.#enabled && memory.siteUsers(site.id) !== 0) words[k >>> 5] |= 1 << (k & 31);
    });
    target.setGates(words);
  }
}
