// What do closed gates cost a real program? Each program of test/programs untouched and instrumented with nothing probed, in
// turn. Both are started twice: the same code, compiled and laid out once more, runs up to a tenth faster or slower, and that
// is noise as much as what happens between rounds.

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
    const instrumented = async () => (await startTraced(program, { clock: 'counter' })).session;
    const sessions = check
      ? [await instrumented()]
      : [plain, await instrumented(), await instrumented(), await program.start(untouchedCopy)];
    opened.push(...sessions);
    const cases = sessions.map((session, k) => ({
      name: `${program.name}: ${k === 0 || k === 3 ? 'untouched' : 'instrumented'}`,
      run: () => session.run(scale),
      expected,
      warm: WARM_SECONDS,
    }));
    const result = measure(cases, settings);
    if (check) return;
    const [first, one, other, again] = result;
    const ratio = Math.sqrt((one.ratio * other.ratio) / again.ratio);
    ratios.set(program.name, ratio);
    controls.push(again.ratio);
    rows.push({
      program: program.name,
      'run ms': first.ns / 1e6,
      'instrumented ×': ratio,
      '±': Math.max(one.spread, other.spread),
      'instrumented again ×': other.ratio / one.ratio,
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
