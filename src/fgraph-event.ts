// What a handler is told of the call that it is called for. Each handler has an event of its own, used over and over, and another
// for calls of it inside of itself; what it says is read from the engine's memory when it is asked for, so what nobody asks costs
// nothing.

import * as layout from '../assembly/layout.ts';
import { EngineError } from './engine.ts';
import type { Memory } from './memory.ts';
import type { TargetSite } from './target/target.ts';

export class FgraphEvent {
  readonly #memory: Memory;
  readonly #task: () => number;
  #site: TargetSite | undefined = undefined;
  /// 0: the handler is over, and `#site` is of old.
  #frame = 0;
  #inner: FgraphEvent | undefined = undefined;

  /// Made by the tracer. `task` gives the address of the current task.
  constructor(memory: Memory, task: () => number) {
    this.#memory = memory;
    this.#task = task;
  }

  /// Not for handlers: this one, or, while it is of a call, one of those that are kept for handlers inside of its handler.
  get free(): FgraphEvent {
    return this.#frame === 0 ? this : this.#innermost();
  }

  #innermost(): FgraphEvent {
    this.#inner ??= new FgraphEvent(this.#memory, this.#task);
    return this.#inner.free;
  }

  /// Not for handlers: says which call the event is of.
  aim(site: TargetSite, frame: number): void {
    if (this.#site !== site) this.#site = site;
    this.#frame = frame;
  }

  /// Not for handlers: of none, from now on.
  end(): void {
    this.#frame = 0;
  }

  /// The site that was called. Throws EINVAL, as everything here does, when the handler is over: copy what you need later.
  get site(): TargetSite {
    return this.#frame === 0 ? this.#over() : this.#site!;
  }

  /// Name of the function.
  get name(): string {
    return this.site.name;
  }

  /// Address of the site (`ip`).
  get func(): TargetSite['ip'] {
    return this.site.ip;
  }

  /// Recorded frames below this one on the task; the outermost has 0. The same at entry and at return.
  get depth(): number {
    return this.#frame === 0 ? this.#over() : this.#memory.load32(this.#home() + layout.TASK_DEPTH) | 0;
  }

  /// Calls on this task that found no room on its shadow stack so far.
  get overrun(): number {
    return this.#frame === 0 ? this.#over() : this.#memory.load32(this.#home() + layout.TASK_OVERRUN);
  }

  /// Where the function returns to. Without a CPU: address of the nearest enclosing function that is recorded; 0 when the host
  /// called.
  get parent(): number | bigint {
    return this.#address(layout.FRAME_RET);
  }

  /// Identity of the return slot. Without a CPU: of the activation of `parent`, as an address in the engine's memory; 0 for the
  /// host's.
  get retp(): number | bigint {
    return this.#address(layout.FRAME_RETP);
  }

  /// The task on whose stack the frame is: the current one, unless the handler has switched tasks.
  #home(): number {
    return this.#memory.taskOf(this.#frame, this.#task());
  }

  #address(offset: number): number | bigint {
    if (this.#frame === 0) return this.#over();
    return this.#memory.loadAddress(this.#frame + offset, this.site.ip);
  }

  #over(): never {
    throw new EngineError('EINVAL', 'the event was read after its handler had returned; copy what you need later');
  }
}
