// Punycode (RFC 3492), as Rust writes identifiers outside ASCII: with `_` before the digits, where the RFC has `-`.

const BASE = 36;
const T_MIN = 1;
const T_MAX = 26;
const SKEW = 38;
const DAMP = 700;
const INITIAL_BIAS = 72;
const INITIAL_POINT = 0x80;
const LAST_POINT = 0x10ffff;

/// Undefined for what is malformed.
export function decodePunycode(text: string): string | undefined {
  const split = text.lastIndexOf('_');
  const points = Array.from(split > 0 ? text.slice(0, split) : '', (character) => character.codePointAt(0)!);
  let point = INITIAL_POINT;
  let bias = INITIAL_BIAS;
  let at = 0;
  for (let i = split + 1; i < text.length; ) {
    const before = at;
    let weight = 1;
    for (let k = BASE; ; k += BASE) {
      const digit = digitOf(text.charCodeAt(i++));
      if (digit < 0) return undefined;
      at += digit * weight;
      if (at > Number.MAX_SAFE_INTEGER) return undefined;
      const threshold = Math.min(Math.max(k - bias, T_MIN), T_MAX);
      if (digit < threshold) break;
      weight *= BASE - threshold;
    }
    const size = points.length + 1;
    bias = adapt(at - before, size, before === 0);
    point += Math.floor(at / size);
    at %= size;
    if (point > LAST_POINT || (point >= 0xd800 && point <= 0xdfff)) return undefined;
    points.splice(at++, 0, point);
  }
  return String.fromCodePoint(...points);
}

function digitOf(unit: number): number {
  if (unit >= 0x61 && unit <= 0x7a) return unit - 0x61; // a … z
  return unit >= 0x30 && unit <= 0x39 ? unit - 0x30 + 26 : -1; // 0 … 9
}

function adapt(delta: number, size: number, first: boolean): number {
  let left = Math.floor(delta / (first ? DAMP : 2));
  left += Math.floor(left / size);
  let k = 0;
  for (; left > ((BASE - T_MIN) * T_MAX) >> 1; k += BASE) left = Math.floor(left / (BASE - T_MIN));
  return k + Math.floor(((BASE - T_MIN + 1) * left) / (left + SKEW));
}
