// Handlers that are built into the engine (assembly/fprobe/builtin.ts): what they are asked for, and what they kept, read from
// the engine's memory.

import * as fprobeLayout from '../../assembly/fprobe/layout.ts';
import * as layout from '../../assembly/layout.ts';
import { badRange, badType, shown } from '../errors.ts';
import type { Memory } from '../memory.ts';
import { readOptions } from '../options.ts';
import type { TargetSite } from '../target/target.ts';

export interface Builtin {
  /// What is kept of the values, for each function: how many and their sum (`count`), with a histogram of powers of two (`log2`) or
  /// of equal steps (`linear`), with the values that came first or last.
  readonly keep: 'count' | 'log2' | 'linear' | 'first' | 'last';
  /// What the values are: none, calls are counted (`hits`, only with `count`); the time from entry to exit in units of the
  /// tracer's clock; the first word of the result; the argument of this number, from 0 to 31. Default `hits`.
  readonly of?: 'hits' | 'latency' | 'result' | number;
  /// Arguments and results are 64-bit words; an i32 is read as unsigned unless this says otherwise. Default false.
  readonly signed?: boolean;
  /// Of `linear`: the lower end of the first bucket, the width of each, and how many, 1 to 1024. Defaults 0, 1, 64.
  readonly min?: number;
  readonly step?: number;
  readonly buckets?: number;
  /// Of `first` and `last`: how many, 1 to 1024. Default 16.
  readonly values?: number;
}

/// A word as a number, beyond 2^53 as a bigint.
export type Value = number | bigint;

export interface Bucket {
  /// The values from `from` up to, but not including, `to`; infinite at the ends.
  readonly from: number;
  readonly to: number;
  readonly count: number;
}

/// What was kept for one function.
export interface FprobeRow {
  readonly site: number;
  readonly ip: TargetSite['ip'];
  readonly name: string;
  readonly count: number;
  readonly sum: Value;
  /// Of `log2` and `linear`: from the lowest bucket that has something in it to the highest.
  readonly buckets?: readonly Bucket[];
  /// Of `first` and `last`, oldest first.
  readonly values?: readonly Value[];
}

const KNOWN = ['keep', 'of', 'signed', 'min', 'step', 'buckets', 'values'];

const KINDS: Readonly<Record<string, number>> = {
  count: fprobeLayout.FPROBE_KIND_COUNT,
  log2: fprobeLayout.FPROBE_KIND_LOG2,
  linear: fprobeLayout.FPROBE_KIND_LINEAR,
  first: fprobeLayout.FPROBE_KIND_FIRST,
  last: fprobeLayout.FPROBE_KIND_LAST,
};

/// Which values of `keep` an option says something to.
const KEPT_BY: Readonly<Record<string, readonly string[]>> = {
  min: ['linear'],
  step: ['linear'],
  buckets: ['linear'],
  values: ['first', 'last'],
};

const SOURCES: Readonly<Record<string, number>> = {
  hits: fprobeLayout.FPROBE_SOURCE_HIT,
  result: fprobeLayout.FPROBE_SOURCE_RESULT,
  latency: fprobeLayout.FPROBE_SOURCE_LATENCY,
};

/// What the request of a registration says of a built-in handler.
export interface BuiltinRequest {
  readonly kind: number;
  readonly source: number;
  readonly index: number;
  readonly cells: number;
  readonly min: number;
  readonly step: number;
}

const isInteger = (value: unknown, from: number, to: number): value is number =>
  Number.isInteger(value) && (value as number) >= from && (value as number) <= to;

function option(what: string, value: unknown, from: number, to: number): number {
  if (isInteger(value, from, to)) return value;
  throw badRange(`builtin.${what} is ${shown(value)}, expected an integer from ${from} to ${to}`);
}

/// Throws TypeError or RangeError for what is no such handler.
export function builtinRequest(builtin: Builtin): BuiltinRequest {
  const read = readOptions('builtin', builtin, KNOWN);
  const { keep, of = 'hits', signed = false, min = 0, step = 1, buckets = 64, values = 16 } = read;
  const kind = typeof keep === 'string' && Object.hasOwn(KINDS, keep) ? KINDS[keep] : undefined;
  if (kind === undefined) throw badRange(`builtin.keep is ${shown(keep)}, expected ${Object.keys(KINDS).join(', ')}`);
  const isArgument = isInteger(of, 0, layout.FREGS_MAX - 1);
  const source = isArgument
    ? fprobeLayout.FPROBE_SOURCE_ARGUMENT
    : typeof of === 'string' && Object.hasOwn(SOURCES, of)
      ? SOURCES[of]
      : undefined;
  if (source === undefined) {
    const names = Object.keys(SOURCES).join(', ');
    throw badRange(`builtin.of is ${shown(of)}, expected ${names}, or an argument from 0 to ${layout.FREGS_MAX - 1}`);
  }
  if (source === fprobeLayout.FPROBE_SOURCE_HIT && keep !== 'count') {
    throw badRange(
      `builtin.of is 'hits', which has no value to keep ${keep} of; expected latency, result or an argument`,
    );
  }
  if (typeof signed !== 'boolean') throw badType(`builtin.signed is ${shown(signed)}, expected true or false`);
  if (signed && !isArgument && of !== 'result') {
    throw badRange(`builtin.signed is for arguments and results, of is ${shown(of)}`);
  }
  for (const [name, keeps] of Object.entries(KEPT_BY)) {
    if (keeps.includes(keep) || read[name as keyof Builtin] === undefined) continue;
    throw badRange(`builtin.${name} is for keep ${keeps.join(' and ')}, here it is ${keep}`);
  }
  const safe = Number.MAX_SAFE_INTEGER;
  return {
    kind,
    source: source | (signed ? fprobeLayout.FPROBE_SOURCE_SIGNED32 : 0),
    index: isArgument ? of : 0,
    min: option('min', min, -safe, safe),
    step: option('step', step, 1, safe),
    cells:
      keep === 'linear'
        ? option('buckets', buckets, 1, fprobeLayout.FPROBE_CELLS_MAX)
        : option('values', values, 1, fprobeLayout.FPROBE_CELLS_MAX),
  };
}

function value(word: bigint): Value {
  const signed = BigInt.asIntN(64, word);
  const number = Number(signed);
  return Number.isSafeInteger(number) ? number : signed;
}

/// Lower end of bucket `k`.
function lowerEnd({ kind, min, step }: BuiltinRequest, k: number): number {
  if (k === 0) return Number.NEGATIVE_INFINITY;
  if (kind === fprobeLayout.FPROBE_KIND_LINEAR) return min + (k - 1) * step;
  return k === 1 ? 0 : 2 ** (k - 2);
}

function bucketsOf(request: BuiltinRequest, cells: BigUint64Array): Bucket[] {
  const buckets = Array.from(cells, (count, k) => ({
    from: lowerEnd(request, k),
    to: k + 1 < cells.length ? lowerEnd(request, k + 1) : Number.POSITIVE_INFINITY,
    count: Number(count),
  }));
  const first = buckets.findIndex(({ count }) => count > 0);
  const last = buckets.findLastIndex(({ count }) => count > 0);
  return first < 0 ? [] : buckets.slice(first, last + 1);
}

/// What a registered probe, whose record is at `probe`, kept for each of its sites; those without a value are left out.
export function readRows(
  memory: Memory,
  probe: number,
  request: BuiltinRequest,
  site: (id: number) => TargetSite,
): FprobeRow[] {
  const nodes = memory.load32(probe + fprobeLayout.FPROBE_NODES);
  const rows = memory.load32(probe + fprobeLayout.FPROBE_ROWS);
  const size = memory.load32(probe + fprobeLayout.FPROBE_ROW_SIZE);
  const found: FprobeRow[] = [];
  for (let k = 0; k < memory.load32(probe + fprobeLayout.FPROBE_NODE_COUNT); k++) {
    const words = memory.u64.subarray((rows + k * size) >>> 3, (rows + (k + 1) * size) >>> 3);
    const count = Number(words[fprobeLayout.ROW_COUNT >>> 3]);
    if (count === 0) continue;
    const { id, ip, name } = site(memory.load32(nodes + k * fprobeLayout.NODE_SIZE + fprobeLayout.NODE_SITE));
    const row = { site: id, ip, name, count, sum: value(words[fprobeLayout.ROW_SUM >>> 3]) };
    const cells = words.subarray(fprobeLayout.ROW_CELLS >>> 3);
    if (request.kind === fprobeLayout.FPROBE_KIND_COUNT) found.push(row);
    else if (request.kind <= fprobeLayout.FPROBE_KIND_LINEAR)
      found.push({ ...row, buckets: bucketsOf(request, cells) });
    else found.push({ ...row, values: valuesOf(request, cells, count) });
  }
  return found;
}

function valuesOf({ kind }: BuiltinRequest, cells: BigUint64Array, count: number): Value[] {
  const values = Array.from(cells.subarray(0, Math.min(count, cells.length)), value);
  if (kind === fprobeLayout.FPROBE_KIND_FIRST || count <= cells.length) return values;
  const oldest = count % cells.length;
  return [...values.slice(oldest), ...values.slice(0, oldest)];
}
