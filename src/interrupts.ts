// Interrupts, and sections in which they or preemption are off. A WebAssembly program has neither; who emulates something that
// has (a kernel, a microcontroller, a scheduler) says when. The engine then keeps the recursion guards of each context apart
// (spec/fgraph.md §9), graphs can leave interrupts out, and latency tracers have something to measure.

import * as layout from '../assembly/layout.ts';
import { type Engine, EngineError } from './engine.ts';
import { badRange, shown } from './errors.ts';
import { checkFunction } from './options.ts';
import { roomToCall } from './stack.ts';
import type { Task } from './tasks.ts';
import { FLAG_HARDIRQ, FLAG_IRQS_OFF, FLAG_NMI, FLAG_SOFTIRQ } from './trace/events.ts';

export type Context = 'softirq' | 'irq' | 'nmi';

const CONTEXTS: Readonly<Record<Context, number>> = {
  softirq: layout.CONTEXT_SOFTIRQ,
  irq: layout.CONTEXT_IRQ,
  nmi: layout.CONTEXT_NMI,
};

/// `FLAG_*` of each context.
export const CONTEXT_FLAGS = [FLAG_NMI, FLAG_HARDIRQ, FLAG_SOFTIRQ, 0];
const NAMES = ['nmi', 'irq', 'softirq', 'normal'];

/// Who wants to know. What they are told of has happened already.
export interface InterruptObserver {
  /// Interrupts or preemption went off, or both are as they were.
  changed(): void;
  /// A task became ready to run.
  woken(task: Task): void;
  switched(from: Task, to: Task): void;
}

export class Interrupts {
  readonly #engine: Engine;
  readonly #observers = new Set<InterruptObserver>();
  #context = layout.CONTEXT_NORMAL;
  /// `FLAG_*` of that context and those it interrupted.
  #contextFlags = 0;
  #irqsOff = 0;
  #preemptionOff = 0;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  get irqsOff(): boolean {
    return this.#irqsOff > 0;
  }

  /// How often preemption was switched off.
  get preemption(): number {
    return this.#preemptionOff;
  }

  /// `FLAG_*` of the state now.
  get flags(): number {
    return this.#contextFlags | (this.#irqsOff > 0 ? FLAG_IRQS_OFF : 0);
  }

  observe(observer: InterruptObserver): void {
    this.#observers.add(observer);
  }

  unobserve(observer: InterruptObserver): void {
    this.#observers.delete(observer);
  }

  /// Calls `run` as an interrupt of what runs: `softirq`, `irq` (with interrupts off) or `nmi`. Throws RangeError for another
  /// context, EINVAL for one that cannot interrupt the one that is at work.
  interrupt<Result>(context: Context, run: () => Result): Result {
    const number = contextNumber(context);
    checkFunction('interrupt: what is to run', run);
    if (number >= this.#context) {
      throw new EngineError('EINVAL', `${context} cannot interrupt ${NAMES[this.#context]}`);
    }
    const before = this.#context;
    const flags = this.#contextFlags;
    roomToCall();
    this.#enter(number, flags | CONTEXT_FLAGS[number]!);
    if (number === layout.CONTEXT_IRQ) this.change(1, 0);
    try {
      return run();
    } finally {
      if (number === layout.CONTEXT_IRQ) this.change(-1, 0);
      this.#enter(before, flags);
    }
  }

  #enter(context: number, flags: number): void {
    this.follow(context, flags);
    this.#engine.exports.task_context(context);
  }

  withoutIrqs<Result>(run: () => Result): Result {
    checkFunction('withoutIrqs: what is to run', run);
    return this.#section(1, 0, run);
  }

  withoutPreemption<Result>(run: () => Result): Result {
    checkFunction('withoutPreemption: what is to run', run);
    return this.#section(0, 1, run);
  }

  #section<Result>(irqs: number, preemption: number, run: () => Result): Result {
    if (this.#observers.size > 0) roomToCall();
    this.change(irqs, preemption);
    try {
      return run();
    } finally {
      this.change(-irqs, -preemption);
    }
  }

  /// For who keeps sections and contexts itself, as a machine does: how many sections began or ended.
  change(irqs: number, preemption: number): void {
    if (irqs === 0 && preemption === 0) return;
    this.#irqsOff += irqs;
    this.#preemptionOff += preemption;
    for (const observer of this.#observers) observer.changed();
  }

  /// The same: the context of the task that runs, in the engine too by now, and the flags of all that are under way.
  follow(context: number, flags: number): void {
    this.#context = context;
    this.#contextFlags = flags;
  }

  woken(task: Task): void {
    for (const observer of this.#observers) observer.woken(task);
  }

  /// Contexts are those of what runs, whichever task it is.
  switched(from: Task, to: Task): void {
    this.#engine.exports.task_context(this.#context);
    for (const observer of this.#observers) observer.switched(from, to);
  }
}

/// CONTEXT_* of a context. Throws RangeError for another one.
export function contextNumber(context: Context): number {
  if (typeof context === 'string' && Object.hasOwn(CONTEXTS, context)) return CONTEXTS[context];
  throw badRange(`context is ${shown(context)}, expected 'softirq', 'irq' or 'nmi'`);
}
