// JavaScript values as 64-bit words, for handlers that are WebAssembly. Those in JavaScript see the values (regs.ts).

const bits = new DataView(new ArrayBuffer(8));

/// An integer within ±2^53 as two's complement, any other number by its f64 bits, a boolean as 0 or 1, a bigint modulo 2^64, and
/// everything else, which has no word, as 0.
export function wordOf(value: unknown): bigint {
  switch (typeof value) {
    case 'number':
      if (Number.isSafeInteger(value)) return BigInt(value);
      bits.setFloat64(0, value);
      return bits.getBigUint64(0);
    case 'bigint':
      return value;
    case 'boolean':
      return value ? 1n : 0n;
    default:
      return 0n;
  }
}
