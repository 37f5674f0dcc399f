// `ftrace_regs` of a CPU: the record that a trampoline filled, as callbacks see it, and the conversions to `pt_regs`
// (spec/arch.md §9, §10). Which fields hold something depends on the trampoline; what it did not store reads as whatever was on
// the stack, on the machine a pattern that no program uses.

import * as layout from '../assembly/layout.ts';
import { type CpuModel, PLACE_RETURN_STUB } from './arch/arch.ts';
import type { Memory } from './memory.ts';
import { argument, checkRecord, PtRegs, type ReadWord, RegisterRecord, stackWord } from './pt-regs.ts';
import { Aim, type AimedRegs, checkIndex } from './regs.ts';

export class CpuRegs implements AimedRegs {
  readonly aim = new Aim();
  readonly model: CpuModel;
  /// The record by its fields; for what the conversions do not offer.
  readonly record: RegisterRecord;
  readonly #readWord: ReadWord;
  readonly #embedded: PtRegs;
  /// Address of a function that only returns, for `overrideReturn`.
  readonly #returnStub: bigint;

  constructor(memory: Memory, model: CpuModel, readWord: ReadWord) {
    // What the engine hands to handlers: its first word is the address of the record.
    const base = () => memory.load32(this.aim.address + layout.FREGS_WORDS);
    const view = () => memory.view;
    this.model = model;
    this.record = new RegisterRecord(model.fregs, model.bigEndian, view, base);
    this.#readWord = readWord;
    this.#embedded = new PtRegs(model, readWord, view, base);
    this.#returnStub = model.addresses.trampolines + PLACE_RETURN_STUB;
  }

  argument(n: number): bigint {
    return argument(this.record, this.model, this.stackPointer, n, this.#readWord);
  }

  /// The word `n` words above the stack pointer, 0 outside of the stack's block.
  stackNth(n: number): bigint {
    checkIndex('word', n);
    return stackWord(this.model, this.stackPointer, BigInt(n) * 8n, this.#readWord);
  }

  returnValue(): bigint {
    return this.record.get(this.model.returnRegisters[0]);
  }

  setReturnValue(value: bigint): void {
    this.record.set(this.model.returnRegisters[0], value);
  }

  get stackPointer(): bigint {
    return this.record.get(this.model.stackPointer);
  }

  get framePointer(): bigint {
    return this.record.get(this.model.framePointer);
  }

  get instructionPointer(): bigint {
    return this.record.get(this.model.instructionPointer);
  }

  /// At entry: where execution goes on in place of the traced function.
  set instructionPointer(address: bigint) {
    this.record.set(this.model.instructionPointer, address);
  }

  /// Where the function returns to. At entry only, and the hook once somebody asked for the exit.
  get returnAddress(): bigint {
    const { returnField } = this.model;
    return returnField === null ? (this.#readWord(this.stackPointer) ?? 0n) : this.record.get(returnField);
  }

  /// Makes the traced function return at once, with whatever return value was set.
  overrideReturn(): void {
    this.instructionPointer = this.model.returnField === null ? this.#returnStub : this.returnAddress;
  }

  /// Sends the entry trampoline to a direct trampoline at `address`; 0 takes that back.
  setDirect(address: bigint): void {
    this.record.set(this.model.directSlot, address);
  }

  /// `get_regs`: the record as a `pt_regs` if it is a full set, else null.
  fullRegs(): PtRegs | null {
    const { full } = this.model;
    if (full === 'never') return null;
    if (full === 'always') return this.#embedded;
    return (this.record.get(full.field) & full.mask) !== 0n ? this.#embedded : null;
  }

  /// `partial_regs`: what is known as a `pt_regs`. Fills `buffer` and returns it where the record has no `pt_regs` in it;
  /// elsewhere returns the record itself, changed as that CPU does it: on x86_64 it looks full from then on.
  partialRegs(buffer: PtRegs = new PtRegs(this.model, this.#readWord)): PtRegs {
    checkRecord(buffer, this.model);
    const { copies, sets, ors } = this.model.partial;
    const into = this.model.havingPtRegs ? this.#embedded : buffer;
    for (const name of copies) into.set(name, this.record.get(name));
    for (const [name, value] of Object.entries(sets)) into.set(name, value);
    for (const [name, value] of Object.entries(ors)) into.set(name, into.get(name) | value);
    return into;
  }

  /// Takes instruction pointer and return value back from `buffer`; nothing to do where it is the record itself.
  partialRegsUpdate(buffer: PtRegs): void {
    checkRecord(buffer, this.model);
    if (this.model.havingPtRegs) return;
    this.instructionPointer = buffer.instructionPointer;
    this.setReturnValue(buffer.returnValue);
  }

  /// `fill_perf_regs`: enough for a stack walk, and never user mode. `buffer` is zeroed beforehand by whoever made it.
  fillPerfRegs(buffer: PtRegs = new PtRegs(this.model, this.#readWord)): PtRegs {
    checkRecord(buffer, this.model);
    const { copies, sets } = this.model.perf;
    for (const name of copies) buffer.set(name, this.record.get(name));
    for (const [name, value] of Object.entries(sets)) buffer.set(name, value);
    return buffer;
  }

  /// `perf_arch_fetch_caller_regs` from this record: the same fields as `fillPerfRegs`, which on riscv64 and loongarch64 sets
  /// nothing in the original and is built like this one (spec/arch.md §10).
  fetchCallerRegs(buffer?: PtRegs): PtRegs {
    return this.fillPerfRegs(buffer);
  }
}
