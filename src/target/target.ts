// What can be traced, behind one contract. A target owns a run of site ids in the engine and the switches in front of
// them; it knows nothing of who is watching.

import type { AimedRegs, Signature } from '../regs.ts';
import type { SourceLocation } from '../symbols/locations.ts';
import type { Param } from '../trace/words.ts';

/// One patchable function entry of a target.
export interface TargetSite {
  /// Engine-wide site id.
  readonly id: number;
  /// Address of the site. On targets without a CPU a number, target number × 2^32 + the target's own offset, below 2^53; on a
  /// machine the location, a bigint.
  readonly ip: number | bigint;
  /// Index of the function in the target's own numbering.
  readonly index: number;
  /// The name that is shown: demangled, without parameters.
  readonly name: string;
  /// Its other forms, which filters match too: with parameters, mangled. None = the name has one form.
  readonly aliases?: readonly string[];
  /// Where the function begins in its source, as far as debug information tells; read when it is asked for.
  readonly location?: SourceLocation;
  /// Whether interrupts enter here.
  readonly isInterrupt?: boolean;
  /// Whether clients of its entries can have the full set of registers (spec/arch.md §2, WITH_REGS).
  readonly hasFullRegs?: boolean;
  /// Types of parameters and results, where the target knows them.
  readonly types?: Signature;
  /// Bytes of the function, where the target has code.
  readonly size?: number;
  /// How its arguments are printed; null: there is no type information. Undefined: every word as one that is not known.
  readonly params?: readonly Param[] | null;
}

/// A function that has no site, and why.
export interface NotraceFunction {
  readonly index: number;
  readonly name: string;
  readonly reason: string;
}

export interface Target {
  readonly name: string;
  /// Number of the target within its tracer, from 1.
  readonly number: number;
  /// Engine site id of `sites[0]`; the others follow it.
  readonly firstSite: number;
  readonly sites: readonly TargetSite[];
  readonly notrace: readonly NotraceFunction[];
  /// How handlers see the registers of its calls; without it, as the words that the engine was given.
  readonly regs?: AimedRegs;
  /// Opens and closes gates: bit `k & 31` of `words[k >> 5]` is the gate of `sites[k]`. Takes effect at the next call.
  setGates(words: Uint32Array): void;
  /// Tells the target that somebody watches some target of the engine, or that nobody does any more.
  setWatched(watched: boolean): void;
  /// Takes frames off the shadow stack that calls left behind without any notice, if there can be such calls. False while
  /// there still can be, because they are under way.
  settle(): boolean;
  /// Puts back what attaching has replaced, where it has. No gate opens any more.
  detach?(): void;
}
