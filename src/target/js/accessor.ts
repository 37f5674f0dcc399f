// Getters and setters have a function, not a Proxy, in their place: the engine knows a short way to call a function there, and
// takes a long one for anything else, several times as long as the getter itself. Nobody hangs properties on an accessor or
// makes anything of its prototype; one that is more than a plain method gets a Proxy after all.

import { isProxy } from './members.ts';
import type { Callable } from './source.ts';

const { apply, defineProperty, getOwnPropertyDescriptor, getPrototypeOf, isExtensible, ownKeys } = Reflect;
const { prototype } = Function;

/// What runs the calls while it is open.
interface AccessorGate {
  readonly apply: ((fn: Callable, self: unknown, args: unknown[]) => unknown) | undefined;
}

/// A function that stands in for the accessor `fn` behind `gate`, with its name and length. Undefined: it cannot.
export function accessorStandIn(gate: AccessorGate, fn: Callable): Callable | undefined {
  if (isProxy(fn) || getPrototypeOf(fn) !== prototype || !isExtensible(fn)) return undefined;
  const keys = ownKeys(fn);
  if (keys.length !== 2 || keys[0] !== 'length' || keys[1] !== 'name') return undefined;
  const { standIn } = {
    standIn(this: unknown, ...args: never[]): unknown {
      return gate.apply === undefined ? apply(fn, this, args) : gate.apply(fn, this, args);
    },
  };
  for (const key of keys) defineProperty(standIn, key, getOwnPropertyDescriptor(fn, key)!);
  return standIn;
}
