// What one traced call costs on the model of each CPU. Two kinds of figures: counts, which are exact and belong to the model (words
// loaded and stored by the engine, lookups of the locations of probes, bytes of both stacks, callbacks), and times, which belong to this host and its JavaScript engine.
// Beside them what the kernel itself needs, in instructions, on x86_64.
//
//   npm run bench:machine -- [--check] [--json FILE] [--svg FILE]
//
// Counts are those of a second engine and a second machine in which each load and store calls out (Binaryen's instrument-memory).

import { readFileSync, writeFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import binaryen from 'binaryen';
import * as fprobeLayout from '../assembly/fprobe/layout.ts';
import * as layout from '../assembly/layout.ts';
import * as ringLayout from '../assembly/ring-layout.ts';
import { CPUS } from '../src/arch/index.ts';
import { Engine, type EngineExports } from '../src/engine.ts';
import { Handlers } from '../src/handlers.ts';
import { generateProgram, type Machine, MachineProgram } from '../src/index.ts';
import type { MachineExports } from '../src/machine-module.ts';
import type { Memory } from '../src/memory.ts';
import { Machine as MachineTarget } from '../src/target/machine.ts';
import type { MachineHost } from '../src/target/machine-cpu.ts';
import { Tasks } from '../src/tasks.ts';
import { assembleText } from './shapes.ts';

const IS_CHECK = process.argv.includes('--check');
const CALLS = IS_CHECK ? 2_000 : 200_000;
const STREAM_CALLS = IS_CHECK ? 50_000 : 10_000_000;
const ROUNDS = IS_CHECK ? 3 : 9;
const BLOCK = 1000; // calls of one pass through a program
const SYMBOLS = Array.from({ length: 64 }, (_, k) => ({
  name: `f${k}`,
  address: 0x3f0_0000_1000n + BigInt(k) * 0x100n,
  size: 0x80,
}));

/// Instructions per hit of the kernel's own, x86_64, 7.2 and 6.12.
const KERNEL = new Map([
  ['function tracer', [574, 547]],
  ['graph', [1601, 1419]],
  ['2 graphs', [3264, 2765]],
  ['4 graphs', [6314, 5172]],
  ['8 graphs', [12596, 9991]],
]);

const built = (name: string) => readFileSync(new URL(`../build/${name}.wasm`, import.meta.url));
/// The engine and the machine's module.
type Pair = { readonly engine: Uint8Array<ArrayBuffer>; readonly machine: Uint8Array<ArrayBuffer> };
const original: Pair = { engine: built('fprobe'), machine: built('machine') };
const accesses = { loads: 0, stores: 0, lookups: 0 };
let callbacks = 0;

/// Of the machine that is being counted: where the table of sites is, where the top of the shadow stack is kept, and the highest so far.
const watched = { memory: undefined as Memory | undefined, top: 0, highest: 0, isTop: false };

function onLoad(address: number): void {
  accesses.loads++;
  const { memory } = watched;
  if (!memory) return;
  const at = address - memory.load32(layout.ABI_SITES);
  const isSite = at >= 0 && at < memory.load32(layout.ABI_SITE_COUNT) * layout.SITE_SIZE;
  if (isSite && at % layout.SITE_SIZE === layout.SITE_LOCATION) accesses.lookups++;
}

function onStore(address: number): void {
  accesses.stores++;
  watched.isTop = address === watched.top;
}

function onStored(value: number): void {
  if (watched.isTop && value > watched.highest) watched.highest = value;
}

/// The same code, with every access to memory counted.
function countingBytes(original: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const module = binaryen.readBinary(original);
  module.runPasses(['instrument-memory']);
  const bytes = new Uint8Array(module.emitBinary());
  module.dispose();
  return bytes;
}

function start(pair: Pair): Pick<MachineHost, 'engine' | 'machineModule'> {
  const machine = new WebAssembly.Module(pair.machine);
  const call = () => ++callbacks;
  const { exports } = instance(new WebAssembly.Module(pair.engine), {
    fprobe: { call, clock: () => 0, wait: () => 0 },
  });
  const engine = new Engine(exports as EngineExports);
  return {
    engine,
    machineModule: instance(machine, { env: { ...exports }, fprobe: { call } }) as { exports: MachineExports },
  };
}

/// Of the imports, those are added that count.
function instance(module: WebAssembly.Module, imports: WebAssembly.Imports): WebAssembly.Instance {
  for (const { module: from, name } of WebAssembly.Module.imports(module)) {
    if (imports[from]?.[name]) continue;
    imports[from] ??= {};
    imports[from][name] = (...args: unknown[]) => {
      if (name === 'load_ptr') onLoad((args[2] as number) + (args[3] as number));
      if (name === 'store_ptr') onStore((args[2] as number) + (args[3] as number));
      if (name === 'store_val_i32') onStored(args[1] as number);
      if (name === 'store_val_i64') onStored(Number((args[1] as bigint) & 0xffff_ffffn)); // with what stands beside it
      return name.endsWith('_ptr') ? args[3] : args[1]; // (id, bytes, offset, address) or (id, value)
    };
  }
  return new WebAssembly.Instance(module, imports);
}

/// What watches the functions. Everything but `host` runs in the engine.
const SETUPS: Record<string, (engine: Engine, machine: Machine) => void> = {
  untraced: () => {},
  'nop: others are traced': (engine) => engine.registerFgraph(layout.GOPS_FRAME, 0, 0, 0),
  'function tracer': (engine, machine) => {
    const ops = engine.exports.ops_register(layout.OPS_FUNCTION, engine.createRing(16, ringLayout.RING_OVERWRITE), 0);
    for (const { id } of machine.sites) engine.exports.site_want(id, ops, 1);
  },
  'entry + return, no work': (engine, machine) => users(engine, machine, layout.GOPS_FRAME, 1),
  profile: (engine, machine) => users(engine, machine, layout.GOPS_PROFILE, 1),
  graph: (engine, machine) => users(engine, machine, layout.GOPS_GRAPH, 1),
  '2 graphs': (engine, machine) => users(engine, machine, layout.GOPS_GRAPH, 2),
  '4 graphs': (engine, machine) => users(engine, machine, layout.GOPS_GRAPH, 4),
  '8 graphs': (engine, machine) => users(engine, machine, layout.GOPS_GRAPH, 8),
  '16 graphs': (engine, machine) => users(engine, machine, layout.GOPS_GRAPH, 16),
  'JavaScript handlers': (engine, machine) => users(engine, machine, layout.GOPS_HOST, 1),
  'probe, entry only': (engine, machine) => probes(engine, machine, 1, 0, false),
  'probe, no data': (engine, machine) => probes(engine, machine, 1, 0),
  'probe, 8 bytes': (engine, machine) => probes(engine, machine, 1, 8),
  'probe, 120 bytes': (engine, machine) => probes(engine, machine, 1, 120),
  '2 probes, 8 bytes': (engine, machine) => probes(engine, machine, 2, 8),
  '4 probes, 8 bytes': (engine, machine) => probes(engine, machine, 4, 8),
  '8 probes, 8 bytes': (engine, machine) => probes(engine, machine, 8, 8),
};

/// Handlers of probes: `entry` leaves the address of the function in its data, where it has some; both count.
const HANDLERS = await assembleText(
  'machine-handlers',
  `(module
    (import "engine" "memory" (memory 1))
    (global $calls (export "calls") (mut i32) (i32.const 0))
    (func (export "entry") (param i32 i64 i64 i32 i32) (result i32)
      (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
      (if (local.get 4) (then (i64.store (local.get 4) (local.get 1))))
      (i32.const 0))
    (func (export "exit") (param i32 i64 i64 i32 i32) (result i32)
      (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
      (i32.const 0)))`,
);
const handlerModule = new WebAssembly.Module(HANDLERS);
let handlerCalls: WebAssembly.Global<'i32'>[] = [];

function probes(engine: Engine, machine: Machine, count: number, dataSize: number, hasExit = true): void {
  const { memory, table } = engine.exports;
  for (let k = 0; k < count; k++) {
    const { exports } = new WebAssembly.Instance(handlerModule, { engine: { memory } });
    const first = table.grow(2);
    table.set(first, exports.entry);
    table.set(first + 1, exports.exit);
    handlerCalls.push(exports.calls as WebAssembly.Global<'i32'>);
    const request = { kind: fprobeLayout.FPROBE_KIND_WASM, entry: first, exit: hasExit ? first + 1 : 0 };
    engine.registerFprobe(
      { ...request, dataSize, flags: 0, private: 0 },
      machine.sites.map(({ id }) => id),
    );
  }
}

function users(engine: Engine, machine: Machine, kind: number, count: number): void {
  for (let k = 0; k < count; k++) {
    const handler = kind === layout.GOPS_HOST ? 1 : 0;
    const index = engine.registerFgraph(kind, handler, handler, 0);
    if (kind === layout.GOPS_GRAPH) {
      engine.exports.graph_set_ring(index, machine.task.task.address, engine.createRing(16, ringLayout.RING_OVERWRITE));
    }
    for (const { id } of machine.sites) engine.exports.site_want(id, index, 1);
  }
}

interface Shape {
  readonly name: string;
  readonly setup: string;
  readonly regs?: 'full';
  readonly program: () => MachineProgram;
  readonly calls: number;
}

const flat = (): MachineProgram => {
  const program = new MachineProgram();
  for (let k = 0; k < BLOCK; k++) program.call(k % SYMBOLS.length, [1n, 2n]).return(3n);
  return program;
};
const deep = (depth: number) => (): MachineProgram => {
  const program = new MachineProgram();
  for (let made = 0; made < BLOCK; made += depth) {
    for (let k = 0; k < depth; k++) program.call(k % SYMBOLS.length, [1n, 2n]);
    for (let k = 0; k < depth; k++) program.return(3n);
  }
  return program;
};

const SHAPES: readonly Shape[] = [
  ...Object.keys(SETUPS).map((setup) => ({ name: setup, setup, program: flat, calls: BLOCK })),
  {
    name: 'entry + return, full registers',
    setup: 'entry + return, no work',
    regs: 'full',
    program: flat,
    calls: BLOCK,
  },
  { name: 'entry + return, 8 deep', setup: 'entry + return, no work', program: deep(8), calls: BLOCK },
  { name: 'entry + return, 40 deep', setup: 'entry + return, no work', program: deep(40), calls: BLOCK },
];

interface Row {
  arch: string;
  what: string;
  /// Per call, of this host: median, and what is added to the untraced call of the same CPU.
  ns: number;
  added: number;
  /// Per call, exact.
  loads: number;
  stores: number;
  callbacks: number;
  /// Locations of probes that were looked up.
  lookups: number;
  /// At most, over the whole run: of the task's stack, and of its shadow stack.
  stackBytes: number;
  shadowBytes: number;
}

function build(pair: Pair, arch: string, shape: Shape): { engine: Engine; machine: Machine } {
  const { engine, machineModule } = start(pair);
  const tasks = new Tasks(engine, layout.SHADOW_STACK_WORDS);
  const machine = new MachineTarget({ engine, tasks, handlers: new Handlers(), machineModule }, 1, {
    arch,
    symbols: SYMBOLS,
    poison: false,
    regs: shape.regs,
  });
  SETUPS[shape.setup]!(engine, machine);
  return { engine, machine };
}

const median = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1]!;
const counting: Pair = { engine: countingBytes(original.engine), machine: countingBytes(original.machine) };
const rows: Row[] = [];

for (const arch of Object.keys(CPUS)) {
  const shapes = SHAPES.filter(({ regs }) => !regs || CPUS[arch as 'x86_64'].fullEntry);
  const runs = shapes.map((shape) => {
    const program = shape.program();
    handlerCalls = [];
    const { engine, machine: counted } = build(counting, arch, shape);
    const { memory } = engine;
    const { address } = counted.task.task;
    const bottom = memory.load32(address + layout.TASK_STACK);
    Object.assign(watched, { memory, top: address + layout.TASK_TOP, highest: bottom });
    const count = (times: number) => {
      Object.assign(accesses, { loads: 0, stores: 0, lookups: 0 });
      counted.run(program, times);
      return { ...accesses };
    };
    callbacks = 0;
    const twice = count(2);
    const once = count(1); // what is done once per run is in both
    const handled = handlerCalls.reduce((sum, { value }) => sum + value, callbacks);
    watched.memory = undefined;
    const exact = {
      loads: (twice.loads - once.loads) / shape.calls,
      stores: (twice.stores - once.stores) / shape.calls,
      callbacks: handled / shape.calls / 3,
      lookups: (twice.lookups - once.lookups) / shape.calls,
      shadowBytes: watched.highest - bottom,
    };
    return {
      shape,
      program,
      exact,
      stackBytes: counted.task.stackUsed,
      machine: build(original, arch, shape).machine,
      ns: [] as number[],
    };
  });
  for (let round = 0; round < ROUNDS; round++) {
    for (const run of round % 2 ? runs.toReversed() : runs) {
      const times = CALLS / run.shape.calls;
      const before = performance.now();
      run.machine.run(run.program, times);
      run.ns.push(((performance.now() - before) * 1e6) / (times * run.shape.calls));
    }
  }
  const base = median(runs[0]!.ns);
  for (const { shape, exact, stackBytes, ns } of runs) {
    rows.push({ arch, what: shape.name, ns: median(ns), added: median(ns) - base, ...exact, stackBytes });
  }
}

// A long stream, made from a seed.
const stream = generateProgram({
  functions: SYMBOLS.length,
  calls: BLOCK * 10,
  depth: 24,
  nesting: 0.5,
  recursion: 0.1,
  seed: 1,
});
const streamed: string[] = [];
for (const setup of ['untraced', 'entry + return, no work', 'graph']) {
  const { machine } = build(original, 'x86_64', { name: setup, setup, program: flat, calls: BLOCK });
  const before = performance.now();
  machine.run(stream, STREAM_CALLS / (BLOCK * 10));
  const ns = ((performance.now() - before) * 1e6) / STREAM_CALLS;
  streamed.push(`${setup}: ${ns.toFixed(1)} ns a call`);
}

const format = (value: number): string => (Number.isInteger(value) ? String(value) : value.toFixed(1));
console.log(
  'Machine: cost of one call. ns and added ns are of this host; the rest is exact and the same everywhere.\n',
);
for (const arch of Object.keys(CPUS)) {
  console.log(
    `${arch.padEnd(32)}      ns   added  loads  stores  lookups  callbacks  stack bytes  shadow bytes  kernel instructions 7.2 / 6.12`,
  );
  for (const row of rows.filter((row) => row.arch === arch)) {
    const kernel = arch === 'x86_64' ? (KERNEL.get(row.what)?.join(' / ') ?? '') : '';
    console.log(
      `${row.what.padEnd(32)}${row.ns.toFixed(1).padStart(8)}${row.added.toFixed(1).padStart(8)}${format(row.loads).padStart(7)}` +
        `${format(row.stores).padStart(8)}${format(row.lookups).padStart(9)}${format(row.callbacks).padStart(11)}` +
        `${format(row.stackBytes).padStart(13)}${format(row.shadowBytes).padStart(14)}  ${kernel}`.trimEnd(),
    );
  }
  console.log('');
}
console.log(`a stream of ${STREAM_CALLS} calls on x86_64: ${streamed.join('; ')}`);
const traced = rows.find(({ arch, what }) => arch === 'x86_64' && what === 'entry + return, no work')!;
console.log(`target: one traced call through both trampolines, x86_64, at most 40 ns; ${traced.ns.toFixed(1)} ns here`);

/// Bars of what each case adds, a group for each CPU.
function chart(): string {
  const shown = rows.filter(({ what }) => what !== 'untraced');
  const most = Math.max(...shown.map(({ added }) => added), 1);
  const lines: string[] = [];
  let y = 30;
  for (const arch of Object.keys(CPUS)) {
    lines.push(`<text x="8" y="${y + 14}" font-weight="bold">${arch}</text>`);
    y += 20;
    for (const { what, added } of shown.filter((row) => row.arch === arch)) {
      const width = Math.max((added / most) * 560, 0);
      lines.push(
        `<text x="20" y="${y + 11}">${what}</text>` +
          `<rect x="230" y="${y + 2}" width="${width.toFixed(1)}" height="11" fill="#4a78b5"/>` +
          `<text x="${(236 + width).toFixed(1)}" y="${y + 11}">${added.toFixed(1)}</text>`,
      );
      y += 16;
    }
    y += 10;
  }
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" width="860" height="${y}" font-family="sans-serif" font-size="11">` +
    `<rect width="860" height="${y}" fill="#fff"/>` +
    `<text x="8" y="18" font-size="13">Added to a call, ns on this host</text>\n${lines.join('\n')}\n</svg>\n`
  );
}

function output(option: string, text: () => string): void {
  const at = process.argv.indexOf(option);
  const path = at < 0 ? undefined : process.argv[at + 1];
  if (path) writeFileSync(path, text());
}
output('--json', () => `${JSON.stringify({ rows, streamed, kernel: Object.fromEntries(KERNEL) }, null, 1)}\n`);
output('--svg', chart);
