// Calls that are over when their promise settles. Such a call is under way while others come and go, so it cannot be on the stack
// that they are on: each has a task of its own, with a stack of one frame, from the entry to the moment when its promise is
// settled. What the function calls meanwhile is on the stack of the current task, as if the call were not there.
//
//   current task   | outer | …                  | outer | …            | …
//   a task of it   | load (entry)               | load               | load (return)
//                    the call, until it awaits    other things run     its promise settles
//
// Rejection is leaving without returning: the frame is unwound.

import { EngineError, type EngineExports } from '../../engine.ts';
import { type Gate, type JsCalls, plainTraps, type Traps } from './calls.ts';
import { isProxy } from './members.ts';
import type { Callable } from './source.ts';

const { apply, getPrototypeOf, getOwnPropertyDescriptor } = Reflect;
const promisePrototype = Promise.prototype;
const { then } = promisePrototype;

/// Words of a stack for one frame and what users keep on it.
const STACK_WORDS = 512;
/// Calls under way at a time; a further one ends when it returns its promise.
const PENDING_MAX = 4096;

/// The tasks of the calls under way, and those that are free for others.
export class SettleTasks {
  readonly #calls: JsCalls;
  readonly #exports: EngineExports;
  readonly #free: number[] = [];
  #made = 0;
  /// Of promises that nobody will ever settle, since nobody can reach them any more.
  readonly #lost = new FinalizationRegistry<number>((task) => this.abandon(task));

  constructor(calls: JsCalls) {
    this.#calls = calls;
    this.#exports = calls.engine.exports;
  }

  /// Runs `run`, which tells the engine of an entry or a return, on a task.
  on<Result>(task: number, run: () => Result): Result {
    const calls = this.#calls;
    const { args, result, constructs } = calls;
    const before = this.#exports.task_switch(task);
    try {
      return run();
    } finally {
      this.#exports.task_switch(before);
      calls.args = args;
      calls.result = result;
      calls.constructs = constructs;
    }
  }

  /// A task with an empty stack, 0 when there is none left.
  take(): number {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    if (this.#made === PENDING_MAX) return 0;
    try {
      const task = this.#calls.engine.createTask(STACK_WORDS);
      this.#made++;
      return task;
    } catch (error) {
      if (error instanceof EngineError) return 0; // no memory
      throw error;
    }
  }

  /// The call of a task is over.
  give(task: number): void {
    this.#free.push(task);
  }

  /// It was left without returning.
  abandon(task: number): void {
    this.#exports.task_reset(task);
    this.give(task);
  }

  /// The call returns `result`; gives the task back.
  finish(gate: Gate, task: number, cookie: number, result: unknown): unknown {
    let returned = false;
    try {
      const replaced = this.on(task, () => this.#calls.leave(gate, cookie, result, false));
      returned = true;
      return replaced;
    } finally {
      if (returned) this.give(task);
      else this.abandon(task);
    }
  }

  /// The call returns when `promise` is settled. What the caller gets is settled one turn later, and like it.
  follow(gate: Gate, task: number, cookie: number, promise: Promise<unknown>): Promise<unknown> {
    const token = {};
    this.#lost.register(promise, task, token);
    const settled = (value: unknown): unknown => {
      this.#lost.unregister(token);
      return this.finish(gate, task, cookie, value);
    };
    const rejected = (reason: unknown): never => {
      this.#lost.unregister(token);
      this.abandon(task);
      throw reason;
    };
    return apply(then, promise, [settled, rejected]);
  }
}

/// Whether a function was written as `async`: it returns a promise that nobody else has.
export function isAsync(fn: Callable): boolean {
  const prototype = isProxy(fn) ? null : getPrototypeOf(fn);
  return prototype !== null && getOwnPropertyDescriptor(prototype, Symbol.toStringTag)?.value === 'AsyncFunction';
}

/// A promise that is the engine's own in everything: following it runs no code of the program.
function isPlainPromise(value: unknown): value is Promise<unknown> {
  if (typeof value !== 'object' || value === null || isProxy(value)) return false;
  return getPrototypeOf(value) === promisePrototype && !getOwnPropertyDescriptor(value, 'constructor');
}

/// Entry at the call, return when the promise that it returns settles; at the return when it returns none. A call that nobody
/// takes on a task of its own, as the graph tracer has no buffer for it, is one on the current task.
export const settleTraps = (settling: SettleTasks): Traps => ({
  construct: plainTraps.construct,
  apply(fn, self, args) {
    const task = settling.take();
    if (task === 0) return plainTraps.apply.call(this, fn, self, args);
    let cookie = 0;
    let result: unknown;
    let returned = false;
    try {
      cookie = settling.on(task, () => this.calls.enter(this, args));
      if (cookie !== 0) result = apply(fn, self, args as never[]);
      returned = true;
    } finally {
      if (!returned) settling.abandon(task);
    }
    if (cookie === 0) {
      settling.give(task);
      return plainTraps.apply.call(this, fn, self, args);
    }
    return isPlainPromise(result)
      ? settling.follow(this, task, cookie, result)
      : settling.finish(this, task, cookie, result);
  },
});
