import { describe, expect, test } from 'vitest';
import { type CountedFunction, profileTable, sumByName } from '../../src/trace/profile-table.ts';

const row = (name: string, count: number, total: number, self: number, max: number): CountedFunction => ({
  name,
  count,
  total,
  self,
  max,
});

const ROWS = [
  row('std::vector<int>::push_back(int&&)', 4, 2_000_000, 1_500_000, 900_000),
  row('main', 1, 8_000_000, 6_000_000, 8_000_000),
  row('never', 0, 0, 0, 0),
  row('tick', 12_345_678, 600_000, 500_000, 100),
];

const names = (text: string): string[] =>
  text
    .trimEnd()
    .split('\n')
    .slice(2)
    .map((line) => / {2}([a-z].*)$/.exec(line)![1]);

describe('profile table', () => {
  test('a line per function, widest column first to last, names never cut', () => {
    expect(profileTable(ROWS).split('\n')).toEqual([
      '  Self %                            Self ms  Total ms     Calls    Avg us    Max us  Function',
      '  ------                            -------  --------     -----    ------    ------  --------',
      '   75.00  ########################    6.000     8.000         1  8000.000  8000.000  main',
      '   18.75  ######                      1.500     2.000         4   500.000   900.000  std::vector<int>::push_back(int&&)',
      '    6.25  ##                          0.500     0.600  12345678     0.000     0.100  tick',
      '',
    ]);
  });

  test('the bar stands behind the column that it is of', () => {
    const [head, , first, second, third] = profileTable(ROWS, { sort: 'total' }).split('\n');
    expect(head).toMatch(/^ {2}Self % {2}Self ms {2}Total ms {2} {24} {2} +Calls/);
    expect(first).toMatch(/^ +75\.00 +6\.000 +8\.000 {2}#{24} {2} +1 /);
    expect(second).toMatch(/^ +18\.75 +1\.500 +2\.000 {2}#{6} {18} {2} +4 /);
    expect(third).toMatch(/ 0\.600 {2}## {22} {2}12345678 /);
    expect(profileTable(ROWS, { sort: 'max' })).toMatch(/ 8000\.000 {2}#{24} {2}main\n/);
    expect(profileTable(ROWS, { sort: 'avg' })).toMatch(/ 8000\.000 {2}#{24} {2}8000\.000 {2}main\n/);
    expect(profileTable(ROWS, { sort: 'calls' })).toMatch(/ 12345678 {2}#{24} {2} +0\.000 /);
    expect(profileTable(ROWS, { sort: 'name' })).toMatch(/^ {2}Self % {2} {24} {2}Self ms/);
  });

  test.each([
    ['self', ['main', 'std::vector<int>::push_back(int&&)', 'tick']],
    ['calls', ['tick', 'std::vector<int>::push_back(int&&)', 'main']],
    ['max', ['main', 'std::vector<int>::push_back(int&&)', 'tick']],
    ['name', ['main', 'std::vector<int>::push_back(int&&)', 'tick']],
  ] as const)('sorted by %s', (sort, expected) => {
    expect(names(profileTable(ROWS, { sort }))).toEqual(expected);
  });

  test('ticks of a clock without a unit are printed as they are', () => {
    const [title, , line] = profileTable([row('f', 3, 10, 10, 5)], { nanoseconds: false }).split('\n');
    expect(title).not.toMatch(/ms|us/);
    expect(line.split(/ +/).slice(3)).toEqual(['10', '10', '3', '3', '5', 'f']);
  });

  test('nothing called: the head alone', () => {
    expect(
      profileTable([row('f', 0, 0, 0, 0)])
        .trimEnd()
        .split('\n'),
    ).toHaveLength(2);
  });

  test('a threshold hides rows, whose shares stay what they were', () => {
    const rows = [row('f', 2, 40, 30, 30), row('g', 10, 50, 10, 9)];
    const [line, ...others] = profileTable(rows, { nanoseconds: false, threshold: 20 }).trimEnd().split('\n').slice(2);
    expect(others).toEqual([]);
    expect(line).toMatch(/^ +75\.00 .* f$/);
    expect(names(profileTable(rows, { threshold: 5 }))).toEqual(['f', 'g']);
    expect(names(profileTable(rows, { threshold: 5, graphTime: false }))).toEqual(['f']);
  });

  test('without graph-time, averages are of the time that functions took themselves', () => {
    const [title, , line] = profileTable([row('f', 2, 40, 30, 30)], { nanoseconds: false, graphTime: false }).split(
      '\n',
    );
    expect(title.trim().split(/ +/)).toEqual(['Self', '%', 'Self', 'Calls', 'Avg', 'Function']);
    expect(line.trim().split(/ +/).slice(2)).toEqual(['30', '2', '15', 'f']);
  });

  test('a row that took no time has no bar', () => {
    expect(profileTable([row('f', 1, 0, 0, 0)])).not.toContain('#');
  });

  test('the same function of several threads is one row', () => {
    const sum = sumByName([row('f', 1, 10, 5, 10), row('g', 1, 1, 1, 1), row('f', 2, 30, 6, 20)]);
    expect(sum).toEqual([row('f', 3, 40, 11, 20), row('g', 1, 1, 1, 1)]);
  });
});
