// The compiled files as who installs the package has them: what is in dist/, and how others take it in.

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
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
  for (const name of ['fprobe', 'machine']) {
    expect(outputFiles[0].text).toContain(`new URL("../build/${name}.wasm", import.meta.url)`);
  }
});

test('the compiled library finds its engine and its machine, read as files and fetched', () => {
  const script = `
    import { readFileSync } from 'node:fs';
    import { Tracer } from 'fprobe';
    await Tracer.create();
    const early = Tracer.createSync();
    process.getBuiltinModule = undefined;
    globalThis.fetch = async (url) => new Response(readFileSync(url));
    await Tracer.create();
    await early.loadMachine();
    early.machine({ arch: 'x86_64', symbols: [] });
    globalThis.fetch = async () => new Response('', { status: 404, statusText: 'Not Found' });
    console.log(String(await Tracer.create().catch(String)).replace(/\\S+fprobe.wasm/, 'FILE'));`;
  const output = execFileSync(process.execPath, ['--input-type=module', '-e', script], { cwd: root, encoding: 'utf8' });
  expect(output).toBe(
    'EngineError: cannot read FILE: Error: 404 Not Found; ' +
      "pass the bytes of fprobe/fprobe.wasm as option 'engine' of Tracer.create, or in a checkout make it: npm run build:engine (ENOENT)\n",
  );
});

test.each(['esm', 'cjs'] as const)('a program that was bundled as %s hears what to do', async (format) => {
  const { outputFiles } = await build({
    stdin: { contents: "import { Tracer } from './dist/src/index.js'; Tracer.createSync();", resolveDir: root },
    ...{ bundle: true, format, platform: 'node', write: false, logLevel: 'silent' },
  });
  const folder = mkdtempSync(join(tmpdir(), 'fprobe-bundle-'));
  const app = join(folder, format === 'esm' ? 'app.mjs' : 'app.cjs');
  writeFileSync(app, outputFiles[0].text);
  const { stderr } = spawnSync(process.execPath, [app], { encoding: 'utf8' });
  rmSync(folder, { recursive: true });
  expect(stderr).toMatch(
    /EngineError: cannot read .*; pass the bytes of fprobe\/fprobe.wasm as option 'engine' of Tracer.create/,
  );
});

test('programs can be run where they were built', () => {
  const { bin } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  for (const path of Object.values<string>(bin)) expect(statSync(join(root, path)).mode & 0o111).toBe(0o111);
});

describe('what is packed', () => {
  const folder = mkdtempSync(join(tmpdir(), 'fprobe-pack-'));
  const modules = join(folder, 'node_modules');
  const { exports, bin } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  let files: string[] = [];
  beforeAll(() => {
    const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', folder];
    const [packed] = JSON.parse(execFileSync('npm', args, { cwd: root, encoding: 'utf8' }));
    files = packed.files.map(({ path }: { path: string }) => path);
    mkdirSync(join(modules, 'fprobe'), { recursive: true });
    execFileSync('tar', ['-xzf', join(folder, packed.filename), '--strip-components=1', '-C', join(modules, 'fprobe')]);
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  test('is what the pages link to', () => {
    const pages = ['README.md', ...files.filter((path) => path.endsWith('README.md'))];
    const links = pages.flatMap((page) =>
      [...readFileSync(join(modules, 'fprobe', page), 'utf8').matchAll(/\]\(([\w./-]+)(?:#[\w-]*)?\)/g)].map(([, to]) =>
        join(dirname(page), to!),
      ),
    );
    expect(links).toContain('assembly/README.md');
    expect(links.filter((path) => !files.includes(path))).toEqual([]);
  });

  test('is every file that package.json names, and no code that none of them leads to', () => {
    const named = JSON.stringify({ exports, bin }).match(/(?<=:"\.\/)[^"]+/g) ?? [];
    expect(named).toEqual(expect.arrayContaining(['dist/build/fprobe.wasm', 'dist/build/machine.wasm']));
    expect(named.filter((path) => !files.includes(path))).toEqual([]);
    // What is started by its path, by the command line.
    const reached = new Set([...named, 'dist/src/cli/wasi.js']);
    for (const path of reached) {
      if (!/\.(?:js|d\.ts)$/.test(path)) continue;
      const text = readFileSync(join(modules, 'fprobe', path), 'utf8');
      for (const [, from] of text.matchAll(/(?:from |import |import\()['"](\.[^'"]+)['"]/g)) {
        const file = join(dirname(path), from!);
        reached.add(path.endsWith('.d.ts') ? file.replace(/\.[jt]s$/, '.d.ts') : file);
      }
    }
    const code = files.filter((path) => path.startsWith('dist/'));
    expect(code.filter((path) => !reached.has(path))).toEqual([]);
    expect([...reached].filter((path) => path.startsWith('dist/') && !code.includes(path))).toEqual([]);
  });

  const SOURCE = `
import { Tracer, type WasmTarget } from 'fprobe';
import { instrument } from 'fprobe/instrument';
import { tracer as hooked } from 'fprobe/register';
const bytes = new Uint8Array(8);
const tracer: Tracer = await Tracer.create({ engine: bytes });
export const again = Tracer.createSync({ engine: tracer.compileSync(bytes), machine: tracer.compileSync(bytes) });
const { instance, target } = await tracer.instantiate(bytes, { js: { f: () => 1 } });
const exports: object = instance.exports;
const sites: number = target.sites.length + (target satisfies WasmTarget).notrace.length;
const user = hooked.registerFgraph({ filter: 'a*', entry: (event, fregs) => event.depth > sites && fregs.argument(0) });
const pages: number = tracer.engine.memory.buffer.byteLength;
export const all = [exports, user.idx, pages, instrument(bytes).bytes];
// @ts-expect-error: there is no such option
tracer.startGraph({ filters: 'a' });
`;
  const WITH_DOM = `
import { Tracer } from 'fprobe';
const tracer = Tracer.createSync();
const module: WebAssembly.Module = tracer.compileSync(new Uint8Array(8));
const same: WebAssembly.Instance = tracer.instantiateSync(module).instance;
export const other = WebAssembly.instantiate(module, { fprobe: tracer.engine });
export const memory: WebAssembly.Memory = tracer.engine.memory;
export const table: WebAssembly.Table = tracer.engine.table;
export const f = same.exports.f;
`;

  test.each([
    ['without any other types', ['es2022'], false, SOURCE],
    ['with those of Node', ['es2022'], true, SOURCE],
    ['with dom', ['es2022', 'dom'], false, SOURCE + WITH_DOM.replace(/import .*/, '').replace(/\btracer\b/g, 'second')],
    ['with dom and Node', ['es2023', 'dom'], true, WITH_DOM],
  ])('has types that a strict project can use, %s', (_, lib, node, source) => {
    rmSync(join(modules, '@types'), { recursive: true, force: true });
    if (node) {
      mkdirSync(join(modules, '@types'));
      for (const name of ['@types/node', 'undici-types']) {
        rmSync(join(modules, name), { force: true });
        symlinkSync(join(root, 'node_modules', name), join(modules, name));
      }
    }
    writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
    writeFileSync(join(folder, 'use.ts'), source);
    const options = { module: 'nodenext', target: 'es2022', strict: true, skipLibCheck: false, noEmit: true };
    const compilerOptions = { ...options, lib, types: node ? ['node'] : [] };
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['use.ts'] }));
    const tsc = createRequire(import.meta.url)
      .resolve('typescript/package.json')
      .replace('package.json', 'bin/tsc');
    const { status, stdout } = spawnSync(process.execPath, [tsc, '-p', folder], { encoding: 'utf8' });
    expect({ status, stdout }).toEqual({ status: 0, stdout: '' });
  });
});

test('classes have their own names', async () => {
  const library: Record<string, { name?: string }> = await import(join(root, 'dist/src/index.js'));
  const classes = Object.entries(library).filter(
    ([, value]) => typeof value === 'function' && /^[A-Z]/.test(value.name!),
  );
  expect(classes.length).toBeGreaterThan(5);
  for (const [name, value] of classes) expect(value.name).toBe(name);
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
