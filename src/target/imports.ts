// The imports on their way to the engine. A program can tell when, how often and in what order its imports are read: by
// getters, or by proxies (emscripten's dynamic linking makes up whatever is asked for). So nobody looks at them but the
// engine, through the proxies below: each once, when it links.
//
// One kind of import has to be wrapped: a JavaScript function that the module can call through a reference. Such a call
// sets the flag that tells calls from inside, and no code of the module runs before the import to take it back.

import type { ModuleInfo } from '../instrument/index.ts';

let tableForTests: WebAssembly.Table | undefined;

/// A table takes exported WebAssembly functions only. Those keep their identity through an import, so they stay as they are.
export function isExportedFunction(fn: (...args: never[]) => unknown): boolean {
  tableForTests ??= new WebAssembly.Table({ element: 'anyfunc', initial: 1 });
  try {
    tableForTests.set(0, fn);
    tableForTests.set(0, null);
    return true;
  } catch {
    return false;
  }
}

const isObject = (value: unknown): value is object =>
  (typeof value === 'object' && value !== null) || typeof value === 'function';

export interface ImportOptions {
  /// Imported functions (by index) that calls through a reference can reach.
  readonly byReference: readonly number[];
  /// Called before each call of such a function, if it is JavaScript's.
  readonly before: () => void;
  /// Called with every import that is read.
  readonly seen: (value: unknown) => void;
}

/// What to instantiate a module that declares these imports with, in place of `imports`. Errors are those of `imports`.
export function readThrough(
  imports: WebAssembly.Imports | undefined,
  declared: ModuleInfo['imports'],
  { byReference, before, seen }: ImportOptions,
): WebAssembly.Imports | undefined {
  if (!isObject(imports)) return imports;
  const wanted = new Set(byReference);
  const wrapped = new Set<string>();
  const key = (from: string, name: string): string => JSON.stringify([from, name]);
  for (const { kind, index, module: from, name } of declared) {
    if (kind === 'function' && wanted.has(index)) wrapped.add(key(from, name));
  }
  const read = (from: string, name: string, value: unknown): unknown => {
    seen(value);
    if (typeof value !== 'function' || !wrapped.has(key(from, name)) || isExportedFunction(value as never))
      return value;
    return (...args: unknown[]): unknown => {
      before();
      return Reflect.apply(value, undefined, args);
    };
  };
  // The proxies' own targets are empty: one around a frozen object would not be allowed to answer with anything else.
  return new Proxy<WebAssembly.Imports>(Object.create(null), {
    get(_, from: string) {
      const space: unknown = imports[from];
      if (!isObject(space)) return space;
      return new Proxy(Object.create(null), {
        get: (_, name: string) => read(from, name, (space as Record<string, unknown>)[name]),
      });
    },
  });
}
