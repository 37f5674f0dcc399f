// The parameters of functions as text knows them (`funcgraph-args`, spec/fgraph.md §12.3), from what each target knows of types:
// WebAssembly has value types and, in some modules, names of locals; a machine may be given C types; JavaScript has neither.

import { valueForm } from '../arch/wasm32.ts';
import type { NameMap } from '../instrument/names.ts';
import type { Signature } from '../regs.ts';
import { printable } from '../symbols/function-names.ts';
import type { Param } from '../trace/words.ts';

/// Integers of WebAssembly have no sign; they print as hex.
const INTEGERS: readonly string[] = ['i32', 'i64'];

/// What a parameter is called that has no name. `fregs.argument(0)` is `arg0`.
const numbered = (index: number): string => `arg${index}`;

/// Parameters of a WebAssembly function. Those that are no integers print as words of their value type: `x=(f64)[0x…]`.
export function wasmParams({ params }: Signature, names: NameMap | undefined): Param[] {
  return params.map((type, index) => ({
    name: printable(names?.get(index) || numbered(index)),
    kind: INTEGERS.includes(type) ? 'unsigned' : type,
    words: valueForm(type).words,
  }));
}

/// Words of which nothing else is known.
export function unknownParams(count: number): Param[] {
  return Array.from({ length: count }, (_, index) => ({ name: numbered(index), kind: 'unknown' }));
}

/// Types of a kernel in the shape of `oracle/types-7.2.json`, as far as parameters need them.
interface CTypes {
  readonly functions?: Readonly<Record<string, { readonly params?: readonly CParam[] }>>;
  readonly structs?: Readonly<Record<string, { readonly size?: number }>>;
  readonly typedefs?: Readonly<Record<string, string>>;
  readonly ints?: Readonly<Record<string, { readonly encoding?: string }>>;
  readonly enums?: Readonly<Record<string, { readonly values?: Readonly<Record<string, number>> }>>;
}

interface CParam {
  readonly name: string;
  readonly type: string;
}

const WORD_BYTES = 8;
/// Typedefs of typedefs end somewhere, unless they go round.
const TYPEDEFS_MAX = 32;

/// The parameters of C functions, by name; null for one without type information. `types` comes from outside: what it does not
/// hold in the expected place is not known.
export function cParams(types: object): (name: string) => readonly Param[] | null {
  const all = types as CTypes;
  const made = new Map<string, readonly Param[] | null>();
  return (name) => {
    let params = made.get(name);
    if (params === undefined) {
      const own = Object.hasOwn(all.functions ?? {}, name) ? all.functions![name].params : undefined;
      params = Array.isArray(own) ? own.map((param: CParam) => cParam(all, param)) : null;
      made.set(name, params);
    }
    return params;
  };
}

function cParam(types: CTypes, { name, type }: CParam): Param {
  if (type === '...') return { name: '', kind: 'unknown', variadic: true };
  return { name: String(name), ...cKind(types, String(type)) };
}

function cKind({ structs, typedefs, ints, enums }: CTypes, declared: string): Omit<Param, 'name'> {
  let type = unqualified(declared);
  for (let k = 0; k < TYPEDEFS_MAX && !type.endsWith('*'); k++) {
    if (!Object.hasOwn(typedefs ?? {}, type)) break;
    type = unqualified(String(typedefs![type]));
  }
  if (type.endsWith('*')) return { kind: 'pointer' };
  if (Object.hasOwn(ints ?? {}, type)) return { kind: ints![type].encoding === 'SIGNED' ? 'signed' : 'unsigned' };
  const [tag] = type.split(' ');
  if (tag === 'enum') {
    const values = Object.entries(enums?.[type]?.values ?? {}).map(([name, value]): [bigint, string] => [
      BigInt(value),
      name,
    ]);
    return { kind: 'enum', values: new Map(values) };
  }
  if (tag !== 'struct' && tag !== 'union') return { kind: 'unknown' };
  const words = Math.max(1, Math.ceil((structs?.[type]?.size ?? 0) / WORD_BYTES));
  return { kind: tag.toUpperCase(), words };
}

const unqualified = (type: string): string => type.replace(/\b(const|volatile|restrict) ?/g, '').trim();
