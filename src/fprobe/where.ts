// Which functions a probe is put on: by filter, by address, by name (spec/fprobe.md §3 to §5). Each way has its own order of
// checks, and of two things that are wrong the first one counts.

import { EngineError } from '../engine.ts';
import { isArray, nearestHint, shown } from '../errors.ts';
import { compileFilter, type Filter } from '../filter.ts';
import { readArray } from '../options.ts';
import type { Sites } from '../sites.ts';
import type { Named } from '../symbols/function-name.ts';
import { nearestNames } from '../symbols/nearest.ts';
import type { Target, TargetSite } from '../target/target.ts';

/// Exactly one of `filter`, `addresses`, `symbols`.
export interface FprobeWhere {
  /// Globs (spec/fprobe.md §3.1), one or several, over the functions of all targets so far.
  readonly filter?: Filter;
  /// With `filter`: globs of functions to leave out.
  readonly notfilter?: Filter;
  /// Addresses of sites, or of the first byte of functions that have one.
  readonly addresses?: readonly (number | bigint)[];
  /// Names of functions. The array is sorted in place.
  readonly symbols?: string[];
}

const invalid = (message: string): EngineError => new EngineError('EINVAL', message);

function* sitesOf(targets: Iterable<Target>): Generator<TargetSite> {
  for (const target of targets) yield* target.sites;
}

function globs(what: string, filter: unknown): (site: Named) => boolean {
  const list = readArray(what, filter) ?? [filter];
  if (list.length === 0) throw invalid(`${what} is an empty array, expected a glob or several`);
  const wrong = list.find((glob) => typeof glob !== 'string');
  if (wrong !== undefined || list.includes(undefined)) {
    throw invalid(`${what} is ${shown(isArray(filter) ? wrong : filter)}, expected a glob or an array of globs`);
  }
  return compileFilter({ filter: list as string[] });
}

/// The sites that `filter` matches and `notfilter` does not, in the order of the targets. Throws EINVAL for what is no glob,
/// ENOENT when there are none.
export function byFilter(targets: ReadonlySet<Target>, filter: unknown, notfilter: unknown): TargetSite[] {
  const wanted = globs('filter', filter);
  const unwanted = notfilter === undefined || notfilter === null ? () => false : globs('notfilter', notfilter);
  const found: TargetSite[] = [];
  for (const site of sitesOf(targets)) if (wanted(site) && !unwanted(site)) found.push(site);
  if (found.length > 0) return found;
  const list = readArray('filter', filter) ?? [filter];
  const nearest = list.length === 1 ? nearestNames(String(list[0]), [...sitesOf(targets)]) : [];
  throw new EngineError('ENOENT', `no function matches ${list.map(shown).join(', ')}${nearestHint(nearest)}`);
}

/// The sites at `addresses`, in their order. Throws EINVAL for none, ENOENT for the first that is no site's.
export function byAddress(sites: Sites, addresses: readonly unknown[]): TargetSite[] {
  return addresses.map((address) => {
    const isAddress = typeof address === 'number' || typeof address === 'bigint';
    const site = isAddress ? sites.at(address) : undefined;
    if (site) return site;
    const text = isAddress && address >= 0 ? `0x${address.toString(16)}` : shown(address);
    throw new EngineError('ENOENT', `no function that can be probed begins at ${text}`);
  });
}

/// Throws EINVAL for what is no list of addresses.
export function checkAddresses(addresses: unknown): asserts addresses is readonly unknown[] {
  if (isArray(addresses) && addresses.length > 0) return;
  throw invalid(`addresses is ${isArray(addresses) ? 'an empty array' : shown(addresses)}, expected at least one`);
}

/// In the order of their bytes in UTF-8, which is that of the code points.
function byBytes(a: string, b: string): number {
  const [left, right] = [[...a], [...b]];
  const k = left.findIndex((character, at) => character !== right[at]);
  if (k < 0 || k >= right.length) return left.length - right.length;
  return left[k].codePointAt(0)! - right[k].codePointAt(0)!;
}

/// The site of each name, the first of the targets that has it. Sorts `symbols`. Throws EINVAL for what is no array of names,
/// ENOENT for a name that there is not, or that is listed twice.
export function bySymbol(targets: ReadonlySet<Target>, symbols: unknown): TargetSite[] {
  const given = readArray('symbols', symbols);
  if (!given || given.length === 0) {
    throw invalid(`symbols is ${given ? 'an empty array' : shown(symbols)}, expected at least one name`);
  }
  const wrong = given.findIndex((name) => typeof name !== 'string');
  if (wrong >= 0) throw invalid(`symbols[${wrong}] is ${shown(given[wrong])}, expected a name`);
  const names = (given as readonly string[]).toSorted(byBytes);
  if (!Object.isFrozen(symbols)) Object.assign(symbols as string[], names);
  const twice = names.find((name, k) => k > 0 && names[k - 1] === name);
  const open = new Set(names);
  const found = new Map<string, TargetSite>();
  for (const site of sitesOf(targets)) {
    if (open.size === 0) break;
    for (const name of [site.name, ...(site.aliases ?? [])]) if (open.delete(name)) found.set(name, site);
  }
  const [missing] = open;
  if (missing !== undefined) {
    const nearest = nearestNames(missing, [...sitesOf(targets)]);
    const what = `no function that can be probed is called ${shown(missing)}`;
    throw new EngineError('ENOENT', what + nearestHint(nearest));
  }
  if (twice !== undefined) throw new EngineError('ENOENT', `${shown(twice)} is listed twice, each name counts once`);
  return names.map((name) => found.get(name)!);
}
