// The functions of a WebAssembly module as a target lists them.

import type { IndirectNameMap } from '../instrument/names.ts';
import type { Signature } from '../regs.ts';
import { FunctionName } from '../symbols/function-name.ts';
import type { SymbolNames } from '../symbols/function-names.ts';
import type { Locations, SourceLocation } from '../symbols/locations.ts';
import type { Param } from '../trace/words.ts';
import { wasmParams } from './params.ts';
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
  readonly size: number;
  readonly #locations: Locations;
  readonly #locals: () => IndirectNameMap;
  #params: readonly Param[] | null | undefined;

  constructor(
    id: number,
    ip: number,
    body: Body,
    names: SymbolNames,
    locations: Locations,
    types: Signature | undefined,
    locals: () => IndirectNameMap,
  ) {
    super(names.symbol, names.other);
    this.id = id;
    this.ip = ip;
    this.index = body.index;
    this.#offset = body.offset;
    this.size = body.size;
    this.#locations = locations;
    this.#locals = locals;
    this.types = types;
  }

  get location(): SourceLocation | undefined {
    return this.#locations.find(this.#offset, this.size);
  }

  /// Names are those of its locals in the name section, which is read when somebody asks for the first time.
  get params(): readonly Param[] | null {
    this.#params ??= this.types ? wasmParams(this.types, this.#locals().get(this.index)) : null;
    return this.#params;
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
