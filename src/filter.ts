// Which functions a user wants: the two halves of an ops' hash pair (spec/fgraph.md §1.2), as globs.

import { badType, NoMatchError, shown } from './errors.ts';
import { compileGlob } from './glob.ts';
import { readArray } from './options.ts';
import type { Named } from './symbols/function-name.ts';
import { nearestNames } from './symbols/nearest.ts';

/// Globs as in spec/fprobe.md §3.1, one or several; a function matches when any of them does. No glob at all, `undefined`
/// or an empty list, is the empty filter: every function.
export type Filter = string | readonly string[];

export interface FilterPair {
  /// Functions to watch; empty = all.
  readonly filter?: Filter;
  /// Functions not to watch, whatever `filter` says; empty = none.
  readonly notrace?: Filter;
}

interface Glob {
  readonly pattern: string;
  readonly matches: (symbol: Named) => boolean;
}

/// A name as it was printed selects its function even where it reads as another glob: `func[12]`, `operator[]`.
function compilePattern(pattern: string): Glob {
  const glob = compileGlob(pattern);
  const test = (name: string): boolean => name === pattern || glob(name);
  return { pattern, matches: ({ name, aliases }) => test(name) || (aliases?.some(test) ?? false) };
}

function globs(what: keyof FilterPair, filter: Filter | undefined): Glob[] {
  if (filter === undefined) return [];
  const patterns = typeof filter === 'string' ? [filter] : readArray(what, filter);
  const wrong = patterns ? patterns.findIndex((pattern) => typeof pattern !== 'string') : 0;
  if (patterns && wrong < 0) return (patterns as string[]).map(compilePattern);
  const [where, value] = patterns ? [`${what}[${wrong}]`, patterns[wrong]] : [what, filter];
  throw badType(`${where} is ${shown(value)}, expected a glob or an array of globs`);
}

export type Match = (symbol: Named) => boolean;

/// The two halves of a pair, `undefined` where there is no glob: that is the empty hash, of which every function is in the filter
/// and none in the notrace. A glob that matches nothing is not that.
export interface FilterHalves<Site = Named> {
  readonly filter: ((site: Site) => boolean) | undefined;
  readonly notrace: ((site: Site) => boolean) | undefined;
}

function anyOf(what: keyof FilterPair, filter: Filter | undefined): Match | undefined {
  const matches = globs(what, filter).map((glob) => glob.matches);
  return matches.length === 0 ? undefined : (symbol) => matches.some((match) => match(symbol));
}

/// A glob matches a function when it matches its name in any form. Throws TypeError for what is not a glob.
export function compileHalves({ filter, notrace }: FilterPair): FilterHalves {
  return { filter: anyOf('filter', filter), notrace: anyOf('notrace', notrace) };
}

/// The match rule of spec/fgraph.md §1.2: (filter empty or in filter) and (notrace empty or not in notrace).
export function isMatch<Site>({ filter, notrace }: FilterHalves<Site>, site: Site): boolean {
  return (!filter || filter(site)) && !notrace?.(site);
}

/// Both at once.
export function compileFilter(pair: FilterPair): Match {
  const halves = compileHalves(pair);
  return (symbol) => isMatch(halves, symbol);
}

/// Throws `NoMatchError` for the first glob, of either half, that matches none of `functions`: it is misspelt. TypeError for
/// what is not a glob.
export function checkFilter({ filter, notrace }: FilterPair, functions: readonly Named[]): void {
  for (const { pattern, matches } of [...globs('filter', filter), ...globs('notrace', notrace)]) {
    if (!functions.some(matches)) throw new NoMatchError(pattern, nearestNames(pattern, functions));
  }
}
