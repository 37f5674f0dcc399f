import { expect, test } from 'vitest';
import { type ProfileRow, profileText } from '../../src/trace/profile-text.ts';

// Recorded from a real kernel (profile-7.2-custom, function profiler): four tables of two CPUs, twice.
const TABLES = [
  `  Function                               Hit    Time            Avg             s^2
  --------                               ---    ----            ---             ---
  ksys_read                                9    1764.205 us     196.022 us      208231.4 us 
  vfs_read                                 9    1611.917 us     179.101 us      176433.9 us 
  __do_sys_getppid                        50    25.549 us       0.510 us        1.341 us    
`,
  `  Function                               Hit    Time            Avg             s^2
  --------                               ---    ----            ---             ---
  __x64_sys_clock_nanosleep                2    6731.452 us     3365.726 us     102574.6 us 
  do_nanosleep                             2    6397.024 us     3198.512 us     9671.345 us 
  ksys_read                                5    575.927 us      115.185 us      32325.64 us 
  vfs_read                                 7    515.185 us      73.597 us       24007.39 us 
  __do_sys_getppid                         3    16.025 us       5.341 us        24.533 us   
`,
  `  Function                               Hit    Time            Avg             s^2
  --------                               ---    ----            ---             ---
  ksys_read                                9    876.973 us      97.441 us       29280.22 us 
  vfs_read                                 9    804.187 us      89.354 us       28049.63 us 
  __do_sys_getppid                        50    41.584 us       0.831 us        2.462 us    
`,
  `  Function                               Hit    Time            Avg             s^2
  --------                               ---    ----            ---             ---
  __x64_sys_clock_nanosleep                2    6453.469 us     3226.734 us     1000.699 us 
  do_nanosleep                             2    6401.261 us     3200.630 us     221.572 us  
  ksys_read                                5    196.213 us      39.242 us       342.486 us  
  vfs_read                                 7    153.829 us      21.975 us       255.561 us  
  __do_sys_getppid                         3    21.471 us       7.157 us        44.578 us   
`,
];

// A row of a table → sums that give it. The average is left to be computed; the squares are those of the printed variance.
function parseRow(line: string): ProfileRow {
  const [name, hits, time, , , , variance] = line.trim().split(/ +/);
  const thousandths = (text: string): bigint =>
    BigInt(text.replace('.', '')) * 10n ** BigInt(3 - (text.split('.')[1] ?? '').length);
  const n = BigInt(hits);
  const sum = thousandths(time);
  const spread = thousandths(variance) * n * (n - 1n) * 1000n + sum * sum;
  return { name, hits: Number(hits), time: Number(sum), squares: (spread + n - 1n) / n };
}

test.each(TABLES.map((table, i) => [i, table] as const))('recorded table %i comes back byte for byte', (_, table) => {
  const rows = table.trimEnd().split('\n').slice(2).map(parseRow);
  expect(profileText(rows.toReversed())).toBe(table);
});

test('the variance is that of the calls', () => {
  // 1, 2, 3, 4 µs: mean 2.5 µs, variance 5/3 µs²
  const rows = [{ name: 'f', hits: 4, time: 10_000, squares: 30_000_000n }];
  expect(profileText(rows).split('\n')[2]).toBe(
    '  f                                        4    10.000 us       2.500 us        1.666 us    ',
  );
});

test('one call has no variance, no call no row', () => {
  const rows = [
    { name: 'never', hits: 0, time: 0, squares: 0n },
    { name: 'once', hits: 1, time: 5, squares: 25n },
  ];
  expect(profileText(rows).split('\n').slice(2)).toEqual([
    '  once                                     1    0.005 us        0.005 us        0.000 us    ',
    '',
  ]);
});

test('long names are cut, averages below the threshold left out', () => {
  const rows = [
    { name: 'a'.repeat(40), hits: 2, time: 40_000, squares: 800_000_000n },
    { name: 'short', hits: 2, time: 19_998, squares: 0n },
  ];
  expect(profileText(rows, 10_000).split('\n').slice(2)).toEqual([
    `  ${'a'.repeat(30)}           2    40.000 us       20.000 us       0.000 us    `,
    '',
  ]);
});

test('without sums of squares there is no column for the variance', () => {
  expect(
    profileText([{ name: 'f', hits: 2, time: 3000 }]),
  ).toBe(`  Function                               Hit    Time            Avg
  --------                               ---    ----            ---
  f                                        2    3.000 us        1.500 us    
`);
});

test('nothing was hit', () => {
  expect(profileText([]).split('\n')).toHaveLength(3);
});
