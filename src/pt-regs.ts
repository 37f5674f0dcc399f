// `pt_regs`: the full record of a CPU's registers, and what is done with one (spec/arch.md §10–§12), for all CPUs from their
// tables.
//
// A PtRegs is a view: of a buffer of its own, or of the record of a callback where that embeds a `pt_regs`; then it is the same
// memory, and good for as long as the callback runs.

import type { CpuModel, Field, RecordLayout } from './arch/arch.ts';
import { checkModel } from './arch/index.ts';
import { EngineError } from './engine.ts';
import { badRange, badType, shown } from './errors.ts';
import { checkFunction, checkWord } from './options.ts';
import { checkIndex } from './regs.ts';

/// Reads the 64-bit word at a simulated address, undefined where there is no memory.
export type ReadWord = (address: bigint) => bigint | undefined;

const noMemory: ReadWord = () => undefined;

/// A record of registers somewhere in a buffer, in the byte order of its CPU.
export class RegisterRecord {
  readonly layout: RecordLayout;
  readonly #isLittle: boolean;
  readonly #view: () => DataView;
  readonly #base: () => number;

  /// `view` and `base` are asked at each access, since memory grows and callbacks come and go.
  constructor(layout: RecordLayout, bigEndian: boolean, view: () => DataView, base: () => number) {
    this.layout = layout;
    this.#isLittle = !bigEndian;
    this.#view = view;
    this.#base = base;
  }

  /// The field of that name. Throws RangeError when there is none.
  get(name: string): bigint {
    const { offset, size } = this.#field(name);
    const at = this.#base() + offset;
    if (size === 8) return this.#view().getBigUint64(at, this.#isLittle);
    return BigInt(size === 4 ? this.#view().getUint32(at, this.#isLittle) : this.#view().getUint8(at));
  }

  /// Stores the low bits of `value`. Throws RangeError when there is no such field, TypeError for what is no bigint.
  set(name: string, value: bigint): void {
    const { offset, size } = this.#field(name);
    checkWord(name, value);
    const at = this.#base() + offset;
    if (size === 8) this.#view().setBigUint64(at, BigInt.asUintN(64, value), this.#isLittle);
    else if (size === 4) this.#view().setUint32(at, Number(BigInt.asUintN(32, value)), this.#isLittle);
    else this.#view().setUint8(at, Number(BigInt.asUintN(8, value)));
  }

  /// All bytes, as they are in memory.
  bytes(): Uint8Array {
    return new Uint8Array(this.#view().buffer, this.#view().byteOffset + this.#base(), this.layout.size);
  }

  #field(name: string): Field {
    const field = this.layout.field.get(name);
    if (!field) throw badRange(`there is no register ${shown(name)}, only ${[...this.layout.field.keys()].join(' ')}`);
    return field;
  }
}

export class PtRegs extends RegisterRecord {
  readonly model: CpuModel;
  readonly #readWord: ReadWord;

  /// Without `view` and `base`: a zeroed record of its own.
  constructor(model: CpuModel, readWord: ReadWord = noMemory, view?: () => DataView, base: () => number = () => 0) {
    checkModel(model);
    checkFunction('readWord', readWord);
    const own = view ? undefined : new DataView(new ArrayBuffer(model.ptRegs.size));
    super(model.ptRegs, model.bigEndian, view ?? (() => own!), base);
    this.model = model;
    this.#readWord = readWord;
  }

  /// Whether `value` is one, and not just an object that inherits from one.
  static is(value: unknown): value is PtRegs {
    return typeof value === 'object' && value !== null && #readWord in value;
  }

  get stackPointer(): bigint {
    return this.get(this.model.stackPointer);
  }

  get framePointer(): bigint {
    return this.get(this.model.framePointer);
  }

  get instructionPointer(): bigint {
    return this.get(this.model.instructionPointer);
  }

  set instructionPointer(address: bigint) {
    this.set(this.model.instructionPointer, address);
  }

  /// The raw register, also on powerpc64, whose system calls return errors another way.
  get returnValue(): bigint {
    return this.get(this.model.returnRegisters[0]);
  }

  setReturnValue(value: bigint): void {
    this.set(this.model.returnRegisters[0], value);
  }

  get userMode(): boolean {
    const { field, mask, bits } = this.model.userMode;
    const set = this.get(field) & mask;
    return bits === 'any' ? set !== 0n : bits === 'all' ? set === mask : set === 0n;
  }

  /// Argument `n` of a kernel function that is being entered: its register, its word on the stack, or 0.
  kernelArgument(n: number): bigint {
    return argument(this, this.model, this.stackPointer, n, this.#readWord);
  }

  /// The word `n` words above the stack pointer, 0 outside of the stack's block.
  kernelStackNth(n: number): bigint {
    checkIndex('word', n);
    return stackWord(this.model, this.stackPointer, BigInt(n) * 8n, this.#readWord);
  }

  /// What a number from `queryRegisterOffset` reads; 0 for a number that reads nothing.
  register(number: number): bigint {
    const name = queryRegisterName(this.model, number);
    if (name === undefined) return 0n;
    const { numberedField } = this.model;
    if (numberedField) return this.get(numberedField(number));
    const field = this.layout.fields.find(({ offset }) => offset === number);
    return field ? this.get(field.name) : 0n;
  }
}

/// Throws TypeError for what is no `pt_regs` of that CPU.
export function checkRecord(value: unknown, { name }: CpuModel): void {
  if (!PtRegs.is(value) || value.model.name !== name) throw badType(`${shown(value)} is no pt_regs of ${name}`);
}

/// Argument `n` of a function that is entered with stack pointer `sp` and the registers of `record`.
export function argument(record: RegisterRecord, model: CpuModel, sp: bigint, n: number, readWord: ReadWord): bigint {
  checkIndex('argument', n);
  const { argumentRegisters, stackArguments } = model;
  if (n < argumentRegisters.length) return record.get(argumentRegisters[n]!);
  if (stackArguments === null) return 0n;
  return stackWord(model, sp, BigInt(stackArguments + (n - argumentRegisters.length) * 8), readWord);
}

/// The word `offset` bytes above `sp`, if it lies in the same aligned block of a stack and there is memory; else 0.
export function stackWord(model: CpuModel, sp: bigint, offset: bigint, readWord: ReadWord): bigint {
  const address = BigInt.asUintN(64, sp + offset);
  const block = BigInt(model.threadSize);
  return address / block === sp / block ? (readWord(address) ?? 0n) : 0n;
}

/// The number by which the kernel knows a register: its offset in `pt_regs`, on s390x its number. Throws EINVAL for a name that
/// is none; names are case-sensitive, and `rax` is none.
export function queryRegisterOffset(model: CpuModel, name: string): number {
  checkModel(model);
  const number = model.registerNames.get(name) ?? model.otherName?.(name);
  if (number !== undefined) return number;
  throw new EngineError(
    'EINVAL',
    `${model.name} has no register ${shown(name)}, only ${[...model.registerNames.keys()].join(' ')}`,
  );
}

/// The name of the register with that number, undefined when there is none.
export function queryRegisterName(model: CpuModel, number: number): string | undefined {
  checkModel(model);
  if (typeof number !== 'number') throw badType(`the number of a register is ${shown(number)}, expected a number`);
  for (const [name, known] of model.registerNames) if (known === number) return name;
  return undefined;
}
