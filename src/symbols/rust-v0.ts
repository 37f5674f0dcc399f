// Rust's second mangling, "v0" (RFC 2603): nothing in it is lost, generic arguments included.
//
//   _R I Nv Nt C 3std 3mem 8align_of d E       C the crate, N a name in a path (t: types, v: values), I … E generic arguments
//   std::mem::align_of::<f64>
//
// What occurred before is referred to by its position, counted from behind `_R`: `B3_`. Parsing and printing are one pass;
// a reference is printed by parsing there again, so what is printed is limited, not what is read.

import type { Demangled } from './demangle.ts';
import { decodePunycode } from './punycode.ts';

class Malformed extends Error {}

const DEEPEST = 500;
const LONGEST = 1 << 16;

const BASIC: Readonly<Record<string, string>> = {
  a: 'i8',
  b: 'bool',
  c: 'char',
  d: 'f64',
  e: 'str',
  f: 'f32',
  h: 'u8',
  i: 'isize',
  j: 'usize',
  l: 'i32',
  m: 'u32',
  n: 'i128',
  o: 'u128',
  p: '_',
  s: 'i16',
  t: 'u16',
  u: '()',
  v: '...',
  x: 'i64',
  y: 'u64',
  z: '!',
};

/// Undefined for what is no Rust symbol of this form.
export function demangleRustV0(symbol: string): Demangled | undefined {
  const prefix = /^_{1,2}R(?=[A-Z])/.exec(symbol)?.[0];
  if (prefix === undefined) return undefined;
  // A vendor's suffix. What LLVM adds to make names unique says nothing.
  const dot = symbol.indexOf('.');
  const end = dot < 0 ? symbol.length : dot;
  const suffix = symbol.slice(end);
  try {
    const path = new V0(symbol.slice(prefix.length, end)).symbol();
    const name = path + (suffix.startsWith('.llvm.') ? '' : suffix);
    return { name, signature: name };
  } catch (error) {
    if (error instanceof Malformed) return undefined;
    throw error;
  }
}

class V0 {
  readonly #text: string;
  #at = 0;
  #out = '';
  #skipping = false;
  #depth = 0;
  /// Lifetimes that the binders around introduce.
  #bound = 0;

  constructor(text: string) {
    this.#text = text;
  }

  symbol(): string {
    this.#path(true);
    if (this.#at < this.#text.length) this.#skip(() => this.#path(false)); // the crate that asked for the copy
    if (this.#at < this.#text.length) throw new Malformed();
    return this.#out;
  }

  #look(): string {
    return this.#text[this.#at] ?? '';
  }

  #next(): string {
    const character = this.#look();
    if (character === '') throw new Malformed();
    this.#at++;
    return character;
  }

  #eat(character: string): boolean {
    if (this.#look() !== character) return false;
    this.#at++;
    return true;
  }

  #print(text: string): void {
    if (this.#skipping) return;
    this.#out += text;
    if (this.#out.length > LONGEST) throw new Malformed();
  }

  #skip(parse: () => void): void {
    const skipping = this.#skipping;
    this.#skipping = true;
    parse();
    this.#skipping = skipping;
  }

  #deeper<T>(parse: () => T): T {
    if (++this.#depth > DEEPEST) throw new Malformed();
    const result = parse();
    this.#depth--;
    return result;
  }

  #list(separator: string, parse: () => void): number {
    let count = 0;
    for (; !this.#eat('E'); count++) {
      if (count > 0) this.#print(separator);
      parse();
    }
    return count;
  }

  /// `_` is 0, `0_` is 1, …
  #base62(): number {
    if (this.#eat('_')) return 0;
    let value = 0;
    while (!this.#eat('_')) {
      const digit = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'.indexOf(this.#next());
      if (digit < 0) throw new Malformed();
      value = value * 62 + digit;
      if (value > Number.MAX_SAFE_INTEGER / 64) return this.#huge();
    }
    return value + 1;
  }

  // The hash of a crate has up to 64 bits. Nobody prints it.
  #huge(): number {
    while (!this.#eat('_')) if (!/\w/.test(this.#next())) throw new Malformed();
    return Number.MAX_SAFE_INTEGER;
  }

  /// A number behind its tag, 0 without one.
  #tagged(tag: string): number {
    return this.#eat(tag) ? this.#base62() + 1 : 0;
  }

  /// Carries on at an earlier position.
  #backReference<T>(parse: () => T): T | undefined {
    const tag = this.#at - 1;
    const position = this.#base62();
    if (position >= tag) throw new Malformed();
    if (this.#skipping) return undefined;
    const after = this.#at;
    this.#at = position;
    const result = this.#deeper(parse);
    this.#at = after;
    return result;
  }

  #identifier(): { name: string; disambiguator: number } {
    const disambiguator = this.#tagged('s');
    return { name: this.#plainIdentifier(), disambiguator };
  }

  #plainIdentifier(): string {
    const encoded = this.#eat('u');
    let digits = '';
    while (/\d/.test(this.#look()) && digits !== '0') digits += this.#next();
    if (digits === '') throw new Malformed();
    this.#eat('_');
    const start = this.#at;
    this.#at += Number(digits);
    if (this.#at > this.#text.length) throw new Malformed();
    const name = this.#text.slice(start, this.#at);
    return encoded ? (decodePunycode(name) ?? `punycode{${name}}`) : name;
  }

  /// `inValue`: generic arguments need `::` in front of them.
  #path(inValue: boolean): void {
    this.#deeper(() => {
      switch (this.#next()) {
        case 'C':
          this.#print(this.#identifier().name);
          return;
        case 'N':
          this.#nestedPath(inValue);
          return;
        case 'M':
          this.#implementation();
          this.#print('<');
          this.#type();
          this.#print('>');
          return;
        case 'X':
          this.#implementation();
          this.#asTrait();
          return;
        case 'Y':
          this.#asTrait();
          return;
        case 'I':
          this.#path(inValue);
          this.#print(inValue ? '::<' : '<');
          this.#list(', ', () => this.#genericArgument());
          this.#print('>');
          return;
        case 'B':
          this.#backReference(() => this.#path(inValue));
          return;
        default:
          throw new Malformed();
      }
    });
  }

  /// Where the implementation stands is of no interest.
  #implementation(): void {
    this.#tagged('s');
    this.#skip(() => this.#path(false));
  }

  #asTrait(): void {
    this.#print('<');
    this.#type();
    this.#print(' as ');
    this.#path(false);
    this.#print('>');
  }

  #nestedPath(inValue: boolean): void {
    const namespace = this.#next();
    if (!/[a-zA-Z]/.test(namespace)) throw new Malformed();
    this.#path(inValue);
    const { name, disambiguator } = this.#identifier();
    if (namespace >= 'a') {
      if (name !== '') this.#print(`::${name}`);
      return;
    }
    // What has no name of its own.
    const kind = namespace === 'C' ? 'closure' : namespace === 'S' ? 'shim' : namespace;
    this.#print(`::{${kind}${name === '' ? '' : `:${name}`}#${disambiguator}}`);
  }

  #genericArgument(): void {
    if (this.#eat('L')) this.#lifetime(this.#base62());
    else if (this.#eat('K')) this.#constant(false);
    else this.#type();
  }

  /// 0 is erased; the others count outwards from the innermost that is bound.
  #lifetime(index: number): void {
    if (this.#skipping) return;
    if (index === 0) {
      this.#print("'_");
      return;
    }
    const depth = this.#bound - index;
    if (depth < 0) throw new Malformed();
    this.#print(depth < 26 ? `'${String.fromCharCode(0x61 + depth)}` : `'_${depth}`);
  }

  #binder(parse: () => void): void {
    const count = this.#tagged('G');
    const bound = this.#bound;
    if (count > LONGEST) throw new Malformed();
    if (count > 0 && !this.#skipping) {
      this.#print('for<');
      for (let i = 0; i < count; i++) {
        if (i > 0) this.#print(', ');
        this.#bound++;
        this.#lifetime(1);
      }
      this.#print('> ');
    }
    parse();
    this.#bound = bound;
  }

  #type(): void {
    this.#deeper(() => {
      const tag = this.#next();
      const basic = BASIC[tag];
      if (basic !== undefined) {
        this.#print(basic);
        return;
      }
      switch (tag) {
        case 'R':
        case 'Q':
          this.#print('&');
          if (this.#eat('L')) {
            const lifetime = this.#base62();
            if (lifetime !== 0) {
              this.#lifetime(lifetime);
              this.#print(' ');
            }
          }
          if (tag === 'Q') this.#print('mut ');
          this.#type();
          return;
        case 'P':
          this.#print('*const ');
          this.#type();
          return;
        case 'O':
          this.#print('*mut ');
          this.#type();
          return;
        case 'A':
          this.#print('[');
          this.#type();
          this.#print('; ');
          this.#constant(true);
          this.#print(']');
          return;
        case 'S':
          this.#print('[');
          this.#type();
          this.#print(']');
          return;
        case 'T': {
          this.#print('(');
          const count = this.#list(', ', () => this.#type());
          this.#print(count === 1 ? ',)' : ')');
          return;
        }
        case 'F':
          this.#binder(() => this.#function());
          return;
        case 'D':
          this.#print('dyn ');
          this.#binder(() => this.#list(' + ', () => this.#dynTrait()));
          if (!this.#eat('L')) throw new Malformed();
          this.#dynLifetime(this.#base62());
          return;
        case 'B':
          this.#backReference(() => this.#type());
          return;
        default:
          this.#at--;
          this.#path(false);
      }
    });
  }

  #dynLifetime(lifetime: number): void {
    if (lifetime === 0) return;
    this.#print(' + ');
    this.#lifetime(lifetime);
  }

  #function(): void {
    if (this.#eat('U')) this.#print('unsafe ');
    if (this.#eat('K')) {
      const abi = this.#eat('C') ? 'C' : this.#plainIdentifier().replaceAll('_', '-');
      this.#print(`extern "${abi}" `);
    }
    this.#print('fn(');
    this.#list(', ', () => this.#type());
    this.#print(')');
    if (this.#eat('u')) return; // nothing is returned
    this.#print(' -> ');
    this.#type();
  }

  #dynTrait(): void {
    let open = this.#openPath();
    while (this.#eat('p')) {
      this.#print(open ? ', ' : '<');
      open = true;
      this.#print(`${this.#plainIdentifier()} = `);
      this.#type();
    }
    if (open) this.#print('>');
  }

  /// A path whose generic arguments, if it has any, are left open for more.
  #openPath(): boolean {
    if (this.#eat('B')) return this.#backReference(() => this.#openPath()) ?? false;
    if (!this.#eat('I')) {
      this.#path(false);
      return false;
    }
    this.#path(false);
    this.#print('<');
    this.#list(', ', () => this.#genericArgument());
    return true;
  }

  /// `inValue`: it stands where any expression may; else all but literals need braces.
  #constant(inValue: boolean): void {
    this.#deeper(() => {
      const tag = this.#next();
      if (tag === 'B') {
        this.#backReference(() => this.#constant(inValue));
        return;
      }
      if (tag === 'p') {
        this.#print('_');
        return;
      }
      if ('hmtyoj'.includes(tag)) {
        this.#print(BigInt(`0x0${this.#hexDigits()}`).toString());
        return;
      }
      if ('aslxni'.includes(tag)) {
        if (this.#eat('n')) this.#print('-');
        this.#print(BigInt(`0x0${this.#hexDigits()}`).toString());
        return;
      }
      if (tag === 'b' || tag === 'c') {
        this.#print(tag === 'b' ? this.#boolean() : this.#character());
        return;
      }
      if (tag === 'R' && this.#eat('e')) {
        this.#print(this.#string());
        return;
      }
      if (!inValue) this.#print('{');
      this.#compoundConstant(tag);
      if (!inValue) this.#print('}');
    });
  }

  #compoundConstant(tag: string): void {
    switch (tag) {
      case 'e':
        this.#print(`*${this.#string()}`); // a literal is a `&str`, this is a `str`
        return;
      case 'R':
        this.#print('&');
        this.#constant(true);
        return;
      case 'Q':
        this.#print('&mut ');
        this.#constant(true);
        return;
      case 'A':
        this.#print('[');
        this.#list(', ', () => this.#constant(true));
        this.#print(']');
        return;
      case 'T': {
        this.#print('(');
        const count = this.#list(', ', () => this.#constant(true));
        this.#print(count === 1 ? ',)' : ')');
        return;
      }
      case 'V':
        this.#path(true);
        this.#fields();
        return;
      default:
        throw new Malformed();
    }
  }

  #fields(): void {
    switch (this.#next()) {
      case 'U':
        return;
      case 'T':
        this.#print('(');
        this.#list(', ', () => this.#constant(true));
        this.#print(')');
        return;
      case 'S':
        this.#print(' { ');
        this.#list(', ', () => {
          this.#print(`${this.#identifier().name}: `);
          this.#constant(true);
        });
        this.#print(' }');
        return;
      default:
        throw new Malformed();
    }
  }

  #hexDigits(): string {
    const digits = /^[0-9a-f]*(?=_)/.exec(this.#text.slice(this.#at))?.[0];
    if (digits === undefined) throw new Malformed();
    this.#at += digits.length + 1;
    return digits;
  }

  #boolean(): string {
    const digits = this.#hexDigits();
    if (digits !== '0' && digits !== '1') throw new Malformed();
    return digits === '1' ? 'true' : 'false';
  }

  #character(): string {
    const point = Number.parseInt(this.#hexDigits(), 16);
    if (!(point <= 0x10ffff) || (point >= 0xd800 && point <= 0xdfff)) throw new Malformed();
    return `'${escaped(String.fromCodePoint(point), "'")}'`;
  }

  #string(): string {
    const digits = this.#hexDigits();
    if (digits.length % 2 !== 0) throw new Malformed();
    const bytes = Uint8Array.from(digits.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
    try {
      return `"${escaped(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes), '"')}"`;
    } catch {
      throw new Malformed();
    }
  }
}

/// As Rust's source would have it.
function escaped(text: string, quote: string): string {
  const short: Record<string, string> = { '\t': '\\t', '\r': '\\r', '\n': '\\n', '\\': '\\\\', '\0': '\\0' };
  return Array.from(text, (character) => {
    if (character === quote) return `\\${character}`;
    if (short[character] !== undefined) return short[character];
    return /\p{C}/u.test(character) ? `\\u{${character.codePointAt(0)!.toString(16)}}` : character;
  }).join('');
}
