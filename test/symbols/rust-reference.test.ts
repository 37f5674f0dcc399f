// Rust's second mangling against the compiler project's own demangler, compiled to WebAssembly: random symbols of the whole
// grammar of RFC 2603.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { expect, test } from 'vitest';
import { demangleRustV0 } from '../../src/symbols/rust-v0.ts';
import { seeded } from '../trace/random.ts';

const require = createRequire(import.meta.url);

async function reference(): Promise<(symbol: string) => string> {
  const glue = await import(require.resolve('gecko-profiler-demangle/index_bg.js'));
  const bytes = readFileSync(require.resolve('gecko-profiler-demangle/index_bg.wasm'));
  const { instance } = await WebAssembly.instantiate(bytes, { './index_bg.js': glue });
  glue.__wbg_set_wasm(instance.exports);
  (instance.exports.__wbindgen_start as () => void)();
  return glue.demangle_any;
}

/// Writes random symbols. `bound`: how many lifetimes the binders around introduce.
class Generator {
  readonly #random: (below: number) => number;
  #left = 0;
  constructor(random: (below: number) => number) {
    this.#random = random;
  }

  symbol(): string {
    this.#left = 25;
    return `_R${this.#path(0)}`;
  }

  #pick<T>(...choices: T[]): T {
    return choices[this.#random(choices.length)];
  }

  #many(most: number, make: () => string): string {
    return Array.from({ length: this.#random(most + 1) }, make).join('');
  }

  #identifier(): string {
    const plain = this.#pick('a', 'foo', '_x', 'Bar', '1st', 'x_y');
    return this.#pick('', '', 's_', 's3_') + (/^[\d_]/.test(plain) ? `${plain.length}_${plain}` : plain.length + plain);
  }

  #path(bound: number): string {
    if (this.#left-- <= 0) return `C${this.#identifier()}`;
    switch (this.#random(7)) {
      case 0:
        return `M${this.#path(0)}${this.#type(bound)}`;
      case 1:
        return `X${this.#path(0)}${this.#type(bound)}${this.#path(bound)}`;
      case 2:
        return `Y${this.#type(bound)}${this.#path(bound)}`;
      case 3:
        return `I${this.#path(bound)}${this.#many(3, () => this.#argument(bound))}E`;
      case 4:
        return `C${this.#identifier()}`;
      default:
        return `N${this.#pick('v', 't', 'C', 'S', 'Q')}${this.#path(bound)}${this.#identifier()}`;
    }
  }

  #argument(bound: number): string {
    return this.#pick(
      () => 'L_',
      () => `K${this.#constant()}`,
      () => this.#type(bound),
    )();
  }

  #constant(): string {
    return this.#pick(
      'h2a_',
      'j0_',
      'ln5_',
      'sff_',
      'b0_',
      'b1_',
      'c61_',
      'c27_',
      'p',
      'Re6869_',
      'RAh1_h2_E',
      'Tb1_E',
      'VNtC1a1bU',
      'o0_',
    );
  }

  #type(bound: number): string {
    if (this.#left-- <= 0) return 'h';
    switch (this.#random(12)) {
      case 0:
        return `${this.#pick('R', 'Q')}${this.#pick('', 'L_')}${this.#type(bound)}`;
      case 1:
        return `${this.#pick('P', 'O', 'S')}${this.#type(bound)}`;
      case 2:
        return `A${this.#type(bound)}j${this.#pick('4', 'ff')}_`;
      case 3:
        return `T${this.#many(3, () => this.#type(bound))}E`;
      case 4: {
        const binder = this.#random(2);
        const parameters = this.#many(3, () => (binder ? `RL0_${this.#type(bound + 1)}` : this.#type(bound)));
        return `F${binder ? 'G_' : ''}${this.#pick('', 'U')}${this.#pick('', 'KC', 'K6system')}${parameters}E${this.#type(bound)}`;
      }
      case 5: {
        const bounds = Array.from({ length: 1 + this.#random(2) }, () => {
          const trait = this.#pick(`NtC1b1T`, `INtC1b1U${this.#many(2, () => this.#type(bound))}E`);
          return trait + this.#many(1, () => `p6Output${this.#type(bound)}`);
        });
        return `D${bounds.join('')}E${this.#pick('L_')}`;
      }
      case 6:
        return this.#path(bound);
      default:
        return this.#pick(...'abcdefhijlmnopstuxyz');
    }
  }
}

test('random symbols', async () => {
  const demangle = await reference();
  const { random, seed } = seeded();
  const generator = new Generator(random);
  let longest = 0;
  for (let round = 0; round < 5_000; round++) {
    const symbol = generator.symbol();
    const expected = demangle(symbol);
    expect(expected.replace(/^_?R/, ''), `the generator, seed ${seed}`).not.toBe(symbol.slice(2));
    expect(demangleRustV0(symbol)?.name, `seed ${seed} round ${round}: ${symbol}`).toBe(expected);
    longest = Math.max(longest, symbol.length);
  }
  expect(longest).toBeGreaterThan(150);
});
