// The source text of a traced function. What stands in for a function is a Proxy, and the text of a callable Proxy is that of a
// native function, whatever it stands for. Programs do read it (to tell classes from functions, to find parameter names), so
// while anything is traced `Function.prototype.toString` looks through the stand-ins; it answers for itself too.

export type Callable = (...args: never[]) => unknown;

const { apply, defineProperty, getOwnPropertyDescriptor } = Reflect;
const native = Function.prototype.toString;

/// Stand-in → the function that it stands for.
const originals = new WeakMap<object, Callable>();
let users = 0;
let installed: PropertyDescriptor | undefined;

/// Remembers that `standIn` stands for `fn`.
export function standsFor(standIn: object, fn: Callable): void {
  originals.set(standIn, fn);
}

/// What `fn` stands for, through any number of stand-ins; `fn` itself if it is none.
export function originalOf<T extends object>(fn: T): T {
  let original: object = fn;
  for (let next = originals.get(original); next !== undefined; next = originals.get(original)) original = next;
  return original as T;
}

/// The source text of a function. Runs nothing of the program.
export function sourceOf(fn: Callable): string {
  return apply(native, fn, []);
}

// A method, so that it is no constructor, with the name and the length of the one that it replaces.
const { toString: looksThrough } = {
  toString(this: unknown): string {
    return apply(native, typeof this === 'function' ? originalOf(this) : this, []);
  },
};
originals.set(looksThrough, native);

/// Something is traced from now on. Where `Function.prototype` is frozen, texts are those of native functions.
export function acquireSource(): void {
  if (users++ > 0) return;
  const original = getOwnPropertyDescriptor(Function.prototype, 'toString');
  if (original?.value !== native) return;
  if (defineProperty(Function.prototype, 'toString', { ...original, value: looksThrough })) installed = original;
}

/// The opposite of `acquireSource`. A `toString` that somebody has put in the place of ours stays.
export function releaseSource(): void {
  if (--users > 0 || !installed) return;
  const now = getOwnPropertyDescriptor(Function.prototype, 'toString');
  if (now?.value === looksThrough) defineProperty(Function.prototype, 'toString', installed);
  installed = undefined;
}
