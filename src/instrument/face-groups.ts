// How a call from outside leaves the module and comes back: the face hands its arguments to the host, and the host calls
// the function again, this time as a call from inside. Values cross through globals, so the host needs no signatures.
//
//   face prologue         (arguments, face) ──► passer(T)
//     passer(T)             arguments → spill globals, SIGNATURE = T, SLOT_ROOT(face) ──► host: … EXPORT_CALL(face) …
//       caller (EXPORT_CALL)  spill globals → arguments, VIA = 1, call the face's function, results → spill globals
//     passer(T)             if the host did not carry the call out: caller(face).  Spill globals → results
//   face prologue         return
//
// Spill globals are shared by all signatures: the k-th value of a type, parameter or result, uses the k-th global of
// that type. Parameters are off them before results come on. References are cleared as soon as they are read, so that
// nothing is kept alive.

import { SLOT_ROOT } from './abi.ts';
import type { Additions } from './additions.ts';
import type { ByteWriter } from './byte-writer.ts';
import { writeChoice } from './choice.ts';
import * as op from './opcodes.ts';
import type { ModuleInfo } from './reader.ts';
import { asNullable, EMPTY, type FuncType, I32, isNullable, isReference, type ValType, writeHeap } from './types.ts';

// A passer takes the face besides the function's own parameters, of which there may already be the most that an
// engine accepts. Such a function spills by itself.
const PARAMS_MAX = 1000;

/// Faced functions of one signature.
export interface FaceGroup {
  readonly func: FuncType;
  /// Type index to call them by.
  readonly type: number;
  /// Function `(params…, face) → (results…)`, or `(face) → (results…)` when `spillsItself`.
  readonly passer: number;
  readonly spillsItself: boolean;
  readonly params: readonly number[];
  readonly results: readonly number[];
}

export class FaceGroups {
  readonly #module: ModuleInfo;
  readonly #additions: Additions;
  readonly #groups: FaceGroup[] = [];
  readonly #byType = new Map<number, FaceGroup>();
  readonly #pools = new Map<ValType, number[]>();
  readonly #signature: number = -1;

  constructor(module: ModuleInfo, additions: Additions, faces: readonly number[]) {
    this.#module = module;
    this.#additions = additions;
    if (faces.length === 0) return;
    this.#signature = additions.addSpill(I32);
    // Reserves the index after the setter before the groups take theirs.
    this.caller = additions.addFunction(additions.leaveType, (out) => this.#writeCaller(out));
    for (const index of faces) this.#add(index);
  }

  /// Function index of EXPORT_CALL.
  readonly caller: number = -1;

  of(index: number): FaceGroup {
    return this.#byType.get(this.#typeOf(index))!;
  }

  #typeOf(index: number): number {
    return this.#additions.pool.canonical(this.#module.functionTypes[index]!);
  }

  #add(index: number): void {
    const type = this.#typeOf(index);
    if (this.#byType.has(type)) return;
    const additions = this.#additions;
    const func = this.#module.types[type]!.func!;
    const number = this.#groups.length;
    const params = this.#spillsFor(func.params);
    const results = this.#spillsFor(func.results);
    const spillsItself = func.params.length >= PARAMS_MAX;
    const passerType = additions.pool.index(spillsItself ? [I32] : [...func.params, I32], func.results);
    const passer = additions.addFunction(passerType, (out) => this.#writePasser(out, group, number));
    const group: FaceGroup = { func, type, passer, spillsItself, params, results };
    this.#groups.push(group);
    this.#byType.set(type, group);
  }

  #spillsFor(types: readonly ValType[]): number[] {
    const used = new Map<ValType, number>();
    return types.map((type) => {
      const key = asNullable(type);
      const pool = this.#pools.get(key) ?? [];
      this.#pools.set(key, pool);
      const k = used.get(key) ?? 0;
      used.set(key, k + 1);
      pool[k] ??= this.#additions.addSpill(key);
      return pool[k];
    });
  }

  #writePasser(out: ByteWriter, group: FaceGroup, number: number): void {
    const face = group.spillsItself ? 0 : group.params.length;
    out.u8(0); // locals
    if (!group.spillsItself) writeSpills(out, group);
    writeConst(out, number);
    out.op(op.OP_GLOBAL_SET, this.#signature);
    out.op(op.OP_LOCAL_GET, face);
    this.#additions.writeSlotCall(out, SLOT_ROOT, this.#additions.rootType);
    out.u8(op.OP_I32_EQZ);
    out.pair(op.OP_IF, EMPTY);
    out.op(op.OP_LOCAL_GET, face);
    out.op(op.OP_CALL, this.caller);
    out.u8(op.OP_END);
    writeLoads(out, group.func.results, group.results);
    out.u8(op.OP_END);
  }

  #writeCaller(out: ByteWriter): void {
    const additions = this.#additions;
    out.u8(0); // locals
    writeChoice(
      out,
      this.#groups.length,
      () => out.op(op.OP_GLOBAL_GET, this.#signature),
      (number) => {
        const group = this.#groups[number]!;
        writeLoads(out, group.func.params, group.params);
        writeVia(out, additions, 1);
        out.op(op.OP_LOCAL_GET, 0);
        out.op(op.OP_CALL_INDIRECT, group.type);
        out.u32(additions.facesTable);
        for (let i = group.results.length - 1; i >= 0; i--) out.op(op.OP_GLOBAL_SET, group.results[i]!);
        // A call through a reference inside may have reached a foreign function, which leaves VIA as it was.
        writeVia(out, additions, 0);
      },
    );
    out.u8(op.OP_END);
  }
}

export function writeConst(out: ByteWriter, value: number): void {
  out.u8(op.OP_I32_CONST);
  out.s32(value);
}

export function writeVia(out: ByteWriter, additions: Additions, value: 0 | 1): void {
  out.pair(op.OP_I32_CONST, value);
  out.op(op.OP_GLOBAL_SET, additions.via);
}

/// Parameters → spill globals.
export function writeSpills(out: ByteWriter, group: FaceGroup): void {
  group.params.forEach((global, i) => {
    out.op(op.OP_LOCAL_GET, i);
    out.op(op.OP_GLOBAL_SET, global);
  });
}

// Spill globals → stack; references are cleared behind it.
function writeLoads(out: ByteWriter, types: readonly ValType[], globals: readonly number[]): void {
  types.forEach((type, i) => {
    out.op(op.OP_GLOBAL_GET, globals[i]!);
    if (!isReference(type)) return;
    if (!isNullable(type)) out.u8(op.OP_REF_AS_NON_NULL);
    writeClear(out, type, globals[i]!);
  });
}

export function writeRefNull(out: ByteWriter, type: ValType): void {
  out.u8(op.OP_REF_NULL);
  writeHeap(out, type);
}

function writeClear(out: ByteWriter, type: ValType, global: number): void {
  writeRefNull(out, type);
  out.op(op.OP_GLOBAL_SET, global);
}
