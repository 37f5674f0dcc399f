// The one kind of import that has to be wrapped: a JavaScript function that the module can call through a reference. Such a call
// sets the flag that tells calls from inside, and no code of the module runs before the import to take it back.

import type { ModuleInfo } from '../instrument/index.ts';

let tableForTests: WebAssembly.Table | undefined;

/// A table takes exported WebAssembly functions only. Those keep their identity through an import, so they stay as they are.
function isExportedFunction(fn: (...args: never[]) => unknown): boolean {
  tableForTests ??= new WebAssembly.Table({ element: 'anyfunc', initial: 1 });
  try {
    tableForTests.set(0, fn);
    tableForTests.set(0, null);
    return true;
  } catch {
    return false;
  }
}

/// `imports` with every import of `indices` (function indices) that is a JavaScript function replaced by one that calls
/// `before` first. All else is found where it was.
export function wrapImports(
  imports: WebAssembly.Imports | undefined,
  module: ModuleInfo,
  indices: readonly number[],
  before: () => void,
): WebAssembly.Imports | undefined {
  if (!imports || indices.length === 0) return imports;
  const wrapped: WebAssembly.Imports = Object.create(imports);
  for (const { kind, index, module: from, name } of module.imports) {
    if (kind !== 'function' || !indices.includes(index)) continue;
    const fn: unknown = imports[from]?.[name];
    if (typeof fn !== 'function' || isExportedFunction(fn as never)) continue;
    if (!Object.hasOwn(wrapped, from)) Object.defineProperty(wrapped, from, { value: Object.create(imports[from]) });
    const replacement = (...args: unknown[]): unknown => {
      before();
      return Reflect.apply(fn, undefined, args);
    };
    Object.defineProperty(wrapped[from], name, { value: replacement });
  }
  return wrapped;
}
