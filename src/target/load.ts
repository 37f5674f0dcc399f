// Bytes in, a running instance and its target out: what `WebAssembly.instantiate` does, with the module instrumented on the way
// and nothing of that to be seen by the program.

import { copyBytes } from '../bytes.ts';
import type { Engine } from '../engine.ts';
import { badRange, badType, shown, WasmFormatError } from '../errors.ts';
import { EXPORT_START, RESERVED_PREFIX } from '../instrument/abi.ts';
import { Names } from '../instrument/names.ts';
import { customSections } from '../instrument/reader.ts';
import { isModule, native } from '../native.ts';
import { checkBoolean, checkFunction, checkString } from '../options.ts';
import { roomToBegin } from '../stack.ts';
import { functionNames } from '../symbols/function-names.ts';
import { type DebugFiles, Locations } from '../symbols/locations.ts';
import { parseSymbolMap, type SymbolMap } from '../symbols/symbol-map.ts';
import { readThrough } from './imports.ts';
import { type Prepared, type PreparedBytes, type PrepareOptions, prepareBytes } from './prepare.ts';
import { WasmNotrace, WasmSite } from './site.ts';
import type { Target } from './target.ts';
import { WasmTarget } from './wasm.ts';

export interface WasmOptions extends PrepareOptions {
  /// Name of the target in lists and messages. Default: `wasmN`, N being its number.
  readonly name?: string;
  /// How the target reaches the engine. `attached` is the form there is.
  readonly link?: 'attached';
  /// Names for functions that the module itself does not name: the text of a symbol map (`index:name` or `index name` a line,
  /// what emscripten's `--emit-symbol-map` writes), or a Map from function index to name.
  readonly symbols?: string | SymbolMap;
  /// The text of the module's source map, where it is not in the module itself. Read when somebody asks for a `location`.
  readonly sourceMap?: string;
  /// A WebAssembly file with the module's DWARF sections, where they are not in the module itself.
  readonly debugInfo?: BufferSource;
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
  const module = await native.compile(copy);
  bytesOfModule.set(module, copy);
  return module;
}

/// The same at once, as `new WebAssembly.Module` does it.
export function compileWasmSync(bytes: BufferSource): WebAssembly.Module {
  const copy = copyBytes(bytes);
  const module = new native.Module(copy);
  bytesOfModule.set(module, copy);
  return module;
}

function bytesOf(source: BufferSource | WebAssembly.Module): Uint8Array<ArrayBuffer> {
  if (!isModule(source)) return copyBytes(source);
  const bytes = bytesOfModule.get(source);
  if (bytes) return bytes;
  throw badType(
    'a WebAssembly.Module does not give its bytes back: pass the bytes, or compile them with `tracer.compile(bytes)`',
  );
}

function symbolsOf(symbols: WasmOptions['symbols']): SymbolMap | undefined {
  if (typeof symbols === 'string') return parseSymbolMap(symbols, 'symbols');
  if (symbols === undefined) return undefined;
  if (isMap(symbols)) {
    for (const [index, name] of symbols) {
      if (typeof index === 'number' && typeof name === 'string') continue;
      throw badType(`symbols has ${shown(name)} at ${shown(index)}, expected names at indices`);
    }
    return symbols;
  }
  throw badType(`symbols is ${shown(symbols)}, expected the text of a symbol map or a Map`);
}

/// A Map, and not just what inherits from one.
function isMap(value: unknown): value is SymbolMap {
  try {
    Map.prototype.has.call(value as never, 0);
    return true;
  } catch {
    return false;
  }
}

function debugFilesOf({ sourceMap, debugInfo }: WasmOptions): DebugFiles {
  checkString('sourceMap', sourceMap);
  return { sourceMap, debugInfo: debugInfo === undefined ? undefined : copyBytes(debugInfo) };
}

export interface LoadedWasm {
  readonly instance: WebAssembly.Instance;
  /// The original bytes.
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly target: WasmTarget | undefined;
}

/// Whoever takes in targets: `attach` is called before any of the module's code runs, `detach` if its start function fails.
export interface Owner {
  readonly engine: Engine;
  attach(target: Target): void;
  detach(target: Target): void;
}

export interface LinkOptions {
  /// Of the target. Default: `wasmN`, N being its number.
  readonly name?: string;
  readonly symbols?: SymbolMap;
  readonly debugFiles?: DebugFiles;
}

/// What happens around the instantiation of one module: its imports are watched while the engine links, and out of the instance
/// that comes of it a target is made.
export class Linking {
  readonly #owner: Owner;
  readonly #number: number;
  readonly #prepared: Prepared;
  readonly #options: LinkOptions;
  #target: WasmTarget | undefined;
  #suspends = false;

  constructor(owner: Owner, number: number, prepared: Prepared, options: LinkOptions = {}) {
    this.#owner = owner;
    this.#number = number;
    this.#prepared = prepared;
    this.#options = options;
  }

  /// What to instantiate with in place of `imports`.
  imports(imports: WebAssembly.Imports | undefined): WebAssembly.Imports | undefined {
    const { Suspending } = WebAssembly as unknown as { Suspending?: abstract new (...args: never[]) => unknown };
    const { facts, imports: declared } = this.#prepared;
    return readThrough(imports, declared, {
      byReference: facts.importsByReference,
      before: () => this.#target?.clearVia(),
      seen: (value) => {
        if (Suspending && value instanceof Suspending) this.#suspends = true;
      },
    });
  }

  /// Makes the target and runs the module's start function. Throws what that throws.
  link(instance: WebAssembly.Instance): WasmTarget {
    const target = this.bind(instance);
    this.start();
    return target;
  }

  /// Makes the target; nothing of the module has run yet.
  bind(instance: WebAssembly.Instance): WasmTarget {
    roomToBegin();
    const { engine } = this.#owner;
    const { facts, functions } = this.#prepared;
    const signature = (index: number) => this.#prepared.signature(index);
    const info = this.#prepared.describe(instance);
    const namesOf = functionNames(info, this.#options.symbols);
    const locations = new Locations(info, this.#options.debugFiles);
    let names: Names | undefined;
    const locals = () => {
      names ??= new Names(...customSections(info, 'name'));
      return names.locals;
    };
    // A module of imports or data only has none, and the engine adds no less than one.
    const count = facts.sites.length;
    const firstSite = count > 0 ? engine.addSites(count) : engine.memory.siteCount();
    const sites = facts.sites.map(
      (body) =>
        new WasmSite(
          firstSite + body.id,
          this.#number * TARGET_STRIDE + body.offset,
          body,
          namesOf(body.index),
          locations,
          signature(body.index),
          locals,
        ),
    );
    for (const site of sites) engine.memory.setSiteIp(site.id, site.ip);
    const notrace = facts.skipped.map(
      ({ index, reason, why }) => new WasmNotrace(index, `${reason}: ${why}`, namesOf(index)),
    );
    const target = new WasmTarget(engine, instance, facts, {
      name: this.#options.name ?? `wasm${this.#number}`,
      number: this.#number,
      firstSite,
      sites,
      notrace,
      locations,
      suspends: this.#suspends,
      functions,
    });
    this.#target = target;
    hideAdditions(instance);
    this.#owner.attach(target);
    return target;
  }

  /// Runs the start function of the target that `bind` made.
  start(): void {
    const target = this.#target!;
    try {
      target.start();
    } catch (error) {
      this.#owner.detach(target);
      throw error;
    }
  }
}

/// What the options say of the target. Throws TypeError or RangeError for one that is wrong.
function linkOptions(options: WasmOptions): LinkOptions {
  checkString('name', options.name);
  if (options.link !== undefined && options.link !== 'attached') {
    throw badRange(`link is ${shown(options.link)}, expected 'attached'`);
  }
  if (options.only !== undefined) checkFunction('only', options.only);
  checkBoolean('args', options.args);
  checkBoolean('fallback', options.fallback);
  return { name: options.name, symbols: symbolsOf(options.symbols), debugFiles: debugFilesOf(options) };
}

/// The instrumented module, or the bytes of one that cannot be and is to be loaded as it is.
function prepare(
  source: BufferSource | WebAssembly.Module,
  options: WasmOptions,
): PreparedBytes | Uint8Array<ArrayBuffer> {
  const bytes = bytesOf(source);
  try {
    return prepareBytes(bytes, options);
  } catch (error) {
    if (!(error instanceof WasmFormatError && options.fallback)) throw error;
    return bytes;
  }
}

export async function instantiateWasm(
  owner: Owner,
  number: number,
  source: BufferSource | WebAssembly.Module,
  imports: WebAssembly.Imports | undefined,
  options: WasmOptions,
): Promise<LoadedWasm> {
  const link = linkOptions(options);
  const prepared = prepare(source, options);
  if (prepared instanceof Uint8Array) {
    const { instance } = await native.instantiate(prepared, imports);
    return { instance, bytes: prepared, target: undefined };
  }
  const { bytes, original } = prepared;
  let module: WebAssembly.Module;
  try {
    module = await native.compile(bytes);
  } catch (error) {
    // `instantiate` names itself in the message; it reads no import of a module that does not compile.
    await native.compile(original).catch(() => native.instantiate(original, imports));
    throw notCompiled(error);
  }
  const linking = new Linking(owner, number, prepared, link);
  const instance = await native.instantiate(module, linking.imports(imports));
  return { instance, bytes: original, target: linking.link(instance) };
}

/// The same at once, as `new WebAssembly.Instance` does it.
export function instantiateWasmSync(
  owner: Owner,
  number: number,
  source: BufferSource | WebAssembly.Module,
  imports: WebAssembly.Imports | undefined,
  options: WasmOptions,
): LoadedWasm {
  const link = linkOptions(options);
  const prepared = prepare(source, options);
  if (prepared instanceof Uint8Array) {
    const instance = new native.Instance(new native.Module(prepared), imports);
    return { instance, bytes: prepared, target: undefined };
  }
  const { bytes, original } = prepared;
  let module: WebAssembly.Module;
  try {
    module = new native.Module(bytes);
  } catch (error) {
    new native.Module(original);
    throw notCompiled(error);
  }
  const linking = new Linking(owner, number, prepared, link);
  const instance = new native.Instance(module, linking.imports(imports));
  return { instance, bytes: original, target: linking.link(instance) };
}

/// The error of a module that does not compile is the one that the program would have seen without us; this is for the rest.
function notCompiled(error: unknown): Error {
  return new Error(`the instrumented module does not compile, the original does: ${String(error)}`, { cause: error });
}

/// An instrumented module that gets no target: what it would be without our additions, its start function run.
export function leaveUnattached(instance: WebAssembly.Instance): void {
  const start = instance.exports[EXPORT_START] as (() => void) | undefined;
  hideAdditions(instance);
  start?.();
}

/// Gives the instance the exports object that it would have without our additions: no prototype, frozen, in the same order.
function hideAdditions(instance: WebAssembly.Instance): void {
  const visible: WebAssembly.Exports = Object.create(null);
  for (const [name, value] of Object.entries(instance.exports)) {
    if (!name.startsWith(RESERVED_PREFIX)) visible[name] = value;
  }
  Object.defineProperty(instance, 'exports', { value: Object.freeze(visible), configurable: true });
}
