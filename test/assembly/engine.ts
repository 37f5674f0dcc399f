// What the engine's tests share: a fresh engine from the built bytes, and random numbers that can be repeated.

import { readFileSync } from 'node:fs';
import { type Engine, type EngineImports, instantiateEngine } from '../../src/engine.ts';

export const engineBytes = readFileSync(new URL('../../build/fprobe.wasm', import.meta.url));

let compiled: Promise<WebAssembly.Module> | undefined;

/// A fresh engine. All of them share one compiled module.
export async function freshEngine(imports?: EngineImports): Promise<Engine> {
  compiled ??= WebAssembly.compile(engineBytes);
  return instantiateEngine(await compiled, imports);
}

/// A random stream that depends on nothing but its seed.
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /// A 32-bit unsigned integer (xorshift after a Weyl step, good enough to shake a tree).
  next(): number {
    this.#state = (this.#state + 0x9e3779b9) >>> 0;
    let x = this.#state;
    x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
    x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
    return (x ^ (x >>> 16)) >>> 0;
  }

  /// 0 … n − 1.
  below(n: number): number {
    return this.next() % n;
  }

  /// True once in `n` times.
  oneIn(n: number): boolean {
    return this.below(n) === 0;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)];
  }
}

/// The seed of this run: `FPROBE_SEED`, or a new one, printed so that a failure can be repeated.
export function runSeed(name: string): number {
  const seed = process.env.FPROBE_SEED ? Number(process.env.FPROBE_SEED) : (Math.random() * 2 ** 32) >>> 0;
  console.log(`${name}: FPROBE_SEED=${seed}`);
  return seed;
}
