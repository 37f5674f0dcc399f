import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Names } from '../../src/instrument/names.ts';
import { customSections, readModule } from '../../src/instrument/reader.ts';
import { nameInSignature } from '../../src/symbols/cpp-signature.ts';
import { demangle } from '../../src/symbols/demangle.ts';
import { FunctionName } from '../../src/symbols/function-name.ts';
import { decodePunycode } from '../../src/symbols/punycode.ts';
import { seeded } from '../trace/random.ts';
import { table } from './fixtures.ts';

const cpp = table('itanium.txt');
const rust = table('rust.txt');

describe('C++', () => {
  test('the table', () => {
    expect(cpp.length).toBeGreaterThan(190);
    expect(cpp.map(([symbol]) => [symbol, demangle(symbol)?.name, demangle(symbol)?.signature])).toEqual(cpp);
  });

  test('what a linker demangled already: the name in the signature', () => {
    // Not those of data, conversions to pointers to functions, and constrained templates: their blanks and parentheses mislead.
    const functions = cpp.filter(
      ([, , signature]) => signature.includes('(') && !/^typeinfo|operator .*\(\*\)|requires/.test(signature),
    );
    expect(functions.length).toBeGreaterThan(150);
    const found = functions.map(([symbol, , signature]) => [symbol, nameInSignature(signature) ?? signature]);
    expect(found).toEqual(functions.map(([symbol, name]) => [symbol, name]));
  });

  test.each([
    'main',
    'func[12]',
    'sync.(*Pool).Get',
    'new Foo (body)',
    '~lib/rt/itcms/Object#set:next',
    '(weird)',
    '()',
    '',
  ])('%j is no signature', (name) => {
    expect(demangle(name)).toBeUndefined();
  });

  test('a library of npm: everything that its debug information has mangled, its linker has demangled', () => {
    const path = 'node_modules/@foxglove/wasm-bz2/wasm/module.wasm';
    const module = readModule(new Uint8Array(readFileSync(join(import.meta.dirname, '../..', path))));
    const linked = new Names(...customSections(module, 'name')).functions;
    const [strings] = customSections(module, '.debug_str');
    const mangled = new TextDecoder()
      .decode(strings)
      .split('\0')
      .filter((text) => text.startsWith('_Z'));
    const ours = new Map(mangled.map((symbol) => [demangle(symbol)?.signature, symbol]));
    expect(ours.has(undefined)).toBe(false);
    let compared = 0;
    for (const name of linked.values()) {
      const demangled = demangle(name);
      if (!demangled || !ours.has(name)) continue;
      expect(demangle(ours.get(name)!)).toEqual(demangled);
      compared++;
    }
    console.log(`${mangled.length} mangled names, ${compared} of them in both forms`);
    expect(compared).toBeGreaterThan(300);
  });
});

describe('Rust', () => {
  test('the table', () => {
    expect(rust.length).toBeGreaterThan(130);
    expect(rust.map(([symbol]) => [symbol, demangle(symbol)?.name])).toEqual(rust);
  });

  test.each([
    ['_ZN4core3fmt5write17h05af221e174051e9E', 'core::fmt::write'],
    ['__ZN4core3fmt5write17h05af221e174051e9E.llvm.99', 'core::fmt::write'],
    [
      '_ZN71_$LT$Test$u20$$u2b$$u20$$u27$static$u20$as$u20$foo..Bar$LT$Test$GT$$GT$3bar17h930b740aa94f1d3aE',
      "<Test + 'static as foo::Bar<Test>>::bar",
    ],
    ['_ZN4main4main28_$u7b$$u7b$closure$u7d$$u7d$17h05af221e174051e9E', 'main::main::{{closure}}'],
    ['_ZN3foo11$RF$$BP$x.y17h05af221e174051e9E', 'foo::&*x.y'],
    ['core::fmt::write::h05af221e174051e9', 'core::fmt::write'],
    ['<&T as core::fmt::Debug>::fmt::h05af221e174051e9', '<&T as core::fmt::Debug>::fmt'],
    ['dlmalloc::dlmalloc::Dlmalloc<A>::malloc::h44b8dc71ab434912', 'dlmalloc::dlmalloc::Dlmalloc<A>::malloc'],
  ])('%s', (symbol, name) => {
    expect(demangle(symbol)).toEqual({ name, signature: name });
  });

  test('a hash that is none makes it C++', () => {
    expect(demangle('_ZN3foo3bar17h05af221e17405XYZE')?.name).toBe('foo::bar::h05af221e17405XYZ');
  });
});

test.each([
  ['', ''],
  ['gdel_5qa', 'gödel'],
  ['mnchen_3ya', 'münchen'],
  ['', ''],
  ['_', ''],
  ['abc_', 'abc'],
  ['99999999', undefined],
  ['a_A', undefined],
  ['3b_ww4c5e180e575a65lsy2b', '3年b組金八先生'],
])('punycode %j is %j', (encoded, text) => {
  expect(decodePunycode(encoded)).toBe(text);
});

test('forms of a name', () => {
  const forms = (symbol: string, other?: string) => {
    const { name, aliases } = new FunctionName(symbol, other);
    return [name, ...aliases];
  };
  expect(forms('main')).toEqual(['main']);
  expect(forms('_ZN1A1fEi')).toEqual(['A::f', 'A::f(int)', '_ZN1A1fEi']);
  expect(forms('A::f(int)')).toEqual(['A::f', 'A::f(int)']);
  expect(forms('_RNvC1a1b')).toEqual(['a::b', '_RNvC1a1b']);
  expect(forms('a::b::h05af221e174051e9')).toEqual(['a::b', 'a::b::h05af221e174051e9']);
  expect(forms('ab', '_ZN1A1fEi')).toEqual(['ab', 'A::f', 'A::f(int)', '_ZN1A1fEi']);
  expect(new FunctionName('_ZN1A1fEi').signature).toBe('A::f(int)');
});

describe('malformed names', () => {
  test('are shown as they are', () => {
    for (const symbol of [
      '_Z',
      '_ZN',
      '_ZNE',
      '_Z1',
      '_Z9abc',
      '_ZS_',
      '_ZT',
      '_ZTh',
      '_R',
      '_RNv',
      '_RB_',
      '_RC',
      '_RNvC1aB0_',
      '__Z',
    ]) {
      expect(demangle(symbol), symbol).toBeUndefined();
    }
  });

  test('that would grow without end, or nest too deep', () => {
    // Every pair names the one before twice.
    const doubling = `_Z1f${Array.from({ length: 60 }, (_, i) => `4pairI${i === 0 ? 'ii' : `S${i * 2 - 2 === 0 ? '0' : (i * 2 - 1).toString(36).toUpperCase()}_`.repeat(2)}E`).join('')}`;
    const start = performance.now();
    for (const symbol of [
      doubling,
      `_Z1f${'P'.repeat(100_000)}i`,
      `_Z1f${'F'.repeat(100_000)}`,
      `_Z1fIX${'ng'.repeat(50_000)}Li1EEEvv`,
      `_ZN${'1aI'.repeat(50_000)}`,
      `_R${'N'.repeat(100_000)}`,
      `_RIC1a${'R'.repeat(100_000)}hE`,
      `_RIC1a${'T'.repeat(400)}${'E'.repeat(400)}${'TB6_B6_E'.repeat(60)}E`,
      `_RINvC1a1bFGzzzzzzzz_EuE`,
      `_ZN${'1a'.repeat(100_000)}17h05af221e174051e9E`,
      `${'('.repeat(100_000)}${')'.repeat(100_000)}`,
      `${'a::'.repeat(100_000)}f(int)`,
      `operator${' operator'.repeat(50_000)}(int)`,
    ]) {
      expect(() => demangle(symbol)).not.toThrow();
    }
    expect(performance.now() - start).toBeLessThan(10_000);
  });

  test('made of good ones at random never throw and take no time', () => {
    const { random, seed } = seeded();
    const symbols = [...cpp, ...rust].map(([symbol]) => symbol);
    const letters = '_ZNSTIJEKPRFDLXMAC0123456789abcdhijlmsv';
    const start = performance.now();
    for (let round = 0; round < 8_000; round++) {
      let symbol = symbols[random(symbols.length)];
      for (let edits = 1 + random(4); edits > 0; edits--) {
        const at = 2 + random(symbol.length);
        const other = symbols[random(symbols.length)];
        const from = random(other.length);
        const insert = [letters[random(letters.length)], other.slice(from, from + random(20)), ''][random(3)];
        symbol = symbol.slice(0, at) + insert + symbol.slice(at + random(4));
      }
      expect(() => demangle(symbol), `seed ${seed} round ${round}: ${symbol}`).not.toThrow();
    }
    expect(performance.now() - start).toBeLessThan(30_000);
  });
});
