// The API: a tracer owns an engine, the targets that were given to it, and the users that watch them. Nothing here runs
// between a function's entry and its body.

import * as layout from '../assembly/layout.ts';
import type { ClientHost } from './client.ts';
import {
  type Engine,
  type EngineExports,
  instantiateEngine,
  instantiateEngineSync,
  loadEngine,
  loadEngineSync,
} from './engine.ts';
import { badRange, badType, shown } from './errors.ts';
import { type FgraphOptions, FgraphUser, type WasmFgraphOptions } from './fgraph.ts';
import { checkFilter, type Filter, type FilterPair } from './filter.ts';
import {
  createFprobe,
  type Fprobe,
  type FprobeHandlers,
  type FprobeOptions,
  registerFprobe,
  type WasmFprobeHandlers,
  type WasmFprobeOptions,
} from './fprobe/fprobe.ts';
import { byFilter } from './fprobe/where.ts';
import { FtraceOps, type FtraceOptions, type WasmFtraceOptions } from './ftrace.ts';
import { type FunctionOptions, FunctionTracer } from './function.ts';
import { type GraphOptions, GraphTracer, type Symbols } from './graph.ts';
import { GraphRules } from './graph-rules.ts';
import { Handlers } from './handlers.ts';
import type { Context } from './interrupts.ts';
import { type LatencyName, type LatencyOptions, LatencyTracer } from './latency.ts';
import { MachineModule } from './machine-module.ts';
import type { TaskCounts } from './memory.ts';
import { isModule, native } from './native.ts';
import { checkBoolean, readOptions } from './options.ts';
import { Parents } from './parents.ts';
import { type ProfileOptions, Profiler } from './profile.ts';
import { Running } from './running.ts';
import { Sites } from './sites.ts';
import { roomToBegin, roomToCall, roomToEnd } from './stack.ts';
import { type AttachOptions, type CallOptions, JsFunctions, type JsTarget } from './target/js.ts';
import {
  compileWasm,
  compileWasmSync,
  instantiateWasm,
  instantiateWasmSync,
  Linking,
  type LinkOptions,
  type LoadedWasm,
  type Owner,
  type WasmOptions,
} from './target/load.ts';
import { Machine } from './target/machine.ts';
import type { MachineOptions } from './target/machine-options.ts';
import type { Prepared } from './target/prepare.ts';
import type { Target, TargetSite } from './target/target.ts';
import type { WasmTarget } from './target/wasm.ts';
import { type Task, type TaskObserver, type TaskOptions, Tasks } from './tasks.ts';
import { Users } from './users.ts';
import { WasmTable } from './wasm-handlers.ts';

/// `counter` counts events and costs nothing; `mono` is the host's monotonic clock in nanoseconds, about 50 ns a reading.
export type ClockName = 'counter' | 'mono';

export interface TracerOptions {
  /// Where times come from. Default `mono`.
  readonly clock?: ClockName;
  /// The clock `mono`: nanoseconds since any fixed moment, below 2^53. Called for every event that needs its time, in the middle
  /// of it: it must not throw. Default `performance.now()`.
  readonly now?: () => number;
  /// Size of the shadow stack in words of 8 bytes, 64 to 16777216. A recorded activation takes 6, more with several users; deeper
  /// calls are not recorded. One whose frame has no room is counted as overrun; one whose frame fits, but not the users' data
  /// on it, is not, nor are those inside it (spec/fgraph.md §4). Default 131074 (1 MiB, some 21,800 activations).
  readonly stackWords?: number;
  /// The engine's bytes, or its module, for hosts that cannot read `build/fprobe.wasm` themselves.
  readonly engine?: BufferSource | WebAssembly.Module;
  /// The same of `build/machine.wasm`, or its module, for `machine`. Read when the first machine is made, not before.
  readonly machine?: BufferSource | WebAssembly.Module;
}

// Two words more than a power of two, so that with one user it is the frame that does not fit, and deeper calls are counted.
const DEFAULT_STACK_WORDS = (1 << 17) + 2;

/// `T` is `WasmTarget | undefined` where the options have `fallback`.
export interface InstantiateResult<T extends WasmTarget | undefined = WasmTarget> {
  readonly instance: WebAssembly.Instance;
  /// The original module, as `WebAssembly.instantiate` would have returned it; compiled when it is asked for.
  readonly module: WebAssembly.Module;
  /// What can be traced in it; undefined when it was loaded uninstrumented.
  readonly target: T;
}

/// Options with which there is a target, or an error.
type Strict = WasmOptions & { readonly fallback?: false };
/// Whatever the options.
type AnyResult = InstantiateResult<WasmTarget | undefined>;

/// What any tracer was given so far.
const attached = new WeakSet<object>();

const INSTANTIATE_OPTIONS = ['name', 'args', 'growth', 'only', 'link', 'symbols', 'sourceMap', 'debugInfo', 'fallback'];
const CALL_OPTIONS = ['settle', 'resume'];
const MODULE_OPTIONS = ['name', 'filter', 'notrace', ...CALL_OPTIONS];
const ATTACH_OPTIONS = [...MODULE_OPTIONS, 'prototypes'];

function creation(options: TracerOptions): TracerOptions {
  const read = readOptions('Tracer.create', options, ['clock', 'now', 'stackWords', 'engine', 'machine']);
  const { clock = 'mono', now } = read;
  if (now !== undefined && typeof now !== 'function') throw badType(`now is ${shown(now)}, expected a function`);
  if (clock !== 'mono' && clock !== 'counter') {
    throw badRange(`clock is ${shown(clock)}, expected 'mono' or 'counter'`);
  }
  return read;
}

function loaded(source: BufferSource | WebAssembly.Module, { instance, bytes, target }: LoadedWasm): AnyResult {
  let module = isModule(source) ? source : undefined;
  return {
    instance,
    target,
    get module() {
      module ??= new native.Module(bytes);
      return module;
    },
  };
}

const tasksOf = new WeakMap<Tracer, Tasks>();

/// For those of this package who have to know of tasks that have exited, too, see `Tasks.observe`.
export function observeTasks(tracer: Tracer, observer: TaskObserver): void {
  tasksOf.get(tracer)?.observe(observer);
}

export class Tracer {
  readonly #engine: Engine;
  readonly #users: Users;
  readonly #sites: Sites;
  readonly #symbols: Symbols;
  readonly #owner: Owner;
  readonly #rules: GraphRules;
  readonly #host: ClientHost;
  readonly #functions: JsFunctions;
  /// The last number that a target was to get, and the last that one has.
  #targets = 0;
  #attached = 0;

  private constructor(engine: Engine, handlers: Handlers, tasks: Tasks, machineModule: MachineModule) {
    this.#engine = engine;
    tasksOf.set(this, tasks);
    this.#users = new Users(engine, tasks);
    this.#rules = new GraphRules(engine, this.#users);
    this.#functions = new JsFunctions(engine);
    this.#sites = new Sites(engine.memory);
    this.#symbols = {
      symbol: (site) => this.#sites.symbol(site),
      comm: (pid) => tasks.comm(pid),
      isInterrupt: (site) => this.#sites.byId(site)?.isInterrupt ?? false,
      caller: (address) => this.#sites.caller(BigInt(address)),
      params: (site, count) => this.#sites.params(site, count),
    };
    this.#host = {
      engine,
      users: this.#users,
      handlers,
      sites: this.#sites,
      tasks,
      parents: new Parents(engine, this.#users),
      running: new Running(engine),
      wasmTable: new WasmTable(engine),
      machineModule,
      latency: { current: undefined },
    };
    this.#owner = {
      engine,
      attach: (target) => {
        attached.add(target);
        this.#attached = Math.max(this.#attached, target.number);
        this.#sites.add(target);
        this.#users.addTarget(target);
      },
      detach: (target) => this.#users.removeTarget(target),
    };
  }

  /// Calls `make` with the next number of a target.
  #numbered<Made>(make: (number: number) => Made): Made {
    roomToBegin();
    const number = ++this.#targets;
    try {
      return make(number);
    } catch (error) {
      this.#giveBack(number);
      throw error;
    }
  }

  /// The next target gets the number of one that was not made, unless there are later ones.
  #giveBack(number: number): void {
    if (number === this.#targets && number > this.#attached) this.#targets--;
  }

  /// Starts an engine. Throws RangeError for an option out of its range.
  static async create(options: TracerOptions = {}): Promise<Tracer> {
    const { engine: source, now, ...rest } = creation(options);
    const handlers = new Handlers();
    const imports = { call: handlers.call, clock: now };
    const engine = await (source === undefined ? loadEngine(imports) : instantiateEngine(source, imports));
    return Tracer.#start(engine, handlers, rest);
  }

  /// The same at once. Without `engine` it needs a host that can read files at once, as Node can.
  static createSync(options: TracerOptions = {}): Tracer {
    const { engine: source, now, ...rest } = creation(options);
    const handlers = new Handlers();
    const imports = { call: handlers.call, clock: now };
    const engine = source === undefined ? loadEngineSync(imports) : instantiateEngineSync(source, imports);
    return Tracer.#start(engine, handlers, rest);
  }

  static #start(
    engine: Engine,
    handlers: Handlers,
    { clock, stackWords = DEFAULT_STACK_WORDS, machine }: TracerOptions,
  ): Tracer {
    engine.exports.clock_set(clock === 'counter' ? layout.CLOCK_COUNTER : layout.CLOCK_MONO);
    const machineModule = new MachineModule(engine, { call: handlers.call }, machine);
    return new Tracer(engine, handlers, new Tasks(engine, stackWords), machineModule);
  }

  /// Everything that can be traced so far.
  get targets(): ReadonlySet<Target> {
    return this.#users.targets;
  }

  /// The engine's exports, for handlers that are WebAssembly: what their module imports of `reserve`, `retrieve`, `memory` and
  /// the others (assembly/README.md).
  get engine(): EngineExports {
    return this.#engine.exports;
  }

  /// The task whose functions run, as far as the tracer was told.
  get currentTask(): Task {
    return this.#host.tasks.current;
  }

  /// All tasks that have not exited, the tracer's own first.
  get tasks(): Task[] {
    return [...this.#host.tasks.all];
  }

  /// A task with a stack of its own. Throws RangeError for a pid or a size that is none, EEXIST for a pid that is taken, ENOMEM.
  createTask(options: TaskOptions = {}): Task {
    return this.#host.tasks.create(options);
  }

  /// Makes `task` the current one. Returns the one before. Throws ESRCH for a task that has exited, EINVAL for another tracer's.
  switchTo(task: Task): Task {
    roomToCall();
    return this.#host.tasks.switchTo(task);
  }

  /// Calls `run` as an interrupt of what runs: `softirq`, `irq` (with interrupts off) or `nmi`. For who emulates something that has
  /// interrupts. Throws RangeError for another context, EINVAL for one that cannot interrupt the one that is at work.
  interrupt<Result>(context: Context, run: () => Result): Result {
    return this.#host.tasks.interrupts.interrupt(context, run);
  }

  /// Calls `run` with interrupts off.
  withoutIrqs<Result>(run: () => Result): Result {
    return this.#host.tasks.interrupts.withoutIrqs(run);
  }

  /// Calls `run` with preemption off.
  withoutPreemption<Result>(run: () => Result): Result {
    return this.#host.tasks.interrupts.withoutPreemption(run);
  }

  /// What happened on the current task so far.
  counts(): TaskCounts {
    this.#users.settle();
    return this.#engine.memory.counts();
  }

  /// The sites of the frames on the current task's shadow stack, innermost first; empty when nothing that is traced runs.
  frames(): TargetSite[] {
    this.#users.settle();
    return Array.from(this.#engine.memory.frames(), ({ site }) => this.#sites.byId(site));
  }

  /// `enabled_functions`: the sites of all targets that anybody watches, and how many do; all users of the function graph count as
  /// one there.
  enabledFunctions(): { site: TargetSite; count: number }[] {
    const { memory } = this.#engine;
    const sites = Array.from(this.targets, (target) => target.sites).flat();
    return sites.map((site) => ({ site, count: memory.siteWatchers(site.id) })).filter(({ count }) => count > 0);
  }

  /// Compiles a module and remembers its bytes, so that `instantiate` can take the module in their place.
  compile(bytes: BufferSource): Promise<WebAssembly.Module> {
    return compileWasm(bytes);
  }

  /// The same at once, as `new WebAssembly.Module` does it.
  compileSync(bytes: BufferSource): WebAssembly.Module {
    return compileWasmSync(bytes);
  }

  /// Instruments and instantiates a WebAssembly program, with the arguments of `WebAssembly.instantiate`. Users that are
  /// registered already watch it from its first instruction, the start function included.
  ///
  /// Throws `WasmFormatError` for bytes that are not a module (unless `fallback`), `SymbolMapError` for a bad line of `symbols`,
  /// and whatever `WebAssembly.instantiate` throws.
  instantiate(
    source: BufferSource | WebAssembly.Module,
    imports?: WebAssembly.Imports,
    options?: Strict,
  ): Promise<InstantiateResult>;
  instantiate(
    source: BufferSource | WebAssembly.Module,
    imports?: WebAssembly.Imports,
    options?: WasmOptions,
  ): Promise<AnyResult>;
  async instantiate(
    source: BufferSource | WebAssembly.Module,
    imports?: WebAssembly.Imports,
    options: WasmOptions = {},
  ): Promise<AnyResult> {
    const read = readOptions('instantiate', options, INSTANTIATE_OPTIONS);
    const number = ++this.#targets;
    try {
      return loaded(source, await instantiateWasm(this.#owner, number, source, imports, read));
    } catch (error) {
      this.#giveBack(number);
      throw error;
    }
  }

  /// The same at once, as `new WebAssembly.Instance` does it.
  instantiateSync(
    source: BufferSource | WebAssembly.Module,
    imports?: WebAssembly.Imports,
    options?: Strict,
  ): InstantiateResult;
  instantiateSync(
    source: BufferSource | WebAssembly.Module,
    imports?: WebAssembly.Imports,
    options?: WasmOptions,
  ): AnyResult;
  instantiateSync(
    source: BufferSource | WebAssembly.Module,
    imports?: WebAssembly.Imports,
    options: WasmOptions = {},
  ): AnyResult {
    const read = readOptions('instantiateSync', options, INSTANTIATE_OPTIONS);
    return this.#numbered((number) => loaded(source, instantiateWasmSync(this.#owner, number, source, imports, read)));
  }

  /// For who instantiates by himself a module that is instrumented already.
  link(prepared: Prepared, options?: LinkOptions): Linking {
    return new Linking(this.#owner, ++this.#targets, prepared, options);
  }

  /// Makes the functions that are properties of `object` traceable: methods, accessors, classes. What the properties hold is
  /// replaced until `detach`; no code of the program runs for that. Names are those of the properties behind the target's name,
  /// as in `svc.load` and `svc.size.get`; `filter` and `notrace`, over these names or the part behind the target's, decide what is
  /// replaced. Throws TypeError for what is no object, for a Proxy and for the exports of a module.
  attachObject(object: object, options: AttachOptions = {}): JsTarget {
    const read = readOptions('attachObject', options, ATTACH_OPTIONS);
    return this.#numbered((number) => {
      const target = this.#functions.attach(number, object, read);
      this.#owner.attach(target);
      return target;
    });
  }

  /// For the exports of a module (`import * as`), which cannot be replaced: a copy of them whose functions are traced. What is no
  /// function reads as the module has it at that time.
  attachModule<M extends object>(namespace: M, options: AttachOptions = {}): { exports: M; target: JsTarget } {
    const read = readOptions('attachModule', options, MODULE_OPTIONS);
    return this.#numbered((number) => {
      const { exports, target } = this.#functions.attachModule(number, namespace, read);
      this.#owner.attach(target);
      return { exports: exports as M, target };
    });
  }

  /// A function to call in place of `fn`, which makes those calls traceable; called again, the same one. `name` defaults to the
  /// function's. Its target is found in `targets`. Throws TypeError for what is no function.
  wrap<F extends (...args: never[]) => unknown>(fn: F, name?: string, options: CallOptions = {}): F {
    const read = readOptions('wrap', options, CALL_OPTIONS);
    roomToBegin();
    const { standIn, target } = this.#functions.wrap(this.#targets + 1, fn, name, read);
    if (target) {
      this.#targets++;
      this.#owner.attach(target);
    }
    return standIn as F;
  }

  /// Reads what `machine` needs, `machine.wasm`, for hosts that cannot read files at once. Throws EngineError: ENOENT, EINVAL.
  loadMachine(): Promise<void> {
    return this.#host.machineModule.load();
  }

  /// A model of a CPU whose functions are called by scripts and programs, through the trampolines and register records of that
  /// CPU. Throws RangeError and TypeError for an unknown CPU and for symbols that cannot be; ENOENT where `machine.wasm` cannot be
  /// read at once, as in a browser, and neither was given nor loaded.
  machine(options: MachineOptions): Machine {
    return this.#numbered((number) => {
      const machine = new Machine(this.#host, number, options);
      this.#owner.attach(machine);
      return machine;
    });
  }

  /// Throws `NoMatchError` for a glob that matches no function of any target so far, with the names that are nearest to it.
  /// Users do not do this by themselves: what they match may be loaded later.
  checkFilter(pair: FilterPair): void {
    const read = readOptions('checkFilter', pair, ['filter', 'notrace']);
    checkFilter(read, Array.from(this.targets, ({ sites }) => sites).flat());
  }

  /// Closes all gates of a target for good; it runs on, untraced, and functions that were replaced are put back. What was recorded
  /// of it stays readable. Again, or for a target of another tracer: does nothing. Throws TypeError for what is no target.
  detach(target: Target): void {
    if (typeof target !== 'object' || target === null || !attached.has(target))
      throw badType(`detach: ${shown(target)} is no target`);
    if (!this.targets.has(target)) return;
    roomToEnd();
    this.#users.removeTarget(target);
    target.detach?.();
  }

  /// Registers a user of the function graph with handlers of its own, on the functions of the filter, now and in targets to
  /// come (spec/fgraph.md §3). Given a user that was unregistered: registers him again.
  ///
  /// Throws TypeError for handlers that are none, ENOSPC when 16 users are registered, EBUSY for one that is.
  registerFgraph(options: FgraphOptions): FgraphUser;
  registerFgraph(options: WasmFgraphOptions): FgraphUser;
  registerFgraph(user: FgraphUser): FgraphUser;
  registerFgraph(options: FgraphOptions | WasmFgraphOptions | FgraphUser): FgraphUser {
    if (!FgraphUser.is(options)) return new FgraphUser(this.#host, options);
    options.register(this.#host);
    return options;
  }

  /// Registers a client of function entries, on the functions of the filter, now and in targets to come (spec/fgraph.md §1). Given
  /// ops that were unregistered: registers them again.
  ///
  /// Throws TypeError for a handler that is none, ENOSPC when there is no room for more ops or for frames of callers, EBUSY for
  /// ops that are registered.
  registerFtrace(options: FtraceOptions): FtraceOps;
  registerFtrace(options: WasmFtraceOptions): FtraceOps;
  registerFtrace(ops: FtraceOps): FtraceOps;
  registerFtrace(options: FtraceOptions | WasmFtraceOptions | FtraceOps): FtraceOps {
    if (!FtraceOps.is(options)) return new FtraceOps(this.#host, options);
    options.register(this.#host);
    return options;
  }

  /// Registers a probe: handlers at entry and exit of the functions that are named, of the targets so far, with data of their own for
  /// each activation in between. Options as of `createFprobe` and `Fprobe.register`, which say what they throw; EINVAL, as
  /// TypeError or RangeError, for options that are none.
  registerFprobe(options: FprobeOptions): Fprobe;
  registerFprobe(options: WasmFprobeOptions): Fprobe;
  registerFprobe(options: FprobeOptions | WasmFprobeOptions): Fprobe {
    return registerFprobe(this.#host, options);
  }

  /// A probe that is not registered yet.
  createFprobe(handlers: FprobeHandlers): Fprobe;
  createFprobe(handlers: WasmFprobeHandlers): Fprobe;
  createFprobe(handlers: FprobeHandlers | WasmFprobeHandlers): Fprobe {
    return createFprobe(this.#host, handlers);
  }

  /// How many functions a probe by this filter would be put on. Throws EINVAL for what is no glob, ENOENT when there is none.
  countByFilter(filter: Filter, notfilter?: Filter): number {
    return byFilter(this.targets, filter, notfilter).length;
  }

  /// Starts the function_graph tracer on the functions of the filter, now and in targets to come.
  startGraph(options: GraphOptions = {}): GraphTracer {
    return new GraphTracer(this.#host, this.#symbols, options);
  }

  /// Starts the function tracer on the functions of the filter, now and in targets to come.
  startFunction(options: FunctionOptions = {}): FunctionTracer {
    return new FunctionTracer(this.#host, this.#symbols, options);
  }

  /// `set_graph_function`, of all graph tracers: they record only what begins with these functions, and everything below them;
  /// no glob: everything. Returns how many functions match. Throws TypeError for what is no filter.
  setGraphFunction(filter?: Filter): number {
    return this.#rules.setFunctions(filter);
  }

  get graphFunction(): Filter | undefined {
    return this.#rules.functions;
  }

  /// `set_graph_notrace`, of all graph tracers: these functions and everything below them are left out. Returns how many match.
  setGraphNotrace(filter?: Filter): number {
    return this.#rules.setNotrace(filter);
  }

  get graphNotrace(): Filter | undefined {
    return this.#rules.notrace;
  }

  /// `max_graph_depth`, of all graph tracers: calls at this depth and deeper are left out; 0, the default, is unlimited. Throws
  /// RangeError.
  get maxGraphDepth(): number {
    return this.#rules.maxDepth;
  }
  set maxGraphDepth(depth: number) {
    this.#rules.maxDepth = depth;
  }

  /// The global switch, `kernel.ftrace_enabled`: while it is false nobody is told of an entry, and every gate is closed; calls under
  /// way return as usual, clients come and go, and are told again when it is true. Default true. Throws TypeError; EBUSY while ops
  /// with `permanent` are registered.
  get ftraceEnabled(): boolean {
    return this.#users.enabled;
  }
  set ftraceEnabled(on: boolean) {
    if (typeof on !== 'boolean') throw badType(`ftraceEnabled is ${shown(on)}, expected true or false`);
    this.#users.setEnabled(on);
  }

  /// `function-fork`: pid filters of registered clients follow tasks. Who is forked by a task of a list is added to it, and who exits
  /// is taken out; a list that became empty so still holds, for nobody. Default false. Throws TypeError.
  get functionFork(): boolean {
    return this.#users.followsForks;
  }
  set functionFork(on: boolean) {
    checkBoolean('functionFork', on);
    this.#users.followsForks = on ?? false;
  }

  /// Starts a latency tracer (spec/fgraph.md §13): `irqsoff`, `preemptoff`, `preemptirqsoff` measure sections of `withoutIrqs`,
  /// `withoutPreemption` and `interrupt`, `wakeup` from a task's `wake` until it runs; the longest one is kept, with the functions
  /// of the filter that ran meanwhile. Throws EBUSY while another one runs.
  startLatency(name: LatencyName, options: LatencyOptions = {}): LatencyTracer {
    return new LatencyTracer(this.#host, this.#symbols, name, options);
  }

  /// Starts the function profiler on the functions of the filter, now and in targets to come.
  startProfile(options: ProfileOptions = {}): Profiler {
    return new Profiler(this.#engine, this.#users, this.#symbols, options);
  }
}
