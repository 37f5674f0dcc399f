// The handlers in JavaScript that run right now. They nest when one calls a function that is watched, once per task (spec/fgraph.md
// §9), and further when one switches the task.
//
// Between the engine's import and a handler, at every entry or return that is watched, as little is done as can be: this says
// who runs, and aims the registers (a number). Everything else is looked up when somebody asks. What was found before a handler
// is put back after it, so nothing is left of one however it ended.

import type { Engine } from './engine.ts';
import { FrameData } from './frame-data.ts';
import type { LastSite } from './last-site.ts';
import type { Aim, Signature } from './regs.ts';

/// What was there before a handler began.
export interface Outer {
  readonly aim: Aim;
  readonly at: number;
  readonly signature: Signature | undefined;
  readonly key: number;
  /// Of the views that are out.
  readonly mark: number;
}

export class Running {
  readonly data: FrameData;
  /// Whose handler is the innermost one: a number from `newKey`, at return 1 more. 0: nobody's, or of one who keeps no data.
  key = 0;
  #keys = 0;

  constructor(engine: Engine) {
    this.data = new FrameData(engine.memory);
  }

  /// For another user.
  newKey(): number {
    this.#keys += 2;
    return this.#keys;
  }

  /// A handler of `key` begins, for a call of `called`. `at`: as in Aim. (The result is no object in compiled code.)
  enter(key: number, { aim, types }: LastSite, at: number): Outer {
    const outer: Outer = { aim, at: aim.at, signature: aim.signature, key: this.key, mark: this.data.mark };
    this.key = key;
    aim.at = at;
    if (outer.signature !== types) aim.signature = types; // a comparison is cheaper than a store that the collector notes
    return outer;
  }

  /// It is over. What was written to the views that it was given is kept if `keep` was called.
  leave({ aim, at, signature, key, mark }: Outer): void {
    this.key = key;
    aim.at = at;
    if (at !== 0) aim.signature = signature;
    this.data.drop(mark);
  }

  /// Writes back what the handler has left in the views that it was given.
  keep({ mark }: Outer): void {
    if (this.data.mark !== mark) this.data.giveBack(mark);
  }
}
