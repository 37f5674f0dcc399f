// The global `WebAssembly` with fprobe in between: what a program compiles is instrumented, what it instantiates becomes a target
// of the thread's tracer, and the program sees neither.
//
//   program:  new Module(bytes) ──► instrumented bytes ──► engine's Module ──► the program's module (in `known`)
//             new Instance(module, imports) ──► imports watched ──► engine's Instance ──► target, exports as they were
//
// Every entry point is a proxy around the engine's own, so that name, length, prototype and `new` behave as they do. Arguments
// that the engine would refuse go to it as they are, and what fails on our side is done again without us: the error that a
// program sees is always the engine's own.

import { copyBytes } from '../bytes.ts';
import { RESERVED_PREFIX, SECTION_NAME } from '../instrument/abi.ts';
import { isKept } from '../instrument/custom-sections.ts';
import { customSections, readModule } from '../instrument/reader.ts';
import { native } from '../native.ts';
import { type Linking, leaveUnattached } from '../target/load.ts';
import { type Prepared, type PreparedBytes, prepareModule } from '../target/prepare.ts';
import type { WasmTarget } from '../target/wasm.ts';
import { caller } from './caller.ts';

/// What happens to the program's modules.
export interface ModuleHook {
  /// The instrumented form of a module; undefined for one that stays as it is. `origin`: the URL or script that it came from, if
  /// that is known. May throw: the module then stays as it is too, and `failed` is told.
  prepare(bytes: Uint8Array<ArrayBuffer>, origin: string | undefined): PreparedBytes | undefined;
  /// What the target of a module is to be; undefined = none. `prepared` is this thread's or another's.
  link(prepared: Prepared, origin: string | undefined): Linking | undefined;
  /// Called before anything of the module runs.
  linked?(prepared: Prepared, target: WasmTarget): void;
  /// Something went wrong on our side and was done without us.
  failed(what: string, error: unknown): void;
}

interface Known {
  readonly prepared: Prepared;
  readonly origin: string | undefined;
  /// The original, if it has custom sections that the instrumented form has not.
  readonly original: Uint8Array<ArrayBuffer> | undefined;
}

type Args = unknown[];
type Callable = (...args: never[]) => unknown;

/// Puts the hook in place, in this thread, for good.
export function hookWebAssembly(hook: ModuleHook): void {
  new Hooked(hook).install();
}

class Hooked {
  readonly #hook: ModuleHook;
  /// Modules of this thread; null = not instrumented.
  readonly #known = new WeakMap<WebAssembly.Module, Known | null>();

  constructor(hook: ModuleHook) {
    this.#hook = hook;
  }

  install(): void {
    this.#construct('Module', this.#newModule);
    this.#construct('Instance', this.#newInstance);
    this.#replace(WebAssembly, 'compile', native.compile, (args) =>
      this.#compile(native.compile, bufferSource(args[0]), args),
    );
    this.#replace(WebAssembly, 'instantiate', native.instantiate, (args) => this.#instantiate(args));
    const { compileStreaming, instantiateStreaming } = native;
    if (compileStreaming) {
      this.#replace(WebAssembly, 'compileStreaming', compileStreaming, async ([promised, ...rest]) => {
        const [source, response] = await responseSource(await promised);
        return this.#compile(compileStreaming, source, [response, ...rest]);
      });
    }
    if (instantiateStreaming) {
      this.#replace(WebAssembly, 'instantiateStreaming', instantiateStreaming, async ([promised, ...rest]) => {
        const [source, response] = await responseSource(await promised);
        return this.#instantiateBytes(instantiateStreaming, source, [response, ...rest]);
      });
    }
    this.#replace(native.Module, 'exports', native.exports, (args) => this.#exports(args));
    this.#replace(native.Module, 'customSections', native.customSections, (args) => this.#customSections(args));
  }

  #construct(name: 'Module' | 'Instance', make: (args: Args, target: Callable) => object): void {
    const own = native[name] as unknown as Callable;
    const proxy: Callable = new Proxy(own, {
      // Subclasses stay the target of their own `new`.
      construct: (_, args: Args, target) => make.call(this, args, target === proxy ? own : (target as Callable)),
    });
    define(WebAssembly, name, proxy);
    define(native[name].prototype, 'constructor', proxy);
  }

  #replace(holder: object, name: string, own: unknown, call: (args: Args) => unknown): void {
    define(holder, name, new Proxy(own as Callable, { apply: (_, __, args: Args) => call(args) }));
  }

  /// The instrumented form of what the program passes as bytes; undefined when it is to stay as it is.
  #prepare(source: Source): { prepared: PreparedBytes; origin: string | undefined } | undefined {
    try {
      const { internal, file } = caller();
      if (internal) return undefined;
      const origin = source.origin ?? file;
      const prepared = this.#hook.prepare(source.bytes, origin);
      return prepared && { prepared, origin };
    } catch (error) {
      this.#hook.failed('instrumenting', error);
      return undefined;
    }
  }

  #remember(module: WebAssembly.Module, prepared: PreparedBytes, origin: string | undefined): void {
    const { original } = prepared;
    const altered = readModule(original).sections.some(({ name }) => name !== undefined && !isKept(name));
    this.#known.set(module, { prepared, origin, original: altered ? original : undefined });
  }

  /// What is known of a module, be it from this thread or from another.
  #lookUp(module: unknown): Known | undefined {
    if (!(module instanceof native.Module)) return undefined;
    const known = this.#known.get(module);
    if (known !== undefined) return known ?? undefined;
    let prepared: Prepared | undefined;
    let origin: string | undefined;
    try {
      prepared = prepareModule(module);
      if (prepared) origin = caller().file;
    } catch (error) {
      this.#hook.failed('recognising a module', error);
    }
    const found = prepared ? { prepared, origin, original: undefined } : null;
    this.#known.set(module, found);
    return found ?? undefined;
  }

  #newModule(args: Args, target: Callable): object {
    const source = bufferSource(args[0]);
    const made = source && this.#prepare(source);
    if (made) {
      const { prepared, origin } = made;
      try {
        const module = Reflect.construct(native.Module, [prepared.bytes, ...args.slice(1)], target);
        this.#remember(module, prepared, origin);
        return module;
      } catch (error) {
        const module = Reflect.construct(native.Module, args, target);
        this.#hook.failed('compiling', error); // the original compiles
        return module;
      }
    }
    return Reflect.construct(native.Module, args, target);
  }

  #newInstance(args: Args, target: Callable): object {
    const [module, imports, ...rest] = args;
    const known = this.#lookUp(module);
    if (!known) return Reflect.construct(native.Instance, args, target);
    const linking = this.#link(known);
    const watched = linking ? linking.imports(imports as WebAssembly.Imports) : imports;
    const instance = Reflect.construct(native.Instance, [module, watched, ...rest], target);
    this.#attach(known.prepared, linking, instance);
    return instance;
  }

  #link({ prepared, origin }: Known): Linking | undefined {
    try {
      return this.#hook.link(prepared, origin);
    } catch (error) {
      this.#hook.failed('linking', error);
      return undefined;
    }
  }

  /// Makes the instance what the program expects, and a target. Throws what the start function throws.
  #attach(prepared: Prepared, linking: Linking | undefined, instance: WebAssembly.Instance): void {
    if (linking) {
      let target: WasmTarget | undefined;
      try {
        target = linking.bind(instance);
      } catch (error) {
        this.#hook.failed('attaching', error);
      }
      if (target) {
        this.#hook.linked?.(prepared, target);
        linking.start();
        return;
      }
    }
    leaveUnattached(instance);
  }

  async #compile(own: Callable, source: Source | undefined, args: Args): Promise<unknown> {
    const made = source && this.#prepare(source);
    if (!source || !made) return own(...(args as never[]));
    const { prepared, origin } = made;
    let module: WebAssembly.Module;
    try {
      module = (await own(...([source.holding(prepared.bytes), ...args.slice(1)] as never[]))) as WebAssembly.Module;
    } catch (error) {
      return this.#asItWas('compiling', error, () =>
        own(...([source.holding(source.bytes), ...args.slice(1)] as never[])),
      );
    }
    this.#remember(module, prepared, origin);
    return module;
  }

  async #instantiate(args: Args): Promise<unknown> {
    const [module, imports, ...rest] = args;
    if (!(module instanceof native.Module))
      return this.#instantiateBytes(native.instantiate, bufferSource(module), args);
    const known = this.#lookUp(module);
    if (!known) return native.instantiate(...(args as [WebAssembly.Module]));
    const linking = this.#link(known);
    const watched = linking ? linking.imports(imports as WebAssembly.Imports) : imports;
    const instance = await native.instantiate(...([module, watched, ...rest] as unknown as [WebAssembly.Module]));
    this.#attach(known.prepared, linking, instance);
    return instance;
  }

  async #instantiateBytes(own: Callable, source: Source | undefined, args: Args): Promise<unknown> {
    const made = source && this.#prepare(source);
    if (!source || !made) return own(...(args as never[]));
    const { prepared, origin } = made;
    const [, imports, ...rest] = args;
    const known = { prepared, origin, original: undefined };
    const linking = this.#link(known);
    const watched = linking ? linking.imports(imports as WebAssembly.Imports) : imports;
    let result: WebAssembly.WebAssemblyInstantiatedSource;
    try {
      result = (await own(...([source.holding(prepared.bytes), watched, ...rest] as never[]))) as typeof result;
    } catch (error) {
      if (!(error instanceof WebAssembly.CompileError)) throw error;
      // No import has been read yet.
      return this.#asItWas('compiling', error, () =>
        own(...([source.holding(source.bytes), ...args.slice(1)] as never[])),
      );
    }
    this.#remember(result.module, prepared, origin);
    this.#attach(prepared, linking, result.instance);
    return result;
  }

  /// What our form did not survive, without us. Throws what the engine says of the original; if it has nothing to say, it was us.
  async #asItWas(what: string, error: unknown, again: () => unknown): Promise<unknown> {
    const result = await again();
    this.#hook.failed(what, error);
    return result;
  }

  #exports(args: Args): unknown {
    const found = native.exports(...(args as [WebAssembly.Module]));
    return this.#lookUp(args[0]) ? found.filter(({ name }) => !name.startsWith(RESERVED_PREFIX)) : found;
  }

  #customSections(args: Args): unknown {
    const [module, wanted, ...rest] = args;
    const known = wanted === undefined ? undefined : this.#lookUp(module);
    if (!known) return native.customSections(...(args as [WebAssembly.Module, string]));
    const name = `${wanted}`; // as the engine does it: not every value becomes a string
    const found = native.customSections(...([module, name, ...rest] as [WebAssembly.Module, string]));
    if (name === SECTION_NAME) return [];
    if (!known.original || isKept(name)) return found;
    return customSections(readModule(known.original), name).map((contents) => contents.slice().buffer);
  }
}

/// The bytes of a module in what the program passed, and how to pass others in their place.
interface Source {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /// Where they come from, if the program said so.
  readonly origin?: string;
  holding(bytes: Uint8Array<ArrayBuffer>): unknown;
}

/// Undefined for what holds no bytes: the engine knows what to say to that.
function bufferSource(value: unknown): Source | undefined {
  try {
    if (!isTaken(value as BufferSource)) return undefined;
    return { bytes: copyBytes(value as BufferSource), holding: (bytes) => bytes };
  } catch {
    return undefined;
  }
}

/// Whether the engine takes bytes of this kind: not all take those in a DataView, in shared memory, or in a buffer that can grow.
function isTaken(source: BufferSource): boolean {
  const isView = ArrayBuffer.isView(source);
  const buffer = (isView ? source.buffer : source) as ArrayBuffer & { resizable?: boolean };
  const isPlain = Object.prototype.toString.call(buffer) === '[object ArrayBuffer]' && !buffer.resizable;
  if (isPlain && !(source instanceof DataView)) return true;
  if (!isView) return false;
  const View = source.constructor as new (buffer: ArrayBufferLike, offset: number, length: number) => BufferSource;
  native.validate(new View(buffer, source.byteOffset, 0)); // throws
  return true;
}

/// The body of a response that the engine would take, read, and a response to pass on in its place; others as they are.
async function responseSource(response: unknown): Promise<[source: Source | undefined, response: unknown]> {
  if (!(response instanceof Response) || !response.ok || response.bodyUsed) return [undefined, response];
  const type = response.headers.get('content-type')?.split(';')[0].trim().toLowerCase();
  if (type !== 'application/wasm') return [undefined, response];
  const { headers, status, statusText, url } = response;
  const bytes = new Uint8Array(await response.arrayBuffer());
  const holding = (body: Uint8Array<ArrayBuffer>): Response => {
    const again = new Response(body, { headers, status, statusText });
    Object.defineProperty(again, 'url', { value: url }); // the engine names the module by it
    return again;
  };
  return [{ bytes, origin: url || undefined, holding }, holding(bytes)];
}

/// Puts `value` in place of a property, which keeps its attributes.
function define(holder: object, name: string, value: unknown): void {
  Object.defineProperty(holder, name, { ...Object.getOwnPropertyDescriptor(holder, name), value });
}
