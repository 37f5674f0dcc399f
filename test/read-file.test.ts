// Files that are named from outside (an environment variable, a module, a folder of recordings) and are none, or have no end: each
// reader says so at once. In a process of its own, since what waits for ever cannot be stopped from inside.

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readRegularFile } from '../src/read-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'fprobe-read-'));
const place = (name: string): string => join(folder, name);
const NAMES = ['zero', 'pipe.fprobe', 'folder', 'huge'];

beforeAll(() => {
  writeFileSync(place('small'), 'text');
  mkdirSync(place('folder'));
  execFileSync('mkfifo', [place('pipe.fprobe')]);
  writeFileSync(place('huge'), '');
  truncateSync(place('huge'), 2 ** 36); // takes no room
});
afterAll(() => rmSync(folder, { recursive: true }));

const onUnix = test.runIf(process.platform !== 'win32');

onUnix('a regular file, and no other', () => {
  expect(readRegularFile(place('small'), 4).toString()).toBe('text');
  expect(() => readRegularFile(place('small'), 3)).toThrow('it has 4 bytes (expected 3 at most)');
  expect(() => readRegularFile(place('huge'), 2 ** 30)).toThrow(
    'it has 68719476736 bytes (expected 1073741824 at most)',
  );
  expect(() => readRegularFile(place('folder'), 4)).toThrow('it is a directory (expected a file)');
  expect(() => readRegularFile(place('pipe.fprobe'), 4)).toThrow('it is a pipe (expected a file)');
  expect(() => readRegularFile('/dev/zero', 4)).toThrow('it is a device (expected a file)');
  expect(() => readRegularFile(place('none'), 4)).toThrow(expect.objectContaining({ code: 'ENOENT' }));
  expect(() => readRegularFile(place('folder'), 4)).toThrow(expect.objectContaining({ code: 'EINVAL' }));
});

onUnix('one that says that it is empty, and is not, ends too', () => {
  if (process.platform !== 'linux') return;
  expect(() => readRegularFile('/proc/self/maps', 100)).toThrow('it has more than 100 bytes');
  expect(readRegularFile('/proc/self/comm', 100).length).toBeGreaterThan(0);
});

onUnix.each([
  ['a trace request', 'readRequest', 'session', '(path)'],
  ['a recording', 'readRecording', 'recording', '(path)'],
  ['a symbol map', 'symbolMapBeside', 'symbols/symbol-file', '(path + ".wasm", 1, fail)'],
])('%s', (_, name, file, call) => {
  const source = `
    import { ${name} } from ${JSON.stringify(new URL(`../src/${file}.ts`, import.meta.url).href)};
    import { symlinkSync } from 'node:fs';
    import { join } from 'node:path';
    const fail = (message) => { throw new Error(message); };
    for (const name of ${JSON.stringify(NAMES)}) {
      const path = name === 'zero' ? '/dev/zero' : join(${JSON.stringify(folder)}, name);
      const link = join(${JSON.stringify(folder)}, '${name}-' + name);
      symlinkSync(path, link);
      symlinkSync(path, link + '.symbols');
      try {
        const path = link;
        ${name}${call};
        console.log('read');
      } catch (error) {
        console.log(error.message);
      }
    }`;
  const args = ['--import', 'tsx', '--input-type=module', '-e', source];
  const { stdout, stderr } = spawnSync(process.execPath, args, { timeout: 60_000, encoding: 'utf8' });
  expect(stderr).toBe('');
  expect(stdout.trim().split('\n')).toEqual([
    expect.stringContaining('it is a device (expected a file)'),
    expect.stringContaining('it is a pipe (expected a file)'),
    expect.stringContaining('it is a directory (expected a file)'),
    expect.stringMatching(/it has 68719476736 bytes \(expected \d+ at most\)/),
  ]);
});
