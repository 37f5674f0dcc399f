// The real programs of test/programs as subjects: started untouched or under a tracer, warmed up, and cut down to runs that
// leave room for many rounds.

import { Tracer, type TracerOptions } from '../src/tracer.ts';
import { type Instantiate, type Program, programs, type Session } from '../test/programs/index.ts';
import { clocks, progress, type Settings, since } from './harness.ts';
import { distinct } from './shapes.ts';

/// Milliseconds that one run of a program should take.
const RUN_MS = 50;
/// How much work a run can be asked for; programs round it up to what they can divide.
const SCALES = [1, 0.5, 0.25, 0.1];
/// Seconds without getting faster after which a program counts as compiled.
export const WARM_SECONDS = 0.4;
const CHECK_SCALE = 0.1;

/// A copy of the module that shares no compiled code with another.
export const untouchedCopy: Instantiate = (bytes, imports) => WebAssembly.instantiate(distinct(bytes), imports);

export interface Traced {
  readonly tracer: Tracer;
  readonly session: Session;
}

/// The program under a tracer of its own, with nobody watching yet.
export async function startTraced(program: Program, options: TracerOptions): Promise<Traced> {
  const tracer = await Tracer.create(options);
  const session = await program.start((bytes, imports) => tracer.instantiate(distinct(bytes), imports));
  return { tracer, session };
}

/// How much work one run should do, and warms the session up on the way.
function chooseScale(session: Session): number {
  session.run();
  session.run();
  const start = clocks();
  session.run();
  const ms = since(start);
  return SCALES.find((scale) => scale * ms < 1.5 * RUN_MS) ?? SCALES[SCALES.length - 1];
}

/// The untouched program, and what all others are compared with.
export interface Baseline {
  readonly session: Session;
  readonly scale: number;
  /// What every run of this scale prints.
  readonly expected: string;
}

/// When nothing is timed, one serves all questions.
const checked = new Map<Program, Baseline>();

export async function startUntouched(program: Program, { check }: Settings): Promise<Baseline> {
  const known = checked.get(program);
  if (check && known) return known;
  const session = await program.start(untouchedCopy);
  const scale = check ? CHECK_SCALE : chooseScale(session);
  const baseline = { session, scale, expected: session.run(scale) };
  checked.set(program, baseline);
  return baseline;
}

/// `visit` for each program that is asked for; the sessions it puts into `opened` are closed afterwards.
export async function eachProgram(
  { programs: names }: Settings,
  visit: (program: Program, opened: Session[]) => Promise<void>,
): Promise<void> {
  for (const program of programs) {
    if (names.length > 0 && !names.includes(program.name)) continue;
    progress(program.name);
    const opened: Session[] = [];
    try {
      await visit(program, opened);
    } catch (error) {
      throw new Error(`${program.name}: ${(error as Error).message ?? error}`, { cause: error });
    } finally {
      for (const session of opened) session.close?.();
    }
  }
}
