// The tables against sizes and offsets that were written down a second time, from the pages of the specification.

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { record } from '../../src/arch/arch.ts';
import { CPUS, cpuModel } from '../../src/arch/index.ts';

interface Expected {
  'pt_regs fields': string;
  'fregs fields'?: string;
  [fact: string]: unknown;
}

const file = new URL('../fixtures/arch-layouts.json', import.meta.url);
const expected = JSON.parse(readFileSync(file, 'utf8')) as Record<string, Expected>;

function fieldsOf(text: string): { name: string; offset: number; size: number }[] {
  return text.split(', ').map((field) => {
    const [name, offset, size = '8'] = field.split(' ');
    return { name: name!, offset: Number(offset), size: Number(size) };
  });
}

test('there is a table for each CPU that was written down', () => {
  expect(Object.keys(CPUS).sort()).toEqual(Object.keys(expected).sort());
});

describe.each(Object.values(CPUS).map((model) => [model.name, model] as const))('%s', (name, model) => {
  const facts = expected[name]!;

  test('pt_regs', () => {
    expect(model.ptRegs.fields).toEqual(fieldsOf(facts['pt_regs fields']));
    expect(model.ptRegs.size).toBe(facts.pt_regs);
  });

  test('fregs', () => {
    expect(model.fregs.fields).toEqual(fieldsOf(facts['fregs fields'] ?? facts['pt_regs fields']));
    expect(model.fregs.size).toBe(facts.fregs);
    expect(model.havingPtRegs).toBe(facts['embeds pt_regs']);
    if (model.havingPtRegs) expect(model.fregs).toBe(model.ptRegs);
  });

  test('the sizes are the sums of the fields and the gaps that are known', () => {
    const sum = model.ptRegs.fields.reduce((total, { size }) => total + size, 0);
    const padding = { s390x: 3 }[name as string] ?? 0;
    expect(sum + padding).toBe(model.ptRegs.size);
  });

  test('who is who', () => {
    expect(model.argumentRegisters.join(' ')).toBe(facts.arguments);
    expect(model.stackArguments).toBe(facts['stack arguments']);
    expect(model.returnRegisters.join(' ')).toBe(facts.return);
    expect([model.stackPointer, model.framePointer, model.instructionPointer]).toEqual([facts.sp, facts.fp, facts.ip]);
    expect(model.resume).toBe(facts.resume);
    expect(model.directSlot).toBe(facts['direct slot']);
    expect(model.framePointerTest ? 4 : 3).toBe(facts['words per frame']);
    expect(model.fullEntry !== null).toBe(facts['full version']);
    expect(model.link === 'stack' ? 'slot' : model.returnField).toBe(facts.redirect);
    expect(model.retp === 'framePointer' ? 'fp' : 'sp').toBe(facts.retp);
    expect(model.callBytes).toBe(facts['call bytes']);
  });

  test('every name in the table is a field or a register', () => {
    const { entry, fullEntry, exit, partial, perf, fregs, ptRegs } = model;
    const inRecord = [entry, fullEntry, exit].flatMap((t) =>
      t ? [...t.saves, ...Object.keys(t.sets), ...t.restores] : [],
    );
    const registers = [...model.clobbered, ...(exit.keeps?.registers ?? []), model.frame.chain];
    for (const field of [...inRecord, model.directSlot, ...perf.copies])
      expect(fregs.field.has(field), field).toBe(true);
    for (const trampoline of [entry, fullEntry, exit]) {
      for (const register of [...(trampoline?.saves ?? []), ...(trampoline?.restores ?? [])]) registers.push(register);
    }
    registers.push(
      ...partial.copies,
      ...Object.keys(partial.sets),
      ...Object.keys(partial.ors),
      ...Object.keys(perf.sets),
    );
    for (const register of registers) expect(ptRegs.field.has(register), register).toBe(true);
  });

  test('what comes back was saved', () => {
    for (const trampoline of [model.entry, model.fullEntry, model.exit]) {
      if (!trampoline) continue;
      const stored = new Set([...trampoline.saves, ...Object.keys(trampoline.sets)]);
      for (const register of trampoline.restores) expect(stored, register).toContain(register);
    }
  });
});

test('unknown CPUs and contradicting layouts are refused', () => {
  expect(() => cpuModel('mips')).toThrow("arch is 'mips', expected one of x86_64, arm64");
  expect(() => cpuModel('toString')).toThrow(RangeError);
  expect(() =>
    record(16, [
      [0, 'a b'],
      [8, 'c'],
    ]),
  ).toThrow('overlaps');
  expect(() => record(8, [[0, 'a b']])).toThrow('the record at 8');
});
