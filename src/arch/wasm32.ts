// The model of targets without a CPU (WebAssembly, JavaScript): a callback sees words, in order, as the engine was given them
// (FREGS_* in assembly/layout.ts). There is no stack pointer, no frame pointer and no return address to be seen; those read as
// 0 and are never invented.

/// How many words a value of a type takes, and how they become a JavaScript value.
export interface ValueForm {
  readonly words: number;
  /// `low` and `high` are the words as they were passed, unsigned.
  read(words: BigUint64Array, at: number): number | bigint | undefined;
}

const bits = new DataView(new ArrayBuffer(8));

const i32: ValueForm = { words: 1, read: (words, at) => Number(BigInt.asIntN(32, words[at])) };
const i64: ValueForm = { words: 1, read: (words, at) => BigInt.asIntN(64, words[at]) };
const f32: ValueForm = {
  words: 1,
  read(words, at) {
    bits.setUint32(0, Number(BigInt.asUintN(32, words[at])));
    return bits.getFloat32(0);
  },
};
const f64: ValueForm = {
  words: 1,
  read(words, at) {
    bits.setBigUint64(0, words[at]);
    return bits.getFloat64(0);
  },
};
const v128: ValueForm = { words: 2, read: (words, at) => words[at] | (words[at + 1] << 64n) };
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
