// Symbol maps: names that a build tool wrote into a file of its own, since the module was to be small.
//
//   12:sqlite3_open          what emscripten's --emit-symbol-map writes
//   12 sqlite3_open          the same with a blank
//   # and empty lines        are skipped, and so is what stands behind no name: `12:` names nothing
//
// Tools that print names in the text format escape what is special there: `std::min\28int\2c\20int\29`.

import { badType, SymbolMapError, shown } from '../errors.ts';

/// Function index → name.
export type SymbolMap = ReadonlyMap<number, string>;

const LINE = /^\s*(\d+)(?::|\s+|$)\s*(.*?)\s*$/;
const MOST_FUNCTIONS = 2 ** 32;

/// Reads a symbol map. An index that occurs twice keeps its first name. `file` stands in front of messages. Throws
/// `SymbolMapError`, which knows the line.
export function parseSymbolMap(text: string, file = 'symbol map'): SymbolMap {
  for (const [what, value] of Object.entries({ 'the symbol map': text, 'the name of the file': file })) {
    if (typeof value !== 'string') throw badType(`${what} is ${shown(value)}, expected a string`);
  }
  const map = new Map<number, string>();
  const lines = text.replace(/^\ufeff/, '').split('\n');
  for (const [i, line] of lines.entries()) {
    if (line.trim() === '' || line.trimStart().startsWith('#')) continue;
    const [, digits, name] = LINE.exec(line) ?? [];
    if (digits === undefined) throw new SymbolMapError(file, i + 1, line.trim());
    const index = Number(digits);
    if (index >= MOST_FUNCTIONS) throw new SymbolMapError(file, i + 1, line.trim());
    if (name !== '' && !map.has(index)) map.set(index, unescapeText(name));
  }
  return map;
}

/// `\28` and the like stand for bytes of UTF-8.
function unescapeText(name: string): string {
  if (!name.includes('\\')) return name;
  return name.replace(/(?:\\[0-9a-fA-F]{2})+/g, (run) => {
    const bytes = Uint8Array.from(run.slice(1).split('\\'), (byte) => Number.parseInt(byte, 16));
    return new TextDecoder().decode(bytes);
  });
}
