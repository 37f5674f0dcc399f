// What the engine that runs the tests knows of WebAssembly.

const MAGIC = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];

/// Whether a module whose only function has this body, less its locals and `end`, is valid.
const knows = (...code: number[]): boolean =>
  WebAssembly.validate(
    Uint8Array.of(
      ...[...MAGIC, 0x01, 0x04, 0x01, 0x60, 0x00, 0x00, 0x03, 0x02, 0x01, 0x00],
      ...[0x0a, code.length + 4, 0x01, code.length + 2, 0x00, ...code, 0x0b],
    ),
  );

export const HAS = {
  tailCalls: knows(0x12, 0x00),
  /// `try`, `catch`, `rethrow`, `delegate`.
  legacy: knows(0x06, 0x40, 0x19, 0x0b),
  /// `try_table`, `throw_ref`.
  exnref: knows(0x1f, 0x40, 0x00, 0x0b),
};
