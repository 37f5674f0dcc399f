// Generators run when somebody takes their next value, not when they are called. To see that, the methods that resume one are
// put on the object that a generator function's generators inherit from; it is the function's own, and holds nothing by itself.

import { isProxy } from './members.ts';
import type { Callable } from './source.ts';

const { getOwnPropertyDescriptor, getPrototypeOf } = Reflect;

const prototypeOf = (fn: { prototype: unknown }) => getPrototypeOf(fn.prototype as object) as Record<string, Callable>;
const generatorPrototype = prototypeOf(function* () {});
const asyncGeneratorPrototype = prototypeOf(async function* () {});

/// A method that resumes the generators of a function.
export interface Resumer {
  readonly holder: object;
  readonly key: 'next' | 'return' | 'throw';
  readonly fn: Callable;
  /// It returns a promise.
  readonly isAsync: boolean;
}

/// The methods that resume the generators of `fn`; none when it is no generator function, or holds methods of its own already.
export function resumersOf(fn: Callable): Resumer[] {
  if (isProxy(fn)) return [];
  const holder: unknown = getOwnPropertyDescriptor(fn, 'prototype')?.value;
  if (typeof holder !== 'object' || holder === null || isProxy(holder)) return [];
  const inherited = getPrototypeOf(holder) as Record<string, Callable> | null;
  const isAsync = inherited === asyncGeneratorPrototype;
  if (!inherited || !(isAsync || inherited === generatorPrototype)) return [];
  const keys = (['next', 'return', 'throw'] as const).filter((key) => !getOwnPropertyDescriptor(holder, key));
  return keys.map((key) => ({ holder, key, fn: inherited[key], isAsync }));
}
