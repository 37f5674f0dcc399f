// Which functions a user wants: the two halves of an ops' hash pair (spec/fgraph.md §1.2), as globs.

import { compileGlob } from './glob.ts';

/// Globs as in spec/fprobe.md §3.1, one or several; a function matches when any of them does. No glob at all, `undefined`
/// or an empty list, is the empty filter: every function.
export type Filter = string | readonly string[];

export interface FilterPair {
  /// Functions to watch; empty = all.
  readonly filter?: Filter;
  /// Functions not to watch, whatever `filter` says; empty = none.
  readonly notrace?: Filter;
}

/// A name as it was printed selects its function even where it reads as another glob: `func[12]`, `operator[]`.
function compilePattern(pattern: string): (name: string) => boolean {
  const glob = compileGlob(pattern);
  return (name) => name === pattern || glob(name);
}

function globs(what: keyof FilterPair, filter: Filter | undefined): ((name: string) => boolean)[] {
  if (filter === undefined) return [];
  const patterns: unknown = typeof filter === 'string' ? [filter] : filter;
  const wrong = Array.isArray(patterns) ? patterns.findIndex((pattern) => typeof pattern !== 'string') : 0;
  if (wrong < 0) return (patterns as string[]).map(compilePattern);
  const [where, value] = Array.isArray(patterns) ? [`${what}[${wrong}]`, patterns[wrong]] : [what, patterns];
  throw new TypeError(`${where} is ${String(value)} (${typeof value}), expected a glob or an array of globs`);
}

/// The match rule of spec/fgraph.md §1.2: (filter empty or in filter) and (notrace empty or not in notrace). Throws TypeError
/// for what is not a glob.
export function compileFilter({ filter, notrace }: FilterPair): (name: string) => boolean {
  const wanted = globs('filter', filter);
  const unwanted = globs('notrace', notrace);
  return (name) => (wanted.length === 0 || wanted.some((glob) => glob(name))) && !unwanted.some((glob) => glob(name));
}
