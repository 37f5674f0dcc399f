/// Failures that a user of the library can tell apart. At the bottom of everything: imports nothing.

/// The bytes are not a WebAssembly module, or one that cannot be instrumented.
///
/// `offset` is the byte of the input (0-based, from the start of the module) where reading stopped making sense, and
/// `expected` says what would have made sense there. The message holds both.
export class WasmFormatError extends Error {
  readonly code = 'EINVAL';
  readonly offset: number;
  readonly expected: string;

  constructor(offset: number, found: string, expected: string) {
    super(`wasm: ${found} at byte ${offset}, expected ${expected}`);
    this.name = 'WasmFormatError';
    this.offset = offset;
    this.expected = expected;
  }
}

/// A line of a symbol map that is none. `line` counts from 1.
export class SymbolMapError extends Error {
  readonly code = 'EINVAL';
  readonly file: string;
  readonly line: number;

  constructor(file: string, line: number, found: string) {
    super(`${file}:${line}: '${shortened(found, 60)}', expected INDEX:NAME or INDEX NAME`);
    this.name = 'SymbolMapError';
    this.file = file;
    this.line = line;
  }
}

const shortened = (text: string, most: number): string => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

/// The end of a message about a name that nothing has: what was perhaps meant, if anything.
export function nearestHint(nearest: readonly string[]): string {
  return nearest.length === 0 ? '' : `; nearest: ${nearest.map((name) => shortened(name, 120)).join(', ')}`;
}

/// A glob that matches no function. The message holds `nearest`, the names that were perhaps meant, best first.
export class NoMatchError extends Error {
  readonly code = 'ENOENT';
  readonly glob: string;
  readonly nearest: readonly string[];

  constructor(glob: string, nearest: readonly string[]) {
    super(`nothing matches '${glob}'${nearestHint(nearest)}`);
    this.name = 'NoMatchError';
    this.glob = glob;
    this.nearest = nearest;
  }
}

/// What is thrown for an argument of the wrong type, or of a value out of its range: JavaScript's own errors, with the
/// kernel's code, so that `code` can be asked of every failure.
export type ArgumentError = (TypeError | RangeError) & { readonly code: 'EINVAL' };

export const badType = (message: string, options?: ErrorOptions): ArgumentError =>
  Object.assign(new TypeError(message, options), { code: 'EINVAL' as const });

export const badRange = (message: string): ArgumentError =>
  Object.assign(new RangeError(message), { code: 'EINVAL' as const });

/// `Array.isArray`, but false for a Proxy that was revoked, where that throws.
export function isArray(value: unknown): value is readonly unknown[] {
  try {
    return Array.isArray(value);
  } catch {
    return false;
  }
}

/// A value as messages show it: short, and never by running code of the value's.
export function shown(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return `'${value.length > 60 ? `${value.slice(0, 60)}…` : value}'`;
    case 'object':
      return value === null ? 'null' : isArray(value) ? 'an array' : 'an object';
    case 'function':
      return 'a function';
    case 'bigint':
      return `${shortened(String(value), 60)}n`;
    case 'symbol':
      return shortened(String(value), 60);
    default:
      return String(value);
  }
}
