// The model of targets without a CPU (WebAssembly, JavaScript): a callback sees words, in order, as the engine was given them
// (FREGS_* in assembly/layout.ts). There is no stack pointer, no frame pointer and no return address to be seen; those read as
// 0 and are never invented.

import type { Memory } from '../memory.ts';

/// How many words a value of a type takes, and how they become a JavaScript value.
export interface ValueForm {
  readonly words: number;
  /// `at` is the number of the first word in memory.
  read(memory: Memory, at: number): number | bigint | undefined;
}

// Numbers go through their halves: a bigint on the way would cost more than all the rest of a callback.
const halves = new Uint32Array(2);
const float = new Float32Array(halves.buffer);
const double = new Float64Array(halves.buffer);

const i32: ValueForm = { words: 1, read: (memory, at) => memory.u32[at * 2] | 0 };
const i64: ValueForm = { words: 1, read: (memory, at) => BigInt.asIntN(64, memory.u64[at]) };
const f32: ValueForm = {
  words: 1,
  read({ u32 }, at) {
    halves[0] = u32[at * 2];
    return float[0];
  },
};
const f64: ValueForm = {
  words: 1,
  read({ u32 }, at) {
    halves[0] = u32[at * 2];
    halves[1] = u32[at * 2 + 1];
    return double[0];
  },
};
const v128: ValueForm = { words: 2, read: ({ u64 }, at) => u64[at] | (u64[at + 1] << 64n) };
/// A reference: its word is 0 and says nothing.
const reference: ValueForm = { words: 1, read: () => undefined };

const FORMS = new Map<string, ValueForm>([
  ['i32', i32],
  ['i64', i64],
  ['f32', f32],
  ['f64', f64],
  ['v128', v128],
]);

/// The form of a value type as the text format writes it; everything that is no number is a reference.
export function valueForm(type: string): ValueForm {
  return FORMS.get(type) ?? reference;
}
