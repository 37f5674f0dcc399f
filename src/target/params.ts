// The parameters of functions as text knows them (`funcgraph-args`, spec/fgraph.md §12.3), from what each target knows of types:
// WebAssembly has value types and, in some modules, names of locals; a machine may be given C types; JavaScript has neither.

import { valueForm } from '../arch/wasm32.ts';
import type { NameMap } from '../instrument/names.ts';
import type { Signature } from '../regs.ts';
import { printable } from '../symbols/function-names.ts';
import type { Param } from '../trace/words.ts';
import { type CTypes, type MachineParam, resolve } from './c-types.ts';

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

const WORD_BYTES = 8;

/// The parameters of C functions, by name; null for one without type information.
export function cParams(types: CTypes): (name: string) => readonly Param[] | null {
  return (name) => types.functions.get(name)?.map((param) => cParam(types, param)) ?? null;
}

function cParam(types: CTypes, { name = '', type }: MachineParam): Param {
  if (type === '...') return { name: '', kind: 'unknown', variadic: true };
  return { name, ...cKind(types, type) };
}

function cKind({ structs, typedefs, ints, enums }: CTypes, declared: string): Omit<Param, 'name'> {
  const type = resolve(declared, typedefs);
  if (type.endsWith('*')) return { kind: 'pointer' };
  const isSigned = ints.get(type);
  if (isSigned !== undefined) return { kind: isSigned ? 'signed' : 'unsigned' };
  const [tag] = type.split(' ');
  if (tag === 'enum') return { kind: 'enum', values: enums.get(type) ?? new Map() };
  if (tag !== 'struct' && tag !== 'union') return { kind: 'unknown' };
  const words = Math.max(1, Math.ceil((structs.get(type) ?? 0) / WORD_BYTES));
  return { kind: tag.toUpperCase(), words };
}
