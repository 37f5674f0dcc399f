// The registers that targets without a CPU hand out: words as the engine was given them, and values where types are known.

import { beforeAll, describe, expect, test } from 'vitest';
import * as layout from '../../assembly/layout.ts';
import { type Engine, loadEngine } from '../../src/engine.ts';
import { AT_EXIT, type Signature, WordRegs } from '../../src/regs.ts';

let engine: Engine;
let regs: WordRegs;
let address = 0;

beforeAll(async () => {
  engine = await loadEngine();
  regs = new WordRegs(engine.memory);
  address = engine.createTask() + layout.TASK_FREGS;
});

function fill(words: readonly bigint[], ip = 0x1_0000_0040): number {
  engine.memory.store64(address + layout.FREGS_IP, ip);
  engine.memory.store32(address + layout.FREGS_COUNT, words.length);
  words.forEach((word, k) => {
    engine.memory.u64[((address + layout.FREGS_WORDS) >>> 3) + k] = word;
  });
  return address;
}

function aim(record: number, isExit: boolean, signature?: Signature): void {
  regs.aim.at = record | (isExit ? AT_EXIT : 0);
  regs.aim.signature = signature;
}

const bitsOf = (value: number): bigint => new BigUint64Array(Float64Array.of(value).buffer)[0]!;

describe('wasm32 registers', () => {
  test('arguments have the types of the signature', () => {
    const params = ['i32', 'v128', 'f64', 'externref', 'i64', 'f32'];
    const words = [0xffff_fffen, 0x11n, 0x22n, bitsOf(-0.5), 0n, 0xffff_ffff_ffff_ffffn, 0x3fc0_0000n];
    aim(fill(words), false, { params, results: [] });
    expect([0, 1, 2, 3, 4, 5, 6].map((n) => regs.argument(n))).toEqual([
      -2,
      (0x22n << 64n) | 0x11n,
      -0.5,
      undefined,
      -1n,
      1.5,
      undefined,
    ]);
    expect(regs.words).toBe(7);
    expect(regs.returnValue()).toBeUndefined();
  });

  test('what was not passed is not there', () => {
    aim(fill([7n]), false, { params: ['i32', 'i32', 'v128'], results: [] });
    expect([0, 1, 2].map((n) => regs.argument(n))).toEqual([7, undefined, undefined]);
  });

  test('without a signature a word is a word', () => {
    aim(fill([0xffff_fffen, 3n]), false);
    expect([0, 1, 2].map((n) => regs.argument(n))).toEqual([0xffff_fffen, 3n, undefined]);
  });

  test('a return value, and no arguments at exit', () => {
    aim(fill([0xffff_fff6n]), true, { params: ['i32'], results: ['i32'] });
    expect([regs.returnValue(), regs.argument(0)]).toEqual([-10, undefined]);
    expect(() => regs.setReturnValue(1n)).toThrow('cannot be changed');
    expect([regs.stackPointer, regs.framePointer, regs.instructionPointer]).toEqual([0, 0, 0x1_0000_0040]);
  });

  test('nothing can be read afterwards', () => {
    aim(fill([1n]), false);
    expect(regs.argument(0)).toBe(1n);
    regs.aim.at = 0;
    expect(() => regs.argument(0)).toThrow('inside of a handler');
    expect(() => regs.returnValue()).toThrow('inside of a handler');
    expect(() => regs.instructionPointer).toThrow('inside of a handler');
  });

  test.each([-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY])('argument %d does not exist', (n) => {
    aim(fill([1n]), false);
    try {
      expect(() => regs.argument(n)).toThrow(RangeError);
    } finally {
    }
  });
});
