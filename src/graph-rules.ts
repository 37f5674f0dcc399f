// set_graph_function, set_graph_notrace and max_graph_depth (spec/fgraph.md §11): one set for all graph tracers of an engine.

import type { Engine } from './engine.ts';
import { badRange, shown } from './errors.ts';
import { compileHalves, type Filter } from './filter.ts';
import { roomToBegin } from './stack.ts';
import type { Rule, Users } from './users.ts';

const DEPTH_MAX = 2 ** 31 - 1;

interface GraphRule extends Rule {
  readonly filter: Filter;
}

export class GraphRules {
  readonly #engine: Engine;
  readonly #users: Users;
  #starts: GraphRule | undefined;
  #notrace: GraphRule | undefined;
  /// Bits of the sites that one of the two sets is about: the engine takes both at once.
  readonly #starting = new Set<number>();
  readonly #untraced = new Set<number>();
  #depth = 0;

  constructor(engine: Engine, users: Users) {
    this.#engine = engine;
    this.#users = users;
  }

  get functions(): Filter | undefined {
    return this.#starts?.filter;
  }

  get notrace(): Filter | undefined {
    return this.#notrace?.filter;
  }

  get maxDepth(): number {
    return this.#depth;
  }
  set maxDepth(depth: number) {
    if (!Number.isInteger(depth) || depth < 0 || depth > DEPTH_MAX) {
      throw badRange(`maxGraphDepth is ${shown(depth)}, expected a whole number from 0 (unlimited) to ${DEPTH_MAX}`);
    }
    roomToBegin();
    this.#engine.exports.graph_depth(depth);
    this.#depth = depth;
  }

  setFunctions(filter: Filter | undefined): number {
    roomToBegin();
    this.#starts = this.#replace(this.#starts, filter, this.#starting);
    this.#engine.exports.graph_filter(this.#starts ? 1 : 0);
    return this.#starts?.matched ?? 0;
  }

  setNotrace(filter: Filter | undefined): number {
    roomToBegin();
    this.#notrace = this.#replace(this.#notrace, filter, this.#untraced);
    return this.#notrace?.matched ?? 0;
  }

  /// A new rule in place of `old`; without a glob none.
  #replace(old: GraphRule | undefined, filter: Filter | undefined, set: Set<number>): GraphRule | undefined {
    const halves = compileHalves({ filter });
    const mark = (site: number, marked: boolean): void => {
      if (marked === set.has(site)) return;
      if (marked) set.add(site);
      else set.delete(site);
      this.#engine.exports.graph_site(site, this.#starting.has(site) ? 1 : 0, this.#untraced.has(site) ? 1 : 0);
    };
    if (old) this.#users.removeRule(old);
    if (filter === undefined || filter.length === 0) return undefined;
    const rule = { halves, mark, matched: 0, filter: typeof filter === 'string' ? filter : [...filter] };
    this.#users.addRule(rule);
    return rule;
  }
}
