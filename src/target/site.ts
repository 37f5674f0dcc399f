// The functions of a WebAssembly module as a target lists them.

import type { Signature } from '../regs.ts';
import { FunctionName } from '../symbols/function-name.ts';
import type { SymbolNames } from '../symbols/function-names.ts';
import type { Locations, SourceLocation } from '../symbols/locations.ts';
import type { NotraceFunction, TargetSite } from './target.ts';

/// Where a function lies in its module.
export interface Body {
  readonly index: number;
  /// Of its first byte behind the size field, in the file.
  readonly offset: number;
  readonly size: number;
}

export class WasmSite extends FunctionName implements TargetSite {
  readonly id: number;
  readonly ip: number;
  readonly index: number;
  readonly types: Signature | undefined;
  readonly #offset: number;
  readonly #size: number;
  readonly #locations: Locations;

  constructor(
    id: number,
    ip: number,
    body: Body,
    names: SymbolNames,
    locations: Locations,
    types: Signature | undefined,
  ) {
    super(names.symbol, names.other);
    this.id = id;
    this.ip = ip;
    this.index = body.index;
    this.#offset = body.offset;
    this.#size = body.size;
    this.#locations = locations;
    this.types = types;
  }

  get location(): SourceLocation | undefined {
    return this.#locations.find(this.#offset, this.#size);
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
