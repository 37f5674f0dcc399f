// How everything here is measured (design §7): cases take turns in one process, round after round, and what counts is the
// median of the rounds and the ratio to the baseline of the same round. A machine that slows down for a second slows all of
// them down alike, and every other round goes through them backwards, so that none always runs behind the same one.
// Package `benchmark` decides how often a case has to run for one reading of the clock. The clock is the lesser of two: the time
// that went by, and the time that this process had a processor. The first counts what others do on the same machine, the second
// what the engine's compiler and collector do beside the program; neither can be less than what the case itself took.

import { performance } from 'node:perf_hooks';
import Benchmark from 'benchmark';

/// One thing to measure. `run` is called over and over; what it returns has to be `expected` before anything is timed.
export interface Case {
  readonly name: string;
  readonly run: () => unknown;
  /// Traced calls that one `run` makes; figures are per call. Default 1.
  readonly calls?: number;
  readonly expected?: unknown;
  /// Seconds without getting faster after which the case counts as compiled. Default 0: it is not warmed up.
  readonly warm?: number;
  /// Called once, when the case is warm: brings it into the state that is to be measured.
  readonly prepare?: () => void;
  /// Called before each round of this case, and after it.
  readonly before?: () => void;
  readonly after?: () => void;
}

export interface Row {
  readonly name: string;
  /// Median over the rounds, nanoseconds per call.
  readonly ns: number;
  /// Median over the rounds of the difference to the baseline of the same round, nanoseconds per call.
  readonly added: number;
  /// Median over the rounds of the ratio to the baseline of the same round.
  readonly ratio: number;
  /// Half the distance between the quartiles of that ratio: how far single rounds lie from it.
  readonly spread: number;
}

export interface Settings {
  /// Only check results: run everything once, time nothing.
  readonly check: boolean;
  readonly rounds: number;
  /// Seconds that one case may take in one round.
  readonly seconds: number;
  /// Names of the programs to look at, where programs are looked at. Empty: all.
  readonly programs: readonly string[];
}

/// What a benchmark file answers.
export interface Report {
  readonly question: string;
  readonly rows: readonly TableRow[];
  /// Lines under the table: the target and whether it was reached, what limits it.
  readonly notes: readonly string[];
}

/// A column without a number in some row holds '' there.
export type TableRow = Readonly<Record<string, string | number>>;

/// One file in `bench/` that `bench/index.ts` runs.
export interface Question {
  run(settings: Settings): Promise<Report> | Report;
}

const sorted = (values: readonly number[]): number[] => [...values].sort((a, b) => a - b);

export const median = (values: readonly number[]): number => {
  const ordered = sorted(values);
  const middle = ordered.length >> 1;
  return ordered.length % 2 ? ordered[middle] : (ordered[middle - 1] + ordered[middle]) / 2;
};

/// Half the distance between the quartiles.
function spread(values: readonly number[]): number {
  const ordered = sorted(values);
  const quarter = ordered.length >> 2;
  return (ordered[ordered.length - 1 - quarter] - ordered[quarter]) / 2;
}

export const geometricMean = (values: readonly number[]): number =>
  Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);

/// What is being done, on a terminal only; '' clears the line.
export function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}

/// Where the two clocks stand, in milliseconds.
export type Clocks = readonly [passed: number, processor: number];

export function clocks(): Clocks {
  const { user, system } = process.cpuUsage();
  return [performance.now(), (user + system) / 1000];
}

/// Milliseconds since then, by the clock that counts less.
export function since([passed, processor]: Clocks): number {
  const now = clocks();
  return Math.min(now[0] - passed, now[1] - processor);
}

/// Keeps calling `run` until no call has been notably faster than those before for `seconds`: by then the compilers have
/// done what they will do. Gives up waiting after eight times as long.
export function warm(run: () => unknown, seconds: number): void {
  const patience = seconds * 1000;
  let best = Number.POSITIVE_INFINITY;
  for (let now = 0, improved = 0; now - improved < patience && now < 8 * patience; ) {
    const start = clocks();
    run();
    const took = since(start);
    now += took;
    if (took < 0.97 * best) {
      best = took;
      improved = now;
    }
  }
}

/// `process.hrtime` for `benchmark`, in seconds and nanoseconds: it hands back what the first call returned and adds up what the
/// second does.
function time(start?: Clocks): Clocks {
  if (start) return [0, since([start[0] * 1e3, start[1] / 1e6]) * 1e6];
  const [passed, processor] = clocks();
  return [passed / 1e3, processor * 1e6];
}

const Meterable = Benchmark.runInContext({ process: { hrtime: time } }) as typeof Benchmark;

/// Samples in one reading, when a run is short enough.
const SAMPLES = 10;

/// Reads the clock for one case. What it learns in one round about how often to run is where it begins in the next.
class Meter {
  readonly #run: () => unknown;
  readonly #seconds: number;
  #count = 1;
  /// Seconds of a single run, as of the last reading.
  #period = 0;

  constructor(run: () => unknown, seconds: number) {
    this.#run = run;
    this.#seconds = seconds;
  }

  /// Nanoseconds of one run.
  read(): number {
    const run = this.#run;
    // `benchmark` makes one call before it starts the clock. A run that fills a reading by itself can do without.
    let skip = this.#period > this.#seconds;
    const fn = (): unknown => {
      if (!skip) return run();
      skip = false;
      return undefined;
    };
    const benchmark = new Meterable('case', {
      fn,
      maxTime: this.#seconds,
      minTime: this.#seconds / SAMPLES,
      minSamples: 1,
      initCount: this.#count,
    });
    let failure: unknown;
    benchmark.on('error', () => {
      failure = (benchmark as unknown as { error: unknown }).error;
    });
    benchmark.run({ async: false });
    if (failure) throw failure;
    const samples = sorted(benchmark.stats.sample);
    // Short samples, of which the slower half is likely to hold what another process did meanwhile.
    this.#period = samples[samples.length >> 2];
    this.#count = Math.max(1, Math.ceil((this.#seconds / SAMPLES / this.#period) * 1.1));
    return this.#period * 1e9;
  }
}

/// Runs each case once. Throws when one does not return what it should.
function check(cases: readonly Case[]): void {
  for (const { name, run, expected, before, after } of cases) {
    before?.();
    const result = run();
    after?.();
    if (expected !== undefined && result !== expected) {
      throw new Error(`benchmark «${name}» returned ${shown(result)}, expected ${shown(expected)}`);
    }
  }
}

const shown = (value: unknown): string => {
  const text = String(value);
  return text.length > 200 ? `${text.slice(0, 200)}… (${text.length} characters)` : text;
};

/// Measures all cases against the first, in turn; `[]` when results are only checked. Throws when a case does not return
/// what it should, before it is prepared or after; `settings.check` looks only after.
export function measure(cases: readonly Case[], settings: Settings): Row[] {
  if (!settings.check) check(cases);
  for (const { name, run, warm: seconds = 0, prepare } of cases) {
    progress(`preparing ${name}`);
    if (!settings.check) warm(run, seconds);
    prepare?.();
    if (!settings.check && prepare) warm(run, seconds / 2);
  }
  check(cases);
  if (settings.check) return [];
  const meters = cases.map(({ run }) => new Meter(run, settings.seconds));
  const readings = cases.map((): number[] => []);
  for (let round = 0; round <= settings.rounds; round++) {
    const order = [...cases.keys()];
    if (round % 2) order.reverse();
    for (const i of order) {
      const { name, calls = 1, before, after } = cases[i];
      progress(`round ${round} of ${settings.rounds}: ${name}`);
      before?.();
      const ns = meters[i].read() / calls;
      after?.();
      if (round > 0) readings[i].push(ns); // the first round warms up
    }
  }
  progress('');
  const [baseline] = readings;
  return cases.map(({ name }, i) => {
    const ratios = readings[i].map((ns, round) => ns / baseline[round]);
    return {
      name,
      ns: median(readings[i]),
      added: median(readings[i].map((ns, round) => ns - baseline[round])),
      ratio: median(ratios),
      spread: spread(ratios),
    };
  });
}

/// How many digits after the point a column of numbers needs to be read.
function digits(values: readonly (string | number)[]): number {
  const numbers = values.filter((value) => typeof value === 'number');
  if (numbers.every(Number.isInteger)) return 0;
  const largest = Math.max(...numbers.map(Math.abs));
  return largest < 10 ? 3 : largest < 100 ? 2 : 1;
}

/// The rows as a table that a terminal and a pipe both like.
export function table(rows: readonly TableRow[]): string {
  if (rows.length === 0) return '';
  const columns = Object.keys(rows[0]).map((name) => {
    const values = rows.map((row) => row[name] ?? '');
    const after = digits(values);
    const cells = [name, ...values.map((value) => (typeof value === 'number' ? value.toFixed(after) : value))];
    const width = Math.max(...cells.map((cell) => cell.length));
    const right = values.some((value) => typeof value === 'number');
    return cells.map((cell) => (right ? cell.padStart(width) : cell.padEnd(width)));
  });
  return columns[0]
    .map((_, line) =>
      columns
        .map((cells) => cells[line])
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
