// The opcode table: for every instruction its code, its name and the kind of its immediates. The reader of constant
// expressions, the rewriter of bodies and the error messages all work from these rows and from nothing else.
//
// A row gives the code of its first name; the names after it have the codes that follow.

import { WasmFormatError } from '../errors.ts';
import { hex } from './cursor.ts';

// Kinds of immediates, roughly by how often they occur: the rewriter tests them in this order.
export const IMM_NONE = 0;
export const IMM_LOCAL = 1; // local index
export const IMM_I32 = 2; // s32
export const IMM_MEMARG = 3; // alignment (bit 6: a memory index follows), offset
export const IMM_FUNC = 4; // function index
export const IMM_LABEL = 5; // label
export const IMM_BLOCK = 6; // block type; opens a level
export const IMM_END = 7; // closes a level
export const IMM_GLOBAL = 8; // global index
export const IMM_I64 = 9; // s64
export const IMM_F64 = 10; // 8 bytes
export const IMM_F32 = 11; // 4 bytes
export const IMM_RETURN = 12; // none
export const IMM_CALL_INDIRECT = 13; // type index, table index
export const IMM_BR_TABLE = 14; // vector of labels, default label
export const IMM_PREFIX = 15; // another opcode, u32
export const IMM_CALL_REF = 16; // type index
export const IMM_CATCH = 17; // tag index
export const IMM_CATCH_ALL = 18; // none
export const IMM_DELEGATE = 19; // label; closes a level
export const IMM_TRY_TABLE = 20; // block type, vector of catch clauses; opens a level
export const IMM_TAG = 21; // tag index
export const IMM_TABLE = 22; // table index
export const IMM_MEMORY = 23; // memory index
export const IMM_MEMORY_2 = 24; // two memory indices
export const IMM_TABLE_2 = 25; // two table indices
export const IMM_DATA = 26; // data segment
export const IMM_DATA_MEMORY = 27; // data segment, memory index
export const IMM_ELEM = 28; // element segment
export const IMM_ELEM_TABLE = 29; // element segment, table index
export const IMM_TYPES = 30; // vector of value types
export const IMM_HEAP = 31; // heap type
export const IMM_TYPE = 32; // type index
export const IMM_TYPE_FIELD = 33; // type index, field index
export const IMM_TYPE_COUNT = 34; // type index, u32
export const IMM_TYPE_2 = 35; // two type indices
export const IMM_TYPE_DATA = 36; // type index, data segment
export const IMM_TYPE_ELEM = 37; // type index, element segment
export const IMM_BR_ON_CAST = 38; // flags, label, two heap types
export const IMM_LANE = 39; // 1 byte
export const IMM_MEMARG_LANE = 40; // memarg, 1 byte
export const IMM_V128 = 41; // 16 bytes
export const IMM_BYTE = 42; // 1 byte
export const IMM_REF_FUNC = 43; // function index
export const IMM_UNKNOWN = 255;

// Opcodes that are written or told apart by value.
export const OP_BLOCK = 0x02;
export const OP_LOOP = 0x03;
export const OP_IF = 0x04;
export const OP_ELSE = 0x05;
export const OP_END = 0x0b;
export const OP_BR = 0x0c;
export const OP_BR_IF = 0x0d;
export const OP_RETURN = 0x0f;
export const OP_SELECT = 0x1b;
export const OP_CALL = 0x10;
export const OP_CALL_INDIRECT = 0x11;
export const OP_RETURN_CALL = 0x12;
export const OP_RETURN_CALL_INDIRECT = 0x13;
export const OP_RETURN_CALL_REF = 0x15;
export const OP_TRY_TABLE = 0x1f;
export const OP_LOCAL_GET = 0x20;
export const OP_LOCAL_SET = 0x21;
export const OP_LOCAL_TEE = 0x22;
export const OP_GLOBAL_GET = 0x23;
export const OP_GLOBAL_SET = 0x24;
export const OP_I32_CONST = 0x41;
export const OP_I64_CONST = 0x42;
export const OP_I32_EQZ = 0x45;
export const OP_I32_LT_U = 0x49;
export const OP_I32_GE_U = 0x4f;
export const OP_I32_ADD = 0x6a;
export const OP_I32_AND = 0x71;
export const OP_I64_EXTEND_I32_U = 0xad;
export const OP_I32_REINTERPRET_F32 = 0xbc;
export const OP_I64_REINTERPRET_F64 = 0xbd;
export const OP_REF_NULL = 0xd0;
export const OP_REF_AS_NON_NULL = 0xd4;
export const PREFIX_GC = 0xfb;
export const PREFIX_MISC = 0xfc;
export const PREFIX_SIMD = 0xfd;
export const PREFIX_ATOMIC = 0xfe;
export const SIMD_I64X2_EXTRACT_LANE = 0x1d;

type Row = readonly [code: number, kind: number, names: string];

const PLAIN: readonly Row[] = [
  [0x00, IMM_NONE, 'unreachable nop'],
  [0x02, IMM_BLOCK, 'block loop if'],
  [0x05, IMM_NONE, 'else'],
  [0x06, IMM_BLOCK, 'try'],
  [0x07, IMM_CATCH, 'catch'],
  [0x08, IMM_TAG, 'throw'],
  [0x09, IMM_LABEL, 'rethrow'],
  [0x0a, IMM_NONE, 'throw_ref'],
  [0x0b, IMM_END, 'end'],
  [0x0c, IMM_LABEL, 'br br_if'],
  [0x0e, IMM_BR_TABLE, 'br_table'],
  [0x0f, IMM_RETURN, 'return'],
  [0x10, IMM_FUNC, 'call'],
  [0x11, IMM_CALL_INDIRECT, 'call_indirect'],
  [0x12, IMM_FUNC, 'return_call'],
  [0x13, IMM_CALL_INDIRECT, 'return_call_indirect'],
  [0x14, IMM_CALL_REF, 'call_ref return_call_ref'],
  [0x18, IMM_DELEGATE, 'delegate'],
  [0x19, IMM_CATCH_ALL, 'catch_all'],
  [0x1a, IMM_NONE, 'drop select'],
  [0x1c, IMM_TYPES, 'select'],
  [0x1f, IMM_TRY_TABLE, 'try_table'],
  [0x20, IMM_LOCAL, 'local.get local.set local.tee'],
  [0x23, IMM_GLOBAL, 'global.get global.set'],
  [0x25, IMM_TABLE, 'table.get table.set'],
  [
    0x28,
    IMM_MEMARG,
    `i32.load i64.load f32.load f64.load i32.load8_s i32.load8_u i32.load16_s i32.load16_u i64.load8_s i64.load8_u
    i64.load16_s i64.load16_u i64.load32_s i64.load32_u i32.store i64.store f32.store f64.store i32.store8 i32.store16
    i64.store8 i64.store16 i64.store32`,
  ],
  [0x3f, IMM_MEMORY, 'memory.size memory.grow'],
  [0x41, IMM_I32, 'i32.const'],
  [0x42, IMM_I64, 'i64.const'],
  [0x43, IMM_F32, 'f32.const'],
  [0x44, IMM_F64, 'f64.const'],
  [
    0x45,
    IMM_NONE,
    `i32.eqz i32.eq i32.ne i32.lt_s i32.lt_u i32.gt_s i32.gt_u i32.le_s i32.le_u i32.ge_s i32.ge_u
    i64.eqz i64.eq i64.ne i64.lt_s i64.lt_u i64.gt_s i64.gt_u i64.le_s i64.le_u i64.ge_s i64.ge_u
    f32.eq f32.ne f32.lt f32.gt f32.le f32.ge f64.eq f64.ne f64.lt f64.gt f64.le f64.ge
    i32.clz i32.ctz i32.popcnt i32.add i32.sub i32.mul i32.div_s i32.div_u i32.rem_s i32.rem_u i32.and i32.or i32.xor
    i32.shl i32.shr_s i32.shr_u i32.rotl i32.rotr
    i64.clz i64.ctz i64.popcnt i64.add i64.sub i64.mul i64.div_s i64.div_u i64.rem_s i64.rem_u i64.and i64.or i64.xor
    i64.shl i64.shr_s i64.shr_u i64.rotl i64.rotr
    f32.abs f32.neg f32.ceil f32.floor f32.trunc f32.nearest f32.sqrt f32.add f32.sub f32.mul f32.div f32.min f32.max
    f32.copysign
    f64.abs f64.neg f64.ceil f64.floor f64.trunc f64.nearest f64.sqrt f64.add f64.sub f64.mul f64.div f64.min f64.max
    f64.copysign
    i32.wrap_i64 i32.trunc_f32_s i32.trunc_f32_u i32.trunc_f64_s i32.trunc_f64_u
    i64.extend_i32_s i64.extend_i32_u i64.trunc_f32_s i64.trunc_f32_u i64.trunc_f64_s i64.trunc_f64_u
    f32.convert_i32_s f32.convert_i32_u f32.convert_i64_s f32.convert_i64_u f32.demote_f64
    f64.convert_i32_s f64.convert_i32_u f64.convert_i64_s f64.convert_i64_u f64.promote_f32
    i32.reinterpret_f32 i64.reinterpret_f64 f32.reinterpret_i32 f64.reinterpret_i64
    i32.extend8_s i32.extend16_s i64.extend8_s i64.extend16_s i64.extend32_s`,
  ],
  [0xd0, IMM_HEAP, 'ref.null'],
  [0xd1, IMM_NONE, 'ref.is_null'],
  [0xd2, IMM_REF_FUNC, 'ref.func'],
  [0xd3, IMM_NONE, 'ref.eq ref.as_non_null'],
  [0xd5, IMM_LABEL, 'br_on_null br_on_non_null'],
  [PREFIX_GC, IMM_PREFIX, 'prefix prefix prefix prefix'],
];

const GC: readonly Row[] = [
  [0x00, IMM_TYPE, 'struct.new struct.new_default'],
  [0x02, IMM_TYPE_FIELD, 'struct.get struct.get_s struct.get_u struct.set'],
  [0x06, IMM_TYPE, 'array.new array.new_default'],
  [0x08, IMM_TYPE_COUNT, 'array.new_fixed'],
  [0x09, IMM_TYPE_DATA, 'array.new_data'],
  [0x0a, IMM_TYPE_ELEM, 'array.new_elem'],
  [0x0b, IMM_TYPE, 'array.get array.get_s array.get_u array.set'],
  [0x0f, IMM_NONE, 'array.len'],
  [0x10, IMM_TYPE, 'array.fill'],
  [0x11, IMM_TYPE_2, 'array.copy'],
  [0x12, IMM_TYPE_DATA, 'array.init_data'],
  [0x13, IMM_TYPE_ELEM, 'array.init_elem'],
  [0x14, IMM_HEAP, 'ref.test ref.test_null ref.cast ref.cast_null'],
  [0x18, IMM_BR_ON_CAST, 'br_on_cast br_on_cast_fail'],
  [0x1a, IMM_NONE, 'any.convert_extern extern.convert_any ref.i31 i31.get_s i31.get_u'],
];

const MISC: readonly Row[] = [
  [
    0x00,
    IMM_NONE,
    `i32.trunc_sat_f32_s i32.trunc_sat_f32_u i32.trunc_sat_f64_s i32.trunc_sat_f64_u
    i64.trunc_sat_f32_s i64.trunc_sat_f32_u i64.trunc_sat_f64_s i64.trunc_sat_f64_u`,
  ],
  [0x08, IMM_DATA_MEMORY, 'memory.init'],
  [0x09, IMM_DATA, 'data.drop'],
  [0x0a, IMM_MEMORY_2, 'memory.copy'],
  [0x0b, IMM_MEMORY, 'memory.fill'],
  [0x0c, IMM_ELEM_TABLE, 'table.init'],
  [0x0d, IMM_ELEM, 'elem.drop'],
  [0x0e, IMM_TABLE_2, 'table.copy'],
  [0x0f, IMM_TABLE, 'table.grow table.size table.fill'],
  [0x13, IMM_NONE, 'i64.add128 i64.sub128 i64.mul_wide_s i64.mul_wide_u'],
];

const SIMD: readonly Row[] = [
  [
    0x00,
    IMM_MEMARG,
    `v128.load v128.load8x8_s v128.load8x8_u v128.load16x4_s v128.load16x4_u v128.load32x2_s v128.load32x2_u
    v128.load8_splat v128.load16_splat v128.load32_splat v128.load64_splat v128.store`,
  ],
  [0x0c, IMM_V128, 'v128.const i8x16.shuffle'],
  [0x0e, IMM_NONE, 'i8x16.swizzle i8x16.splat i16x8.splat i32x4.splat i64x2.splat f32x4.splat f64x2.splat'],
  [
    0x15,
    IMM_LANE,
    `i8x16.extract_lane_s i8x16.extract_lane_u i8x16.replace_lane i16x8.extract_lane_s i16x8.extract_lane_u
    i16x8.replace_lane i32x4.extract_lane i32x4.replace_lane i64x2.extract_lane i64x2.replace_lane f32x4.extract_lane
    f32x4.replace_lane f64x2.extract_lane f64x2.replace_lane`,
  ],
  [
    0x23,
    IMM_NONE,
    `i8x16.eq i8x16.ne i8x16.lt_s i8x16.lt_u i8x16.gt_s i8x16.gt_u i8x16.le_s i8x16.le_u i8x16.ge_s i8x16.ge_u
    i16x8.eq i16x8.ne i16x8.lt_s i16x8.lt_u i16x8.gt_s i16x8.gt_u i16x8.le_s i16x8.le_u i16x8.ge_s i16x8.ge_u
    i32x4.eq i32x4.ne i32x4.lt_s i32x4.lt_u i32x4.gt_s i32x4.gt_u i32x4.le_s i32x4.le_u i32x4.ge_s i32x4.ge_u
    f32x4.eq f32x4.ne f32x4.lt f32x4.gt f32x4.le f32x4.ge f64x2.eq f64x2.ne f64x2.lt f64x2.gt f64x2.le f64x2.ge
    v128.not v128.and v128.andnot v128.or v128.xor v128.bitselect v128.any_true`,
  ],
  [
    0x54,
    IMM_MEMARG_LANE,
    `v128.load8_lane v128.load16_lane v128.load32_lane v128.load64_lane
    v128.store8_lane v128.store16_lane v128.store32_lane v128.store64_lane`,
  ],
  [0x5c, IMM_MEMARG, 'v128.load32_zero v128.load64_zero'],
  [
    0x5e,
    IMM_NONE,
    `f32x4.demote_f64x2_zero f64x2.promote_low_f32x4
    i8x16.abs i8x16.neg i8x16.popcnt i8x16.all_true i8x16.bitmask i8x16.narrow_i16x8_s i8x16.narrow_i16x8_u f32x4.ceil
    f32x4.floor f32x4.trunc f32x4.nearest i8x16.shl i8x16.shr_s i8x16.shr_u i8x16.add i8x16.add_sat_s i8x16.add_sat_u
    i8x16.sub i8x16.sub_sat_s i8x16.sub_sat_u f64x2.ceil f64x2.floor i8x16.min_s i8x16.min_u i8x16.max_s i8x16.max_u
    f64x2.trunc i8x16.avgr_u i16x8.extadd_pairwise_i8x16_s i16x8.extadd_pairwise_i8x16_u
    i32x4.extadd_pairwise_i16x8_s i32x4.extadd_pairwise_i16x8_u
    i16x8.abs i16x8.neg i16x8.q15mulr_sat_s i16x8.all_true i16x8.bitmask i16x8.narrow_i32x4_s i16x8.narrow_i32x4_u
    i16x8.extend_low_i8x16_s i16x8.extend_high_i8x16_s i16x8.extend_low_i8x16_u i16x8.extend_high_i8x16_u i16x8.shl
    i16x8.shr_s i16x8.shr_u i16x8.add i16x8.add_sat_s i16x8.add_sat_u i16x8.sub i16x8.sub_sat_s i16x8.sub_sat_u
    f64x2.nearest i16x8.mul i16x8.min_s i16x8.min_u i16x8.max_s i16x8.max_u`,
  ],
  [
    0x9b,
    IMM_NONE,
    `i16x8.avgr_u i16x8.extmul_low_i8x16_s i16x8.extmul_high_i8x16_s i16x8.extmul_low_i8x16_u
    i16x8.extmul_high_i8x16_u i32x4.abs i32x4.neg`,
  ],
  [0xa3, IMM_NONE, 'i32x4.all_true i32x4.bitmask'],
  [
    0xa7,
    IMM_NONE,
    `i32x4.extend_low_i16x8_s i32x4.extend_high_i16x8_s i32x4.extend_low_i16x8_u i32x4.extend_high_i16x8_u i32x4.shl
    i32x4.shr_s i32x4.shr_u i32x4.add`,
  ],
  [0xb1, IMM_NONE, 'i32x4.sub'],
  [0xb5, IMM_NONE, 'i32x4.mul i32x4.min_s i32x4.min_u i32x4.max_s i32x4.max_u i32x4.dot_i16x8_s'],
  [
    0xbc,
    IMM_NONE,
    `i32x4.extmul_low_i16x8_s i32x4.extmul_high_i16x8_s i32x4.extmul_low_i16x8_u i32x4.extmul_high_i16x8_u i64x2.abs
    i64x2.neg`,
  ],
  [0xc3, IMM_NONE, 'i64x2.all_true i64x2.bitmask'],
  [
    0xc7,
    IMM_NONE,
    `i64x2.extend_low_i32x4_s i64x2.extend_high_i32x4_s i64x2.extend_low_i32x4_u i64x2.extend_high_i32x4_u i64x2.shl
    i64x2.shr_s i64x2.shr_u i64x2.add`,
  ],
  [0xd1, IMM_NONE, 'i64x2.sub'],
  [
    0xd5,
    IMM_NONE,
    `i64x2.mul i64x2.eq i64x2.ne i64x2.lt_s i64x2.gt_s i64x2.le_s i64x2.ge_s i64x2.extmul_low_i32x4_s
    i64x2.extmul_high_i32x4_s i64x2.extmul_low_i32x4_u i64x2.extmul_high_i32x4_u f32x4.abs f32x4.neg`,
  ],
  [
    0xe3,
    IMM_NONE,
    'f32x4.sqrt f32x4.add f32x4.sub f32x4.mul f32x4.div f32x4.min f32x4.max f32x4.pmin f32x4.pmax f64x2.abs f64x2.neg',
  ],
  [
    0xef,
    IMM_NONE,
    `f64x2.sqrt f64x2.add f64x2.sub f64x2.mul f64x2.div f64x2.min f64x2.max f64x2.pmin f64x2.pmax
    i32x4.trunc_sat_f32x4_s i32x4.trunc_sat_f32x4_u f32x4.convert_i32x4_s f32x4.convert_i32x4_u
    i32x4.trunc_sat_f64x2_s_zero i32x4.trunc_sat_f64x2_u_zero f64x2.convert_low_i32x4_s f64x2.convert_low_i32x4_u
    i8x16.relaxed_swizzle i32x4.relaxed_trunc_f32x4_s i32x4.relaxed_trunc_f32x4_u i32x4.relaxed_trunc_f64x2_s_zero
    i32x4.relaxed_trunc_f64x2_u_zero f32x4.relaxed_madd f32x4.relaxed_nmadd f64x2.relaxed_madd f64x2.relaxed_nmadd
    i8x16.relaxed_laneselect i16x8.relaxed_laneselect i32x4.relaxed_laneselect i64x2.relaxed_laneselect
    f32x4.relaxed_min f32x4.relaxed_max f64x2.relaxed_min f64x2.relaxed_max i16x8.relaxed_q15mulr_s
    i16x8.relaxed_dot_i8x16_i7x16_s i32x4.relaxed_dot_i8x16_i7x16_add_s`,
  ],
];

const ATOMIC: readonly Row[] = [
  [0x00, IMM_MEMARG, 'memory.atomic.notify memory.atomic.wait32 memory.atomic.wait64'],
  [0x03, IMM_BYTE, 'atomic.fence'],
  [
    0x10,
    IMM_MEMARG,
    `i32.atomic.load i64.atomic.load i32.atomic.load8_u i32.atomic.load16_u i64.atomic.load8_u i64.atomic.load16_u
    i64.atomic.load32_u i32.atomic.store i64.atomic.store i32.atomic.store8 i32.atomic.store16 i64.atomic.store8
    i64.atomic.store16 i64.atomic.store32
    i32.atomic.rmw.add i64.atomic.rmw.add i32.atomic.rmw8.add_u i32.atomic.rmw16.add_u i64.atomic.rmw8.add_u
    i64.atomic.rmw16.add_u i64.atomic.rmw32.add_u
    i32.atomic.rmw.sub i64.atomic.rmw.sub i32.atomic.rmw8.sub_u i32.atomic.rmw16.sub_u i64.atomic.rmw8.sub_u
    i64.atomic.rmw16.sub_u i64.atomic.rmw32.sub_u
    i32.atomic.rmw.and i64.atomic.rmw.and i32.atomic.rmw8.and_u i32.atomic.rmw16.and_u i64.atomic.rmw8.and_u
    i64.atomic.rmw16.and_u i64.atomic.rmw32.and_u
    i32.atomic.rmw.or i64.atomic.rmw.or i32.atomic.rmw8.or_u i32.atomic.rmw16.or_u i64.atomic.rmw8.or_u
    i64.atomic.rmw16.or_u i64.atomic.rmw32.or_u
    i32.atomic.rmw.xor i64.atomic.rmw.xor i32.atomic.rmw8.xor_u i32.atomic.rmw16.xor_u i64.atomic.rmw8.xor_u
    i64.atomic.rmw16.xor_u i64.atomic.rmw32.xor_u
    i32.atomic.rmw.xchg i64.atomic.rmw.xchg i32.atomic.rmw8.xchg_u i32.atomic.rmw16.xchg_u i64.atomic.rmw8.xchg_u
    i64.atomic.rmw16.xchg_u i64.atomic.rmw32.xchg_u
    i32.atomic.rmw.cmpxchg i64.atomic.rmw.cmpxchg i32.atomic.rmw8.cmpxchg_u i32.atomic.rmw16.cmpxchg_u
    i64.atomic.rmw8.cmpxchg_u i64.atomic.rmw16.cmpxchg_u i64.atomic.rmw32.cmpxchg_u`,
  ],
];

function kinds(rows: readonly Row[]): Uint8Array {
  // 512 holds the largest code of any prefix; 256 would lose relaxed SIMD.
  const table = new Uint8Array(512).fill(IMM_UNKNOWN);
  for (const [code, kind, names] of rows) table.fill(kind, code, code + names.split(/\s+/).length);
  return table;
}

/// Kind of the immediates by opcode byte.
export const PLAIN_KINDS = kinds(PLAIN);

const PREFIXED: Record<number, { what: string; rows: readonly Row[]; kinds: Uint8Array }> = {
  [PREFIX_GC]: { what: 'garbage collection', rows: GC, kinds: kinds(GC) },
  [PREFIX_MISC]: { what: 'conversion or bulk memory', rows: MISC, kinds: kinds(MISC) },
  [PREFIX_SIMD]: { what: 'SIMD', rows: SIMD, kinds: kinds(SIMD) },
  [PREFIX_ATOMIC]: { what: 'atomic', rows: ATOMIC, kinds: kinds(ATOMIC) },
};

/// Kind of the immediates of a prefixed opcode, `IMM_UNKNOWN` when there is none of that number.
export function prefixedKind(prefix: number, code: number): number {
  return PREFIXED[prefix]!.kinds[code] ?? IMM_UNKNOWN;
}

/// Name in the text format; undefined for a code that the table lacks.
export function opcodeName(code: number, sub = 0): string | undefined {
  const rows = PREFIXED[code]?.rows ?? PLAIN;
  const wanted = PREFIXED[code] === undefined ? code : sub;
  for (const [first, , names] of rows) {
    const name = wanted >= first ? names.split(/\s+/)[wanted - first] : undefined;
    if (name !== undefined) return name;
  }
  return undefined;
}

export function unknownOpcode(offset: number, code: number, sub?: number): WasmFormatError {
  if (sub === undefined) return new WasmFormatError(offset, `unknown opcode ${hex(code)}`, 'an instruction');
  const expected = `a known ${PREFIXED[code]!.what} instruction`;
  return new WasmFormatError(offset, `unknown opcode ${hex(code)} ${hex(sub)}`, expected);
}
