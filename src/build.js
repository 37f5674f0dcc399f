// src/ → dist/: what is packed. Code is bundled, so that a program that is started under the hook reads few files; declarations are
// those that an entry of the package leads to.

import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';
import { build } from 'esbuild';

const OUT = 'dist/src';
/// Entries of package.json that have types, then programs.
const LIBRARY = ['index', 'register', 'instrument/index'];
const PROGRAMS = ['cli/main', 'cli/wasi'];

const WASM_TYPES = resolve(OUT, 'wasm-types.d.ts');

rmSync('dist', { recursive: true, force: true });
const { outputFiles } = await build({
  entryPoints: [...LIBRARY, ...PROGRAMS].map((name) => `src/${name}.ts`),
  outdir: OUT,
  outbase: 'src',
  chunkNames: 'shared-[hash]',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  packages: 'external',
  write: false,
  logLevel: 'warning',
});
execFileSync(process.execPath, [typescript(), '-p', 'tsconfig.build.json'], { stdio: 'inherit' });
for (const { path, text } of outputFiles) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, withNames(text));
}
// What `npx fprobe` runs in a checkout; npm does the same where it installs.
for (const name of PROGRAMS) chmodSync(`${OUT}/${name}.js`, 0o755);
for (const name of ['fprobe.wasm', 'machine.wasm', 'fprobe.h']) cpSync(`build/${name}`, `dist/build/${name}`);
const declarations = reachable(LIBRARY.map((name) => resolve(OUT, `${name}.d.ts`)));
for (const path of declarations) writeFileSync(path, withWasmTypes(path, readFileSync(path, 'utf8')));
declarations.add(WASM_TYPES);
prune('dist', declarations);

function typescript() {
  return createRequire(import.meta.url)
    .resolve('typescript/package.json')
    .replace('package.json', 'bin/tsc');
}

/// A class that mentions itself comes out as `var Tracer = class _Tracer`, and says that it is called `_Tracer`. The name is only
/// known inside of the class, where the outer one stands for the same.
function withNames(text) {
  let named = text;
  for (const [, name] of text.matchAll(/^var (\w+) = class _\1\b/gm)) {
    named = named.replaceAll(new RegExp(`(?<![\\w$#.])_${name}(?![\\w$])`, 'g'), name);
  }
  return named;
}

/// With the types of src/wasm-types.ts in place of global ones, which not every project has.
function withWasmTypes(path, text) {
  const from = relative(dirname(path), WASM_TYPES).replaceAll('\\', '/').replace('.d.ts', '.js');
  const named = text
    .replace(/\bWebAssembly\.(?=(?:Module|Instance|Exports|Imports|Memory|Table)\b)/g, 'WasmTypes.')
    .replace(/(?<![.\w])BufferSource\b/g, 'WasmTypes.BufferSource');
  if (named === text) return text;
  return `import type * as WasmTypes from '${from.startsWith('.') ? from : `./${from}`}';\n${named}`;
}

/// The declarations that `paths` lead to, themselves included.
function reachable(paths) {
  const found = new Set(paths);
  for (const path of found) {
    const text = readFileSync(path, 'utf8');
    for (const [, from] of text.matchAll(/(?:from |import\()['"](\.[^'"]+)\.[jt]s['"]/g)) {
      const other = resolve(dirname(path), `${from}.d.ts`);
      if (existsSync(other)) found.add(other);
    }
  }
  return found;
}

/// Removes declarations that are not among `kept`, and folders that have nothing in them then.
function prune(folder, kept) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) prune(path, kept);
    else if (path.endsWith('.d.ts') && !kept.has(resolve(path))) rmSync(path);
  }
  if (readdirSync(folder).length === 0) rmdirSync(folder);
}
