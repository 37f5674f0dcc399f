// What runs for a handler of a user of the function graph that is JavaScript.

import type { ClientHost } from './client.ts';
import type { EntryHandler, ReturnHandler } from './fgraph.ts';
import { FgraphEvent } from './fgraph-event.ts';
import { type Callback, type Failures, refusePromise } from './handlers.ts';
import { LastSite } from './last-site.ts';
import { AT_EXIT } from './regs.ts';
import type { Running } from './running.ts';

// Kept from now: a program may trace `Reflect`. Not `handler.call`: functions have many shapes, and some a `call` of their own.
const { apply } = Reflect;

export class FgraphCallback implements Callback {
  readonly #handler: EntryHandler | ReturnHandler;
  readonly #self: object;
  readonly #key: number;
  readonly #exit: number;
  readonly #failures: Failures;
  readonly #what: () => string;
  readonly #running: Running;
  readonly #last: LastSite;
  readonly #event: FgraphEvent;

  /// `key`: of the user, 1 more for his return handler. `what` names the handler in messages.
  constructor(
    { engine, running, sites }: ClientHost,
    handler: EntryHandler | ReturnHandler,
    self: object,
    key: number,
    failures: Failures,
    what: () => string,
  ) {
    const { exports, memory } = engine;
    this.#handler = handler;
    this.#self = self;
    this.#key = key;
    this.#exit = key & 1 ? AT_EXIT : 0;
    this.#failures = failures;
    this.#what = what;
    this.#running = running;
    this.#last = new LastSite(sites, memory);
    this.#event = new FgraphEvent(memory, () => exports.task_current());
  }

  run(_index: number, site: number, frame: number, fregs: number): number {
    const called = this.#last;
    if (site !== called.id) called.look(site);
    const { regs } = called; // a handler inside of this one may be of another site
    const running = this.#running;
    const outer = running.enter(this.#key, called, fregs | this.#exit);
    const event = this.#event.free;
    event.aim(called.site, frame);
    let accepted = 0;
    try {
      const result: unknown = apply(this.#handler, this.#self, [event, regs]);
      accepted = result === undefined || result === true ? 1 : this.#verdict(result);
      running.keep(outer);
    } catch (error) {
      event.end();
      running.leave(outer);
      this.#failures.note(error);
      return 0;
    }
    event.end();
    running.leave(outer);
    return accepted;
  }

  /// What a result means that is not one of the usual ones.
  #verdict(result: unknown): number {
    if (result === false || result === 0) return 0;
    refusePromise(result, this.#what());
    return 1;
  }
}
