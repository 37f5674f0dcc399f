// Who called a function, for clients of entries alone. Where no return address can be seen, the caller is the nearest enclosing
// function that has a frame on the shadow stack, and plain ops push none. So one user of the function graph, shared by all who
// want to know, keeps frames of all functions that any of them watches, and does nothing else.

import * as layout from '../assembly/layout.ts';
import type { Engine } from './engine.ts';
import type { Match, Users, Watching } from './users.ts';

export class Parents implements Watching {
  matched = 0;
  readonly #engine: Engine;
  readonly #users: Users;
  readonly #matches = new Map<object, Match>();
  #index = -1;

  constructor(engine: Engine, users: Users) {
    this.#engine = engine;
    this.#users = users;
  }

  readonly match: Match = (symbol) => {
    for (const match of this.#matches.values()) if (match(symbol)) return true;
    return false;
  };

  readonly want = (site: number, wanted: boolean): void => {
    this.#engine.exports.site_want(site, this.#index, wanted ? 1 : 0);
  };

  /// `client` watches the functions of `match` from now on, in place of any before. Throws ENOSPC when 16 users are registered.
  set(client: object, match: Match): void {
    if (this.#index < 0) this.#index = this.#engine.registerFgraph(layout.GOPS_FRAME, 0, 0, 0);
    const isFirst = this.#matches.size === 0;
    this.#matches.set(client, match);
    if (isFirst) this.#users.add(this);
    else this.#users.mark(this);
  }

  remove(client: object): void {
    if (!this.#matches.delete(client)) return;
    if (this.#matches.size > 0) {
      this.#users.mark(this);
      return;
    }
    this.#users.remove(this);
    this.#engine.exports.fgraph_unregister(this.#index);
    this.#index = -1;
  }
}
