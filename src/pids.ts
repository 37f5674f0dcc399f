// Pid filters (spec/fgraph.md §3, §11): which tasks a client passes over. The engine has a word per task that says who does; it is
// worked out here when a filter is edited and when a task begins. Only entries are passed over: what was entered returns.

import * as layout from '../assembly/layout.ts';
import { type Engine, EngineError } from './engine.ts';
import { badRange, badType, shown } from './errors.ts';
import { readArray } from './options.ts';
import type { Task, TaskObserver, Tasks } from './tasks.ts';

export const PID_MAX = 2 ** 31 - 1;

/// The lists of one client. One that is there and empty is not the same as none: it may have been emptied by tasks that exited.
export interface PidFilter {
  /// Tasks to watch; none: all.
  pids?: readonly number[];
  /// Tasks not to watch, whatever `pids` says.
  notracePids?: readonly number[];
}

/// Whose filter it is, and by what number the engine knows that client.
interface Owner {
  readonly client: number;
}

/// `undefined` for an empty list. Throws TypeError or RangeError for what is no list of pids.
export function checkPids(what: string, value: unknown): readonly number[] | undefined {
  if (value === undefined) return undefined;
  const pids = readArray(what, value);
  if (!pids) throw badType(`${what}: the pids are ${shown(value)}, expected an array of numbers`);
  const wrong = pids.find((pid) => !Number.isInteger(pid) || (pid as number) < 0 || (pid as number) > PID_MAX);
  if (wrong !== undefined || pids.includes(undefined)) {
    throw badRange(`${what}: a pid is ${shown(wrong)}, expected a whole number from 0 to ${PID_MAX}`);
  }
  return pids.length === 0 ? undefined : Object.freeze(pids as number[]); // the caller may see it, `setPids` alone edits it
}

const ignores = ({ pids, notracePids }: PidFilter, pid: number): boolean =>
  (pids !== undefined && !pids.includes(pid)) || (notracePids?.includes(pid) ?? false);

/// Replaces each of the lists that has `pid`.
function edit(filter: PidFilter, pid: number, change: (pids: readonly number[]) => readonly number[]): void {
  for (const list of ['pids', 'notracePids'] as const) {
    const pids = filter[list];
    if (pids?.includes(pid)) filter[list] = Object.freeze(change(pids));
  }
}

export class Pids implements TaskObserver {
  readonly #engine: Engine;
  readonly #tasks: Tasks;
  readonly #filters = new Map<Owner, { readonly filter: PidFilter; readonly bit: number }>();
  /// `function-fork`: in the lists that have a task are also those that it forks, and who exits is taken out.
  follows = false;

  constructor(engine: Engine, tasks: Tasks) {
    this.#engine = engine;
    this.#tasks = tasks;
    tasks.observe(this);
  }

  begin(task: Task, parent?: Task): void {
    if (this.follows && parent) {
      for (const { filter } of this.#filters.values()) {
        edit(filter, parent.pid, (pids) => (pids.includes(task.pid) ? pids : [...pids, task.pid]));
      }
    }
    this.#tell(task);
  }

  end({ pid }: Task): void {
    if (!this.follows) return;
    for (const { filter } of this.#filters.values()) edit(filter, pid, (pids) => pids.filter((other) => other !== pid));
  }

  #tell({ pid, address }: Task): void {
    let mask = 0;
    for (const { filter, bit } of this.#filters.values()) if (ignores(filter, pid)) mask |= bit;
    this.#engine.exports.task_ignore(address, mask);
  }

  /// Makes `filter` that of a client that is registered, and edits it from then on as tasks fork and exit. Throws ENOSPC, and
  /// nothing has changed then.
  set(owner: Owner, filter: PidFilter): void {
    const bit = this.#filters.get(owner)?.bit ?? this.#bitFor(owner.client);
    this.#filters.set(owner, { filter, bit });
    this.#apply();
  }

  /// The client goes, or watches all tasks from now on.
  remove(owner: Owner): void {
    if (!this.#filters.delete(owner)) return;
    if (owner.client >= layout.FGRAPH_ARRAY_SIZE) this.#engine.memory.setOpsPids(owner.client, 0);
    this.#apply();
  }

  #apply(): void {
    for (const task of this.#tasks.all) this.#tell(task);
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
