// Where the functions of a module begin in their sources.

/// A place in a source file.
export interface SourceLocation {
  /// As the debug information has it: absolute, or relative to where the program was built.
  readonly file: string;
  /// From 1.
  readonly line: number;
}
