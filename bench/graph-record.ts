// What does it cost to record a call in the function graph, entry and exit together? Shape by shape, as the difference to the
// untouched module in the same round, beside the least that the attached form can cost: the same module, all gates open,
// calling an engine that does nothing.

import type { Tracer } from '../src/tracer.ts';
import { measure, median, type Report, type Settings, type TableRow } from './harness.ts';
import { type Shape, shapes } from './shapes.ts';
import { floor, traced, untouched } from './subjects.ts';

const TARGET_NS = 12;

const graph = (tracer: Tracer): void => {
  tracer.startGraph();
};

async function row(shape: Shape, settings: Settings): Promise<TableRow | undefined> {
  const { check } = settings;
  const result = measure(
    [
      await untouched(shape),
      await floor(shape),
      await traced(shape, 'counter, late', { clock: 'counter', watch: graph }),
      await traced(shape, 'counter, early', { clock: 'counter', watch: graph, when: 'early' }),
      await traced(shape, 'mono, late', { clock: 'mono', watch: graph }),
      await traced(shape, 'mono, early', { clock: 'mono', watch: graph, when: 'early' }),
    ],
    settings,
  );
  if (check) return undefined;
  const [plain, empty, late, early, lateMono, earlyMono] = result;
  return {
    shape: shape.name,
    'untouched ns': plain.ns,
    'empty engine +ns': empty.added,
    'counter +ns': late.added,
    'counter early +ns': early.added,
    'mono +ns': lateMono.added,
    'mono early +ns': earlyMono.added,
  };
}

export async function run(settings: Settings): Promise<Report> {
  const rows: TableRow[] = [];
  const inside: number[] = [];
  for (const shape of await shapes()) {
    const line = await row(shape, settings);
    if (!line) continue;
    rows.push(line);
    if (!shape.fromJavaScript) inside.push(line['counter +ns'] as number);
  }
  if (settings.check) return { question: '', rows, notes: [] };
  const within = inside.filter((ns) => ns <= TARGET_NS).length;
  return {
    question: 'What does recording one call in the function graph cost, entry and exit together?',
    rows,
    notes: [
      `counter: median ${median(inside).toFixed(1)} ns over the shapes without the one that is called from JavaScript (target ${TARGET_NS}: ${within} of ${inside.length} shapes within)`,
      'main columns: switched on after the code was optimised with its gates closed; early: on since before the first call',
      'mono reads the host’s clock twice per call, which is nearly all that it costs',
    ],
  };
}
