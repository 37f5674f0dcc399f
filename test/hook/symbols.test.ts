// Symbol maps that lie beside a program: functions are called what they say, and filters find them so.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Programs } from './run.ts';

const dist = join(import.meta.dirname, '../../node_modules/sql.js/dist');
const programs = new Programs();
afterAll(() => programs.remove());

const FUNCTIONS = 2008;
const mangled = (index: number): string => `_ZN2fn${`f${index}`.length}f${index}Ev`;
const map = Array.from({ length: FUNCTIONS }, (_, index) => `${index}:${mangled(index)}\n`).join('');

beforeAll(() => {
  for (const file of ['sql-wasm.js', 'sql-wasm.wasm']) programs.write(file, readFileSync(join(dist, file)));
  programs.write(
    'query.cjs',
    `require('./sql-wasm.js')().then((SQL) => {
      const db = new SQL.Database();
      console.log(JSON.stringify(db.exec('select 1 + 1')));
    });`,
  );
});

const run = async (filter: readonly string[]) => {
  const { code, stdout, recordings } = await programs.traced('query.cjs', { filter });
  expect({ code, stdout }).toEqual({ code: 0, stdout: '[{"columns":["1 + 1"],"values":[[2]]}]\n' });
  return recordings[0];
};

test("emscripten's, beside the script", async () => {
  programs.write('sql-wasm.js.symbols', map);
  const { symbols } = await run(['fn::f*']);
  expect(symbols.length).toBeGreaterThan(50);
  for (const { name } of symbols) expect(name).not.toMatch(/^func\[/);
  expect(symbols.some(({ name }) => /^fn::f\d+$/.test(name))).toBe(true);
});

test('one of another program is not used, and the recording says so', async () => {
  programs.write('sql-wasm.js.symbols', `${map}${FUNCTIONS}:more\n`);
  const { symbols, notes } = await run([]);
  expect(symbols.some(({ name }) => /^func\[\d+\]$/.test(name))).toBe(true);
  expect(notes).toEqual([
    expect.stringMatching(
      /^symbol map not used: .*sql-wasm\.js\.symbols names function 2008 of a module that has 2008$/,
    ),
  ]);
});
