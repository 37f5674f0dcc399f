// The exports of a module stand for good: nobody can put a traced function in the place of one. So the caller gets a copy to use
// in place of the namespace.

const { defineProperty, getOwnPropertyDescriptor, ownKeys } = Reflect;

/// A copy of a module's namespace in which functions can be replaced: by the same names, in the same order. `complete` adds
/// what is no function, as accessors that show what the module holds at that time; called after the functions were replaced,
/// since those accessors are nobody's to trace.
export function copyNamespace(namespace: object): { copy: Record<string, unknown>; complete: () => void } {
  const copy: Record<string, unknown> = Object.create(null);
  const others: string[] = [];
  for (const key of ownKeys(namespace)) {
    if (typeof key !== 'string') continue;
    const value = exportedFunction(namespace, key);
    copy[key] = value;
    if (typeof value !== 'function') others.push(key);
  }
  defineProperty(copy, Symbol.toStringTag, { value: 'Module' });
  const complete = (): void => {
    for (const key of others) {
      const get = () => (namespace as Record<string, unknown>)[key];
      defineProperty(copy, key, { get, enumerable: true, configurable: false });
    }
  };
  return { copy, complete };
}

/// The function that a module exports, undefined for what is none, or not there yet.
function exportedFunction(namespace: object, key: string): unknown {
  try {
    const value: unknown = getOwnPropertyDescriptor(namespace, key)?.value;
    return typeof value === 'function' ? value : undefined;
  } catch {
    return undefined;
  }
}
