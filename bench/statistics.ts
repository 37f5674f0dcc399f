// What do the built-in statistics cost per call, and each further user that watches the same function?

import type { Tracer } from '../src/tracer.ts';
import { measure, median, type Report, type Settings, type TableRow } from './harness.ts';
import { shapes } from './shapes.ts';
import { traced, untouched } from './subjects.ts';

const FURTHER_NS = 2;

const graph = (tracer: Tracer): void => {
  tracer.startGraph();
};
const profile = (tracer: Tracer): void => {
  tracer.startProfile();
};
const all =
  (...users: ((tracer: Tracer) => void)[]) =>
  (tracer: Tracer): void => {
    for (const user of users) user(tracer);
  };

/// Shapes on which several users are compared.
const SHAPES = ['leaf', 'body', 'fib', 'wide', 'exported table', 'from JavaScript'];

export async function run(settings: Settings): Promise<Report> {
  const { check } = settings;
  const rows: TableRow[] = [];
  const first: number[] = [];
  const further: number[] = [];
  for (const shape of await shapes(...SHAPES)) {
    const watched = (name: string, watch: (tracer: Tracer) => void, clock: 'counter' | 'mono' = 'counter') =>
      traced(shape, name, { clock, watch });
    const result = measure(
      [
        await untouched(shape),
        await watched('profile', profile),
        await traced(shape, 'profile, early', { clock: 'counter', watch: profile, when: 'early' }),
        await watched('profile, mono', profile, 'mono'),
        await watched('graph', graph),
        await watched('graph + profile', all(graph, profile)),
        await watched('two graphs', all(graph, graph)),
        await watched('four graphs', all(graph, graph, graph, graph)),
        await watched('two of each', all(graph, profile, graph, profile)),
      ],
      settings,
    );
    if (check) continue;
    const [plain, counted, early, mono, drawn, both, twice, four, mixed] = result;
    if (!shape.fromJavaScript) {
      first.push(counted.added);
      further.push((four.added - twice.added) / 2);
    }
    rows.push({
      shape: shape.name,
      'untouched ns': plain.ns,
      'profile +ns': counted.added,
      'profile early +ns': early.added,
      'profile mono +ns': mono.added,
      'graph +ns': drawn.added,
      'graph+profile +ns': both.added,
      'two graphs +ns': twice.added,
      'four graphs +ns': four.added,
      'two of each +ns': mixed.added,
    });
  }
  if (check) return { question: '', rows, notes: [] };
  const each = median(further);
  return {
    question: 'What do statistics cost per call, entry and exit together, and each further user?',
    rows,
    notes: [
      `profile: median ${median(first).toFixed(1)} ns over the shapes without the one that is called from JavaScript, clock counter, switched on late`,
      `each further graph, from two to four: median ${each.toFixed(1)} ns (target ${FURTHER_NS}: ${each <= FURTHER_NS ? 'reached' : 'missed'})`,
    ],
  };
}
