// Whoever calls the library may be out of stack, and then each call inside of it may throw, between any two calls of the engine as
// well. So each operation of the API that changes something is called with every amount of stack that is left near the limit: either
// it throws and nothing has changed, on the host's side and in the engine, or it does what it always does. What is left behind is
// looked up, and tried: every function is called, and everybody who watches is asked what he saw.

import { expect, test } from 'vitest';
import * as layout from '../assembly/layout.ts';
import { assembleText } from '../bench/shapes.ts';
import { Engine } from '../src/engine.ts';
import {
  type Fprobe,
  type JsTarget,
  type LatencyTracer,
  type Machine,
  MachineProgram,
  type Task,
  Tracer,
  type WasmTarget,
} from '../src/index.ts';
import { engineBytes } from './assembly/engine.ts';
import { registered } from './assembly/fprobe.ts';
import { blocksOf, checkAll, checkHeap, ringsOf, tasksOf } from './assembly/invariants.ts';

const bytes = await assembleText('host-stack', '(module (func $one (export "one")) (func $two (export "two")))');
const more = await assembleText('more', '(module (func $three (export "three")))');
const engineModule = new WebAssembly.Module(engineBytes);

interface Scene {
  readonly tracer: Tracer;
  readonly engine: Engine;
  readonly wasm: WasmTarget;
  readonly js: JsTarget;
  readonly object: { method: () => number };
  readonly functions: Record<string, () => unknown>;
  readonly machine: Machine;
  readonly task: Task;
  readonly user: ReturnType<Tracer['registerFgraph']>;
  readonly gone: ReturnType<Tracer['registerFgraph']>;
  readonly ops: ReturnType<Tracer['registerFtrace']>;
  readonly probe: Fprobe;
  readonly plain: Fprobe;
  readonly fresh: Fprobe;
  readonly graph: ReturnType<Tracer['startGraph']>;
  readonly calls: ReturnType<Tracer['startFunction']>;
  readonly profile: ReturnType<Tracer['startProfile']>;
  readonly heard: string[];
  readonly program: MachineProgram;
  latency: LatencyTracer | undefined;
}

function makeScene(): Scene {
  const tracer = Tracer.createSync({ clock: 'counter', stackWords: 600, engine: engineModule });
  const { instance, target: wasm } = tracer.instantiateSync(bytes);
  const object = { method: () => 1 };
  const js = tracer.attachObject(object, { name: 'o' });
  const machine = tracer.machine({
    arch: 'x86_64',
    symbols: [{ name: 'f', address: 0x40_0000n, size: 64 }],
    stackSize: 4096,
    stackWords: 64,
  });
  machine.createTask({ pid: 78 });
  const heard: string[] = [];
  const entry = (event: { name: string }) => void heard.push(event.name);
  const gone = tracer.registerFgraph({ filter: 'two', entry });
  gone.unregister();
  return {
    tracer,
    engine: new Engine(tracer.engine),
    wasm,
    js,
    object,
    functions: instance.exports as Record<string, () => unknown>,
    machine,
    task: tracer.createTask({ pid: 77, stackWords: 64 }),
    user: tracer.registerFgraph({ filter: ['one', 'o.*', 'f'], entry, return: entry }),
    gone,
    ops: tracer.registerFtrace({ filter: 'two', call: (ip) => void heard.push(String(ip)) }),
    probe: tracer.registerFprobe({
      filter: 'one',
      entry: () => void heard.push('p'),
      exit: () => void heard.push('q'),
    }),
    plain: tracer.registerFprobe({ filter: 'o.*', entry: () => void heard.push('r') }),
    fresh: tracer.createFprobe({ entry() {}, exit() {}, entryDataSize: 8 }),
    graph: tracer.startGraph({ filter: 'one', bufferPages: 1 }),
    calls: tracer.startFunction({ filter: 'two', bufferPages: 1 }),
    profile: tracer.startProfile({ filter: 'o*' }),
    heard,
    program: new MachineProgram().call(0).interrupt(layout.CONTEXT_IRQ).call(0).return().interruptEnd().return(),
    latency: undefined,
  };
}

/// How things stand, on both sides.
function standing({ tracer, engine, machine, user, gone, ops, probe, plain, fresh, ...others }: Scene): unknown {
  const { memory, exports } = engine;
  const { graph, calls, profile, latency } = others;
  const words = [layout.ABI_GOPS_MASK, layout.ABI_CALLING_MASK, layout.ABI_TIMED_MASK, layout.ABI_SLEEP_USERS];
  const rules = [layout.ABI_GRAPH_FILTER, layout.ABI_GRAPH_NOTRACE, layout.ABI_GRAPH_DEPTH, layout.ABI_OPS_CALLING];
  const sites = [...tracer.targets].flatMap((target) => target.sites);
  const clients = [user, gone, ops, graph, calls, profile];
  return {
    targets: Array.from(tracer.targets, ({ name, sites }) => `${name} ${sites.length}`),
    tasks: tracer.tasks.map(({ comm, pid }) => `${comm}-${pid}`),
    current: [tracer.currentTask.pid, exports.task_current() === tracer.currentTask.address],
    machine: [machine.tasks.length, machine.task.index, machine.task.depth],
    filters: clients.map(({ filter, notrace, matched, pids, notracePids }) => [
      filter,
      notrace,
      matched,
      pids,
      notracePids,
    ]),
    rules: [tracer.graphFunction, tracer.graphNotrace, tracer.maxGraphDepth],
    registered: [user, gone, ops, probe, plain, fresh].map(({ registered }) => registered),
    probes: [probe, plain, fresh].map(({ flags, locations }) => [flags, locations]),
    on: [graph.on, calls.on, tracer.ftraceEnabled],
    longest: (latency?.maxLatency ?? 0) > 0,
    engine: {
      words: [...words, ...rules].map((at) => memory.load32(at)),
      kinds: Array.from({ length: 16 }, (_, index) => memory.userKind(index)),
      users: sites.map(({ id }) => [memory.siteUsers(id), memory.siteFlags(id)]),
      contexts: tasksOf(engine).map((task) => memory.load32(task + layout.TASK_CONTEXT)),
      ignored: tasksOf(engine).map((task) => memory.load32(task + layout.TASK_IGNORED)),
      counts: [tasksOf(engine), ringsOf(engine), blocksOf(engine), [...registered(engine)]].map(({ length }) => length),
      sites: memory.siteCount(),
    },
  };
}

/// What everybody sees of one call of each function, on the first task.
function seen(scene: Scene): unknown {
  const { tracer, functions, object, machine, heard, graph, calls, profile, probe, plain, fresh } = scene;
  const before = tracer.currentTask;
  const count = () => [
    ...[probe, plain, fresh].map(({ hits }) => hits),
    profile.rows().reduce((sum, { count }) => sum + count, 0),
    graph.read().split('one').length,
    calls.read().split('two').length,
    tracer.counts().entries,
  ];
  heard.length = 0;
  const was = count();
  functions.one();
  functions.two();
  object.method();
  machine.call('f');
  const now = count();
  expect(tracer.currentTask).toBe(before);
  const open = tracer.frames().length;
  return [heard.join(' '), now.map((value, k) => value - was[k]), open];
}

/// The operation on a scene; `measured`: while a latency tracer runs, `resumed`, `started`: the task, the machine is.
const CASES: Readonly<Record<string, (scene: Scene) => unknown>> = {
  registerFgraph: ({ tracer, heard }) => tracer.registerFgraph({ entry: (event) => void heard.push(event.name) }),
  'registerFgraph again': ({ tracer, gone }) => tracer.registerFgraph(gone),
  registerFtrace: ({ tracer, heard }) => tracer.registerFtrace({ filter: 'o*', call: () => void heard.push('c') }),
  'registerFtrace, no parents': ({ tracer }) => tracer.registerFtrace({ parents: false, call() {} }),
  startGraph: ({ tracer }) => tracer.startGraph({ filter: 't*', bufferPages: 1, sleepTime: false }),
  startFunction: ({ tracer }) => tracer.startFunction({ bufferPages: 1 }),
  startProfile: ({ tracer }) => tracer.startProfile({ sleepTime: false }),
  startLatency: ({ tracer }) => tracer.startLatency('irqsoff'),
  registerFprobe: ({ tracer }) => tracer.registerFprobe({ filter: 't*', entry() {}, exit() {} }),
  'registerFprobe, an entry': ({ tracer }) => tracer.registerFprobe({ filter: 't*', entry() {} }),
  'register of a probe': ({ fresh }) => fresh.register({ symbols: ['two', 'f'] }),
  'unregister of a user': ({ user }) => user.unregister(),
  'unregister of ops': ({ ops }) => ops.unregister(),
  'unregister of a probe': ({ probe }) => probe.unregister(),
  'unregister of a probe, an entry': ({ plain }) => plain.unregister(),
  'unregister of a graph': ({ graph }) => graph.unregister(),
  'close of a graph': ({ graph }) => graph.close(),
  'unregister of a function tracer': ({ calls }) => calls.unregister(),
  'close of a function tracer': ({ calls }) => calls.close(),
  'unregister of a profile': ({ profile }) => profile.unregister(),
  'setFilter of a user': ({ user }) => user.setFilter(['t*', 'f']),
  'setNotrace of a user': ({ user }) => user.setNotrace('o*'),
  'setFilter of ops': ({ ops }) => ops.setFilter('o*'),
  'setFilter of a graph': ({ graph }) => graph.setFilter(),
  'setFilter of a function tracer': ({ calls }) => calls.setFilter('one'),
  'setPids of a user': ({ user }) => user.setPids([77]),
  'setNotracePids of ops': ({ ops }) => ops.setNotracePids([1]),
  setGraphFunction: ({ tracer }) => tracer.setGraphFunction('t*'),
  setGraphNotrace: ({ tracer }) => tracer.setGraphNotrace('o*'),
  maxGraphDepth: ({ tracer }) => Object.assign(tracer, { maxGraphDepth: 1 }),
  createTask: ({ tracer }) => tracer.createTask({ pid: 5, stackWords: 64 }),
  fork: ({ task }) => task.fork(),
  'exit of a task': ({ task }) => task.exit(),
  'run on a task': ({ task }) => task.run(() => {}),
  attachObject: ({ tracer }) => tracer.attachObject({ f() {}, g() {} }, { name: 'p' }),
  wrap: ({ tracer }) => tracer.wrap(() => {}, 'w'),
  'detach of an object': ({ tracer, js }) => tracer.detach(js),
  'detach of a module': ({ tracer, wasm }) => tracer.detach(wasm),
  'detach of a machine': ({ tracer, machine }) => tracer.detach(machine),
  instantiateSync: ({ tracer }) => tracer.instantiateSync(more),
  machine: ({ tracer }) =>
    tracer.machine({
      arch: 'arm64',
      symbols: [{ name: 'g', address: 0x8000n, size: 64 }],
      stackSize: 4096,
      stackWords: 64,
    }),
  'createTask of a machine': ({ machine }) => machine.createTask(),
  'call on a machine': ({ machine }) => machine.call('f'),
  'interrupt of a machine': ({ machine }) => machine.interrupt('irq', () => {}),
  interrupt: ({ tracer }) => tracer.interrupt('irq', () => {}),
  withoutIrqs: ({ tracer }) => tracer.withoutIrqs(() => {}),
  'withoutIrqs, measured': ({ tracer }) => tracer.withoutIrqs(() => {}),
  'interrupt, measured': ({ tracer }) => tracer.interrupt('irq', () => {}),
  'unregister of a latency tracer, measured': ({ latency }) => latency!.unregister(),
  attachModule: ({ tracer }) => tracer.attachModule({ f() {} }, { name: 'q' }),
  'switchTo, of a task': ({ task }) => task.switchTo(),
  'resume of a task': ({ task }) => task.resume(),
  'pause of a task': ({ task }) => task.pause(),
  'suspend of a task, resumed': ({ task }) => task.suspend(),
  'disable of a probe': ({ probe }) => probe.disable(),
  'clear of a profile': ({ profile }) => profile.clear(),
  'on, of a graph': ({ graph }) => Object.assign(graph, { on: false }),
  functionFork: ({ tracer }) => Object.assign(tracer, { functionFork: true }),
  'tail call on a machine': ({ machine }) => machine.call('f', [], (inside) => inside.tailCall('f')),
  'withoutIrqs on a machine': ({ machine }) => machine.withoutIrqs(() => {}),
  'withoutPreemption on a machine, measured': ({ machine }) => machine.withoutPreemption(() => {}),
  'switchTo, of a machine': ({ machine }) => machine.switchTo(machine.tasks[1]),
  'run on a machine': ({ machine, program }) => machine.run(program, 3),
  'start on a machine': ({ machine, program }) => machine.start(program),
  'reset of a machine, started': ({ machine }) => machine.reset(),
  ftraceEnabled: ({ tracer }) => Object.assign(tracer, { ftraceEnabled: false }),
};

/// Goes down until there is no stack left, then up again; calls `act` on the way, `back` steps above the end.
function dive(back: number, act: () => void): void {
  let steps = 0;
  const down = (a: number, b: number, c: number, d: number): number => {
    try {
      down(a, b, c, d);
    } catch {}
    if (steps++ === back) act();
    return a + b + c + d;
  };
  down(1, 2, 3, 4);
}

const next = (back: number): number => back + (back < 40 ? 1 : 29);
const STEPS = 10_000;
const counts = { thrown: 0, done: 0 };

const whole = (scene: Scene): unknown => ({ standing: standing(scene), seen: seen(scene) });

test.each(Object.entries(CASES))('%s', (name, operation) => {
  const start = (): Scene => {
    const made = makeScene();
    if (name.endsWith('resumed')) made.task.resume();
    if (name.endsWith('started')) made.machine.start(new MachineProgram().call(0).irqsOff().call(0));
    if (name.endsWith('measured')) made.latency = made.tracer.startLatency('irqsoff', { filter: 'two' });
    return made;
  };
  const before = whole(start());
  const done = start();
  operation(done);
  const after = whole(done);
  let scene: Scene | undefined;
  let inARow = 0;
  const faults: string[] = [];
  for (let back = 0; back < STEPS && inARow < 2; back = next(back)) {
    scene ??= start();
    const mine = scene;
    let thrown: unknown = new RangeError('not even called');
    dive(back, () => {
      try {
        operation(mine);
        thrown = undefined;
      } catch (error) {
        thrown = error ?? 'undefined';
      }
    });
    let fault: string | undefined;
    try {
      expect(whole(mine)).toEqual(thrown === undefined ? after : before);
      checkAll(mine.engine);
      checkHeap(mine.engine);
    } catch (error) {
      fault = (error as Error).message;
    }
    if (thrown === undefined) {
      counts.done++;
      inARow++;
    } else {
      counts.thrown++;
      inARow = 0;
      if (!(thrown instanceof RangeError)) fault ??= `threw ${thrown}`;
    }
    if (fault !== undefined) faults.push(`${back}: ${String(thrown).slice(0, 60)}: ${fault.slice(0, 1500)}`);
    if (fault !== undefined || thrown === undefined) scene = undefined;
  }
  expect(faults).toEqual([]);
  expect(inARow).toBe(2);
});

test('both ends were met', () => {
  console.log(`stack of the host: ${JSON.stringify(counts)}`);
  expect(counts.thrown).toBeGreaterThan(500);
});
