// `ftrace_regs`: what a callback may know of the registers, and only that: arguments at entry, the return value at exit, stack,
// frame and instruction pointer (spec/arch.md §0, §9, §12).
//
// A view is made once and aimed at the record in the engine's memory for the time of a callback, so that a hit costs no
// allocation. Callbacks nest: whoever runs a handler puts the aim back to where it was, whatever the handler did.
// Reading a view that is aimed at nothing is an error of the handler that kept it.

import * as layout from '../assembly/layout.ts';
import { ValueReader } from './arch/wasm32.ts';
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
  readonly aim: Aim;
}

/// In `Aim.at`: the callback is one at exit. Records lie at multiples of 8.
export const AT_EXIT = 1;

/// What a view is of. Two plain fields, so that aiming is two stores.
export class Aim {
  /// Address of the record, and AT_EXIT; 0: none.
  at = 0;
  /// Types of the function, where they are known. Not put back unless there is somebody to see it.
  signature: Signature | undefined = undefined;

  /// Throws TypeError when it is aimed at nothing, as `isExit` does.
  get address(): number {
    if (this.at === 0) nothing();
    return this.at & ~AT_EXIT;
  }

  get isExit(): boolean {
    if (this.at === 0) nothing();
    return (this.at & AT_EXIT) !== 0;
  }
}

function nothing(): never {
  throw badType('registers can be read inside of a handler only; copy what you need later');
}

/// `index` as a position in a list of arguments. Throws RangeError for anything but 0, 1, 2, …
export function checkIndex(what: string, index: number): void {
  if (!Number.isInteger(index) || index < 0) {
    throw badRange(`${what} ${shown(index)} does not exist, they count from 0`);
  }
}

/// The view for targets without a CPU.
export class WordRegs implements AimedRegs {
  readonly aim = new Aim();
  readonly #memory: Memory;
  readonly #arguments: ValueReader;
  readonly #results: ValueReader;

  constructor(memory: Memory) {
    this.#memory = memory;
    this.#arguments = new ValueReader(memory);
    this.#results = new ValueReader(memory);
  }

  argument(n: number): RegisterValue {
    checkIndex('argument', n);
    const { isExit, signature } = this.aim;
    return isExit ? undefined : this.#value(this.#arguments, signature?.params, n);
  }

  returnValue(): RegisterValue {
    const { isExit, signature } = this.aim;
    return isExit ? this.#value(this.#results, signature?.results, 0) : undefined;
  }

  /// How many words of arguments (entry) or results (exit) were passed.
  get words(): number {
    return this.#memory.load32(this.aim.address + layout.FREGS_COUNT);
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
    return this.#memory.load64(this.aim.address + layout.FREGS_IP);
  }

  #value(reader: ValueReader, types: readonly string[] | undefined, n: number): RegisterValue {
    const { words } = this;
    const at = (this.aim.address + layout.FREGS_WORDS) >>> layout.WORD_SHIFT;
    if (types) return reader.read(types, n, at, words);
    return n < words ? this.#memory.u64[at + n] : undefined;
  }
}
