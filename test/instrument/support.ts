// What the instrumenter's tests share: modules from text, an independent opinion on bytes, and an engine small enough to
// be right by inspection.

import binaryen from 'binaryen';
import initWabt from 'wabt';
import * as abi from '../../src/instrument/abi.ts';
import { type Instrumented, type InstrumentOptions, instrument } from '../../src/instrument/index.ts';

const wabt = await initWabt();

const WABT_FEATURES = {
  exceptions: true,
  threads: true,
  function_references: true,
  tail_call: true,
  gc: true,
  memory64: true,
  multi_memory: true,
  extended_const: true,
  relaxed_simd: true,
  code_metadata: true,
  annotations: true,
};

/// Bytes of a module in text form, encoded as it is written. Knows everything but GC and `try_table`.
export function wat(text: string): Uint8Array {
  const module = wabt.parseWat('test.wat', text, WABT_FEATURES);
  try {
    return module.toBinary({ write_debug_names: false, canonicalize_lebs: true }).buffer;
  } finally {
    module.destroy();
  }
}

// Its declarations lack the features that both functions take.
const { parseText, readBinary, Features } = binaryen as unknown as {
  parseText(text: string, features: number): typeof binaryen.Module.prototype;
  readBinary(bytes: Uint8Array, features: number): typeof binaryen.Module.prototype;
  Features: Record<string, number>;
};
// All that has a name there; `All` would also let it write encodings that no engine ships.
const { All: _, Strings: __, ...NAMED } = Features;
const FEATURES = Object.values(NAMED).reduce((all, feature) => all | feature, 0);

/// Bytes of a module in text form through binaryen: knows everything, but encodes its own reading of the text.
export function watGc(text: string): Uint8Array {
  const module = parseText(text, FEATURES);
  try {
    return module.emitBinary();
  } finally {
    module.dispose();
  }
}

/// What binaryen's reader and validator say against a module; undefined when it is fine.
export function complaint(bytes: Uint8Array): string | undefined {
  const said: string[] = [];
  const log = console.log;
  const { error, warn } = console;
  console.log = console.error = console.warn = (...words: unknown[]) => void said.push(words.join(' '));
  try {
    const module = readBinary(bytes, FEATURES);
    const valid = module.validate() === 1;
    module.dispose();
    return valid ? undefined : said.join('\n') || 'invalid';
  } catch (thrown) {
    return `${said.join('\n')} ${String(thrown)}`;
  } finally {
    console.log = log;
    console.error = error;
    console.warn = warn;
  }
}

/// Whether this engine knows what the module uses.
export function supported(bytes: Uint8Array): boolean {
  return WebAssembly.validate(bytes as BufferSource);
}

/// For tests that run a module: whether this engine takes it. If not, says which test is left out and why.
export function runsHere(what: string, bytes: Uint8Array): boolean {
  if (supported(bytes)) return true;
  console.log(`not run: ${what}: this engine (${process.version}) does not have it`);
  return false;
}

/// Instruments and has the result checked by both validators.
export function checked(bytes: Uint8Array, options: InstrumentOptions = {}): Instrumented {
  const valid = supported(bytes);
  const result = instrument(bytes, { ...options, validate: valid });
  const objection = complaint(result.bytes);
  if (objection !== undefined) throw new Error(`binaryen: ${objection}`);
  return result;
}

export function instantiate(bytes: Uint8Array, imports?: WebAssembly.Imports): WebAssembly.Instance {
  return new WebAssembly.Instance(new WebAssembly.Module(bytes as BufferSource), imports);
}

type Func = (...args: never[]) => unknown;

// JavaScript functions cannot be put into a table; passed through a module they can.
function bridged(): (slots: Record<string, Func>) => Record<string, Func> {
  const types = [
    ['enter', '(param i32) (result i32)'],
    ['leave', '(param i32)'],
    ['save', '(result i32)'],
    ['restore', '(param i32)'],
    ['root', '(param i32) (result i32)'],
    ['leave_value', '(param i32 i64)'],
    ['word', '(param i32 i64)'],
  ];
  for (let n = 1; n <= abi.ENTER_WORDS_MAX; n++) {
    types.push([`enter_${n}`, `(param i32 ${'i64 '.repeat(n)}) (result i32)`]);
  }
  const lines = types.map(([name, type]) => `(func (export "${name}") (import "e" "${name}") ${type})`);
  const module = new WebAssembly.Module(wat(`(module ${lines.join('\n')})`) as BufferSource);
  return (slots) => new WebAssembly.Instance(module, { e: slots as never }).exports as Record<string, Func>;
}
const bridge = bridged();

export type Event =
  | { readonly what: 'enter'; readonly site: number; readonly words: readonly bigint[] }
  | { readonly what: 'leave'; readonly site: number; readonly words: readonly bigint[] }
  | { readonly what: 'unwound'; readonly site: number };

/// The engine in JavaScript: a shadow stack of sites, and a list of what happened.
export class FakeEngine {
  readonly events: Event[] = [];
  readonly stack: number[] = [];
  /// Faces that came in from outside.
  readonly roots: number[] = [];
  /// Leaves of frames that were not there.
  stray = 0;
  /// Sites added to the module's own numbers, to see that BASE is honoured.
  readonly base = 1000;
  deepest = 0;
  recording = true;
  readonly #instance: WebAssembly.Instance;
  readonly #instrumented: Instrumented;
  #words: bigint[] = [];

  constructor(instance: WebAssembly.Instance, instrumented: Instrumented) {
    this.#instance = instance;
    this.#instrumented = instrumented;
    const slots: Record<string, Func> = {
      enter: (site: number) => this.#enter(site, []),
      leave: (cookie: number) => this.#leave(cookie, []),
      save: () => this.stack.length + 1,
      restore: (mark: number) => this.unwind(mark - 1),
      root: (face: number) => this.root(face),
      leave_value: (cookie: number, word: bigint) => this.#leave(cookie, [word]),
      word: (index: number, word: bigint) => {
        this.#words[index] = word;
      },
    };
    for (let n = 1; n <= abi.ENTER_WORDS_MAX; n++) {
      slots[`enter_${n}`] = (site: number, ...words: bigint[]) => this.#enter(site, words);
    }
    const table = instance.exports[abi.EXPORT_TABLE] as WebAssembly.Table;
    Object.values(bridge(slots)).forEach((slot, i) => {
      table.set(i, slot);
    });
    this.set(abi.GLOBAL_BASE, this.base);
  }

  set(index: number, value: number): void {
    (this.#instance.exports[abi.EXPORT_SET] as (index: number, value: number) => void)(index, value);
  }

  /// Opens the gates of these sites, all by default, and closes the others.
  open(sites: readonly number[] = this.#instrumented.sites.map(({ id }) => id)): void {
    this.set(abi.GLOBAL_VIA, 0);
    this.set(abi.GLOBAL_ANY, 1);
    const words = new Int32Array((this.#instrumented.sites.length + 31) >>> 5);
    for (const site of sites) words[site >>> 5]! |= 1 << (site & 31);
    words.forEach((word, i) => {
      this.set(abi.GLOBAL_GATES + i, word);
    });
  }

  close(): void {
    this.open([]);
    this.set(abi.GLOBAL_ANY, 0);
  }

  root(face: number): number {
    this.roots.push(face);
    const mark = this.stack.length;
    let returned = false;
    try {
      (this.#instance.exports[abi.EXPORT_CALL] as (face: number) => void)(face);
      returned = true;
      return 1;
    } finally {
      if (!returned) {
        this.set(abi.GLOBAL_VIA, 0);
        this.unwind(mark);
      }
    }
  }

  unwind(length: number): void {
    while (this.stack.length > length) this.#push({ what: 'unwound', site: this.stack.pop()! });
  }

  #enter(site: number, words: bigint[]): number {
    const all = [...words, ...this.#words.slice(words.length)];
    this.#words = [];
    this.#push({ what: 'enter', site: site - this.base, words: all.map((word) => BigInt.asUintN(64, word)) });
    this.deepest = Math.max(this.deepest, this.stack.push(site - this.base));
    return this.stack.length;
  }

  #leave(cookie: number, words: bigint[]): void {
    const all = [...words, ...this.#words.slice(words.length)];
    this.#words = [];
    if (cookie > this.stack.length) {
      this.stray++;
      return;
    }
    this.unwind(cookie);
    const site = this.stack.pop()!;
    this.#push({ what: 'leave', site, words: all.map((word) => BigInt.asUintN(64, word)) });
  }

  #push(event: Event): void {
    if (this.recording) this.events.push(event);
  }

  /// `enter 3 leave 3`, by function index.
  log(): string {
    const { sites } = this.#instrumented;
    return this.events.map(({ what, site }) => `${what} ${sites[site]!.index}`).join(' ');
  }

  count(what: Event['what']): number {
    return this.events.filter((event) => event.what === what).length;
  }
}

/// Instance of the instrumented module with the fake engine in its table and all gates open.
export function attach(
  bytes: Uint8Array,
  options: InstrumentOptions & { imports?: WebAssembly.Imports } = {},
): { instance: WebAssembly.Instance; exports: Record<string, Func>; engine: FakeEngine; result: Instrumented } {
  const { imports, ...rest } = options;
  const result = checked(bytes, rest);
  const instance = instantiate(result.bytes, imports);
  const engine = new FakeEngine(instance, result);
  engine.open();
  return { instance, exports: instance.exports as Record<string, Func>, engine, result };
}
