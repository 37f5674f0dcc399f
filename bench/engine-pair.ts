// What does the engine itself take for an entry and its exit? No instrumented program here, and no tracer: a module calls
// `enter` and `leave` through a table in a bare loop, so that what is measured is the engine and the two calls into it. The
// baseline is the same loop over two functions that do nothing.

import * as layout from '../assembly/layout.ts';
import * as ringLayout from '../assembly/ring-layout.ts';
import { loadEngine } from '../src/engine.ts';
import { type Case, measure, type Report, type Settings, type TableRow } from './harness.ts';
import { assembleText, distinct } from './shapes.ts';

export const CALLS = 50_000;
const DEPTH = 500; // of the recursion: half of the returns then find their entry on another page
const WARM_SECONDS = 0.2;
const TARGET_NS = 12;
const FURTHER_NS = 2;

/// Slot 0 of the table is `enter`, slot 1 `leave`. `pairs` and `nested` return how many activations were accepted.
const CALLER = `(module
  (type $enter (func (param i32) (result i32)))
  (type $leave (func (param i32)))
  (table (export "table") 2 2 funcref)
  (func (export "pairs") (param $calls i32) (result i32) (local $cookie i32) (local $accepted i32)
    (loop $again
      (if (local.tee $cookie (call_indirect (type $enter) (i32.and (local.get $calls) (i32.const 63)) (i32.const 0)))
        (then
          (local.set $accepted (i32.add (local.get $accepted) (i32.const 1)))
          (call_indirect (type $leave) (local.get $cookie) (i32.const 1))))
      (br_if $again (local.tee $calls (i32.sub (local.get $calls) (i32.const 1)))))
    (local.get $accepted))
  (func $down (param $depth i32) (result i32) (local $cookie i32) (local $accepted i32)
    (local.set $cookie (call_indirect (type $enter) (i32.and (local.get $depth) (i32.const 63)) (i32.const 0)))
    (if (local.tee $depth (i32.sub (local.get $depth) (i32.const 1)))
      (then (local.set $accepted (call $down (local.get $depth)))))
    (if (local.get $cookie)
      (then
        (local.set $accepted (i32.add (local.get $accepted) (i32.const 1)))
        (call_indirect (type $leave) (local.get $cookie) (i32.const 1))))
    (local.get $accepted))
  (func (export "nested") (param $calls i32) (result i32) (local $accepted i32)
    (loop $again
      (local.set $accepted (i32.add (local.get $accepted) (call $down (i32.const ${DEPTH}))))
      (br_if $again (i32.gt_s (local.tee $calls (i32.sub (local.get $calls) (i32.const ${DEPTH}))) (i32.const 0))))
    (local.get $accepted)))`;

export const NOTHING = `(module
  (func (export "enter") (param i32) (result i32) (i32.or (local.get 0) (i32.const 1)))
  (func (export "leave") (param i32)))`;

type Shape = 'pairs' | 'nested';

export async function caller(
  name: string,
  shape: Shape,
  enter: unknown,
  leave: unknown,
  accepted = CALLS,
): Promise<Case> {
  const bytes = distinct(await assembleText('caller', CALLER));
  const { exports } = (await WebAssembly.instantiate(bytes)).instance;
  const table = exports.table as WebAssembly.Table;
  table.set(0, enter);
  table.set(1, leave);
  const run = () => (exports[shape] as (calls: number) => number)(CALLS);
  return { name, run, calls: CALLS, expected: accepted, warm: WARM_SECONDS };
}

/// An engine with these users on every site.
async function traced(name: string, shape: Shape, kinds: readonly number[], direct = true): Promise<Case> {
  const engine = await loadEngine();
  const { exports } = engine;
  exports.direct_set(direct ? 1 : 0);
  exports.task_switch(engine.createTask(1 << 16));
  engine.addSites(64);
  for (const kind of kinds) {
    const ring = kind === layout.GOPS_GRAPH ? engine.createRing(64, ringLayout.RING_OVERWRITE) : 0;
    const user = engine.registerFgraph(kind, 0, 0, ring);
    for (let site = 0; site < 64; site++) exports.site_want(site, user, 1);
  }
  return caller(name, shape, exports.enter, exports.leave, kinds.length > 0 ? CALLS : 0);
}

export async function run(settings: Settings): Promise<Report> {
  const { GOPS_GRAPH: graph, GOPS_PROFILE: profile } = layout;
  const { enter, leave } = (await WebAssembly.instantiate(await assembleText('nothing', NOTHING))).instance.exports;
  const flat = measure(
    [
      await caller('two calls that do nothing', 'pairs', enter, leave),
      await traced('nobody wants the function', 'pairs', []),
      await traced('graph', 'pairs', [graph]),
      await traced('profile', 'pairs', [profile]),
      await traced('graph + profile', 'pairs', [graph, profile]),
      await traced('two graphs', 'pairs', [graph, graph]),
      await traced('four graphs', 'pairs', [graph, graph, graph, graph]),
      await traced('graph, general path', 'pairs', [graph], false),
      await traced('two graphs, general path', 'pairs', [graph, graph], false),
    ],
    settings,
  );
  const deep = measure(
    [
      await caller(`${DEPTH} deep: two calls that do nothing`, 'nested', enter, leave),
      await traced(`${DEPTH} deep: graph`, 'nested', [graph]),
      await traced(`${DEPTH} deep: graph + profile`, 'nested', [graph, profile]),
    ],
    settings,
  );
  if (settings.check) return { question: '', rows: [], notes: [] };
  const rows = [...flat, ...deep].map(({ name, ns, added }): TableRow => ({ engine: name, ns, 'added ns': added }));
  const ns = (name: string) => flat.find((row) => row.name === name)!.ns;
  const further = (ns('four graphs') - ns('two graphs')) / 2;
  return {
    question: 'What does the engine take for an entry and its exit, the two calls into it included?',
    rows,
    notes: [
      `graph: ${ns('graph').toFixed(1)} ns (target ${TARGET_NS}: ${ns('graph') <= TARGET_NS ? 'reached' : 'missed'})`,
      `each further graph, from two to four: ${further.toFixed(1)} ns (target ${FURTHER_NS}: ${further <= FURTHER_NS ? 'reached' : 'missed'})`,
      'general path: what the same events cost where direct mode may not be used, with another clock or with handlers',
    ],
  };
}
