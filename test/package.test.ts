// The compiled files as who installs the package has them: what is in dist/, and how others take it in.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { expect, test } from 'vitest';
import { fprobe, root } from './cli/fprobe.ts';

test('a bundler for browsers takes the library, nothing of Node is imported by name', async () => {
  const { errors, warnings, metafile, outputFiles } = await build({
    entryPoints: [join(root, 'dist/src/index.js')],
    bundle: true,
    format: 'esm',
    platform: 'browser',
    write: false,
    metafile: true,
    logLevel: 'silent',
  });
  expect({ errors, warnings }).toEqual({ errors: [], warnings: [] });
  expect(Object.values(metafile.outputs).flatMap(({ imports }) => imports)).toEqual([]);
  // The form that bundlers replace by where they have put the file.
  expect(outputFiles[0].text).toContain('new URL("../build/fprobe.wasm", import.meta.url)');
});

test('the compiled library finds its engine, read as a file and fetched', () => {
  const script = `
    import { readFileSync } from 'node:fs';
    import { Tracer } from 'fprobe';
    await Tracer.create();
    Tracer.createSync();
    process.getBuiltinModule = undefined;
    globalThis.fetch = async (url) => new Response(readFileSync(url));
    await Tracer.create();
    globalThis.fetch = async () => new Response('', { status: 404, statusText: 'Not Found' });
    console.log(String(await Tracer.create().catch(String)).replace(/\\S+fprobe.wasm/, 'FILE'));`;
  const output = execFileSync(process.execPath, ['--input-type=module', '-e', script], { cwd: root, encoding: 'utf8' });
  expect(output).toBe(
    'EngineError: cannot read FILE: Error: 404 Not Found; pass its bytes, or make it: npm run build:engine (ENOENT)\n',
  );
});

test('every file that package.json names is packed', () => {
  const { exports, bin } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const [{ files }] = JSON.parse(
    execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], { cwd: root, encoding: 'utf8' }),
  );
  const packed = new Set(files.map(({ path }: { path: string }) => path));
  const named = JSON.stringify({ exports, bin }).match(/(?<=:"\.\/)[^"]+/g) ?? [];
  expect(named).toContain('dist/build/fprobe.wasm');
  expect(named.filter((path) => !packed.has(path))).toEqual([]);
});

test('compiled commands know their errors as those of the instrumenter', async () => {
  expect(await fprobe(['list', 'package.json'])).toEqual({
    end: 2,
    stdout: '',
    stderr: 'fprobe: package.json: wasm: 0x7b at byte 0, expected the magic number 00 61 73 6d ("\\0asm")\n',
  });
});

const TRACE = `# tracer: function_graph
#
# CPU  DURATION                  FUNCTION CALLS
# |     |   |                     |   |   |   |
 0)               |  vfs_read() {
 0)   0.500 us    |    rw_verify_area();
 0)   1.500 us    |  }
`;

test('compiled commands find the engine, too', async () => {
  const file = join(mkdtempSync(join(tmpdir(), 'fprobe-')), 'trace.txt');
  writeFileSync(file, TRACE);
  expect(await fprobe(['replay', file])).toEqual({ end: 0, stdout: TRACE, stderr: '' });
});
