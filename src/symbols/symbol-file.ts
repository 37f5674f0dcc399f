// Symbol maps that lie beside a module, or beside the script that loads it, where build tools leave them.

import { existsSync } from 'node:fs';
import { readRegularFile } from '../read-file.ts';
import { parseSymbolMap, type SymbolMap } from './symbol-map.ts';

/// Bytes: a million names, and room to spare.
const SIZE_MAX = 2 ** 28;

/// The symbol map beside `path`, a module or its script: for `app.wasm` or `app.js` the first that exists of `app.wasm.symbols`,
/// `app.js.symbols` (what emscripten writes) and `app.symbols`. `functions`: how many the module has, imports included; a map that
/// names more belongs to another. Nobody asked for it, so what is wrong with it goes to `warn`, in one line.
export function symbolMapBeside(
  path: string,
  functions: number,
  warn: (message: string) => void,
): SymbolMap | undefined {
  const stem = path.replace(/\.(?:wasm|[cm]?js)$/, '');
  const found = ['.wasm.symbols', '.js.symbols', '.symbols'].map((end) => stem + end).find((file) => existsSync(file));
  if (found === undefined) return undefined;
  try {
    const map = parseSymbolMap(readRegularFile(found, SIZE_MAX).toString(), found);
    for (const index of map.keys()) {
      if (index < functions) continue;
      warn(`symbol map not used: ${found} names function ${index} of a module that has ${functions}`);
      return undefined;
    }
    return map;
  } catch (error) {
    warn(`symbol map not used: ${(error as Error).message}`);
    return undefined;
  }
}
