// DWARF forms (DWARF 5 §7.5.6): how the value of an attribute is written. Only strings and offsets are of interest here; the
// others are skipped, which needs their sizes.

import { DwarfError, DwarfReader } from './dwarf-reader.ts';

/// The sections that strings are taken from; empty when a module lacks one.
export interface StringSections {
  readonly str: Uint8Array;
  readonly lineStr: Uint8Array;
  readonly strOffsets: Uint8Array;
}

/// What forms depend on.
export interface FormContext extends StringSections {
  readonly version: number;
  readonly offsetSize: 4 | 8;
  readonly addressSize: number;
}

/// A string by its index in the unit's part of `.debug_str_offsets`; where that begins may be said later.
export class StringIndex {
  readonly index: number;
  constructor(index: number) {
    this.index = index;
  }
}

export type FormValue = string | number | StringIndex | undefined;

const FORM_INDIRECT = 0x16;
const FORM_IMPLICIT_CONST = 0x21;

/// Bytes of forms of fixed size.
const FIXED: Readonly<Record<number, number>> = {
  5: 2, // data2
  6: 4, // data4
  7: 8, // data8
  11: 1, // data1
  12: 1, // flag
  17: 1, // ref1
  18: 2, // ref2
  19: 4, // ref4
  20: 8, // ref8
  25: 0, // flag_present
  28: 4, // ref_sup4
  30: 16, // data16
  32: 8, // ref_sig8
  33: 0, // implicit_const: in the abbreviation
  36: 8, // ref_sup8
  41: 1, // addrx1
  42: 2, // addrx2
  43: 3, // addrx3
  44: 4, // addrx4
};
/// ULEB128 forms: udata, ref_udata, addrx, loclistx, rnglistx, and those of split units.
const ULEB = new Set([0x0f, 0x15, 0x1b, 0x22, 0x23, 0x1f01, 0x1f02]);
const BLOCK_LENGTHS: Readonly<Record<number, number>> = { 10: 1, 3: 2, 4: 4 };
/// Offsets into other sections: sec_offset, and those of supplementary files.
const OFFSETS = new Set([0x17, 0x1d, 0x1f20, 0x1f21]);
/// Index of a string in `.debug_str_offsets`, by the size of the index: strx, strx1 … strx4.
const STRX: Readonly<Record<number, number>> = { 37: 1, 38: 2, 39: 3, 40: 4 };

/// Reads a value; undefined is one that nobody asks for.
export function readForm(reader: DwarfReader, form: number, context: FormContext): FormValue {
  const { offsetSize, str, lineStr } = context;
  switch (form) {
    case 0x08:
      return reader.text();
    case 0x0e:
      return textAt(str, reader.unsigned(offsetSize));
    case 0x1f:
      return textAt(lineStr, reader.unsigned(offsetSize));
    case 0x1a:
      return new StringIndex(reader.uleb());
    case 0x01:
      reader.skip(context.addressSize);
      return undefined;
    case 0x0d:
      return reader.sleb();
    case 0x10: // ref_addr: as large as an address in version 2
      reader.skip(context.version <= 2 ? context.addressSize : offsetSize);
      return undefined;
    case 0x09: // block
    case 0x18: // exprloc
      reader.skip(reader.uleb());
      return undefined;
    case FORM_INDIRECT: {
      const actual = reader.uleb();
      // One that stood for another again could go on for ever.
      if (actual === FORM_INDIRECT || actual === FORM_IMPLICIT_CONST) throw new DwarfError('an indirect form twice');
      return readForm(reader, actual, context);
    }
  }
  if (STRX[form] !== undefined) return new StringIndex(reader.unsigned(STRX[form]));
  const fixed = FIXED[form];
  if (fixed !== undefined) {
    if (fixed > 0 && fixed <= 8) return reader.unsigned(fixed);
    reader.skip(fixed);
    return undefined;
  }
  if (ULEB.has(form)) return reader.uleb();
  if (OFFSETS.has(form)) return reader.unsigned(offsetSize);
  const length = BLOCK_LENGTHS[form];
  if (length === undefined) throw new DwarfError(`unknown form 0x${form.toString(16)}`);
  reader.skip(reader.unsigned(length));
  return undefined;
}

function textAt(section: Uint8Array, offset: number): string {
  return new DwarfReader(section, offset).text();
}

/// The text of a value that should be one. `base`: where the unit's part of `.debug_str_offsets` begins, its header's size if
/// nobody said.
export function textOf(value: FormValue, context: FormContext, base = context.offsetSize * 2): string | undefined {
  if (!(value instanceof StringIndex)) return typeof value === 'string' ? value : undefined;
  const reader = new DwarfReader(context.strOffsets, base + value.index * context.offsetSize);
  return textAt(context.str, reader.unsigned(context.offsetSize));
}
