// The manager of spec/fgraph.md §1.5: who wants which site. A user's filter is evaluated once per function, when the user
// registers, edits the filter, or the target arrives; what remains of it are bits in the site table, and a gate that is open
// while any bit is set.

import type { Engine } from './engine.ts';
import { compileFilter, type Filter, type FilterPair } from './filter.ts';
import type { Named } from './symbols/function-name.ts';
import type { Target } from './target/target.ts';

export type Match = (symbol: Named) => boolean;

/// The caller's array may change later.
const copy = (filter: Filter | undefined): Filter | undefined => (Array.isArray(filter) ? [...filter] : filter);

/// Somebody who wants some of the sites.
export interface Watching {
  readonly match: Match;
  /// Functions that matched when that was last asked for all.
  matched: number;
  /// Marks a site as wanted, or not.
  readonly want: (site: number, wanted: boolean) => void;
}

/// One user's filter pair, and the marks that it left on the sites.
export class Watch implements Watching {
  matched = 0;
  readonly want: (site: number, wanted: boolean) => void;
  readonly #users: Users;
  #pair: FilterPair;
  #match: Match;

  /// Made by `Users.watch`; takes effect with `begin`.
  constructor(users: Users, pair: FilterPair, want: (site: number, wanted: boolean) => void) {
    this.#users = users;
    this.#match = compileFilter(pair);
    this.#pair = { filter: copy(pair.filter), notrace: copy(pair.notrace) };
    this.want = want;
  }

  get match(): Match {
    return this.#match;
  }

  get filter(): Filter | undefined {
    return this.#pair.filter;
  }

  get notrace(): Filter | undefined {
    return this.#pair.notrace;
  }

  /// Takes over the fields that `change` has; the others stay. Returns the number of functions that match. Calls under way are
  /// left as they were entered. Throws TypeError for what is no filter, and nothing has changed then.
  set(change: FilterPair): number {
    const pair = { ...this.#pair, ...change };
    const before = this.#match;
    this.#match = compileFilter(pair);
    try {
      this.matched = this.#users.mark(this);
    } catch (error) {
      this.#match = before;
      this.#users.mark(this);
      throw error;
    }
    this.#pair = { filter: copy(pair.filter), notrace: copy(pair.notrace) };
    return this.matched;
  }
}

/// A user as its owner holds it: its filters can be read and edited.
export abstract class Watcher {
  readonly #watch: Watch;
  readonly #users: Users;

  constructor(users: Users, pair: FilterPair) {
    this.#users = users;
    this.#watch = new Watch(users, pair, (site, wanted) => this.want(site, wanted));
  }

  /// Functions that the filters matched when they were last set; later targets add to them without being counted here.
  get matched(): number {
    return this.#watch.matched;
  }

  get filter(): Filter | undefined {
    return this.#watch.filter;
  }

  get notrace(): Filter | undefined {
    return this.#watch.notrace;
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

  #set(change: FilterPair): number {
    const matched = this.#watch.set(change);
    this.filtersChanged();
    return matched;
  }

  /// For who has more to do then.
  protected filtersChanged(): void {}

  /// Tells the engine.
  protected abstract want(site: number, wanted: boolean): void;

  protected get match(): Match {
    return this.#watch.match;
  }

  protected beginWatching(): void {
    this.#users.add(this.#watch);
  }

  protected endWatching(): void {
    this.#users.remove(this.#watch);
  }
}

export class Users {
  readonly #engine: Engine;
  readonly #targets = new Set<Target>();
  /// Removed, but calls of theirs are under way that may end without notice.
  readonly #leaving = new Set<Target>();
  readonly #watches = new Set<Watching>();
  /// They mark functions too, but nobody watches by them.
  readonly #rules = new Set<Watching>();
  /// Whoever has marked sites by himself.
  readonly #holders = new Set<object>();

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  get targets(): ReadonlySet<Target> {
    return this.#targets;
  }

  /// Brings the shadow stack up to date: whoever reads what was recorded, or changes who records, does this first.
  settle(): void {
    for (const target of this.#targets) target.settle();
    for (const target of this.#leaving) if (target.settle()) this.#leaving.delete(target);
  }

  /// Opens the gates of all functions that `watch` matches.
  add(watch: Watching): void {
    this.settle();
    this.#watches.add(watch);
    watch.matched = this.mark(watch);
  }

  remove(watch: Watching): void {
    if (!this.#watches.delete(watch)) return;
    this.settle();
    for (const target of this.#targets) this.#unmark(target, watch);
    this.#updateGates();
  }

  /// Marks all functions that `rule` matches, now and in targets to come, without watching them.
  addRule(rule: Watching): void {
    this.#rules.add(rule);
    rule.matched = this.mark(rule);
  }

  removeRule(rule: Watching): void {
    if (!this.#rules.delete(rule)) return;
    for (const target of this.#targets) this.#unmark(target, rule);
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

  /// Goes through all functions again, since the filter of `watch` changed. Returns how many match.
  mark(watch: Watching): number {
    if (!this.#watches.has(watch) && !this.#rules.has(watch)) return 0;
    let matched = 0;
    for (const target of this.#targets) matched += this.#mark(target, watch);
    this.#updateGates();
    return matched;
  }

  addTarget(target: Target): void {
    this.#targets.add(target);
    for (const watch of this.#watches) this.#mark(target, watch);
    for (const rule of this.#rules) this.#mark(target, rule);
    this.#updateGates();
  }

  removeTarget(target: Target): void {
    if (!this.#targets.delete(target)) return;
    for (const watch of this.#watches) this.#unmark(target, watch);
    if (target.sites.length > 0) this.#engine.exports.fprobe_unload(target.firstSite, target.sites.length);
    this.#openGates(target);
    target.setWatched(false);
    if (!target.settle()) this.#leaving.add(target);
  }

  #mark(target: Target, { match, want }: Watching): number {
    let matched = 0;
    for (const site of target.sites) {
      const wanted = match(site);
      if (wanted) matched++;
      want(site.id, wanted);
    }
    return matched;
  }

  #unmark(target: Target, { want }: Watching): void {
    for (const site of target.sites) want(site.id, false);
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
      if (memory.siteUsers(site.id) !== 0) words[k >>> 5] |= 1 << (k & 31);
    });
    target.setGates(words);
  }
}
