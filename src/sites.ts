// All sites of all targets, by the engine's ids and by address. Sites stay known when their target is detached: what was
// recorded of them is still there to be read.

import type { Memory } from './memory.ts';
import { type AimedRegs, WordRegs } from './regs.ts';
import { Machine } from './target/machine.ts';
import type { MachineSite } from './target/machine-symbols.ts';
import { unknownParams } from './target/params.ts';
import type { Target, TargetSite } from './target/target.ts';
import type { Param } from './trace/words.ts';

export class Sites {
  readonly #byId: TargetSite[] = [];
  readonly #byIp = new Map<number | bigint, TargetSite>();
  /// Of machines: first address → the function that begins there.
  readonly #machines: MachineSite[][] = [];
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
    if (target instanceof Machine) {
      this.#machines.push([...target.sites]);
      for (const site of target.sites)
        if (!this.#byIp.has(site.symbol.address)) this.#byIp.set(site.symbol.address, site);
    }
  }

  /// The site with this id, which the engine gave.
  byId(id: number): TargetSite {
    return this.#byId[id];
  }

  /// The site whose address this is, however it is written; of a machine's function also the address where it begins. Undefined
  /// when there is none.
  at(address: number | bigint): TargetSite | undefined {
    const exact = this.#byIp.get(address);
    if (exact || (typeof address === 'number' && !Number.isSafeInteger(address))) return exact;
    return this.#byIp.get(typeof address === 'bigint' ? Number(address) : BigInt(address));
  }

  /// The function that an address is in: a site, or somewhere in a machine's function.
  around(address: number | bigint): TargetSite | undefined {
    if (typeof address === 'number') return this.#byIp.get(address);
    for (const sites of this.#machines) {
      let low = 0;
      let high = sites.length;
      while (low < high) {
        const middle = (low + high) >>> 1;
        if (sites[middle]!.symbol.address <= address) low = middle + 1;
        else high = middle;
      }
      const site = sites[low - 1];
      if (site && address < site.symbol.address + BigInt(site.symbol.size)) return site;
    }
    return undefined;
  }

  /// The same for an address as a recorder stored it, of whatever target.
  function(address: bigint): TargetSite | undefined {
    return this.around(address) ?? this.around(Number(address));
  }

  /// Such an address in words: `name+0x10/0x20`, offset and size as far as they are known.
  caller(address: bigint): string {
    if (address === 0n) return '[host]';
    const site = this.function(address);
    if (!site) return `0x${address.toString(16).padStart(8, '0')}`;
    const [from, size] = typeof site.ip === 'bigint' ? placeOf(site as MachineSite) : [BigInt(site.ip), site.size];
    return size === undefined ? site.name : `${site.name}+0x${(address - from).toString(16)}/0x${size.toString(16)}`;
  }

  /// How `count` words of arguments of a site are printed; null: there is no type information.
  params(id: number, count: number): readonly Param[] | null {
    const params = this.#byId[id]?.params;
    return params === undefined ? unknownParams(count) : params;
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

const placeOf = ({ symbol }: MachineSite): [from: bigint, size: number] => [symbol.address, symbol.size];
