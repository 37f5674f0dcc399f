// The main job, `npm start`: SQLite as npm ships it runs a real workload while its function graph is recorded. Prints the
// top of the graph, the functions that took most self time, and what watching cost, measured in one interleaved run.

import { closeSync, openSync, writeSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { parse, reason, UsageError } from '../src/cli/usage.ts';
import { type FunctionStatistics, type GraphTracer, Tracer } from '../src/index.ts';
import { type Session, untouched } from '../test/programs/program.ts';
import { sqliteOfficial as sqlite } from '../test/programs/sqlite-official.ts';
import { median, table } from './harness.ts';

const ROUNDS = 7;
const SCALE = 0.5;
const GRAPH_LINES = 36;
const HEADER_LINES = 4;
const OPENING = /\| {2}\S+\(\) \{$/;
const CLOSING = /\| {2}\}/;
const TOP_FUNCTIONS = 12;
const BAR = 24;

const progress = (text: string): void => {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
};

/// SQLite with a tracer of its own.
async function watched(clock: 'mono' | 'counter'): Promise<{ tracer: Tracer; session: Session; functions: number }> {
  const tracer = await Tracer.create({ clock });
  const session = await sqlite.start((bytes, imports) => tracer.instantiate(bytes, imports, { name: 'sqlite' }));
  const [target] = tracer.targets;
  return { tracer, session, functions: target.sites.length };
}

/// The header, and of all calls that came from outside and fit on a screen the one with the most different functions below it.
function topOfGraph(text: string): string {
  const lines = text.split('\n');
  let best: string[] = [];
  let bestNames = 0;
  for (let start = HEADER_LINES; start < lines.length; ) {
    let end = start + 1;
    if (OPENING.test(lines[start])) while (end < lines.length && !CLOSING.test(lines[end - 1])) end++;
    const call = lines.slice(start, end);
    const names = new Set(call.map((line) => /(\S+)\(\)/.exec(line)?.[1])).size;
    if (call.length <= GRAPH_LINES && names > bestNames) [best, bestNames] = [call, names];
    start = end;
  }
  return [...lines.slice(0, HEADER_LINES), ...best].join('\n');
}

function topFunctions(rows: readonly FunctionStatistics[]): string {
  const all = rows.reduce((sum, { self }) => sum + self, 0);
  return table(
    rows.slice(0, TOP_FUNCTIONS).map(({ name, count, total, self, average, max }) => ({
      function: name,
      calls: count,
      'total ms': total / 1e6,
      'self ms': self / 1e6,
      'self %': (100 * self) / all,
      'avg us': average / 1e3,
      'max us': max / 1e3,
      '': '#'.repeat(Math.round((BAR * self) / rows[0].self)),
    })),
  );
}

/// One way of running the program. `before` and `after` switch on and off what it is about, outside of the time.
interface Way {
  readonly name: string;
  readonly session: Session;
  readonly before?: () => void;
  readonly after?: () => void;
}

/// What each way costs: all of them in turn, round after round, as ratios to the first of the same round.
function costs(ways: readonly Way[], expected: string): string {
  const times = ways.map((): number[] => []);
  for (let round = 0; round <= ROUNDS; round++) {
    ways.forEach(({ name, session, before, after }, i) => {
      progress(`round ${round} of ${ROUNDS}: ${name}`);
      before?.();
      const start = performance.now();
      const output = session.run(SCALE);
      const elapsed = performance.now() - start;
      after?.();
      if (output !== expected) throw new Error(`${name}: the workload printed something else than untouched`);
      if (round > 0) times[i].push(elapsed); // the first round warms up
    });
  }
  progress('');
  return table(
    ways.map(({ name }, i) => ({
      '': name,
      'run ms': median(times[i]),
      ratio: median(times[i].map((time, round) => time / times[0][round])),
    })),
  );
}

const HELP = `usage: npm start [-- [-o FILE]]

Runs SQLite under the tracer and prints the top of its function graph, the functions
that took most self time, and what watching cost.

  -o, --output FILE   write the whole recorded graph to FILE as well
  -h, --help          this text

example:
  npm start -- -o graph.txt
`;

async function main(): Promise<void> {
  const { values } = parse('npm start -- --help', {
    args: process.argv.slice(2),
    options: { output: { type: 'string', short: 'o' }, help: { type: 'boolean', short: 'h' } },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return;
  }
  // Opened before anything runs: who cannot write should hear so at once.
  const output = values.output === undefined ? undefined : openOutput(values.output);
  progress('starting SQLite');
  const plain = await sqlite.start(untouched);
  const off = await watched('mono');
  const on = await watched('mono');
  const counting = await watched('counter');
  const expected = plain.run(SCALE);

  let graph: GraphTracer | undefined;
  const record = (tracer: Tracer) => () => {
    graph?.close();
    graph = tracer.startGraph();
  };
  const stop = () => graph?.unregister();

  // What there is to see, first: one run with everything recorded, one with everything counted.
  record(on.tracer)();
  on.session.run(0.1);
  stop();
  const text = graph!.read();
  if (output !== undefined) {
    writeSync(output, text);
    closeSync(output);
  }
  const profile = on.tracer.startProfile();
  on.session.run(SCALE);
  profile.unregister();
  const rows = profile.rows();
  const calls = rows.reduce((sum, { count }) => sum + count, 0);

  process.stdout.write(
    `SQLite (npm package ${sqlite.package}): ${on.functions} functions, ${calls} calls in one run of the workload\n\n`,
  );
  process.stdout.write(`${topOfGraph(text)}\n\n`);
  process.stdout.write(
    `Functions that took most self time, times with the cost of watching in them:\n\n${topFunctions(rows)}\n\n`,
  );

  const ways: Way[] = [
    { name: 'uninstrumented', session: plain },
    { name: 'instrumented, nothing probed', session: off.session },
    {
      name: 'every call recorded, clock counter',
      session: counting.session,
      before: record(counting.tracer),
      after: stop,
    },
    { name: 'every call recorded, clock mono', session: on.session, before: record(on.tracer), after: stop },
  ];
  const cost = costs(ways, expected);
  process.stdout.write(
    `What watching cost, ${ROUNDS} interleaved rounds, medians of the times and of each round's ratio:\n\n${cost}\n`,
  );
  const { entries, returns, unwound, overrun } = on.tracer.counts();
  process.stdout.write(
    `\n${entries} entries = ${returns} returns + ${unwound} unwound; ${overrun} too deep to record, in all recorded rounds\n`,
  );
}

function openOutput(path: string): number {
  try {
    return openSync(path, 'w');
  } catch (error) {
    throw new UsageError(`cannot write ${path}: ${reason(error)}`);
  }
}

try {
  await main();
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 2;
}
