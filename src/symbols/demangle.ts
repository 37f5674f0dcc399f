// Mangled names made readable.

/// A name that was taken apart.
export interface Demangled {
  /// Without parameters and result: `ns::Foo<int>::bar`.
  readonly name: string;
  /// All that the mangled name says: `void ns::Foo<int>::bar(char const*)`.
  readonly signature: string;
}

/// The readable forms of a mangled name, `undefined` for a name that is none.
export function demangle(_symbol: string): Demangled | undefined {
  return undefined;
}
