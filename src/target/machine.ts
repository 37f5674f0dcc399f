// The machine: a CPU with tasks, stacks and functions that have no code. Whoever has a machine plays its program: he says which
// function is called with which arguments, and what it returns. Sites, trampolines, records of registers, stack frames and the
// hooking of return addresses are those of the CPU (spec/arch.md); they run in the engine (assembly/machine.ts).
//
// Addresses and registers are bigints. All calls are synchronous.

import * as engineLayout from '../../assembly/layout.ts';
import * as layout from '../../assembly/machine-layout.ts';
import type { CpuModel } from '../arch/arch.ts';
import { cpuModel } from '../arch/index.ts';
import { CpuRegs } from '../cpu-regs.ts';
import { type Engine, EngineError } from '../engine.ts';
import { badRange, badType, shown } from '../errors.ts';
import type { Handlers } from '../handlers.ts';
import { CONTEXT_FLAGS, type Context, contextNumber } from '../interrupts.ts';
import { checkBoolean, checkFunction, checkString, checkWord, readArray, reading, readOptions } from '../options.ts';
import type { AimedRegs } from '../regs.ts';
import type { Task, Tasks } from '../tasks.ts';
import { describe, registerFile } from './machine-description.ts';
import { MachineProgram, ProgramError } from './machine-program.ts';
import { type MachineSite, type MachineSymbol, machineSites, type SymbolOptions } from './machine-symbols.ts';
import { CPU_MAX, type CpuContext, MachineTask } from './machine-task.ts';
import { cParams } from './params.ts';
import type { Target } from './target.ts';

export interface MachineOptions {
  /// x86_64, arm64, riscv64, loongarch64, powerpc64 or s390x.
  readonly arch: string;
  /// The functions that can be called, in any order. They must not overlap.
  readonly symbols: readonly SymbolOptions[];
  /// Parameters of functions, structures and enumerations, in the shape of `oracle/types-7.2.json`; for who prints arguments.
  readonly types?: object;
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
const TASKS_MAX = 1024;
const MAX_WORD = (1n << 64n) - 1n;

/// What a function does: it may call others, and returns its result; without one it returns 0.
export type Body = (machine: Machine) => unknown;
/// What a direct trampoline does before the function goes on. `parent` is the return address as it finds it.
export type DirectCall = (machine: Machine, parent: bigint) => void;

/// What a machine needs of its tracer.
export interface MachineHost {
  readonly engine: Engine;
  readonly tasks: Tasks;
  readonly handlers: Handlers;
}

export class Machine implements Target {
  readonly name: string;
  readonly number: number;
  readonly firstSite: number;
  readonly sites: readonly MachineSite[];
  readonly notrace = [];
  readonly model: CpuModel;
  readonly types: object | undefined;
  readonly regs: AimedRegs;
  readonly #host: MachineHost;
  readonly #context: CpuContext;
  readonly #indexOf = new Map<string, number>();
  readonly #places: Map<string, number>;
  readonly #tasks: MachineTask[] = [];
  readonly #stackWords: number;
  readonly #directs = new Map<bigint, DirectCall>();
  /// Room for one operation with its arguments.
  readonly #step: number;
  #current: MachineTask;
  /// Sections of programs that are open, and whether an interrupt that keeps others out is.
  #irqsOff = 0;
  #preemptionOff = 0;
  #isInIrq = false;

  /// Use `Tracer.machine`.
  constructor(host: MachineHost, number: number, options: MachineOptions) {
    const read = readOptions('machine', options, KNOWN);
    const {
      arch,
      symbols,
      types,
      comm,
      pid,
      stackSize = STACK_SIZE,
      stackWords = engineLayout.SHADOW_STACK_WORDS,
    } = read;
    const { regs = 'arguments', poison = true, name = arch, cpu = 0 } = read;
    const model = cpuModel(arch);
    checkString('name', name);
    checkCpu(cpu);
    if (!Number.isInteger(stackSize) || stackSize < 4096 || stackSize > 2 ** 24 || stackSize & (stackSize - 1)) {
      throw badRange(`stackSize is ${shown(stackSize)}, expected a power of two from 4096 to 2^24`);
    }
    if (regs !== 'arguments' && regs !== 'full')
      throw badRange(`regs is ${shown(regs)}, expected 'arguments' or 'full'`);
    checkBoolean('poison', poison);
    if (types !== undefined && (typeof types !== 'object' || types === null)) {
      throw badType(`types is ${shown(types)}, expected an object`);
    }
    const placed = machineSites(model, symbols);
    const paramsOf = cParams(types ?? {});
    const params = reading('types', () => placed.map(({ name: symbol }) => paramsOf(symbol)));
    const { engine } = host;
    // The last that can be refused for what was asked. From here on only memory can be missing, and sites, which cannot be given
    // back, come after all else.
    const task = host.tasks.create({ comm, pid, stackWords });
    this.#host = host;
    this.#stackWords = stackWords;
    this.name = name;
    this.number = number;
    this.types = types;
    this.model = { ...model, threadSize: stackSize };
    this.firstSite = engine.memory.siteCount();
    const hasFullRegs = this.model.fullEntry !== null;
    this.sites = placed.map((site, k) => ({ ...site, id: this.firstSite + k, params: params[k], hasFullRegs }));
    for (const { index, name: symbol } of this.sites) this.#indexOf.set(symbol, index);
    this.#places = registerFile(model).places;
    this.regs = new CpuRegs(engine.memory, this.model, (at) => this.readWord(at));
    const blocks: number[] = [];
    try {
      const address = describe(engine, model, {
        firstSite: this.firstSite,
        returns: this.sites.map(({ returns }) => returns),
        poison,
        full: regs === 'full',
        tasksMax: TASKS_MAX,
      });
      blocks.push(address);
      this.#context = { engine, model: this.model, address, stackSize };
      this.#step = engine.allocateBlock((1 + layout.MACHINE_ARGUMENTS_MAX) * 8);
      blocks.push(this.#step);
      this.#current = this.#adopt(task, cpu, blocks);
      if (placed.length > 0) engine.addSites(placed.length);
    } catch (error) {
      for (const block of blocks) engine.exports.block_free(block);
      task.exit();
      throw error;
    }
    engine.memory.store32(this.#context.address + layout.MACHINE_HANDLER, host.handlers.add(this.#tell));
    for (const { id, ip } of this.sites) {
      engine.exports.site_set_ip(id, Number(ip & 0xffff_ffffn), Number(ip >> 32n));
    }
  }

  // ---- tasks

  /// A task with a stack of its own. Errors as of `Tracer.createTask`.
  createTask(options: { comm?: string; pid?: number; cpu?: number } = {}): MachineTask {
    const { comm, pid, cpu = 0 } = readOptions('createTask', options, ['comm', 'pid', 'cpu']);
    checkCpu(cpu);
    if (this.#tasks.length === TASKS_MAX) throw new EngineError('ENOSPC', `a machine has at most ${TASKS_MAX} tasks`);
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
    const made = new MachineTask(this.#context, task, this.#tasks.length, cpu, this.#tasks[0]?.clock, blocks);
    this.#tasks.push(made);
    return made;
  }

  /// In the order in which they were made.
  get tasks(): readonly MachineTask[] {
    return this.#tasks;
  }

  /// The one that runs.
  get task(): MachineTask {
    return this.#current;
  }

  /// Lets another task run; the one that ran is blocked until somebody switches back. Returns it.
  switchTo(task: MachineTask): MachineTask {
    this.#check('switchTo', task);
    const before = this.#current;
    this.#do(layout.OP_SWITCH, task.index, [], `the switch to ${task.comm}-${task.pid}`);
    this.#follow();
    return before;
  }

  /// Says that a task of this machine is ready to run: the `wakeup` tracer measures how long it waits. Throws EINVAL for the one
  /// that runs.
  wake(task: MachineTask): void {
    this.#check('wake', task);
    this.#inside(() => this.#do(layout.OP_WAKE, task.index, [], `waking ${task.comm}-${task.pid}`));
  }

  /// Calls `run` with the task that runs here as the tracer's.
  #inside<Result>(run: () => Result): Result {
    const { tasks } = this.#host;
    const before = tasks.switchTo(this.#current.task);
    try {
      return run();
    } finally {
      if (before.alive) tasks.switchTo(before);
    }
  }

  // ---- time

  /// The time in nanoseconds, of all tasks: what clocks read until it is set again. Throws RangeError for what is none, and for a time
  /// before the one that was set last.
  setTime(ns: bigint): void {
    if (typeof ns !== 'bigint') throw badType(`setTime: the time is ${shown(ns)}, expected a bigint of nanoseconds`);
    if (ns < this.time || ns >= 1n << 53n) {
      throw badRange(`setTime: the time is ${ns}, expected ${this.time} (what it is now) to 2^53 - 1`);
    }
    this.#host.engine.memory.view.setBigUint64(this.#current.clock, ns, true);
  }

  get time(): bigint {
    return this.#host.engine.memory.u64[this.#current.clock >>> 3]!;
  }

  // ---- calls

  /// Calls the function `name` from the one that runs, and returns what it returns, as 64 bits. `body` is what it does in between;
  /// without, it returns 0 at once. What `body` throws unwinds the call.
  ///
  /// Throws ENOENT: no such function; EOVERFLOW: no room on the stack; RangeError, TypeError for arguments that are none. Nothing
  /// was called then.
  call(name: string, args: readonly bigint[] = [], body?: Body): bigint {
    const index = this.#index(name);
    const words = checkWords(`call of ${name}`, args);
    if (body !== undefined) checkFunction(`the body of ${name}`, body);
    return this.#inside(() => {
      const task = this.#current;
      this.#do(layout.OP_CALL, index, words, `the call of ${name}`);
      return this.#run(name, task, body);
    });
  }

  /// To be returned by a body: the function that runs hands over to `name`, which returns in its place.
  tailCall(name: string, args: readonly bigint[] = [], body?: Body): bigint {
    const index = this.#index(name);
    const words = checkWords(`tail call of ${name}`, args);
    if (body !== undefined) checkFunction(`the body of ${name}`, body);
    const task = this.#current;
    this.#do(layout.OP_TAIL, index, words, `the tail call of ${name}`);
    return this.#body(name, task, body);
  }

  #run(name: string, task: MachineTask, body: Body | undefined): bigint {
    const { depth } = task;
    try {
      const result = this.#body(name, task, body);
      this.#checkEnd(`the body of ${name}`, task);
      this.#do(layout.OP_RETURN, 0, [BigInt.asUintN(64, result)], `the return of ${name}`);
    } catch (error) {
      this.#unwindTo(task, depth - 1);
      throw error;
    }
    return this.register(this.model.returnRegisters[0]);
  }

  #checkEnd(what: string, task: MachineTask): void {
    if (this.#current === task) return;
    throw new EngineError('EINVAL', `${what} began on task ${task.comm}-${task.pid} and ended on another`);
  }

  #check(what: string, task: MachineTask): void {
    if (MachineTask.is(task) && this.#tasks[task.index] === task) return;
    throw badType(`${what}: expected a task of this machine, got ${shown(task)}`);
  }

  /// What a function does that was entered: nothing when a handler sent execution elsewhere.
  #body(name: string, task: MachineTask, body: Body | undefined): bigint {
    const target = task.takeDirect();
    if (target !== 0n) this.#directs.get(target)?.(this, task.parentOfCall());
    if (task.isSkipped || !body) return 0n;
    const result = body(this);
    if (result !== undefined && typeof result !== 'bigint') {
      throw badType(`the body of ${name} returned ${shown(result)}, expected a bigint or nothing`);
    }
    return result ?? 0n;
  }

  #unwindTo(task: MachineTask, depth: number): void {
    const before = this.#current;
    if (before !== task) this.switchTo(task);
    if (task.depth > depth) this.#do(layout.OP_UNWIND, task.depth - depth, [], 'unwinding');
    if (before !== task) this.switchTo(before);
  }

  /// Runs `body` in an interrupt of the task that runs: of `irq` (with interrupts off), `softirq` or `nmi` context, more urgent
  /// than what it interrupts. Registers are what they were when it ends, however it ends. Throws RangeError for another context,
  /// EINVAL for one that is not more urgent, and for a body that ends on another task.
  interrupt<Result>(context: Context, body: (machine: Machine) => Result): Result {
    const number = contextNumber(context);
    checkFunction('interrupt: what is to run', body);
    return this.#inside(() => {
      const task = this.#current;
      const { depth } = task;
      this.#do(layout.OP_INTERRUPT, number, [], `an interrupt in ${context} context`);
      this.#follow();
      try {
        const result = body(this);
        this.#checkEnd(`the interrupt in ${context} context`, task);
        return result;
      } finally {
        if (this.#current !== task) this.switchTo(task);
        this.#unwindTo(task, depth + 1);
        this.#do(layout.OP_INTERRUPT_END, 0, [], 'the end of an interrupt');
        this.#follow();
      }
    });
  }

  /// Calls `body` with interrupts off, for the tracers `irqsoff` and `preemptirqsoff`.
  withoutIrqs<Result>(body: (machine: Machine) => Result): Result {
    checkFunction('withoutIrqs: what is to run', body);
    return this.#inside(() => this.#host.tasks.interrupts.withoutIrqs(() => body(this)));
  }

  /// Calls `body` with preemption off, for the tracers `preemptoff` and `preemptirqsoff`.
  withoutPreemption<Result>(body: (machine: Machine) => Result): Result {
    checkFunction('withoutPreemption: what is to run', body);
    return this.#inside(() => this.#host.tasks.interrupts.withoutPreemption(() => body(this)));
  }

  /// Runs a program in the engine, without JavaScript on the way; handlers that are JavaScript are called as ever, and the machine
  /// hears of sections and wake-ups. Throws `ProgramError`, with the position, for a program that cannot go on; `reset` makes the
  /// machine usable again.
  run(program: MachineProgram, times = 1): void {
    if (!Number.isInteger(times) || times < 1 || times > 0xffff_ffff) {
      throw badRange(`times is ${shown(times)}, expected 1 or more`);
    }
    const irqs = this.#irqsOff;
    const preemption = this.#preemptionOff;
    this.#execute(program, times);
    if (this.#irqsOff !== irqs || this.#preemptionOff !== preemption) {
      throw new ProgramError(layout.ECHILD, program.length, program);
    }
  }

  /// Runs a program once that may leave calls, interrupts and sections open, or end some that are open; `reset` ends those.
  start(program: MachineProgram): void {
    this.#execute(program, 0);
  }

  #execute(program: MachineProgram, times: number): void {
    if (!MachineProgram.is(program)) throw badType(`the program is ${shown(program)}, expected a MachineProgram`);
    const { engine } = this.#host;
    const address = engine.allocateBlock(Math.max(program.words.byteLength, 8));
    try {
      engine.memory.u64.set(program.words, address >>> 3);
      this.#inside(() => {
        const error = engine.exports.machine_run(this.#context.address, address, program.words.length, times);
        this.#follow();
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
        const task = this.#tasks[operand];
        if (!task || task.index === this.#running) return engineLayout.EINVAL;
        interrupts.woken(task.task);
        return 0;
      }
      default:
        this.#follow();
        return 0;
    }
  };

  /// Index of the task that runs, as the engine has it.
  get #running(): number {
    return this.#host.engine.memory.load32(this.#context.address + layout.MACHINE_CURRENT);
  }

  /// Takes over which task runs and in which context, where the engine has gone on by itself.
  #follow(): void {
    const { tasks } = this.#host;
    this.#current = this.#tasks[this.#running]!;
    tasks.follow(this.#current.task);
    const contexts = this.#current.contexts();
    tasks.interrupts.follow(
      contexts[0]!,
      contexts.reduce((flags, context) => flags | CONTEXT_FLAGS[context]!, 0),
    );
    const wasInIrq = this.#isInIrq;
    this.#isInIrq = this.#tasks.some(({ isInIrq }) => isInIrq);
    tasks.interrupts.change(Number(this.#isInIrq) - Number(wasInIrq), 0);
  }

  /// Unwinds whatever runs on any task and ends open sections; the first task is the current one then. Throws EBUSY while a
  /// handler runs.
  reset(): void {
    const { engine, tasks } = this.#host;
    for (const task of this.#tasks) {
      if (engine.memory.load32(task.task.address + engineLayout.TASK_RECURSION) !== 0) {
        throw new EngineError('EBUSY', 'reset: a handler of the machine runs');
      }
    }
    engine.memory.store32(this.#context.address + layout.MACHINE_RUNNING, 0);
    this.#inside(() => {
      for (const task of this.#tasks) {
        if (task.depth > 0) this.#unwindTo(task, 0);
        task.reset();
      }
      this.#do(layout.OP_SWITCH, 0, [], 'reset');
      this.#follow();
      tasks.interrupts.change(-this.#irqsOff, -this.#preemptionOff);
    });
    this.#irqsOff = this.#preemptionOff = 0;
  }

  // ---- registers and memory of the task that runs

  /// The register with that name (spec/arch.md §11). Throws RangeError for a name that is none.
  register(name: string): bigint {
    return this.#host.engine.memory.u64[this.#register(name) >>> 3]!;
  }

  setRegister(name: string, value: bigint): void {
    const place = this.#register(name);
    checkWord(name, value);
    this.#host.engine.memory.view.setBigUint64(place, BigInt.asUintN(64, value), true);
  }

  /// All registers, by name.
  registers(): Record<string, bigint> {
    return Object.fromEntries(Array.from(this.#places.keys(), (name) => [name, this.register(name)]));
  }

  #register(name: string): number {
    const place = this.#places.get(name);
    if (place === undefined) {
      throw badRange(`${this.model.name} has no register ${shown(name)}, only ${[...this.#places.keys()].join(' ')}`);
    }
    return this.#current.address + layout.CPU_FILE + place;
  }

  /// The word at an address of some task's stack; undefined elsewhere.
  readWord(address: bigint): bigint | undefined {
    for (const task of this.#tasks) {
      const word = task.readWord(address);
      if (word !== undefined) return word;
    }
    return undefined;
  }

  /// Stores a word at an address of some task's stack. Throws RangeError for addresses elsewhere.
  writeWord(address: bigint, value: bigint): void {
    if (!this.#tasks.some((task) => task.writeWord(address, value))) {
      throw badRange(`${hex(address)} is on no stack of ${this.name}`);
    }
  }

  /// Return addresses of the functions that run on the current task, innermost first, as an unwinder finds them: along the
  /// stack frames, with the hook replaced by the address that it stands for (spec/fgraph.md §5). `raw` leaves the hook.
  stackTrace(options: { raw?: boolean } = {}): bigint[] {
    const { raw = false } = readOptions('stackTrace', options, ['raw']);
    checkBoolean('raw', raw);
    return this.#current.unwind(raw);
  }

  /// What is at an address: function and distance; undefined for none.
  symbolAt(address: bigint): { symbol: MachineSymbol; offset: number } | undefined {
    checkWord('the address', address);
    for (const { symbol } of this.sites) {
      const offset = address - symbol.address;
      if (offset >= 0n && offset < BigInt(symbol.size)) return { symbol, offset: Number(offset) };
    }
    return undefined;
  }

  /// What happens when a handler sends an entry to the direct trampoline at `address` (`CpuRegs.setDirect`).
  setDirectCall(address: bigint, call: DirectCall | undefined): void {
    checkWord('the direct trampoline', address);
    if (address <= 0n || address > MAX_WORD)
      throw badRange(`the direct trampoline is at ${hex(address)}, which is none`);
    if (call !== undefined) checkFunction('the direct trampoline', call);
    if (call) this.#directs.set(address, call);
    else this.#directs.delete(address);
  }

  // ---- the contract of targets

  setGates(): void {} // a site is watched when somebody is registered for it
  setWatched(): void {}

  settle(): boolean {
    return true;
  }

  // ---- steps

  #index(name: string): number {
    const index = this.#indexOf.get(name);
    if (index === undefined) throw new EngineError('ENOENT', `${this.name} has no function ${shown(name)}`);
    return index;
  }

  /// One operation. Throws when it cannot be done; nothing has changed then, unless the message says otherwise.
  #do(operation: number, operand: number, words: readonly bigint[], what: string): void {
    const { engine } = this.#host;
    const { u64 } = engine.memory;
    u64[this.#step >>> 3] = BigInt(operation | (words.length << 8)) | (BigInt(operand) << 32n);
    words.forEach((word, k) => {
      u64[(this.#step >>> 3) + 1 + k] = word;
    });
    const error = engine.exports.machine_run(this.#context.address, this.#step, 1 + words.length, 0);
    if (error < 0) throw failure(-error, what, this.#current, engine);
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
      const dead = engine.memory.load32(engineLayout.ABI_DEAD) !== 0;
      const why = dead
        ? 'the shadow stack does not fit the frame that returns; the engine stopped tracing for good'
        : 'it did not come back to its caller';
      return new EngineError('EFAULT', `${where}: ${why}`);
    }
    default:
      return new EngineError('EINVAL', `${where}: not possible now`);
  }
}

function checkCpu(cpu: unknown): void {
  if (!Number.isInteger(cpu) || (cpu as number) < 0 || (cpu as number) > CPU_MAX) {
    throw badRange(`cpu is ${shown(cpu)}, expected a whole number from 0 to ${CPU_MAX}`);
  }
}

const hex = (address: bigint): string => `0x${address.toString(16)}`;

function checkWords(what: string, args: readonly bigint[]): bigint[] {
  const given = readArray(`${what}: the arguments`, args);
  if (!given) throw badType(`${what}: the arguments are ${shown(args)}, expected an array of bigints`);
  const { MACHINE_ARGUMENTS_MAX: max } = layout;
  if (given.length > max) throw badRange(`${what}: ${given.length} arguments, expected at most ${max}`);
  return given.map((word, k) => {
    checkWord(`${what}: argument ${k}`, word);
    return BigInt.asUintN(64, word);
  });
}
