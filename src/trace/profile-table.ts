// The profile as a table to read: a line per function, a bar beside the figure that the lines are sorted by, the name at the end so
// that none is ever cut.
//
//   Self %                            Self ms  Total ms  Calls  Avg us    Max us  Function
//    48.20  ########################   12.345    25.610   3854   6.645  1024.001  sqlite3VdbeExec
//
// The table of the kernel's `trace_stat` is in profile-text.ts.

/// What was counted for one function. Times are nanoseconds, or ticks of a clock that counts events.
export interface CountedFunction {
  readonly name: string;
  readonly count: number;
  readonly total: number;
  /// `total` without the recorded calls below it.
  readonly self: number;
  /// The longest single call.
  readonly max: number;
}

export const SORT_KEYS = ['self', 'total', 'calls', 'avg', 'max', 'name'] as const;
export type SortKey = (typeof SORT_KEYS)[number];

export interface TableOptions {
  /// What comes first: the largest of it; names in alphabetical order. Default `self`.
  readonly sort?: SortKey;
  /// Times are nanoseconds (the default), else ticks, printed as they are.
  readonly nanoseconds?: boolean;
  /// `graph-time`: false counts in averages what functions took themselves, and leaves out all that has the calls below in it. Default
  /// true.
  readonly graphTime?: boolean;
  /// `tracing_thresh`: functions that took less on average are left out. Default 0.
  readonly threshold?: number;
}

const BAR = 24;
const BAR_CHARACTER = '#';
const MS = 1e6;
const US = 1e3;

const VALUES = {
  self: ({ self }: CountedFunction) => self,
  total: ({ total }: CountedFunction) => total,
  calls: ({ count }: CountedFunction) => count,
  max: ({ max }: CountedFunction) => max,
};

/// Adds up rows of the same name, as of several threads: counts and times are summed, the longest call stays the longest.
export function sumByName(rows: Iterable<CountedFunction>): CountedFunction[] {
  const sums = new Map<string, CountedFunction>();
  for (const row of rows) {
    const sum = sums.get(row.name);
    if (!sum) {
      sums.set(row.name, row);
      continue;
    }
    sums.set(row.name, {
      name: row.name,
      count: sum.count + row.count,
      total: sum.total + row.total,
      self: sum.self + row.self,
      max: Math.max(sum.max, row.max),
    });
  }
  return [...sums.values()];
}

/// The table. Functions without calls are left out; the bar is the share of the column before it, which the rows are sorted by.
export function profileTable(rows: Iterable<CountedFunction>, options: TableOptions = {}): string {
  const { sort = 'self', nanoseconds = true, graphTime = true, threshold = 0 } = options;
  const average = (row: CountedFunction) => (graphTime ? row.total : row.self) / row.count;
  const called = Array.from(rows).filter(({ count }) => count > 0);
  const shown = called.filter((row) => average(row) >= threshold);
  const key = sort === 'name' ? 'self' : sort;
  const value = key === 'avg' ? average : VALUES[key];
  const byName = (a: CountedFunction, b: CountedFunction) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
  shown.sort((a, b) => (sort === 'name' ? byName(a, b) : value(b) - value(a) || b.total - a.total || byName(a, b)));

  const allSelf = called.reduce((sum, { self }) => sum + self, 0);
  const longest = shown.reduce((most, row) => Math.max(most, value(row)), 0);
  const time = (ticks: number, unit: number) => (nanoseconds ? (ticks / unit).toFixed(3) : String(Math.round(ticks)));
  const unit = (name: string) => (nanoseconds ? name : '');
  const bars = ['', '', ...shown.map((row) => BAR_CHARACTER.repeat(share(value(row), longest)))];
  const barAfter = (column: SortKey) => (column === key ? [bars.map((bar) => bar.padEnd(BAR))] : []);
  const columns = [
    right('Self %', shown, ({ self }) => (allSelf === 0 ? '0.00' : ((100 * self) / allSelf).toFixed(2))),
    ...barAfter('self'),
    right(`Self${unit(' ms')}`, shown, ({ self }) => time(self, MS)),
    ...(graphTime ? [right(`Total${unit(' ms')}`, shown, ({ total }) => time(total, MS))] : []),
    ...barAfter('total'),
    right('Calls', shown, ({ count }) => String(count)),
    ...barAfter('calls'),
    right(`Avg${unit(' us')}`, shown, (row) => time(average(row), US)),
    ...barAfter('avg'),
    ...(graphTime ? [right(`Max${unit(' us')}`, shown, ({ max }) => time(max, US))] : []),
    ...barAfter('max'),
    ['Function', '--------', ...shown.map(({ name }) => name)],
  ];
  return columns[0].map((_, line) => `  ${columns.map((cells) => cells[line]).join('  ')}\n`).join('');
}

const share = (value: number, longest: number): number => (longest === 0 ? 0 : Math.round((BAR * value) / longest));

// A column's cells: title, dashes below it, figures, all as wide as the widest.
function right(title: string, rows: readonly CountedFunction[], cell: (row: CountedFunction) => string): string[] {
  const cells = [title, '-'.repeat(title.length), ...rows.map(cell)];
  const width = cells.reduce((most, { length }) => Math.max(most, length), 0);
  return cells.map((text) => text.padStart(width));
}
