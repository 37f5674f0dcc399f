// Mangled names made readable: C++ (Itanium ABI) and Rust (both of its manglings).

import { nameInSignature } from './cpp-signature.ts';
import { demangleItanium } from './itanium.ts';
import { demangleRustLegacy } from './rust-legacy.ts';
import { demangleRustV0 } from './rust-v0.ts';

/// A name that was taken apart.
export interface Demangled {
  /// Without parameters and result: `ns::Foo<int>::bar`.
  readonly name: string;
  /// All that the mangled name says: `void ns::Foo<int>::bar(char const*)`. For Rust the same as `name`.
  readonly signature: string;
}

/// The readable forms of a name that is mangled, or was demangled by a linker already; `undefined` for any other name. Never
/// throws; what is malformed is no mangled name. A few microseconds a name.
export function demangle(symbol: string): Demangled | undefined {
  // Rust's first mangling is valid as C++ too.
  if (symbol.startsWith('_')) return demangleRustV0(symbol) ?? demangleRustLegacy(symbol) ?? demangleItanium(symbol);
  const rust = demangleRustLegacy(symbol);
  if (rust) return rust;
  const name = nameInSignature(symbol);
  return name === undefined ? undefined : { name, signature: symbol };
}
