// LEB128 as WebAssembly uses it: little-endian groups of seven bits, bit 7 set on all but the last. What we write is
// always the shortest form; what we read may be padded up to the length that the type allows.

/// Bytes of the shortest unsigned form of `value`, 0 … 2^32 − 1.
export function u32Size(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x200000) return 3;
  return value < 0x10000000 ? 4 : 5;
}

/// Writes the shortest unsigned form of `value`, 0 … 2^32 − 1; returns the position after it.
export function putU32(bytes: Uint8Array, at: number, value: number): number {
  let rest = value >>> 0;
  while (rest >= 0x80) {
    bytes[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  bytes[at++] = rest;
  return at;
}

/// Writes the shortest signed form of `value`, −2^31 … 2^31 − 1; returns the position after it.
export function putS32(bytes: Uint8Array, at: number, value: number): number {
  let rest = value | 0;
  // The last group must carry the sign in its bit 6, so −64 … 63 is what one byte holds.
  while (rest < -64 || rest > 63) {
    bytes[at++] = (rest & 0x7f) | 0x80;
    rest >>= 7;
  }
  bytes[at++] = rest & 0x7f;
  return at;
}
