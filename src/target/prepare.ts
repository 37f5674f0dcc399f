// A module on its way to being instantiated: instrumented, and described as far as a target needs it. It comes from its bytes, or,
// when another thread instrumented it, from what the module itself tells.

import { SECTION_NAME } from '../instrument/abi.ts';
import { TypeNames } from '../instrument/code.ts';
import { type Instrumented, type InstrumentOptions, instrument } from '../instrument/index.ts';
import { type Marker, readMarker } from '../instrument/marker.ts';
import { Names } from '../instrument/names.ts';
import {
  customSections,
  type ExternalKind,
  type ModuleInfo,
  readModule,
  SECTION_CUSTOM,
} from '../instrument/reader.ts';
import { NO_TYPES } from '../instrument/types.ts';
import { native } from '../native.ts';
import type { Signature } from '../regs.ts';

/// What was done to a module. What the marker does not hold is known where it was instrumented, not where it arrived.
export type Facts = Marker & Partial<Omit<Instrumented, keyof Marker | 'bytes'>>;

export interface Prepared {
  readonly facts: Facts;
  readonly imports: ModuleInfo['imports'];
  /// Functions of the original module, imports included; higher indices are our additions.
  readonly functions: number;
  /// The module's name for itself; undefined if it has none.
  readonly moduleName: string | undefined;
  /// What names are made of. A module from another thread tells by its instance which functions it exports.
  describe(instance: WebAssembly.Instance): ModuleInfo;
  /// Types of a function; undefined for one without a site in a module from another thread.
  signature(index: number): Signature | undefined;
}

/// One that was made from bytes.
export interface PreparedBytes extends Prepared {
  readonly original: Uint8Array<ArrayBuffer>;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

export interface PrepareOptions extends Pick<InstrumentOptions, 'growth' | 'only'> {
  /// Pass arguments and results to handlers. Default true: what that adds to closed gates cannot be measured.
  readonly args?: boolean;
}

/// Instruments a module for loading. Its bodies are not validated: compiling tells. Throws `WasmFormatError`.
export function prepareBytes(original: Uint8Array<ArrayBuffer>, options: PrepareOptions = {}): PreparedBytes {
  const { args = true, growth, only } = options;
  const { bytes, ...facts } = instrument(original, { args, growth, only, start: 'defer', validate: false });
  return preparedAs(original, bytes as Uint8Array<ArrayBuffer>, facts);
}

/// The same for a module whose instrumented form is there already.
export function preparedAs(
  original: Uint8Array<ArrayBuffer>,
  bytes: Uint8Array<ArrayBuffer>,
  facts: Facts,
): PreparedBytes {
  const info = readModule(original);
  const types = new TypeNames(info);
  return {
    original,
    bytes,
    facts,
    imports: info.imports,
    functions: info.functionTypes.length,
    moduleName: new Names(...customSections(info, 'name')).module,
    describe: () => info,
    signature: (index) => types.of(index),
  };
}

/// A module that was instrumented elsewhere; undefined for one that was not.
export function prepareModule(module: WebAssembly.Module): Prepared | undefined {
  const [contents] = native.customSections(module, SECTION_NAME);
  if (contents === undefined) return undefined;
  const facts = readMarker(new Uint8Array(contents));
  const count: Record<string, number> = {};
  const imports = native.imports(module).map(({ module: from, name, kind }) => {
    count[kind] = (count[kind] ?? 0) + 1;
    return { module: from, name, kind: kind as ExternalKind, index: count[kind] - 1 };
  });
  // All defined functions are in one of the lists: a loader that chooses some (`only`) keeps its modules to itself.
  let functions = count.function ?? 0;
  for (const { index } of [...facts.sites, ...facts.skipped]) functions = Math.max(functions, index + 1);
  const signatures = new Map(facts.sites.map(({ index, params, results }) => [index, { params, results }]));
  const names = native.customSections(module, 'name').map((section) => new Uint8Array(section));
  return {
    facts,
    imports,
    functions,
    moduleName: new Names(...names).module,
    describe: (instance) => describeInstance(names, instance, imports, functions),
    signature: (index) => signatures.get(index),
  };
}

function describeInstance(
  names: readonly Uint8Array[],
  instance: WebAssembly.Instance,
  imports: ModuleInfo['imports'],
  functions: number,
): ModuleInfo {
  const bytes = new Uint8Array(Buffer.concat(names));
  let at = 0;
  const sections = names.map(({ length }) => {
    const start = at;
    at += length;
    return { id: SECTION_CUSTOM, name: 'name', header: start, start, end: at };
  });
  // The name of an exported function is its index.
  const exports = Object.entries(instance.exports).flatMap(([name, value]) =>
    typeof value === 'function' ? [{ name, kind: 'function' as const, index: Number(value.name) }] : [],
  );
  return {
    bytes,
    sections,
    imports,
    exports,
    types: [],
    typeSection: NO_TYPES,
    spaces: { types: 0, functions, tables: 0, globals: 0, tags: 0, elements: 0 },
    importedFunctions: imports.filter(({ kind }) => kind === 'function').length,
    functionTypes: new Uint32Array(functions),
    bodyOffsets: new Uint32Array(0),
    bodySizes: new Uint32Array(0),
    listed: new Uint8Array(functions),
    functionsEscape: true,
  };
}
