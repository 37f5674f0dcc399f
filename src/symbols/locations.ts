// Where the functions of a module begin in their sources: from DWARF line tables in the module or in a file beside it, else from a
// source map. Nothing is read before somebody asks, and nothing that is wrong in it is ever thrown.

import { customSections, type ModuleInfo, readModule, SECTION_CODE } from '../instrument/reader.ts';
import { LineTable } from './dwarf-line.ts';
import { compilationDirectories } from './dwarf-units.ts';
import { SourceMap } from './source-map.ts';

/// A place in a source file.
export interface SourceLocation {
  /// As the debug information has it: absolute, or relative to where the program was built.
  readonly file: string;
  /// From 1.
  readonly line: number;
}

/// Debug information that does not lie in the module itself.
export interface DebugFiles {
  /// The text of a source map.
  readonly sourceMap?: string;
  /// A WebAssembly file with the DWARF sections.
  readonly debugInfo?: Uint8Array;
}

/// Whether a custom section of this name has to do with the places of functions in source files.
const isDebugSection = (name: string | undefined): boolean =>
  name !== undefined && (name.startsWith('.debug_') || name === 'sourceMappingURL' || name === 'external_debug_info');

export class Locations {
  /// What could not be read, and why; complete after the first `find`.
  readonly warnings: string[] = [];
  readonly #files: DebugFiles;
  #module: ModuleInfo | undefined;
  #sources: Finder[] | undefined;

  constructor(module: ModuleInfo, files: DebugFiles = {}) {
    this.#files = files;
    const some = files.sourceMap !== undefined || files.debugInfo !== undefined;
    // The bytes of a module without debug information need not be kept.
    if (some || module.sections.some(({ name }) => isDebugSection(name))) this.#module = module;
    else this.#sources = [];
  }

  /// Where the function begins whose body lies at these bytes of the module.
  find(offset: number, size: number): SourceLocation | undefined {
    this.#sources ??= this.#read();
    for (const { source, base } of this.#sources) {
      const found = source.find(offset - base, offset - base + size);
      if (found) return found;
    }
    return undefined;
  }

  #read(): Finder[] {
    const module = this.#module!;
    this.#module = undefined;
    const code = module.sections.find(({ id }) => id === SECTION_CODE);
    if (!code) return [];
    const sources: Finder[] = [];
    const addLines = (from: ModuleInfo): void => {
      const lines = this.#readLines(from, code.end - code.start);
      if (lines.size > 0) sources.push({ source: lines, base: code.start });
    };
    addLines(module);
    if (this.#files.debugInfo)
      this.#attempt('external debug information', () => addLines(readModule(this.#files.debugInfo!)));
    const json = this.#files.sourceMap ?? this.#embeddedSourceMap(module);
    if (json !== undefined) this.#attempt('source map', () => sources.push({ source: new SourceMap(json), base: 0 }));
    return sources;
  }

  #readLines(module: ModuleInfo, codeSize: number): LineTable {
    const section = (name: string): Uint8Array => customSections(module, name)[0] ?? NOTHING;
    const warn = (message: string): void => {
      this.warnings.push(message);
    };
    const sections = {
      line: section('.debug_line'),
      info: section('.debug_info'),
      abbrev: section('.debug_abbrev'),
      str: section('.debug_str'),
      lineStr: section('.debug_line_str'),
      strOffsets: section('.debug_str_offsets'),
    };
    return new LineTable(sections, codeSize, compilationDirectories(sections, warn), warn);
  }

  #embeddedSourceMap(module: ModuleInfo): string | undefined {
    const url = linkedFiles(module).sourceMap;
    if (url === undefined || !url.startsWith('data:')) return undefined;
    return this.#attempt('source map', () => textOfDataUrl(url));
  }

  #attempt<T>(what: string, read: () => T): T | undefined {
    try {
      return read();
    } catch (error) {
      this.warnings.push(`${what}: ${(error as Error).message}`);
      return undefined;
    }
  }
}

interface Finder {
  readonly source: LineTable | SourceMap;
  /// What the source's offsets count from.
  readonly base: number;
}

const NOTHING = new Uint8Array(0);

/// The files that a module names for its debug information: URLs, often relative to its own.
export function linkedFiles(module: ModuleInfo): { sourceMap?: string; debugInfo?: string } {
  return { sourceMap: textOf(module, 'sourceMappingURL'), debugInfo: textOf(module, 'external_debug_info') };
}

/// A section that holds one text with its length in front.
function textOf(module: ModuleInfo, name: string): string | undefined {
  const [section] = customSections(module, name);
  if (!section) return undefined;
  let length = 0;
  let at = 0;
  for (let shift = 0; at < section.length && shift < 35; shift += 7) {
    const byte = section[at++];
    length += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) break;
  }
  return new TextDecoder().decode(section.subarray(at, at + length));
}

function textOfDataUrl(url: string): string {
  const comma = url.indexOf(',');
  if (comma < 0) throw new TypeError('a data URL without a comma');
  const data = url.slice(comma + 1);
  if (!/;base64$/i.test(url.slice(0, comma))) return decodeURIComponent(data);
  const binary = atob(data);
  return new TextDecoder().decode(Uint8Array.from(binary, (character) => character.charCodeAt(0)));
}
