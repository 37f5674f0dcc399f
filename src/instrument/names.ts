// The name section: what a compiler called the things of a module.
//
// Nothing else in a module depends on it, tools write it carelessly, and a wrong name is a nuisance where a refused module is
// a failure. So reading it never throws: it takes what is well formed and drops the rest of a subsection where it is not.
//
//   section:       | id | size | contents … |  | id | size | contents … |  …
//   name map:      | count | index | length | UTF-8 … | index | length | UTF-8 … |
//   indirect map:  | count | index | name map | index | name map | …
//
// An index that occurs twice keeps its first name. Counts are not believed: a map ends where its bytes end.

export type NameMap = ReadonlyMap<number, string>;
export type IndirectNameMap = ReadonlyMap<number, NameMap>;

const MODULE = 0;
const FUNCTIONS = 1;
const LOCALS = 2;
const LABELS = 3;
const TYPES = 4;
const TABLES = 5;
const MEMORIES = 6;
const GLOBALS = 7;
const ELEM = 8;
const DATA = 9;
const FIELDS = 10;
const TAGS = 11;

const TEXT = new TextDecoder('utf-8', { ignoreBOM: true });

/// The names in the contents of `name` sections. Each subsection is decoded when it is first asked for: locals and labels of
/// a large module are many, and most users want functions only.
export class Names {
  readonly #ranges = new Map<number, Reader[]>();
  readonly #maps = new Map<number, NameMap>();
  readonly #indirect = new Map<number, IndirectNameMap>();

  /// What of the subsections that were asked for could not be read, and why it does not matter more.
  readonly warnings: string[] = [];

  /// `sections`: contents of the module's sections called `name`, normally one.
  constructor(...sections: readonly Uint8Array[]) {
    for (const section of sections) {
      const reader = new Reader(section, 0, section.length);
      for (let id = reader.byte(); id >= 0; id = reader.byte()) {
        const range = reader.sized();
        if (range === null) {
          this.warnings.push(`name section: subsection ${id} has no size, it and what follows is ignored`);
          break;
        }
        const known = this.#ranges.get(id);
        if (known === undefined) this.#ranges.set(id, [range]);
        else known.push(range);
      }
    }
  }

  /// The module's own name, `undefined` if it has none.
  get module(): string | undefined {
    for (const range of this.#ranges.get(MODULE) ?? []) {
      const name = range.copy().name();
      if (name !== null) return name;
    }
    return undefined;
  }

  get functions(): NameMap {
    return this.#map(FUNCTIONS);
  }

  /// By function index: names of parameters and locals.
  get locals(): IndirectNameMap {
    return this.#indirectMap(LOCALS);
  }

  /// By function index: names of blocks, in the order in which they begin.
  get labels(): IndirectNameMap {
    return this.#indirectMap(LABELS);
  }

  get types(): NameMap {
    return this.#map(TYPES);
  }

  get tables(): NameMap {
    return this.#map(TABLES);
  }

  get memories(): NameMap {
    return this.#map(MEMORIES);
  }

  get globals(): NameMap {
    return this.#map(GLOBALS);
  }

  get elem(): NameMap {
    return this.#map(ELEM);
  }

  get data(): NameMap {
    return this.#map(DATA);
  }

  /// By type index: names of a struct's fields.
  get fields(): IndirectNameMap {
    return this.#indirectMap(FIELDS);
  }

  get tags(): NameMap {
    return this.#map(TAGS);
  }

  #warn(id: number): void {
    this.warnings.push(`name section: subsection ${id} is cut off or malformed, the rest of it is ignored`);
  }

  #map(id: number): NameMap {
    let map = this.#maps.get(id);
    if (map === undefined) {
      const names = new Map<number, string>();
      for (const range of this.#ranges.get(id) ?? []) {
        if (!readNameMap(range.copy(), names)) this.#warn(id);
      }
      map = names;
      this.#maps.set(id, map);
    }
    return map;
  }

  #indirectMap(id: number): IndirectNameMap {
    let map = this.#indirect.get(id);
    if (map === undefined) {
      const outer = new Map<number, NameMap>();
      for (const range of this.#ranges.get(id) ?? []) {
        if (!readIndirectNameMap(range.copy(), outer)) this.#warn(id);
      }
      map = outer;
      this.#indirect.set(id, map);
    }
    return map;
  }
}

// Both return whether the whole map could be read.
function readNameMap(reader: Reader, names: Map<number, string>): boolean {
  let left = reader.u32();
  for (; left > 0; left--) {
    const index = reader.u32();
    const name = reader.name();
    if (index < 0 || name === null) return false;
    if (!names.has(index)) names.set(index, name);
  }
  return left === 0; // a count that could not be read is −1
}

function readIndirectNameMap(reader: Reader, outer: Map<number, NameMap>): boolean {
  let left = reader.u32();
  for (; left > 0; left--) {
    const index = reader.u32();
    if (index < 0) return false;
    const names = new Map<number, string>();
    const whole = readNameMap(reader, names);
    if (!outer.has(index) && names.size > 0) outer.set(index, names);
    if (!whole) return false;
  }
  return left === 0;
}

// Reads forward and says so when there is nothing left to read, in place of throwing.
class Reader {
  readonly #bytes: Uint8Array;
  #at: number;
  readonly #end: number;

  constructor(bytes: Uint8Array, at: number, end: number) {
    this.#bytes = bytes;
    this.#at = at;
    this.#end = end;
  }

  copy(): Reader {
    return new Reader(this.#bytes, this.#at, this.#end);
  }

  /// −1 at the end.
  byte(): number {
    return this.#at < this.#end ? this.#bytes[this.#at++] : -1;
  }

  /// −1 for a number that is cut off or has more than 32 bits; the rest is then unreadable.
  u32(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.byte();
      if (byte < 0) return -1;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value < 2 ** 32 ? value : -1;
    }
    return -1;
  }

  /// Contents behind a size; what is cut off at the end of the section is still read.
  sized(): Reader | null {
    const size = this.u32();
    if (size < 0) return null;
    const start = this.#at;
    this.#at = Math.min(start + size, this.#end);
    return new Reader(this.#bytes, start, this.#at);
  }

  /// Malformed UTF-8 shows as replacement characters; null for a name that is cut off.
  name(): string | null {
    const length = this.u32();
    if (length < 0 || length > this.#end - this.#at) return null;
    const start = this.#at;
    this.#at += length;
    return TEXT.decode(this.#bytes.subarray(start, this.#at));
  }
}
