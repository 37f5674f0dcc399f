// Durations as the function graph prints them (spec/fgraph.md §12.2): microseconds in a budget of seven digits, cut and
// never rounded, behind a mark that tells the order of magnitude at a glance.

// Strictly greater than: a duration of exactly 10 µs has no mark.
const MARKS: readonly (readonly [ns: number, mark: string])[] = [
  [1_000_000_000, '$'],
  [100_000_000, '@'],
  [10_000_000, '*'],
  [1_000_000, '#'],
  [100_000, '!'],
  [10_000, '+'],
];

/// The overhead mark of a duration in nanoseconds, a blank for a short one.
export function mark(ns: number): string {
  if (ns <= 10_000) return ' ';
  for (const [limit, character] of MARKS) if (ns > limit) return character;
  return ' ';
}

const NUMBER_WIDTH = 8; // digits, point and fraction are filled up to this many columns
const DIGITS_MAX = 7; // from this many digits on there is no room for a fraction

const FRACTION_3: string[] = [];
for (let i = 0; i < 1000; i++) FRACTION_3.push(`.${String(i).padStart(3, '0')} us `);

// Durations below a millisecond are most of all: two table look-ups.
const SHORT: string[] = [];
for (let us = 0; us < 1000; us++) SHORT.push(String(us));
const SHORT_FILL = ['', '   ', '  ', ' ']; // by number of digits

/// `ns` nanoseconds as `12.345 us   `, with the blanks that fill its column. A negative one (clocks that disagree) prints
/// as 0.
export function duration(ns: number): string {
  if (ns < 0) return duration(0);
  const us = Math.floor(ns / 1000);
  const rest = Math.floor(ns - us * 1000);
  if (us < 1000) {
    const digits = SHORT[us];
    return digits + FRACTION_3[rest] + SHORT_FILL[digits.length];
  }
  const digits = String(us);
  if (digits.length >= DIGITS_MAX) return `${digits} us ${' '.repeat(Math.max(NUMBER_WIDTH - digits.length, 0))}`;
  const places = Math.min(3, DIGITS_MAX - digits.length);
  const fraction = String(rest).padStart(3, '0').slice(0, places);
  return `${digits}.${fraction} us ${' '.repeat(NUMBER_WIDTH - digits.length - 1 - places)}`;
}
