import { describe, expect, test } from 'vitest';
import { compileGlob } from '../src/glob.ts';

// The fixture of the acceptance tests: two-letter names fa, fb, f1 … f8, and others.
const NAMES = ['fa', 'fb', ...Array.from({ length: 8 }, (_, i) => `f${i + 1}`), 'vread', 'vopen', 'vfree', 'vfork'];

function select(pattern: string, names = NAMES): string[] {
  return names.filter(compileGlob(pattern));
}

describe('how many functions a filter selects', () => {
  test.each([
    ['f?', 10],
    ['f[1-8]', 8],
    ['f[13]', 2],
    ['f[!1]', 9],
    ['f[', 0],
    ['f\\*', 0],
    ['*', NAMES.length],
    ['', 0],
  ])('%j: %i', (pattern, count) => {
    expect(select(pattern)).toHaveLength(count);
  });
});

// pattern: names that match | names that do not
test.each([
  ['name', 'name', 'nam names Name xname'],
  ['abc*', 'abc abcd', 'ab xabc'],
  ['*abc', 'abc xabc', 'abcx'],
  ['*abc*', 'abc xabc abcx xabcx', 'ab c'],
  ['a*b', 'ab axb axbxb', 'a b abx'],
  ['*a*b', 'ab xaxb aab', 'ba'],
  ['a**b', 'ab axb', 'a'],
  ['a*b*c', 'abc a1b2c abcbc', 'acb'],
  ['*aab', 'aab aaab aaaaab', 'aaba'],
  ['t?ck', 'tick tock', 'tck tiick'],
  ['[Tt]i[Cc]_*', 'tic_ TiC_x', 'tiK_ tic'],
  ['[abc]', 'a b c', 'd ab [abc]'],
  ['[a-c]x', 'ax bx cx', 'dx x'],
  ['[a-]', 'a -', 'b'],
  ['[-a]', 'a -', 'b'],
  ['[a-c-e]', 'a b c - e', 'd'],
  ['[!a-c]', 'd ! -', 'a b c'],
  ['[^a]', '^ a', 'b'],
  ['[]abc]', '] a b', 'x []abc]'],
  ['[!]abc]', 'x [', '] a'],
  ['[z-a]', '', 'a m z -'],
  ['a[', 'a[', 'a ax'],
  ['[]', '[]', '] ['],
  ['[!]', '[!]', 'a ]'],
  ['a[b', 'a[b', 'ab'],
  ['[a-', '[a-', 'a -'],
  ['\\*', '*', 'x \\*'],
  ['\\[a]', '[a]', 'a'],
  ['\\\\', '\\', '\\\\'],
  ['\\a', 'a', '\\a'],
  ['a\\', 'a\\', 'a'],
  ['[a\\]', 'a \\', ']'],
  ['*.*', 'a.b .', 'ab'],
  ['?', 'é 語 😀', 'ab'],
  ['[à-ü]*', 'élan', 'elan'],
  ['*😀', 'a😀 😀😀', '😀a'],
])('%j', (pattern, yes, no) => {
  const split = (names: string): string[] => names.split(' ').filter((name) => name !== '');
  expect(select(pattern, split(`${yes} ${no}`))).toEqual(split(yes));
});

test('half a character is no character', () => {
  expect(compileGlob('*\ude00')('\u{1f600}')).toBe(false);
  expect(compileGlob('??')('\u{1f600}')).toBe(false);
});

test('the empty pattern and runs of stars match the empty name, nothing else does', () => {
  expect(['', '*', '**', '?', 'a', '[a]', '[!a]', '\\'].filter((pattern) => compileGlob(pattern)(''))).toEqual([
    '',
    '*',
    '**',
  ]);
});

test('random patterns agree with a regular expression made from them', () => {
  const seed = 20250801;
  let state = seed;
  const random = (below: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const parts = ['a', 'b', 'c', '*', '*', '?', '[ab]', '[!a]', '[a-b]', '\\*'];
  const regular = ['a', 'b', 'c', '.*', '.*', '.', '[ab]', '[^a]', '[a-b]', '\\*'];
  for (let round = 0; round < 20_000; round++) {
    let glob = '';
    let expression = '';
    for (let i = random(7); i > 0; i--) {
      const part = random(parts.length);
      glob += parts[part];
      expression += regular[part];
    }
    let name = '';
    for (let i = random(8); i > 0; i--) name += 'abc*'[random(4)];
    expect(compileGlob(glob)(name), `seed ${seed}: ${glob} on ${name}`).toBe(new RegExp(`^${expression}$`).test(name));
  }
});

test('many stars stay quadratic', () => {
  const name = 'a'.repeat(20_000);
  const start = process.hrtime.bigint();
  expect(compileGlob(`${'*a'.repeat(20)}*b`)(name)).toBe(false);
  expect(Number(process.hrtime.bigint() - start) / 1e9).toBeLessThan(2);
});
