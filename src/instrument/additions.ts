// Everything that is appended to a module, by index. Nothing of the module's own moves, since each addition goes to the
// end of its index space:
//
//   globals    ANY VIA BASE gate 0 … gate n−1 | SIGNATURE, spill globals (only with faces)
//   tables     the engine's slots | faces (only with faces)
//   functions  setter | caller, then per signature a passer (only with faces)
//   elements   one active segment that fills the faces table (only with faces)

import type { ByteWriter } from './byte-writer.ts';
import * as op from './opcodes.ts';
import type { ModuleInfo } from './reader.ts';
import { TypePool } from './type-pool.ts';
import { asNullable, I32, I64, type ValType } from './types.ts';

const GATE_SHIFT = 5;
const GATE_MASK = 31;

export class Additions {
  readonly pool: TypePool;
  /// Type of each appended function, by its distance from the module's last one, and the code that follows it.
  readonly functions: { type: number; body: (out: ByteWriter) => void }[] = [];
  /// Types of the globals that come after the gates; all mutable.
  readonly spills: ValType[] = [];
  readonly gateCount: number;
  readonly any: number;
  readonly via: number;
  readonly base: number;
  /// The engine's table.
  readonly table: number;
  /// The table of faces, when there are any.
  readonly facesTable: number;

  /// Type indices of the slots.
  readonly enterType: number;
  readonly leaveType: number;
  readonly saveType: number;
  readonly rootType: number;
  readonly #firstFunction: number;
  readonly #enterWords: number[] = [];
  #word: number | undefined;

  constructor(module: ModuleInfo, sites: number) {
    const { globals, tables, functions } = module.spaces;
    this.pool = new TypePool(module.types);
    this.gateCount = (sites + GATE_MASK) >>> GATE_SHIFT;
    this.any = globals;
    this.via = globals + 1;
    this.base = globals + 2;
    this.table = tables;
    this.facesTable = tables + 1;
    this.#firstFunction = functions;
    this.enterType = this.pool.index([I32], [I32]);
    this.leaveType = this.pool.index([I32], []);
    this.saveType = this.pool.index([], [I32]);
    this.rootType = this.enterType;
  }

  /// Global that holds the gate of a site.
  gateGlobal(site: number): number {
    return this.base + 1 + (site >>> GATE_SHIFT);
  }

  /// The site's bit in it, as an i32.
  gateBit(site: number): number {
    return 1 << (site & GATE_MASK);
  }

  /// How many globals the setter sets.
  get settable(): number {
    return 3 + this.gateCount;
  }

  /// Type of `SLOT_ENTER_WORDS + words − 1`, 1 ≤ `words` ≤ 16. Made when first asked for, as only some modules need it.
  enterWordsType(words: number): number {
    this.#enterWords[words] ??= this.pool.index([I32, ...new Array<ValType>(words).fill(I64)], [I32]);
    return this.#enterWords[words];
  }

  /// Type of `SLOT_LEAVE_VALUE` and `SLOT_WORD`.
  get wordType(): number {
    this.#word ??= this.pool.index([I32, I64], []);
    return this.#word;
  }

  addFunction(type: number, body: (out: ByteWriter) => void): number {
    return this.#firstFunction + this.functions.push({ type, body }) - 1;
  }

  addSpill(type: ValType): number {
    return this.base + 1 + this.gateCount + this.spills.push(asNullable(type)) - 1;
  }

  /// `i32.const slot ; call_indirect`, with the slot's arguments on the stack.
  writeSlotCall(out: ByteWriter, slot: number, type: number): void {
    out.pair(op.OP_I32_CONST, slot);
    out.op(op.OP_CALL_INDIRECT, type);
    out.u32(this.table);
  }
}
