// The text of `function_graph` → a program that has the same calls, with the same durations, on a machine that has the same
// functions. Traced again it gives back the same text.
//
// What the text does not say is made up so that it cannot be seen: addresses of functions, and the time between a call and the
// next. A call that the text leaves open stays open.

import type { CpuModel } from '../arch/arch.ts';
import { checkModel } from '../arch/index.ts';
import { badType, shown } from '../errors.ts';
import { MachineProgram } from './machine-program.ts';
import type { SymbolOptions } from './machine-symbols.ts';
import { CPU_MAX } from './machine-task.ts';

/// A line that no program can be made of. `line` and `column` count from 1; without a column it is the line as a whole.
export class ReplayError extends Error {
  readonly code = 'EINVAL';
  readonly line: number;
  readonly column: number | undefined;

  constructor(line: number, text: string, expected: string, column?: number) {
    super(
      `line ${line}${column === undefined ? '' : `, column ${column}`}: '${text.length > 80 ? `${text.slice(0, 77)}…` : text}', expected ${expected}`,
    );
    this.name = 'ReplayError';
    this.line = line;
    this.column = column;
  }
}

export interface Replay {
  /// For `Tracer.machine`, in the order of the program's indices.
  readonly symbols: readonly SymbolOptions[];
  readonly program: MachineProgram;
  /// The CPU of the recording.
  readonly cpu: number;
  readonly calls: number;
  /// Calls that the text leaves open.
  readonly open: number;
}

const SYMBOL_SIZE = 0x80;
/// What clocks can read.
const TIME_MAX = 2n ** 53n - 1n;
const COLUMNS =
  /^(?: *\d+\.\d{6} \| {2})?(?: +(?<cpu>\d+)\) )?(?: *\S+-\d+ * \| )?(?: .{5} \| )?(?: {14}\| {2}|[ +!#*@$] (?<whole>\d+)(?:\.(?<part>\d+))? us *\| {2})(?<rest>.*)$/;

interface Step {
  readonly index: number;
  readonly isReturn: boolean;
  /// Of a return: how long the call took, in ns.
  readonly took: bigint;
  /// Position of the line, from 0.
  readonly line: number;
}

/// Reads the text of `trace` with the tracer `function_graph`, of one CPU and one task, with the duration column. Throws
/// `ReplayError` for a line that says something else.
export function readReplay(text: string, model: CpuModel): Replay {
  if (typeof text !== 'string') throw badType(`the text is ${shown(text)}, expected a string`);
  checkModel(model);
  const names = new Map<string, number>();
  const steps: Step[] = [];
  const running: number[] = [];
  let cpu: number | undefined;
  let calls = 0;
  const lines = text.split('\n');
  const fails = (k: number, expected: string, column?: number): never => {
    throw new ReplayError(k + 1, lines[k]!, expected, column);
  };
  lines.forEach((line, k) => {
    const fail = (expected: string, column?: number) => fails(k, expected, column);
    if (line === '' || line.startsWith('#')) return;
    if (/^ -{42}$/.test(line) || / => /.test(line)) fail('the calls of one task; this is a switch to another');
    if (line.startsWith('CPU:')) fail('a recording without losses');
    const groups = COLUMNS.exec(line)?.groups ?? fail('a line of function_graph with the duration column');
    const columnOf = (group: string): number => new RegExp(COLUMNS, 'd').exec(line)!.indices!.groups![group]![0] + 1;
    const on = Number(groups.cpu ?? 0);
    if (on > CPU_MAX) fail(`a CPU from 0 to ${CPU_MAX}`, columnOf('cpu'));
    cpu ??= on;
    if (on !== cpu) fail(`the calls of one CPU, which is ${cpu}`, columnOf('cpu'));
    const took = BigInt(groups.whole ?? 0) * 1000n + BigInt((groups.part ?? '').padEnd(3, '0').slice(0, 3));
    if (took > TIME_MAX) fail('a duration below 2^53 ns', columnOf('whole'));
    const what = groups.rest!.trimStart();
    const depth = (groups.rest!.length - what.length) / 2;
    const call = /^([^\s(]+)\(.*?\)(;| \{)(?: \/\* .* \*\/)?$/.exec(what);
    if (call) {
      if (depth !== running.length)
        fail(`an indent of ${running.length} calls: others are not shown, or another user's`);
      const name = call[1]!;
      const index = names.get(name) ?? names.size;
      names.set(name, index);
      calls++;
      steps.push({ index, isReturn: false, took: 0n, line: k });
      if (call[2] === ';') steps.push({ index, isReturn: true, took, line: k });
      else running.push(index);
    } else if (/^\}(?: \/\* .* \*\/)?$/.test(what)) {
      const index = running.pop() ?? fail('a function that was opened before');
      steps.push({ index, isReturn: true, took, line: k });
    } else {
      fail('a call, a closing brace or nothing');
    }
  });

  // Functions are numbered by their addresses, so in the order of their first calls.
  const base = model.addresses.stacks - 0x1000_0000n;
  const symbols = [...names.keys()].map((name, k) => ({
    name,
    address: base + BigInt(k * SYMBOL_SIZE),
    size: SYMBOL_SIZE,
  }));
  return {
    symbols,
    program: timed(steps, (line) => fails(line, 'times that add up to less than 2^53 ns')),
    cpu: cpu ?? 0,
    calls,
    open: running.length,
  };
}

/// The steps with times: a call takes what the text says, and the time of a function that calls others is spent before it
/// returns.
function timed(steps: readonly Step[], late: (line: number) => never): MachineProgram {
  const program = new MachineProgram();
  const began: bigint[] = [];
  let now = 1000n;
  for (const { index, isReturn, took, line } of steps) {
    if (isReturn) {
      const end = began.pop()! + took;
      if (end > TIME_MAX) late(line);
      if (end > now) program.time(end);
      // A long time was printed with fewer digits, so what was called in it can seem to have taken a little longer.
      now = end > now ? end : now;
      program.return();
    } else {
      program.time(now);
      began.push(now);
      program.call(index);
    }
  }
  return program;
}
