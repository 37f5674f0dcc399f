// What do closed gates cost a real program? Each program of test/programs untouched and instrumented with nothing probed, in
// turn. The untouched program is there twice, started before the instrumented one and after it: what lies between those two is
// noise, and the instrumented one is compared with the mean of both.

import { geometricMean, measure, type Report, type Settings, type TableRow } from './harness.ts';
import { eachProgram, startTraced, startUntouched, untouchedCopy, WARM_SECONDS } from './programs.ts';

const MEAN_MAX = 1.03;
const EACH_MAX = 1.1;

export async function run(settings: Settings): Promise<Report> {
  const { check } = settings;
  const rows: TableRow[] = [];
  const ratios = new Map<string, number>();
  const controls: number[] = [];
  await eachProgram(settings, async (program, opened) => {
    const { session: plain, scale, expected } = await startUntouched(program, settings);
    const subjects = [{ name: 'untouched', session: plain }];
    subjects.push({ name: 'instrumented', session: (await startTraced(program, { clock: 'counter' })).session });
    if (!check) subjects.push({ name: 'untouched again', session: await program.start(untouchedCopy) });
    opened.push(...subjects.map(({ session }) => session));
    const result = measure(
      subjects.slice(check ? 1 : 0).map(({ name, session }) => ({
        name: `${program.name}: ${name}`,
        run: () => session.run(scale),
        expected,
        warm: WARM_SECONDS,
      })),
      settings,
    );
    if (check) return;
    const [first, instrumented, again] = result;
    const ratio = instrumented.ratio / Math.sqrt(again.ratio);
    ratios.set(program.name, ratio);
    controls.push(again.ratio);
    rows.push({
      program: program.name,
      'run ms': first.ns / 1e6,
      'instrumented ×': ratio,
      '±': instrumented.spread,
      'untouched again ×': again.ratio,
      '': ratio > EACH_MAX ? `above ${EACH_MAX.toFixed(2)}` : '',
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
