// Random WebAssembly programs that leave their functions in every way there is: return, tail call, trap, stack overflow,
// WebAssembly and JavaScript exceptions, caught at any height, with re-entry from JavaScript through exports and tables.
// The shape is static (a seeded generator writes the bodies), the way through it is dynamic (the imported `choose`).

/// Deterministic 32-bit generator (xorshift); the seed is what a failing test prints.
export class Random {
  #state: number;
  constructor(seed: number) {
    this.#state = (seed ^ 0x9e3779b9) >>> 0 || 1;
  }
  /// An integer in 0..n-1.
  below(n: number): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x >>> 0;
    return this.#state % n;
  }
  chance(percent: number): boolean {
    return this.below(100) < percent;
  }
}

const I32 = 0x7f;

export interface ProgramFeatures {
  tailCalls: boolean;
  /// 'legacy': try/catch/rethrow/delegate; 'exnref': try_table; 'none'
  exceptions: 'none' | 'legacy' | 'exnref';
}

export interface RandomProgram {
  bytes: Uint8Array<ArrayBuffer>;
  functions: number;
  /// Functions exported as f0, f1, …; the table is exported at times, as `table`. The global `steps` is how many more calls
  /// the functions make before all of them return at once.
  exported: number[];
}

const uleb = (value: number): number[] => {
  const out: number[] = [];
  do {
    const byte = value & 0x7f;
    value >>>= 7;
    out.push(value ? byte | 0x80 : byte);
  } while (value);
  return out;
};
const sleb = (value: number): number[] => {
  const out: number[] = [];
  for (;;) {
    const byte = value & 0x7f;
    value >>= 7;
    if ((value === 0 && !(byte & 0x40)) || (value === -1 && byte & 0x40)) {
      out.push(byte);
      return out;
    }
    out.push(byte | 0x80);
  }
};
const vector = (items: number[][]): number[] => [...uleb(items.length), ...items.flat()];
const section = (id: number, body: number[]): number[] => [id, ...uleb(body.length), ...body];
const text = (s: string): number[] => [...uleb(s.length), ...Buffer.from(s)];

// Types. All functions of the program take a fuel and return a number, in two signatures, so that a wrong one can be called.
const TYPE_ONE = 0; // (i32) → i32
const TYPE_TWO = 1; // (i32, i32) → i32
const TYPE_TAG = 2; // (i32) → ()
const TYPE_CHECK = 3; // () → ()
const TYPE_CHOOSE = 4; // (i32) → i32

// Imports, in index order.
const CHECK = 0;
const CHOOSE = 1;
const SCRIPT = 2; // (fuel) → i32: JavaScript that calls back, throws, catches
const IMPORTS = 3;

class BodyWriter {
  readonly code: number[] = [];
  readonly rng: Random;
  readonly features: ProgramFeatures;
  readonly functions: number;
  readonly types: number[];
  readonly tableSize: number;

  constructor(rng: Random, features: ProgramFeatures, functions: number, types: number[], tableSize: number) {
    this.rng = rng;
    this.features = features;
    this.functions = functions;
    this.types = types;
    this.tableSize = tableSize;
  }

  emit(...bytes: (number | number[])[]): void {
    for (const b of bytes) typeof b === 'number' ? this.code.push(b) : this.code.push(...b);
  }

  /// fuel − 1 on the operand stack, twice where the callee takes two.
  #arguments(callee: number): void {
    this.emit(0x20, 0, 0x41, 1, 0x6b);
    if (this.types[callee] === TYPE_TWO) this.emit(0x20, 0);
  }

  #call(tail: boolean): void {
    const callee = this.rng.below(this.functions);
    this.#arguments(callee);
    this.emit(tail ? 0x12 : 0x10, uleb(IMPORTS + callee));
    if (!tail) this.emit(0x1a);
  }

  /// Through the table: mostly right, at times null, out of bounds or of the wrong type.
  #callIndirect(tail: boolean): void {
    const type = this.rng.chance(70) ? TYPE_ONE : TYPE_TWO;
    this.emit(0x20, 0, 0x41, 1, 0x6b);
    if (type === TYPE_TWO) this.emit(0x20, 0);
    this.emit(0x41, sleb(this.tableSize + 1), 0x10, CHOOSE); // the last one is out of bounds
    this.emit(tail ? 0x13 : 0x11, type, 0);
    if (!tail) this.emit(0x1a);
  }

  /// The two functions that fill the engine's stack follow the others: one calls itself, the other does so through the table.
  #plunge(): void {
    this.emit(0x20, 0, 0x10, uleb(IMPORTS + this.functions + this.rng.below(2)), 0x1a);
  }

  /// `if choose(n) == 0 … end` around what must not happen each time.
  #rarely(n: number, body: () => void): void {
    this.emit(0x41, sleb(n), 0x10, CHOOSE, 0x45, 0x04, 0x40);
    body();
    this.emit(0x0b);
  }

  statements(count: number, nesting: number): void {
    for (let i = 0; i < count; i++) this.statement(nesting);
  }

  statement(nesting: number): void {
    const { rng, features } = this;
    const kind = rng.below(100);
    if (kind < 22) this.emit(0x10, CHECK);
    else if (kind < 44) this.#call(false);
    else if (kind < 58) this.#callIndirect(false);
    else if (kind < 70) this.emit(0x20, 0, 0x10, SCRIPT, 0x1a);
    else if (kind < 74)
      this.#rarely(3, () => this.emit(0x41, 0, 0x0f)); // return
    else if (kind < 78)
      this.#rarely(8, () => this.emit(0x00)); // unreachable
    else if (kind < 79) this.#plunge();
    else if (kind < 80)
      this.#rarely(6, () => this.emit(0x41, 0x7f, 0x28, 2, 0, 0x1a)); // load out of bounds
    else if (kind < 84 && features.exceptions !== 'none')
      this.#rarely(3, () => this.emit(0x20, 0, 0x08, 0)); // throw
    else if (kind < 90 && features.tailCalls)
      this.#rarely(4, () => (rng.chance(60) ? this.#call(true) : this.#callIndirect(true)));
    else if (kind < 100 && nesting < 3) this.#guarded(nesting);
  }

  /// A protected stretch of code in the encoding that is asked for; a plain block where there is none.
  #guarded(nesting: number): void {
    const inside = () => this.statements(1 + this.rng.below(3), nesting + 1);
    const { exceptions } = this.features;
    if (exceptions === 'legacy') {
      this.emit(0x06, 0x40);
      inside();
      const form = this.rng.below(4);
      if (form === 0) {
        this.emit(0x07, 0, 0x1a); // catch $tag, drop
        inside();
        this.emit(0x0b);
      } else if (form === 1) {
        this.emit(0x19); // catch_all
        inside();
        this.emit(0x0b);
      } else if (form === 2) {
        this.emit(0x07, 0, 0x1a); // catch $tag …, catch_all … rethrow at times
        inside();
        this.emit(0x19);
        inside();
        this.#rarely(2, () => this.emit(0x09, 1));
        this.emit(0x0b);
      } else this.emit(0x18, 0); // delegate to the enclosing one
    } else if (exceptions === 'exnref') {
      const form = this.rng.below(3);
      if (form === 0) {
        // block (result i32)  try_table (catch $tag 0)  …  end  i32.const 0  end  drop
        this.emit(0x02, I32, 0x1f, 0x40, vector([[0x00, 0, 0]]));
        inside();
        this.emit(0x0b, 0x41, 0, 0x0b, 0x1a);
      } else if (form === 1) {
        this.emit(0x02, 0x40, 0x1f, 0x40, vector([[0x02, 0]]));
        inside();
        this.emit(0x0b, 0x0b);
      } else {
        // Two clauses, two labels; the second keeps the exnref and throws it again at times.
        this.emit(
          0x02,
          0x40,
          0x02,
          0x69,
          0x02,
          I32,
          0x1f,
          0x40,
          vector([
            [0x00, 0, 0],
            [0x03, 1],
          ]),
        );
        inside();
        this.emit(0x0b, 0x0c, 2, 0x0b, 0x1a, 0x0c, 1, 0x0b);
        const local = 2; // the exnref local of this function, after at most two parameters
        this.emit(0x21, local);
        this.#rarely(2, () => this.emit(0x20, local, 0x0a));
        this.emit(0x0b);
      }
    } else {
      this.emit(0x02, 0x40);
      inside();
      this.emit(0x0b);
    }
  }
}

/// Once in a while, without end: `if fuel != PLUNGE then if choose(12) != 0 return 0; again(PLUNGE)`. The engine's stack ends it.
const PLUNGE = -77;
function plunging(again: number[]): number[] {
  const body = [
    ...[0x00, 0x20, 0, 0x41, ...sleb(PLUNGE), 0x47, 0x04, 0x40],
    ...[0x41, 12, 0x10, CHOOSE, 0x04, 0x40, 0x41, 0, 0x0f, 0x0b, 0x0b],
    ...[0x41, ...sleb(PLUNGE), ...again, 0x0b],
  ];
  return [...uleb(body.length), ...body];
}

/// Writes a random program. Imports: m.check, m.choose(n) → 0..n, m.script(fuel) → i32.
export function randomProgram(rng: Random, features: ProgramFeatures): RandomProgram {
  const functions = 4 + rng.below(14);
  const types = Array.from({ length: functions }, () => (rng.chance(75) ? TYPE_ONE : TYPE_TWO));
  const tableSize = 4 + rng.below(12);
  const tableExported = rng.chance(70);
  const inTable = Array.from({ length: tableSize }, () => (rng.chance(90) ? rng.below(functions) : -1));
  const exported = Array.from({ length: functions }, (_, f) => f).filter((f) => f === 0 || rng.chance(45));

  const bodies = types.map((type) => {
    const w = new BodyWriter(rng, features, functions, types, tableSize);
    const locals: number[][] = [];
    if (type === TYPE_ONE) locals.push([1, I32]); // so that local 2 is the same in both signatures
    if (features.exceptions === 'exnref') locals.push([1, 0x69]);
    w.emit(0x20, 0, 0x41, 1, 0x48, 0x04, 0x40, 0x41, 0, 0x0f, 0x0b); // out of fuel
    w.emit(0x23, 0, 0x45, 0x04, 0x40, 0x41, 0, 0x0f, 0x0b); // out of steps: the tree of calls grows with a power of the fuel
    w.emit(0x23, 0, 0x41, 1, 0x6b, 0x24, 0);
    w.statements(2 + rng.below(7), 0);
    if (features.tailCalls && rng.chance(25)) {
      const callee = rng.below(functions);
      w.emit(0x20, 0, 0x41, 1, 0x6b);
      if (types[callee] === TYPE_TWO) w.emit(0x20, 0);
      w.emit(0x12, uleb(IMPORTS + callee));
    } else w.emit(0x20, 0);
    const body = [...vector(locals), ...w.code, 0x0b];
    return [...uleb(body.length), ...body];
  });

  const direct = IMPORTS + functions;
  bodies.push(plunging([0x10, ...uleb(direct)]), plunging([0x41, ...sleb(tableSize), 0x11, TYPE_ONE, 0]));
  types.push(TYPE_ONE, TYPE_ONE);
  inTable.push(functions + 1);

  const type = (params: number[], results: number[]) => [
    0x60,
    ...uleb(params.length),
    ...params,
    ...uleb(results.length),
    ...results,
  ];
  const exports = exported.map((f) => [...text(`f${f}`), 0x00, ...uleb(IMPORTS + f)]);
  exports.push([...text('steps'), 0x03, 0x00]);
  if (tableExported) exports.push([...text('table'), 0x01, 0x00]);
  const segments = inTable.flatMap((f, i) => (f < 0 ? [] : [[0x00, 0x41, ...sleb(i), 0x0b, 1, ...uleb(IMPORTS + f)]]));
  const bytes = [
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...section(
      1,
      vector([type([I32], [I32]), type([I32, I32], [I32]), type([I32], []), type([], []), type([I32], [I32])]),
    ),
    ...section(
      2,
      vector([
        [...text('m'), ...text('check'), 0x00, TYPE_CHECK],
        [...text('m'), ...text('choose'), 0x00, TYPE_CHOOSE],
        [...text('m'), ...text('script'), 0x00, TYPE_ONE],
      ]),
    ),
    ...section(3, vector(types.map((t) => [t]))),
    ...section(4, vector([[0x70, 0x00, ...uleb(tableSize + 1)]])),
    ...section(5, vector([[0x00, 0x01]])),
    ...(features.exceptions === 'none' ? [] : section(13, vector([[0x00, TYPE_TAG]]))),
    ...section(6, vector([[I32, 0x01, 0x41, 0, 0x0b]])),
    ...section(7, vector(exports)),
    ...section(9, vector(segments)),
    ...section(10, vector(bodies)),
  ];
  return { bytes: Uint8Array.from(bytes), functions: functions + 2, exported };
}
