// The handlers that run right now, innermost last: they nest when a handler calls a function that is watched, once per task
// (spec/fgraph.md §9), and further when one switches the task.

import type { Engine } from './engine.ts';
import { FgraphEvent } from './fgraph-event.ts';
import { FrameData } from './frame-data.ts';
import type { AimedRegs } from './regs.ts';
import type { Sites } from './sites.ts';

/// A handler that runs.
export interface Level {
  readonly event: FgraphEvent;
  regs: AimedRegs;
  /// Whose handler it is.
  owner: object | undefined;
  isEntry: boolean;
}

export class Running {
  readonly data: FrameData;
  readonly #engine: Engine;
  readonly #sites: Sites;
  readonly #levels: Level[] = [];
  #depth = 0;

  constructor(engine: Engine, sites: Sites) {
    this.#engine = engine;
    this.#sites = sites;
    this.data = new FrameData(engine.memory);
  }

  /// How many handlers run.
  get depth(): number {
    return this.#depth;
  }

  /// The innermost handler.
  get current(): Level | undefined {
    return this.#depth === 0 ? undefined : this.#levels[this.#depth - 1];
  }

  /// A handler of `owner` begins, for the frame at `frame` and the registers at `fregs`.
  enter(owner: object, isEntry: boolean, site: number, frame: number, fregs: number): Level {
    const called = this.#sites.byId(site);
    const regs = this.#sites.regs(site);
    this.#levels[this.#depth] ??= this.#level(regs);
    const level = this.#levels[this.#depth];
    level.owner = owner;
    level.isEntry = isEntry;
    level.regs = regs;
    level.event.aim(called, frame);
    regs.push(fregs, !isEntry, called.types);
    this.#depth++;
    return level;
  }

  #level(regs: AimedRegs): Level {
    const { exports, memory } = this.#engine;
    return { event: new FgraphEvent(memory, () => exports.task_current()), regs, owner: undefined, isEntry: true };
  }

  /// The handlers above `depth` are over.
  leave(depth: number): void {
    while (this.#depth > depth) {
      const level = this.#levels[--this.#depth];
      level.owner = undefined;
      level.event.aim(undefined, 0);
      level.regs.pop();
    }
  }
}
