// Records of registers: reading, and the conversions to pt_regs, the same suite for every CPU (spec/arch.md §9–§12, §14).

import { beforeAll, describe, expect, test } from 'vitest';
import * as layout from '../../assembly/layout.ts';
import type { CpuModel } from '../../src/arch/arch.ts';
import { CPUS } from '../../src/arch/index.ts';
import { CpuRegs } from '../../src/cpu-regs.ts';
import { type Engine, loadEngine } from '../../src/engine.ts';
import { PtRegs, queryRegisterName, queryRegisterOffset } from '../../src/pt-regs.ts';

let engine: Engine;
/// Registers as the engine hands them to handlers: the record is somewhere else.
let scratch = 0;

beforeAll(async () => {
  engine = await loadEngine();
  const ring = engine.createRing(1, 0);
  scratch = ring + 1024;
  engine.memory.store32(scratch + layout.FREGS_WORDS, ring);
});

const SP = 0xffff_c900_0000_2000n;
const WORD = 0x0101_0101_0101_0101n;

/// A record in which field k of the layout holds k + 1, and a stack whose word at sp + 8i is 1000 + i.
function filled(model: CpuModel, sp = SP): CpuRegs {
  const regs = new CpuRegs(engine.memory, model, (address) => 1000n + (address - sp) / 8n);
  regs.aim.at = scratch;
  model.fregs.fields.forEach(({ name }, k) => {
    regs.record.set(name, BigInt(k + 1));
  });
  regs.record.set(model.stackPointer, sp);
  return regs;
}

describe.each(Object.values(CPUS).map((model) => [model.name, model] as const))('%s', (name, model) => {
  test('arguments come from registers, then from the stack or from nowhere', () => {
    const regs = filled(model);
    model.argumentRegisters.forEach((register, n) => {
      expect(regs.argument(n)).toBe(regs.record.get(register));
    });
    const beyond = { x86_64: 1001n, loongarch64: 1000n, s390x: 1020n }[name as string] ?? 0n;
    const n = model.argumentRegisters.length;
    expect(regs.argument(n)).toBe(beyond);
    expect(regs.argument(n + 1)).toBe(beyond && beyond + 1n);
    expect(() => regs.argument(-1)).toThrow(RangeError);
    expect(() => regs.argument(1.5)).toThrow(RangeError);
    // The table of spec/arch.md §12.
    const tenth = { x86_64: 1003n, loongarch64: 1000n, s390x: 1023n }[name as string] ?? 0n;
    expect(regs.argument(8)).toBe(tenth);
  });

  test('stack words end with the block of the stack, and a fault reads as 0', () => {
    const regs = filled(model, SP + BigInt(model.threadSize) - 8n - (SP % BigInt(model.threadSize)));
    expect(regs.stackNth(0)).toBe(1000n);
    expect(regs.stackNth(1)).toBe(0n);
    expect(regs.argument(name === 's390x' ? 5 : 20)).toBe(0n);
    const faulting = new CpuRegs(engine.memory, model, () => undefined);
    faulting.aim.at = scratch;
    expect(faulting.stackNth(0)).toBe(0n);
  });

  test('pointers and the return value', () => {
    const regs = filled(model);
    expect(regs.stackPointer).toBe(regs.record.get(model.stackPointer));
    expect(regs.framePointer).toBe(regs.record.get(model.framePointer));
    expect(regs.instructionPointer).toBe(regs.record.get(model.instructionPointer));
    regs.setReturnValue(-5n);
    expect(regs.returnValue()).toBe(0xffff_ffff_ffff_fffbn);
    expect(regs.record.get(model.returnRegisters[0])).toBe(0xffff_ffff_ffff_fffbn);
    expect(() => regs.setReturnValue(1 as unknown as bigint)).toThrow(TypeError);
  });

  test('the byte order is that of the CPU', () => {
    const regs = filled(model);
    regs.record.set(model.argumentRegisters[0]!, 0x0102_0304_0506_0708n);
    const { offset } = model.fregs.field.get(model.argumentRegisters[0]!)!;
    const bytes = [...regs.record.bytes().subarray(offset, offset + 8)];
    expect(bytes).toEqual(model.bigEndian ? [1, 2, 3, 4, 5, 6, 7, 8] : [8, 7, 6, 5, 4, 3, 2, 1]);
  });

  test('fullRegs asks the mark', () => {
    const regs = filled(model);
    const { full } = model;
    if (full === 'never') expect(regs.fullRegs()).toBeNull();
    else if (full === 'always') expect(regs.fullRegs()).not.toBeNull();
    else {
      regs.record.set(full.field, full.field === 'flags' ? ~16n : 0n);
      expect(regs.fullRegs()).toBeNull();
      regs.record.set(full.field, 16n);
      expect(regs.fullRegs()!.get(model.argumentRegisters[0]!)).toBe(regs.argument(0));
    }
  });

  test('partialRegs hands out what is known', () => {
    const regs = filled(model);
    const buffer = new PtRegs(model);
    for (const { name: field } of model.ptRegs.fields) buffer.set(field, WORD);
    if (name === 'x86_64') regs.record.set('cs', 0n);
    const partial = regs.partialRegs(buffer);
    expect(partial === buffer).toBe(!model.havingPtRegs);
    for (let n = 0; n < model.argumentRegisters.length; n++) expect(partial.kernelArgument(n)).toBe(regs.argument(n));
    expect([partial.stackPointer, partial.instructionPointer]).toEqual([regs.stackPointer, regs.instructionPointer]);
    if (name === 'arm64')
      expect([partial.get('pstate'), partial.get('x9'), partial.get('x28')]).toEqual([5n, WORD, WORD]);
    if (name === 'riscv64') expect([partial.get('status'), partial.get('s1')]).toEqual([WORD, WORD]);
    if (name === 'x86_64') {
      expect([regs.record.get('cs'), regs.record.get('flags') & 2n]).toEqual([0x10n, 2n]);
      expect(regs.fullRegs()).not.toBeNull();
    }
  });

  test('partialRegsUpdate takes ip and return value back', () => {
    const regs = filled(model);
    const fourth = regs.argument(3);
    const partial = regs.partialRegs();
    partial.instructionPointer = 0x1234n;
    partial.setReturnValue(77n);
    partial.set(model.argumentRegisters[3]!, 99n);
    regs.partialRegsUpdate(partial);
    expect([regs.instructionPointer, regs.returnValue()]).toEqual([0x1234n, 77n]);
    expect(regs.argument(3)).toBe(model.havingPtRegs ? 99n : fourth);
  });

  test('fillPerfRegs is enough to walk the stack and never user mode', () => {
    const regs = filled(model);
    for (const filledIn of [regs.fillPerfRegs(), regs.fetchCallerRegs(new PtRegs(model))]) {
      expect(filledIn.userMode).toBe(false);
      expect(filledIn.instructionPointer).toBe(regs.instructionPointer);
      expect(filledIn.stackPointer).toBe(regs.stackPointer);
    }
    expect(regs.record.get(model.argumentRegisters[1]!)).toBe(regs.argument(1));
  });

  test('user mode', () => {
    const { field } = model.userMode;
    const [user, kernel] = {
      x86_64: [0x33n, 0x10n],
      arm64: [0n, 5n],
      riscv64: [0n, 0x100n],
      loongarch64: [3n, 1n],
      powerpc64: [0x4000n, 0x8000_0000_0000_1033n],
      s390x: [0x0001_0000_0000_0000n, 0n],
    }[name];
    const regs = new PtRegs(model);
    regs.set(field, user!);
    expect(regs.userMode).toBe(true);
    regs.set(field, kernel!);
    expect(regs.userMode).toBe(false);
  });

  test('overrideReturn goes to the return address, or to a function that only returns', () => {
    const regs = filled(model);
    const parent = regs.returnAddress;
    expect(parent).toBe(name === 'x86_64' ? 1000n : regs.record.get(model.returnField!));
    regs.overrideReturn();
    expect(regs.instructionPointer).toBe(name === 'x86_64' ? model.addresses.trampolines + 0x40n : parent);
  });

  test('register names and numbers are one another', () => {
    for (const [register, number] of model.registerNames) {
      expect(queryRegisterOffset(model, register)).toBe(number);
      expect(model.registerNames.get(queryRegisterName(model, number)!)).toBe(number);
    }
    for (const wrong of ['rax', 'X0', '', ' r1', 'r16x', 'nosuch', 'toString', 'r-1']) {
      expect(() => queryRegisterOffset(model, wrong), wrong).toThrow(expect.objectContaining({ code: 'EINVAL' }));
    }
    expect(queryRegisterName(model, 3)).toBe(name === 's390x' ? 'r3' : undefined);
  });

  test('reading by number', () => {
    const regs = new PtRegs(model);
    const register = model.argumentRegisters[0]!;
    regs.set(register, 42n);
    expect(regs.register(queryRegisterOffset(model, register))).toBe(42n);
    expect([regs.register(model.ptRegs.size), regs.register(-8), regs.register(1.5)]).toEqual([0n, 0n, 0n]);
    expect(() => regs.get('nosuch')).toThrow("there is no register 'nosuch'");
  });
});

test('numbers of registers on s390x', () => {
  const { s390x } = CPUS;
  expect(['r0', 'r15', 'r007'].map((name) => queryRegisterOffset(s390x, name))).toEqual([0, 15, 7]);
  expect(() => queryRegisterOffset(s390x, 'r16')).toThrow(expect.objectContaining({ code: 'EINVAL' }));
});

test('names that are two for one register', () => {
  const { arm64, powerpc64, loongarch64 } = CPUS;
  expect([queryRegisterOffset(arm64, 'lr'), queryRegisterOffset(arm64, 'x30')]).toEqual([240, 240]);
  expect([queryRegisterOffset(powerpc64, 'r31'), queryRegisterOffset(powerpc64, 'gpr31')]).toEqual([248, 248]);
  expect(arm64.fregsNames!.get('lr')).toBe(88);
  expect(() => queryRegisterOffset(loongarch64, 'a0')).toThrow();
});
