// The manager of spec/fgraph.md §1.5: who wants which site. Each user's filter is evaluated once per function, when the user
// registers or the target arrives; what remains of it are bits in the site table, and a gate that is open while any bit is set.

import type { Engine } from './engine.ts';
import type { Named } from './symbols/function-name.ts';
import type { Target } from './target/target.ts';

export class Users {
  readonly #engine: Engine;
  readonly #targets = new Set<Target>();
  /// Removed, but calls of theirs are under way that may end without notice.
  readonly #leaving = new Set<Target>();
  /// Function-graph user index → its match rule.
  readonly #users = new Map<number, (symbol: Named) => boolean>();

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

  /// Opens the gates of all functions that `matches` for user `index`. Returns how many there are.
  add(index: number, matches: (symbol: Named) => boolean): number {
    this.settle();
    this.#users.set(index, matches);
    let matched = 0;
    for (const target of this.#targets) matched += this.#mark(target, index, matches);
    this.#updateGates();
    return matched;
  }

  remove(index: number): void {
    if (!this.#users.delete(index)) return;
    this.settle();
    for (const target of this.#targets) this.#mark(target, index, () => false);
    this.#updateGates();
  }

  addTarget(target: Target): void {
    this.#targets.add(target);
    for (const [index, matches] of this.#users) this.#mark(target, index, matches);
    this.#updateGates();
  }

  removeTarget(target: Target): void {
    if (!this.#targets.delete(target)) return;
    for (const index of this.#users.keys()) this.#mark(target, index, () => false);
    this.#openGates(target);
    target.setWatched(false);
    if (!target.settle()) this.#leaving.add(target);
  }

  #mark(target: Target, index: number, matches: (symbol: Named) => boolean): number {
    const { exports } = this.#engine;
    let matched = 0;
    for (const site of target.sites) {
      const wanted = matches(site);
      if (wanted) matched++;
      exports.site_want(site.id, index, wanted ? 1 : 0);
    }
    return matched;
  }

  #updateGates(): void {
    // Landing pads and roots first: a gate that opens before them could leave a frame that nobody drops.
    const watched = this.#users.size > 0;
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
