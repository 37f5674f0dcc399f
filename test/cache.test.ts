// The cache of instrumented modules: what comes out is what went in, whatever happens to the files in between.

import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { Cache, cacheFromEnvironment } from '../src/cache.ts';
import { prepareBytes } from '../src/target/prepare.ts';
import { Programs } from './hook/run.ts';
import { bytesOf } from './programs/program.ts';

const folder = mkdtempSync(join(tmpdir(), 'fprobe-cache-'));
const processes = new Programs();
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
  processes.remove();
});

const zstd = bytesOf('@bokuweb/zstd-wasm/dist/common/zstd.wasm');
const onig = bytesOf('vscode-oniguruma/release/onig.wasm');
let directory: string;
let count = 0;
beforeEach(() => {
  directory = join(folder, `${++count}`, 'of', 'fprobe');
});

/// A cache with entries for the modules.
function filled(...modules: Uint8Array<ArrayBuffer>[]): Cache {
  const cache = new Cache({ directory });
  for (const bytes of modules) cache.write(prepareBytes(bytes, { args: false }));
  cache.flush();
  expect(cache.problem).toBeUndefined();
  return cache;
}

const entries = (): string[] => readdirSync(directory).map((name) => join(directory, name));

describe('an entry', () => {
  test('is the module that was made, and all that is known of it', () => {
    filled(zstd, onig);
    for (const bytes of [zstd, onig]) {
      const made = prepareBytes(bytes, { args: false });
      const read = new Cache({ directory }).read(bytes, false)!;
      expect(Buffer.from(read.bytes).equals(made.bytes)).toBe(true);
      const { offsets, warnings, catching, start, ...marker } = made.facts;
      expect(read.facts).toEqual(marker);
      expect(read.functions).toBe(made.functions);
      expect(read.original).toBe(bytes);
      expect(WebAssembly.validate(read.bytes)).toBe(true);
    }
  });

  test('is another one for other bytes, and with other options', () => {
    const cache = filled(zstd);
    expect(cache.read(onig, false)).toBeUndefined();
    expect(cache.read(zstd, true)).toBeUndefined();
    const changed = zstd.slice();
    changed[changed.length - 1] ^= 1;
    expect(cache.read(changed, false)).toBeUndefined();
    expect(cache.read(zstd, false)).toBeDefined();
    expect(cache.problem).toBeUndefined();
  });

  test('is private, and there is nothing beside it', () => {
    filled(zstd);
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    expect(entries().map((path) => statSync(path).mode & 0o777)).toEqual([0o600]);
  });

  test('is not made for a module that takes no time', () => {
    filled(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0));
    expect(() => readdirSync(directory)).toThrow('ENOENT');
  });
});

describe('an entry that cannot be trusted is removed, and made anew', () => {
  const damages: Record<string, (path: string, other: string) => void> = {
    'the first byte changed': (path) => flip(path, 0),
    'the key changed': (path) => flip(path, 20),
    'the place of the marker changed': (path) => flip(path, 46),
    'a byte of the module changed': (path) => flip(path, 3000),
    'the last byte changed': (path) => flip(path, statSync(path).size - 1),
    'cut off': (path) => truncateSync(path, 5000),
    'cut off in its header': (path) => truncateSync(path, 30),
    empty: (path) => truncateSync(path, 0),
    'a byte more': (path) => writeFileSync(path, Buffer.concat([readFileSync(path), Buffer.of(0)])),
    'another module’s': (path, other) => renameSync(other, path),
    'no file': (path) => {
      rmSync(path);
      mkdirSync(path);
    },
  };
  function flip(path: string, at: number): void {
    const bytes = readFileSync(path);
    bytes[at] ^= 0x10;
    writeFileSync(path, bytes);
  }

  test.each(Object.entries(damages))('%s', (name, damage) => {
    filled(zstd);
    const [path] = entries();
    filled(onig);
    damage(path, entries().find((entry) => entry !== path)!);
    const cache = new Cache({ directory });
    expect(cache.read(zstd, false)).toBeUndefined();
    expect(cache.problem).toBeDefined();
    if (name === 'no file') return; // nothing of ours: left where it is
    expect(entries()).not.toContain(path);
    filled(zstd);
    expect(
      Buffer.from(new Cache({ directory }).read(zstd, false)!.bytes).equals(prepareBytes(zstd, { args: false }).bytes),
    ).toBe(true);
  });
});

describe('the directory', () => {
  test('is not used when others can get in', () => {
    mkdirSync(directory, { recursive: true });
    chmodSync(directory, 0o755);
    const cache = new Cache({ directory });
    cache.write(prepareBytes(zstd));
    cache.flush();
    expect(cache.problem).toBe(`${directory} is open to others, expected a directory of your own with mode 0700`);
    expect(entries()).toEqual([]);
    expect(cache.read(zstd, true)).toBeUndefined();
  });

  test('that cannot be made is no failure', () => {
    writeFileSync(join(folder, 'file'), '');
    const cache = new Cache({ directory: join(folder, 'file', 'below') });
    cache.write(prepareBytes(zstd));
    cache.flush();
    expect(cache.read(zstd, true)).toBeUndefined();
    expect(cache.problem).toMatch(/ENOTDIR/);
  });

  test('keeps within its limit: what was not used for longest goes', () => {
    const lua = bytesOf('wasmoon/dist/glue.wasm');
    filled(zstd, onig);
    for (const path of entries()) utimesSync(path, 1000, 1000);
    expect(new Cache({ directory }).read(zstd, false)).toBeDefined(); // used now
    const size = entries().reduce((sum, path) => sum + statSync(path).size, 0);
    const cache = new Cache({ directory, limit: size });
    cache.write(prepareBytes(lua, { args: false }));
    cache.flush();
    expect(cache.read(onig, false)).toBeUndefined();
    expect(cache.read(lua, false)).toBeDefined();
    expect(cache.read(zstd, false)).toBeDefined();
  });

  test('is cleared of what a process that died left half written', () => {
    filled(zstd);
    const [old, young] = ['old.tmp', 'young.tmp'].map((name) => join(directory, name));
    for (const path of [old, young]) writeFileSync(path, 'half');
    utimesSync(old, 1000, 1000);
    filled(onig);
    expect(entries()).not.toContain(old);
    expect(entries()).toContain(young);
  });

  test('comes from the environment', () => {
    expect(cacheFromEnvironment({ FPROBE_CACHE: '0' })).toBeUndefined();
    const cache = cacheFromEnvironment({ FPROBE_CACHE: directory, FPROBE_CACHE_SIZE: '0' })!;
    cache.write(prepareBytes(zstd));
    cache.flush();
    expect(entries()).toEqual([]); // made, and over the limit
  });
});

describe('processes', () => {
  test('a size that is none is told of to who wants to hear', async () => {
    processes.write('nothing.cjs', '');
    const env = { FPROBE_CACHE: directory, FPROBE_CACHE_SIZE: 'abc' };
    expect((await processes.hooked('nothing.cjs', { env })).stderr).toBe('');
    expect((await processes.hooked('nothing.cjs', { env: { ...env, FPROBE_VERBOSE: '1' } })).stderr).toBe(
      "fprobe: FPROBE_CACHE_SIZE is 'abc', expected MiB, a number of 0 or more; 512 it is\n",
    );
  });

  const SQLITE = `
    require('sql.js')().then((SQL) => {
      const db = new SQL.Database();
      console.log(db.exec('select 6 * 7')[0].values);
    });`;

  test('the second one finds what the first one made; several at once do not disturb one another', async () => {
    processes.write('sqlite.cjs', SQLITE);
    const env = { FPROBE_CACHE: directory };
    const outcomes = await Promise.all([1, 2, 3].map(() => processes.hooked('sqlite.cjs', { env })));
    for (const outcome of outcomes) expect(outcome).toMatchObject({ code: 0, stdout: '[ [ 42 ] ]\n', stderr: '' });
    expect(entries().map((path) => path.endsWith('.module'))).toEqual([true]);
    const first = await processes.traced('sqlite.cjs', {}, { env }); // without arguments: another entry
    const second = await processes.traced('sqlite.cjs', {}, { env });
    expect(first.recordings[0].modules).toMatchObject([{ cached: false }]);
    expect(second.recordings[0].modules).toMatchObject([{ cached: true }]);
    expect(second.stdout).toBe(first.stdout);
    // sql.js calls its files by random names, so that a few calls more or less are made.
    for (const { recordings } of [first, second]) expect(recordings[0].counts.entries).toBeGreaterThan(5000);
    expect(entries().length).toBe(2);
  });

  test('a damaged entry is no more than lost time', async () => {
    processes.write('sqlite.cjs', SQLITE);
    const env = { FPROBE_CACHE: directory };
    await processes.hooked('sqlite.cjs', { env });
    const [path] = entries();
    writeFileSync(path, readFileSync(path).fill(0x5a, 4000));
    const outcome = await processes.hooked('sqlite.cjs', { env });
    expect(outcome).toMatchObject({ code: 0, stdout: '[ [ 42 ] ]\n', stderr: '' });
    expect(statSync(path).size).toBeGreaterThan(4000);
  });
});

// In a process of its own: what waits forever cannot be stopped from inside.
test.runIf(process.platform === 'linux')('an entry or a directory that never ends is not waited for', () => {
  filled(zstd);
  const [path] = entries();
  const source = `
    import { Cache } from ${JSON.stringify(new URL('../src/cache.ts', import.meta.url).href)};
    import { readFileSync, rmSync, symlinkSync } from 'node:fs';
    import { execFileSync } from 'node:child_process';
    const [directory, path, wasm] = ${JSON.stringify([directory, path, 'node_modules/@bokuweb/zstd-wasm/dist/common/zstd.wasm'])};
    const bytes = new Uint8Array(readFileSync(wasm));
    const read = (directory) => {
      const cache = new Cache({ directory });
      if (cache.read(bytes, false) || !cache.problem) throw new Error('expected a problem with ' + directory);
    };
    read('/proc/fprobe/cache');
    rmSync(path);
    symlinkSync('/dev/zero', path);
    read(directory);
    rmSync(path);
    execFileSync('mkfifo', [path]);
    read(directory);`;
  const args = ['--import', 'tsx', '--input-type=module', '-e', source];
  const { status, stderr } = spawnSync(process.execPath, args, { timeout: 60_000, encoding: 'utf8' });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
});

test('a cache that cannot be used is told of with FPROBE_VERBOSE, once', () => {
  const source = `
    import { cacheFromEnvironment } from ${JSON.stringify(new URL('../src/cache.ts', import.meta.url).href)};
    import { readFileSync } from 'node:fs';
    const cache = cacheFromEnvironment();
    const bytes = new Uint8Array(readFileSync('node_modules/@bokuweb/zstd-wasm/dist/common/zstd.wasm'));
    if (cache.read(bytes, false) || cache.read(bytes, true)) throw new Error('expected nothing');`;
  const args = ['--import', 'tsx', '--input-type=module', '-e', source];
  const file = join(folder, 'file');
  writeFileSync(file, '');
  const said = (verbose: string): string => {
    const env = { ...process.env, FPROBE_CACHE: file, FPROBE_VERBOSE: verbose };
    return spawnSync(process.execPath, args, { timeout: 60_000, encoding: 'utf8', env }).stderr;
  };
  expect(said('')).toBe('');
  expect(said('1')).toBe(`fprobe: cache not used: ${file} is no directory\n`);
});
