// The function profiler (spec/fgraph.md §13): a built-in user that counts calls and adds up times per function.

import * as layout from '../assembly/layout.ts';
import type { Engine } from './engine.ts';
import type { Filter, FilterPair } from './filter.ts';
import type { Symbols } from './graph.ts';
import { checkOptions } from './options.ts';
import { type ProfileRow, profileText } from './trace/profile-text.ts';
import { type Users, Watch } from './users.ts';

/// What was counted for one function. Times are in units of the tracer's clock: nanoseconds with `mono`.
export interface FunctionStatistics {
  readonly site: number;
  readonly name: string;
  /// Calls that ended, by returning or otherwise.
  readonly count: number;
  readonly total: number;
  /// `total` without the recorded calls below it.
  readonly self: number;
  readonly average: number;
  /// The longest single call.
  readonly max: number;
}

export class Profiler {
  readonly #engine: Engine;
  readonly #users: Users;
  readonly #symbols: Symbols;
  readonly #index: number;
  readonly #watch: Watch;
  #last: FunctionStatistics[] | undefined;

  /// Use `Tracer.startProfile`.
  constructor(engine: Engine, users: Users, symbols: Symbols, options: FilterPair) {
    checkOptions('startProfile', options, ['filter', 'notrace']);
    this.#watch = new Watch(users, options, (site, wanted) => {
      engine.exports.site_want(site, this.#index, wanted ? 1 : 0);
    });
    this.#engine = engine;
    this.#users = users;
    this.#symbols = symbols;
    this.#index = engine.registerFgraph(layout.GOPS_PROFILE, 0, 0, 0);
    users.add(this.#watch);
  }

  /// Functions that the filter matched when it was last set; later targets add to them without being counted here.
  get matched(): number {
    return this.#watch.matched;
  }

  get filter(): Filter | undefined {
    return this.#watch.filter;
  }

  get notrace(): Filter | undefined {
    return this.#watch.notrace;
  }

  /// Replaces the functions to watch; none: all. Calls under way end as they began. Returns how many functions match now.
  setFilter(filter?: Filter): number {
    return this.#watch.set({ filter });
  }

  /// Replaces the functions not to watch.
  setNotrace(notrace?: Filter): number {
    return this.#watch.set({ notrace });
  }

  /// The functions that were called, those with the largest self time first. After `unregister`: as they were then.
  rows(): FunctionStatistics[] {
    return this.#last ?? this.#read();
  }

  #read(): FunctionStatistics[] {
    this.#users.settle();
    const { memory } = this.#engine;
    const rows: FunctionStatistics[] = [];
    // Of all targets, those that were detached too.
    for (let site = 0; site < memory.siteCount(); site++) {
      const { count, total, self, max } = memory.statistics(this.#index, site);
      if (count === 0) continue;
      rows.push({ site, name: this.#symbols.symbol(site), count, total, self, average: total / count, max });
    }
    return rows.sort((a, b) => b.self - a.self || b.total - a.total);
  }

  /// The table as the kernel's `trace_stat/function0` prints it, sorted by time.
  text(): string {
    return profileText(this.rows().map(({ name, count, total }): ProfileRow => ({ name, hits: count, time: total })));
  }

  /// Zeroes all counts.
  clear(): void {
    if (this.#last) this.#last = [];
    else this.#engine.exports.stats_clear(this.#index);
  }

  /// Stops counting; the counts can still be read.
  unregister(): void {
    if (this.#last) return;
    this.#last = this.#read();
    this.#users.remove(this.#watch);
    this.#engine.exports.fgraph_unregister(this.#index);
  }
}
