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
