// What the functions of a module are called, from everything that names them.

import { Names } from '../instrument/names.ts';
import { customSections, type ModuleInfo } from '../instrument/reader.ts';
import type { SymbolMap } from './symbol-map.ts';

/// What a function is called in a file.
export interface SymbolNames {
  readonly symbol: string;
  /// What the symbol map calls it, where that is something else.
  readonly other?: string;
}

/// By function index: the name from the name section, else the first name it is exported by, else what it is imported as
/// (`module.name`), else the one in `map`, else `func[N]`. Empty names do not count. Control characters, which would break
/// lines of text, are shown as `\xNN`. `warn` is told what of the name section could not be read.
export function functionNames(
  module: ModuleInfo,
  map?: SymbolMap,
  warn?: (message: string) => void,
): (index: number) => SymbolNames {
  const names = new Names(...customSections(module, 'name'));
  const { functions } = names;
  if (warn) for (const message of names.warnings) warn(message);
  const others = new Map<number, string>();
  for (const { kind, index, name } of module.exports) {
    if (kind === 'function' && name !== '' && !others.has(index)) others.set(index, name);
  }
  for (const { kind, index, module: from, name } of module.imports) {
    if (kind === 'function' && !others.has(index)) others.set(index, `${from}.${name}`);
  }
  return (index) => {
    const mapped = printable(map?.get(index) ?? '');
    const symbol = printable(functions.get(index) || others.get(index) || mapped || `func[${index}]`);
    return mapped === '' || mapped === symbol ? { symbol } : { symbol, other: mapped };
  };
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROL = /[\x00-\x1f\x7f]/g;

/// `name` with its control characters shown.
export function printable(name: string): string {
  return name.replace(CONTROL, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`);
}
