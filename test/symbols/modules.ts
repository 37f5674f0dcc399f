// Modules with other custom sections than they came with.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readModule, SECTION_CUSTOM } from '../../src/instrument/reader.ts';

const root = join(import.meta.dirname, '../..');

export const program = (path: string): Uint8Array<ArrayBuffer> =>
  new Uint8Array(readFileSync(join(root, 'node_modules', path)));

/// C++ with names and DWARF, and a source map beside it.
export const BZ2 = '@foxglove/wasm-bz2/wasm/module.wasm';
/// The same in C.
export const TREE_SITTER = 'web-tree-sitter/debug/web-tree-sitter.wasm';
/// Rust, demangled by its linker.
export const SIMPLECC = 'simplecc-wasm/pkg/deno/simplecc_wasm_bg.wasm';

export const leb = (value: number): number[] =>
  value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...leb(Math.floor(value / 128))];

export const text = (value: string): number[] => {
  const bytes = new TextEncoder().encode(value);
  return [...leb(bytes.length), ...bytes];
};

/// `module` without the custom sections that `drop` names, and with `add` at its end.
export function withSections(
  module: Uint8Array,
  drop: (name: string) => boolean,
  add: Readonly<Record<string, Uint8Array | number[]>> = {},
): Uint8Array<ArrayBuffer> {
  const { sections } = readModule(module);
  const kept = sections.filter(({ id, name }) => id !== SECTION_CUSTOM || !drop(name!));
  const added = Object.entries(add).map(([name, contents]) => {
    const size = text(name).length + contents.length;
    return Buffer.concat([Uint8Array.from([SECTION_CUSTOM, ...leb(size), ...text(name)]), Uint8Array.from(contents)]);
  });
  return new Uint8Array(
    Buffer.concat([module.subarray(0, 8), ...kept.map(({ header, end }) => module.subarray(header, end)), ...added]),
  );
}
