// Value types and the type section. A value type is a number here, so that signatures are plain arrays:
//
//   0x69 … 0x7f         the one-byte types; the references among them are nullable
//   NON_NULL + byte     (ref ht) of an abstract heap type
//   NULLABLE + index    (ref null $index)
//   CONCRETE + index    (ref $index)
//
// `(ref null func)` and `funcref` are one type with two encodings; both become 0x70.

import { WasmFormatError } from '../errors.ts';
import type { ByteWriter } from './byte-writer.ts';
import { type Cursor, hex } from './cursor.ts';

export type ValType = number;

export const I32 = 0x7f;
export const I64 = 0x7e;
export const F32 = 0x7d;
export const F64 = 0x7c;
export const V128 = 0x7b;
export const FUNCREF = 0x70;

const REF = 0x64;
const REF_NULL = 0x63;
const NON_NULL = 0x100;
const NULLABLE = 0x1000000;
const CONCRETE = 0x2000000;
const INDEX_MASK = 0xffffff;

/// Block type of a block without parameters and results.
export const EMPTY = 0x40;

const NUMBERS: Record<number, string> = { [I32]: 'i32', [I64]: 'i64', [F32]: 'f32', [F64]: 'f64', [V128]: 'v128' };

const HEAP: Record<number, string> = {
  116: 'noexn',
  115: 'nofunc',
  114: 'noextern',
  113: 'none',
  112: 'func',
  111: 'extern',
  110: 'any',
  109: 'eq',
  108: 'i31',
  107: 'struct',
  106: 'array',
  105: 'exn',
};

// The text format's short names do not follow the heap type's name where that begins with "no".
const SHORT: Record<number, string> = { 116: 'nullexnref', 115: 'nullfuncref', 114: 'nullexternref', 113: 'nullref' };

/// The type as the text format writes it: `i32`, `funcref`, `(ref null 3)`.
export function typeName(type: ValType): string {
  if (type >= CONCRETE) return `(ref ${type & INDEX_MASK})`;
  if (type >= NULLABLE) return `(ref null ${type & INDEX_MASK})`;
  if (type >= NON_NULL) return `(ref ${HEAP[type - NON_NULL]})`;
  return NUMBERS[type] ?? SHORT[type] ?? `${HEAP[type]}ref`;
}

export function isReference(type: ValType): boolean {
  return type < I32 - 4 || type > I32;
}

export function isNullable(type: ValType): boolean {
  return type < NON_NULL || (type >= NULLABLE && type < CONCRETE);
}

/// Index of the type that a reference names, −1 for every other type.
export function concreteIndex(type: ValType): number {
  return type >= NULLABLE ? type & INDEX_MASK : -1;
}

/// The abstract heap type's code, −1 when there is none.
export function abstractHeap(type: ValType): number {
  if (!isReference(type) || type >= NULLABLE) return -1;
  return type & 0xff;
}

export function asNullable(type: ValType): ValType {
  if (type >= CONCRETE) return type - CONCRETE + NULLABLE;
  return type >= NON_NULL && type < NULLABLE ? type - NON_NULL : type;
}

/// Has a default value, so that a local or a global may start with it.
export function isDefaultable(type: ValType): boolean {
  return isNullable(type);
}

/// A parameter or result of this type keeps a function from being called by JavaScript.
export function isForeignToJs(type: ValType): boolean {
  if (type === V128) return true;
  const heap = abstractHeap(type);
  return heap === 0x69 || heap === 0x74;
}

export function writeType(out: ByteWriter, type: ValType): void {
  if (type < NON_NULL) {
    out.u8(type);
    return;
  }
  out.u8(isNullable(type) ? REF_NULL : REF);
  writeHeap(out, type);
}

/// The heap type alone, as `ref.null` takes it.
export function writeHeap(out: ByteWriter, type: ValType): void {
  if (type >= NULLABLE) writeIndex33(out, type & INDEX_MASK);
  else out.u8(type & 0xff);
}

/// A type index where a signed 33-bit number stands: bit 6 of the last byte is its sign.
export function writeIndex33(out: ByteWriter, index: number): void {
  out.s32(index);
}

/// Heap type: negative code or type index below `types`. Returned as the nullable reference to it.
export function readHeap(cursor: Cursor, types: number): ValType {
  const start = cursor.pos;
  const heap = cursor.s33('a heap type');
  if (heap >= 0) {
    if (heap < types) return NULLABLE + heap;
    throw new WasmFormatError(start, `type ${heap}`, `a type below ${types}`);
  }
  const code = heap & 0x7f;
  if (heap >= -64 && HEAP[code] !== undefined) return code;
  throw new WasmFormatError(start, `unknown heap type ${hex(code)}`, 'an abstract heap type or a type index');
}

export function readType(cursor: Cursor, types: number): ValType {
  const start = cursor.pos;
  const code = cursor.u8('a value type');
  if (NUMBERS[code] !== undefined || HEAP[code] !== undefined) return code;
  if (code === REF_NULL) return readHeap(cursor, types);
  if (code !== REF) throw new WasmFormatError(start, `unknown value type ${hex(code)}`, 'a value type');
  const heap = readHeap(cursor, types);
  return heap >= NULLABLE ? heap - NULLABLE + CONCRETE : heap + NON_NULL;
}

export interface FuncType {
  readonly params: readonly ValType[];
  readonly results: readonly ValType[];
}

/// One entry of the type index space. `func` is absent for structs and arrays.
export interface TypeDef {
  readonly func?: FuncType;
  /// A recursion group of its own, final and without a supertype: equal to any other plain type of the same signature.
  readonly plain: boolean;
}

export interface TypeSection {
  readonly types: TypeDef[];
  /// Recursion groups, which is what the section's count counts.
  readonly groups: number;
  /// Some function type has a supertype or may have subtypes, so a call by reference may reach a function of another
  /// signature than the one it names.
  readonly subtyping: boolean;
  /// A function reference occurs inside a function type, struct or array.
  readonly passesFunctions: boolean;
}

const FORM_REC = 0x4e;
const FORM_SUB_FINAL = 0x4f;
const FORM_SUB = 0x50;
const FORM_ARRAY = 0x5e;
const FORM_STRUCT = 0x5f;
const FORM_FUNC = 0x60;

export const NO_TYPES: TypeSection = { types: [], groups: 0, subtyping: false, passesFunctions: false };

/// Reads the contents of a type section from `cursor.pos` to `cursor.end`.
export function readTypes(cursor: Cursor): TypeSection {
  const groups = cursor.count(1, 'types');
  const types: TypeDef[] = [];
  const mentioned: ValType[] = [];
  let subtyping = false;
  for (let i = 0; i < groups; i++) {
    const isGroup = cursor.bytes[cursor.pos] === FORM_REC;
    if (isGroup) cursor.pos++;
    const size = isGroup ? cursor.count(1, 'types of a recursion group') : 1;
    // Members of a group may name one another, so what is in range depends on the group's end.
    const visible = types.length + size;
    for (let k = 0; k < size; k++) {
      const form = cursor.bytes[cursor.pos]!;
      const declared = form === FORM_SUB || form === FORM_SUB_FINAL;
      if (declared) {
        cursor.pos++;
        const supers = cursor.count(1, 'supertypes');
        for (let s = 0; s < supers; s++) cursor.index(visible, 'type');
      }
      const func = readComposite(cursor, visible, mentioned);
      if (declared && func !== undefined) subtyping = true;
      types.push({ func, plain: !declared && !isGroup && func !== undefined });
    }
  }
  return { types, groups, subtyping, passesFunctions: mentioned.some((type) => isFunctionReference(type, types)) };
}

/// A reference through which a function can be handed around.
export function isFunctionReference(type: ValType, types: readonly TypeDef[]): boolean {
  const index = concreteIndex(type);
  return index >= 0 ? types[index]?.func !== undefined : abstractHeap(type) === FUNCREF;
}

function readComposite(cursor: Cursor, visible: number, mentioned: ValType[]): FuncType | undefined {
  const start = cursor.pos;
  const form = cursor.u8('a type');
  switch (form) {
    case FORM_FUNC: {
      const params = readTypeList(cursor, visible, 'parameters', mentioned);
      return { params, results: readTypeList(cursor, visible, 'results', mentioned) };
    }
    case FORM_STRUCT: {
      const fields = cursor.count(2, 'fields');
      for (let i = 0; i < fields; i++) readField(cursor, visible, mentioned);
      return undefined;
    }
    case FORM_ARRAY:
      readField(cursor, visible, mentioned);
      return undefined;
    default:
      throw new WasmFormatError(start, `unknown type form ${hex(form)}`, 'a function, struct, array or subtype');
  }
}

function readTypeList(cursor: Cursor, visible: number, what: string, mentioned: ValType[]): ValType[] {
  const count = cursor.count(1, what);
  const list: ValType[] = [];
  for (let i = 0; i < count; i++) {
    const type = readType(cursor, visible);
    if (isReference(type)) mentioned.push(type);
    list.push(type);
  }
  return list;
}

const PACKED_I8 = 0x78;
const PACKED_I16 = 0x77;

function readField(cursor: Cursor, visible: number, mentioned: ValType[]): void {
  const code = cursor.bytes[cursor.pos];
  if (code === PACKED_I8 || code === PACKED_I16) {
    cursor.pos++;
  } else {
    const type = readType(cursor, visible);
    if (isReference(type)) mentioned.push(type);
  }
  const start = cursor.pos;
  const mutability = cursor.u8('a field mutability');
  if (mutability > 1) throw new WasmFormatError(start, `mutability ${hex(mutability)}`, '0x00 or 0x01');
}
