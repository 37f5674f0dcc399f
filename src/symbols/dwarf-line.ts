// Line tables (DWARF 2 to 5, §6.2): which line of which file an address belongs to. A table is a program for a little machine that
// writes rows:
//
//   .debug_line:   | length | version | header: directories, files, opcode sizes | program |   one table after the other
//   a row:         address, file, line        rows of one sequence ascend, a sequence covers code that lies together
//
// An address is an offset from the start of the contents of the code section. Code that the linker left out keeps its rows, with an
// address of 0 or −1 (or −2): these sequences are skipped.

import { type FormContext, readForm, type StringSections, textOf } from './dwarf-forms.ts';
import { DwarfError, DwarfReader } from './dwarf-reader.ts';
import type { SourceLocation } from './locations.ts';

const LNS_COPY = 1;
const LNS_ADVANCE_PC = 2;
const LNS_ADVANCE_LINE = 3;
const LNS_SET_FILE = 4;
const LNS_CONST_ADD_PC = 8;
const LNS_FIXED_ADVANCE_PC = 9;
const LNE_END_SEQUENCE = 1;
const LNE_SET_ADDRESS = 2;
const LNE_DEFINE_FILE = 3;
const LNCT_PATH = 1;
const LNCT_DIRECTORY_INDEX = 2;
const MAX_LINE = 0xffffffff;
/// How far `find` looks: in good tables the first sequence and nearly always its first row will do. In bad ones all could overlap.
const MOST_SEQUENCES = 16;
const MOST_ROWS = 1000;

export interface LineSections extends StringSections {
  readonly line: Uint8Array;
}

interface Sequence {
  readonly start: number;
  /// First address behind it.
  readonly end: number;
  readonly firstRow: number;
  readonly lastRow: number;
}

export class LineTable {
  readonly #files: string[] = [];
  readonly #sequences: Sequence[] = [];
  // Address, file, line: three words a row.
  #rows = new Uint32Array(3 * 1024);
  #count = 0;

  /// `codeSize`: size of the code section. `directories`: by offset of the table, where its unit was compiled. `warn` is told
  /// about tables that make no sense; what stands in front of the place is used.
  constructor(
    sections: LineSections,
    codeSize: number,
    directories: ReadonlyMap<number, string>,
    warn: (message: string) => void,
  ) {
    const reader = new DwarfReader(sections.line);
    while (reader.more) {
      const offset = reader.at;
      try {
        const { unit, offsetSize } = reader.unit();
        const program = new Program(unit, offsetSize, sections, directories.get(offset) ?? '');
        this.#run(program, codeSize);
      } catch (error) {
        if (!(error instanceof DwarfError)) throw error;
        warn(`.debug_line: the table at ${offset}: ${error.message}`);
        if (reader.at <= offset + 4) break; // not even the length could be read, so nobody knows where the next one is
      }
    }
    this.#sequences.sort((a, b) => a.start - b.start);
  }

  get size(): number {
    return this.#count;
  }

  /// The line of the first row that lies in `start` … `end`.
  find(start: number, end: number): SourceLocation | undefined {
    let low = 0;
    let high = this.#sequences.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#sequences[middle].end <= start) low = middle + 1;
      else high = middle;
    }
    const last = Math.min(low + MOST_SEQUENCES, this.#sequences.length);
    for (let k = low; k < last && this.#sequences[k].start < end; k++) {
      const found = this.#findIn(this.#sequences[k], start, end);
      if (found) return found;
    }
    return undefined;
  }

  #findIn({ firstRow, lastRow }: Sequence, start: number, end: number): SourceLocation | undefined {
    let low = firstRow;
    let high = lastRow;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#rows[middle * 3] < start) low = middle + 1;
      else high = middle;
    }
    const last = Math.min(low + MOST_ROWS, lastRow);
    for (let row = low; row < last && this.#rows[row * 3] < end; row++) {
      const [file, line] = [this.#files[this.#rows[row * 3 + 1]], this.#rows[row * 3 + 2]];
      if (line > 0 && file !== undefined) return { file, line }; // line 0: made by the compiler
    }
    return undefined;
  }

  #run(program: Program, codeSize: number): void {
    const base = this.#files.length;
    let firstRow = this.#count;
    const close = (end: number): void => {
      const start = this.#count > firstRow ? this.#rows[firstRow * 3] : 0;
      if (start > 0 && start < codeSize && end <= codeSize && end >= start) {
        this.#sequences.push({ start, end, firstRow, lastRow: this.#count });
      } else {
        this.#count = firstRow;
      }
      firstRow = this.#count;
    };
    try {
      program.run((address, file, line) => this.#add(address, base + file, line), close);
    } finally {
      this.#count = firstRow; // rows of a sequence that did not end
      this.#files.push(...program.files());
    }
  }

  #add(address: number, file: number, line: number): void {
    if (this.#count * 3 === this.#rows.length) {
      const larger = new Uint32Array(this.#rows.length * 2);
      larger.set(this.#rows);
      this.#rows = larger;
    }
    this.#rows.set([address, file, line], this.#count++ * 3);
  }
}

interface FileEntry {
  readonly name: string;
  readonly directory: number;
}

/// One table: its header, and the machine.
class Program {
  readonly #code: DwarfReader;
  readonly #version: number;
  readonly #minInstruction: number;
  readonly #lineBase: number;
  readonly #lineRange: number;
  readonly #opcodeBase: number;
  readonly #operands: number[] = [];
  readonly #directories: string[] = [];
  readonly #files: FileEntry[] = [];
  readonly #compiledIn: string;

  constructor(unit: DwarfReader, offsetSize: 4 | 8, sections: LineSections, compiledIn: string) {
    this.#compiledIn = compiledIn;
    this.#version = unit.u16();
    if (this.#version < 2 || this.#version > 5) throw new DwarfError(`version ${this.#version}`);
    let addressSize = 4;
    if (this.#version >= 5) {
      addressSize = unit.u8();
      unit.skip(1); // segment selectors
    }
    const header = unit.part(unit.unsigned(offsetSize));
    this.#code = unit;
    this.#minInstruction = header.u8();
    if (this.#version >= 4) header.skip(1); // operations in an instruction: one
    header.skip(1); // is_stmt
    this.#lineBase = header.i8();
    this.#lineRange = header.u8();
    if (this.#lineRange === 0) throw new DwarfError('a line range of 0');
    this.#opcodeBase = header.u8();
    for (let i = 1; i < this.#opcodeBase; i++) this.#operands.push(header.u8());
    const context: FormContext = { ...sections, version: this.#version, offsetSize, addressSize };
    if (this.#version >= 5) {
      this.#directories.push(...readEntries(header, context).map(({ name }) => name));
      this.#files.push(...readEntries(header, context));
    } else {
      this.#readOldTables(header);
    }
  }

  // Lists that end with an empty name. Directory 0 is the one the unit was compiled in, files count from 1.
  #readOldTables(header: DwarfReader): void {
    this.#directories.push('');
    for (let name = header.text(); name !== ''; name = header.text()) this.#directories.push(name);
    this.#files.push({ name: '', directory: 0 });
    for (let name = header.text(); name !== ''; name = header.text()) this.#files.push(readOldFile(name, header));
  }

  /// Full names, by the numbers that rows have.
  files(): string[] {
    return this.#files.map(({ name, directory }) => {
      const inDirectory = join(this.#directories[directory] ?? '', name);
      return join(this.#compiledIn, inDirectory);
    });
  }

  run(row: (address: number, file: number, line: number) => void, close: (end: number) => void): void {
    const code = this.#code;
    let address = 0;
    let file = 1;
    let line = 1;
    const emit = (): void => row(Math.min(address, MAX_LINE), file, Math.min(Math.max(line, 0), MAX_LINE));
    const advance = (operations: number): void => {
      address += operations * this.#minInstruction;
    };
    while (code.more) {
      const opcode = code.u8();
      if (opcode >= this.#opcodeBase) {
        const adjusted = opcode - this.#opcodeBase;
        advance(Math.floor(adjusted / this.#lineRange));
        line += this.#lineBase + (adjusted % this.#lineRange);
        emit();
        continue;
      }
      switch (opcode) {
        case 0: {
          const instruction = code.part(code.uleb());
          if (!instruction.more) break;
          const extended = instruction.u8();
          if (extended === LNE_END_SEQUENCE) {
            close(address);
            address = 0;
            file = 1;
            line = 1;
          } else if (extended === LNE_SET_ADDRESS) {
            address = instruction.unsigned(instruction.end - instruction.at);
          } else if (extended === LNE_DEFINE_FILE) {
            this.#files.push(readOldFile(instruction.text(), instruction));
          }
          break;
        }
        case LNS_COPY:
          emit();
          break;
        case LNS_ADVANCE_PC:
          advance(code.uleb());
          break;
        case LNS_ADVANCE_LINE:
          line += code.sleb();
          break;
        case LNS_SET_FILE:
          file = code.uleb();
          break;
        case LNS_CONST_ADD_PC:
          advance(Math.floor((255 - this.#opcodeBase) / this.#lineRange));
          break;
        case LNS_FIXED_ADVANCE_PC:
          address += code.u16();
          break;
        default: // columns, statements, blocks, and what later versions add
          for (let left = this.#operands[opcode - 1]; left > 0; left--) code.uleb();
      }
    }
  }
}

function readOldFile(name: string, reader: DwarfReader): FileEntry {
  const directory = reader.uleb();
  reader.uleb(); // time
  reader.uleb(); // size
  return { name, directory };
}

/// Version 5: entries of forms that are declared in front of them.
function readEntries(header: DwarfReader, context: FormContext): FileEntry[] {
  const formats = Array.from({ length: header.u8() }, () => ({ content: header.uleb(), form: header.uleb() }));
  const count = header.uleb();
  // An entry has a name, so it has bytes.
  if (count > header.end - header.at) throw new DwarfError(`${count} files or directories`);
  const entries: FileEntry[] = [];
  for (let i = 0; i < count; i++) {
    let name = '';
    let directory = 0;
    for (const { content, form } of formats) {
      const value = readForm(header, form, context);
      if (content === LNCT_PATH) name = textOf(value, context) ?? '';
      else if (content === LNCT_DIRECTORY_INDEX && typeof value === 'number') directory = value;
    }
    entries.push({ name, directory });
  }
  return entries;
}

const ABSOLUTE = /^(?:[\\/]|[A-Za-z]:[\\/]|[a-z]+:\/\/)/;

/// `directory/name`, without the `.` that build systems leave in paths.
function join(directory: string, name: string): string {
  const path = directory === '' || ABSOLUTE.test(name) ? name : name === '' ? directory : `${directory}/${name}`;
  return path.replace(/(^|[\\/])(?:\.[\\/]+)+/g, '$1').replace(/(?<=[^/:])\/{2,}/g, '/');
}
