// The machine: a CPU with tasks, stacks and functions that have no code. Whoever has a machine plays its program: he says which
// function is called with which arguments, and what it returns. Sites, trampolines, records of registers, stack frames and the
// hooking of return addresses are those of the CPU (spec/arch.md); they run in the engine (assembly/machine.ts).
//
// Addresses and registers are bigints. All calls are synchronous.

import * as layout from '../../assembly/machine-layout.ts';
import type { CpuModel } from '../arch/arch.ts';
import { CpuRegs } from '../cpu-regs.ts';
import { EngineError } from '../engine.ts';
import { badRange, badType, shown } from '../errors.ts';
import { type Context, contextNumber } from '../interrupts.ts';
import { checkBoolean, checkFunction, checkWord, readOptions } from '../options.ts';
import type { AimedRegs } from '../regs.ts';
import { roomToCall, roomToEnd } from '../stack.ts';
import type { MachineTypes } from './c-types.ts';
import { MachineCpu, type MachineHost } from './machine-cpu.ts';
import { registerFile } from './machine-description.ts';
import { checkCpu, checkWords, type MachineOptions, planMachine } from './machine-options.ts';
import { MachineProgram } from './machine-program.ts';
import type { MachineSite, MachineSymbol } from './machine-symbols.ts';
import { MachineTask } from './machine-task.ts';
import type { Target } from './target.ts';

const MAX_WORD = (1n << 64n) - 1n;

/// What a function does: it may call others, and returns its result; without one it returns 0.
export type Body = (machine: Machine) => unknown;
/// What a direct trampoline does before the function goes on. `parent` is the return address as it finds it.
export type DirectCall = (machine: Machine, parent: bigint) => void;

export class Machine implements Target {
  readonly name: string;
  readonly number: number;
  readonly firstSite: number;
  readonly sites: readonly MachineSite[];
  readonly notrace = [];
  readonly model: CpuModel;
  readonly types: MachineTypes | undefined;
  readonly regs: AimedRegs;
  readonly #host: MachineHost;
  readonly #cpu: MachineCpu;
  readonly #indexOf = new Map<string, number>();
  readonly #places: Map<string, number>;
  readonly #directs = new Map<bigint, DirectCall>();

  /// Use `Tracer.machine`.
  constructor(host: MachineHost, number: number, options: MachineOptions) {
    const plan = planMachine(options);
    this.#host = host;
    this.#cpu = new MachineCpu(host, plan);
    this.name = plan.name;
    this.number = number;
    this.types = plan.types;
    this.model = plan.model;
    this.firstSite = this.#cpu.firstSite;
    this.sites = plan.sites.map((site, k) => ({ ...site, id: this.firstSite + k }));
    for (const { index, name } of this.sites) this.#indexOf.set(name, index);
    this.#places = registerFile(plan.model).places;
    this.regs = new CpuRegs(host.engine.memory, plan.model, (at) => this.readWord(at));
  }

  // ---- tasks

  /// A task with a stack of its own. Errors as of `Tracer.createTask`.
  createTask(options: { comm?: string; pid?: number; cpu?: number } = {}): MachineTask {
    const { comm, pid, cpu = 0 } = readOptions('createTask', options, ['comm', 'pid', 'cpu']);
    checkCpu(cpu);
    return this.#cpu.createTask(comm, pid, cpu);
  }

  /// In the order in which they were made.
  get tasks(): readonly MachineTask[] {
    return this.#cpu.tasks;
  }

  /// The one that runs.
  get task(): MachineTask {
    return this.#cpu.current;
  }

  /// Lets another task run; the one that ran is blocked until somebody switches back. Returns it.
  switchTo(task: MachineTask): MachineTask {
    this.#check('switchTo', task);
    roomToCall();
    const before = this.#cpu.current;
    this.#cpu.switchTo(task);
    return before;
  }

  /// Says that a task of this machine is ready to run: the `wakeup` tracer measures how long it waits. Throws EINVAL for the one
  /// that runs.
  wake(task: MachineTask): void {
    this.#check('wake', task);
    roomToCall();
    this.#cpu.inside(() => this.#cpu.do(layout.OP_WAKE, task.index, [], `waking ${task.comm}-${task.pid}`));
  }

  // ---- time

  /// The time in nanoseconds, of all tasks: what clocks read until it is set again. Throws RangeError for what is none, and for a time
  /// before the one that was set last.
  setTime(ns: bigint): void {
    if (typeof ns !== 'bigint') throw badType(`setTime: the time is ${shown(ns)}, expected a bigint of nanoseconds`);
    if (ns < this.time || ns >= 1n << 53n) {
      throw badRange(`setTime: the time is ${ns}, expected ${this.time} (what it is now) to 2^53 - 1`);
    }
    this.#host.engine.memory.view.setBigUint64(this.#cpu.current.clock, ns, true);
  }

  get time(): bigint {
    return this.#host.engine.memory.u64[this.#cpu.current.clock >>> 3]!;
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
    roomToCall();
    return this.#cpu.inside(() => {
      const task = this.#cpu.current;
      this.#cpu.do(layout.OP_CALL, index, words, `the call of ${name}`);
      return this.#run(name, task, body);
    });
  }

  /// To be returned by a body: the function that runs hands over to `name`, which returns in its place.
  tailCall(name: string, args: readonly bigint[] = [], body?: Body): bigint {
    const index = this.#index(name);
    const words = checkWords(`tail call of ${name}`, args);
    if (body !== undefined) checkFunction(`the body of ${name}`, body);
    roomToCall();
    const task = this.#cpu.current;
    this.#cpu.do(layout.OP_TAIL, index, words, `the tail call of ${name}`);
    return this.#body(name, task, body);
  }

  #run(name: string, task: MachineTask, body: Body | undefined): bigint {
    const { depth } = task;
    try {
      const result = this.#body(name, task, body);
      this.#checkEnd(`the body of ${name}`, task);
      this.#cpu.do(layout.OP_RETURN, 0, [BigInt.asUintN(64, result)], `the return of ${name}`);
    } catch (error) {
      this.#cpu.unwindTo(task, depth - 1);
      throw error;
    }
    return this.register(this.model.returnRegisters[0]);
  }

  #checkEnd(what: string, task: MachineTask): void {
    if (this.#cpu.current === task) return;
    throw new EngineError('EINVAL', `${what} began on task ${task.comm}-${task.pid} and ended on another`);
  }

  #check(what: string, task: MachineTask): void {
    if (MachineTask.is(task) && this.#cpu.tasks[task.index] === task) return;
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

  /// Runs `body` in an interrupt of the task that runs: of `irq` (with interrupts off), `softirq` or `nmi` context, more urgent
  /// than what it interrupts. Registers are what they were when it ends, however it ends. Throws RangeError for another context,
  /// EINVAL for one that is not more urgent, and for a body that ends on another task.
  interrupt<Result>(context: Context, body: (machine: Machine) => Result): Result {
    const number = contextNumber(context);
    checkFunction('interrupt: what is to run', body);
    roomToCall();
    return this.#cpu.inside(() => {
      const task = this.#cpu.current;
      const { depth } = task;
      this.#cpu.do(layout.OP_INTERRUPT, number, [], `an interrupt in ${context} context`);
      this.#cpu.follow();
      try {
        const result = body(this);
        this.#checkEnd(`the interrupt in ${context} context`, task);
        return result;
      } finally {
        if (this.#cpu.current !== task) this.switchTo(task);
        this.#cpu.unwindTo(task, depth + 1);
        this.#cpu.do(layout.OP_INTERRUPT_END, 0, [], 'the end of an interrupt');
        this.#cpu.follow();
      }
    });
  }

  /// Calls `body` with interrupts off, for the tracers `irqsoff` and `preemptirqsoff`.
  withoutIrqs<Result>(body: (machine: Machine) => Result): Result {
    checkFunction('withoutIrqs: what is to run', body);
    roomToCall();
    return this.#cpu.inside(() => this.#host.tasks.interrupts.withoutIrqs(() => body(this)));
  }

  /// Calls `body` with preemption off, for the tracers `preemptoff` and `preemptirqsoff`.
  withoutPreemption<Result>(body: (machine: Machine) => Result): Result {
    checkFunction('withoutPreemption: what is to run', body);
    roomToCall();
    return this.#cpu.inside(() => this.#host.tasks.interrupts.withoutPreemption(() => body(this)));
  }

  /// Runs a program in the engine, without JavaScript on the way; handlers that are JavaScript are called as ever, and the machine
  /// hears of sections and wake-ups. Throws `ProgramError`, with the position, for a program that cannot go on; `reset` makes the
  /// machine usable again.
  run(program: MachineProgram, times = 1): void {
    if (!Number.isInteger(times) || times < 1 || times > 0xffff_ffff) {
      throw badRange(`times is ${shown(times)}, expected 1 or more`);
    }
    checkProgram(program);
    roomToEnd();
    this.#cpu.run(program, times);
  }

  /// Runs a program once that may leave calls, interrupts and sections open, or end some that are open; `reset` ends those.
  start(program: MachineProgram): void {
    checkProgram(program);
    roomToEnd();
    this.#cpu.run(program, 0);
  }

  /// Unwinds whatever runs on any task and ends open sections; the first task is the current one then. Throws EBUSY while a
  /// handler runs.
  reset(): void {
    roomToEnd();
    this.#cpu.reset();
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
    return this.#cpu.current.address + layout.CPU_FILE + place;
  }

  /// The word at an address of some task's stack; undefined elsewhere.
  readWord(address: bigint): bigint | undefined {
    for (const task of this.#cpu.tasks) {
      const word = task.readWord(address);
      if (word !== undefined) return word;
    }
    return undefined;
  }

  /// Stores a word at an address of some task's stack. Throws RangeError for addresses elsewhere.
  writeWord(address: bigint, value: bigint): void {
    if (!this.#cpu.tasks.some((task) => task.writeWord(address, value))) {
      throw badRange(`${hex(address)} is on no stack of ${this.name}`);
    }
  }

  /// Return addresses of the functions that run on the current task, innermost first, as an unwinder finds them: along the
  /// stack frames, with the hook replaced by the address that it stands for (spec/fgraph.md §5). `raw` leaves the hook.
  stackTrace(options: { raw?: boolean } = {}): bigint[] {
    const { raw = false } = readOptions('stackTrace', options, ['raw']);
    checkBoolean('raw', raw);
    return this.#cpu.current.unwind(raw);
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

  #index(name: string): number {
    const index = this.#indexOf.get(name);
    if (index === undefined) throw new EngineError('ENOENT', `${this.name} has no function ${shown(name)}`);
    return index;
  }
}

function checkProgram(program: unknown): void {
  if (!MachineProgram.is(program)) throw badType(`the program is ${shown(program)}, expected a MachineProgram`);
}

const hex = (address: bigint): string => `0x${address.toString(16)}`;
