// The module as the instrumenter needs it: where each section lies, the index spaces, who is imported, exported or
// mentioned by reference. Bodies, data and everything that is only copied stay bytes; their contents are not looked at.
//
// Reading refuses what would change its meaning when entries are appended: sections out of order, bytes left over at
// the end of a section, indices past the end of their space.

import { WasmFormatError } from '../errors.ts';
import { Cursor, hex } from './cursor.ts';
import { type IndexSpaces, skipConstant } from './immediates.ts';
import {
  type FuncType,
  isFunctionReference,
  NO_TYPES,
  readType,
  readTypes,
  type TypeDef,
  type TypeSection,
  type ValType,
} from './types.ts';

export const SECTION_CUSTOM = 0;
export const SECTION_TYPE = 1;
export const SECTION_IMPORT = 2;
export const SECTION_FUNCTION = 3;
export const SECTION_TABLE = 4;
export const SECTION_MEMORY = 5;
export const SECTION_GLOBAL = 6;
export const SECTION_EXPORT = 7;
export const SECTION_START = 8;
export const SECTION_ELEMENT = 9;
export const SECTION_CODE = 10;
export const SECTION_DATA = 11;
export const SECTION_DATA_COUNT = 12;
export const SECTION_TAG = 13;

/// The order in which sections stand in a module, by section id; custom sections stand anywhere.
export const SECTION_ORDER: readonly number[] = [
  SECTION_TYPE,
  SECTION_IMPORT,
  SECTION_FUNCTION,
  SECTION_TABLE,
  SECTION_MEMORY,
  SECTION_TAG,
  SECTION_GLOBAL,
  SECTION_EXPORT,
  SECTION_START,
  SECTION_ELEMENT,
  SECTION_DATA_COUNT,
  SECTION_CODE,
  SECTION_DATA,
];

export const HEADER_SIZE = 8;
const MAGIC = [0x00, 0x61, 0x73, 0x6d];
const VERSION = [0x01, 0x00, 0x00, 0x00];

const KIND_FUNCTION = 0;
const KIND_TABLE = 1;
const KIND_MEMORY = 2;
const KIND_GLOBAL = 3;
const KIND_TAG = 4;

export type ExternalKind = 'function' | 'table' | 'memory' | 'global' | 'tag';
const KIND_NAMES: readonly ExternalKind[] = ['function', 'table', 'memory', 'global', 'tag'];

/// A section: its id byte is at `header`, its contents are `start` … `end`. For a custom section `name` is set and
/// `start` lies after the name.
export interface Section {
  readonly id: number;
  readonly name?: string;
  readonly header: number;
  readonly start: number;
  readonly end: number;
}

export interface ImportInfo {
  readonly module: string;
  readonly name: string;
  readonly kind: ExternalKind;
  /// In the index space of its kind.
  readonly index: number;
}

export interface ExportInfo {
  readonly name: string;
  readonly kind: ExternalKind;
  readonly index: number;
}

/// What `readModule` found.
export interface ModuleInfo {
  readonly bytes: Uint8Array;
  readonly sections: readonly Section[];
  readonly types: readonly TypeDef[];
  readonly typeSection: TypeSection;
  readonly imports: readonly ImportInfo[];
  readonly exports: readonly ExportInfo[];
  readonly spaces: Readonly<IndexSpaces>;
  /// Functions that come from outside; they have the lowest indices.
  readonly importedFunctions: number;
  /// Type index by function index, imports included.
  readonly functionTypes: Uint32Array;
  /// By defined function: offset of the body's first byte after its size field, and its size in bytes.
  readonly bodyOffsets: Uint32Array;
  readonly bodySizes: Uint32Array;
  /// By function index: 1 = mentioned in an element segment, a global's or a table's initial value.
  readonly listed: Uint8Array;
  /// Function references can come in or go out: through an imported or exported table or global, or through a type.
  readonly functionsEscape: boolean;
  readonly start?: number;
}

/// Signature of a function by its index.
export function signature(module: ModuleInfo, index: number): FuncType {
  return module.types[module.functionTypes[index]!]!.func!;
}

/// Contents of the custom sections of that name.
export function customSections(module: ModuleInfo, name: string): Uint8Array[] {
  const found = module.sections.filter((section) => section.id === SECTION_CUSTOM && section.name === name);
  return found.map((section) => module.bytes.subarray(section.start, section.end));
}

/// Reads everything but bodies and data. Throws `WasmFormatError`.
export function readModule(bytes: Uint8Array): ModuleInfo {
  return new ModuleReader(bytes).read();
}

class ModuleReader {
  readonly #cursor: Cursor;
  readonly #sections: Section[] = [];
  #typeSection: TypeSection = NO_TYPES;
  readonly #imports: ImportInfo[] = [];
  readonly #exports: ExportInfo[] = [];
  readonly #spaces: IndexSpaces = { types: 0, functions: 0, tables: 0, globals: 0, tags: 0, elements: 0 };
  readonly #importedTypes: number[] = [];
  #functionTypes = new Uint32Array(0);
  #bodyOffsets = new Uint32Array(0);
  #bodySizes = new Uint32Array(0);
  // Tables and globals that can hold functions, by index.
  readonly #functionTables = new Set<number>();
  readonly #functionGlobals = new Set<number>();
  // Growing with the function index space is not needed: mentions come after all functions are known.
  #listed = new Uint8Array(0);
  #escape = false;
  #start: number | undefined;
  #memories = 0;
  #codeSeen = false;

  constructor(bytes: Uint8Array) {
    this.#cursor = new Cursor(bytes);
  }

  read(): ModuleInfo {
    const cursor = this.#cursor;
    this.#readHeader();
    this.#endOfFunctions();
    let last = -1;
    while (cursor.pos < cursor.bytes.length) {
      const header = cursor.pos;
      cursor.end = cursor.bytes.length;
      const id = cursor.u8('a section id');
      const size = cursor.count(1, 'bytes of a section');
      const start = cursor.pos;
      cursor.end = start + size;
      if (id === SECTION_CUSTOM) {
        const name = cursor.name('a custom section name');
        this.#sections.push({ id, name, header, start: cursor.pos, end: cursor.end });
        cursor.pos = cursor.end;
        continue;
      }
      const rank = SECTION_ORDER.indexOf(id);
      if (rank < 0) throw new WasmFormatError(header, `unknown section ${id}`, 'a section id of 0 … 13');
      if (rank <= last) throw new WasmFormatError(header, `section ${id} out of order`, expectedAfter(last));
      last = rank;
      this.#sections.push({ id, header, start, end: cursor.end });
      this.#readSection(id);
      if (cursor.pos !== cursor.end) {
        const left = cursor.end - cursor.pos;
        throw new WasmFormatError(cursor.pos, `${left} bytes left over`, `the end of section ${id}`);
      }
    }
    const defined = this.#functionTypes.length - this.#importedTypes.length;
    if (defined > 0 && !this.#codeSeen) {
      throw new WasmFormatError(cursor.pos, 'end of the module', `a code section with ${defined} bodies`);
    }
    return {
      bytes: cursor.bytes,
      sections: this.#sections,
      types: this.#typeSection.types,
      typeSection: this.#typeSection,
      imports: this.#imports,
      exports: this.#exports,
      spaces: this.#spaces,
      importedFunctions: this.#importedTypes.length,
      functionTypes: this.#functionTypes,
      bodyOffsets: this.#bodyOffsets,
      bodySizes: this.#bodySizes,
      listed: this.#listed,
      functionsEscape: this.#escape || this.#typeSection.passesFunctions,
      start: this.#start,
    };
  }

  #readHeader(): void {
    const { bytes } = this.#cursor;
    for (let i = 0; i < HEADER_SIZE; i++) {
      const expected = i < 4 ? MAGIC[i] : VERSION[i - 4];
      if (bytes[i] === expected) continue;
      const what = i < 4 ? 'the magic number 00 61 73 6d ("\\0asm")' : 'version 01 00 00 00 of a core module';
      if (i >= bytes.length) throw new WasmFormatError(bytes.length, 'unexpected end', what);
      throw new WasmFormatError(i, hex(bytes[i]!), what);
    }
    this.#cursor.pos = HEADER_SIZE;
  }

  #readSection(id: number): void {
    const cursor = this.#cursor;
    switch (id) {
      case SECTION_TYPE:
        this.#typeSection = readTypes(cursor);
        this.#spaces.types = this.#typeSection.types.length;
        return;
      case SECTION_IMPORT:
        this.#readImports();
        return;
      case SECTION_FUNCTION:
        this.#readFunctions();
        return;
      case SECTION_TABLE:
        this.#readTables();
        return;
      case SECTION_TAG:
        this.#readTags();
        return;
      case SECTION_GLOBAL:
        this.#readGlobals();
        return;
      case SECTION_EXPORT:
        this.#readExports();
        return;
      case SECTION_START:
        this.#readStart();
        return;
      case SECTION_ELEMENT:
        this.#readElements();
        return;
      case SECTION_CODE:
        this.#readCode();
        return;
      default:
        cursor.pos = cursor.end;
    }
  }

  #functionType(): number {
    const cursor = this.#cursor;
    const start = cursor.pos;
    const type = cursor.index(this.#spaces.types, 'type');
    if (this.#typeSection.types[type]!.func !== undefined) return type;
    throw new WasmFormatError(start, `type ${type}, which is not a function type`, 'a function type');
  }

  #limits(): void {
    const cursor = this.#cursor;
    const start = cursor.pos;
    const flags = cursor.u8('the flags of a limit');
    if (flags > 0x0f) throw new WasmFormatError(start, `limit flags ${hex(flags)}`, 'flags below 0x10');
    const wide = (flags & 4) !== 0 ? 10 : 5;
    cursor.skipLeb(wide, 'a minimum');
    if ((flags & 1) !== 0) cursor.skipLeb(wide, 'a maximum');
    if ((flags & 8) !== 0) cursor.skipLeb(5, 'a page size');
  }

  /// Returns whether it can hold functions.
  #tableType(): boolean {
    const holds = this.#holdsFunctions(readType(this.#cursor, this.#spaces.types));
    if (holds) this.#functionTables.add(this.#spaces.tables);
    this.#limits();
    this.#spaces.tables++;
    return holds;
  }

  /// Returns whether it can hold a function.
  #globalType(): boolean {
    const cursor = this.#cursor;
    const holds = this.#holdsFunctions(readType(cursor, this.#spaces.types));
    if (holds) this.#functionGlobals.add(this.#spaces.globals);
    const start = cursor.pos;
    const mutability = cursor.u8('a mutability');
    if (mutability > 1) throw new WasmFormatError(start, `mutability ${hex(mutability)}`, '0x00 or 0x01');
    return holds;
  }

  #holdsFunctions(type: ValType): boolean {
    return isFunctionReference(type, this.#typeSection.types);
  }

  #tag(): void {
    const cursor = this.#cursor;
    const start = cursor.pos;
    const attribute = cursor.u32('a tag attribute');
    if (attribute !== 0) throw new WasmFormatError(start, `tag attribute ${attribute}`, 'attribute 0');
    this.#functionType();
    this.#spaces.tags++;
  }

  #readImports(): void {
    const cursor = this.#cursor;
    // Two empty names, a kind and one byte of description.
    const count = cursor.count(4, 'imports');
    for (let i = 0; i < count; i++) {
      const module = cursor.name('an import module name');
      const name = cursor.name('an import name');
      const start = cursor.pos;
      const kind = cursor.u8('an import kind');
      this.#imports.push({ module, name, kind: KIND_NAMES[kind]!, index: this.#counts()[kind]! });
      switch (kind) {
        case KIND_FUNCTION:
          this.#importedTypes.push(this.#functionType());
          this.#spaces.functions++;
          break;
        case KIND_TABLE:
          if (this.#tableType()) this.#escape = true;
          break;
        case KIND_MEMORY:
          this.#limits();
          this.#memories++;
          break;
        case KIND_GLOBAL:
          if (this.#globalType()) this.#escape = true;
          this.#spaces.globals++;
          break;
        case KIND_TAG:
          this.#tag();
          break;
        default:
          throw new WasmFormatError(start, `import kind ${hex(kind)}`, 'a kind of 0x00 … 0x04');
      }
    }
    this.#endOfFunctions();
  }

  /// How many of a kind there are so far, in the order of the kinds' codes.
  #counts(): number[] {
    const { functions, tables, globals, tags } = this.#spaces;
    return [functions, tables, this.#memories, globals, tags];
  }

  #endOfFunctions(): void {
    this.#functionTypes = Uint32Array.from(this.#importedTypes);
    this.#listed = new Uint8Array(this.#spaces.functions);
  }

  #readFunctions(): void {
    const cursor = this.#cursor;
    const count = cursor.count(1, 'functions');
    const imported = this.#importedTypes.length;
    const types = new Uint32Array(imported + count);
    types.set(this.#importedTypes);
    for (let i = 0; i < count; i++) types[imported + i] = this.#functionType();
    this.#functionTypes = types;
    this.#spaces.functions = types.length;
    this.#listed = new Uint8Array(types.length);
  }

  #readTables(): void {
    const cursor = this.#cursor;
    const count = cursor.count(3, 'tables');
    for (let i = 0; i < count; i++) {
      const hasValue = cursor.bytes[cursor.pos] === 0x40;
      if (hasValue) {
        cursor.pos++;
        const start = cursor.pos;
        if (cursor.u8('a reserved byte') !== 0) throw new WasmFormatError(start, 'reserved byte', '0x00');
      }
      this.#tableType();
      if (hasValue) this.#constant();
    }
  }

  #readTags(): void {
    const count = this.#cursor.count(2, 'tags');
    for (let i = 0; i < count; i++) this.#tag();
  }

  #readGlobals(): void {
    // A type, a mutability and the `end` of an expression.
    const count = this.#cursor.count(3, 'globals');
    for (let i = 0; i < count; i++) {
      this.#globalType();
      this.#constant();
      // Counted afterwards: an initial value can only name the globals before it.
      this.#spaces.globals++;
    }
  }

  #readExports(): void {
    const cursor = this.#cursor;
    const count = cursor.count(3, 'exports');
    for (let i = 0; i < count; i++) {
      const name = cursor.name('an export name');
      const start = cursor.pos;
      const kind = cursor.u8('an export kind');
      // Memories are not counted beyond imports, since nothing is appended to them.
      const limit = kind === KIND_MEMORY ? 2 ** 32 : this.#counts()[kind];
      if (limit === undefined) throw new WasmFormatError(start, `export kind ${hex(kind)}`, 'a kind of 0x00 … 0x04');
      const index = cursor.index(limit, KIND_NAMES[kind]!);
      this.#exports.push({ name, kind: KIND_NAMES[kind]!, index });
      if (kind === KIND_TABLE && this.#functionTables.has(index)) this.#escape = true;
      if (kind === KIND_GLOBAL && this.#functionGlobals.has(index)) this.#escape = true;
    }
  }

  #constant(): void {
    skipConstant(this.#cursor, this.#spaces, (index) => {
      this.#listed[index] = 1;
    });
  }

  #readStart(): void {
    const cursor = this.#cursor;
    const at = cursor.pos;
    this.#start = cursor.index(this.#spaces.functions, 'function');
    // Once it is deferred, no engine looks at this any more.
    const { params, results } = this.#typeSection.types[this.#functionTypes[this.#start]!]!.func!;
    if (params.length === 0 && results.length === 0) return;
    throw new WasmFormatError(at, 'start function with parameters or results', 'one that has neither');
  }

  #readElements(): void {
    const cursor = this.#cursor;
    const count = cursor.count(2, 'element segments');
    for (let i = 0; i < count; i++) {
      const start = cursor.pos;
      // Bit 0: passive or declarative; bit 1: has a table index (or is declarative); bit 2: expressions, not indices.
      const flags = cursor.u32('the flags of an element segment');
      if (flags > 7) throw new WasmFormatError(start, `element segment flags ${flags}`, 'flags of 0 … 7');
      const active = (flags & 1) === 0;
      if (active) {
        if ((flags & 2) !== 0) cursor.index(this.#spaces.tables, 'table');
        this.#constant();
      }
      const typed = (flags & 3) !== 0;
      const expressions = (flags & 4) !== 0;
      if (typed && expressions) readType(cursor, this.#spaces.types);
      if (typed && !expressions && cursor.u8('an element kind') !== 0) {
        throw new WasmFormatError(cursor.pos - 1, 'element kind', '0x00 (functions)');
      }
      const items = cursor.count(1, 'elements');
      for (let k = 0; k < items; k++) {
        if (expressions) this.#constant();
        else this.#listed[cursor.index(this.#spaces.functions, 'function')] = 1;
      }
    }
    this.#spaces.elements = count;
  }

  #readCode(): void {
    const cursor = this.#cursor;
    this.#codeSeen = true;
    const start = cursor.pos;
    const count = cursor.count(1, 'bodies');
    const defined = this.#functionTypes.length - this.#importedTypes.length;
    if (count !== defined) {
      throw new WasmFormatError(start, `${count} bodies`, `${defined}, one for each entry of the function section`);
    }
    this.#bodyOffsets = new Uint32Array(count);
    this.#bodySizes = new Uint32Array(count);
    for (let i = 0; i < count; i++) {
      const size = cursor.count(1, 'bytes of a body');
      this.#bodyOffsets[i] = cursor.pos;
      this.#bodySizes[i] = size;
      cursor.pos += size;
    }
  }
}

function expectedAfter(rank: number): string {
  const left = SECTION_ORDER.slice(rank + 1);
  return left.length === 0 ? 'no section but custom ones' : `a custom section or one of ${left.join(', ')}`;
}
