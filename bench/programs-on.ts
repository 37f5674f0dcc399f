// What does a real program cost while everything is recorded? Each program of test/programs, with all of its functions in the
// function graph, and with all of them in the statistics, against the untouched program in the same round. Both are switched on
// after the program was optimised with its gates closed.

import type { Program, Session } from '../test/programs/index.ts';
import { type Case, geometricMean, measure, median, type Report, type Settings, type TableRow } from './harness.ts';
import { eachProgram, startTraced, startUntouched, type Traced, WARM_SECONDS } from './programs.ts';

/// Recorded runs take a multiple of the time: rounds are fewer here, and runs shorter.
const ROUNDS_SHARE = 0.3;
const SCALE_MAX = 0.25;
/// Programs that make more calls in a run than this are left out where the host's clock is read for each.
const MONO_CALLS_MAX = 1e6;
/// Programs that collect garbage or seed their hash tables do not make the very same calls each time.
const CALLS_DIFFER_MAX = 0.02;

type Watch = (traced: Traced) => void;

const graph: Watch = ({ tracer }) => void tracer.startGraph();
const statistics: Watch = ({ tracer }) => void tracer.startProfile();

/// One program, and the calls that it makes in a run.
class Subject {
  calls = 0;
  readonly #program: Program;
  readonly #opened: Session[];
  readonly #scale: number;
  readonly #expected: string;

  constructor(program: Program, opened: Session[], scale: number, expected: string) {
    this.#program = program;
    this.#opened = opened;
    this.#scale = scale;
    this.#expected = expected;
  }

  untouched(session: Session): Case {
    this.#opened.push(session);
    return this.#case('untouched', session);
  }

  async watched(name: string, clock: 'counter' | 'mono', watch: Watch): Promise<Case> {
    const traced = await startTraced(this.#program, { clock });
    const { session, tracer } = traced;
    this.#opened.push(session);
    return this.#case(name, session, () => {
      watch(traced);
      session.run(this.#scale);
      const { entries, overrun } = tracer.counts();
      if (overrun > 0) throw new Error(`${overrun} calls were too deep to be recorded as ${name}`);
      if (Math.abs(entries - this.calls) > CALLS_DIFFER_MAX * entries && this.calls > 0) {
        throw new Error(`${entries} calls were recorded as ${name}, ${this.calls} otherwise`);
      }
      this.calls = entries;
    });
  }

  #case(name: string, { run }: Session, prepare?: () => void): Case {
    const scaled = () => run(this.#scale);
    return {
      name: `${this.#program.name}: ${name}`,
      run: scaled,
      expected: this.#expected,
      warm: WARM_SECONDS,
      prepare,
    };
  }
}

export async function run(settings: Settings): Promise<Report> {
  const rows: TableRow[] = [];
  const ratios: number[] = [];
  const prices: number[] = [];
  const fewer = { ...settings, rounds: Math.ceil(settings.rounds * ROUNDS_SHARE) };
  await eachProgram(settings, async (program, opened) => {
    const baseline = await startUntouched(program, settings);
    const scale = Math.min(SCALE_MAX, baseline.scale);
    const expected = scale === baseline.scale ? baseline.expected : baseline.session.run(scale);
    const subject = new Subject(program, opened, scale, expected);
    const plain = subject.untouched(baseline.session);
    if (settings.check) {
      const both: Watch = (traced) => {
        graph(traced);
        statistics(traced);
      };
      measure([await subject.watched('graph and statistics', 'counter', both)], settings);
      return;
    }
    const [first, drawn, counted] = measure(
      [
        plain,
        await subject.watched('graph', 'counter', graph),
        await subject.watched('statistics', 'counter', statistics),
      ],
      fewer,
    );
    const { calls } = subject;
    const clocked =
      calls < MONO_CALLS_MAX
        ? measure([plain, await subject.watched('graph, mono', 'mono', graph)], { ...fewer, rounds: 2 })[1]
        : undefined;
    ratios.push(drawn.ratio);
    prices.push(drawn.added / calls);
    rows.push({
      program: program.name,
      'run ms': first.ns / 1e6,
      calls,
      'M calls/s': (calls / first.ns) * 1e3,
      'graph ×': drawn.ratio,
      'graph +ns/call': drawn.added / calls,
      'statistics ×': counted.ratio,
      'statistics +ns/call': counted.added / calls,
      'graph, mono ×': clocked?.ratio ?? '',
      'mono +ns/call': clocked ? clocked.added / calls : '',
    });
  });
  if (settings.check) return { question: '', rows, notes: [] };
  return {
    question: 'What does a real program cost while everything is recorded?',
    rows,
    notes: [
      `graph, clock counter: geometric mean ${geometricMean(ratios).toFixed(2)} ×, median ${median(prices).toFixed(1)} ns per call`,
      'M calls/s: how many calls the untouched program makes in a second; the more, the higher the ratio',
      `mono: the graph with the host’s clock, in two rounds, for programs of less than ${MONO_CALLS_MAX / 1e6} M calls a run`,
    ],
  };
}
