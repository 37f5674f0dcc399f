// What a real kernel printed, made into a program, run on a machine and traced: every byte must come back.

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { CPUS } from '../../src/arch/index.ts';
import { ReplayError, readReplay, Tracer } from '../../src/index.ts';
import type { GraphOptions } from '../../src/trace/graph-text.ts';

interface Recording {
  name: string;
  options: Partial<GraphOptions>;
  text: string;
}

const file = new URL('../fixtures/function-graph.json', import.meta.url);
const recordings = JSON.parse(readFileSync(file, 'utf8')) as Recording[];

// What a stream does not carry: words of arguments and returns, caller addresses, what others wrote into the buffer, times of
// day, several CPUs, frames that only another instance shows. Such recordings are refused or left out here.
const plain = recordings.filter(({ name, options, text }) => {
  const columns = Object.keys(options).every((option) => ['tail', 'overhead', 'cpu'].includes(option));
  const nested = !/^(two instances, disjoint filters \(instances\/b\)|sleep in two instances)/.test(name);
  return nested && columns && !/\/\*|=>|\([^)]/.test(text) && new Set(text.match(/^ \d+\)/gm)).size <= 1;
});

async function replay(text: string, options: Partial<GraphOptions>, arch: keyof typeof CPUS): Promise<string> {
  const recording = readReplay(text, CPUS[arch]);
  const tracer = await Tracer.create();
  const machine = tracer.machine({ arch, symbols: recording.symbols, cpu: recording.cpu });
  const graph = tracer.startGraph();
  machine.start(recording.program);
  const out = graph.read({ ...options, cpus: 2 });
  machine.reset();
  return out;
}

describe('recordings come back byte for byte', () => {
  test.each(plain.map((recording) => [recording.name, recording] as const))('%s', async (_, { text, options }) => {
    expect(await replay(text, options, 'x86_64')).toBe(text);
  });

  test('most of those without further columns are among them', () => {
    expect(plain.length).toBeGreaterThanOrEqual(20);
  });

  test.each(Object.keys(CPUS) as (keyof typeof CPUS)[])('on %s as well', async (arch) => {
    const { text, options } = plain.find(({ name }) => name === 'open default')!;
    expect(await replay(text, options, arch)).toBe(text);
  });
});

const CALLS_OF_A_DAY = ' 0) $ 86400000000.000 us |  f();\n';

test.each([
  ['no graph at all', 'hello\n', 1, 'duration column'],
  ['a brace too many', ' 0)   1.000 us    |  f();\n 0)   2.000 us    |  }\n', 2, 'opened before'],
  ['another CPU', ' 0)   1.000 us    |  f();\n 1)   2.000 us    |  g();\n', 2, 'one CPU'],
  ['a comment', ' 0)               |  /* hello */\n', 1, 'a call'],
  ['a frame of another user', ' 0)   1.000 us    |    f();\n', 1, 'an indent of 0'],
  ['losses', 'CPU:1 [LOST 12 EVENTS]\n', 1, 'without losses'],
  ['times that no clock reads', CALLS_OF_A_DAY.repeat(300), 105, 'add up to less than 2^53 ns'],
])('%s is refused with its line', (_, text, line, message) => {
  const attempt = () => readReplay(text, CPUS.x86_64);
  expect(attempt).toThrow(ReplayError);
  expect(attempt).toThrow(expect.objectContaining({ line, message: expect.stringContaining(message) }));
});

test.each([
  ['a CPU that no kernel has', ' 99999999999)   1.000 us    |  f();\n', 1, 2, 'expected a CPU from 0 to 8191'],
  ['the CPU after a time', '    1.000001 |   8192)   1.000 us    |  f();\n', 1, 18, 'expected a CPU from 0 to 8191'],
  ['another CPU', ' 0)   1.000 us    |  f();\n 1)   2.000 us    |  g();\n', 2, 2, 'which is 0'],
  ['a duration beyond all clocks', ` 0) $ ${'9'.repeat(30)}.000 us |  f();\n`, 1, 7, 'a duration below 2^53 ns'],
])('%s is refused with its place', (_, text, line, column, message) => {
  const attempt = () => readReplay(text, CPUS.x86_64);
  const where = `line ${line}, column ${column}: `;
  expect(attempt).toThrow(expect.objectContaining({ line, column, message: expect.stringContaining(where) }));
  expect(attempt).toThrow(message);
});
