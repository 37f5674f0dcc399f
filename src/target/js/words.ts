// JavaScript values as 64-bit words, for handlers that are WebAssembly. Those in JavaScript see the values (regs.ts).
//
// This runs before the engine knows of the call. So it uses nothing that a program could have attached, or tracing `Number`
// would go on without end.

const { isSafeInteger } = Number;
const integer = BigInt;

const float = new Float64Array(1);
const bits = new BigUint64Array(float.buffer);

/// An integer within ±2^53 as two's complement, any other number by its f64 bits, a boolean as 0 or 1, a bigint modulo 2^64, and
/// everything else, which has no word, as 0.
export function wordOf(value: unknown): bigint {
  switch (typeof value) {
    case 'number':
      if (isSafeInteger(value)) return integer(value);
      float[0] = value;
      return bits[0];
    case 'bigint':
      return value;
    case 'boolean':
      return value ? 1n : 0n;
    default:
      return 0n;
  }
}
