// The examples of README.md's chapter on probes run as they stand, and print what they say.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { assembleText } from '../../bench/shapes.ts';
import { type Fprobe, Tracer } from '../../src/index.ts';

const readme = readFileSync(join(import.meta.dirname, '../../README.md'), 'utf8');
const [, chapter] = /^## fprobe on fgraph\n(.*?)^## /ms.exec(readme)!;
const blocks = (language: string): string[] =>
  Array.from(chapter.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, 'gms')), ([, code]) => code);

const PROGRAM = `(module
  (func $parse_list (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
  (func $parse_item (param i32) (result i32) (call $parse_list (i32.const 20)))
  (func $parse_error (param i32) (result i32) (i32.const -1))
  (func $run (export "run") (result i32)
    (drop (call $parse_list (i32.const 0)))
    (drop (call $parse_error (i32.const 4)))
    (call $parse_item (i32.const 5))))`;

test('the examples', async () => {
  const tracer = await Tracer.create({ clock: 'counter' });
  const { instance } = await tracer.instantiate(await assembleText('readme', PROGRAM));
  const printed: unknown[][] = [];
  const handlerBytes = await assembleText('handlers', blocks('wat')[0]);
  const given = { tracer, instance, handlerBytes, console: { log: (...values: unknown[]) => printed.push(values) } };
  const AsyncFunction = (async () => {}).constructor as new (
    ...args: string[]
  ) => (...args: unknown[]) => Promise<Record<string, Fprobe>>;
  const run = (code: string, result: string) =>
    new AsyncFunction(...Object.keys(given), `${code}\nreturn { ${result} };`)(...Object.values(given));
  const examples = blocks('js');
  expect(examples.length).toBe(3);

  const { probe } = await run(examples[0], 'probe');
  expect(printed).toEqual([
    [21, expect.any(Number)],
    [21, expect.any(Number)],
    [3, 0],
  ]);
  expect([probe.registered, probe.locations, probe.hits, probe.errors, probe.disabled]).toEqual([true, 2, 0, 0, false]);
  probe.unregister();

  printed.length = 0;
  const { latency, sizes, results } = await run(examples[1], 'latency, sizes, results');
  expect(printed).toEqual([
    [
      'parse_list',
      2,
      [
        { from: 0, to: 16, count: 1 },
        { from: 16, to: 32, count: 1 },
      ],
    ],
    ['parse_item', 1, [{ from: 0, to: 16, count: 1 }]],
    ['parse_error', 1, [{ from: 0, to: 16, count: 1 }]],
    [3, [1, 21]],
  ]);
  for (const other of [latency, sizes, results]) other.unregister();

  printed.length = 0;
  await run(examples[2], 'fast');
  expect(printed).toEqual([[4, 0]]);
});
