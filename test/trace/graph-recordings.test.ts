// What a real kernel printed, taken apart into events and printed by us: every byte must come back.

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { GRAPH_DEFAULTS, type GraphOptions, GraphText } from '../../src/trace/graph-text.ts';
import type { BufferInfo } from '../../src/trace/header.ts';
import { parseGraph } from './parse-graph.ts';

interface Recording {
  name: string;
  options: Partial<GraphOptions>;
  text: string;
}

const file = new URL('../fixtures/function-graph.json', import.meta.url);
const recordings = JSON.parse(readFileSync(file, 'utf8')) as Recording[];

function bufferInfo(header: string): BufferInfo | undefined {
  const banner =
    /latency trace v1\.1\.5 on (.*)\n[^\n]*\n# latency: 0 us, #(\d+)\/(\d+), CPU#(\d+) \| \(M:(\S+) .*#P:(\d+)\)/.exec(
      header,
    );
  if (banner === null) return undefined;
  const [, release, entries, written, cpu, model, cpus] = banner;
  return { release, model, entries: +entries, written: +written, cpu: +cpu, cpus: +cpus };
}

function reprint(text: string, options: Partial<GraphOptions>): string {
  const parsed = parseGraph(text, { ...GRAPH_DEFAULTS, ...options });
  const graph = new GraphText({ ...options, cpus: 2 }, parsed.names);
  let out = graph.header(bufferInfo(parsed.header));
  parsed.events.forEach((event, i) => {
    if (parsed.caughtUp.has(i)) out += graph.end();
    out += graph.push(event);
  });
  return out + graph.end();
}

describe('recordings of function_graph come back byte for byte', () => {
  test.each(recordings.map((recording) => [recording.name, recording] as const))('%s', (_, { text, options }) => {
    expect(reprint(text, options)).toBe(text);
  });

  test('all of them are there', () => {
    expect(recordings.length).toBeGreaterThanOrEqual(60);
  });
});
