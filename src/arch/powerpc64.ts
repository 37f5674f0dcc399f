// powerpc64, ELFv2, patchable entry inline (spec/arch.md §7). The site copies LR to r0 first. The stack pointer stands in for the
// frame pointer: frames have a back chain, and the return address is in the caller's frame.

import { type CpuModel, namesOf, numbered, record } from './arch.ts';

const ptRegs = record(384, [
  [
    0,
    `${numbered('r', 0, 31)} nip msr orig_gpr3 ctr link xer ccr softe trap dar dsisr result ppr exit_result kuap iamr`,
  ],
]);

const ARGUMENTS = numbered('r', 3, 10).split(' ');
/// 64-bit, kernel, machine check and translation on, recoverable, little-endian.
const KERNEL_MSR = 0x8000_0000_0000_1033n;
const MSR_PR = 0x4000n;
const GPRS = numbered('r', 0, 31);
const SPECIAL = 'nip msr ctr link xer ccr softe trap dar dsisr';

export const powerpc64: CpuModel = {
  name: 'powerpc64',
  bigEndian: false,
  ptRegs,
  fregs: ptRegs,
  havingPtRegs: true,

  argumentRegisters: ARGUMENTS,
  stackArguments: null,
  returnRegisters: ['r3', 'r4'],
  stackPointer: 'r1',
  framePointer: 'r1',
  instructionPointer: 'nip',

  link: { register: 'link' },
  returnField: 'link',
  siteRegisters: { parent: 'r0', resume: 'link' },
  retp: 'stackPointer',
  framePointerTest: false,
  entryFramePointer: null,

  resume: 4,
  callBytes: 4,
  codeAlign: 4,
  siteForms: [
    { name: 'patchable entry, inline', offset: 4 },
    { name: 'patchable entry, out of line', offset: 0 },
    { name: 'mprofile, with the link stored', offset: 8 },
  ],
  addressTop: 0b1100,

  entry: {
    saves: ['r0', ...ARGUMENTS, 'r14'],
    sets: { msr: 0n, orig_gpr3: 0n },
    restores: [...ARGUMENTS, 'r14'],
    frame: 80, // 32 that stand for the traced function, 48 of header
  },
  fullEntry: {
    saves: ['r0', 'r2', ...ARGUMENTS, ...numbered('r', 11, 31).split(' '), 'msr', 'ccr', 'ctr', 'xer'],
    sets: { orig_gpr3: 0n },
    restores: ['r2', ...ARGUMENTS, 'r14'],
    frame: 80,
  },
  exit: {
    saves: ['r3', 'r4'],
    sets: {},
    restores: ['r3', 'r4'],
    frame: 48,
    stackPointer: 0,
    framePointer: 'r1',
    keeps: null,
  },
  directSlot: 'orig_gpr3',
  callOps: true,

  clobbered: ['r0', ...ARGUMENTS, 'r11', 'r12', 'ctr', 'link', 'xer', 'ccr'],
  frame: { size: 64, chainAt: -64, linkAt: 16, chain: 'r1', chainValue: -64 },

  full: { field: 'msr', mask: 0xffff_ffff_ffff_ffffn },
  userMode: { field: 'msr', mask: MSR_PR, bits: 'any' },
  partial: { copies: [], sets: {}, ors: {} },
  perf: { copies: ['nip', 'r1'], sets: { result: 0n, msr: KERNEL_MSR } },

  threadSize: 16384,
  addresses: { trampolines: 0xc000_0000_ff00_0000n, stacks: 0xc000_0001_0000_0000n },
  registerNames: new Map([
    ...namesOf(ptRegs, `${GPRS} ${SPECIAL}`),
    ...Array.from(namesOf(ptRegs, GPRS), ([name, offset]) => [`gp${name}`, offset] as const),
  ]),
  fregsNames: null,
};
