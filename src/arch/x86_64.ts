// x86_64 (spec/arch.md §3). The return address is on the stack, and stays there: a redirect writes the stack slot. `cs` says
// whether the record is a full set of registers, since no callback needs it otherwise.

import { type CpuModel, namesOf, record } from './arch.ts';

const NAMES = 'r15 r14 r13 r12 bp bx r11 r10 r9 r8 ax cx dx si di orig_ax ip cs flags sp ss';
const ptRegs = record(168, [[0, NAMES]]);

const KERNEL_CS = 0x10n;
const KERNEL_SS = 0x18n;
/// Bit 1 of the flags is always set.
const FLAGS_FIXED = 2n;
const ARGUMENTS = ['di', 'si', 'dx', 'cx', 'r8', 'r9'];

export const x86_64: CpuModel = {
  name: 'x86_64',
  bigEndian: false,
  ptRegs,
  fregs: ptRegs,
  havingPtRegs: true,

  argumentRegisters: ARGUMENTS,
  stackArguments: 8, // the first word at sp is the return address
  returnRegisters: ['ax', 'dx'],
  stackPointer: 'sp',
  framePointer: 'bp',
  instructionPointer: 'ip',

  link: 'stack',
  returnField: null,
  siteRegisters: null,
  retp: 'stackPointer',
  framePointerTest: false,
  entryFramePointer: null,

  resume: 5,
  callBytes: 5,
  codeAlign: 1,
  siteForms: [
    { name: 'no ENDBR', offset: 0 },
    { name: 'ENDBR64', offset: 4 },
  ],
  addressTop: 0b1111,

  entry: {
    saves: ['ax', 'cx', 'dx', 'si', 'di', 'r8', 'r9', 'bp'],
    sets: { orig_ax: 0n, cs: 0n },
    restores: ['bp', 'r9', 'r8', 'di', 'si', 'dx', 'cx', 'ax'],
    frame: 0,
  },
  fullEntry: {
    saves: ['ax', 'cx', 'dx', 'si', 'di', 'r8', 'r9', 'bp', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15', 'bx', 'flags'],
    sets: { orig_ax: 0n, cs: KERNEL_CS, ss: KERNEL_SS },
    restores: ['bp', 'r9', 'r8', 'di', 'si', 'dx', 'cx', 'ax', 'r15', 'r14', 'r13', 'r12', 'r10', 'bx', 'flags'], // not r11
    frame: 8, // the flags, pushed first
  },
  exit: {
    saves: ['ax', 'dx', 'bp'],
    sets: {},
    restores: ['dx', 'ax'],
    frame: 0,
    stackPointer: 8,
    framePointer: 'bp',
    keeps: null,
  },
  directSlot: 'orig_ax',
  callOps: false,

  clobbered: ['ax', 'cx', 'dx', 'si', 'di', 'r8', 'r9', 'r10', 'r11', 'flags'],
  frame: { size: 56, chainAt: -8, linkAt: 0, chain: 'bp', chainValue: -8 },

  full: { field: 'cs', mask: 0xffff_ffff_ffff_ffffn },
  userMode: { field: 'cs', mask: 3n, bits: 'any' },
  partial: { copies: [], sets: { cs: KERNEL_CS }, ors: { flags: FLAGS_FIXED } },
  perf: { copies: ['ip', 'sp'], sets: { cs: KERNEL_CS, flags: 0n } },

  threadSize: 16384,
  addresses: { trampolines: 0xffff_ffff_ff00_0000n, stacks: 0xffff_c900_0000_0000n },
  registerNames: namesOf(ptRegs, NAMES),
  fregsNames: null,
};
