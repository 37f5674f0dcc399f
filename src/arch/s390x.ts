// s390x (spec/arch.md §8): big-endian, five argument registers, and an exit trampoline that takes the return value from its own
// frame, so that a new one in the record is lost. The lookup of a register's name returns its number.

import { type CpuModel, numbered, record } from './arch.ts';

const ptRegs = record(200, [
  [0, `args0 psw_mask psw_addr ${numbered('r', 0, 15)} orig_gpr2`],
  [160, 'int_code int_parm', 4],
  [168, 'int_parm_long flags last_break'],
  [192, 'cpu', 4],
  [196, 'percpu_register', 1],
]);

const REGISTERS = 16;
/// Bit of `flags`: the record is a full set of registers.
const FLAG_FULL = 16n;
const USER_PSW = 0x0001_0000_0000_0000n;
/// Every frame begins with it: the register save area of whoever is called.
const STANDARD_FRAME = 160;
const R2_TO_R13 = numbered('r', 2, 13).split(' ');

export const s390x: CpuModel = {
  name: 's390x',
  bigEndian: true,
  ptRegs,
  fregs: ptRegs,
  havingPtRegs: true,

  argumentRegisters: numbered('r', 2, 6).split(' '),
  stackArguments: STANDARD_FRAME,
  returnRegisters: ['r2', 'r3'],
  stackPointer: 'r15',
  framePointer: 'r15',
  instructionPointer: 'psw_addr',

  link: { register: 'r14' },
  returnField: 'r14',
  siteRegisters: { parent: 'r14', resume: 'r0' },
  retp: 'stackPointer',
  framePointerTest: false,
  entryFramePointer: null,

  resume: 6,
  callBytes: 6,
  codeAlign: 2,
  siteForms: [{ name: 'brcl', offset: 0 }],
  addressTop: 0b0000,

  entry: {
    saves: R2_TO_R13,
    sets: { orig_gpr2: 0n, flags: 0n },
    restores: R2_TO_R13,
    frame: STANDARD_FRAME + 24,
  },
  fullEntry: {
    saves: [...R2_TO_R13, 'psw_mask'],
    sets: { orig_gpr2: 0n, flags: FLAG_FULL },
    restores: R2_TO_R13,
    frame: STANDARD_FRAME + 24,
  },
  exit: {
    saves: ['r2'],
    sets: {},
    restores: [],
    frame: STANDARD_FRAME,
    stackPointer: 0,
    framePointer: 'r15',
    keeps: { registers: ['r2', 'r3', 'r4', 'r5'], at: 32 },
  },
  directSlot: 'orig_gpr2',
  callOps: false,

  clobbered: ['r0', 'r1', 'r2', 'r3', 'r4', 'r5', 'r14'],
  frame: {
    size: STANDARD_FRAME + 56,
    chainAt: -STANDARD_FRAME - 56,
    linkAt: 112,
    chain: 'r15',
    chainValue: -STANDARD_FRAME - 56,
  },

  full: { field: 'flags', mask: FLAG_FULL },
  userMode: { field: 'psw_mask', mask: USER_PSW, bits: 'any' },
  partial: { copies: [], sets: {}, ors: {} },
  perf: { copies: ['psw_addr', 'r15'], sets: { psw_mask: 0n } },

  threadSize: 16384,
  addresses: { trampolines: 0x0000_03ff_ff00_0000n, stacks: 0x0000_0380_0000_0000n },
  registerNames: new Map(Array.from({ length: REGISTERS }, (_, n) => [`r${n}`, n])),
  // The kernel parses what follows the r as a decimal number, so leading zeros pass.
  otherName(name) {
    const number = /^r\d+$/.test(name) ? Number(name.slice(1)) : REGISTERS;
    return number < REGISTERS ? number : undefined;
  },
  numberedField: (number) => `r${number}`,
  fregsNames: null,
};
