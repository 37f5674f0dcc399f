// The function profiler (spec/fgraph.md §13): a built-in user that counts calls and adds up times per function.

import * as layout from '../assembly/layout.ts';
import type { Engine } from './engine.ts';
import type { FilterPair } from './filter.ts';
import type { Symbols } from './graph.ts';
import { checkBoolean, checkThreshold, readOptions } from './options.ts';
import { roomToEnd } from './stack.ts';
import { type ProfileRow, profileText } from './trace/profile-text.ts';
import { type Users, Watcher } from './users.ts';

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

export interface ProfileOptions extends FilterPair {
  /// `graph-time`: false makes `text` show the time that functions took themselves, without the profiled calls below them. Default
  /// true.
  readonly graphTime?: boolean;
  /// `sleep-time`: false does not count time during which the task was not the current one. Default true.
  readonly sleepTime?: boolean;
  /// `tracing_thresh`: `text` leaves out functions whose calls took less than that on average, in units of the clock. Default 0.
  readonly threshold?: number;
}

export class Profiler extends Watcher {
  readonly #engine: Engine;
  readonly #users: Users;
  readonly #symbols: Symbols;
  readonly #index: number;
  readonly #graphTime: boolean;
  readonly #threshold: number;
  #last: FunctionStatistics[] | undefined;

  /// Use `Tracer.startProfile`.
  constructor(engine: Engine, users: Users, symbols: Symbols, options: ProfileOptions) {
    const read = readOptions('startProfile', options, ['filter', 'notrace', 'graphTime', 'sleepTime', 'threshold']);
    super(users, read, () => this.#index);
    this.#engine = engine;
    this.#users = users;
    this.#symbols = symbols;
    const { graphTime = true, sleepTime = true, threshold = 0 } = read;
    checkBoolean('graphTime', graphTime);
    checkBoolean('sleepTime', sleepTime);
    checkThreshold(threshold);
    this.#graphTime = graphTime;
    this.#threshold = threshold;
    this.#index = engine.registerFgraph(layout.GOPS_PROFILE, 0, 0, 0);
    engine.exports.graph_options(this.#index, sleepTime ? 0 : layout.GRAPH_SKIP_SLEEP, 0);
    try {
      this.beginWatching();
    } catch (error) {
      this.unregister();
      throw error;
    }
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
    const time = this.#graphTime ? 'total' : 'self';
    const rows = this.rows().map((row): ProfileRow => ({ name: row.name, hits: row.count, time: row[time] }));
    return profileText(rows, this.#threshold);
  }

  /// Zeroes all counts.
  clear(): void {
    if (this.#last) this.#last = [];
    else this.#engine.exports.stats_clear(this.#index);
  }

  /// Stops counting; the counts can still be read.
  unregister(): void {
    if (this.#last) return;
    roomToEnd();
    this.#last = this.#read();
    this.endWatching(() => this.#engine.exports.fgraph_unregister(this.#index));
  }
}
