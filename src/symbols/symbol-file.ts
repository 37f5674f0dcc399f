// Symbol maps that lie beside a module, where build tools leave them.

import { existsSync, readFileSync } from 'node:fs';
import { parseSymbolMap, type SymbolMap } from './symbol-map.ts';

/// The symbol map beside `wasm`, a path: for `app.wasm` the first that exists of `app.wasm.symbols`, `app.js.symbols` (what
/// emscripten writes) and `app.symbols`. Nobody asked for it, so what is wrong with it goes to `warn`, in one line.
export function symbolMapBeside(wasm: string, warn: (message: string) => void): SymbolMap | undefined {
  const stem = wasm.replace(/\.wasm$/, '');
  const path = [`${wasm}.symbols`, `${stem}.js.symbols`, `${stem}.symbols`].find((candidate) => existsSync(candidate));
  if (path === undefined) return undefined;
  try {
    return parseSymbolMap(readFileSync(path, 'utf8'), path);
  } catch (error) {
    warn(`symbol map not used: ${(error as Error).message}`);
    return undefined;
  }
}
