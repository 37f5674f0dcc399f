// What does a probe take for each call, and what do many of them take? But for JavaScript handlers there is no instrumented program: a
// module calls `enter_1`
// and `leave_value` through a table in a bare loop, over sites in random order, so that what is measured is the engine and the two
// calls into it. Beside it, in the same rounds, the two schemes that this design was made to beat (baseline/).

import * as fprobeLayout from '../assembly/fprobe/layout.ts';
import * as layout from '../assembly/layout.ts';
import { type Engine, type FprobeRequest, loadEngine } from '../src/engine.ts';
import { type FprobeHandlers, Tracer } from '../src/index.ts';
import { FIXED_TABLE_MEMORY, fixedTable } from './baseline/fixed-table.ts';
import { maxactive, RETHOOK_NODE_SIZE, rethook } from './baseline/rethook.ts';
import { type Case, clocks, measure, type Report, type Row, type Settings, since, type TableRow } from './harness.ts';
import { assembleText, distinct } from './shapes.ts';

const CALLS = 16_384; // as many as there are sites in the caller's list
const MANY = 100_000;
const WARM_SECONDS = 0.2;
const ATTACH_ROUNDS = 5;
const TARGETS = { builtin: 13, wasm: 18, entry: 10, js: 40, many: 1.3, attach: 100 };

/// Slot 0 of the table is `enter_1`, slot 1 `leave_value`. `pairs` returns how many activations were accepted.
const CALLER = `(module
  (type $enter (func (param i32 i64) (result i32)))
  (type $leave (func (param i32 i64)))
  (memory (export "memory") 1)
  (table (export "table") 2 2 funcref)
  (func (export "pairs") (result i32) (local $at i32) (local $cookie i32) (local $accepted i32)
    (loop $again
      (if (local.tee $cookie
          (call_indirect (type $enter) (i32.load (local.get $at)) (i64.const 5) (i32.const 0)))
        (then
          (local.set $accepted (i32.add (local.get $accepted) (i32.const 1)))
          (call_indirect (type $leave) (local.get $cookie) (i64.const 7) (i32.const 1))))
      (br_if $again (i32.ne (local.tee $at (i32.add (local.get $at) (i32.const 4))) (i32.const ${4 * CALLS}))))
    (local.get $accepted)))`;

const NOTHING = `(module
  (func (export "enter_1") (param i32 i64) (result i32) (i32.or (local.get 0) (i32.const 1)))
  (func (export "leave_value") (param i32 i64)))`;

/// Both count; with data, entry leaves something there and exit looks at it.
const HANDLERS = `(module
  (import "host" "memory" (memory 1))
  (global $entries (mut i32) (i32.const 0))
  (global $sum (mut i64) (i64.const 0))
  (func (export "entry") (param i32 i64 i64 i32 i32) (result i32)
    (global.set $entries (i32.add (global.get $entries) (i32.const 1)))
    (if (local.get 4) (then (i64.store (local.get 4) (local.get 1))))
    (i32.const 0))
  (func (export "exit") (param i32 i64 i64 i32 i32) (result i32)
    (if (local.get 4) (then (global.set $sum (i64.add (global.get $sum) (i64.load (local.get 4))))))
    (i32.const 0)))`;

async function caller(name: string, exports: WebAssembly.Exports, sites: number, accepted: number): Promise<Case> {
  const { instance } = await WebAssembly.instantiate(distinct(await assembleText('probe-caller', CALLER)));
  const { table, memory, pairs } = instance.exports as {
    table: WebAssembly.Table;
    memory: WebAssembly.Memory;
    pairs: () => number;
  };
  table.set(0, exports.enter_1);
  table.set(1, exports.leave_value);
  // Every site as often as every other, in an order without a pattern.
  const list = new Uint32Array(memory.buffer, 0, CALLS);
  let state = 1;
  for (let k = 0; k < CALLS; k++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    list[k] = Math.floor((state / 2 ** 32) * sites);
  }
  return { name, run: pairs, calls: CALLS, expected: accepted, warm: WARM_SECONDS };
}

const SCRIPTED = `(module
  (func $f (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
  (func (export "run") (param $calls i32) (result i32) (local $x i32)
    (loop $again
      (local.set $x (call $f (local.get $x)))
      (br_if $again (local.tee $calls (i32.sub (local.get $calls) (i32.const 1)))))
    (local.get $x)))`;

type Kind = 'built-in' | 'wasm';

interface Setup {
  readonly kind: Kind;
  readonly entry?: boolean;
  readonly exit?: boolean;
  readonly size?: number;
  readonly probes?: number;
  readonly sites?: number;
  /// Of these functions; all are probed. Default all.
  readonly called?: number;
  readonly short?: boolean;
}

async function handlersFor(engine: Engine, kind: Kind): Promise<[entry: number, exit: number]> {
  if (kind === 'built-in') return [0, 0];
  const { table, memory } = engine.exports;
  const bytes = distinct(await assembleText('probe-handlers', HANDLERS));
  const { instance } = await WebAssembly.instantiate(bytes, { host: { memory } });
  const first = table.grow(2);
  table.set(first, instance.exports.entry);
  table.set(first + 1, instance.exports.exit);
  return [first, first + 1];
}

function requestOf({ kind, entry, exit, size = 0 }: Setup, ids: readonly [number, number]): FprobeRequest {
  const shared = { flags: 0, private: 0, dataSize: size };
  if (kind === 'built-in') {
    const source = exit ? fprobeLayout.FPROBE_SOURCE_RESULT : fprobeLayout.FPROBE_SOURCE_HIT;
    return { ...shared, kind: fprobeLayout.FPROBE_KIND_COUNT, entry: 0, exit: 0, source };
  }
  return { ...shared, kind: fprobeLayout.FPROBE_KIND_WASM, entry: entry ? ids[0] : 0, exit: exit ? ids[1] : 0 };
}

async function startEngine(sites: number): Promise<Engine> {
  const engine = await loadEngine();
  engine.exports.task_switch(engine.createTask(1 << 16));
  engine.addSites(sites);
  for (let site = 0; site < sites; site++) engine.memory.setSiteIp(site, 2 ** 32 + site * 48);
  return engine;
}

/// JavaScript handlers go through the library, so here a program is instrumented, and probed as a user does it.
async function scripted(name: string, handlers: FprobeHandlers): Promise<Case> {
  const tracer = await Tracer.create({ clock: 'counter' });
  const { instance } = await tracer.instantiate(distinct(await assembleText('probe-program', SCRIPTED)));
  tracer.registerFprobe({ symbols: ['f'], ...handlers });
  const { run } = instance.exports as { run: (calls: number) => number };
  return { name, run: () => run(CALLS), calls: CALLS, expected: CALLS, warm: WARM_SECONDS };
}

const all = (count: number): number[] => Array.from({ length: count }, (_, k) => k);

async function probed(name: string, setup: Setup): Promise<Case> {
  const { sites = 64, called = sites, probes = 1, exit = false, short = true } = setup;
  const engine = await startEngine(sites);
  engine.exports.direct_set(short ? 1 : 0);
  const ids = await handlersFor(engine, setup.kind);
  for (let k = 0; k < probes; k++) engine.registerFprobe(requestOf(setup, ids), all(sites));
  return caller(name, engine.exports, called, exit ? CALLS : 0);
}

async function rival(name: string, exports: WebAssembly.Exports, sites: number): Promise<Case> {
  const bytes = distinct(await assembleText('probe-handlers', HANDLERS));
  const { instance } = await WebAssembly.instantiate(bytes, { host: { memory: exports.memory } });
  const table = exports.table as WebAssembly.Table;
  table.set(0, instance.exports.entry);
  table.set(1, instance.exports.exit);
  return caller(name, exports, sites, CALLS);
}

/// Milliseconds to attach a probe to all functions and to detach it, medians, and what it takes of memory.
async function attaching(settings: Settings) {
  const engine = await startEngine(MANY);
  const request = requestOf({ kind: 'wasm', entry: true, exit: true, size: 8 }, [1, 2]);
  const sites = all(MANY);
  const times: [attach: number, detach: number][] = [];
  const heap = (): number => engine.memory.load32(layout.ABI_HEAP);
  const before = heap();
  for (let round = 0; round < (settings.check ? 1 : ATTACH_ROUNDS); round++) {
    const start = clocks();
    const handle = engine.registerFprobe(request, sites);
    const attached = since(start);
    const middle = clocks();
    engine.exports.fprobe_unregister(handle);
    times.push([attached, since(middle)]);
  }
  const middle = (which: 0 | 1): number => times.map((time) => time[which]).sort((a, b) => a - b)[times.length >> 1];
  return { attach: middle(0), detach: middle(1), bytes: (heap() - before) / MANY };
}

export async function run(settings: Settings): Promise<Report> {
  const { enter_1, leave_value } = (await WebAssembly.instantiate(await assembleText('nothing', NOTHING))).instance
    .exports;
  const nothing = () => caller('two calls that do nothing', { enter_1, leave_value }, 64, CALLS);
  const both = { entry: true, exit: true };
  const names: Record<string, Setup> = {
    'built-in, entry only': { kind: 'built-in', entry: true },
    'built-in, entry and exit, 8 bytes': { kind: 'built-in', ...both, size: 8 },
    'wasm, entry only': { kind: 'wasm', entry: true },
    'wasm, exit only': { kind: 'wasm', exit: true },
    'wasm, entry and exit': { kind: 'wasm', ...both },
    'wasm, entry and exit, 8 bytes': { kind: 'wasm', ...both, size: 8 },
    'wasm, entry and exit, 120 bytes': { kind: 'wasm', ...both, size: 120 },
    'wasm, entry and exit, 8 bytes, general path': { kind: 'wasm', ...both, size: 8, short: false },
  };
  const cases = await Promise.all(Object.entries(names).map(([name, setup]) => probed(name, setup)));
  const rethooks = await rival('rethook: wasm, entry and exit, 8 bytes', await rethook(maxactive(64, 2)), 64);
  const entry = () => 0;
  const exit = (): void => {};
  const js = [
    await scripted('js, entry only', { entry }),
    await scripted('js, exit only', { exit }),
    await scripted('js, entry and exit', { entry, exit }),
    await scripted('js, entry and exit, 8 bytes', { entry, exit, entryDataSize: 8 }),
    await scripted('js, entry and exit, 120 bytes', { entry, exit, entryDataSize: 120 }),
  ];
  const perHit = measure([await nothing(), ...cases, ...js, rethooks], settings);

  const onOne = [1, 2, 4, 8, 16, 32];
  const several = measure(
    [
      await nothing(),
      ...(await Promise.all(
        onOne.map((probes) =>
          probed(`${probes} probes on a function: wasm, entry and exit`, { kind: 'wasm', ...both, probes }),
        ),
      )),
    ],
    settings,
  );

  const counts = [1, 1000, 10_000, MANY];
  const functions = measure(
    [
      await nothing(),
      ...(await Promise.all(
        counts.map((sites) => probed(`${sites} functions: wasm, 8 bytes`, { kind: 'wasm', ...both, size: 8, sites })),
      )),
      await probed(`${MANY} functions: wasm, entry only`, { kind: 'wasm', entry: true, sites: MANY }),
      await probed(`${MANY} functions: built-in, 8 bytes`, { kind: 'built-in', ...both, size: 8, sites: MANY }),
      await probed(`${MANY} functions, one of them called: wasm, 8 bytes`, {
        kind: 'wasm',
        ...both,
        size: 8,
        sites: MANY,
        called: 1,
      }),
      ...(await Promise.all(
        counts.map(async (sites) => rival(`${sites} functions: 256 fixed buckets`, await fixedTable(sites), sites)),
      )),
    ],
    settings,
  );
  const { attach, detach, bytes } = await attaching(settings);
  if (settings.check) return { question: '', rows: [], notes: [] };

  const rows = [...perHit, ...several.slice(1), ...functions.slice(1)];
  const find = (name: string): Row => rows.find((row) => row.name === name)!;
  const held = (what: string, value: number, target: number, unit: string): string =>
    `${what}: ${value.toFixed(1)} ${unit} (target ${target}: ${value <= target ? 'reached' : 'missed'})`;
  const one = find('1 functions: wasm, 8 bytes');
  const many = find(`${MANY} functions: wasm, 8 bytes`);
  const few = find(`${MANY} functions, one of them called: wasm, 8 bytes`);
  const old = find(`${MANY} functions: 256 fixed buckets`);
  return {
    question: 'What does a probe take for each call, the two calls into the engine included?',
    rows: rows.map(({ name, ns, added }): TableRow => ({ probe: name, ns, 'added ns': added })),
    notes: [
      held('built-in, entry and exit, 8 bytes', find('built-in, entry and exit, 8 bytes').ns, TARGETS.builtin, 'ns'),
      held('wasm, entry and exit, 8 bytes', find('wasm, entry and exit, 8 bytes').ns, TARGETS.wasm, 'ns'),
      held('wasm, entry only', find('wasm, entry only').ns, TARGETS.entry, 'ns'),
      held('js, entry and exit, 8 bytes', find('js, entry and exit, 8 bytes').ns, TARGETS.js, 'ns'),
      held(`${MANY} functions probed and one called, against 1`, few.ns / one.ns, TARGETS.many, '×'),
      held(`${MANY} functions called at random, against 1`, many.ns / one.ns, TARGETS.many, '×'),
      'at random: what the processor takes to fetch records of sites that it has not seen for long is in it; no step is added',
      `${MANY} functions, 256 fixed buckets against this table: ${(old.ns / many.ns).toFixed(1)} ×`,
      held(`attaching to ${MANY} functions`, attach, TARGETS.attach, 'ms'),
      held(`detaching from ${MANY} functions`, detach, TARGETS.attach, 'ms'),
      `memory: ${fprobeLayout.FPROBE_SIZE} bytes a probe, ${fprobeLayout.NODE_SIZE} more for each of its functions, ${fprobeLayout.LOCATION_SIZE} for each function that is probed and its share of the table: ${bytes.toFixed(0)} bytes a function in all`,
      `256 fixed buckets: ${FIXED_TABLE_MEMORY.location} bytes a function; rethook: ${RETHOOK_NODE_SIZE * maxactive(1, 2)} bytes a function for its pool, on two CPUs`,
    ],
  };
}
