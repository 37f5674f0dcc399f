// arm64 (spec/arch.md §4). The call site first copies the link register to x9, so that the call that follows loses nothing. The
// record is small and its own; a full set of registers is never to be had.

import { type CpuModel, namesOf, numbered, record } from './arch.ts';

const ptRegs = record(320, [
  [0, numbered('x', 0, 30)],
  [248, 'sp pc pstate orig_x0'],
  [280, 'syscallno pmr', 4],
  [288, 'sdei_ttbr1 frame_fp frame_lr frame_type'],
]);
const fregs = record(112, [[0, `${numbered('x', 0, 8)} direct x29 x30 sp pc`]]);

const EL1H = 5n;
const X0_TO_X7 = numbered('x', 0, 7).split(' ');
const X0_TO_X8 = [...X0_TO_X7, 'x8'];
const LR = 'x30';

export const arm64: CpuModel = {
  name: 'arm64',
  bigEndian: false,
  ptRegs,
  fregs,
  havingPtRegs: false,

  argumentRegisters: X0_TO_X7,
  stackArguments: null,
  returnRegisters: ['x0', 'x1'],
  stackPointer: 'sp',
  framePointer: 'x29',
  instructionPointer: 'pc',

  link: { register: LR },
  returnField: LR,
  siteRegisters: { parent: 'x9', resume: LR },
  retp: 'framePointer',
  framePointerTest: true,
  entryFramePointer: 'x29',

  resume: 4,
  callBytes: 4,
  codeAlign: 4,
  siteForms: [
    { name: 'no BTI', offset: 4 },
    { name: 'BTI', offset: 8 },
  ],
  addressTop: 0b1111,

  entry: {
    saves: [...X0_TO_X8, 'x29'],
    sets: { direct: 0n },
    restores: [...X0_TO_X8, 'x29'],
    frame: 32, // two frame records
  },
  fullEntry: null,
  exit: {
    saves: [...X0_TO_X7, 'x29'],
    sets: {},
    restores: X0_TO_X7,
    frame: 0,
    stackPointer: null,
    framePointer: 'x29',
    keeps: null,
  },
  directSlot: 'direct',
  callOps: true,

  clobbered: [...numbered('x', 0, 17).split(' '), LR],
  frame: { size: 64, chainAt: -64, linkAt: -56, chain: 'x29', chainValue: -64 },

  full: 'never',
  userMode: { field: 'pstate', mask: 15n, bits: 'none' },
  partial: { copies: [...X0_TO_X8, 'sp', 'pc', 'x29', LR], sets: { pstate: EL1H }, ors: {} },
  perf: { copies: ['pc', 'x29', 'sp'], sets: { pstate: EL1H } },

  threadSize: 16384,
  addresses: { trampolines: 0xffff_8000_ff00_0000n, stacks: 0xffff_8000_8000_0000n },
  registerNames: new Map([...namesOf(ptRegs, `${numbered('x', 0, 30)} sp pc pstate`), ['lr', 240]]),
  fregsNames: new Map([...namesOf(fregs, `${numbered('x', 0, 8)} x29 x30 sp pc`), ['lr', 88]]),
};
