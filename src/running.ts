// The handlers that run right now, innermost last: they nest when a handler calls a function that is watched, once per task
// (spec/fgraph.md §9), and further when one switches the task.

import type { Engine } from './engine.ts';
import { FgraphEvent } from './fgraph-event.ts';
import { FrameData } from './frame-data.ts';
import type { AimedRegs } from './regs.ts';
import type { TargetSite } from './target/target.ts';

/// A handler that runs.
export interface Level {
  readonly event: FgraphEvent;
  regs: AimedRegs;
  /// Whose handler it is.
  owner: object;
  isEntry: boolean;
}

export class Running {
  readonly data: FrameData;
  /// How many handlers run. Written here only.
  depth = 0;
  readonly #engine: Engine;
  readonly #levels: Level[] = [];

  constructor(engine: Engine) {
    this.#engine = engine;
    this.data = new FrameData(engine.memory);
  }

  /// The innermost handler.
  get current(): Level | undefined {
    return this.depth === 0 ? undefined : this.#levels[this.depth - 1];
  }

  /// A handler of `owner` begins, for a call of the site `called`, the frame at `frame` and the registers at `fregs`, which `regs`
  /// reads.
  enter(owner: object, isEntry: boolean, called: TargetSite, regs: AimedRegs, frame: number, fregs: number): Level {
    const { depth } = this;
    const level = depth < this.#levels.length ? this.#levels[depth] : this.#level(owner, regs);
    level.isEntry = isEntry;
    // Mostly it was the same last time, and a comparison is cheaper than what the collector wants to know of each store.
    if (level.owner !== owner) level.owner = owner;
    if (level.regs !== regs) level.regs = regs;
    level.event.aim(called, frame);
    regs.push(fregs, !isEntry, called.types);
    this.depth = depth + 1;
    return level;
  }

  #level(owner: object, regs: AimedRegs): Level {
    const { exports, memory } = this.#engine;
    const event = new FgraphEvent(memory, () => exports.task_current());
    const level: Level = { event, regs, owner, isEntry: true };
    this.#levels.push(level);
    return level;
  }

  /// The handlers above `depth` are over.
  leave(depth: number): void {
    while (this.depth > depth) {
      const level = this.#levels[--this.depth];
      level.event.end();
      level.regs.pop();
    }
  }
}
