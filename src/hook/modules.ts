// What the hook does with the modules of one thread: instruments them, by way of the cache, and makes them targets of the thread's
// tracer, under a name that a user recognises.

import { basename, extname, isAbsolute } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Cache } from '../cache.ts';
import { WasmFormatError } from '../errors.ts';
import { Names } from '../instrument/names.ts';
import { customSections, readModule } from '../instrument/reader.ts';
import { symbolMapBeside } from '../symbols/symbol-file.ts';
import type { SymbolMap } from '../symbols/symbol-map.ts';
import type { Linking } from '../target/load.ts';
import { type Prepared, type PreparedBytes, prepareBytes } from '../target/prepare.ts';
import type { WasmTarget } from '../target/wasm.ts';
import type { Tracer } from '../tracer.ts';
import type { Origin, Recorder } from './recorder.ts';
import type { ModuleHook } from './webassembly.ts';

interface Made {
  readonly name: string | undefined;
  readonly origin: Origin;
}

export class Modules implements ModuleHook {
  readonly #tracer: Tracer;
  readonly #recorder: Recorder | undefined;
  readonly #cache: Cache | undefined;
  /// Modules that this thread instrumented.
  readonly #made = new WeakMap<Prepared, Made>();
  /// Recordings hold arguments and results only if asked for; what a program does with its tracer is not known.
  readonly #args: boolean;
  #failures = 0;

  /// `recorder`: of the session, which may want some modules only. Without `cache` all are instrumented anew.
  constructor(tracer: Tracer, recorder: Recorder | undefined, cache: Cache | undefined) {
    this.#tracer = tracer;
    this.#recorder = recorder;
    this.#cache = cache;
    this.#args = recorder === undefined || recorder.request.args || recorder.request.retval;
  }

  prepare(bytes: Uint8Array<ArrayBuffer>, from: string | undefined): PreparedBytes | undefined {
    const began = performance.now();
    let name = scriptName(from);
    try {
      name = new Names(...customSections(readModule(bytes), 'name')).module || name;
      if (this.#recorder && !this.#recorder.wants(name ?? '')) return undefined;
      let prepared = this.#cache?.read(bytes, this.#args);
      const cached = prepared !== undefined;
      if (!prepared) {
        prepared = prepareBytes(bytes, { args: this.#args });
        this.#cache?.write(prepared);
      }
      const loadTime = performance.now() - began;
      this.#made.set(prepared, { name, origin: { instrumentedSize: prepared.bytes.length, loadTime, cached } });
      return prepared;
    } catch (error) {
      // The engine has its own words for these, unless it takes what we do not understand.
      if (!(error instanceof WasmFormatError)) throw error;
      this.#recorder?.addUntraced(name ?? '', bytes.length, error.message);
      return undefined;
    }
  }

  link(prepared: Prepared, from: string | undefined): Linking | undefined {
    const made = this.#made.get(prepared);
    const name = made ? made.name : prepared.moduleName || scriptName(from);
    if (!made && this.#recorder && !this.#recorder.wants(name ?? '')) return undefined;
    return this.#tracer.link(prepared, { name, symbols: this.#symbolMap(prepared, from) });
  }

  /// The symbol map beside the script or the file that the module comes from.
  #symbolMap(prepared: Prepared, from: string | undefined): SymbolMap | undefined {
    const path = from === undefined ? undefined : pathOf(from);
    return path === undefined
      ? undefined
      : symbolMapBeside(path, prepared.functions, (message) => this.#recorder?.note(message));
  }

  linked(prepared: Prepared, target: WasmTarget): void {
    this.#recorder?.add(target, prepared, this.#made.get(prepared)?.origin);
  }

  failed(what: string, error: unknown): void {
    const message = `${what} failed, the module runs on untraced: ${error instanceof Error ? error.message : error}`;
    this.#recorder?.note(message);
    if (this.#failures++ === 0 && process.env.FPROBE_VERBOSE) process.stderr.write(`fprobe: ${message}\n`);
  }
}

/// `sql-wasm` of `file:///app/node_modules/sql.js/dist/sql-wasm.js`.
function scriptName(from: string | undefined): string | undefined {
  if (from === undefined) return undefined;
  const name = basename(from.replace(/[?#].*$/, ''));
  return name.slice(0, name.length - extname(name).length) || undefined;
}

/// The file of a script; undefined for code that is in none.
function pathOf(from: string): string | undefined {
  try {
    const path = from.startsWith('file:') ? fileURLToPath(from.replace(/[?#].*$/, '')) : from;
    return isAbsolute(path) ? path : undefined;
  } catch {
    return undefined; // a URL of another machine
  }
}
