// Every method of everything that the API hands out, with every argument, and every option of it, in turn replaced by a value that
// nobody expects. Either the call does something sensible with it, or it is refused with a code and a message of some words; the
// engine's own errors (`Cannot read properties of null`) are never what a user gets. What was refused has changed nothing.
//
// The table below names sensible arguments; a method that is not in it fails the test.

import { expect, test } from 'vitest';
import { ABI_GOPS_MASK, BLOCK_HEADER_SIZE } from '../assembly/layout.ts';
import { assembleText } from '../bench/shapes.ts';
import { CPUS, cpuModel } from '../src/arch/index.ts';
import type { CpuRegs } from '../src/cpu-regs.ts';
import { Engine } from '../src/engine.ts';
import {
  type Fprobe,
  type FtraceRegs,
  generateProgram,
  type JsTarget,
  type LatencyTracer,
  type Machine,
  MachineProgram,
  type MachineTask,
  PtRegs,
  parseSymbolMap,
  queryRegisterName,
  queryRegisterOffset,
  readReplay,
  type Task,
  Tracer,
  type WasmTarget,
} from '../src/index.ts';
import { instrument } from '../src/instrument/index.ts';
import { engineBytes } from './assembly/engine.ts';
import { checkAll, checkHeap, ringsOf } from './assembly/invariants.ts';

const PROGRAM = '(module (func $one (export "one") (param i32) (result i32) local.get 0) (func $two (export "two")))';
const bytes = await assembleText('odd-arguments', PROGRAM);
const engineModule = new WebAssembly.Module(engineBytes);
const SYMBOLS = [
  { name: 'f', address: 0x40_0000n, size: 64, location: undefined, module: 'm', isInterrupt: false },
  { name: 'g', address: 0x40_0100n, size: 64 },
];

const TYPES = {
  functions: { f: { params: [{ name: 'n', type: 'int' }] } },
  structs: { s: { size: 8 } },
  typedefs: { a: 'int' },
  ints: { int: { encoding: 'SIGNED' } },
  enums: { e: { values: { A: 1 } } },
};

const OWN = 'code of the value ran';
const never = (): never => {
  throw new Error(OWN);
};
const revoked = <T extends object>(target: T): T => {
  const { proxy, revoke } = Proxy.revocable(target, {});
  revoke();
  return proxy;
};
const traps = new Proxy({}, Object.fromEntries(Reflect.ownKeys(Reflect).map((trap) => [trap, never])));
const getters = (keys: readonly string[]) =>
  Object.defineProperties({}, Object.fromEntries(keys.map((key) => [key, { get: never, enumerable: true }])));
const throwingArray: unknown[] = [];
Object.defineProperty(throwingArray, 0, { get: never });

const ODD: Readonly<Record<string, unknown>> = {
  undefined: undefined,
  null: null,
  NaN: Number.NaN,
  '-1': -1,
  '1.5': 1.5,
  '2^53': 2 ** 53,
  Infinity: Number.POSITIVE_INFINITY,
  "''": '',
  text: 'x',
  '{}': {},
  '[]': [],
  '[null]': [null],
  'Symbol()': Symbol('odd'),
  '1n': 1n,
  '2n ** 70n': 2n ** 70n,
  '-1n': -1n,
  true: true,
  'no prototype': Object.create(null),
  'conversions that throw': { toString: never, valueOf: never, [Symbol.toPrimitive]: never },
  'a revoked object': revoked({}),
  'a revoked array': revoked([]),
  'traps that throw': traps,
  'an array that throws': throwingArray,
  'a function': () => {},
  'a function that throws': never,
};

interface Scene {
  readonly tracer: Tracer;
  readonly engine: Engine;
  readonly wasm: WasmTarget;
  readonly one: (n: number) => number;
  readonly js: JsTarget;
  readonly object: Record<string, () => number>;
  readonly machine: Machine;
  readonly other: MachineTask;
  readonly task: Task;
  readonly user: ReturnType<Tracer['registerFgraph']>;
  readonly ops: ReturnType<Tracer['registerFtrace']>;
  readonly probe: Fprobe;
  readonly fresh: Fprobe;
  readonly counting: Fprobe;
  readonly graph: ReturnType<Tracer['startGraph']>;
  readonly calls: ReturnType<Tracer['startFunction']>;
  readonly profile: ReturnType<Tracer['startProfile']>;
  readonly latency: LatencyTracer;
  readonly program: MachineProgram;
  readonly ptRegs: PtRegs;
  /// What runs inside of the next entry handler.
  inside: ((fregs: FtraceRegs) => void) | undefined;
}

function makeScene(): Scene {
  const tracer = Tracer.createSync({ clock: 'counter', stackWords: 600, engine: engineModule });
  const { instance, target: wasm } = tracer.instantiateSync(bytes);
  const object = { method: () => 1 };
  const js = tracer.attachObject(object);
  const machine = tracer.machine({ arch: 'x86_64', symbols: SYMBOLS, stackSize: 4096 });
  const run = (fregs: FtraceRegs) => {
    const act = scene.inside;
    scene.inside = undefined;
    act?.(fregs);
  };
  const scene: Scene = {
    tracer,
    engine: new Engine(tracer.engine),
    wasm,
    one: instance.exports.one as (n: number) => number,
    js,
    object,
    machine,
    other: machine.createTask(),
    task: tracer.createTask({ pid: 7, stackWords: 64 }),
    user: tracer.registerFgraph({ filter: ['one', 'f', '*method'], entry: (_, fregs) => run(fregs), return() {} }),
    ops: tracer.registerFtrace({ filter: 'two', call() {} }),
    probe: tracer.registerFprobe({ filter: 'one', entry() {}, exit() {} }),
    fresh: tracer.createFprobe({ entry() {}, entryDataSize: 0 }),
    counting: tracer.registerFprobe({ filter: 'two', builtin: { keep: 'count' } }),
    graph: tracer.startGraph({ filter: 'one', bufferPages: 1 }),
    calls: tracer.startFunction({ filter: 'one', bufferPages: 1 }),
    profile: tracer.startProfile({ filter: 'one' }),
    latency: tracer.startLatency('irqsoff', { filter: 'two' }),
    program: new MachineProgram().call(0).return(),
    ptRegs: new PtRegs(cpuModel('x86_64')),
    inside: undefined,
  };
  scene.one(1);
  scene.graph.on = true;
  return scene;
}

type Args = (scene: Scene) => readonly unknown[];
const none: Args = () => [];

interface Subject {
  readonly of: (scene: Scene) => object;
  /// Methods by name, `set NAME` for what can be assigned, with sensible arguments. An object among them stands for options: each of
  /// its fields is replaced too, and all of them have a getter that throws.
  readonly methods: Readonly<Record<string, Args>>;
  /// What is not for users, or is told apart from odd arguments by its type alone.
  readonly except?: readonly string[];
  /// How to be where the methods make sense.
  /// Without an argument `act` is about `of`.
  readonly within?: (scene: Scene, act: (subject?: object) => void) => void;
  /// Another subject lists all methods of these objects.
  readonly isPart?: boolean;
}

const inside = (call: (scene: Scene) => void) => (scene: Scene, act: (fregs: object) => void) => {
  scene.inside = act;
  call(scene);
};
const filters = {
  setFilter: () => ['one'],
  setNotrace: () => ['one'],
  setPids: () => [[1, 7]],
  setNotracePids: () => [[7]],
};
const buffer = {
  pages: () => [() => {}, false],
  rawPages: none,
  rawTasks: none,
  text: () => [{ tail: true, latencyFormat: true, consume: true }],
  read: () => [{ tail: true, latencyFormat: true, start: 0, cpus: 2, tracer: 'a' }],
  clear: none,
  close: none,
  unregister: none,
  ...filters,
  'set on': () => [true],
};
const { rawPages: _, rawTasks: __, ...functionBuffer } = buffer;
const functionText = {
  text: () => [{ symAddr: true, latencyFormat: true, consume: true }],
  read: () => [{ symAddr: true, start: 0 }],
};
const target = ['setGates', 'setWatched', 'settle', 'clearVia', 'start', 'detach'];
const regs = ['push', 'pop'];
const watcher = ['checkFilters', 'filtersChanged', 'beginWatching', 'endWatching'];
const ioctl = { filter: 'one', notrace: 'two' };
const record = { get: () => ['sp'], set: () => ['sp', 1n], bytes: none };

const SUBJECTS: Readonly<Record<string, Subject>> = {
  'Tracer (static)': {
    of: () => Tracer,
    methods: {
      create: () => [{ clock: 'mono', now: () => 0, stackWords: 64, engine: engineModule }],
      createSync: () => [{ clock: 'mono', now: () => 0, stackWords: 64, engine: engineModule }],
    },
  },
  tracer: {
    of: ({ tracer }) => tracer,
    methods: {
      createTask: () => [{ comm: 'a', name: 'b', pid: 9, stackWords: 64 }],
      switchTo: ({ task }) => [task],
      interrupt: () => ['irq', () => {}],
      withoutIrqs: () => [() => {}],
      withoutPreemption: () => [() => {}],
      counts: none,
      frames: none,
      enabledFunctions: none,
      compile: () => [bytes],
      compileSync: () => [bytes],
      instantiate: () => [
        bytes,
        {},
        {
          name: 'a',
          args: true,
          growth: 1,
          only: () => true,
          link: 'attached',
          symbols: '0:a',
          sourceMap: '',
          debugInfo: bytes,
          fallback: false,
        },
      ],
      instantiateSync: () => [
        bytes,
        {},
        {
          name: 'a',
          args: true,
          growth: 1,
          only: () => true,
          link: 'attached',
          symbols: '0:a',
          sourceMap: '',
          debugInfo: bytes,
          fallback: true,
        },
      ],
      attachObject: () => [{ f: () => 1 }, { name: 'a', ...ioctl, settle: true, resume: true, prototypes: true }],
      attachModule: () => [{ f: () => 1 }, { name: 'a', ...ioctl, settle: true, resume: true }],
      wrap: () => [() => 1, 'a', { settle: true, resume: false }],
      machine: () => [
        {
          ...{ arch: 's390x', symbols: SYMBOLS, types: TYPES, comm: 'a', pid: 9, cpu: 0, name: 'b', stackSize: 4096 },
          ...{ stackWords: 64, regs: 'full', poison: true },
        },
      ],
      loadMachine: () => [],
      checkFilter: () => [{ filter: 'one', notrace: 'two' }],
      detach: ({ js }) => [js],
      registerFgraph: () => [{ name: 'a', ...ioctl, entry: () => {}, return: () => {}, guarded: true }],
      registerFtrace: () => [
        {
          name: 'a',
          ...ioctl,
          call: () => {},
          guarded: true,
          parents: true,
          saveRegs: 'if-supported',
          permanent: false,
        },
      ],
      registerFprobe: () => [
        {
          ...{
            entry: () => {},
            exit: () => {},
            entryDataSize: 8,
            flags: 0,
            private: 1,
            guarded: true,
            onError: 'count',
          },
          ...{ filter: 'one', notfilter: 'two' },
        },
      ],
      createFprobe: () => [
        {
          builtin: { keep: 'linear', of: 0, signed: true, min: 0, step: 1, buckets: 4 },
          ...{ entryDataSize: 8, flags: 0, private: 1, guarded: true, onError: 'count' },
        },
      ],
      countByFilter: () => ['one', 'two'],
      startGraph: () => [
        {
          ...ioctl,
          bufferPages: 1,
          mode: 'stop',
          threshold: 1,
          irqs: true,
          sleepTime: false,
          args: true,
          retval: true,
          retaddr: true,
        },
      ],
      startFunction: () => [
        { ...ioctl, bufferPages: 1, mode: 'stop', parents: true, args: false, noRepeats: true, stackTrace: true },
      ],
      startProfile: () => [{ ...ioctl, graphTime: true, sleepTime: true, threshold: 1 }],
      startLatency: ({ latency }) => {
        latency.unregister();
        return ['wakeup', { ...ioctl, threshold: 1, events: 10 }];
      },
      setGraphFunction: () => ['one'],
      setGraphNotrace: () => ['one'],
      'set maxGraphDepth': () => [3],
      'set functionFork': () => [true],
      'set ftraceEnabled': () => [true],
    },
    except: ['link'], // for who instruments and links by himself; takes what `prepareBytes` made
  },
  machine: {
    of: ({ machine }) => machine,
    methods: {
      createTask: () => [{ comm: 'a', pid: 9, cpu: 0 }],
      switchTo: ({ other }) => [other],
      wake: ({ other }) => [other],
      setTime: () => [5n],
      call: () => ['f', [1n], () => 1n],
      tailCall: () => ['g', [1n], () => 1n],
      interrupt: () => ['irq', () => {}],
      withoutIrqs: () => [() => {}],
      withoutPreemption: () => [() => {}],
      run: ({ program }) => [program, 2],
      start: ({ program }) => [program],
      reset: none,
      register: () => ['sp'],
      setRegister: () => ['ax', 1n],
      registers: none,
      readWord: () => [0n],
      writeWord: ({ machine }) => [machine.register('sp'), 1n],
      stackTrace: () => [{ raw: true }],
      symbolAt: () => [0x40_0000n],
      setDirectCall: () => [0x50_0000n, () => {}],
    },
    except: target,
  },
  'machine, in a call': {
    of: ({ machine }) => machine,
    methods: {
      tailCall: () => ['g', [1n], () => 1n],
      call: () => ['f', [1n], () => 1n],
      stackTrace: () => [{ raw: true }],
      writeWord: ({ machine }) => [machine.register('sp'), 1n],
    },
    within: (scene, act) => void scene.machine.call('f', [], () => act()),
    isPart: true,
  },
  'a task of the machine': {
    of: ({ machine }) => machine.task,
    methods: {
      contexts: none,
      takeDirect: none,
      parentOfCall: none,
      reset: none,
      readWord: ({ machine }) => [machine.register('sp')],
      writeWord: ({ machine }) => [machine.register('sp'), 1n],
      unwind: () => [true],
    },
  },
  task: {
    of: ({ task }) => task,
    methods: {
      counts: none,
      switchTo: none,
      run: () => [() => {}],
      resume: none,
      suspend: none,
      pause: none,
      unpause: none,
      wake: none,
      fork: () => [{ comm: 'a', name: 'b', pid: 9 }],
      exit: none,
    },
  },
  'a user': {
    of: ({ user }) => user,
    methods: {
      unregister: none,
      reserveData: () => [8],
      retrieveData: () => [0],
      'set taskVar': () => [1],
      ...filters,
    },
    except: ['register', ...watcher],
  },
  'a user, in his handler': {
    of: ({ user }) => user,
    methods: { reserveData: () => [8], retrieveData: () => [0], 'set taskVar': () => [1], setFilter: () => ['one'] },
    within: (scene, act) => inside(({ one }) => one(1))(scene, () => act()),
    isPart: true,
  },
  ops: {
    of: ({ ops }) => ops,
    methods: { unregister: none, ...filters },
    except: ['register', ...watcher],
  },
  'a probe': {
    of: ({ fresh }) => fresh,
    methods: {
      register: () => [{ filter: 'one', notfilter: 'two' }],
      unregister: none,
      unregisterAsync: none,
      disable: none,
      enable: none,
      read: () => [{ clear: true }],
    },
  },
  'a probe, by address': {
    of: ({ fresh }) => fresh,
    methods: { register: ({ wasm }) => [{ addresses: [wasm.sites[0]!.ip] }] },
    isPart: true,
  },
  'a probe, by name': {
    of: ({ fresh }) => fresh,
    methods: { register: () => [{ symbols: ['one'] }] },
    isPart: true,
  },
  'a built-in probe': {
    of: ({ counting }) => counting,
    methods: { read: () => [{ clear: true }] },
    isPart: true,
  },
  graph: { of: ({ graph }) => graph, methods: buffer, except: watcher },
  calls: { of: ({ calls }) => calls, methods: { ...functionBuffer, ...functionText }, except: watcher },
  profile: {
    of: ({ profile }) => profile,
    methods: {
      rows: none,
      text: none,
      clear: none,
      unregister: none,
      ...filters,
    },
    except: watcher,
  },
  latency: {
    of: ({ latency }) => latency,
    methods: {
      setFilter: () => ['one'],
      setNotrace: () => ['one'],
      clear: none,
      read: () => [{ tail: true }],
      unregister: none,
    },
    except: ['changed', 'woken', 'switched'], // what happens to it
  },
  'registers of WebAssembly': {
    of: ({ tracer }) => tracer,
    methods: { argument: () => [0], returnValue: none, setReturnValue: () => [1n] },
    except: regs,
    within: inside(({ one }) => one(1)),
  },
  'registers of JavaScript': {
    of: ({ tracer }) => tracer,
    methods: { argument: () => [0], returnValue: none, setReturnValue: () => [1n] },
    except: regs,
    within: inside(({ object }) => object.method!()),
  },
  'registers of a CPU': {
    of: ({ tracer }) => tracer,
    methods: {
      argument: () => [7],
      stackNth: () => [1],
      returnValue: none,
      setReturnValue: () => [1n],
      'set instructionPointer': () => [1n],
      overrideReturn: none,
      setDirect: () => [1n],
      fullRegs: none,
      partialRegs: ({ ptRegs }) => [ptRegs],
      partialRegsUpdate: ({ ptRegs }) => [ptRegs],
      fillPerfRegs: ({ ptRegs }) => [ptRegs],
      fetchCallerRegs: ({ ptRegs }) => [ptRegs],
    },
    except: regs,
    within: inside(({ machine }) => machine.call('f')),
  },
  'a record of registers': {
    of: ({ tracer }) => tracer,
    methods: record,
    within: (scene, act) =>
      inside(({ machine }) => machine.call('f'))(scene, (fregs) => act((fregs as CpuRegs).record)),
  },
  pt_regs: {
    of: ({ ptRegs }) => ptRegs,
    methods: {
      ...record,
      'set instructionPointer': () => [1n],
      setReturnValue: () => [1n],
      kernelArgument: () => [7],
      kernelStackNth: () => [1],
      register: () => [0],
    },
  },
  program: {
    of: ({ program }) => program,
    methods: {
      nameAt: () => [0],
      call: () => [0, [1n]],
      return: () => [1n],
      tailCall: () => [0, [1n]],
      switchTo: () => [0],
      interrupt: () => [1],
      interruptEnd: none,
      irqsOff: none,
      irqsOn: none,
      preemptionOff: none,
      preemptionOn: none,
      wake: () => [0],
      time: () => [1n],
      set: () => [0, 1n],
      unwind: () => [1],
    },
  },
  'MachineProgram (static)': {
    of: () => MachineProgram,
    methods: { from: () => [new BigUint64Array(2)], is: () => [1] },
  },
  functions: {
    of: () => ({
      ...{ cpuModel, generateProgram, instrument, parseSymbolMap, queryRegisterName, queryRegisterOffset, readReplay },
      newPtRegs: (...args: ConstructorParameters<typeof PtRegs>) => new PtRegs(...args),
    }),
    methods: {
      cpuModel: () => ['arm64'],
      generateProgram: () => [
        { functions: 2, calls: 4, depth: 2, nesting: 0.5, recursion: 0, tailCalls: 0, args: 1, time: 0, seed: 1 },
      ],
      instrument: () => [bytes, { args: true, start: 'defer', only: () => true, growth: 1, validate: true }],
      parseSymbolMap: () => ['0:a', 'file'],
      queryRegisterName: () => [cpuModel('arm64'), 0],
      queryRegisterOffset: () => [cpuModel('arm64'), 'sp'],
      readReplay: () => ['', cpuModel('arm64')],
      newPtRegs: () => [cpuModel('arm64'), () => 0n],
    },
  },
};

/// What a refusal must not change.
function digest({ tracer, engine, machine, program, user, ops, probe, fresh, graph, calls, profile, object }: Scene) {
  const clients = [user, ops, graph, calls, profile];
  return {
    targets: tracer.targets.size,
    sites: engine.memory.siteCount(),
    tasks: tracer.tasks.map(({ comm, pid }) => `${comm}-${pid}`),
    current: tracer.currentTask.pid,
    machine: [machine.tasks.length, machine.task.index, machine.task.depth, machine.time],
    registers: machine.registers(),
    program: program.length,
    enabled: tracer.enabledFunctions().map(({ site, count }) => `${site.name} ${count}`),
    filters: clients.map(({ filter, notrace, matched, pids, notracePids }) => [
      filter,
      notrace,
      matched,
      pids,
      notracePids,
    ]),
    rules: [tracer.graphFunction, tracer.graphNotrace, tracer.maxGraphDepth],
    probes: [probe, fresh].map(({ registered, flags, entryDataSize }) => [registered, flags, entryDataSize]),
    on: [graph.on, calls.on],
    rings: ringsOf(engine).length,
    users: engine.memory.load32(ABI_GOPS_MASK),
    taskVar: user.registered ? user.taskVar : -1,
    method: object.method,
  };
}

/// The method names of an object's classes, setters as `set NAME`.
function methodsOf(object: object): string[] {
  const found = new Set<string>();
  const end = typeof object === 'function' ? Function.prototype : Object.prototype;
  for (let at = object; at !== end; at = Object.getPrototypeOf(at)) {
    for (const [name, { value, set }] of Object.entries(Object.getOwnPropertyDescriptors(at))) {
      if (typeof value === 'function' && name !== 'constructor') found.add(name);
      if (set) found.add(`set ${name}`);
    }
  }
  return [...found];
}

const isOptions = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' &&
  value !== null &&
  Object.getPrototypeOf(value) === Object.prototype &&
  Object.keys(value).length > 0 &&
  !Object.values<unknown>(CPUS).includes(value);

/// The arguments with one thing replaced, and what that is.
function* variants(args: Args): Generator<[what: string, args: (scene: Scene) => unknown[]]> {
  const example = args(makeScene());
  for (let k = 0; k < example.length; k++) {
    const put = (value: (was: unknown) => unknown) => (scene: Scene) =>
      args(scene).map((was, n) => (n === k ? value(was) : was));
    const value = example[k];
    for (const [what, odd] of Object.entries(ODD)) {
      yield [`argument ${k} ${what}`, put(() => odd)];
      if (Array.isArray(value)) yield [`argument ${k} [${what}]`, put((was) => [...(was as unknown[]), odd])];
      if (!isOptions(value)) continue;
      for (const key of Object.keys(value)) {
        yield [`option ${key} ${what}`, put((was) => ({ ...(was as object), [key]: odd }))];
        if (Array.isArray(value[key])) {
          yield [`option ${key} [${what}]`, put((was) => ({ ...(was as object), [key]: [odd] }))];
        }
        if (!isOptions(value[key])) continue;
        for (const inner of Object.keys(value[key])) {
          const nested = (was: unknown) => ({ ...((was as never)[key] as object), [inner]: odd });
          yield [`option ${key}.${inner} ${what}`, put((was) => ({ ...(was as object), [key]: nested(was) }))];
        }
      }
    }
    if (isOptions(value)) {
      yield [`argument ${k} with getters that throw`, put(() => getters(Object.keys(value)))];
      for (const key of Object.keys(value)) {
        const throwing = getters([key]);
        const put1 = (was: unknown) =>
          Object.defineProperty({ ...(was as object) }, key, Object.getOwnPropertyDescriptor(throwing, key)!);
        yield [`option ${key} that throws`, put(put1)];
      }
    }
  }
}

const outcomes = { taken: 0, refused: 0 };

/// What is taken by somebody almost everywhere.
const SENSIBLE =
  /(\bundefined|\{\}|no prototype|''|text|\[\]|\btrue|a function|a function that throws|-?\dn|\*\* 70n)\]?$/;
/// What else is taken, and why. Everything that is taken and makes no sense would be a wish that came to nothing without a word.
const TAKEN: readonly (readonly [what: RegExp, why: string])[] = [
  [/^tracer\.instantiate(Sync)?, argument 1 /, 'as untraced: a module without imports asks for none'],
  [/^tracer\.instantiate(Sync)?, option growth (1\.5|2\^53|Infinity)$/, 'a share, however large'],
  [/^functions\.instrument, option growth (1\.5|2\^53|Infinity)$/, 'a share, however large'],
  [
    /^tracer\.attach(Object|Module), (argument 0|option f) /,
    'every object may be attached, and may have everything in it',
  ],
  [/notfilter null$|^tracer.countByFilter, argument 1 null$/, 'as the kernel: no notfilter'],
  [/^tracer\.createFprobe, option entryDataSize 2\^53$/, 'as the kernel: E2BIG when it is registered'],
  [/^tracer\.createFprobe, option builtin.min -1$/, 'a number'],
  [/^tracer\.start\w+, option threshold 1\.5$/, 'a time'],
  [/^(graph|calls)\.read, option start (-1|1\.5|2\^53)$/, 'a time'],
  [/^graph\.read, option cpus 2\^53$/, 'a number'],
  [/^a user.*\.(reserve|retrieve)Data, argument 0 2\^53$/, 'more than there is: null'],
  [
    /(argument|stackNth|StackNth|Argument), argument 0 2\^53$/,
    'as the kernel: what is not there reads as undefined, or 0',
  ],
  [
    /^(pt_regs\.register, argument 0|functions\.queryRegisterName, argument 1) /,
    'as the kernel: no register has that number',
  ],
  [/^MachineProgram \(static\)\.is, /, 'asks what it is'],
];
const used = new Set<RegExp>();

interface Outcome {
  readonly thrown: unknown;
  readonly before: string;
  readonly after: string;
}

const plain = (_key: string, value: unknown): unknown =>
  typeof value === 'bigint' ? `${value}n` : typeof value === 'function' ? String(value) : value;

/// Calls `name`. What was there before and after is told as text.
async function outcome(scene: Scene, subject: Subject, name: string, args: readonly unknown[]): Promise<Outcome> {
  let result: unknown;
  let thrown: unknown;
  let before = '';
  let after = '';
  const act = (object = subject.of(scene)): void => {
    before = JSON.stringify(digest(scene), plain);
    try {
      if (name.startsWith('set ')) (object as Record<string, unknown>)[name.slice(4)] = args[0];
      else result = (object as Record<string, (...args: unknown[]) => unknown>)[name]!(...args);
      if (typeof result === 'object' && result !== null && Symbol.iterator in result) for (const _ of result as []);
    } catch (error) {
      thrown = error;
    }
    after = JSON.stringify(digest(scene), plain);
  };
  if (subject.within) subject.within(scene, act);
  else act();
  if (result instanceof Promise) {
    await result.catch((error) => {
      thrown = error;
    });
    after = JSON.stringify(digest(scene), plain);
  }
  return { thrown, before, after };
}

/// What is wrong with an outcome, in words.
function fault(scene: Scene, { thrown, before, after }: Outcome): string | undefined {
  try {
    checkAll(scene.engine);
    checkHeap(scene.engine);
    expect(scene.one(5)).toBe(5);
  } catch (broken) {
    return (broken as Error).message;
  }
  if (thrown === undefined) {
    outcomes.taken++;
    return undefined;
  }
  outcomes.refused++;
  const error = thrown as Error & { code?: unknown };
  if (error.message === OWN) return undefined; // from a function that was called
  if (before !== after) return `'${error.message}' changed ${before} into ${after}`;
  if (/^WebAssembly\.(instantiate|Instance)\(\): Argument 1 /.test(error.message)) return undefined; // as untraced
  if (typeof error.code !== 'string') return error.stack;
  return error.message.length > 600 ? `a message of ${error.message.length} characters` : undefined;
}

function swallowed(what: string, { thrown }: Outcome): string | undefined {
  if (thrown !== undefined || SENSIBLE.test(what)) return undefined;
  const known = TAKEN.find(([pattern]) => pattern.test(what));
  if (!known) return 'was taken';
  used.add(known[0]);
  return undefined;
}

for (const [name, subject] of Object.entries(SUBJECTS)) {
  test(name, async () => {
    const faults: string[] = [];
    let scene = makeScene();
    for (const [method, args] of Object.entries(subject.methods)) {
      const example = args(scene);
      if (example.some(isOptions)) {
        const { thrown } = await outcome(scene, subject, method, example);
        if (thrown !== undefined) faults.push(`${method}, the example itself: ${thrown}`);
        scene = makeScene();
      }
      for (const [what, variant] of variants(args)) {
        const result = await outcome(scene, subject, method, variant(scene));
        const wrong = fault(scene, result) ?? swallowed(`${name}.${method}, ${what}`, result);
        if (wrong !== undefined) faults.push(`${method}, ${what}: ${wrong}`);
        if (wrong !== undefined || result.before !== result.after) scene = makeScene();
      }
    }
    if (process.env.ODD) console.log(`${name}: ${faults.length}\n${faults.join('\n')}`);
    expect(faults.slice(0, 10)).toEqual([]);
  });

  if (subject.isPart) continue;
  test(`${name}: every method`, () => {
    let found: string[] = [];
    const look = (object = subject.of(makeScene())): void => {
      found = methodsOf(object);
    };
    if (subject.within) subject.within(makeScene(), look);
    else look();
    const known = [...Object.keys(subject.methods), ...(subject.except ?? [])];
    expect(found.filter((method) => !known.includes(method))).toEqual([]);
  });
}

test('the arguments were odd enough', () => {
  console.log(`odd arguments: ${JSON.stringify(outcomes)}`);
  expect(outcomes.refused).toBeGreaterThan(5000);
  expect(TAKEN.filter(([pattern]) => !used.has(pattern))).toEqual([]);
});

test('a machine for which there is no memory leaves nothing behind', () => {
  const { tracer, engine } = makeScene();
  const { exports } = engine;
  const arch = 'arm64';
  const alloc = (bytes: number) => exports.block_alloc(bytes - BLOCK_HEADER_SIZE);
  const kept = [1, 2, 3, 4].flatMap(() => Array.from({ length: 12 }, (_, k) => alloc(32 << k)));
  for (let bytes = 2 ** 29; bytes > BLOCK_HEADER_SIZE; bytes /= 2) while (alloc(bytes) !== 0);
  checkHeap(engine);
  const state = () =>
    JSON.stringify([tracer.targets.size, engine.memory.siteCount(), tracer.tasks.map(({ pid }) => pid)]);
  const before = state();
  let failures = 0;
  // With a little more memory each time, each of the things that a machine is made of is the one that there is no memory for.
  for (const block of kept) {
    try {
      tracer.machine({ arch, symbols: SYMBOLS, stackSize: 4096, stackWords: 64 });
      break;
    } catch (error) {
      failures++;
      expect(error).toMatchObject({ code: 'ENOMEM' });
      expect(state()).toBe(before);
      checkAll(engine);
      checkHeap(engine);
    }
    exports.block_free(block);
  }
  expect(tracer.targets.size).toBe(4);
  expect(failures).toBeGreaterThan(5);
});
