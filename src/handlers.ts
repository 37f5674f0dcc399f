// The functions behind the engine's import `call`: an id for each, handed out again when its owner is gone. The engine forgets
// a user before `remove` is called, so no id that it holds is ever stale.
//
// What a handler of somebody else's does wrong stays here. The engine is in the middle of an entry or an exit when it
// calls: a throw would pass through the traced program.

import { EngineError } from './engine.ts';

/// What runs for one id. From an entry handler, nonzero asks for the exit callback. Must not throw.
export type Callback = (index: number, site: number, frame: number, fregs: number) => number;

export class Handlers {
  /// Entry 0 is nobody's: to the engine, 0 means no handler.
  readonly #callbacks: (Callback | undefined)[] = [undefined];
  readonly #free: number[] = [];

  /// The import.
  readonly call = (id: number, index: number, site: number, frame: number, fregs: number): number => {
    const callback = this.#callbacks[id];
    return callback === undefined ? 0 : callback(index, site, frame, fregs);
  };

  /// Keeps `callback` and returns its id.
  add(callback: Callback): number {
    const id = this.#free.pop() ?? this.#callbacks.length;
    this.#callbacks[id] = callback;
    return id;
  }

  /// Forgets an id; 0 is none.
  remove(id: number): void {
    if (id === 0) return;
    this.#callbacks[id] = undefined;
    this.#free.push(id);
  }
}

/// What the handlers of one user did wrong.
export class Failures {
  count = 0;
  last: unknown;

  note(error: unknown): void {
    this.count++;
    this.last = error;
  }

  /// A handler's result that is a promise: nobody waits for it, so it is a failure, and a rejection of it is nobody's.
  notePromise(promise: PromiseLike<unknown>, what: string): void {
    this.note(new EngineError('EINVAL', `${what} returned a promise, expected it to be done when it returns`));
    try {
      promise.then(undefined, () => {});
    } catch {} // a `then` of somebody's own
  }
}

/// Whether a handler's result is a promise. Throws what a `then` of somebody's own throws.
export function isPromise(value: unknown): value is PromiseLike<unknown> {
  if (typeof value !== 'object' || value === null) return false;
  return typeof (value as { then?: unknown }).then === 'function';
}
