// Bytes of DWARF sections, read with a bound in front of every step: they come from tools that write them carelessly, and what is
// wrong in them must cost no more than the names of some lines.

/// Debug information that makes no sense. Never leaves `src/symbols`.
export class DwarfError extends Error {}

const TEXT = new TextDecoder();
const TWO_32 = 2 ** 32;

export class DwarfReader {
  readonly #view: DataView;
  readonly #bytes: Uint8Array;
  at: number;
  readonly end: number;

  constructor(bytes: Uint8Array, at = 0, end = bytes.length) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.end = Math.min(end, bytes.length);
    this.at = at;
    if (at > this.end) throw new DwarfError(`offset ${at} is past the end`);
  }

  get more(): boolean {
    return this.at < this.end;
  }

  /// The next `size` bytes, read by a reader of their own.
  part(size: number): DwarfReader {
    const start = this.#take(size);
    return new DwarfReader(this.#bytes, start, start + size);
  }

  skip(size: number): void {
    this.#take(size);
  }

  #take(size: number): number {
    const start = this.at;
    if (!(size >= 0 && size <= this.end - start)) throw new DwarfError(`${size} bytes at ${start} are past the end`);
    this.at = start + size;
    return start;
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }

  i8(): number {
    return this.#view.getInt8(this.#take(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#take(2), true);
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  /// Exact below 2^53; above that it is no offset anyway.
  u64(): number {
    const low = this.u32();
    return this.u32() * TWO_32 + low;
  }

  /// An unsigned number of 1, 2, 4 or 8 bytes.
  unsigned(size: number): number {
    if (size === 1) return this.u8();
    if (size === 2) return this.u16();
    if (size === 3) return this.u16() + this.u8() * 0x10000;
    if (size === 4) return this.u32();
    if (size === 8) return this.u64();
    throw new DwarfError(`a number of ${size} bytes`);
  }

  /// At most ten bytes.
  uleb(): number {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.u8();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw new DwarfError('a number of more than ten bytes');
  }

  sleb(): number {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.u8();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return byte & 0x40 ? value - 2 ** (shift + 7) : value;
    }
    throw new DwarfError('a number of more than ten bytes');
  }

  /// Up to a zero byte.
  text(): string {
    const end = this.#bytes.indexOf(0, this.at);
    if (end < 0 || end >= this.end) throw new DwarfError(`a string at ${this.at} does not end`);
    const text = TEXT.decode(this.#bytes.subarray(this.at, end));
    this.at = end + 1;
    return text;
  }

  /// The length of a unit; all ones in the first word is the sign of the 64-bit format, in which offsets have 8 bytes.
  unit(): { unit: DwarfReader; offsetSize: 4 | 8 } {
    const length = this.u32();
    if (length < 0xfffffff0) return { unit: this.part(length), offsetSize: 4 };
    if (length !== 0xffffffff) throw new DwarfError(`a unit of the reserved length 0x${length.toString(16)}`);
    return { unit: this.part(this.u64()), offsetSize: 8 };
  }
}
