// What do gates cost that nobody has opened? Shape by shape, against the untouched module: nobody watches anything; and
// somebody watches another function of the same module, which has to cost the rest nothing but the way in from JavaScript.

import { geometricMean, measure, type Report, type Settings, type TableRow } from './harness.ts';
import { OTHER, shapes } from './shapes.ts';
import { traced, untouched } from './subjects.ts';

export async function run(settings: Settings): Promise<Report> {
  const { check } = settings;
  const rows: TableRow[] = [];
  const ratios: number[] = [];
  for (const shape of await shapes()) {
    const result = measure(
      [
        await untouched(shape),
        await untouched(shape),
        await traced(shape, 'off', { clock: 'counter' }),
        await traced(shape, 'off, from the start', { clock: 'counter', watch: watchOther, when: 'early' }),
        await traced(shape, 'another probed', { clock: 'counter', watch: watchOther }),
      ],
      settings,
    );
    if (check) continue;
    const [plain, again, off, early, other] = result;
    ratios.push(off.ratio);
    rows.push({
      shape: shape.name,
      'untouched ns': plain.ns,
      'again +ns': again.added,
      'off +ns': off.added,
      'off ×': off.ratio,
      '±': off.spread,
      'another probed +ns': other.added,
      'another early +ns': early.added,
      what: shape.what,
    });
  }
  return {
    question: 'What do closed gates cost, per call?',
    rows,
    notes: check
      ? []
      : [
          `off: instrumented, nothing probed; geometric mean ${geometricMean(ratios).toFixed(3)} ×. Real programs: gate-off-programs`,
          'another probed: a function of the same module that nothing calls is being recorded (early: since before the first call)',
          'again: the untouched module a second time, which shows how far the same code lies from itself',
        ],
  };
}

const watchOther = (tracer: { startGraph(options: { filter: string }): unknown }): void => {
  tracer.startGraph({ filter: OTHER });
};
