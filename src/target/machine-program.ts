// Programs of a machine: what is called, with what, in which order, as words that the engine runs (OP_* of
// assembly/machine-layout.ts).
//
//   | operation u8 | count u8 | 0 u16 | operand u32 |  count words …

import * as layout from '../../assembly/machine-layout.ts';
import { isBigUint64Array } from '../bytes.ts';
import { badRange, badType, shown } from '../errors.ts';
import { readArray } from '../options.ts';

const NAMES = [
  'end',
  'call',
  'return',
  'tail call',
  'switch',
  'interrupt',
  'end of interrupt',
  'time',
  'register',
  'unwind',
  'interrupts off or on',
  'preemption off or on',
  'wake-up',
];

const REASONS = new Map([
  [layout.ECHILD, ['ECHILD', 'calls and returns, or sections, do not match']],
  [layout.EFAULT, ['EFAULT', 'the function did not come back to its caller']],
  [layout.EOVERFLOW, ['EOVERFLOW', 'no room on the stack of the task']],
  [16, ['EBUSY', 'the machine runs a program already']],
]);

/// A program that could not go on. `position` is the word at which it stopped.
export class ProgramError extends Error {
  readonly code: string;
  readonly position: number;

  constructor(error: number, position: number, program: MachineProgram) {
    const [code, reason] = REASONS.get(error) ?? [
      'EINVAL',
      'no such operation, function, task, register, context or section',
    ];
    const where =
      position < program.length ? `at word ${position} (${program.nameAt(position)})` : `at its end, word ${position}`;
    super(`program ${where}: ${reason} (${code})`);
    this.name = 'ProgramError';
    this.code = code!;
    this.position = position;
  }
}

export class MachineProgram {
  #words = new BigUint64Array(64);
  #length = 0;

  /// The words so far. A view: do not keep it while the program grows.
  get words(): BigUint64Array {
    return this.#words.subarray(0, this.#length);
  }

  /// How many there are.
  get length(): number {
    return this.#length;
  }

  /// A program from words that somebody stored.
  static from(words: BigUint64Array): MachineProgram {
    if (!isBigUint64Array(words)) throw badType(`a program from ${shown(words)}, expected a BigUint64Array`);
    const program = new MachineProgram();
    program.#words = words.slice();
    program.#length = words.length;
    return program;
  }

  /// Whether `value` is a program, and not just an object that inherits from one.
  static is(value: unknown): value is MachineProgram {
    return typeof value === 'object' && value !== null && #words in value;
  }

  /// What the word at a position asks for. Throws RangeError for a position beyond the end.
  nameAt(position: number): string {
    if (!Number.isInteger(position) || position < 0 || position >= this.#length) {
      throw badRange(`the position is ${shown(position)}, expected 0 to ${this.#length - 1}`);
    }
    return NAMES[Number(this.#words[position]! & 0xffn)] ?? 'unknown operation';
  }

  /// Calls function `index`, its position in `machine.sites`.
  call(index: number, args: readonly bigint[] = []): this {
    return this.#add(layout.OP_CALL, index, args);
  }

  /// The function that runs returns; without a value, with what its return register holds.
  return(value?: bigint): this {
    return this.#add(layout.OP_RETURN, 0, value === undefined ? [] : [value]);
  }

  /// The function that runs hands over to another one.
  tailCall(index: number, args: readonly bigint[] = []): this {
    return this.#add(layout.OP_TAIL, index, args);
  }

  /// Lets the task number `index` of the machine run.
  switchTo(index: number): this {
    return this.#add(layout.OP_SWITCH, index, []);
  }

  /// An interrupt begins: 0 NMI, 1 hard irq, 2 soft irq.
  interrupt(context: number): this {
    return this.#add(layout.OP_INTERRUPT, context, []);
  }

  interruptEnd(): this {
    return this.#add(layout.OP_INTERRUPT_END, 0, []);
  }

  /// Interrupts are off until `irqsOn`; such sections nest.
  irqsOff(): this {
    return this.#add(layout.OP_IRQS, 1, []);
  }

  irqsOn(): this {
    return this.#add(layout.OP_IRQS, 0, []);
  }

  /// Preemption is off until `preemptionOn`; such sections nest.
  preemptionOff(): this {
    return this.#add(layout.OP_PREEMPTION, 1, []);
  }

  preemptionOn(): this {
    return this.#add(layout.OP_PREEMPTION, 0, []);
  }

  /// The task number `index` of the machine, not the one that runs, is ready to run.
  wake(index: number): this {
    return this.#add(layout.OP_WAKE, index, []);
  }

  /// Sets the clock, in nanoseconds.
  time(ns: bigint): this {
    return this.#add(layout.OP_TIME, 0, [ns]);
  }

  /// Sets a register; `place` is its offset in the register file (`registerFile` in machine-description.ts).
  set(place: number, value: bigint): this {
    return this.#add(layout.OP_SET, place, [value]);
  }

  /// The innermost `count` calls are left without returning.
  unwind(count: number): this {
    return this.#add(layout.OP_UNWIND, count, []);
  }

  #add(operation: number, operand: number, words: readonly bigint[]): this {
    if (!Number.isInteger(operand) || operand < 0 || operand > 0xffff_ffff) {
      throw badRange(`${NAMES[operation]}: the operand is ${shown(operand)}, expected a whole number from 0`);
    }
    const given = readArray(`${NAMES[operation]}: the values`, words);
    if (!given) throw badType(`${NAMES[operation]}: ${shown(words)}, expected an array of bigints`);
    const wrong = given.findIndex((word) => typeof word !== 'bigint');
    if (wrong >= 0) throw badType(`${NAMES[operation]}: value ${wrong} is ${shown(given[wrong])}, expected a bigint`);
    if (given.length > layout.MACHINE_ARGUMENTS_MAX) {
      throw badRange(
        `${NAMES[operation]}: ${given.length} arguments, expected at most ${layout.MACHINE_ARGUMENTS_MAX}`,
      );
    }
    const needed = this.#length + 1 + given.length;
    if (needed > this.#words.length) {
      const larger = new BigUint64Array(needed * 2);
      larger.set(this.words);
      this.#words = larger;
    }
    this.#words[this.#length++] = BigInt(operation | (given.length << 8)) | (BigInt(operand) << 32n);
    for (const word of given) this.#words[this.#length++] = BigInt.asUintN(64, word as bigint);
    return this;
  }
}
