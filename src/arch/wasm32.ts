// The model of targets without a CPU (WebAssembly, JavaScript): a callback sees words, in order, as the engine was given them
// (FREGS_* in assembly/layout.ts). There is no stack pointer, no frame pointer and no return address to be seen; those read as
// 0 and are never invented.

import type { Memory } from '../memory.ts';

/// How many words a value of a type takes, and how they become a JavaScript value.
export interface ValueForm {
  readonly words: number;
  readonly kind: number;
}

const I32 = 0;
const I64 = 1;
const F32 = 2;
const F64 = 3;
const V128 = 4;
const REFERENCE = 5; // its word is 0 and says nothing

const REFERENCE_FORM: ValueForm = { words: 1, kind: REFERENCE };
const FORMS = new Map<string, ValueForm>([
  ['i32', { words: 1, kind: I32 }],
  ['i64', { words: 1, kind: I64 }],
  ['f32', { words: 1, kind: F32 }],
  ['f64', { words: 1, kind: F64 }],
  ['v128', { words: 2, kind: V128 }],
]);

/// The form of a value type as the text format writes it; everything that is no number is a reference.
export function valueForm(type: string): ValueForm {
  return FORMS.get(type) ?? REFERENCE_FORM;
}

// Numbers go through their halves: a bigint on the way would cost more than all the rest of a callback.
const halves = new Uint32Array(2);
const float = new Float32Array(halves.buffer);
const double = new Float64Array(halves.buffer);

/// The value of a form whose first word is number `at` in memory.
function readValue(kind: number, memory: Memory, at: number): number | bigint | undefined {
  switch (kind) {
    case I32:
      return memory.u32[at * 2] | 0;
    case I64:
      return BigInt.asIntN(64, memory.u64[at]);
    case F32:
      halves[0] = memory.u32[at * 2];
      return float[0];
    case F64: {
      const { u32 } = memory;
      halves[0] = u32[at * 2];
      halves[1] = u32[at * 2 + 1];
      return double[0];
    }
    case V128: {
      const { u64 } = memory;
      return u64[at] | (u64[at + 1] << 64n);
    }
    default:
      return undefined;
  }
}

/// Reads the values of a list of types. What it works out of a list it keeps for the next time, which mostly is of the same one.
export class ValueReader {
  readonly #memory: Memory;
  readonly #known = new WeakMap<readonly string[], Int32Array>();
  #types: readonly string[] = [];
  /// For each value: the number of the word where it begins, that of the word behind it, and the kind.
  #places: Int32Array = new Int32Array(0);

  constructor(memory: Memory) {
    this.#memory = memory;
  }

  /// Value `n` of those that `types` lists and that lie, `count` words of them, from word `at` on. Undefined: there is none.
  read(types: readonly string[], n: number, at: number, count: number): number | bigint | undefined {
    if (types !== this.#types) this.#turnTo(types);
    const places = this.#places;
    const k = 3 * n;
    if (k >= places.length || places[k + 1] > count) return undefined;
    return readValue(places[k + 2], this.#memory, at + places[k]);
  }

  #turnTo(types: readonly string[]): void {
    let places = this.#known.get(types);
    if (!places) {
      let word = 0;
      places = Int32Array.from(
        types.flatMap((type) => {
          const { words, kind } = valueForm(type);
          word += words;
          return [word - words, word, kind];
        }),
      );
      this.#known.set(types, places);
    }
    this.#types = types;
    this.#places = places;
  }
}
