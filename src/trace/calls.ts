// The calls in a recording of the function graph: what the `function` tracer would have written (spec/fgraph.md §13).
//
// A recorder of entries and returns knows the caller of every call: the innermost frame of the same task that is still open.
//
//   main {  parse {  next();  }  }      →      main <-[host]   parse <-main   next <-parse
//
// Where events were lost the frames below are not known either, until they return; a call from one of them has the parent
// `UNKNOWN`. A call's depth is always right, so the stack is put right at every event.

import { ENTRY, LOST, RETURN, type TraceEvent, UNWOUND } from './events.ts';
import { FunctionEvent } from './function-text.ts';

/// The parent of a call whose caller's entry was lost. No site has this number.
export const UNKNOWN = -1;

export interface CallOptions {
  /// Calls of the same function from the same parent, one after the other on a CPU, are counted: one line before the next call
  /// that differs (`func-no-repeats`).
  readonly noRepeats?: boolean;
  /// After each call the frames that it stands on (`func_stack_trace`).
  readonly stackTrace?: boolean;
}

interface Run {
  func: number;
  parent: number | null;
  repeats: number;
  lastTime: number;
}

const REPEATS_MAX = 65535; // the kernel's counter has 16 bits

/// Turns events of the graph, in time order, into calls.
export class Calls {
  readonly #options: CallOptions;
  readonly #emit: (event: FunctionEvent) => void;
  readonly #event = new FunctionEvent();
  /// By CPU and pid: the function at every depth.
  readonly #stacks = new Map<string, number[]>();
  readonly #runs = new Map<number, Run>();
  // The stack that was asked for last: events of one task come in long rows.
  #cpu = -1;
  #pid = -1;
  #stack: number[] = [];

  /// `emit` gets one object that is filled anew for every call.
  constructor(options: CallOptions, emit: (event: FunctionEvent) => void) {
    this.#options = options;
    this.#emit = emit;
  }

  push(event: TraceEvent): void {
    const { kind, depth, func } = event;
    if (kind === LOST) this.#stackOf(event.cpu, event.pid).fill(UNKNOWN); // other frames may be at these depths by now
    if (kind !== ENTRY && kind !== RETURN && kind !== UNWOUND) return;
    const stack = this.#stackOf(event.cpu, event.pid);
    while (stack.length < depth) stack.push(UNKNOWN);
    stack.length = depth;
    if (kind !== ENTRY) return;
    const parent = depth === 0 ? null : stack[depth - 1];
    stack.push(func);
    if (this.#options.noRepeats && this.#isRepeat(event, parent)) return;
    this.#fill(event);
    this.#event.func = func;
    this.#event.parent = parent;
    this.#emit(this.#event);
    if (this.#options.stackTrace) {
      this.#event.stack = stack.toReversed();
      this.#emit(this.#event);
    }
  }

  #fill(event: TraceEvent): void {
    const call = this.#event;
    call.cpu = event.cpu;
    call.pid = event.pid;
    call.time = event.time;
    call.flags = event.flags;
    call.preempt = event.preempt;
    call.args = event.args;
    call.repeats = 0;
    call.stack = null;
  }

  // A repeat is only counted. A call that ends a row of repeats is preceded by the line that tells how many there were.
  #isRepeat(event: TraceEvent, parent: number | null): boolean {
    const run = this.#runs.get(event.cpu);
    if (run?.func === event.func && run.parent === parent && run.repeats < REPEATS_MAX) {
      run.repeats++;
      run.lastTime = event.time;
      return true;
    }
    if (run && run.repeats > 0) {
      this.#fill(event);
      this.#event.func = run.func;
      this.#event.parent = run.parent;
      this.#event.repeats = run.repeats;
      this.#event.lastTime = run.lastTime;
      this.#emit(this.#event);
    }
    this.#runs.set(event.cpu, { func: event.func, parent, repeats: 0, lastTime: event.time });
    return false;
  }

  #stackOf(cpu: number, pid: number): number[] {
    if (cpu === this.#cpu && pid === this.#pid) return this.#stack;
    const key = `${cpu} ${pid}`;
    let stack = this.#stacks.get(key);
    if (!stack) {
      stack = [];
      this.#stacks.set(key, stack);
    }
    [this.#cpu, this.#pid, this.#stack] = [cpu, pid, stack];
    return stack;
  }
}
