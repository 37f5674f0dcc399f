// What does each further user of a function cost, for an entry and its exit, and what do users of other functions cost? The
// engine alone, called through a table as in engine-pair.ts. Users are built in, WebAssembly or JavaScript, the latter two with
// and without a word of data that goes from entry to exit.

import * as layout from '../assembly/layout.ts';
import * as ringLayout from '../assembly/ring-layout.ts';
import { type EngineExports, loadEngine } from '../src/engine.ts';
import { CALLS, caller, NOTHING } from './engine-pair.ts';
import { type Case, measure, type Report, type Row, type Settings, type TableRow } from './harness.ts';
import { assembleText } from './shapes.ts';

const NUMBERS = [1, 2, 4, 8, 16];
const SITES = 64;
const PAGES = 8; // of each ring buffer: sixteen of them still fit into a cache
const TARGET_BUILT_IN = 2;
const TARGET_WASM = 8;

/// Handlers in another module. Those with data store the site at entry and count the exits that find it.
const HANDLERS = `(module
  (import "engine" "memory" (memory 1))
  (import "engine" "reserve" (func $reserve (param i32 i32) (result i32)))
  (import "engine" "retrieve" (func $retrieve (param i32) (result i32)))
  (global (export "found") (mut i32) (i32.const 0))
  (func (export "entry") (param i32 i32 i32 i32) (result i32) (i32.const 1))
  (func (export "exit") (param i32 i32 i32 i32) (result i32) (i32.const 0))
  (func (export "dataEntry") (param $user i32) (param $site i32) (param i32 i32) (result i32)
    (i32.store (call $reserve (local.get $user) (i32.const 8)) (local.get $site))
    (i32.const 1))
  (func (export "dataExit") (param $user i32) (param $site i32) (param i32 i32) (result i32)
    (global.set 0 (i32.add (global.get 0) (i32.eq (i32.load (call $retrieve (local.get $user))) (local.get $site))))
    (i32.const 0)))`;

type Kind = 'graph' | 'WASM' | 'WASM, data' | 'JavaScript' | 'JavaScript, data';

/// `count` users of that kind on every site that is called, or on other sites.
async function users(kind: Kind, count: number, elsewhere = false): Promise<Case> {
  let exports: EngineExports;
  const handlers: ((user: number, site: number) => number)[] = [
    () => 1,
    () => 0,
    (user, site) => {
      memory.store32(exports.reserve(user, 8), site);
      return 1;
    },
    (user, site) => (memory.load32(exports.retrieve(user)) === site ? 1 : 0),
  ];
  const engine = await loadEngine({ call: (handler, user, site) => handlers[handler - 1](user, site) });
  const { memory } = engine;
  exports = engine.exports;
  exports.task_switch(engine.createTask(1 << 16));
  engine.addSites(2 * SITES);
  const names = kind.endsWith('data') ? ['dataEntry', 'dataExit'] : ['entry', 'exit'];
  const module = (await WebAssembly.instantiate(await assembleText('handlers', HANDLERS), { engine: exports }))
    .instance;
  const indices = names.map((name) => {
    const index = exports.table.grow(1);
    exports.table.set(index, module.exports[name]);
    return index;
  });
  for (let k = 0; k < count; k++) {
    const first = kind.endsWith('data') ? 3 : 1;
    const user =
      kind === 'graph'
        ? engine.registerFgraph(layout.GOPS_GRAPH, 0, 0, engine.createRing(PAGES, ringLayout.RING_OVERWRITE))
        : kind.startsWith('WASM')
          ? engine.registerFgraph(layout.GOPS_WASM, indices[0], indices[1], 0)
          : engine.registerFgraph(layout.GOPS_HOST, first, first + 1, 0);
    const from = elsewhere ? SITES : 0;
    for (let site = from; site < from + SITES; site++) exports.site_want(site, user, 1);
  }
  const name = elsewhere ? `${count} ${kind} on other functions` : `${count} ${kind}`;
  return caller(name, 'pairs', exports.enter, exports.leave, elsewhere ? 0 : CALLS);
}

export async function run(settings: Settings): Promise<Report> {
  const { enter, leave } = (await WebAssembly.instantiate(await assembleText('nothing', NOTHING))).instance.exports;
  const kinds: Kind[] = ['graph', 'WASM', 'WASM, data', 'JavaScript', 'JavaScript, data'];
  const table: TableRow[] = [];
  const notes: string[] = [];
  for (const kind of kinds) {
    const cases = [await caller('two calls that do nothing', 'pairs', enter, leave)];
    for (const count of NUMBERS) cases.push(await users(kind, count));
    const rows = measure(cases, settings).slice(1);
    if (settings.check) continue;
    table.push({ users: kind, ...Object.fromEntries(rows.map(({ ns }, k) => [`${NUMBERS[k]}`, ns])) });
    const further = (from: number, to: number) => (rows[to].ns - rows[from].ns) / (NUMBERS[to] - NUMBERS[from]);
    const target = kind === 'graph' ? TARGET_BUILT_IN : kind.startsWith('WASM') ? TARGET_WASM : undefined;
    const each = further(1, NUMBERS.length - 1);
    const verdict = target === undefined ? '' : ` (target ${target}: ${each <= target ? 'reached' : 'missed'})`;
    notes.push(`each further ${kind} user, from 2 to 16: ${each.toFixed(1)} ns${verdict}`);
  }
  const nobody = await users('graph', 0);
  const quiet = measure([{ ...nobody, name: 'nobody', expected: 0 }, await users('graph', 16, true)], settings);
  if (settings.check) return { question: '', rows: [], notes: [] };
  const difference = (row: Row) => `${row.added >= 0 ? '+' : ''}${row.added.toFixed(2)} ns`;
  notes.push(`16 graph users on other functions, against no user at all: ${difference(quiet[1])}`);
  return {
    question: 'What does an entry and its exit take with so many users on the function, in ns, the two calls included?',
    rows: table,
    notes,
  };
}
