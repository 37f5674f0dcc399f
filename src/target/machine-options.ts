// What a machine is asked to be: its options, checked before anything of it is made.

import { SHADOW_STACK_WORDS } from '../../assembly/layout.ts';
import { MACHINE_ARGUMENTS_MAX } from '../../assembly/machine-layout.ts';
import type { CpuModel } from '../arch/arch.ts';
import { cpuModel } from '../arch/index.ts';
import { badRange, badType, shown } from '../errors.ts';
import { checkBoolean, checkString, checkWord, readArray, readOptions } from '../options.ts';
import { type MachineTypes, readTypes } from './c-types.ts';
import { type MachineSite, machineSites, type SymbolOptions } from './machine-symbols.ts';
import { CPU_MAX } from './machine-task.ts';
import { cParams } from './params.ts';

export interface MachineOptions {
  /// x86_64, arm64, riscv64, loongarch64, powerpc64 or s390x.
  readonly arch: string;
  /// The functions that can be called, in any order. They must not overlap.
  readonly symbols: readonly SymbolOptions[];
  /// Parameters of functions, structures and enumerations, for who prints arguments.
  readonly types?: MachineTypes;
  /// Name, pid and CPU of the first task. Default: the tracer chooses, CPU 0.
  readonly comm?: string;
  readonly pid?: number;
  readonly cpu?: number;
  /// Default: the name of the CPU.
  readonly name?: string;
  /// Bytes of each task's stack, a power of two from 4096 to 2^24. Default 65536; a kernel has 16384.
  readonly stackSize?: number;
  /// Words of each task's shadow stack, as of `Tracer.createTask`. Default 512, the kernel's.
  readonly stackWords?: number;
  /// Which entry trampoline: the one that saves what callbacks may read (default), or the one that saves all registers, where the
  /// CPU has it.
  readonly regs?: 'arguments' | 'full';
  /// Fill what trampolines do not store with a pattern, so that nobody reads it by chance. Default true.
  readonly poison?: boolean;
}

const KNOWN = ['arch', 'symbols', 'types', 'comm', 'pid', 'cpu', 'name', 'stackSize', 'stackWords', 'regs', 'poison'];
const STACK_SIZE = 65536;

/// Options that can be, with defaults in place. `sites` are those of the symbols, in the order of their addresses.
export interface MachinePlan {
  readonly model: CpuModel;
  readonly sites: readonly Omit<MachineSite, 'id'>[];
  readonly name: string;
  readonly types: MachineTypes | undefined;
  readonly task: { readonly comm?: string; readonly pid?: number; readonly cpu: number };
  readonly stackWords: number;
  readonly isFull: boolean;
  readonly poison: boolean;
}

/// Throws TypeError and RangeError for options that cannot be. Name and pid of the task, and the size of shadow stacks, are for
/// whoever makes tasks to check.
export function planMachine(options: MachineOptions): MachinePlan {
  const read = readOptions('machine', options, KNOWN);
  const { arch, symbols, types, comm, pid, cpu = 0, name = arch } = read;
  const { stackSize = STACK_SIZE, stackWords = SHADOW_STACK_WORDS, regs = 'arguments', poison = true } = read;
  const model = cpuModel(arch);
  checkString('name', name);
  checkCpu(cpu);
  if (!Number.isInteger(stackSize) || stackSize < 4096 || stackSize > 2 ** 24 || stackSize & (stackSize - 1)) {
    throw badRange(`stackSize is ${shown(stackSize)}, expected a power of two from 4096 to 2^24`);
  }
  if (regs !== 'arguments' && regs !== 'full') {
    throw badRange(`regs is ${shown(regs)}, expected 'arguments' or 'full'`);
  }
  checkBoolean('poison', poison);
  const placed = machineSites(model, symbols);
  const paramsOf = cParams(readTypes(types === undefined ? {} : types));
  const hasFullRegs = model.fullEntry !== null;
  const sites = placed.map((site) => ({ ...site, params: paramsOf(site.name), hasFullRegs }));
  const task = { comm, pid, cpu };
  return {
    model: { ...model, threadSize: stackSize },
    sites,
    name,
    types,
    task,
    stackWords,
    isFull: regs === 'full',
    poison,
  };
}

export function checkCpu(cpu: unknown): void {
  if (!Number.isInteger(cpu) || (cpu as number) < 0 || (cpu as number) > CPU_MAX) {
    throw badRange(`cpu is ${shown(cpu)}, expected a whole number from 0 to ${CPU_MAX}`);
  }
}

/// The words of a call's arguments. `what` names the call.
export function checkWords(what: string, args: readonly bigint[]): bigint[] {
  const given = readArray(`${what}: the arguments`, args);
  if (!given) throw badType(`${what}: the arguments are ${shown(args)}, expected an array of bigints`);
  if (given.length > MACHINE_ARGUMENTS_MAX) {
    throw badRange(`${what}: ${given.length} arguments, expected at most ${MACHINE_ARGUMENTS_MAX}`);
  }
  return given.map((word, k) => {
    checkWord(`${what}: argument ${k}`, word);
    return BigInt.asUintN(64, word);
  });
}
