// The API in careless hands: everything it offers, in any order, with arguments that make sense and arguments that do not, also
// from inside handlers. After each step the engine's invariants hold, what was refused has changed nothing, and the program
// computes what it computes untraced.

import { expect, test } from 'vitest';
import { assembleText } from '../bench/shapes.ts';
import { Engine } from '../src/engine.ts';
import { type FgraphUser, type FtraceOps, type GraphTracer, type Profiler, type Task, Tracer } from '../src/index.ts';
import { Random, runSeed } from './assembly/engine.ts';
import { checkAll, checkHeap } from './assembly/invariants.ts';

const STEPS = 1500;
const STEPS_PER_TRACER = 250;

type Func = (...args: unknown[]) => unknown;

// `fib` calls itself; `mix` calls JavaScript, which may throw or call back; `trap` traps.
const PROGRAM = `(module
  (import "js" "back" (func $back (param i32) (result i32)))
  (func $one (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
  (func $fib (export "fib") (param i32) (result i32)
    (if (result i32) (i32.lt_s (local.get 0) (i32.const 2))
      (then (call $one (local.get 0)))
      (else (i32.add
        (call $fib (i32.sub (local.get 0) (i32.const 1)))
        (call $fib (i32.sub (local.get 0) (i32.const 2)))))))
  (func $mix (export "mix") (param i32) (result i32) (i32.add (call $fib (i32.const 3)) (call $back (local.get 0))))
  (func $trap (export "trap") (param i32) (result i32) (drop (call $one (i32.const 1))) unreachable))`;

const HANDLERS = `(module
  (import "fprobe" "reserve" (func $reserve (param i32 i32) (result i32)))
  (import "fprobe" "memory" (memory 4 32768))
  (func (export "entry") (param i32 i32 i32 i32) (result i32) (local $at i32)
    (local.set $at (call $reserve (local.get 0) (i32.const 16)))
    (if (local.get $at) (then (i64.store offset=8 (local.get $at) (i64.const -1))))
    (i32.and (local.get 1) (i32.const 1)))
  (func (export "traps") (param i32 i32 i32 i32) (result i32) unreachable))`;

const ODD: readonly unknown[] = [
  ...[undefined, null, -1, -0, 0, 0.5, 1e300, 2 ** 31, 2 ** 32, 2 ** 53, Number.NaN, Number.NEGATIVE_INFINITY],
  ...['', '8', [], {}, 1n, true, Symbol('odd'), () => {}, new Uint8Array(3), new Proxy({}, {})],
];

const fib = (n: number): number => (n < 2 ? n + 1 : fib(n - 1) + fib(n - 2));

/// What the steps came to, so that a test that no longer tests much is noticed.
const seen = { accepted: 0, refused: 0, handlers: 0, errors: 0, data: 0, switched: 0, thrown: 0 };

class Hands {
  readonly #random: Random;
  readonly #tracer: Tracer;
  readonly #engine: Engine;
  readonly #wasm: Record<string, unknown>;
  readonly #f: Record<string, Func>;
  readonly #users: FgraphUser[] = [];
  readonly #ops: FtraceOps[] = [];
  readonly #graphs: GraphTracer[] = [];
  readonly #profiles: Profiler[] = [];
  readonly #views: DataView[] = [];
  readonly #kept: object[] = [];
  #tasks: Task[];
  #depth = 0;

  constructor(random: Random, tracer: Tracer, wasm: Record<string, unknown>, f: Record<string, Func>) {
    this.#random = random;
    this.#tracer = tracer;
    this.#engine = new Engine(tracer.engine);
    this.#wasm = wasm;
    this.#f = f;
    this.#tasks = [tracer.currentTask];
  }

  back(n: number): number {
    if (n % 3 === 1) throw new Error('from the import');
    if (n % 3 === 2) this.#call();
    return n;
  }

  step(): void {
    this.#act();
    checkAll(this.#engine);
    this.#tracer.tasks[0].switchTo();
    expect(this.#f.fib(5)).toBe(fib(5));
    checkAll(this.#engine);
  }

  end(): void {
    checkHeap(this.#engine);
    this.#tasks[0].switchTo();
    for (const client of [...this.#users, ...this.#ops, ...this.#graphs, ...this.#profiles]) client.unregister();
    for (const graph of this.#graphs) graph.close();
    for (const task of this.#tracer.tasks.slice(1)) task.exit();
    expect(this.#f.fib(5)).toBe(fib(5));
    expect(this.#tracer.enabledFunctions()).toEqual([]);
    checkAll(this.#engine);
    checkHeap(this.#engine);
  }

  /// A call of the program that may end in any way.
  #call(): void {
    try {
      this.#random.pick([this.#f.fib, this.#f.mix, this.#f.trap])(this.#random.below(5));
    } catch {
      seen.thrown++;
    }
  }

  #odd(): never {
    return this.#random.pick(ODD) as never;
  }

  #or<Value>(sensible: Value): Value {
    return this.#random.oneIn(6) ? this.#odd() : sensible;
  }

  #filter() {
    return this.#random.pick([undefined, 'fib', ['one', 'mix'], '*', 'nothing', []]);
  }

  /// Does something that may be refused.
  #act(): void {
    try {
      this.#random.pick(this.#acts).call(this);
      seen.accepted++;
    } catch (error) {
      // Refusals are ours, by their code, or the language's for what is no function or a property of nothing.
      const { code } = error as { code?: unknown };
      if (typeof code !== 'string') throw error;
      seen.refused++;
    }
  }

  readonly #acts: readonly (() => void)[] = [
    this.#call,
    this.#call,
    () => {
      const options = { filter: this.#or(this.#filter()), notrace: this.#or(this.#filter()), name: this.#or('n') };
      const handler = () => this.#handler(user);
      const user: FgraphUser = this.#tracer.registerFgraph(
        this.#or(
          this.#random.oneIn(4)
            ? { ...options, entry: this.#wasm.entry as never, guarded: this.#random.oneIn(2) }
            : { ...options, entry: this.#or(handler), return: this.#or(handler) },
        ),
      );
      this.#users.push(user);
    },
    () => {
      const ops: FtraceOps = this.#tracer.registerFtrace(
        this.#or({
          filter: this.#or(this.#filter()),
          parents: this.#random.oneIn(2),
          call: this.#or(() => this.#handler(ops)),
        }),
      );
      this.#ops.push(ops);
    },
    () => {
      const traps = this.#wasm.traps as never;
      this.#users.push(this.#tracer.registerFgraph({ filter: this.#filter(), return: traps, guarded: true }));
    },
    () => this.#graphs.push(this.#tracer.startGraph({ filter: this.#filter(), bufferPages: this.#or(1) })),
    () => this.#profiles.push(this.#tracer.startProfile(this.#or({ filter: this.#filter() }))),
    () => this.#any()?.setFilter(this.#or(this.#filter()) as never),
    () => this.#any()?.setNotrace(this.#or(this.#filter()) as never),
    () => this.#any()?.unregister(),
    () => this.#any()?.unregister(),
    () => {
      const user = this.#user();
      if (user) this.#tracer.registerFgraph(user);
    },
    () => {
      const user = this.#user();
      if (user) user.taskVar = this.#or(this.#random.next());
    },
    () => void this.#user()?.retrieveData(this.#or(this.#random.below(4))),
    () => void this.#user()?.reserveData(this.#or(8)),
    () => {
      for (const view of this.#views) for (let i = 0; i < view.byteLength; i++) view.setUint8(i, 0xff);
    },
    () => {
      for (const kept of this.#kept) void (kept as { depth?: unknown }).depth;
    },
    () => {
      const pid = this.#or(1 + this.#random.below(40));
      this.#tasks.push(this.#tracer.createTask(this.#or({ pid, stackWords: this.#or(64 + this.#random.below(200)) })));
    },
    () => {
      seen.switched++;
      this.#tracer.switchTo(this.#or(this.#task()));
    },
    () => this.#task().run(() => this.#call()),
    () => this.#task().exit(),
    () => this.#task().fork(this.#or({})),
    () => this.#task().resume(),
    () => this.#task().suspend(),
    () => this.#task().wake(),
    () => {
      const task = this.#task();
      task.pause();
      this.#call();
      task.unpause();
    },
    () => this.#tracer.interrupt(this.#or(this.#random.pick(['irq', 'softirq', 'nmi'])), () => this.#call()),
    () => {
      const graph = this.#graphs.at(-1);
      if (graph) for (const piece of graph.text({ consume: this.#random.oneIn(2) })) void piece;
    },
    () => this.#graphs.splice(this.#random.below(this.#graphs.length + 1), 1)[0]?.close(),
    () => {
      this.#tracer.maxGraphDepth = this.#or(this.#random.below(4));
    },
    () => void this.#tracer.setGraphFunction(this.#or(this.#filter())),
    () => void this.#tracer.counts(),
    () => void this.#tracer.frames(),
  ];

  #any() {
    const all = [...this.#users, ...this.#ops, ...this.#graphs, ...this.#profiles];
    return all.length === 0 ? undefined : this.#random.pick(all);
  }

  #user(): FgraphUser | undefined {
    return this.#users.length === 0 ? undefined : this.#random.pick(this.#users);
  }

  #task(): Task {
    this.#tasks = this.#tasks.filter((task) => task.alive || this.#random.oneIn(2));
    return this.#random.pick(this.#tasks);
  }

  /// What a careless handler does.
  #handler(client: FgraphUser | FtraceOps): unknown {
    seen.handlers++;
    if ('reserveData' in client && this.#random.oneIn(2)) {
      try {
        const view = client.reserveData(this.#or(1 + this.#random.below(300))) ?? client.retrieveData(this.#or(0));
        if (view) {
          for (let i = 0; i < view.byteLength; i++) view.setUint8(i, this.#random.next());
          if (this.#views.length < 50) this.#views.push(view);
          seen.data++;
        }
      } catch {
        seen.errors++;
      }
    }
    if (this.#depth < 2 && this.#random.oneIn(30)) {
      this.#depth++;
      try {
        this.#act();
      } finally {
        this.#depth--;
      }
    }
    if (this.#random.oneIn(40)) throw new Error('from a handler');
    return this.#or(this.#random.pick([true, false, undefined, Promise.reject]));
  }
}

test('anything, in any order', async () => {
  const random = new Random(runSeed('hostile'));
  const [program, handlers] = [await assembleText('hostile', PROGRAM), await assembleText('careless', HANDLERS)];
  for (let done = 0; done < STEPS; done += STEPS_PER_TRACER) {
    const tracer = await Tracer.create({ clock: random.oneIn(2) ? 'counter' : 'mono', stackWords: 600 });
    const { exports: wasm } = (await WebAssembly.instantiate(handlers, { fprobe: tracer.engine })).instance;
    let hands: Hands | undefined;
    const { instance } = await tracer.instantiate(program, { js: { back: (n: number) => hands?.back(n) ?? n } });
    hands = new Hands(random, tracer, wasm, instance.exports as Record<string, Func>);
    for (let step = 0; step < STEPS_PER_TRACER; step++) hands.step();
    hands.end();
  }
  console.log(`hostile: ${JSON.stringify(seen)}`);
  for (const [what, count] of Object.entries(seen)) expect(count, what).toBeGreaterThan(20);
});
