import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import wabt from 'wabt';
import { assembleText } from '../../bench/shapes.ts';
import { Tracer } from '../../src/index.ts';
import { readModule } from '../../src/instrument/reader.ts';
import { functionNames } from '../../src/symbols/function-names.ts';
import { parseSymbolMap } from '../../src/symbols/symbol-map.ts';

const SOURCE = `(module
    (import "env" "abort" (func $abort))
    (import "env" "log" (func (param i32)))
    (func $named (export "exported_too"))
    (func (export "") (export "first") (export "second"))
    (func)
    (export "again" (func 1)))`;

async function module(write_debug_names: boolean) {
  return readModule((await wabt()).parseWat('test.wat', SOURCE).toBinary({ write_debug_names }).buffer);
}

async function namesOf(names: boolean, map = ''): Promise<(string | undefined)[][]> {
  const of = functionNames(await module(names), parseSymbolMap(map));
  return [0, 1, 2, 3, 4].map((index) => [of(index).symbol, of(index).other].filter((name) => name !== undefined));
}

test('name section, then export, then import, then the index', async () => {
  expect(await namesOf(true)).toEqual([['abort'], ['again'], ['named'], ['first'], ['func[4]']]);
  expect(await namesOf(false)).toEqual([['env.abort'], ['again'], ['exported_too'], ['first'], ['func[4]']]);
});

test('a symbol map names what nothing else does, and is a second name for the rest', async () => {
  expect(await namesOf(true, '2:other\n3:first\n4:last\n99:nobody')).toEqual([
    ...[['abort'], ['again'], ['named', 'other'], ['first'], ['last']],
  ]);
  expect(await namesOf(false, '0:import\n2:other')).toEqual([
    ...[['env.abort', 'import'], ['again'], ['exported_too', 'other'], ['first'], ['func[4]']],
  ]);
});

describe('names as they come', () => {
  const utf8 = (text: string): number[] => [text.length, ...new TextEncoder().encode(text)];

  test('empty names do not count, control characters show', () => {
    const map = [2, 0, ...utf8(''), 1, ...utf8('a\nb\u007fc')];
    const contents = [...utf8('name'), 1, map.length, ...map];
    const bytes = Uint8Array.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 0, contents.length, ...contents]);
    const of = functionNames(readModule(bytes));
    expect([0, 1, 2].map((index) => of(index).symbol)).toEqual(['func[0]', 'a\\x0ab\\x7fc', 'func[2]']);
  });
});

test('a site is shown with its name', async () => {
  const tracer = await Tracer.create();
  const bytes = await assembleText('shown', '(module (func $_ZN4Dict3addEPKc) (func $plain (param i32)))');
  const { target } = await tracer.instantiate(bytes);
  const { id, ip } = target.sites[0]!;
  expect(inspect(target.sites[0], { breakLength: 200 })).toBe(
    `{ name: 'Dict::add', symbol: '_ZN4Dict3addEPKc', id: ${id}, ip: ${ip}, index: 0, types: { params: [], results: [] }, size: 2 }`,
  );
  expect(inspect(target.sites[1], { breakLength: 200 })).toMatch(/^\{ name: 'plain', id: \d+, /);
});
