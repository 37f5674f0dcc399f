// The registers of a traced JavaScript function: the values themselves. There are no others to be seen.

import * as layout from '../../../assembly/layout.ts';
import { badType, shown } from '../../errors.ts';
import { type AimedRegs, checkIndex, type RegisterValue } from '../../regs.ts';
import type { JsCalls } from './calls.ts';

interface Aim {
  address: number;
  args: readonly unknown[];
  isExit: boolean;
  constructs: boolean;
}

const NONE: readonly unknown[] = [];

/// The view for JavaScript functions. `push` keeps what the call under way shows, so it has to come from inside of the engine's
/// import `call`.
export class JsRegs implements AimedRegs {
  readonly #calls: JsCalls;
  readonly #aims: Aim[] = [];
  #depth = 0;

  constructor(calls: JsCalls) {
    this.#calls = calls;
  }

  push(address: number, isExit: boolean): void {
    const { args, constructs } = this.#calls;
    if (this.#depth === this.#aims.length) this.#aims.push({ address, args, isExit, constructs });
    const aim = this.#aims[this.#depth++];
    aim.address = address;
    aim.args = isExit ? NONE : args;
    aim.isExit = isExit;
    aim.constructs = constructs;
  }

  pop(): void {
    if (this.#depth > 0) this.#aims[--this.#depth].args = NONE;
  }

  get #aim(): Aim {
    if (this.#depth === 0) {
      throw badType('registers can be read inside of a handler only; copy what you need later');
    }
    return this.#aims[this.#depth - 1];
  }

  /// How many arguments were passed, whatever the function's `length`; 0 at exit.
  get argumentCount(): number {
    return this.#aim.args.length;
  }

  /// Argument `n` as it was passed: any JavaScript value; undefined behind the last, and at exit.
  argument(n: number): RegisterValue {
    checkIndex('argument', n);
    return this.#aim.args[n] as RegisterValue;
  }

  /// The result, any JavaScript value: what was returned, the object that `new` made, or what a handler before put in its place.
  /// Undefined at entry.
  returnValue(): RegisterValue {
    const { isExit } = this.#aim;
    return isExit ? (this.#calls.result as RegisterValue) : undefined;
  }

  /// What the caller gets in place of the result. Throws TypeError at entry, and for what is no object where `new` returns it.
  setReturnValue(value: unknown): void {
    const { isExit, constructs } = this.#aim;
    if (!isExit) throw badType('there is no return value at entry');
    if (constructs && !(typeof value === 'object' ? value !== null : typeof value === 'function')) {
      throw badType(`new returns an object, it cannot return ${shown(value)} (${typeof value})`);
    }
    this.#calls.result = value;
  }

  get stackPointer(): number {
    return 0;
  }

  get framePointer(): number {
    return 0;
  }

  /// The site.
  get instructionPointer(): number {
    return this.#calls.engine.memory.load64(this.#aim.address + layout.FREGS_IP);
  }
}
