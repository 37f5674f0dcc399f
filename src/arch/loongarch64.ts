// loongarch64 (spec/arch.md §6). The first instruction of a site copies ra to t0, the second is the call; what is recorded is the
// address of the first.
//
// Not built as in the original: its `fill_perf_regs` does nothing, ours sets what `fetch_caller_regs` sets; its accessor of the
// return address dereferences ra, ours reads it; its identity of a return slot is the address of a field of the record, ours the
// stack pointer at entry. Every record claims to be a full set of registers, and most fields of it are stale, as there.

import { type CpuModel, namesOf, numbered, record } from './arch.ts';

const CSRS = 'csr_era csr_badvaddr csr_crmd csr_prmd csr_euen csr_ecfg csr_estat';
const ptRegs = record(320, [[0, `${numbered('r', 0, 31)} orig_a0 ${CSRS}`]]);

const ARGUMENTS = numbered('r', 4, 11).split(' ');
const SAVED = [...ARGUMENTS, 'r22'];

export const loongarch64: CpuModel = {
  name: 'loongarch64',
  bigEndian: false,
  ptRegs,
  fregs: ptRegs,
  havingPtRegs: true,

  argumentRegisters: ARGUMENTS,
  stackArguments: 0,
  returnRegisters: ['r4', 'r5'],
  stackPointer: 'r3',
  framePointer: 'r22',
  instructionPointer: 'csr_era',

  link: { register: 'r1' },
  returnField: 'r1',
  siteRegisters: { parent: 'r12', resume: 'r1' },
  retp: 'stackPointer',
  framePointerTest: false,
  entryFramePointer: null,

  resume: 8,
  callBytes: 8, // two instructions, of which the second is patched
  codeAlign: 4,
  siteForms: [{ name: 'move, bl', offset: 0 }],
  addressTop: null,

  entry: { saves: SAVED, sets: { r13: 0n }, restores: SAVED, frame: 0 },
  fullEntry: {
    saves: [...SAVED, 'r2', 'r12', ...numbered('r', 14, 21).split(' '), ...numbered('r', 23, 31).split(' ')],
    sets: { r0: 0n, r13: 0n },
    restores: SAVED,
    frame: 0,
  },
  exit: {
    saves: ['r4', 'r5'],
    sets: { r22: 0n },
    restores: ['r4', 'r5'],
    frame: 0,
    stackPointer: null,
    framePointer: null,
    keeps: null,
  },
  directSlot: 'r13',
  callOps: false,

  clobbered: ['r1', ...numbered('r', 4, 20).split(' ')],
  frame: { size: 64, chainAt: -16, linkAt: -8, chain: 'r22', chainValue: 0 },

  full: 'always',
  userMode: { field: 'csr_prmd', mask: 3n, bits: 'all' },
  partial: { copies: [], sets: {}, ors: {} },
  perf: { copies: ['csr_era', 'r3'], sets: {} },

  threadSize: 16384,
  addresses: { trampolines: 0x9000_0000_ff00_0000n, stacks: 0x9000_0001_0000_0000n },
  registerNames: namesOf(ptRegs, `${numbered('r', 0, 31)} orig_a0 ${CSRS}`),
  fregsNames: null,
};
