// The site that a handler was called for last, and what goes with it: mostly it is the site of the next call too.

import type { Memory } from './memory.ts';
import type { Aim, AimedRegs, Signature } from './regs.ts';
import type { Sites } from './sites.ts';
import type { TargetSite } from './target/target.ts';

const HIGH = 2 ** 32;

export class LastSite {
  id = -1;
  site!: TargetSite;
  regs!: AimedRegs;
  aim!: Aim;
  types: Signature | undefined = undefined;
  /// The site's address, in a field that holds anything: out of one that holds numbers alone it would be copied each time.
  ip: TargetSite['ip'] = undefined as never;
  readonly #sites: Sites;
  readonly #memory: Memory;
  #low = 0;
  #high = 0;
  #address: TargetSite['ip'] = undefined as never;

  constructor(sites: Sites, memory: Memory) {
    this.#sites = sites;
    this.#memory = memory;
  }

  look(id: number): void {
    this.site = this.#sites.byId(id);
    this.regs = this.#sites.regs(id);
    this.aim = this.regs.aim;
    this.types = this.site.types;
    this.ip = this.site.ip;
    this.id = id;
    this.#low = this.#high = 0;
    this.#address = typeof this.ip === 'bigint' ? 0n : 0;
  }

  /// The address at `at` in memory, whose `words` are given, written as the site's own is. Mostly it is the one of last time.
  address(words: Uint32Array, at: number): TargetSite['ip'] {
    const low = words[at >>> 2] | 0;
    const high = words[(at >>> 2) + 1] | 0;
    if (low !== this.#low || high !== this.#high) {
      this.#low = low;
      this.#high = high;
      this.#address = typeof this.ip === 'bigint' ? this.#memory.u64[at >>> 3]! : (high >>> 0) * HIGH + (low >>> 0);
    }
    return this.#address;
  }
}
