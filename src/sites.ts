// All sites of all targets, by the engine's ids and by address. Sites stay known when their target is detached: what was
// recorded of them is still there to be read.

import type { Memory } from './memory.ts';
import { type AimedRegs, WordRegs } from './regs.ts';
import type { Target, TargetSite } from './target/target.ts';

export class Sites {
  readonly #byId: TargetSite[] = [];
  readonly #byIp = new Map<number, TargetSite>();
  /// By id, of targets that show registers of their own.
  readonly #regs: AimedRegs[] = [];
  readonly #words: AimedRegs;

  constructor(memory: Memory) {
    this.#words = new WordRegs(memory);
  }

  add(target: Target): void {
    for (const site of target.sites) {
      this.#byId[site.id] = site;
      this.#byIp.set(site.ip, site);
      if (target.regs) this.#regs[site.id] = target.regs;
    }
  }

  /// The site with this id, which the engine gave.
  byId(id: number): TargetSite {
    return this.#byId[id];
  }

  byIp(ip: number): TargetSite | undefined {
    return this.#byIp.get(ip);
  }

  /// The site whose address this is, however it is written; undefined when there is none.
  at(address: number | bigint): TargetSite | undefined {
    return this.#byIp.get(Number(address));
  }

  /// The name of the function at a site, its id where nobody knows one.
  symbol(id: number): string {
    return this.#byId[id]?.name ?? `0x${id.toString(16).padStart(8, '0')}`;
  }

  /// How the registers of a call of this site are read.
  regs(id: number): AimedRegs {
    return this.#regs[id] ?? this.#words;
  }
}
