// What the additions look like in each section.

import { EXPORT_CALL, EXPORT_SET, EXPORT_START, EXPORT_TABLE, SLOT_COUNT } from './abi.ts';
import type { Additions } from './additions.ts';
import { ByteWriter } from './byte-writer.ts';
import { writeChoice } from './choice.ts';
import { writeConst, writeRefNull } from './face-groups.ts';
import type { FacePlan } from './faces.ts';
import * as op from './opcodes.ts';
import {
  type ModuleInfo,
  SECTION_ELEMENT,
  SECTION_EXPORT,
  SECTION_FUNCTION,
  SECTION_GLOBAL,
  SECTION_TABLE,
  SECTION_TYPE,
} from './reader.ts';
import { EMPTY, FUNCREF, I32, isReference, typeName, writeType } from './types.ts';
import type { Extension } from './writer.ts';

/// Body of EXPORT_SET, (index, value) → (): an index past the end sets nothing.
export function writeSetter(out: ByteWriter, additions: Additions): void {
  const count = additions.settable;
  out.u8(0); // locals
  out.op(op.OP_LOCAL_GET, 0);
  writeConst(out, count);
  out.u8(op.OP_I32_GE_U);
  out.pair(op.OP_IF, EMPTY);
  out.u8(op.OP_RETURN);
  out.u8(op.OP_END);
  writeChoice(
    out,
    count,
    () => out.op(op.OP_LOCAL_GET, 0),
    (k) => {
      out.op(op.OP_LOCAL_GET, 1);
      out.op(op.OP_GLOBAL_SET, additions.any + k);
    },
  );
  out.u8(op.OP_END);
}

/// What is appended to each section but the code section. `setter` is the first appended function.
export function extensions(
  module: ModuleInfo,
  additions: Additions,
  plan: FacePlan,
  setter: number,
  deferStart: boolean,
): Map<number, Extension> {
  const faced = plan.faces.length > 0;
  const found = new Map<number, Extension>();
  const extend = (id: number, count: number, write: (out: ByteWriter) => void) => {
    if (count === 0) return;
    const bytes = new ByteWriter();
    write(bytes);
    found.set(id, { count, bytes });
  };

  extend(SECTION_TYPE, additions.pool.added.length, (out) => additions.pool.write(out));
  extend(SECTION_FUNCTION, additions.functions.length, (out) => {
    for (const { type } of additions.functions) out.u32(type);
  });
  extend(SECTION_TABLE, faced ? 2 : 1, (out) => {
    for (const size of faced ? [SLOT_COUNT, plan.faces.length] : [SLOT_COUNT]) {
      out.pair(FUNCREF, 1); // 1: has a maximum
      out.u32(size);
      out.u32(size);
    }
  });
  const plain = additions.settable;
  extend(SECTION_GLOBAL, plain + additions.spills.length, (out) => {
    for (let i = 0; i < plain; i++) writeGlobal(out, I32);
    for (const type of additions.spills) writeGlobal(out, type);
  });
  extend(SECTION_EXPORT, 2 + (faced ? 1 : 0) + (deferStart ? 1 : 0), (out) => {
    writeExport(out, EXPORT_TABLE, 1, additions.table);
    writeExport(out, EXPORT_SET, 0, setter);
    if (faced) writeExport(out, EXPORT_CALL, 0, setter + 1);
    if (deferStart) writeExport(out, EXPORT_START, 0, module.start!);
  });
  extend(SECTION_ELEMENT, faced ? 1 : 0, (out) => {
    out.u8(2); // active, with a table index
    out.u32(additions.facesTable);
    writeConst(out, 0);
    out.u8(op.OP_END);
    out.u8(0); // functions
    out.u32(plan.faces.length);
    for (const index of plan.faces) out.u32(index);
  });
  return found;
}

function writeExport(out: ByteWriter, name: string, kind: number, index: number): void {
  out.name(name);
  out.u8(kind);
  out.u32(index);
}

const ZERO_BYTES: Record<string, readonly number[]> = {
  i32: [op.OP_I32_CONST, 0],
  i64: [op.OP_I64_CONST, 0],
  f32: [0x43, 0, 0, 0, 0],
  f64: [0x44, 0, 0, 0, 0, 0, 0, 0, 0],
};

// Mutable, zero.
function writeGlobal(out: ByteWriter, type: number): void {
  writeType(out, type);
  out.u8(1);
  if (isReference(type)) writeRefNull(out, type);
  else for (const byte of ZERO_BYTES[typeName(type)]!) out.u8(byte);
  out.u8(op.OP_END);
}
