// The functions behind the engine's import `call`: an id for each, handed out again when its owner is gone. The engine forgets
// a user before `remove` is called, so no id that it holds is ever stale.
//
// What a handler of somebody else's does wrong stays here. The engine is in the middle of an entry or an exit when it
// calls: a throw would pass through the traced program.

import { EngineError } from './engine.ts';

/// What runs for one id: an object of a class, since a method of an object that is known is put in the place of its call, and a
/// function that is one of many is not.
export interface Callback {
  /// From an entry handler, nonzero asks for the exit callback. Must not throw.
  run(index: number, site: number, frame: number, fregs: number): number;
}

/// A function as what runs.
export class FunctionCallback implements Callback {
  readonly #run: Callback['run'];

  constructor(run: Callback['run']) {
    this.#run = run;
  }

  run(index: number, site: number, frame: number, fregs: number): number {
    const run = this.#run;
    return run(index, site, frame, fregs);
  }
}

export class Handlers {
  /// Entry 0 is nobody's: to the engine, 0 means no handler.
  readonly #callbacks: (Callback | undefined)[] = [undefined];
  readonly #free: number[] = [];

  /// The import.
  readonly call = (id: number, index: number, site: number, frame: number, fregs: number): number => {
    const callback = this.#callbacks[id];
    return callback === undefined ? 0 : callback.run(index, site, frame, fregs);
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

/// What runs for a WebAssembly handler that is called through JavaScript: a trap is a failure of the handler.
export const guarded = (run: Callback['run'], failures: Failures): Callback =>
  new FunctionCallback((index, site, frame, fregs) => {
    try {
      return run(index, site, frame, fregs);
    } catch (error) {
      failures.note(error);
      return 0;
    }
  });

/// What the handlers of one user did wrong.
export class Failures {
  count = 0;
  last: unknown;
  readonly #then: () => void;

  /// `then` is called after each.
  constructor(then = () => {}) {
    this.#then = then;
  }

  note(error: unknown): void {
    this.count++;
    this.last = error;
    this.#then();
  }
}

/// For what a handler returned that is no plain value. Throws when it is a promise: nobody waits for it, so it is a failure, and a
/// rejection of it is nobody's. Throws too what a `then` of somebody's own throws.
export function refusePromise(value: unknown, what: string): void {
  if (typeof value !== 'object' || value === null) return;
  const { then } = value as { then?: unknown };
  if (typeof then !== 'function') return;
  try {
    (value as PromiseLike<unknown>).then(undefined, () => {});
  } catch {} // a `then` of somebody's own
  throw new EngineError('EINVAL', `${what} returned a promise, expected it to be done when it returns`);
}
