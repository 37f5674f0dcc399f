// The engine's side of a machine: what it was given to know the CPU by, the tasks, operations one by one or as a program, and whatever
// the engine has gone on to by itself meanwhile.

import * as engineLayout from '../../assembly/layout.ts';
import * as layout from '../../assembly/machine-layout.ts';
import { type Engine, EngineError } from '../engine.ts';
import { FunctionCallback, type Handlers } from '../handlers.ts';
import { CONTEXT_FLAGS } from '../interrupts.ts';
import type { MachineExports } from '../machine-module.ts';
import type { Task, Tasks } from '../tasks.ts';
import { describe } from './machine-description.ts';
import type { MachinePlan } from './machine-options.ts';
import { type MachineProgram, ProgramError } from './machine-program.ts';
import { type CpuContext, MachineTask } from './machine-task.ts';

const TASKS_MAX = 1024;

/// What a machine needs of its tracer.
export interface MachineHost {
  readonly engine: Engine;
  readonly tasks: Tasks;
  readonly handlers: Handlers;
  /// Where programs run: `machine.wasm` on this engine's memory.
  readonly machineModule: { readonly exports: MachineExports };
}

export class MachineCpu {
  readonly tasks: MachineTask[] = [];
  /// Of the first site; the others follow it.
  readonly firstSite: number;
  readonly #host: MachineHost;
  readonly #exports: MachineExports;
  readonly #context: CpuContext;
  readonly #stackWords: number;
  /// Room for one operation with its arguments.
  readonly #step: number;
  #current: MachineTask;
  /// Sections of programs that are open, and whether an interrupt that keeps others out is.
  #irqsOff = 0;
  #preemptionOff = 0;
  #isInIrq = false;

  /// Makes the sites and the first task. Throws what `Tracer.createTask` throws, ENOMEM; nothing is left behind then.
  constructor(host: MachineHost, { model, sites, task: first, stackWords, isFull, poison }: MachinePlan) {
    const { engine } = host;
    this.#exports = host.machineModule.exports;
    // The last that can be refused for what was asked. From here on only memory can be missing, and sites, which cannot be given
    // back, come after all else.
    const task = host.tasks.create({ comm: first.comm, pid: first.pid, stackWords });
    this.#host = host;
    this.#stackWords = stackWords;
    this.firstSite = engine.memory.siteCount();
    const blocks: number[] = [];
    try {
      const address = describe(engine, model, {
        firstSite: this.firstSite,
        returns: sites.map(({ returns }) => returns),
        poison,
        full: isFull,
        tasksMax: TASKS_MAX,
      });
      blocks.push(address);
      this.#context = { engine, model, address, stackSize: model.threadSize };
      this.#step = engine.allocateBlock((1 + layout.MACHINE_ARGUMENTS_MAX) * 8);
      blocks.push(this.#step);
      this.#current = this.#adopt(task, first.cpu, blocks);
      if (sites.length > 0) engine.addSites(sites.length);
    } catch (error) {
      for (const block of blocks) engine.exports.block_free(block);
      task.exit();
      throw error;
    }
    engine.memory.store32(
      this.#context.address + layout.MACHINE_HANDLER,
      host.handlers.add(new FunctionCallback(this.#tell)),
    );
    sites.forEach(({ ip }, k) => {
      engine.exports.site_set_ip(this.firstSite + k, Number(ip & 0xffff_ffffn), Number(ip >> 32n));
    });
  }

  // ---- tasks

  /// The one that runs.
  get current(): MachineTask {
    return this.#current;
  }

  createTask(comm: string | undefined, pid: number | undefined, cpu: number): MachineTask {
    if (this.tasks.length === TASKS_MAX) throw new EngineError('ENOSPC', `a machine has at most ${TASKS_MAX} tasks`);
    const task = this.#host.tasks.create({ comm, pid, stackWords: this.#stackWords });
    try {
      return this.#adopt(task, cpu, []);
    } catch (error) {
      task.exit();
      throw error;
    }
  }

  #adopt(task: Task, cpu: number, blocks: number[]): MachineTask {
    task.cpu = cpu;
    const made = new MachineTask(this.#context, task, this.tasks.length, cpu, this.tasks[0]?.clock, blocks);
    this.tasks.push(made);
    return made;
  }

  switchTo(task: MachineTask): void {
    this.do(layout.OP_SWITCH, task.index, [], `the switch to ${task.comm}-${task.pid}`);
    this.follow();
  }

  /// Calls `run` with the task that runs here as the tracer's.
  inside<Result>(run: () => Result): Result {
    const { tasks } = this.#host;
    const before = tasks.switchTo(this.#current.task);
    try {
      return run();
    } finally {
      if (before.alive) tasks.switchTo(before);
    }
  }

  // ---- operations

  /// One operation. Throws when it cannot be done; nothing has changed then, unless the message says otherwise.
  do(operation: number, operand: number, words: readonly bigint[], what: string): void {
    const { engine } = this.#host;
    const { u64 } = engine.memory;
    u64[this.#step >>> 3] = BigInt(operation | (words.length << 8)) | (BigInt(operand) << 32n);
    words.forEach((word, k) => {
      u64[(this.#step >>> 3) + 1 + k] = word;
    });
    const error = this.#exports.machine_run(this.#context.address, this.#step, 1 + words.length, 0);
    if (error < 0) throw failure(-error, what, this.#current, engine);
  }

  /// Leaves calls and interrupts of `task` without returning until `depth` of them are left.
  unwindTo(task: MachineTask, depth: number): void {
    const before = this.#current;
    if (before !== task) this.switchTo(task);
    if (task.depth > depth) this.do(layout.OP_UNWIND, task.depth - depth, [], 'unwinding');
    if (before !== task) this.switchTo(before);
  }

  /// Runs a program `times` times; 0: once, and it may leave calls, interrupts and sections open.
  run(program: MachineProgram, times: number): void {
    const irqs = this.#irqsOff;
    const preemption = this.#preemptionOff;
    const { engine } = this.#host;
    const address = engine.allocateBlock(Math.max(program.words.byteLength, 8));
    try {
      engine.memory.u64.set(program.words, address >>> 3);
      this.inside(() => {
        const error = this.#exports.machine_run(this.#context.address, address, program.words.length, times);
        this.follow();
        if (error < 0) {
          throw new ProgramError(
            -error,
            engine.memory.load32(this.#context.address + layout.MACHINE_POSITION),
            program,
          );
        }
      });
    } finally {
      engine.exports.block_free(address);
    }
    if (times > 0 && (this.#irqsOff !== irqs || this.#preemptionOff !== preemption)) {
      throw new ProgramError(layout.ECHILD, program.length, program);
    }
  }

  /// What the engine tells of operations in the middle of a program. Returns an error's number, or 0.
  readonly #tell = (operation: number, operand: number): number => {
    const { interrupts } = this.#host.tasks;
    switch (operation) {
      case layout.OP_IRQS:
      case layout.OP_PREEMPTION: {
        const isIrqs = operation === layout.OP_IRQS;
        const change = operand === 1 ? 1 : -1;
        if (operand > 1 || (isIrqs ? this.#irqsOff : this.#preemptionOff) + change < 0) return engineLayout.EINVAL;
        if (isIrqs) this.#irqsOff += change;
        else this.#preemptionOff += change;
        interrupts.change(isIrqs ? change : 0, isIrqs ? 0 : change);
        return 0;
      }
      case layout.OP_WAKE: {
        const task = this.tasks[operand];
        if (!task || task.index === this.#running) return engineLayout.EINVAL;
        interrupts.woken(task.task);
        return 0;
      }
      default:
        this.follow();
        return 0;
    }
  };

  /// Index of the task that runs, as the engine has it.
  get #running(): number {
    return this.#host.engine.memory.load32(this.#context.address + layout.MACHINE_CURRENT);
  }

  /// Takes over which task runs and in which context, where the engine has gone on by itself.
  follow(): void {
    const { tasks } = this.#host;
    this.#current = this.tasks[this.#running]!;
    tasks.follow(this.#current.task);
    const contexts = this.#current.contexts();
    tasks.interrupts.follow(
      contexts[0]!,
      contexts.reduce((flags, context) => flags | CONTEXT_FLAGS[context]!, 0),
    );
    const wasInIrq = this.#isInIrq;
    this.#isInIrq = this.tasks.some(({ isInIrq }) => isInIrq);
    tasks.interrupts.change(Number(this.#isInIrq) - Number(wasInIrq), 0);
  }

  /// Unwinds whatever runs on any task and ends open sections; the first task is the current one then. Throws EBUSY while a
  /// handler runs.
  reset(): void {
    const { engine, tasks } = this.#host;
    for (const task of this.tasks) {
      if (engine.memory.load32(task.task.address + engineLayout.TASK_RECURSION) !== 0) {
        throw new EngineError('EBUSY', 'reset: a handler of the machine runs');
      }
    }
    engine.memory.store32(this.#context.address + layout.MACHINE_RUNNING, 0);
    this.inside(() => {
      for (const task of this.tasks) {
        if (task.depth > 0) this.unwindTo(task, 0);
        task.reset();
      }
      this.do(layout.OP_SWITCH, 0, [], 'reset');
      this.follow();
      tasks.interrupts.change(-this.#irqsOff, -this.#preemptionOff);
    });
    this.#irqsOff = this.#preemptionOff = 0;
  }
}

function failure(error: number, what: string, task: MachineTask, engine: Engine): EngineError {
  const where = `${what} on task ${task.comm}-${task.pid}, ${task.depth} deep`;
  switch (error) {
    case layout.EOVERFLOW:
      return new EngineError('EOVERFLOW', `${where}: no room on its stack of ${task.stackSize} bytes`);
    case layout.ECHILD:
      return new EngineError('ECHILD', `${where}: no function or interrupt to end`);
    case layout.EFAULT: {
      const why = engine.isDead
        ? 'the shadow stack does not fit the frame that returns; the engine stopped tracing for good'
        : 'it did not come back to its caller';
      return new EngineError('EFAULT', `${where}: ${why}`);
    }
    default:
      return new EngineError('EINVAL', `${where}: not possible now`);
  }
}
