// The functions of a WebAssembly module as a target lists them.

import type { Signature } from '../regs.ts';
import { FunctionName } from '../symbols/function-name.ts';
import type { SymbolNames } from '../symbols/function-names.ts';
import type { SourceLocation } from '../symbols/locations.ts';
import type { NotraceFunction, TargetSite } from './target.ts';

/// Finds the source of the function whose body lies at this offset of the module.
export type Locate = (offset: number) => SourceLocation | undefined;

export class WasmSite extends FunctionName implements TargetSite {
  readonly id: number;
  readonly ip: number;
  readonly index: number;
  readonly types: Signature | undefined;
  readonly #offset: number;
  readonly #locate: Locate;

  constructor(
    id: number,
    ip: number,
    index: number,
    offset: number,
    names: SymbolNames,
    locate: Locate,
    types?: Signature,
  ) {
    super(names.symbol, names.other);
    this.id = id;
    this.ip = ip;
    this.index = index;
    this.#offset = offset;
    this.#locate = locate;
    this.types = types;
  }

  get location(): SourceLocation | undefined {
    return this.#locate(this.#offset);
  }
}

export class WasmNotrace extends FunctionName implements NotraceFunction {
  readonly index: number;
  readonly reason: string;

  constructor(index: number, reason: string, names: SymbolNames) {
    super(names.symbol, names.other);
    this.index = index;
    this.reason = reason;
  }
}
