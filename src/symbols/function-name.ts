// One function's name in all its forms. A mangled name is taken apart when somebody asks for the readable form, and not before:
// a module has a hundred thousand names, of which most runs print a few and many match none.

import { demangle } from './demangle.ts';

/// What a filter is held against, and what is printed.
export interface Named {
  /// The name that is shown: demangled, without parameters.
  readonly name: string;
  /// Its other forms, none of them equal to `name`: with parameters, mangled, and what a symbol map calls it.
  readonly aliases?: readonly string[];
}

const NONE: readonly string[] = [];
const INSPECT = Symbol.for('nodejs.util.inspect.custom');

/// The name of a function, from the one that stands in a file.
export class FunctionName implements Named {
  /// As it stands in the file: mangled, where the compiler mangles.
  readonly symbol: string;
  readonly #other: string | undefined;
  #name: string | undefined;
  #aliases: readonly string[] = NONE;

  /// `other`: a second name of the same function, another alias.
  constructor(symbol: string, other?: string) {
    this.symbol = symbol;
    this.#other = other;
  }

  get name(): string {
    if (this.#name === undefined) this.#demangle();
    return this.#name!;
  }

  get aliases(): readonly string[] {
    if (this.#name === undefined) this.#demangle();
    return this.#aliases;
  }

  /// What `console.log` shows, of Node, Deno and Bun: by themselves they show no getters, and so no name.
  [INSPECT](): object {
    const { symbol, ...others } = this;
    return { name: this.name, ...(symbol !== this.name && { symbol }), ...others };
  }

  /// The most that the name tells: demangled, with parameters where it has them.
  get signature(): string {
    return demangle(this.symbol)?.signature ?? this.symbol;
  }

  #demangle(): void {
    const { symbol } = this;
    const demangled = demangle(symbol);
    this.#name = demangled?.name ?? symbol;
    if (demangled === undefined && this.#other === undefined) return;
    const forms = new Set<string>();
    if (demangled) forms.add(demangled.signature).add(symbol);
    if (this.#other !== undefined) {
      const other = demangle(this.#other);
      if (other) forms.add(other.name).add(other.signature);
      forms.add(this.#other);
    }
    forms.delete(this.#name);
    this.#aliases = [...forms];
  }
}
