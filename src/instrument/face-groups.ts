// How a call from outside leaves the module and comes back: the face hands its arguments to the host, and the host calls
// the function again, this time as a call from inside. Values cross through globals, so the host needs no signatures.
//
//   face prologue            arguments → spiller(T)          (its arguments) → spill globals, SIGNATURE = T
//     spiller(T)             call SLOT_ROOT(face) ─────────► host: … EXPORT_CALL(face) …
//       caller (EXPORT_CALL)   spill globals → arguments, VIA = 1, call the face's function, results → spill globals
//   face prologue            spill globals → results, return
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
import { asNullable, type FuncType, I32, isNullable, isReference, type ValType, writeHeap } from './types.ts';

// A spiller takes the face besides the function's own parameters, of which there may already be the most that an
// engine accepts. Such a function spills by itself.
const PARAMS_MAX = 1000;

/// Faced functions of one signature.
export interface FaceGroup {
  readonly func: FuncType;
  /// Type index to call them by.
  readonly type: number;
  /// Function `(params…, face) → done`, or `(face) → done` when `spillsItself`.
  readonly spiller: number;
  readonly spillsItself: boolean;
  /// Function `() → (results…)`; −1 when loading the globals is all there is to it.
  readonly taker: number;
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
    const spillerType = additions.pool.index(spillsItself ? [I32] : [...func.params, I32], [I32]);
    const spiller = additions.addFunction(spillerType, (out) => this.#writeSpiller(out, group, number));
    const taker = func.results.some(isReference)
      ? additions.addFunction(additions.pool.index([], func.results), (out) => this.#writeTaker(out, group))
      : -1;
    const group: FaceGroup = { func, type, spiller, spillsItself, taker, params, results };
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

  #writeSpiller(out: ByteWriter, group: FaceGroup, number: number): void {
    const face = group.spillsItself ? 0 : group.params.length;
    out.u8(0); // locals
    if (!group.spillsItself) writeSpills(out, group);
    writeConst(out, number);
    out.op(op.OP_GLOBAL_SET, this.#signature);
    out.op(op.OP_LOCAL_GET, face);
    this.#additions.writeSlotCall(out, SLOT_ROOT, this.#additions.rootType);
    if (group.func.params.some(isReference)) {
      // Not carried out: the caller never read the arguments, so they are dropped here.
      out.op(op.OP_LOCAL_TEE, face);
      out.u8(op.OP_I32_EQZ);
      out.pair(op.OP_IF, 0x40);
      group.func.params.forEach((type, i) => {
        if (isReference(type)) writeClear(out, type, group.params[i]!);
      });
      out.u8(op.OP_END);
      out.op(op.OP_LOCAL_GET, face);
    }
    out.u8(op.OP_END);
  }

  #writeTaker(out: ByteWriter, group: FaceGroup): void {
    out.u8(0); // locals
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
