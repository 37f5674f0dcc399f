// Who called a function, for clients of entries alone. Where no return address can be seen, the caller is the nearest enclosing
// function that has a frame on the shadow stack, and plain ops push none. So one user of the function graph, shared by all who
// want to know, keeps frames of all functions that any of them watches, and does nothing else.

import * as layout from '../assembly/layout.ts';
import type { Engine } from './engine.ts';
import { type FilterHalves, isMatch } from './filter.ts';
import type { TargetSite } from './target/target.ts';
import type { Users, Watching } from './users.ts';

export class Parents implements Watching {
  matched = 0;
  readonly #engine: Engine;
  readonly #users: Users;
  readonly #clients = new Map<object, FilterHalves<TargetSite>>();
  #index = -1;

  constructor(engine: Engine, users: Users) {
    this.#engine = engine;
    this.#users = users;
  }

  get client(): number {
    return this.#index;
  }

  readonly halves: FilterHalves<TargetSite> = {
    filter: (symbol) => {
      for (const halves of this.#clients.values()) if (isMatch(halves, symbol)) return true;
      return false;
    },
    notrace: undefined,
  };

  /// `client` watches the functions of `halves` from now on, in place of any before. Throws ENOSPC when 16 users are registered.
  set(client: object, halves: FilterHalves<TargetSite>): void {
    if (this.#index < 0) this.#index = this.#engine.registerFgraph(layout.GOPS_FRAME, 0, 0, 0);
    const isFirst = this.#clients.size === 0;
    this.#clients.set(client, halves);
    if (isFirst) this.#users.add(this);
    else this.#users.refilter(this);
  }

  remove(client: object): void {
    if (!this.#clients.delete(client)) return;
    if (this.#clients.size > 0) {
      this.#users.refilter(this);
      return;
    }
    this.#users.remove(this, () => this.#engine.exports.fgraph_unregister(this.#index));
    this.#index = -1;
  }
}
