// Function types that the additions need. A type that the module already has is used again where that is safe, which
// also keeps its index short; everything else is appended after the module's last type.

import type { ByteWriter } from './byte-writer.ts';
import { EMPTY, type FuncType, type TypeDef, type ValType, writeIndex33, writeType } from './types.ts';

const FORM_FUNC = 0x60;

export class TypePool {
  /// Types appended so far, in the order of their indices.
  readonly added: FuncType[] = [];
  readonly #known = new Map<string, number>();
  /// By identity of the signature: names of a thousand parameters are not worth building for every body.
  readonly #blocks = new Map<FuncType, number>();
  readonly #canonical: Uint32Array;
  readonly #first: number;

  constructor(types: readonly TypeDef[]) {
    this.#first = types.length;
    this.#canonical = new Uint32Array(types.length);
    for (let i = 0; i < types.length; i++) {
      const { func, plain } = types[i]!;
      this.#canonical[i] = i;
      if (!plain) continue;
      const key = keyOf(func!.params, func!.results);
      const known = this.#known.get(key);
      if (known === undefined) this.#known.set(key, i);
      else this.#canonical[i] = known;
    }
  }

  /// Index of the plain function type of that signature.
  index(params: readonly ValType[], results: readonly ValType[]): number {
    const key = keyOf(params, results);
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const index = this.#first + this.added.length;
    this.added.push({ params, results });
    this.#known.set(key, index);
    return index;
  }

  /// The lowest type index that means the same as `index` at a call.
  canonical(index: number): number {
    return this.#canonical[index]!;
  }

  /// Writes the block type of a block of that signature. Quick when it gets the same object again.
  writeBlockType(out: ByteWriter, type: FuncType): void {
    const { params, results } = type;
    if (params.length === 0 && results.length === 0) {
      out.u8(EMPTY);
    } else if (params.length === 0 && results.length === 1) {
      writeType(out, results[0]!);
    } else {
      let index = this.#blocks.get(type);
      if (index === undefined) {
        index = this.index(params, results);
        this.#blocks.set(type, index);
      }
      writeIndex33(out, index);
    }
  }

  /// Writes the appended entries of the type section.
  write(out: ByteWriter): void {
    for (const { params, results } of this.added) {
      out.u8(FORM_FUNC);
      for (const list of [params, results]) {
        out.u32(list.length);
        for (const type of list) writeType(out, type);
      }
    }
  }
}

function keyOf(params: readonly ValType[], results: readonly ValType[]): string {
  return `${params.join()}>${results.join()}`;
}
