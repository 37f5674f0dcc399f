import { describe, expect, test } from 'vitest';
import { NoMatchError } from '../../src/errors.ts';
import { checkFilter } from '../../src/filter.ts';
import { compileGlob } from '../../src/glob.ts';
import { nearestNames } from '../../src/symbols/nearest.ts';
import { seeded } from '../trace/random.ts';

const named = (...names: string[]) => names.map((name) => ({ name }));
const SQLITE = named('sqlite3_open', 'sqlite3_open_v2', 'sqlite3_close', 'sqlite3_step', 'malloc', 'free', 'func[12]');

test.each([
  ['sqlite3_opne', ['sqlite3_open']],
  ['sqlite3_Open', ['sqlite3_open']],
  ['sqlite3opn_*', ['sqlite3_open_v2', 'sqlite3_open', 'sqlite3_step']],
  ['sqlit_*_v3', ['sqlite3_open_v2']],
  ['*_setp', ['sqlite3_step']],
  ['step', ['sqlite3_step']],
  ['maloc', ['malloc']],
  ['[lm]aloc', ['malloc']],
  ['fre', ['free']],
  ['func[12', ['func[12]']],
  ['nothing*', []],
  ['*', []],
  ['', []],
])('%j: %j', (glob, nearest) => {
  expect(nearestNames(glob, SQLITE)).toEqual(nearest);
});

test('three at most, the best first; the form that is near', () => {
  const many = named('parse_aaa', 'parse_a', 'parse_aa', 'parse_aaaa');
  expect(nearestNames('parze_a', many)).toEqual(['parse_a', 'parse_aa']);
  expect(nearestNames('pa', named('xpax', 'pax', 'xxpax', 'xpa'))).toEqual(['pax', 'xpa']);
  expect(nearestNames('_ZN1a1bEi', [{ name: 'a::b', aliases: ['a::b(int)', '_ZN1a1bEv'] }])).toEqual(['_ZN1a1bEv']);
  expect(nearestNames('a::c', [{ name: 'a::b', aliases: ['a::b(int)', '_ZN1a1bEv'] }])).toEqual(['a::b']);
});

test('a hundred thousand names', () => {
  const { random } = seeded();
  const word = (): string => Array.from({ length: 8 + random(30) }, () => 'abcdefghij_:'[random(12)]).join('');
  const names = named(...Array.from({ length: 100_000 }, word));
  names[77_777] = { name: 'the_function_to_find' };
  const start = performance.now();
  expect(nearestNames('the_funktion_to_fnid', names)).toEqual(['the_function_to_find']);
  expect(nearestNames('*funktion_to_fnid*', names)).toEqual(['the_function_to_find']);
  expect(performance.now() - start).toBeLessThan(5000);
});

test('the distance, against the definition', () => {
  // A name is at distance 0 exactly if the glob matches it, and one edit of a name that matches costs no more than one edit.
  const { random, seed } = seeded();
  const pick = (letters: string, length: number): string =>
    Array.from({ length }, () => letters[random(letters.length)]).join('');
  for (let round = 0; round < 3000; round++) {
    const glob = pick('abc*?', 4 + random(6));
    const name = pick('abc', 4 + random(6));
    const at = random(name.length);
    const edited = [name.slice(0, at) + name.slice(at + 1), `${name.slice(0, at)}x${name.slice(at)}`][random(2)];
    if (!compileGlob(glob)(name) || compileGlob(glob)(edited)) continue;
    if ([...glob].filter((c) => c !== '*').length < 3) continue;
    expect(nearestNames(glob, named(edited)), `seed ${seed}: ${glob} ${name} ${edited}`).toEqual([edited]);
  }
});

describe('globs that match nothing', () => {
  const check = (pair: object): unknown => {
    try {
      return checkFilter(pair, SQLITE);
    } catch (error) {
      return error;
    }
  };
  test('are refused, in both halves', () => {
    expect(check({ filter: ['sqlite3_*', 'fre?'], notrace: 'mal*' })).toBeUndefined();
    const error = check({ filter: ['sqlite3_*', 'sqlite3_opne'] });
    expect(error).toBeInstanceOf(NoMatchError);
    expect(error).toMatchObject({
      code: 'ENOENT',
      glob: 'sqlite3_opne',
      nearest: ['sqlite3_open'],
      message: "nothing matches 'sqlite3_opne'; nearest: sqlite3_open",
    });
    expect(check({ notrace: 'qqqqqqqq' })).toMatchObject({ message: "nothing matches 'qqqqqqqq'", nearest: [] });
  });
});
