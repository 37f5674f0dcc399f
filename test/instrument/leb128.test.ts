// Numbers, written and read back, and against BigInt arithmetic.

import { describe, expect, test } from 'vitest';
import { ByteWriter } from '../../src/instrument/byte-writer.ts';
import { Cursor } from '../../src/instrument/cursor.ts';
import { putS32, putU32, u32Size } from '../../src/instrument/leb128.ts';

const EDGES = [
  0,
  1,
  63,
  64,
  127,
  128,
  8191,
  8192,
  16383,
  16384,
  2 ** 20 - 1,
  2 ** 20,
  2 ** 21 - 1,
  2 ** 21,
  2 ** 27 - 1,
  2 ** 27,
  2 ** 28 - 1,
  2 ** 28,
  2 ** 31 - 1,
];
const UNSIGNED = [...EDGES, 2 ** 31, 2 ** 32 - 1];
const SIGNED = [...EDGES, ...EDGES.slice(1).map((value) => -value), ...EDGES.map((value) => -value - 1)];

function plain(value: number, signed: boolean): number[] {
  const bytes: number[] = [];
  for (let rest = BigInt(value); ; ) {
    const group = Number(rest & 0x7fn);
    rest >>= 7n;
    const done = signed ? (rest === 0n && group < 64) || (rest === -1n && group >= 64) : rest === 0n;
    bytes.push(done ? group : group | 0x80);
    if (done) return bytes;
  }
}

describe('LEB128', () => {
  test.each(UNSIGNED)('u32 %d', (value) => {
    const bytes = new Uint8Array(8);
    const end = putU32(bytes, 0, value);
    expect([...bytes.subarray(0, end)]).toEqual(plain(value, false));
    expect(u32Size(value)).toBe(end);
    const cursor = new Cursor(bytes, 0, end);
    expect(cursor.u32('a number')).toBe(value);
    expect(cursor.pos).toBe(end);
  });

  test.each(SIGNED)('s32 %d', (value) => {
    const bytes = new Uint8Array(8);
    const end = putS32(bytes, 0, value);
    expect([...bytes.subarray(0, end)]).toEqual(plain(value, true));
    expect(new Cursor(bytes, 0, end).s33('a number')).toBe(value);
  });

  test('padded forms are read, longer ones and larger values are not', () => {
    const read = (...bytes: number[]) => new Cursor(Uint8Array.from(bytes));
    expect(read(0x81, 0x80, 0x80, 0x80, 0x00).u32('a number')).toBe(1);
    expect(read(0xff, 0xff, 0xff, 0xff, 0x7f).s33('a number')).toBe(-1);
    expect(read(0xf0, 0x7f).s33('a number')).toBe(-16);
    expect(read(0xff, 0xff, 0xff, 0xff, 0x0f).s33('a number')).toBe(2 ** 32 - 1);
    expect(read(0x80, 0x80, 0x80, 0x80, 0x70).s33('a number')).toBe(-(2 ** 32));
    expect(() => read(0xff, 0xff, 0xff, 0xff, 0x1f).u32('a number')).toThrow(
      'number above 32 bits at byte 0, expected a number',
    );
    expect(() => read(0x80, 0x80, 0x80, 0x80, 0x80, 0).u32('a number')).toThrow('number above 32 bits');
    expect(() => read(0x80, 0x80, 0x80, 0x80, 0x30).s33('a number')).toThrow('number above 33 bits');
    expect(() => read(0x80, 0x80, 0x80, 0x80, 0xf0, 0).s33('a number')).toThrow('number above 33 bits');
    expect(() => read(0x80).u32('a number')).toThrow('unexpected end at byte 1, expected a number');
    expect(() => read(0x80, 0x80).s33('a number')).toThrow('unexpected end at byte 2, expected a number');
    expect(() => read(0x80, 0x80).skipLeb(1, 'a byte')).toThrow(
      'number of more than 1 bytes at byte 0, expected a byte',
    );
  });
});

describe('size fields', () => {
  test.each([
    [100, 100],
    [100, 200],
    [200, 100],
    [10, 20_000],
    [3_000_000, 5],
  ])('guessed %d, was %d', (guess, size) => {
    const out = new ByteWriter(1);
    out.u8(0xaa);
    const at = out.openSize(guess);
    for (let i = 0; i < size; i++) out.u8(i & 0xff);
    const moved = out.closeSize(at, guess);
    expect(moved).toBe(u32Size(size) - u32Size(guess));
    const cursor = new Cursor(out.view(), at);
    expect(cursor.u32('a size')).toBe(size);
    expect(out.length - cursor.pos).toBe(size);
    expect(
      out
        .view()
        .subarray(cursor.pos)
        .every((byte, i) => byte === (i & 0xff)),
    ).toBe(true);
  });
});
