// What does tracing a JavaScript function cost, call by call? Small methods, accessors and constructors, called in a loop from code
// that knows them: the worst there is, since the engine calls what is untouched without a call. Each form has classes and a loop
// of its own, so that none is compiled for what another one does.

import { Tracer } from '../src/index.ts';
import { type Case, measure, type Report, type Settings, type TableRow } from './harness.ts';
import { assembleText, distinct } from './shapes.ts';

const CALLS = 6000;
const WARM_SECONDS = 0.1;

const KINDS = {
  method: { body: 'add(n) { return (n + this.one) | 0; }', call: 'o.add(sum)' },
  'method, 4 arguments': { body: 'add(a, b, c, d) { return (a + b + c + d) | 0; }', call: 'o.add(sum, 1, 0, 0)' },
  getter: { body: 'get next() { return this.one; }', call: '(sum + o.next) | 0' },
  'error, caught': {
    body: 'fail(n) { throw n; } pass(n) { try { this.fail(n); } catch (e) { return e + 1; } }',
    call: 'o.pass(sum)',
  },
  new: { body: '', call: '(sum + new ns.Class().one) | 0' },
} as const;
type Kind = keyof typeof KINDS;

interface Made {
  readonly object: object;
  readonly ns: object;
  run(): number;
}

function make(kind: Kind): Made {
  const { body, call } = KINDS[kind];
  return new Function(`
    class Class { constructor() { this.one = 1; } ${body} }
    const object = new Class();
    const ns = { Class };
    return {
      object,
      ns,
      run() {
        const o = object;
        let sum = 0;
        for (let i = 0; i < ${CALLS}; i++) sum = ${call};
        return sum;
      },
    };`)() as Made;
}

const HANDLERS = `(module
  (func (export "entry") (param i32 i32 i32 i32) (result i32) (i32.const 1))
  (func (export "return") (param i32 i32 i32 i32) (result i32) (i32.const 0)))`;

type Watch = (tracer: Tracer) => void;

async function watchers(): Promise<Readonly<Record<string, Watch>>> {
  const bytes = await assembleText('empty handlers', HANDLERS);
  return {
    closed: () => {},
    graph: (tracer) => void tracer.startGraph(),
    profile: (tracer) => void tracer.startProfile(),
    'JavaScript handlers': (tracer) => {
      tracer.registerFgraph({ entry: () => true, return() {} });
    },
    'JavaScript handlers, reading': (tracer) => {
      tracer.registerFgraph({
        entry: (_, fregs) => (fregs.argument(0) as unknown) !== tracer,
        return: (_, fregs) => void fregs.returnValue(),
      });
    },
    'WebAssembly handlers': (tracer) => {
      const { exports } = new WebAssembly.Instance(new WebAssembly.Module(distinct(bytes)));
      tracer.registerFgraph({ entry: exports.entry as never, return: exports.return as never });
    },
  };
}

const ended = CALLS; // what each loop counts up to

async function subject(kind: Kind, name: string, watch: Watch | undefined): Promise<Case> {
  const { object, ns, run } = make(kind);
  const shown = `${kind}: ${name}`;
  if (!watch) return { name: shown, run, calls: CALLS, expected: ended, warm: WARM_SECONDS };
  const tracer = await Tracer.create({ clock: 'counter' });
  tracer.attachObject(object, { name: 'o', prototypes: true });
  if (kind === 'new') tracer.attachObject(ns, { name: 'ns' });
  const prepare = (): void => {
    watch(tracer);
    const before = tracer.counts().entries;
    run();
    const seen = tracer.counts().entries - before;
    const made = kind === 'error, caught' ? 2 * CALLS : CALLS;
    if (seen !== made && name !== 'closed') {
      throw new Error(`benchmark «${shown}» made ${seen} traced calls, expected ${made}`);
    }
  };
  return { name: shown, run, calls: CALLS, expected: ended, warm: WARM_SECONDS, prepare };
}

export async function run(settings: Settings): Promise<Report> {
  const rows: TableRow[] = [];
  for (const kind of Object.keys(KINDS) as Kind[]) {
    const cases = [await subject(kind, 'untouched', undefined)];
    const watching = await watchers();
    for (const [name, watch] of Object.entries(watching)) cases.push(await subject(kind, name, watch));
    const [plain, ...others] = measure(cases, settings);
    if (settings.check) continue;
    const added = Object.keys(watching).map((name, k) => [`${name} +ns`, others[k].added] as const);
    rows.push({ call: kind, 'untouched ns': plain.ns, 'closed ×': others[0].ratio, ...Object.fromEntries(added) });
  }
  return {
    question: 'What does tracing a JavaScript function cost, per call, entry and exit together?',
    rows,
    notes: [
      'untouched: the engine puts the body in the place of the call, nothing is called at all; closed: attached, nobody watches',
      'clock counter; a handler in WebAssembly is given the arguments and the result as words, each a fresh BigInt',
      'error, caught: two traced calls, one of which is left by a throw',
    ],
  };
}
