// Compilation units (DWARF 5 §7.5): of each only the first entry is read, for the directory in which it was compiled and the line
// table that belongs to it. Before version 5 line tables do not know that directory themselves.
//
//   .debug_info:    | length | version | … | abbreviation | attributes … | further entries, skipped
//   .debug_abbrev:  | code | tag | children? | attribute, form | … | 0, 0 |     tells what the attributes are

import { type FormContext, type FormValue, readForm, type StringSections, textOf } from './dwarf-forms.ts';
import { DwarfError, DwarfReader } from './dwarf-reader.ts';

const AT_STMT_LIST = 0x10;
const AT_COMP_DIR = 0x1b;
const AT_STR_OFFSETS_BASE = 0x72;
const FORM_IMPLICIT_CONST = 0x21;

const UNIT_COMPILE = 1;
const UNIT_PARTIAL = 3;
const UNIT_SKELETON = 4;
const UNIT_SPLIT_COMPILE = 5;

/// A unit's own abbreviation is the first of its table, as a rule. Tiny units that each ask for the last of a long one could go on
/// for hours.
const MOST_ABBREVIATIONS = 1_000_000;
interface Budget {
  left: number;
}

export interface UnitSections extends StringSections {
  readonly info: Uint8Array;
  readonly abbrev: Uint8Array;
}

/// Directory by offset of the unit's line table. `warn` is told about units that make no sense.
export function compilationDirectories(sections: UnitSections, warn: (message: string) => void): Map<number, string> {
  const directories = new Map<number, string>();
  const budget = { left: MOST_ABBREVIATIONS };
  const reader = new DwarfReader(sections.info);
  try {
    while (reader.more) {
      const { unit, offsetSize } = reader.unit();
      try {
        readUnit(unit, offsetSize, sections, budget, directories);
      } catch (error) {
        if (!(error instanceof DwarfError)) throw error;
        warn(`.debug_info: a unit is skipped: ${error.message}`);
      }
    }
  } catch (error) {
    if (!(error instanceof DwarfError)) throw error;
    warn(`.debug_info: ${error.message}`);
  }
  return directories;
}

function readUnit(
  unit: DwarfReader,
  offsetSize: 4 | 8,
  sections: UnitSections,
  budget: Budget,
  directories: Map<number, string>,
): void {
  const version = unit.u16();
  if (version < 2 || version > 5) throw new DwarfError(`version ${version}`);
  let abbrevOffset: number;
  let addressSize: number;
  if (version >= 5) {
    const kind = unit.u8();
    addressSize = unit.u8();
    abbrevOffset = unit.unsigned(offsetSize);
    if (kind === UNIT_SKELETON || kind === UNIT_SPLIT_COMPILE) unit.skip(8);
    else if (kind !== UNIT_COMPILE && kind !== UNIT_PARTIAL) return; // types: no line table of their own
  } else {
    abbrevOffset = unit.unsigned(offsetSize);
    addressSize = unit.u8();
  }
  const specification = abbreviation(sections.abbrev, abbrevOffset, unit.uleb(), budget);
  if (!specification) return;
  const context: FormContext = { ...sections, version, offsetSize, addressSize };
  const attributes = new Map<number, FormValue>();
  for (const { attribute, form, constant } of specification) {
    attributes.set(attribute, form === FORM_IMPLICIT_CONST ? constant : readForm(unit, form, context));
  }
  const base = attributes.get(AT_STR_OFFSETS_BASE);
  const directory = textOf(attributes.get(AT_COMP_DIR), context, typeof base === 'number' ? base : undefined);
  const lines = attributes.get(AT_STMT_LIST);
  if (directory !== undefined && typeof lines === 'number' && !directories.has(lines))
    directories.set(lines, directory);
}

type Specification = readonly { attribute: number; form: number; constant: number }[];

function abbreviation(section: Uint8Array, offset: number, code: number, budget: Budget): Specification | undefined {
  const reader = new DwarfReader(section, offset);
  for (let next = reader.uleb(); next !== 0; next = reader.uleb()) {
    if (budget.left-- <= 0) throw new DwarfError('too many abbreviations');
    reader.uleb(); // tag
    reader.u8(); // children
    const specification: { attribute: number; form: number; constant: number }[] = [];
    for (;;) {
      const attribute = reader.uleb();
      const form = reader.uleb();
      const constant = form === FORM_IMPLICIT_CONST ? reader.sleb() : 0;
      if (attribute === 0 && form === 0) break;
      specification.push({ attribute, form, constant });
    }
    if (next === code) return specification;
  }
  return undefined;
}
