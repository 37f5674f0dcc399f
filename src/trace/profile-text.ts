// The function profiler's table, as `trace_stat/functionN` shows it (spec/tracefs.md §15):
//
//   Function                               Hit    Time            Avg             s^2
//   --------                               ---    ----            ---             ---
//   vfs_read                                 9    1611.917 us     179.101 us      176433.9 us
//
// Durations keep the blanks that fill their columns, so lines end in blanks.

import { duration } from './duration.ts';

/// What was counted for one function. Times are nanoseconds.
export interface ProfileRow {
  name: string;
  hits: number;
  /// Sum of the times of all calls.
  time: number;
  /// Sum of their squares. The column `s^2` is there if all rows have it.
  squares?: bigint;
}

const GAP = '    ';
const NAME_WIDTH = 30; // longer names are cut
const HITS_WIDTH = 10;
const HEADER = [
  '  Function                               Hit    Time            Avg         ',
  '  --------                               ---    ----            ---         ',
];
const VARIANCE_HEADER = ['    s^2', '    ---'];

/// The table, sorted by time, the longest first; functions without hits, and those whose average is below `threshold`
/// nanoseconds, are left out.
export function profileText(rows: Iterable<ProfileRow>, threshold = 0): string {
  const shown = Array.from(rows).filter(({ hits, time }) => hits > 0 && average(time, hits) >= threshold);
  shown.sort((a, b) => b.time - a.time);
  const hasVariance = shown.length > 0 && shown.every((row) => row.squares !== undefined);
  let text = '';
  HEADER.forEach((line, i) => {
    text += hasVariance ? `${line}${VARIANCE_HEADER[i]}\n` : `${line.trimEnd()}\n`;
  });
  for (const { name, hits, time, squares } of shown) {
    text += `  ${name.slice(0, NAME_WIDTH).padEnd(NAME_WIDTH)}  ${String(hits).padStart(HITS_WIDTH)}`;
    text += GAP + duration(time) + GAP + duration(average(time, hits));
    if (hasVariance) text += GAP + duration(variance(hits, time, squares!));
    text += '\n';
  }
  return text;
}

const average = (time: number, hits: number): number => Math.floor(time / hits);

// The sample variance n Σx² − (Σx)² over n (n − 1). It is in ns²; a thousandth of it prints as "us" in place of µs².
function variance(hits: number, time: number, squares: bigint): number {
  if (hits < 2) return 0;
  const n = BigInt(hits);
  const sum = BigInt(Math.round(time));
  return Number((n * squares - sum * sum) / (n * (n - 1n) * 1000n));
}
