// Handlers that are WebAssembly functions of another module, in the engine's exported table, so that an entry reaches them
// without JavaScript.

import { type Engine, EngineError } from './engine.ts';
import { badType, shown } from './errors.ts';
import { native } from './native.ts';
import { isExportedFunction } from './target/imports.ts';

// Value types of the binary format.
const I32 = 0x7f;
const I64 = 0x7e;

/// `(user, site, frame, fregs) → i32`, all i32: a user of the function graph, and plain ops.
export type WasmHandler = (user: number, site: number, frame: number, fregs: number) => number;
/// `(private, entry_ip, ret_ip, fregs, data) → i32`, the two addresses i64: a probe.
export type WasmFprobeHandler = (
  private_: number,
  entryIp: bigint,
  retIp: bigint,
  fregs: number,
  data: number,
) => number;

/// What a handler has to be. `params` is in the binary format.
export class HandlerType {
  readonly text: string;
  readonly #bytes: Uint8Array<ArrayBuffer>;
  #module: WebAssembly.Module | undefined;

  constructor(text: string, params: readonly number[]) {
    this.text = text;
    // `(module (import "" "" (func (param …) (result i32))))`: links only with functions of that type.
    this.#bytes = Uint8Array.of(
      ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
      ...[0x01, 0x05 + params.length, 0x01, 0x60, params.length, ...params, 0x01, I32],
      ...[0x02, 0x05, 0x01, 0x00, 0x00, 0x00, 0x00],
    );
  }

  fits(fn: (...args: never[]) => unknown): boolean {
    this.#module ??= new native.Module(this.#bytes);
    try {
      new native.Instance(this.#module, { '': { '': fn } });
      return true;
    } catch {
      return false;
    }
  }
}

export const USER_HANDLER = new HandlerType('(i32, i32, i32, i32) → (i32)', [I32, I32, I32, I32]);
export const FPROBE_HANDLER = new HandlerType('(i32, i64, i64, i32, i32) → (i32)', [I32, I64, I64, I32, I32]);

/// Whether a handler is an exported WebAssembly function; undefined for none. Throws TypeError for what is no function, and for a
/// WebAssembly function of another type: called with what a handler is given it would trap in the middle of the traced program.
export function isWasm(what: string, fn: unknown, type = USER_HANDLER): boolean | undefined {
  if (fn === undefined) return undefined;
  if (typeof fn !== 'function') throw badType(`${what} is ${shown(fn)}, expected a function`);
  if (!isExportedFunction(fn as (...args: never[]) => unknown)) return false;
  if (type.fits(fn as (...args: never[]) => unknown)) return true;
  throw badType(
    `${what} is a WebAssembly function of another type than ${type.text}; wrap it in a JavaScript function`,
  );
}

/// Who has which entry of the engine's table.
export class WasmTable {
  readonly #table: WebAssembly.Table;
  readonly #free: number[] = [];

  constructor(engine: Engine) {
    this.#table = engine.exports.table;
  }

  /// Puts `fn` into the table and returns its index, never 0.
  add(fn: (...args: never[]) => unknown): number {
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
