// A task of a machine: registers, stack and the calls under way, as they lie in the engine's memory.

import * as engineLayout from '../../assembly/layout.ts';
import * as layout from '../../assembly/machine-layout.ts';
import { type CpuModel, PLACE_OUTSIDE, PLACE_RETURN_TO_HANDLER } from '../arch/arch.ts';
import type { Engine } from '../engine.ts';
import { checkBoolean, checkWord } from '../options.ts';
import type { Task } from '../tasks.ts';

/// The last of the CPUs that a kernel can have.
export const CPU_MAX = 8191;

export interface CpuContext {
  readonly engine: Engine;
  readonly model: CpuModel;
  /// Of the description.
  readonly address: number;
  readonly stackSize: number;
}

/// Bytes that stay free above the first frame: what functions find above their frames, and no more.
const HEADROOM = 512;

export class MachineTask {
  readonly task: Task;
  readonly index: number;
  readonly cpu: number;
  /// Of the CPU task in the engine's memory.
  readonly address: number;
  /// Address of the time, which all tasks of a machine share.
  readonly clock: number;
  readonly stackSize: number;
  readonly #context: CpuContext;
  /// Simulated address of the stack.
  readonly #stack: bigint;
  readonly #linear: number;

  /// Made by `Machine.createTask`. The blocks that it takes are added to `blocks`; without memory for all, it takes none.
  constructor(
    context: CpuContext,
    task: Task,
    index: number,
    cpu: number,
    clock: number | undefined,
    blocks: number[],
  ) {
    const { engine, model, address: machine, stackSize } = context;
    const { memory } = engine;
    const depthMax = Math.floor(stackSize / 16);
    this.#context = context;
    this.task = task;
    this.index = index;
    this.cpu = cpu;
    this.stackSize = stackSize;
    const callsSize = layout.CPU_CALLS + depthMax * layout.CALL_SIZE;
    const taken = engine.allocateBlocks([callsSize, stackSize, ...(clock === undefined ? [8] : [])]);
    blocks.push(...taken);
    this.address = taken[0]!;
    this.#linear = taken[1]!;
    this.clock = clock ?? taken[2]!;
    this.#stack = model.addresses.stacks + BigInt(2 * index * stackSize);
    const store = (at: number, value: number): void => memory.store32(this.address + at, value);
    store(layout.CPU_MACHINE, machine);
    store(layout.CPU_TASK, task.address);
    store(layout.CPU_DELTA, (this.#linear - Number(this.#stack & 0xffff_ffffn)) >>> 0);
    store(layout.CPU_STACK, this.#linear);
    store(layout.CPU_STACK_END, this.#linear + stackSize);
    store(layout.CPU_DEPTH_MAX, depthMax);
    this.reset();

    memory.store32(task.address + engineLayout.TASK_CLOCK, this.clock);
    if (model.framePointerTest) {
      const { TASK_LIMIT, WORD_SIZE } = engineLayout;
      memory.store32(task.address + engineLayout.TASK_FRAME_FP, WORD_SIZE);
      memory.store32(task.address + TASK_LIMIT, memory.load32(task.address + TASK_LIMIT) - WORD_SIZE);
    }
    const list = machine + layout.MACHINE_TASKS;
    memory.store32(memory.load32(list) + index * 4, this.address);
    memory.store32(list + 4, index + 1);
  }

  /// Whether `value` is a task of a machine, and not just an object that inherits from one.
  static is(value: unknown): value is MachineTask {
    return typeof value === 'object' && value !== null && #linear in value;
  }

  get comm(): string {
    return this.task.comm;
  }

  get pid(): number {
    return this.task.pid;
  }

  /// Calls and interrupts under way.
  get depth(): number {
    return this.#load(layout.CPU_DEPTH);
  }

  /// The context in which it runs, CONTEXT_*.
  get context(): number {
    return this.#context.engine.memory.load32(this.task.address + engineLayout.TASK_CONTEXT);
  }

  /// Contexts of the interrupts under way, innermost first, then the one that the outermost has interrupted: CONTEXT_*.
  contexts(): number[] {
    const found = [this.context];
    for (let k = this.depth; k-- > 0; ) {
      if (this.#kind(k) !== layout.CALL_INTERRUPT) continue;
      found.push(this.#load(layout.CPU_CALLS + k * layout.CALL_SIZE + layout.CALL_CONTEXT));
    }
    return found;
  }

  /// Whether a hard irq of it is under way, interrupted or not.
  get isInIrq(): boolean {
    return this.depth > 0 && this.contexts().slice(0, -1).includes(engineLayout.CONTEXT_IRQ);
  }

  /// Bytes of the stack that were used so far, at most.
  get stackUsed(): number {
    return this.#linear + this.stackSize - HEADROOM - this.#load(layout.CPU_LOWEST);
  }

  /// Entries that a handler sent to a direct trampoline so far.
  get directCalls(): number {
    return this.#load(layout.CPU_DIRECT);
  }

  /// The innermost function does not run: a handler sent execution elsewhere.
  get isSkipped(): boolean {
    return this.#kind(this.depth - 1) === layout.CALL_SKIPPED;
  }

  /// Where the last entry trampoline went on, and where the last call returned to.
  get resumed(): bigint {
    return this.#word(layout.CPU_RESUMED);
  }
  get returned(): bigint {
    return this.#word(layout.CPU_RETURNED);
  }

  /// The direct trampoline that the last entry was sent to, 0 for none; asked once.
  takeDirect(): bigint {
    const target = this.#word(layout.CPU_DIRECT_TARGET);
    this.#setWord(layout.CPU_DIRECT_TARGET, 0n);
    return target;
  }

  /// The return address of the function that runs, as it is on the stack or in a register: the hook, if somebody wants the exit.
  parentOfCall(): bigint {
    return this.unwind(true)[0] ?? 0n;
  }

  /// Registers that frames and calls depend on, as they are when nothing runs.
  reset(): void {
    const { model } = this.#context;
    const sp = this.#stack + BigInt(this.stackSize - HEADROOM);
    this.#setWord(layout.CPU_FILE + layout.REGISTER_SP, sp);
    this.#setWord(layout.CPU_FILE + layout.REGISTER_CHAIN, model.frame.chain === model.stackPointer ? sp : 0n);
    this.#setWord(layout.CPU_DIRECT_TARGET, 0n);
    this.#context.engine.memory.store32(this.address + layout.CPU_LOWEST, this.#linear + this.stackSize - HEADROOM);
  }

  /// Undefined where the address is not on this stack.
  readWord(address: bigint): bigint | undefined {
    checkWord('the address', address);
    const { engine, model } = this.#context;
    const at = this.#place(address);
    return at === undefined ? undefined : engine.memory.view.getBigUint64(at, !model.bigEndian);
  }

  /// False: the address is not on this stack.
  writeWord(address: bigint, value: bigint): boolean {
    checkWord('the address', address);
    checkWord('the value', value);
    const { engine, model } = this.#context;
    const at = this.#place(address);
    if (at !== undefined) engine.memory.view.setBigUint64(at, BigInt.asUintN(64, value), !model.bigEndian);
    return at !== undefined;
  }

  #place(address: bigint): number | undefined {
    const offset = address - this.#stack;
    return offset < 0n || offset > BigInt(this.stackSize - 8) ? undefined : this.#linear + Number(offset);
  }

  /// Return addresses along the frames, innermost first.
  unwind(raw: boolean): bigint[] {
    checkBoolean('unwind: raw', raw);
    const { model } = this.#context;
    const { chainAt, chainValue, linkAt } = model.frame;
    const hook = model.addresses.trampolines + PLACE_RETURN_TO_HANDLER;
    const outside = model.addresses.trampolines + PLACE_OUTSIDE;
    const found: bigint[] = [];
    const frames = this.#frames();
    let chain = this.#word(layout.CPU_FILE + layout.REGISTER_CHAIN);
    for (let k = this.depth; k-- > 0; ) {
      if (this.#kind(k) !== layout.CALL_BODY) continue;
      const sp = BigInt.asUintN(64, chain - BigInt(chainValue));
      const outer = this.readWord(sp + BigInt(chainAt));
      let address = this.readWord(sp + BigInt(linkAt));
      if (address === undefined || outer === undefined) break;
      const slot = model.retp === 'framePointer' ? outer : sp;
      if (address === hook && !raw) {
        address = frames.find(({ ret, retp }) => retp === slot && ret !== hook)?.ret ?? hook;
      }
      found.push(address);
      if (address === outside) break;
      chain = outer;
    }
    return found;
  }

  #frames(): { ret: bigint; retp: bigint }[] {
    const { memory } = this.#context.engine;
    return Array.from(memory.frames(this.task.address), ({ base }) => ({
      ret: memory.u64[(base + engineLayout.FRAME_RET) >>> 3]!,
      retp: memory.u64[(base + engineLayout.FRAME_RETP) >>> 3]!,
    }));
  }

  #kind(k: number): number {
    return this.#load(layout.CPU_CALLS + k * layout.CALL_SIZE + layout.CALL_KIND);
  }

  #load(at: number): number {
    return this.#context.engine.memory.load32(this.address + at);
  }

  #word(at: number): bigint {
    return this.#context.engine.memory.u64[(this.address + at) >>> 3]!;
  }

  #setWord(at: number, value: bigint): void {
    this.#context.engine.memory.u64[(this.address + at) >>> 3] = value;
  }
}
