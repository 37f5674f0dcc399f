// riscv64, built with frame pointers and direct calls (spec/arch.md §5). The call leaves its link in t0, so that ra still holds
// the return address.
//
// Two things of the original are not built. Its identity of a return slot is the address of a field of the record, which is
// gone when an unwinder asks, so that recovery by slot can miss; ours is the stack pointer at entry. And its `fill_perf_regs`
// does nothing, so that a zeroed record claims user mode; ours sets what `fetch_caller_regs` sets.

import { type CpuModel, namesOf, numbered, record } from './arch.ts';

const NAMES = `epc ra sp gp tp t0 t1 t2 s0 s1 ${numbered('a', 0, 7)} ${numbered('s', 2, 11)} ${numbered('t', 3, 6)} status badaddr cause orig_a0`;
const ptRegs = record(288, [[0, NAMES]]);
const fregs = record(112, [
  [0, 'epc ra sp s0 t1'],
  [48, numbered('a', 0, 7)],
]);

const STATUS_SPP = 0x100n;
const A0_TO_A7 = numbered('a', 0, 7).split(' ');

export const riscv64: CpuModel = {
  name: 'riscv64',
  bigEndian: false,
  ptRegs,
  fregs,
  havingPtRegs: false,

  argumentRegisters: A0_TO_A7,
  stackArguments: null,
  returnRegisters: ['a0', 'a1'],
  stackPointer: 'sp',
  framePointer: 's0',
  instructionPointer: 'epc',

  link: { register: 'ra' },
  returnField: 'ra',
  siteRegisters: { parent: 'ra', resume: 't0' },
  retp: 'stackPointer',
  framePointerTest: true,
  entryFramePointer: 's0',

  resume: 4,
  callBytes: 4,
  codeAlign: 2,
  siteForms: [{ name: 'auipc, jalr', offset: 4 }],
  addressTop: 0b1111,

  entry: {
    saves: ['s0', 't1', ...A0_TO_A7],
    sets: { t1: 0n },
    restores: ['s0', 't1', ...A0_TO_A7],
    frame: 0,
  },
  fullEntry: null,
  exit: {
    saves: ['ra', 's0', 'a0', 'a1'],
    sets: {},
    restores: ['ra', 's0', 'a0', 'a1'],
    frame: 0,
    stackPointer: null,
    framePointer: 's0',
    keeps: null,
  },
  directSlot: 't1',
  callOps: true,

  clobbered: ['ra', 't0', 't1', 't2', ...A0_TO_A7, 't3', 't4', 't5', 't6'],
  frame: { size: 64, chainAt: -16, linkAt: -8, chain: 's0', chainValue: 0 },

  full: 'never',
  userMode: { field: 'status', mask: STATUS_SPP, bits: 'none' },
  partial: { copies: [...A0_TO_A7, 'epc', 'ra', 'sp', 's0', 't1'], sets: {}, ors: {} },
  perf: { copies: ['epc', 's0', 'sp'], sets: { status: STATUS_SPP } },

  threadSize: 16384,
  addresses: { trampolines: 0xffff_ffff_8ff0_0000n, stacks: 0xffff_ffc6_0000_0000n },
  registerNames: namesOf(ptRegs, NAMES),
  fregsNames: null,
};
