// The codes of the Itanium C++ ABI: builtin types (§5.1.5.2), operators (§5.1.3.1), abbreviations (§5.1.10), special names
// (§5.1.4). Data only.

/// Types of one letter.
export const BUILTINS: Readonly<Record<string, string>> = {
  v: 'void',
  w: 'wchar_t',
  b: 'bool',
  c: 'char',
  a: 'signed char',
  h: 'unsigned char',
  s: 'short',
  t: 'unsigned short',
  i: 'int',
  j: 'unsigned int',
  l: 'long',
  m: 'unsigned long',
  x: 'long long',
  y: 'unsigned long long',
  n: '__int128',
  o: 'unsigned __int128',
  f: 'float',
  d: 'double',
  e: 'long double',
  g: '__float128',
  z: '...',
};

/// Types of `D` and a letter.
export const D_BUILTINS: Readonly<Record<string, string>> = {
  d: 'decimal64',
  e: 'decimal128',
  f: 'decimal32',
  h: 'half',
  i: 'char32_t',
  s: 'char16_t',
  u: 'char8_t',
  a: 'auto',
  c: 'decltype(auto)',
  n: 'std::nullptr_t',
};

/// How literals of a builtin type are written, where the type shows in a suffix.
export const LITERAL_SUFFIXES: Readonly<Record<string, string>> = { i: '', j: 'u', l: 'l', m: 'ul', x: 'll', y: 'ull' };

type OperatorKind = 'prefix' | 'binary' | 'increment' | 'cast' | 'of type' | 'of expression' | 'member' | 'other';

export interface Operator {
  readonly kind: OperatorKind;
  /// As it is written in an expression.
  readonly sign: string;
  /// What stands behind `operator` in a function's name; undefined: no function has it.
  readonly name?: string;
}

const table: Record<string, Operator> = {
  cl: { kind: 'other', sign: '()', name: '()' },
  ix: { kind: 'other', sign: '[]', name: '[]' },
  nw: { kind: 'other', sign: 'new', name: 'new' },
  na: { kind: 'other', sign: 'new[]', name: 'new[]' },
  dl: { kind: 'other', sign: 'delete', name: 'delete' },
  da: { kind: 'other', sign: 'delete[]', name: 'delete[]' },
  qu: { kind: 'other', sign: '?', name: '?' },
  pp: { kind: 'increment', sign: '++', name: '++' },
  mm: { kind: 'increment', sign: '--', name: '--' },
  dt: { kind: 'member', sign: '.' },
  ds: { kind: 'member', sign: '.*', name: '.*' },
  pt: { kind: 'member', sign: '->', name: '->' },
  pm: { kind: 'member', sign: '->*', name: '->*' },
  sc: { kind: 'cast', sign: 'static_cast' },
  dc: { kind: 'cast', sign: 'dynamic_cast' },
  cc: { kind: 'cast', sign: 'const_cast' },
  rc: { kind: 'cast', sign: 'reinterpret_cast' },
  st: { kind: 'of type', sign: 'sizeof' },
  at: { kind: 'of type', sign: 'alignof' },
  ti: { kind: 'of type', sign: 'typeid' },
  sz: { kind: 'of expression', sign: 'sizeof' },
  az: { kind: 'of expression', sign: 'alignof' },
  te: { kind: 'of expression', sign: 'typeid' },
  nx: { kind: 'of expression', sign: 'noexcept' },
};

const PREFIX = 'ad & aw co_await co ~ de * ng - nt ! ps +';
const BINARY =
  'aN &= aS = aa && an & cm , dV /= dv / eO ^= eo ^ eq == ge >= gt > lS <<= le <= ls << lt < mI -= mL *= mi - ml * ' +
  'ne != oR |= oo || or | pL += pl + rM %= rS >>= rm % rs >> ss <=>';
for (const [kind, list] of [
  ['prefix', PREFIX],
  ['binary', BINARY],
] as const) {
  for (const [, code, sign] of list.matchAll(/(\w\w) (\S+)/g)) table[code] = { kind, sign, name: sign };
}

export const OPERATORS: Readonly<Record<string, Operator>> = table;

/// `S` and a letter: short form, long form, and what constructors are called.
export const ABBREVIATIONS: Readonly<Record<string, readonly [string, string, string]>> = {
  a: ['std::allocator', 'std::allocator', 'allocator'],
  b: ['std::basic_string', 'std::basic_string', 'basic_string'],
  s: [
    'std::string',
    'std::basic_string<char, std::char_traits<char>, std::allocator<char>>', // a member is one of the template
    'basic_string',
  ],
  i: ['std::istream', 'std::basic_istream<char, std::char_traits<char>>', 'basic_istream'],
  o: ['std::ostream', 'std::basic_ostream<char, std::char_traits<char>>', 'basic_ostream'],
  d: ['std::iostream', 'std::basic_iostream<char, std::char_traits<char>>', 'basic_iostream'],
};

/// Two letters in place of a name: what it is, and whether a type, a name or a template argument follows.
export const SPECIAL_NAMES: Readonly<Record<string, readonly [string, 'type' | 'name' | 'argument']>> = {
  TV: ['vtable for ', 'type'],
  TT: ['VTT for ', 'type'],
  TI: ['typeinfo for ', 'type'],
  TS: ['typeinfo name for ', 'type'],
  TA: ['template parameter object for ', 'argument'],
  TW: ['thread-local wrapper routine for ', 'name'],
  TH: ['thread-local initialization routine for ', 'name'],
  GV: ['guard variable for ', 'name'],
  GI: ['initializer for module ', 'name'],
};
