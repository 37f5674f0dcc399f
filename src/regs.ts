// `ftrace_regs`: what a callback may know of the registers, and only that: arguments at entry, the return value at exit, stack,
// frame and instruction pointer (spec/arch.md §0, §9, §12).
//
// A view is made once and aimed at the record in the engine's memory for the time of a callback, so that a hit costs no
// allocation. Callbacks nest, hence a stack of aims: `push` before the handler, `pop` after it, whatever the handler did.
// Reading a view that is aimed at nothing is an error of the handler that kept it.

import * as layout from '../assembly/layout.ts';
import { valueForm } from './arch/wasm32.ts';
import { badRange, badType, shown } from './errors.ts';
import type { Memory } from './memory.ts';

/// A word, or a value where the target knows the type; undefined: there is none.
export type RegisterValue = bigint | number | undefined;

/// The types of a function's parameters and results, as the text format of WebAssembly writes them.
export interface Signature {
  readonly params: readonly string[];
  readonly results: readonly string[];
}

export interface FtraceRegs {
  /// Argument `n`, from 0. On CPU models the word in its register or on the stack, 0n where there is none; on `wasm32` a number
  /// (i32, f32, f64) or a bigint (i64, v128), undefined for references and behind the last. Valid at entry only.
  argument(n: number): RegisterValue;
  /// The return value. Valid at exit only; undefined when there is none.
  returnValue(): RegisterValue;
  /// Replaces the return value, where the target lets it take effect. Throws TypeError where there is no way to.
  setReturnValue(value: bigint): void;
  /// 0 on targets without a CPU.
  readonly stackPointer: bigint | number;
  readonly framePointer: bigint | number;
  /// Where execution goes on: at entry behind the location, at exit the real return address. On targets without a CPU the site.
  readonly instructionPointer: bigint | number;
}

/// The side of a view that whoever runs handlers holds.
export interface AimedRegs extends FtraceRegs {
  /// Aims at the record at `address`, for a callback at entry or at exit.
  push(address: number, isExit: boolean, signature?: Signature): void;
  /// Back to what it was aimed at before.
  pop(): void;
}

interface Aim {
  address: number;
  isExit: boolean;
  signature: Signature | undefined;
}

/// A stack of aims that allocates only when it grows.
export class Aims {
  readonly #aims: Aim[] = [];
  #depth = 0;

  push(address: number, isExit: boolean, signature?: Signature): void {
    let aim = this.#aims[this.#depth++];
    if (!aim) {
      aim = { address, isExit, signature };
      this.#aims.push(aim);
    }
    aim.address = address;
    aim.isExit = isExit;
    if (aim.signature !== signature) aim.signature = signature; // a comparison is cheaper than a store that the collector notes
  }

  pop(): void {
    if (this.#depth > 0) this.#depth--;
  }

  get current(): Aim {
    if (this.#depth === 0) throw badType('registers can be read inside of a handler only; copy what you need later');
    return this.#aims[this.#depth - 1]!;
  }
}

/// `index` as a position in a list of arguments. Throws RangeError for anything but 0, 1, 2, …
export function checkIndex(what: string, index: number): void {
  if (!Number.isInteger(index) || index < 0) {
    throw badRange(`${what} ${shown(index)} does not exist, they count from 0`);
  }
}

/// The view for targets without a CPU.
export class WordRegs implements AimedRegs {
  readonly #memory: Memory;
  readonly #aims = new Aims();

  constructor(memory: Memory) {
    this.#memory = memory;
  }

  push(address: number, isExit: boolean, signature?: Signature): void {
    this.#aims.push(address, isExit, signature);
  }

  pop(): void {
    this.#aims.pop();
  }

  argument(n: number): RegisterValue {
    checkIndex('argument', n);
    const { isExit, signature } = this.#aims.current;
    return isExit ? undefined : this.#value(signature?.params, n);
  }

  returnValue(): RegisterValue {
    const { isExit, signature } = this.#aims.current;
    return isExit ? this.#value(signature?.results, 0) : undefined;
  }

  /// How many words of arguments (entry) or results (exit) were passed.
  get words(): number {
    return this.#memory.load32(this.#aims.current.address + layout.FREGS_COUNT);
  }

  setReturnValue(_value: bigint): void {
    throw badType('results cannot be changed on this target');
  }

  get stackPointer(): number {
    return 0;
  }

  get framePointer(): number {
    return 0;
  }

  get instructionPointer(): number {
    return this.#memory.load64(this.#aims.current.address + layout.FREGS_IP);
  }

  #value(types: readonly string[] | undefined, n: number): RegisterValue {
    const { address } = this.#aims.current;
    const count = this.words;
    const at = (address + layout.FREGS_WORDS) >>> layout.WORD_SHIFT;
    if (!types) return n < count ? this.#memory.u64[at + n] : undefined;
    if (n >= types.length) return undefined;
    let word = 0;
    for (let k = 0; k < n; k++) word += valueForm(types[k]!).words;
    const form = valueForm(types[n]!);
    return word + form.words <= count ? form.read(this.#memory, at + word) : undefined;
  }
}
