// Pid filters (spec/fgraph.md §3, §11): which tasks a client passes over. The engine has a word per task that says who does; it is
// worked out here when a filter is edited and when a task begins. Only entries are passed over: what was entered returns.

import * as layout from '../assembly/layout.ts';
import { type Engine, EngineError } from './engine.ts';
import { badRange, badType, shown } from './errors.ts';
import { readArray } from './options.ts';
import type { Task, TaskObserver, Tasks } from './tasks.ts';

const PID_MAX = 2 ** 31 - 1;

export interface PidFilter {
  /// Tasks to watch; none: all.
  readonly pids: readonly number[];
  /// Tasks not to watch, whatever `pids` says.
  readonly notracePids: readonly number[];
}

/// Whose filter it is, and by what number the engine knows that client.
interface Owner {
  readonly client: number;
}

/// Throws TypeError or RangeError for what is no list of pids.
export function checkPids(what: string, value: unknown): readonly number[] {
  if (value === undefined) return [];
  const pids = readArray(what, value);
  if (!pids) throw badType(`${what}: the pids are ${shown(value)}, expected an array of numbers`);
  const wrong = pids.find((pid) => !Number.isInteger(pid) || (pid as number) < 0 || (pid as number) > PID_MAX);
  if (wrong !== undefined || pids.includes(undefined)) {
    throw badRange(`${what}: a pid is ${shown(wrong)}, expected a whole number from 0 to ${PID_MAX}`);
  }
  return Object.freeze(pids as number[]); // the caller may see it, and edit it by `setPids` alone
}

const ignores = ({ pids, notracePids }: PidFilter, pid: number): boolean =>
  (pids.length > 0 && !pids.includes(pid)) || notracePids.includes(pid);

export class Pids implements TaskObserver {
  readonly #engine: Engine;
  readonly #tasks: Tasks;
  readonly #filters = new Map<Owner, PidFilter & { readonly bit: number }>();

  constructor(engine: Engine, tasks: Tasks) {
    this.#engine = engine;
    this.#tasks = tasks;
    tasks.observe(this);
  }

  begin(task: Task): void {
    let mask = 0;
    for (const filter of this.#filters.values()) if (ignores(filter, task.pid)) mask |= filter.bit;
    this.#engine.exports.task_ignore(task.address, mask);
  }

  end(): void {}

  /// Makes `filter` that of a client that is registered. Throws ENOSPC, and nothing has changed then.
  set(owner: Owner, filter: PidFilter): void {
    const bit = this.#filters.get(owner)?.bit ?? this.#bitFor(owner.client);
    this.#filters.set(owner, { ...filter, bit });
    this.#apply();
  }

  /// The client goes, or watches all tasks from now on.
  remove(owner: Owner): void {
    if (!this.#filters.delete(owner)) return;
    if (owner.client >= layout.FGRAPH_ARRAY_SIZE) this.#engine.memory.setOpsPids(owner.client, 0);
    this.#apply();
  }

  #apply(): void {
    for (const task of this.#tasks.all) this.begin(task);
  }

  /// Users of the function graph have a bit each, plain ops share twelve.
  #bitFor(client: number): number {
    if (client < layout.FGRAPH_ARRAY_SIZE) return 1 << client;
    const taken = new Set(Array.from(this.#filters.values(), ({ bit }) => bit));
    for (let k = 0; k < layout.OPS_PIDS_COUNT; k++) {
      const bit = 1 << (layout.OPS_PIDS_SHIFT + k);
      if (taken.has(bit)) continue;
      this.#engine.memory.setOpsPids(client, bit);
      return bit;
    }
    throw new EngineError('ENOSPC', `${layout.OPS_PIDS_COUNT} function tracers have pid filters, clear one first`);
  }
}
