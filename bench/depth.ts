// How deep can a program still recurse? Instrumented functions have larger frames. Small shapes count their own depth until the
// stack overflows; real programs are given inputs of more and more depth until one is too much.

import { Tracer } from '../src/tracer.ts';
import type { Instantiate } from '../test/programs/index.ts';
import { type Dive, type Diver, divers } from './dives.ts';
import { median, progress, type Report, type Settings, type TableRow, warm } from './harness.ts';
import { assembleText, distinct } from './shapes.ts';

const TARGET = 80;
/// Depth at which everything is compiled before it goes deep: optimised frames are smaller.
const WARM_DEPTH = 40;
const WARM_SECONDS = 0.2;
/// An interpreter's one large function takes that long to compile.
const WARM_PROGRAM_SECONDS = 1;
/// Where a real program that never fails is left alone.
const DEPTH_MAX = 1 << 18;
/// Of the depth: how exactly it is looked for.
const PRECISION = 0.01;

/// Functions that call themselves until `$n` is 0, and count how often.
const sketches: Readonly<Record<string, string>> = {
  'one function': `(func $run (export "run") (param $n i32) (result i32)
      (global.set $depth (i32.add (global.get $depth) (i32.const 1)))
      (if (result i32) (local.get $n)
        (then (i32.add (i32.const 1) (call $run (i32.sub (local.get $n) (i32.const 1)))))
        (else (i32.const 0))))`,
  'with values to keep': `(func $down (param $n i32) (param $a i64) (param $b i64) (param $c f64) (param $d f64) (result f64)
      (global.set $depth (i32.add (global.get $depth) (i32.const 1)))
      (if (result f64) (local.get $n)
        (then (f64.add (f64.mul (local.get $c) (local.get $d))
          (f64.add (f64.convert_i64_s (i64.xor (local.get $a) (local.get $b)))
            (call $down (i32.sub (local.get $n) (i32.const 1)) (local.get $b) (local.get $a) (local.get $d) (local.get $c)))))
        (else (f64.const 0))))
    (func $run (export "run") (param i32) (result i32)
      (drop (call $down (local.get 0) (i64.const 5) (i64.const 5) (f64.const 0) (f64.const 0))) (local.get 0))`,
  'two functions': `(func $odd (param $n i32) (result i32)
      (global.set $depth (i32.add (global.get $depth) (i32.const 1)))
      (if (result i32) (local.get $n)
        (then (i32.add (i32.const 1) (call $run (i32.sub (local.get $n) (i32.const 1))))) (else (i32.const 0))))
    (func $run (export "run") (param $n i32) (result i32)
      (global.set $depth (i32.add (global.get $depth) (i32.const 1)))
      (if (result i32) (local.get $n)
        (then (i32.add (i32.const 1) (call $odd (i32.sub (local.get $n) (i32.const 1))))) (else (i32.const 0))))`,
  'through a table': `(type $t (func (param i32) (result i32)))
    (table 1 1 funcref) (elem (i32.const 0) $run)
    (func $run (export "run") (type $t)
      (global.set $depth (i32.add (global.get $depth) (i32.const 1)))
      (if (result i32) (local.get 0)
        (then (i32.add (i32.const 1) (call_indirect (type $t) (i32.sub (local.get 0) (i32.const 1)) (i32.const 0))))
        (else (i32.const 0))))`,
  'through JavaScript': `(import "js" "call" (func $call (param i32) (result i32)))
    (func $run (export "run") (param $n i32) (result i32)
      (global.set $depth (i32.add (global.get $depth) (i32.const 1)))
      (if (result i32) (local.get $n)
        (then (i32.add (i32.const 1) (call $call (i32.sub (local.get $n) (i32.const 1)))))
        (else (i32.const 0))))`,
};

/// Untouched, instrumented with nothing probed, and with everything recorded.
const FORMS = ['untouched', 'off', 'on'] as const;

interface Form {
  readonly instantiate: Instantiate;
  /// Begins to record, if that is what the form is about.
  readonly begin: () => void;
}

async function form(name: (typeof FORMS)[number]): Promise<Form> {
  if (name === 'untouched') {
    return { instantiate: (bytes, imports) => WebAssembly.instantiate(bytes, imports), begin: () => {} };
  }
  const tracer = await Tracer.create({ clock: 'counter' });
  return {
    instantiate: (bytes, imports) => tracer.instantiate(bytes, imports),
    begin: () => {
      if (name === 'on') tracer.startGraph();
    },
  };
}

/// Starts a shape; what it returns overflows the stack and tells how deep it was by then.
async function counter(wat: string, { instantiate, begin }: Form, check: boolean): Promise<() => number> {
  const bytes = await assembleText('depth', `(module ${wat} (global $depth (export "depth") (mut i32) (i32.const 0)))`);
  let run: (n: number) => number = () => 0;
  const { instance } = await instantiate(distinct(bytes), { js: { call: (n: number) => run(n) } });
  run = instance.exports.run as (n: number) => number;
  const depth = instance.exports.depth as WebAssembly.Global;
  if (run(WARM_DEPTH) !== WARM_DEPTH) throw new Error('benchmark «depth»: the recursion came back with another number');
  if (!check) warm(() => run(WARM_DEPTH), WARM_SECONDS);
  begin();
  return () => {
    depth.value = 0;
    try {
      run(-1);
    } catch (error) {
      if (error instanceof RangeError) return depth.value;
      throw error;
    }
    throw new Error('benchmark «depth»: an endless recursion came to an end');
  };
}

async function shapeRow(name: string, wat: string, { check, rounds }: Settings): Promise<TableRow> {
  const counters: (() => number)[] = [];
  for (const one of FORMS) counters.push(await counter(wat, await form(one), check));
  const depths: number[][] = counters.map(() => []);
  for (let round = 0; round < (check ? 1 : rounds); round++) {
    for (const [i, count] of counters.entries()) depths[i].push(count());
  }
  const [untouched, off, on] = depths.map((counts) => Math.round(median(counts)));
  return { what: name, untouched, off, on, 'off %': (100 * off) / untouched, 'on %': (100 * on) / untouched, '': '' };
}

class Depths {
  failure = '';
  #dive: ((depth: number) => boolean) | undefined;
  /// Keeps the compiled code alive that later sessions share, see `#start`.
  #first: Dive | undefined;
  readonly #diver: Diver;
  readonly #form: (typeof FORMS)[number];

  constructor(diver: Diver, name: (typeof FORMS)[number]) {
    this.#diver = diver;
    this.#form = name;
  }

  /// Whether the program comes back from there. A failed dive leaves a program that is not asked again.
  async reaches(depth: number): Promise<boolean> {
    this.#dive ??= await this.#start();
    const reached = this.#dive(depth);
    if (!reached) this.#dive = undefined;
    return reached;
  }

  async #start(): Promise<(depth: number) => boolean> {
    const { instantiate, begin } = await form(this.#form);
    const dive = await this.#diver.start(instantiate);
    dive(WARM_DEPTH);
    // The engine finds the same bytes compiled already: only the first session has to wait for that.
    warm(() => dive(WARM_DEPTH), this.#first ? WARM_SECONDS : WARM_PROGRAM_SECONDS);
    this.#first ??= dive;
    begin();
    return (depth) => {
      try {
        dive(depth);
        return true;
      } catch (error) {
        this.failure = String(error).split('\n')[0].slice(0, 60);
        return false;
      }
    };
  }

  /// The greatest depth that is reached.
  async deepest(): Promise<number> {
    let reached = WARM_DEPTH;
    let failed = 2 * reached;
    for (; await this.reaches(failed); failed *= 2) {
      reached = failed;
      if (failed >= DEPTH_MAX) return reached;
    }
    while (failed - reached > Math.max(1, PRECISION * reached)) {
      const middle = (reached + failed) >> 1;
      progress(`${this.#diver.name}, ${this.#form}: ${middle}`);
      if (await this.reaches(middle)) reached = middle;
      else failed = middle;
    }
    return reached;
  }
}

async function programRow(diver: Diver): Promise<TableRow> {
  const found: number[] = [];
  const failures = new Set<string>();
  for (const one of FORMS) {
    const depths = new Depths(diver, one);
    found.push(await depths.deepest());
    failures.add(depths.failure);
  }
  const [untouched, off, on] = found;
  return {
    what: `${diver.name}: ${diver.what}`,
    untouched,
    off,
    on,
    'off %': (100 * off) / untouched,
    'on %': (100 * on) / untouched,
    '': [...failures].join(' | '),
  };
}

export async function run(settings: Settings): Promise<Report> {
  const rows: TableRow[] = [];
  for (const [name, wat] of Object.entries(sketches)) rows.push(await shapeRow(name, wat, settings));
  const chosen = divers.filter(({ name }) => settings.programs.length === 0 || settings.programs.includes(name));
  if (settings.check) {
    for (const diver of chosen) {
      for (const one of FORMS) {
        const { instantiate, begin } = await form(one);
        const dive = await diver.start(instantiate);
        begin();
        dive(WARM_DEPTH);
      }
    }
    return { question: '', rows: [], notes: [] };
  }
  const real: TableRow[] = [];
  for (const diver of chosen) real.push(await programRow(diver));
  const least = Math.min(...real.flatMap((row) => [row['off %'] as number, row['on %'] as number]));
  return {
    question: 'How deep can a program still recurse?',
    rows: [...rows, ...real],
    notes: [
      `real programs: at least ${least.toFixed(0)} % of the depth of the untouched one (target ${TARGET} %: ${least >= TARGET ? 'reached' : 'missed'})`,
      'on: everything recorded, with a shadow stack of the default size; deeper calls are counted and not recorded',
      'the last column is what a program ended in that was driven too deep',
    ],
  };
}
