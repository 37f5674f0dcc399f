// Plain ops as the model keeps them: a table of slots, each with a set of sites; who is next is searched for every time.

import * as layout from '../../assembly/layout.ts';
import type { ModelOps } from './model-parts.ts';

const FIRST_SLOTS = 16;

export class ModelOpsTable {
  readonly #slots: { generation: number; ops?: ModelOps }[] = [];
  /// Free slots, the next one last.
  readonly #free: number[] = [];
  #serial = 0;
  /// How many have handlers.
  calling = 0;
  /// How many are attached to each site.
  readonly #attached: number[] = [];

  register(kind: number, handler: number, flags: number): number {
    if (this.#free.length === 0) {
      const had = this.#slots.length;
      const slots = had * 2 || FIRST_SLOTS;
      for (let slot = had; slot < slots; slot++) this.#slots.push({ generation: 1 });
      for (let slot = slots - 1; slot >= had; slot--) this.#free.push(slot);
    }
    const slot = this.#free.pop()!;
    const serial = ++this.#serial;
    const isDirect = (flags & layout.OPS_FL_DIRECT) !== 0;
    const ops = { kind, handler, flags, serial: isDirect ? 0 : serial, sites: new Set<number>() };
    this.#slots[slot].ops = ops;
    if (kind !== layout.OPS_FUNCTION) this.calling++;
    return this.handle(ops);
  }

  handle(ops: ModelOps): number {
    const slot = this.#slots.findIndex((entry) => entry.ops === ops);
    return (this.#slots[slot].generation << layout.OPS_SLOT_BITS) | slot;
  }

  find(handle: number): ModelOps | undefined {
    const entry = this.#slots[handle & layout.OPS_SLOT_MASK];
    return entry && entry.generation === handle >>> layout.OPS_SLOT_BITS ? entry.ops : undefined;
  }

  remove(handle: number): void {
    const slot = handle & layout.OPS_SLOT_MASK;
    const ops = this.#slots[slot].ops!;
    if (ops.kind !== layout.OPS_FUNCTION) this.calling--;
    for (const site of ops.sites) this.#attached[site]--;
    this.#slots[slot] = { generation: this.#slots[slot].generation + 1 };
    this.#free.push(slot);
  }

  want(handle: number, site: number, on: boolean): number {
    const ops = this.find(handle);
    if (!ops) return -layout.EINVAL;
    if (!on) {
      if (ops.sites.delete(site)) this.#attached[site]--;
    } else if (!ops.sites.has(site)) {
      const isTaken = this.#slots.some((entry) => entry.ops?.serial === 0 && entry.ops.sites.has(site));
      if (ops.serial === 0 && isTaken) return -layout.EBUSY;
      ops.sites.add(site);
      this.#attached[site] = this.count(site) + 1;
    }
    return 0;
  }

  /// How many ops are attached to a site.
  count(site: number): number {
    return this.#attached[site] ?? 0;
  }

  /// The newest registration at a site that is older than `serial`.
  after(site: number, serial: number): ModelOps | undefined {
    let found: ModelOps | undefined;
    for (const { ops } of this.#slots) {
      if (ops?.sites.has(site) && ops.serial < serial && ops.serial > (found?.serial ?? -1)) found = ops;
    }
    return found;
  }
}
