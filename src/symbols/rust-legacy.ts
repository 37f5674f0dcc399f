// Rust's first mangling, still the default of most compilers: the path in the form of a C++ nested name, so that tools for C++
// print something, and a hash that tells monomorphic copies apart as its last part.
//
//   _ZN 4core 3fmt 9Formatter 9write_fmt 17h05af221e174051e9 E        core::fmt::Formatter::write_fmt
//
// What cannot stand in a symbol is escaped: `$LT$` is `<`, `$u7b$` is the character U+7B, `..` is `::`.

import type { Demangled } from './demangle.ts';

const NAME = /^_{1,2}ZN((?:\d+.*)?)17h[0-9a-f]{16}E(\..+)?$/;
/// The same after a linker that took the symbol for C++ demangled it.
const DEMANGLED = /^(.+)::h[0-9a-f]{16}(\..+)?$/;
const ESCAPES: Readonly<Record<string, string>> = {
  SP: '@',
  BP: '*',
  RF: '&',
  LT: '<',
  GT: '>',
  LP: '(',
  RP: ')',
  C: ',',
};

/// Undefined for what is no Rust symbol of this form.
export function demangleRustLegacy(symbol: string): Demangled | undefined {
  const match = NAME.exec(symbol);
  if (match) {
    const parts = splitPath(match[1]);
    return parts && form(parts.map(unescapePart).join('::'), match[2]);
  }
  const linked = DEMANGLED.exec(symbol);
  return linked ? form(linked[1].split('::').map(unescapePart).join('::'), linked[2]) : undefined;
}

function form(path: string, suffix = ''): Demangled {
  const name = path + (suffix.startsWith('.llvm.') ? '' : suffix);
  return { name, signature: name };
}

/// Each part has its length in front.
function splitPath(path: string): string[] | undefined {
  const parts: string[] = [];
  for (let at = 0; at < path.length; ) {
    const digits = /^\d+/.exec(path.slice(at, at + 6))?.[0];
    if (digits === undefined) return undefined;
    at += digits.length;
    const part = path.slice(at, at + Number(digits));
    if (part.length !== Number(digits) || part === '') return undefined;
    parts.push(part);
    at += part.length;
  }
  return parts.length > 0 ? parts : undefined;
}

function unescapePart(part: string): string {
  // A symbol may not begin with `$`.
  const text = part.startsWith('_$') ? part.slice(1) : part;
  return text.replace(/\$(\w+)\$|\.\./g, (whole, code: string | undefined) => {
    if (code === undefined) return '::';
    if (Object.hasOwn(ESCAPES, code)) return ESCAPES[code];
    const point = /^u([0-9a-f]{1,6})$/.exec(code);
    return point ? (character(Number.parseInt(point[1], 16)) ?? whole) : whole;
  });
}

/// Undefined for what is no character, or one that would break a line.
function character(point: number): string | undefined {
  const printable = point >= 0x20 && point !== 0x7f && point <= 0x10ffff && (point < 0xd800 || point > 0xdfff);
  return printable ? String.fromCodePoint(point) : undefined;
}
