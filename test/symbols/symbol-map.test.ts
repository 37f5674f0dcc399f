import { expect, test } from 'vitest';
import { SymbolMapError } from '../../src/errors.ts';
import { parseSymbolMap } from '../../src/symbols/symbol-map.ts';

const read = (text: string): object => Object.fromEntries(parseSymbolMap(text));

test('both forms, in one file too', () => {
  expect(read('0:main\n1:b2World::Step(float, int)\n2 quick sort\n  3\tx\r\n4: y:z ')).toEqual({
    ...{ 0: 'main', 1: 'b2World::Step(float, int)', 2: 'quick sort', 3: 'x', 4: 'y:z' },
  });
});

test('what is skipped', () => {
  expect(read('\ufeff# functions\n\n   \n  # more\n5:\n6\n7:#seven\n')).toEqual({ 7: '#seven' });
  expect(read('')).toEqual({});
});

test('an index that occurs twice keeps its first name', () => {
  expect(read('1:a\n1:b')).toEqual({ 1: 'a' });
});

test('escapes of the text format', () => {
  expect(read('1:std::min\\28int\\2c\\20int\\29\n2:gr\\c3\\b6\\c3\\9fe\n3:a\\b')).toEqual({
    ...{ 1: 'std::min(int, int)', 2: 'größe', 3: 'a\\b' },
  });
});

test.each([
  ['0:a\nmain\n', 2, "map.txt:2: 'main', expected INDEX:NAME or INDEX NAME"],
  ['-1:a', 1, "map.txt:1: '-1:a', expected INDEX:NAME or INDEX NAME"],
  ['\n\n4294967296 a', 3, "map.txt:3: '4294967296 a', expected INDEX:NAME or INDEX NAME"],
  ['0x10 a', 1, "map.txt:1: '0x10 a', expected INDEX:NAME or INDEX NAME"],
  [`${'x'.repeat(99)}`, 1, `map.txt:1: '${'x'.repeat(59)}…', expected INDEX:NAME or INDEX NAME`],
])('%j is no symbol map', (text, line, message) => {
  const error = (() => {
    try {
      return parseSymbolMap(text, 'map.txt');
    } catch (thrown) {
      return thrown;
    }
  })();
  expect(error).toBeInstanceOf(SymbolMapError);
  expect(error).toMatchObject({ code: 'EINVAL', file: 'map.txt', line, message });
});
