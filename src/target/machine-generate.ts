// Programs out of a seed: the same numbers make the same program.

import { MACHINE_ARGUMENTS_MAX } from '../../assembly/machine-layout.ts';
import { badRange, shown } from '../errors.ts';
import { readOptions } from '../options.ts';
import { MachineProgram } from './machine-program.ts';

export interface GenerateOptions {
  /// Functions that are called: the first ones of the machine's. At least 1.
  readonly functions: number;
  /// Calls in all, up to 2^24.
  readonly calls: number;
  /// Most calls on top of one another. Default 16.
  readonly depth?: number;
  /// How likely a function is to call another one before it returns, 0 to 1. Default 0.5.
  readonly nesting?: number;
  /// How likely a call is one of the function that makes it, 0 to 1. Default 0.
  readonly recursion?: number;
  /// How likely a function ends by handing over to another one, 0 to 1. Default 0.
  readonly tailCalls?: number;
  /// Arguments of each call, 0 to 12. Default 2.
  readonly args?: number;
  /// Nanoseconds that pass between two operations, at most; 0: the clock stands. Default 0.
  readonly time?: number;
  /// A 32-bit number. Default 1.
  readonly seed?: number;
}

const WORD_MAX = 2 ** 32 - 1;
const CALLS_MAX = 2 ** 24;
const KNOWN = ['functions', 'calls', 'depth', 'nesting', 'recursion', 'tailCalls', 'args', 'time', 'seed'];

/// A generator of numbers from 0 to 1 (mulberry32).
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/// A balanced program of `calls` calls on one task. Throws RangeError for numbers out of their range.
export function generateProgram(options: GenerateOptions): MachineProgram {
  const read = readOptions('generateProgram', options, KNOWN);
  const { functions, calls, depth = 16, args = 2, time = 0, seed = 1 } = read;
  const { nesting = 0.5, recursion = 0, tailCalls = 0 } = read;
  const whole = {
    functions: [functions, 1, WORD_MAX],
    calls: [calls, 0, CALLS_MAX],
    depth: [depth, 1, WORD_MAX],
    args: [args, 0, MACHINE_ARGUMENTS_MAX],
    time: [time, 0, WORD_MAX],
    seed: [seed, 0, WORD_MAX],
  } as const;
  for (const [name, [value, least, most]] of Object.entries(whole)) {
    if (!Number.isInteger(value) || value < least || value > most)
      throw badRange(`${name} is ${shown(value)}, expected a whole number from ${least} to ${most}`);
  }
  for (const [name, value] of Object.entries({ nesting, recursion, tailCalls })) {
    if (typeof value !== 'number' || !(value >= 0 && value <= 1))
      throw badRange(`${name} is ${shown(value)}, expected 0 to 1`);
  }
  const random = randomNumbers(seed);
  const below = (limit: number): number => Math.floor(random() * limit);
  const word = (): bigint => (BigInt(below(2 ** 32)) << 32n) | BigInt(below(2 ** 32));
  const words = (): bigint[] => Array.from({ length: args }, word);
  const program = new MachineProgram();
  const running: number[] = [];
  let now = 0n;
  const tick = (): void => {
    if (time === 0) return;
    now += BigInt(below(time + 1));
    program.time(now);
  };
  for (let made = 0; made < calls || running.length > 0; ) {
    tick();
    const isRoom = made < calls && running.length < depth;
    if (isRoom && (running.length === 0 || random() < nesting)) {
      const index = running.length > 0 && random() < recursion ? running.at(-1)! : below(functions);
      program.call(index, words());
      running.push(index);
      made++;
    } else if (made < calls && random() < tailCalls) {
      const index = below(functions);
      program.tailCall(index, words());
      running[running.length - 1] = index;
      made++;
    } else {
      program.return(word());
      running.pop();
    }
  }
  return program;
}
