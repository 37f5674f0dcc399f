// A place in the input and how to read on from it. Every read is checked against `end`, and every failure names the
// byte and what should have stood there, so nothing above this file needs to guard itself against short input.

import { WasmFormatError } from '../errors.ts';

const TEXT = new TextDecoder('utf-8');

/// `0x2a`, as error messages print a byte.
export function hex(byte: number): string {
  return `0x${byte.toString(16).padStart(2, '0')}`;
}

export class Cursor {
  readonly bytes: Uint8Array;
  pos: number;
  /// First byte that no longer belongs to what is being read (a section, a body, the module).
  end: number;

  constructor(bytes: Uint8Array, pos = 0, end = bytes.length) {
    this.bytes = bytes;
    this.pos = pos;
    this.end = end;
  }

  /// What ended too early is named by `what`, a noun phrase.
  truncated(what: string, prefix = ''): WasmFormatError {
    return new WasmFormatError(this.end, 'unexpected end', prefix + what);
  }

  u8(what: string): number {
    if (this.pos >= this.end) throw this.truncated(what);
    return this.bytes[this.pos++]!;
  }

  /// `prefix` goes before `what` in a message; joining them for every number would cost more than reading it.
  u32(what: string, prefix = ''): number {
    const start = this.pos;
    let result = 0;
    for (let shift = 0; ; shift += 7) {
      if (this.pos >= this.end) throw this.truncated(what, prefix);
      const byte = this.bytes[this.pos++]!;
      // The fifth byte has room for four bits; a sixth byte does not exist.
      if (shift === 28 && byte > 0x0f) throw new WasmFormatError(start, 'number above 32 bits', prefix + what);
      result |= (byte & 0x7f) << shift;
      if (byte < 0x80) return result >>> 0;
    }
  }

  /// Signed 33-bit number: a type index, or a negative one for what has a code of its own.
  s33(what: string): number {
    const start = this.pos;
    let low = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      if (this.pos >= this.end) throw this.truncated(what);
      const byte = this.bytes[this.pos++]!;
      low |= (byte & 0x7f) << shift;
      if (byte < 0x80) return (low << (25 - shift)) >> (25 - shift);
    }
    if (this.pos >= this.end) throw this.truncated(what);
    const top = this.bytes[this.pos++]!;
    const spare = top & 0xf0;
    if (spare !== 0 && spare !== 0x70) throw new WasmFormatError(start, 'number above 33 bits', what);
    return ((top << 27) >> 27) * 0x10000000 + low;
  }

  /// Passes a LEB128 number of at most `max` bytes whose value nobody needs.
  skipLeb(max: number, what: string): void {
    const start = this.pos;
    for (let length = 1; length <= max; length++) {
      if (this.pos >= this.end) throw this.truncated(what);
      if (this.bytes[this.pos++]! < 0x80) return;
    }
    throw new WasmFormatError(start, `number of more than ${max} bytes`, what);
  }

  skip(count: number, what: string): void {
    if (count > this.end - this.pos) throw this.truncated(what);
    this.pos += count;
  }

  /// The count of a vector, refused when not even `size` bytes for each of its items are left: nothing is ever
  /// allocated for items that cannot be there.
  count(size: number, what: string): number {
    const start = this.pos;
    const count = this.u32(what, 'the number of ');
    const room = Math.floor((this.end - this.pos) / size);
    if (count > room) throw new WasmFormatError(start, `${count} ${what}`, `at most ${room} in the bytes left`);
    return count;
  }

  /// An index below `limit`.
  index(limit: number, what: string): number {
    const start = this.pos;
    const index = this.u32(what, 'the index of a ');
    if (index >= limit) throw badIndex(start, what, index, limit);
    return index;
  }

  name(what: string): string {
    const length = this.count(1, `bytes of ${what}`);
    const start = this.pos;
    this.pos += length;
    return TEXT.decode(this.bytes.subarray(start, this.pos));
  }
}

export function badIndex(offset: number, what: string, index: number, limit: number): WasmFormatError {
  const range = limit === 0 ? `no ${what} at all` : `a ${what} below ${limit}`;
  return new WasmFormatError(offset, `${what} ${index}`, range);
}
