// Handlers that are WebAssembly functions of another module: `(user, site, frame, fregs) → i32`, all i32, in the engine's
// exported table, so that an entry reaches them without JavaScript.

import { type Engine, EngineError } from './engine.ts';
import { badType, shown } from './errors.ts';
import { isExportedFunction } from './target/imports.ts';

/// `(module (import "" "" (func (param i32 i32 i32 i32) (result i32))))`: links only with functions of that type.
const OF_TYPE = Uint8Array.of(
  ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
  ...[0x01, 0x09, 0x01, 0x60, 0x04, 0x7f, 0x7f, 0x7f, 0x7f, 0x01, 0x7f],
  ...[0x02, 0x05, 0x01, 0x00, 0x00, 0x00, 0x00],
);
let ofType: WebAssembly.Module | undefined;

export type WasmHandler = (user: number, site: number, frame: number, fregs: number) => number;

/// Whether a handler is an exported WebAssembly function; undefined for none. Throws TypeError for what is no function, and for a
/// WebAssembly function of another type: called with what a handler is given it would trap in the middle of the traced program.
export function isWasm(what: string, fn: unknown): boolean | undefined {
  if (fn === undefined) return undefined;
  if (typeof fn !== 'function') throw badType(`${what} is ${shown(fn)}, expected a function`);
  if (!isExportedFunction(fn as (...args: never[]) => unknown)) return false;
  ofType ??= new WebAssembly.Module(OF_TYPE);
  try {
    new WebAssembly.Instance(ofType, { '': { '': fn } });
  } catch {
    throw badType(
      `${what} is a WebAssembly function of another type than (i32, i32, i32, i32) → (i32); wrap it in a JavaScript function`,
    );
  }
  return true;
}

/// Who has which entry of the engine's table.
export class WasmTable {
  readonly #table: WebAssembly.Table;
  readonly #free: number[] = [];

  constructor(engine: Engine) {
    this.#table = engine.exports.table;
  }

  /// Puts `fn` into the table and returns its index, never 0.
  add(fn: WasmHandler): number {
    const index = this.#free.pop() ?? this.#grow();
    this.#table.set(index, fn);
    return index;
  }

  /// Empties an entry; 0 is none.
  remove(index: number): void {
    if (index === 0) return;
    this.#table.set(index, null);
    this.#free.push(index);
  }

  #grow(): number {
    try {
      return this.#table.grow(1);
    } catch (error) {
      throw new EngineError('ENOMEM', `no room for another handler in a table of ${this.#table.length}`, error);
    }
  }
}
