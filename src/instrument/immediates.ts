// Passing over the immediates of one instruction. What refers to an index space that the instrumenter extends is
// checked here: an index one past the end must stay an error, and not become one of our additions. Everything else is
// copied as it stands, so the engine's own validation still sees it.

import { WasmFormatError } from '../errors.ts';
import { badIndex, type Cursor, hex } from './cursor.ts';
import * as op from './opcodes.ts';
import { EMPTY, readHeap, readType } from './types.ts';

/// How many entries each index space has, imports included.
export interface IndexSpaces {
  types: number;
  functions: number;
  tables: number;
  globals: number;
  tags: number;
  elements: number;
}

const U32_MAX_BYTES = 5;
const U64_MAX_BYTES = 10;
const MEMARG_HAS_MEMORY = 0x40;

/// Passes a block type.
export function skipBlockType(cursor: Cursor, types: number): void {
  const { pos } = cursor;
  const first = cursor.bytes[pos]!;
  if (first === EMPTY && pos < cursor.end) {
    cursor.pos++;
    return;
  }
  // A clear bit 6 in a single byte, or a first byte of several, is a type index.
  if (first >= 0x80 || first < 0x40) {
    const index = cursor.s33('a block type');
    if (index >= types) throw badIndex(pos, 'type', index, types);
    if (index < 0 && index !== EMPTY - 0x80) throw new WasmFormatError(pos, 'unknown block type', 'a block type');
    return;
  }
  readType(cursor, types);
}

/// Passes alignment, memory index and offset. The offset may be 64 bits long, since the memory may be.
export function skipMemarg(cursor: Cursor): void {
  const flags = cursor.u32('an alignment');
  if ((flags & MEMARG_HAS_MEMORY) !== 0) cursor.skipLeb(U32_MAX_BYTES, 'a memory index');
  cursor.skipLeb(U64_MAX_BYTES, 'a memory offset');
}

/// Passes the immediates of an instruction whose opcode has been read. `kind` is the table's; labels are passed over
/// unchecked, prefixes and kinds that only the rewriter can judge are refused.
export function skipImmediates(cursor: Cursor, kind: number, spaces: IndexSpaces): void {
  switch (kind) {
    case op.IMM_NONE:
    case op.IMM_RETURN:
    case op.IMM_CATCH_ALL:
      return;
    case op.IMM_I32:
      cursor.skipLeb(U32_MAX_BYTES, 'an i32 constant');
      return;
    case op.IMM_I64:
      cursor.skipLeb(U64_MAX_BYTES, 'an i64 constant');
      return;
    case op.IMM_F32:
      cursor.skip(4, 'an f32 constant');
      return;
    case op.IMM_F64:
      cursor.skip(8, 'an f64 constant');
      return;
    case op.IMM_MEMARG:
      skipMemarg(cursor);
      return;
    case op.IMM_MEMARG_LANE:
      skipMemarg(cursor);
      cursor.skip(1, 'a lane');
      return;
    case op.IMM_LANE:
    case op.IMM_BYTE:
      cursor.skip(1, 'a byte');
      return;
    case op.IMM_V128:
      cursor.skip(16, 'sixteen bytes');
      return;
    case op.IMM_FUNC:
    case op.IMM_REF_FUNC:
      cursor.index(spaces.functions, 'function');
      return;
    case op.IMM_GLOBAL:
      cursor.index(spaces.globals, 'global');
      return;
    case op.IMM_CALL_INDIRECT:
      cursor.index(spaces.types, 'type');
      cursor.index(spaces.tables, 'table');
      return;
    case op.IMM_CATCH:
    case op.IMM_TAG:
      cursor.index(spaces.tags, 'tag');
      return;
    case op.IMM_TABLE:
      cursor.index(spaces.tables, 'table');
      return;
    case op.IMM_TABLE_2:
      cursor.index(spaces.tables, 'table');
      cursor.index(spaces.tables, 'table');
      return;
    case op.IMM_MEMORY:
    case op.IMM_DATA:
      cursor.skipLeb(U32_MAX_BYTES, 'an index');
      return;
    case op.IMM_MEMORY_2:
    case op.IMM_DATA_MEMORY:
      cursor.skipLeb(U32_MAX_BYTES, 'an index');
      cursor.skipLeb(U32_MAX_BYTES, 'a memory index');
      return;
    case op.IMM_ELEM:
      cursor.index(spaces.elements, 'element segment');
      return;
    case op.IMM_ELEM_TABLE:
      cursor.index(spaces.elements, 'element segment');
      cursor.index(spaces.tables, 'table');
      return;
    case op.IMM_TYPES: {
      const count = cursor.count(1, 'value types');
      for (let i = 0; i < count; i++) readType(cursor, spaces.types);
      return;
    }
    case op.IMM_HEAP:
      readHeap(cursor, spaces.types);
      return;
    case op.IMM_TYPE:
    case op.IMM_CALL_REF:
      cursor.index(spaces.types, 'type');
      return;
    case op.IMM_TYPE_2:
      cursor.index(spaces.types, 'type');
      cursor.index(spaces.types, 'type');
      return;
    case op.IMM_TYPE_FIELD:
    case op.IMM_TYPE_COUNT:
    case op.IMM_TYPE_DATA:
      cursor.index(spaces.types, 'type');
      cursor.skipLeb(U32_MAX_BYTES, 'a number');
      return;
    case op.IMM_TYPE_ELEM:
      cursor.index(spaces.types, 'type');
      cursor.index(spaces.elements, 'element segment');
      return;
    default:
      throw new WasmFormatError(cursor.pos - 1, 'instruction out of place', 'an instruction that stands alone here');
  }
}

/// Passes a constant expression up to and including its `end`; hands every `ref.func` index to `mention`.
export function skipConstant(cursor: Cursor, spaces: IndexSpaces, mention: (index: number) => void): void {
  for (;;) {
    const at = cursor.pos;
    const code = cursor.u8('a constant expression');
    if (code === op.OP_END) return;
    let kind = op.PLAIN_KINDS[code]!;
    if (kind === op.IMM_PREFIX) {
      const sub = cursor.u32('an opcode');
      kind = op.prefixedKind(code, sub);
      if (kind === op.IMM_UNKNOWN) throw op.unknownOpcode(at, code, sub);
    } else if (kind === op.IMM_UNKNOWN) {
      throw op.unknownOpcode(at, code);
    }
    if (kind === op.IMM_REF_FUNC) mention(cursor.index(spaces.functions, 'function'));
    else if (isConstant(kind)) skipImmediates(cursor, kind, spaces);
    else throw new WasmFormatError(at, `${opcodeShown(code)}`, 'a constant instruction');
  }
}

// Whether an instruction is one of the constant ones is the engine's to decide; only what would need a level or a
// local cannot be passed over here.
function isConstant(kind: number): boolean {
  return kind !== op.IMM_LOCAL && kind !== op.IMM_LABEL && kind !== op.IMM_BLOCK && kind !== op.IMM_BR_TABLE;
}

function opcodeShown(code: number): string {
  return op.opcodeName(code) ?? hex(code);
}
