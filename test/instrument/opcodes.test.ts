// The opcode table against wabt's: every name it knows is assembled by wabt, and must come out as the code that our table
// gives it, with immediates of the length that our kinds give them.

import { describe, expect, test } from 'vitest';
import { instrument, readModule } from '../../src/instrument/index.ts';
import * as op from '../../src/instrument/opcodes.ts';
import { complaint, wat, watGc } from './support.ts';

const PREFIXES = [op.PREFIX_GC, op.PREFIX_MISC, op.PREFIX_SIMD, op.PREFIX_ATOMIC];

// Text of immediates by kind, for what can be written after `unreachable` without more ado.
const IMMEDIATES: Record<number, string> = {
  [op.IMM_NONE]: '',
  [op.IMM_RETURN]: '',
  [op.IMM_LOCAL]: '0',
  [op.IMM_GLOBAL]: '0',
  [op.IMM_I32]: '-123456',
  [op.IMM_I64]: '-12345678912345',
  [op.IMM_F32]: '1.5',
  [op.IMM_F64]: '1.5',
  [op.IMM_MEMARG]: 'offset=1000',
  [op.IMM_MEMARG_LANE]: 'offset=1000 0',
  [op.IMM_LANE]: '0',
  [op.IMM_FUNC]: '0',
  [op.IMM_REF_FUNC]: '0',
  [op.IMM_LABEL]: '0',
  [op.IMM_BR_TABLE]: '0 0 0',
  [op.IMM_CALL_INDIRECT]: '(type 0)',
  [op.IMM_CALL_REF]: '0',
  [op.IMM_TAG]: '0',
  [op.IMM_TABLE]: '0',
  [op.IMM_TABLE_2]: '0 0',
  [op.IMM_MEMORY]: '',
  [op.IMM_MEMORY_2]: '',
  [op.IMM_DATA]: '0',
  [op.IMM_DATA_MEMORY]: '0',
  [op.IMM_ELEM]: '0',
  [op.IMM_ELEM_TABLE]: '0',
  [op.IMM_TYPES]: '(result i32)',
  [op.IMM_HEAP]: 'func',
  [op.IMM_BYTE]: '',
};

const SPECIAL: Record<string, string> = {
  'v128.const': 'v128.const i32x4 1 2 3 4',
  'i8x16.shuffle': `i8x16.shuffle ${Array.from({ length: 16 }, (_, i) => i).join(' ')}`,
};

function modulOf(instruction: string): Uint8Array {
  return wat(`(module
    (type (func))
    (memory 1) (table 1 funcref) (global (mut i32) (i32.const 0)) (tag)
    (func (type 0) (local i32) unreachable ${instruction} unreachable)
    (elem func 0) (data "x"))`);
}

function rows(): { name: string; kind: number; code: number[] }[] {
  const found: { name: string; kind: number; code: number[] }[] = [];
  for (let code = 0; code < 256; code++) {
    const kind = op.PLAIN_KINDS[code]!;
    if (kind !== op.IMM_UNKNOWN && kind !== op.IMM_PREFIX)
      found.push({ name: op.opcodeName(code)!, kind, code: [code] });
  }
  for (const prefix of PREFIXES) {
    for (let sub = 0; sub < 512; sub++) {
      const kind = op.prefixedKind(prefix, sub);
      if (kind === op.IMM_UNKNOWN) continue;
      const leb = sub < 128 ? [sub] : [(sub & 0x7f) | 0x80, sub >> 7];
      found.push({ name: op.opcodeName(prefix, sub)!, kind, code: [prefix, ...leb] });
    }
  }
  return found;
}

// Structured, or newer than wabt: each of these occurs in a module of proposals.test.ts.
const ELSEWHERE =
  /^(block|loop|if|else|end|try|catch|catch_all|delegate|rethrow|throw_ref|try_table|(return_)?call_ref|ref\.eq|ref\.as_non_null|br_on_.*|struct\..*|array\..*|ref\.test.*|ref\.cast.*|ref\.i31|i31\..*|any\..*|extern\..*|i64\.(add128|sub128|mul_wide_[su]))$/;

describe('opcode table', () => {
  const table = rows();

  test('has every instruction once, under one name', () => {
    const names = table.filter(({ name }) => name !== 'select').map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    expect(names.every((name) => /^[a-z][a-z0-9_.]*$/.test(name))).toBe(true);
    // MVP 172, sign extension 5, exceptions 8, tail calls and call_ref 4, references and tables 10, GC 31, the 0xfc page 22,
    // SIMD 236, relaxed 20, atomics 67.
    expect(table.length).toBe(575);
  });

  test.each(table.filter(({ name }) => !ELSEWHERE.test(name)))('$name', ({ name, kind, code }) => {
    const bytes = modulOf(SPECIAL[name] ?? `${name} ${IMMEDIATES[kind]}`);
    const { bodyOffsets } = readModule(bytes);
    const at = bodyOffsets[0]! + 4; // one group of locals, `unreachable`
    expect([...bytes.subarray(at, at + code.length)]).toEqual(code);
    // A wrong length would not end at the body's last `end`, or would take a later byte for an instruction.
    const result = instrument(bytes, { validate: false });
    expect(complaint(result.bytes)).toBeUndefined();
  });

  test('says what it does not know', () => {
    const bytes = modulOf('nop');
    const { bodyOffsets } = readModule(bytes);
    const at = bodyOffsets[0]! + 4;
    for (const [code, message] of [
      [[0x27], `wasm: unknown opcode 0x27 at byte ${at}, expected an instruction`],
      [[0xff], `wasm: unknown opcode 0xff at byte ${at}, expected an instruction`],
    ] as const) {
      const broken = bytes.slice();
      broken.set(code, at);
      expect(() => instrument(broken)).toThrow(message);
    }
    for (const [prefix, what] of [
      [0xfb, 'garbage collection'],
      [0xfc, 'conversion or bulk memory'],
      [0xfd, 'SIMD'],
      [0xfe, 'atomic'],
    ] as const) {
      const broken = bytes.slice();
      broken.set([prefix, 0x7f], at);
      const message = `wasm: unknown opcode 0x${prefix.toString(16)} 0x7f at byte ${at}, expected a known ${what} instruction`;
      if (prefix !== 0xfd) expect(() => instrument(broken)).toThrow(message);
    }
  });

  test('GC instructions have the codes that binaryen gives them', () => {
    const bytes = watGc(`(module
      (type $s (struct (field (mut i32)) (field i8)))
      (type $a (array (mut i32)))
      (func (export "f") (param anyref) (result i32)
        (drop (struct.new $s (i32.const 1) (i32.const 2)))
        (drop (ref.cast (ref $s) (local.get 0)))
        (array.len (array.new $a (i32.const 1) (i32.const 2)))))`);
    const code = bytes.join();
    for (const [sub, name] of [
      [0x00, 'struct.new'],
      [0x16, 'ref.cast'],
      [0x0f, 'array.len'],
      [0x06, 'array.new'],
    ] as const) {
      expect(op.opcodeName(0xfb, sub)).toBe(name);
      expect(code).toContain(`251,${sub},`);
    }
  });
});
