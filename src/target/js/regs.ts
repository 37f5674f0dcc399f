// The registers of a traced JavaScript function: the values themselves. There are no others to be seen.

import * as layout from '../../../assembly/layout.ts';
import { badType, shown } from '../../errors.ts';
import { Aim, type AimedRegs, checkIndex, type RegisterValue } from '../../regs.ts';
import type { JsCalls } from './calls.ts';

/// The view for JavaScript functions. The values are those of the call that the engine is being told of (JsCalls), so nothing is
/// kept for a handler that does not look.
export class JsRegs implements AimedRegs {
  readonly aim = new Aim();
  readonly #calls: JsCalls;

  constructor(calls: JsCalls) {
    this.#calls = calls;
  }

  /// How many arguments were passed, whatever the function's `length`; 0 at exit.
  get argumentCount(): number {
    return this.aim.isExit ? 0 : this.#calls.args.length;
  }

  /// Argument `n` as it was passed: any JavaScript value; undefined behind the last, and at exit.
  argument(n: number): RegisterValue {
    checkIndex('argument', n);
    return this.aim.isExit ? undefined : (this.#calls.args[n] as RegisterValue);
  }

  /// The result, any JavaScript value: what was returned, the object that `new` made, or what a handler before put in its place.
  /// Undefined at entry.
  returnValue(): RegisterValue {
    return this.aim.isExit ? (this.#calls.result as RegisterValue) : undefined;
  }

  /// What the caller gets in place of the result. Throws TypeError at entry, and for what is no object where `new` returns it.
  setReturnValue(value: unknown): void {
    if (!this.aim.isExit) throw badType('there is no return value at entry');
    if (this.#calls.constructs && !(typeof value === 'object' ? value !== null : typeof value === 'function')) {
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
    return this.#calls.engine.memory.load64(this.aim.address + layout.FREGS_IP);
  }
}
