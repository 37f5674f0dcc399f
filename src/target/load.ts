// Bytes in, a running instance and its target out: what `WebAssembly.instantiate` does, with the module instrumented on the way
// and nothing of that to be seen by the program.

import type { Engine } from '../engine.ts';
import { WasmFormatError } from '../errors.ts';
import { RESERVED_PREFIX } from '../instrument/abi.ts';
import { type InstrumentOptions, instrument } from '../instrument/index.ts';
import { type ModuleInfo, readModule } from '../instrument/reader.ts';
import { functionNames } from '../symbols/function-names.ts';
import { parseSymbolMap, type SymbolMap } from '../symbols/symbol-map.ts';
import { readThrough } from './imports.ts';
import { WasmNotrace, WasmSite } from './site.ts';
import { WasmTarget } from './wasm.ts';

export interface WasmOptions extends Pick<InstrumentOptions, 'args' | 'growth' | 'only'> {
  /// Name of the target in lists and messages. Default: `wasmN`, N being its number.
  readonly name?: string;
  /// How the target reaches the engine. `attached` is the form there is.
  readonly link?: 'attached';
  /// Names for functions that the module itself does not name: the text of a symbol map (`index:name` or `index name` a line,
  /// what emscripten's `--emit-symbol-map` writes), or a Map from function index to name.
  readonly symbols?: string | SymbolMap;
  /// Load a module that cannot be instrumented as it is, with a target of `undefined`, in place of throwing.
  readonly fallback?: boolean;
}

/// Number × TARGET_STRIDE is the address of a target's offset 0.
export const TARGET_STRIDE = 2 ** 32;

/// Modules that came through `compileWasm`, and the bytes that they were made of: a `WebAssembly.Module` does not give them back.
const bytesOfModule = new WeakMap<WebAssembly.Module, Uint8Array<ArrayBuffer>>();

/// Compiles as `WebAssembly.compile` does and remembers the bytes, so that the module can be given to `instantiateWasm`.
export async function compileWasm(bytes: BufferSource): Promise<WebAssembly.Module> {
  const copy = copyBytes(bytes);
  const module = await WebAssembly.compile(copy);
  bytesOfModule.set(module, copy);
  return module;
}

function copyBytes(source: BufferSource): Uint8Array<ArrayBuffer> {
  // By its tag: a buffer from another realm (a vm context, a frame) is no instance of ours.
  if (Object.prototype.toString.call(source) === '[object ArrayBuffer]') {
    return new Uint8Array(source as ArrayBuffer).slice();
  }
  if (ArrayBuffer.isView(source)) {
    return new Uint8Array(source.buffer, source.byteOffset, source.byteLength).slice() as Uint8Array<ArrayBuffer>;
  }
  throw new TypeError(
    `expected the bytes of a module (ArrayBuffer or view) or a WebAssembly.Module, got ${describe(source)}`,
  );
}

const describe = (value: unknown): string =>
  value === null ? 'null' : typeof value === 'object' ? Object.prototype.toString.call(value) : typeof value;

function bytesOf(source: BufferSource | WebAssembly.Module): Uint8Array<ArrayBuffer> {
  if (!(source instanceof WebAssembly.Module)) return copyBytes(source);
  const bytes = bytesOfModule.get(source);
  if (bytes) return bytes;
  throw new TypeError(
    'a WebAssembly.Module does not give its bytes back: pass the bytes, or compile them with `tracer.compile(bytes)`',
  );
}

function symbolsOf(symbols: WasmOptions['symbols']): SymbolMap | undefined {
  if (symbols === undefined || symbols instanceof Map) return symbols;
  if (typeof symbols === 'string') return parseSymbolMap(symbols, 'symbols');
  throw new TypeError(`symbols is ${describe(symbols)}, expected the text of a symbol map or a Map`);
}

export interface LoadedWasm {
  readonly instance: WebAssembly.Instance;
  /// The original bytes.
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly target: WasmTarget | undefined;
}

/// `attach` is called with the target before any of the module's code runs, `detach` if its start function fails.
export async function instantiateWasm(
  engine: Engine,
  number: number,
  source: BufferSource | WebAssembly.Module,
  imports: WebAssembly.Imports | undefined,
  options: WasmOptions,
  attach: (target: WasmTarget) => void,
  detach: (target: WasmTarget) => void,
): Promise<LoadedWasm> {
  if (options.name !== undefined && typeof options.name !== 'string') {
    throw new TypeError(`name is ${String(options.name)} (${typeof options.name}), expected a string`);
  }
  if (options.link !== undefined && options.link !== 'attached') {
    throw new RangeError(`link is '${String(options.link)}', expected 'attached'`);
  }
  if (options.only !== undefined && typeof options.only !== 'function') {
    throw new TypeError(`only is ${String(options.only)} (${typeof options.only}), expected a function`);
  }
  const symbols = symbolsOf(options.symbols);
  const bytes = bytesOf(source);
  let info: ModuleInfo;
  let instrumented: ReturnType<typeof instrument>;
  try {
    info = readModule(bytes);
    instrumented = instrument(bytes, {
      args: options.args,
      growth: options.growth,
      only: options.only,
      start: 'defer',
      validate: false, // compiling tells
    });
  } catch (error) {
    if (!(error instanceof WasmFormatError && options.fallback)) throw error;
    return { instance: (await WebAssembly.instantiate(bytes, imports)).instance, bytes, target: undefined };
  }
  const module = await compileInstrumented(instrumented.bytes as Uint8Array<ArrayBuffer>, bytes, imports);
  const { Suspending } = WebAssembly as unknown as { Suspending?: abstract new (...args: never[]) => unknown };
  let target: WasmTarget | undefined;
  let suspends = false;
  const instance = await WebAssembly.instantiate(
    module,
    readThrough(imports, info, {
      byReference: instrumented.importsByReference,
      before: () => target?.clearVia(),
      seen(value) {
        if (Suspending && value instanceof Suspending) suspends = true;
      },
    }),
  );

  const namesOf = functionNames(info, symbols);
  const locate = (): undefined => undefined;
  // A module of imports or data only has none, and the engine adds no less than one.
  const count = instrumented.sites.length;
  const firstSite = count > 0 ? engine.addSites(count) : engine.memory.siteCount();
  const sites = instrumented.sites.map(
    ({ id, index, offset }) =>
      new WasmSite(firstSite + id, number * TARGET_STRIDE + offset, index, offset, namesOf(index), locate),
  );
  for (const site of sites) engine.memory.setSiteIp(site.id, site.ip);
  const notrace = instrumented.skipped.map(
    ({ index, reason, why }) => new WasmNotrace(index, `${reason}: ${why}`, namesOf(index)),
  );
  const { bytes: _, ...rest } = instrumented;
  target = new WasmTarget(engine, instance, rest, {
    name: options.name ?? `wasm${number}`,
    number,
    firstSite,
    sites,
    notrace,
    suspends,
    functions: info.functionTypes.length,
  });
  hideAdditions(instance);
  attach(target);
  try {
    target.start();
  } catch (error) {
    detach(target);
    throw error;
  }
  return { instance, bytes, target };
}

/// The error of a module that does not compile is the one that the program would have seen without us.
async function compileInstrumented(
  bytes: Uint8Array<ArrayBuffer>,
  original: Uint8Array<ArrayBuffer>,
  imports: WebAssembly.Imports | undefined,
): Promise<WebAssembly.Module> {
  try {
    return await WebAssembly.compile(bytes);
  } catch (error) {
    // `instantiate` names itself in the message; it reads no import of a module that does not compile.
    await WebAssembly.compile(original).catch(() => WebAssembly.instantiate(original, imports));
    throw new Error(`the instrumented module does not compile, the original does: ${String(error)}`, { cause: error });
  }
}

/// Gives the instance the exports object that it would have without our additions: no prototype, frozen, in the same order.
function hideAdditions(instance: WebAssembly.Instance): void {
  const visible: WebAssembly.Exports = Object.create(null);
  for (const [name, value] of Object.entries(instance.exports)) {
    if (!name.startsWith(RESERVED_PREFIX)) visible[name] = value;
  }
  Object.defineProperty(instance, 'exports', { value: Object.freeze(visible), configurable: true });
}
