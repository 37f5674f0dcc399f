// The API: a tracer owns an engine, the targets that were given to it, and the users that watch them. Nothing here runs
// between a function's entry and its body.

import * as layout from '../assembly/layout.ts';
import { type Engine, instantiateEngine, instantiateEngineSync, loadEngine, loadEngineSync } from './engine.ts';
import { checkFilter, type FilterPair } from './filter.ts';
import { type GraphOptions, GraphTracer, type Symbols } from './graph.ts';
import type { TaskCounts } from './memory.ts';
import { native } from './native.ts';
import { checkOptions } from './options.ts';
import { Profiler } from './profile.ts';
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
import type { Prepared } from './target/prepare.ts';
import type { Target, TargetSite } from './target/target.ts';
import type { WasmTarget } from './target/wasm.ts';
import { Users } from './users.ts';

/// `counter` counts events and costs nothing; `mono` is the host's monotonic clock in nanoseconds, about 50 ns a reading.
export type ClockName = 'counter' | 'mono';

export interface TracerOptions {
  /// Where times come from. Default `mono`.
  readonly clock?: ClockName;
  /// Size of the shadow stack in words of 8 bytes, 64 to 16777216. A recorded activation takes 6, more with several users; deeper
  /// calls are not recorded. One whose frame has no room is counted as overrun; one whose frame fits, but not the users' data
  /// on it, is not, nor are those inside it (spec/fgraph.md §4). Default 131074 (1 MiB, some 21,800 activations).
  readonly stackWords?: number;
  /// The engine's bytes, for hosts that cannot read `build/fprobe.wasm` themselves.
  readonly engine?: BufferSource;
}

// Two words more than a power of two, so that with one user it is the frame that does not fit, and deeper calls are counted.
const DEFAULT_STACK_WORDS = (1 << 17) + 2;

export interface InstantiateResult {
  readonly instance: WebAssembly.Instance;
  /// The original module, as `WebAssembly.instantiate` would have returned it; compiled when it is asked for.
  readonly module: WebAssembly.Module;
  /// What can be traced in it; undefined when it was loaded uninstrumented.
  readonly target: WasmTarget | undefined;
}

const INSTANTIATE_OPTIONS = ['name', 'args', 'growth', 'only', 'link', 'symbols', 'fallback'];

function checkCreation(options: TracerOptions): void {
  checkOptions('Tracer.create', options, ['clock', 'stackWords', 'engine']);
  const { clock = 'mono', stackWords } = options;
  if (clock !== 'mono' && clock !== 'counter') {
    throw new RangeError(`clock is '${clock}', expected 'mono' or 'counter'`);
  }
  if (stackWords === 0) {
    // To the engine it would mean a size of its own choice.
    const { SHADOW_STACK_WORDS_MIN: min, SHADOW_STACK_WORDS_MAX: max } = layout;
    throw new RangeError(`a shadow stack has ${min} to ${max} words, not 0`);
  }
}

function loaded(source: BufferSource | WebAssembly.Module, { instance, bytes, target }: LoadedWasm): InstantiateResult {
  let module = source instanceof native.Module ? source : undefined;
  return {
    instance,
    target,
    get module() {
      module ??= new native.Module(bytes);
      return module;
    },
  };
}

export class Tracer {
  readonly #engine: Engine;
  readonly #users: Users;
  /// By engine site id.
  readonly #sites: TargetSite[] = [];
  readonly #siteOfIp = new Map<number, TargetSite>();
  readonly #symbols: Symbols;
  readonly #owner: Owner;
  #targets = 0;

  private constructor(engine: Engine) {
    this.#engine = engine;
    this.#users = new Users(engine);
    this.#symbols = {
      symbol: (site) => this.#sites[site]?.name ?? `0x${site.toString(16).padStart(8, '0')}`,
      comm: () => '<...>',
    };
    this.#owner = {
      engine,
      attach: (target) => {
        for (const site of target.sites) {
          this.#sites[site.id] = site;
          this.#siteOfIp.set(site.ip, site);
        }
        this.#users.addTarget(target);
      },
      detach: (target) => this.#users.removeTarget(target),
    };
  }

  /// Starts an engine. Throws RangeError for an option out of its range.
  static async create(options: TracerOptions = {}): Promise<Tracer> {
    checkCreation(options);
    return Tracer.#start(await (options.engine ? instantiateEngine(options.engine) : loadEngine()), options);
  }

  /// The same at once. Without `engine` it needs a host that can read files at once, as Node can.
  static createSync(options: TracerOptions = {}): Tracer {
    checkCreation(options);
    return Tracer.#start(options.engine ? instantiateEngineSync(options.engine) : loadEngineSync(), options);
  }

  static #start(engine: Engine, { clock, stackWords = DEFAULT_STACK_WORDS }: TracerOptions): Tracer {
    const { exports } = engine;
    exports.clock_set(clock === 'counter' ? layout.CLOCK_COUNTER : layout.CLOCK_MONO);
    exports.task_switch(engine.createTask(stackWords));
    return new Tracer(engine);
  }

  /// Everything that can be traced so far.
  get targets(): ReadonlySet<Target> {
    return this.#users.targets;
  }

  /// What happened on the current task so far.
  counts(): TaskCounts {
    this.#users.settle();
    return this.#engine.memory.counts();
  }

  /// The sites of the frames on the current task's shadow stack, innermost first; empty when nothing that is traced runs.
  frames(): TargetSite[] {
    this.#users.settle();
    return Array.from(this.#engine.memory.frames(), ({ ip }) => this.#siteOfIp.get(ip)!);
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
  async instantiate(
    source: BufferSource | WebAssembly.Module,
    imports?: WebAssembly.Imports,
    options: WasmOptions = {},
  ): Promise<InstantiateResult> {
    checkOptions('instantiate', options, INSTANTIATE_OPTIONS);
    return loaded(source, await instantiateWasm(this.#owner, ++this.#targets, source, imports, options));
  }

  /// The same at once, as `new WebAssembly.Instance` does it.
  instantiateSync(
    source: BufferSource | WebAssembly.Module,
    imports?: WebAssembly.Imports,
    options: WasmOptions = {},
  ): InstantiateResult {
    checkOptions('instantiateSync', options, INSTANTIATE_OPTIONS);
    return loaded(source, instantiateWasmSync(this.#owner, ++this.#targets, source, imports, options));
  }

  /// For who instantiates by himself a module that is instrumented already.
  link(prepared: Prepared, options?: LinkOptions): Linking {
    return new Linking(this.#owner, ++this.#targets, prepared, options);
  }

  /// Throws `NoMatchError` for a glob that matches no function of any target so far, with the names that are nearest to it.
  /// Users do not do this by themselves: what they match may be loaded later.
  checkFilter(pair: FilterPair): void {
    checkOptions('checkFilter', pair, ['filter', 'notrace']);
    checkFilter(pair, Array.from(this.targets, ({ sites }) => sites).flat());
  }

  /// Closes all gates of a target for good; it runs on, untraced. What was recorded of it stays readable.
  detach(target: Target): void {
    this.#users.removeTarget(target);
  }

  /// Starts the function_graph tracer on the functions of the filter, now and in targets to come.
  startGraph(options: GraphOptions = {}): GraphTracer {
    return new GraphTracer(this.#engine, this.#users, this.#symbols, options);
  }

  /// Starts the function profiler on the functions of the filter, now and in targets to come.
  startProfile(options: FilterPair = {}): Profiler {
    return new Profiler(this.#engine, this.#users, this.#symbols, options);
  }
}
