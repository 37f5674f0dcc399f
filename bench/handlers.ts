// What does a handler of one's own cost? One small function of another module's, called in a loop, with users on it that count, in JavaScript
// and in WebAssembly, with and without data handed from entry to return. The baseline is the same loop with gates closed.

import { type FgraphUser, Tracer } from '../src/index.ts';
import { type Case, measure, type Report, type Settings, type TableRow } from './harness.ts';
import { assembleText, distinct } from './shapes.ts';

const CALLS = 20_000;
const WARM_SECONDS = 0.2;
const PAIR_NS = 40; // entry and return of one user in JavaScript
const FURTHER_NS = 8; // each further user in WebAssembly

const PROGRAM = `(module
  (func $leaf (param i32) (result i32) (local.get 0))
  (func (export "run") (param $n i32) (result i32) (local $sum i32)
    (loop $again
      (local.set $sum (i32.add (local.get $sum) (call $leaf (local.get $n))))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum)))`;

const HANDLERS = `(module
  (import "fprobe" "reserve" (func $reserve (param i32 i32) (result i32)))
  (import "fprobe" "retrieve" (func $retrieve (param i32) (result i32)))
  (import "fprobe" "memory" (memory 4 32768))
  (global $count (export "count") (mut i32) (i32.const 0))
  (func (export "entry") (param i32 i32 i32 i32) (result i32) (i32.const 1))
  (func (export "return") (param i32 i32 i32 i32) (result i32)
    (global.set $count (i32.add (global.get $count) (i32.const 1)))
    (i32.const 0))
  (func (export "entryData") (param i32 i32 i32 i32) (result i32)
    (i32.store (call $reserve (local.get 0) (i32.const 8)) (i32.const 1))
    (i32.const 1))
  (func (export "returnData") (param i32 i32 i32 i32) (result i32)
    (global.set $count (i32.add (global.get $count) (i32.load (call $retrieve (local.get 0)))))
    (i32.const 0)))`;

type Form = 'entry' | 'return' | 'pair' | 'data' | 'arguments';

/// Registers `users` users and says how often their handlers were called.
type Register = (tracer: Tracer, form: Form) => () => number;

const inJavaScript: Register = (tracer, form) => {
  let count = 0;
  const user: FgraphUser = tracer.registerFgraph({
    filter: 'leaf',
    ...(form !== 'return' && {
      entry(_event, fregs) {
        if (form === 'data') user.reserveData(8)!.setUint32(0, 1, true);
        if (form === 'arguments') return fregs.argument(0) !== 0;
        if (form === 'entry') count++;
        return form !== 'entry';
      },
    }),
    ...(form !== 'entry' && {
      return(_event, fregs) {
        if (form === 'arguments') count += fregs.returnValue() === 0 ? 0 : 1;
        else count += form === 'data' ? user.retrieveData()!.getUint32(0, true) : 1;
      },
    }),
  });
  return () => count;
};

async function inWebAssembly(): Promise<Register> {
  const bytes = await assembleText('handlers', HANDLERS);
  return (tracer, form) => {
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(distinct(bytes)), { fprobe: tracer.engine });
    const [entry, ret] = (form === 'data' ? ['entryData', 'returnData'] : ['entry', 'return']).map(
      (name) => exports[name],
    );
    tracer.registerFgraph({ filter: 'leaf', entry: entry as never, return: ret as never });
    return () => (exports.count as WebAssembly.Global).value as number;
  };
}

async function subject(name: string, register: Register, form: Form, users: number): Promise<Case> {
  const tracer = await Tracer.create({ clock: 'counter' });
  const { instance } = await tracer.instantiate(distinct(await assembleText('subject', PROGRAM)));
  const run = instance.exports.run as (calls: number) => number;
  let counts: (() => number)[] = [];
  return {
    name,
    calls: CALLS,
    expected: (CALLS * (CALLS + 1)) / 2,
    warm: WARM_SECONDS,
    run: () => {
      const before = counts.map((count) => count());
      const sum = run(CALLS);
      const missed = counts.findIndex((count, k) => count() - before[k] !== CALLS);
      return missed < 0 ? sum : `user ${missed} was called ${counts[missed]() - before[missed]} times`;
    },
    prepare: () => {
      counts = Array.from({ length: users }, () => register(tracer, form));
    },
  };
}

export async function run(settings: Settings): Promise<Report> {
  const wasm = await inWebAssembly();
  const cases = [
    await subject('nobody watches', inJavaScript, 'pair', 0),
    await subject('JavaScript: entry', inJavaScript, 'entry', 1),
    await subject('JavaScript: return', inJavaScript, 'return', 1),
    await subject('JavaScript: entry and return', inJavaScript, 'pair', 1),
    await subject('JavaScript: argument and result', inJavaScript, 'arguments', 1),
    await subject('JavaScript: 8 bytes of data', inJavaScript, 'data', 1),
    await subject('JavaScript: two users', inJavaScript, 'pair', 2),
    await subject('JavaScript: four users', inJavaScript, 'pair', 4),
    await subject('WebAssembly: entry and return', wasm, 'pair', 1),
    await subject('WebAssembly: 8 bytes of data', wasm, 'data', 1),
    await subject('WebAssembly: two users', wasm, 'pair', 2),
    await subject('WebAssembly: four users', wasm, 'pair', 4),
    await subject('WebAssembly: four users, data', wasm, 'data', 4),
  ];
  const measured = measure(cases, settings);
  if (settings.check) return { question: '', rows: [], notes: [] };
  const added = (name: string) => measured.find((row) => row.name === name)!.added;
  const verdict = (what: string, ns: number, target: number) =>
    `${what}: ${ns.toFixed(1)} ns (target ${target}: ${ns <= target ? 'reached' : 'missed'})`;
  const further = (added('WebAssembly: four users') - added('WebAssembly: two users')) / 2;
  return {
    question: 'What do handlers of one’s own cost, per call of the watched function?',
    rows: measured.map(({ name, ns, added }): TableRow => ({ handlers: name, ns, 'added ns': added })),
    notes: [
      verdict('entry and return in JavaScript', added('JavaScript: entry and return'), PAIR_NS),
      verdict('each further user in WebAssembly, from two to four', further, FURTHER_NS),
    ],
  };
}
