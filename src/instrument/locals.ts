// A body's declaration of locals: groups of (count, type). Ours are appended, so that no index of the program moves;
// the first of them are i32, which most bodies end with already, so that a larger count is often all it takes.

import { WasmFormatError } from '../errors.ts';
import type { ByteWriter } from './byte-writer.ts';
import type { Cursor } from './cursor.ts';
import { I32, readType, type ValType, writeType } from './types.ts';

const U32_MAX = 0xffffffff;

export class LocalsDeclaration {
  /// Offsets of the declaration in the input.
  start = 0;
  end = 0;
  /// Locals declared.
  count = 0;
  #groups = 0;
  #firstGroup = 0;
  #lastGroup = 0;
  #lastCount = 0;
  #lastType = 0;

  /// Reads it at `cursor.pos`; returns the number of locals.
  read(cursor: Cursor, types: number): number {
    this.start = cursor.pos;
    this.#groups = cursor.count(2, 'groups of locals');
    this.#firstGroup = cursor.pos;
    this.#lastGroup = cursor.pos;
    this.#lastType = 0;
    this.count = 0;
    for (let i = 0; i < this.#groups; i++) {
      this.#lastGroup = cursor.pos;
      this.#lastCount = cursor.u32('a number of locals');
      this.count += this.#lastCount;
      if (this.count > U32_MAX) throw new WasmFormatError(this.#lastGroup, `${this.count} locals`, 'less than 2^32');
      this.#lastType = readType(cursor, types);
    }
    this.end = cursor.pos;
    return this.count;
  }

  /// Writes it with `i32s` more of type i32 and then one of each type of `others`.
  write(out: ByteWriter, bytes: Uint8Array, i32s: number, others: readonly ValType[]): void {
    const merge = this.#lastType === I32 && i32s > 0;
    out.u32(this.#groups + (merge || i32s === 0 ? 0 : 1) + others.length);
    out.copy(bytes, this.#firstGroup, merge ? this.#lastGroup : this.end);
    if (i32s > 0) {
      out.u32(i32s + (merge ? this.#lastCount : 0));
      out.u8(I32);
    }
    for (const type of others) {
      out.u8(1);
      writeType(out, type);
    }
  }
}
