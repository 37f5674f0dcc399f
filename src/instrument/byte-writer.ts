// Where output goes: one growing array, written front to back. Growth is by half, so that a wrong guess of the final
// size costs a few copies and at no moment more than old plus new.

import { WasmFormatError } from '../errors.ts';
import { putS32, putU32, u32Size } from './leb128.ts';

const LEB_MAX = 5;
// No engine takes a larger module, so going on would only end in a failed allocation.
const SIZE_MAX = 2 ** 30;

export class ByteWriter {
  bytes: Uint8Array;
  /// Position of the next byte.
  length: number;
  readonly start: number;

  /// `start` bytes at the front are left free, for what is only known later to be put before.
  constructor(capacity = 64, start = 0) {
    this.bytes = new Uint8Array(start + capacity);
    this.start = start;
    this.length = start;
  }

  reserve(count: number): void {
    const need = this.length + count;
    if (need <= this.bytes.length) return;
    if (need > SIZE_MAX) throw new WasmFormatError(0, 'instrumented form of more than 1 GiB', 'a smaller module');
    const larger = new Uint8Array(Math.max(need, this.bytes.length + (this.bytes.length >>> 1) + 64));
    larger.set(this.bytes.subarray(0, this.length));
    this.bytes = larger;
  }

  u8(byte: number): void {
    if (this.length === this.bytes.length) this.reserve(1);
    this.bytes[this.length++] = byte;
  }

  /// Two bytes, the first one first.
  pair(first: number, second: number): void {
    this.reserve(2);
    this.bytes[this.length++] = first;
    this.bytes[this.length++] = second;
  }

  u32(value: number): void {
    this.reserve(LEB_MAX);
    this.length = putU32(this.bytes, this.length, value);
  }

  s32(value: number): void {
    this.reserve(LEB_MAX);
    this.length = putS32(this.bytes, this.length, value);
  }

  /// Opcode with one index.
  op(opcode: number, index: number): void {
    this.reserve(1 + LEB_MAX);
    this.bytes[this.length++] = opcode;
    this.length = putU32(this.bytes, this.length, index);
  }

  /// `from` … `to` of `source`.
  copy(source: Uint8Array, from: number, to: number): void {
    const count = to - from;
    this.reserve(count);
    // A view costs more than a short loop: most runs of a rewritten body are shorter than this.
    if (count < 96) {
      const { bytes } = this;
      let at = this.length;
      for (let i = from; i < to; i++) bytes[at++] = source[i]!;
    } else {
      this.bytes.set(source.subarray(from, to), this.length);
    }
    this.length += count;
  }

  append(other: ByteWriter): void {
    this.copy(other.bytes, other.start, other.length);
  }

  /// ASCII name with its length.
  name(text: string): void {
    this.u32(text.length);
    for (let i = 0; i < text.length; i++) this.u8(text.charCodeAt(i));
  }

  /// Leaves room for a size field of something that will be about `guess` bytes; give the result to `closeSize`.
  openSize(guess: number): number {
    const at = this.length;
    this.reserve(LEB_MAX);
    this.length += u32Size(guess);
    return at;
  }

  /// Fills in the size field at `at` for all that was written since. Returns by how many bytes that had to move,
  /// because the guess was of another length than the truth.
  closeSize(at: number, guess: number): number {
    const start = at + u32Size(guess);
    const size = this.length - start;
    const moved = u32Size(size) - u32Size(guess);
    if (moved !== 0) {
      this.reserve(LEB_MAX);
      this.bytes.copyWithin(start + moved, start, this.length);
      this.length += moved;
    }
    putU32(this.bytes, at, size);
    return moved;
  }

  /// What was written, as a view.
  view(): Uint8Array {
    return this.bytes.subarray(this.start, this.length);
  }
}
