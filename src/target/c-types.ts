// The C types that a machine may be given, so that arguments print by them. They come from outside, most often out of a file: all of
// them are read once, and what has another shape is refused with the path to it, be it needed or not. A type that is not there is
// no mistake: nothing is known of it.

import { badRange, badType, shown } from '../errors.ts';
import { readArray, reading, readOptions } from '../options.ts';

/// Types by name, structures and enumerations with their tag: `struct file`, `enum hrtimer_mode`. All parts are optional; what they
/// hold may have more fields.
export interface MachineTypes {
  /// Whatever it says of where the types come from.
  readonly note?: string;
  /// Without `params` nothing is known of a function. The last one may be of type `...`, and needs no name then.
  readonly functions?: Readonly<Record<string, { readonly params?: readonly MachineParam[] }>>;
  /// Structures and unions, their sizes in bytes.
  readonly structs?: Readonly<Record<string, { readonly size: number }>>;
  readonly typedefs?: Readonly<Record<string, string>>;
  /// `encoding`: `SIGNED` prints in decimal, `(none)`, the default, `BOOL` and `CHAR` as hex.
  readonly ints?: Readonly<Record<string, { readonly encoding?: string }>>;
  /// `values`: what text says besides the number.
  readonly enums?: Readonly<Record<string, { readonly values?: Readonly<Record<string, number | bigint>> }>>;
}

export interface MachineParam {
  readonly name?: string;
  readonly type: string;
}

/// The same, read.
export interface CTypes {
  /// Undefined: without type information.
  readonly functions: ReadonlyMap<string, readonly MachineParam[] | undefined>;
  readonly structs: ReadonlyMap<string, number>;
  readonly typedefs: ReadonlyMap<string, string>;
  /// Whether it has a sign.
  readonly ints: ReadonlyMap<string, boolean>;
  readonly enums: ReadonlyMap<string, ReadonlyMap<bigint, string>>;
}

const PARTS = ['note', 'functions', 'structs', 'typedefs', 'ints', 'enums'];
const ENCODINGS: readonly unknown[] = ['SIGNED', '(none)', 'BOOL', 'CHAR'];
/// Of names in a path.
const NAME_MAX = 60;

/// Throws TypeError and RangeError for what has another shape than `MachineTypes`.
export function readTypes(types: MachineTypes): CTypes {
  const { functions, structs, typedefs, ints, enums } = readOptions('types', types, PARTS);
  const read: CTypes = {
    functions: new Map(each('types.functions', functions, readFunction)),
    structs: new Map(each('types.structs', structs, readSize)),
    typedefs: new Map(each('types.typedefs', typedefs, readName)),
    ints: new Map(each('types.ints', ints, readSign)),
    enums: new Map(each('types.enums', enums, readValues)),
  };
  for (const [name] of read.typedefs) resolve(name, read.typedefs);
  return read;
}

/// The type that a declared one comes to, without qualifiers. Throws RangeError for a typedef of itself.
export function resolve(declared: string, typedefs: ReadonlyMap<string, string>): string {
  const first = unqualified(declared);
  const seen = new Set<string>();
  for (let type = first; ; ) {
    const next = typedefs.get(type);
    if (next === undefined) return type;
    if (seen.has(type)) throw badRange(`${path('types.typedefs', first)} leads back to ${shown(type)}`);
    seen.add(type);
    type = unqualified(next);
  }
}

const unqualified = (type: string): string => type.replace(/\b(const|volatile|restrict) ?/g, '').trim();

function path(parent: string, key: string): string {
  if (/^[a-z_]\w*$/i.test(key) && key.length <= NAME_MAX) return `${parent}.${key}`;
  return `${parent}[${shown(key)}]`;
}

/// The fields of the object at `where`, none for undefined.
function entries(where: string, value: unknown): [key: string, value: unknown][] {
  if (value === undefined) return [];
  if (typeof value !== 'object' || value === null || readArray(where, value)) {
    throw badType(`${where} is ${shown(value)}, expected an object`);
  }
  return reading(where, () => Object.entries(value));
}

function each<T>(where: string, part: unknown, read: (where: string, value: unknown) => T): [string, T][] {
  return entries(where, part).map(([name, value]) => [name, read(path(where, name), value)]);
}

/// A field of the object at `where`, which must be one.
function field(where: string, value: unknown, key: string): unknown {
  return entries(where, value ?? null).find(([name]) => name === key)?.[1];
}

function readFunction(where: string, value: unknown): MachineParam[] | undefined {
  const given = field(where, value, 'params');
  if (given === undefined) return undefined;
  const params = readArray(`${where}.params`, given);
  if (!params) throw badType(`${where}.params is ${shown(given)}, expected an array`);
  return params.map((param, k) => {
    const at = `${where}.params[${k}]`;
    const type = readName(`${at}.type`, field(at, param, 'type'));
    const name = field(at, param, 'name');
    if (type === '...' && name === undefined) return { type };
    return { type, name: readName(`${at}.name`, name) };
  });
}

function readName(where: string, value: unknown): string {
  if (typeof value !== 'string') throw badType(`${where} is ${shown(value)}, expected a string`);
  return value;
}

function readSize(where: string, value: unknown): number {
  const size = field(where, value, 'size');
  if (Number.isSafeInteger(size) && (size as number) >= 0) return size as number;
  throw badRange(`${where}.size is ${shown(size)}, expected a number of bytes`);
}

function readSign(where: string, value: unknown): boolean {
  const encoding = field(where, value, 'encoding') ?? '(none)';
  if (ENCODINGS.includes(encoding)) return encoding === 'SIGNED';
  throw badRange(`${where}.encoding is ${shown(encoding)}, expected ${ENCODINGS.join(', ')}`);
}

function readValues(where: string, value: unknown): Map<bigint, string> {
  const values = each(`${where}.values`, field(where, value, 'values'), (at, number) => {
    if (typeof number === 'bigint' || Number.isSafeInteger(number)) return BigInt(number as number | bigint);
    throw badRange(`${at} is ${shown(number)}, expected a whole number`);
  });
  return new Map(values.map(([name, number]) => [number, name]));
}
