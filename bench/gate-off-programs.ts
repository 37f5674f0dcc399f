// What do closed gates cost a real program? Each program of test/programs untouched and instrumented with nothing probed, in
// turn. The untouched program runs a second time as another subject: what lies between those two is noise.

import { geometricMean, measure, type Report, type Settings, type TableRow } from './harness.ts';
import { eachProgram, startTraced, startUntouched, untouchedCopy, warmSession } from './programs.ts';

const MEAN_MAX = 1.03;
const EACH_MAX = 1.1;

export async function run(settings: Settings): Promise<Report> {
  const { check } = settings;
  const rows: TableRow[] = [];
  const ratios = new Map<string, number>();
  const controls: number[] = [];
  await eachProgram(settings, async (program, opened) => {
    const { session: plain, scale, expected } = await startUntouched(program, settings);
    const { session: off } = await startTraced(program, { clock: 'counter' });
    opened.push(plain, off);
    const subjects = [
      { name: 'untouched', session: plain },
      { name: 'instrumented', session: off },
    ];
    if (!check) subjects.push({ name: 'untouched again', session: await program.start(untouchedCopy) });
    const result = measure(
      subjects.slice(check ? 1 : 0).map(({ name, session }) => ({
        name: `${program.name}: ${name}`,
        run: () => session.run(scale),
        expected,
        prepare: () => warmSession(session, scale, check),
      })),
      settings,
    );
    subjects[2]?.session.close?.();
    if (check) return;
    const [first, instrumented, again] = result;
    ratios.set(program.name, instrumented.ratio);
    controls.push(again.ratio);
    rows.push({
      program: program.name,
      'run ms': first.ns / 1e6,
      'instrumented ×': instrumented.ratio,
      '±': instrumented.spread,
      'untouched again ×': again.ratio,
      '': instrumented.ratio > EACH_MAX ? `above ${EACH_MAX.toFixed(2)}` : '',
    });
  });
  if (check) return { question: '', rows, notes: [] };
  const mean = geometricMean([...ratios.values()]);
  const worst = [...ratios].sort((a, b) => b[1] - a[1])[0];
  return {
    question: 'What do closed gates cost a real program?',
    rows,
    notes: [
      `geometric mean ${mean.toFixed(3)} × (target ${MEAN_MAX}: ${mean <= MEAN_MAX ? 'reached' : 'missed'})`,
      `largest ${worst[1].toFixed(3)} × ${worst[0]} (target ${EACH_MAX}: ${worst[1] <= EACH_MAX ? 'reached' : 'missed'})`,
      `untouched against itself: geometric mean ${geometricMean(controls).toFixed(3)} ×`,
    ],
  };
}
