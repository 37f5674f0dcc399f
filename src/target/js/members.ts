// The functions that an object holds, found without running any of its code: what is read are descriptors, never values, so no
// getter runs, and of a Proxy not even those.

import { type Callable, originalOf, sourceOf } from './source.ts';

const { getOwnPropertyDescriptor, getPrototypeOf, ownKeys } = Reflect;

/// Where a function stands in a property.
export type Part = 'value' | 'get' | 'set';

export interface Member {
  readonly part: Part;
  readonly fn: Callable;
  /// As it is shown: `svc.load`, `svc.size.get`.
  readonly name: string;
  /// The same without the object's name: `load`, `size.get`.
  readonly ownName: string;
}

/// A property with at least one function.
export interface Property {
  readonly holder: object;
  readonly key: PropertyKey;
  readonly descriptor: PropertyDescriptor;
  readonly members: readonly Member[];
  /// Why it has to stay what it is.
  readonly notrace: string | undefined;
}

interface NodeTypes {
  isProxy(value: unknown): boolean;
  isModuleNamespaceObject(value: unknown): boolean;
}

/// Only Node tells a Proxy from its target. Elsewhere the traps of one that is attached do run.
const types = (
  globalThis as { process?: { getBuiltinModule?(name: string): { types: NodeTypes } } }
).process?.getBuiltinModule?.('node:util')?.types;

export const isProxy = (value: unknown): boolean => types?.isProxy(value) ?? false;

export const isModuleNamespace = (value: object): boolean =>
  types?.isModuleNamespaceObject(value) ?? getOwnPropertyDescriptor(value, Symbol.toStringTag)?.value === 'Module';

const IDENTIFIER = /^[\p{ID_Start}$_][\p{ID_Continue}$\u200c\u200d]*$/u;
const INDEX = /^(0|[1-9]\d*)$/;

/// `load`, `[0]`, `["two words"]`, `[Symbol.iterator]`, `[Symbol(tag)]`: how a key follows the name of its object.
function keyName(key: PropertyKey): string {
  if (typeof key === 'symbol') {
    const { description = '' } = key;
    return description.startsWith('Symbol.') ? `[${description}]` : `[Symbol(${description})]`;
  }
  const text = String(key);
  if (IDENTIFIER.test(text)) return text;
  return INDEX.test(text) ? `[${text}]` : `[${JSON.stringify(text)}]`;
}

const joined = (prefix: string, name: string): string =>
  prefix === '' ? name : name.startsWith('[') ? `${prefix}${name}` : `${prefix}.${name}`;

/// Whether a function is part of the engine. A bound one is not: its text shows no name. Accessors are never bound in practice, and
/// those of the engine that have no name exist.
const isNative = (fn: Callable, part: Part): boolean =>
  (part === 'value' ? /^[^{(]*\s\S+\(\) \{ \[native code\] \}$/ : /\{ \[native code\] \}$/).test(
    sourceOf(originalOf(fn)),
  );

const GAP = String.raw`(?:\s|/\*[\s\S]*?\*/|//.*\n)*`;
const PRIVATE_STATIC = new RegExp(String.raw`\bstatic${GAP}(?:(?:async|get|set|accessor)\b)?${GAP}\*?${GAP}#`);

/// Whether a class has private static members: those are bound to the class itself, nothing can stand in for it.
export function hasPrivateStatics(fn: Callable): boolean {
  const source = sourceOf(fn);
  return source.startsWith('class') && PRIVATE_STATIC.test(source);
}

const functionOf = (value: unknown): Callable | undefined =>
  typeof value === 'function' ? (value as Callable) : undefined;

function notraceReason(holder: object, key: PropertyKey, descriptor: PropertyDescriptor): string | undefined {
  if (key === 'constructor' && typeof descriptor.value === 'function' && !isProxy(descriptor.value)) {
    if (getOwnPropertyDescriptor(descriptor.value, 'prototype')?.value === holder) {
      return 'constructor: `object.constructor === Class` has to stay true';
    }
  }
  if (descriptor.configurable) return undefined;
  if (!('value' in descriptor)) return 'not configurable';
  return descriptor.writable ? undefined : 'not writable';
}

/// Finds what objects hold, one after the other; what stands nearer keeps its short name.
class Finder {
  readonly properties: Property[] = [];
  readonly #prefix: string;
  readonly #names = new Set<string>();

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  /// The properties of `holder`, under `path`. `inherited`: without those of the engine's own objects.
  add(holder: object, path: string, inherited: boolean): void {
    const className = inherited ? nameOfClass(holder) : '';
    for (const key of ownKeys(holder)) {
      // Bindings of a module that has not run yet throw.
      const descriptor = descriptorOf(holder, key);
      if (!descriptor) continue;
      const members: Member[] = [];
      for (const part of ['value', 'get', 'set'] as const) {
        const fn = functionOf(descriptor[part]);
        if (!fn || (inherited && isNative(fn, part))) continue;
        const name = joined(path, keyName(key)) + (part === 'value' ? '' : `.${part}`);
        const ownName = this.#unused(name, className);
        members.push({ part, fn, name: joined(this.#prefix, ownName), ownName });
      }
      if (members.length === 0) continue;
      this.properties.push({ holder, key, descriptor, members, notrace: notraceReason(holder, key, descriptor) });
    }
  }

  /// `holder` and, if asked for, what it inherits.
  addChain(holder: object, path: string, prototypes: boolean, inherited = false): void {
    this.add(holder, path, inherited);
    if (!prototypes) return;
    for (let next = getPrototypeOf(holder); next !== null && !isProxy(next); next = getPrototypeOf(next)) {
      this.add(next, path, true);
    }
  }

  /// A method that is overridden is still called, by `super`: it shows its class.
  #unused(name: string, className: string): string {
    let unused = name;
    if (this.#names.has(unused)) unused = joined(className || 'inherited', name);
    for (let n = 2; this.#names.has(unused); n++) unused = `${joined(className || 'inherited', name)}#${n}`;
    this.#names.add(unused);
    return unused;
  }
}

function descriptorOf(holder: object, key: PropertyKey): PropertyDescriptor | undefined {
  try {
    return getOwnPropertyDescriptor(holder, key);
  } catch {
    return undefined;
  }
}

/// The name of the class whose instances inherit from `holder`; '' = none to be seen.
function nameOfClass(holder: object): string {
  const made: unknown = getOwnPropertyDescriptor(holder, 'constructor')?.value;
  const owner = typeof made === 'function' ? made : holder;
  if (isProxy(owner)) return '';
  const name: unknown = getOwnPropertyDescriptor(owner, 'name')?.value;
  return typeof name === 'string' ? name : '';
}

/// All functions that are properties of `object`. `prototypes`: also those that it inherits and, if it is a class, those that
/// its instances do, as far up as they are written in JavaScript.
export function findMembers(object: object, prefix: string, prototypes: boolean): Property[] {
  const finder = new Finder(prefix);
  finder.addChain(object, '', prototypes);
  if (prototypes && typeof object === 'function') {
    const prototype: unknown = getOwnPropertyDescriptor(object, 'prototype')?.value;
    if (typeof prototype === 'object' && prototype !== null && !isProxy(prototype)) {
      finder.addChain(prototype, 'prototype', true, true);
    }
  }
  return finder.properties;
}
