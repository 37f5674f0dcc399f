// How fast are records turned into events, and events into text? The buffer is one that the engine filled: a random walk
// over 200 functions, so that depth, leaves and call times of earlier pages are as mixed as in a real program.

import { CLOCK_COUNTER, GOPS_GRAPH } from '../assembly/layout.ts';
import { RING_OVERWRITE } from '../assembly/ring-layout.ts';
import { loadEngine } from '../src/engine.ts';
import { decodePage, pageBatch } from '../src/trace/decode.ts';
import { TraceEvent } from '../src/trace/events.ts';
import { GraphText } from '../src/trace/graph-text.ts';
import { Merge } from '../src/trace/merge.ts';
import { measure, type Report, type Settings } from './harness.ts';

const PAGES = 256;
const SITES = 200;
const STEPS = 120_000;

export async function run(settings: Settings): Promise<Report> {
  const engine = await loadEngine();
  const { exports, memory } = engine;
  exports.clock_set(CLOCK_COUNTER);
  engine.addSites(SITES);
  const ring = engine.createRing(PAGES, RING_OVERWRITE);
  const user = engine.registerFgraph(GOPS_GRAPH, 0, 0, ring);
  for (let site = 0; site < SITES; site++) exports.site_want(site, user, 1);

  let state = 1;
  const random = (below: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const cookies: number[] = [];
  for (let step = 0; step < STEPS; step++) {
    if (cookies.length < 3 || (cookies.length < 30 && random(2) === 0)) cookies.push(exports.enter(random(SITES)));
    else exports.leave(cookies.pop()!);
  }

  const [tail, head] = memory.ringRange(ring);
  const pages: number[] = [];
  for (let sequence = tail; sequence <= head; sequence++) pages.push(exports.ring_read(ring, sequence));
  const batch = pageBatch();
  const names = Array.from({ length: SITES }, (_, site) => `sqlite3_function_${site}`);

  const decode = (): number => {
    let records = 0;
    for (const page of pages) {
      decodePage(memory.u32, page, batch);
      records += batch.count;
    }
    return records;
  };
  const events = (): Merge => {
    let page = 0;
    const next = (): boolean => {
      if (page === pages.length) return false;
      decodePage(memory.u32, pages[page++], batch);
      return true;
    };
    return new Merge([{ cpu: 0, pid: 1, batch, next }]);
  };
  const merge = (): number => {
    const event = new TraceEvent();
    const all = events();
    let count = 0;
    while (all.next(event)) count++;
    return count;
  };
  const text = (): number => {
    const event = new TraceEvent();
    const all = events();
    const graph = new GraphText({}, { symbol: (site) => names[site] });
    let piece = '';
    let length = 0;
    while (all.next(event)) {
      piece += graph.push(event);
      if (piece.length > 1 << 16) {
        length += Buffer.from(piece).length; // a string is not made before somebody looks at it
        piece = '';
      }
    }
    return length + Buffer.from(piece + graph.end()).length;
  };
  const lines = (): number => {
    const event = new TraceEvent();
    const all = events();
    const graph = new GraphText({}, { symbol: (site) => names[site] });
    let count = 0;
    while (all.next(event)) count += graph.push(event).split('\n').length - 1;
    return count + graph.end().split('\n').length - 1;
  };

  const what = [
    { name: 'records decoded', run: decode, expected: STEPS, items: STEPS, target: 20 },
    { name: 'events in print order', run: merge, expected: STEPS, items: STEPS },
    { name: 'lines of text', run: text, items: lines(), target: 2 },
  ];
  const rows = measure(
    what.map(({ items, target: _, ...one }) => ({ ...one, calls: items })),
    settings,
  );
  return {
    question: 'How fast is a buffer drained?',
    rows: rows.map(({ name, ns }) => ({ what: name, 'ns each': ns, 'M/s': 1000 / ns })),
    notes: settings.check
      ? []
      : what
          .map(({ name, target }, i) => ({ name, target, rate: 1000 / rows[i].ns }))
          .filter(({ target }) => target !== undefined)
          .map(({ name, target, rate }) => `${name}: target ${target} M/s, ${rate >= target! ? 'reached' : 'missed'}`),
  };
}
