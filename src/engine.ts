// The engine as the host sees it: bytes → instance, and one interface that names every export. The contracts of the exports
// are in assembly/README.md and above each function in assembly/.

import * as fprobeLayout from '../assembly/fprobe/layout.ts';
import * as layout from '../assembly/layout.ts';
import * as ringLayout from '../assembly/ring-layout.ts';
import { badRange, shown } from './errors.ts';
import { Memory } from './memory.ts';
import { isModule, native } from './native.ts';

type Enter<Words extends bigint[]> = (site: number, ...words: Words) => number;
type W = bigint;

/// Every export of `fprobe.wasm`. Addresses and ids are unsigned 32-bit numbers, below 2^31 in practice; errors are negative.
export interface EngineExports extends WebAssembly.Exports {
  readonly memory: WebAssembly.Memory;
  /// Handlers of GOPS_WASM users and OPS_WASM ops: `(index or handle, site, frame, fregs) → i32`, all i32. Entry 0 stays empty.
  readonly table: WebAssembly.Table;
  heap_base(): number;
  sync(): void;
  kill(): void;
  ftrace_enable(on: number): number;
  direct_set(on: number): void;
  clock_set(clock: number): number;
  clock_now(): number;

  task_create(words: number): number;
  task_current(): number;
  task_switch(task: number): number;
  task_context(context: number): number;
  task_pause(task: number, on: number): number;
  task_ignore(task: number, mask: number): number;
  task_reset(task: number): number;
  task_free(task: number): number;
  task_frame(task: number, k: number): number;
  frame_real(task: number, cursor: number, retp: bigint, hook: bigint): number;

  block_alloc(bytes: number): number;
  block_free(address: number): number;

  site_add(count: number): number;
  site_set_ip(site: number, low: number, high: number): number;
  site_unload(first: number, count: number): number;
  site_want(site: number, client: number, on: number): number;
  site_notrace(site: number, client: number, on: number): number;
  filter_set(client: number, sites: number, count: number, notraceSites: number, notraceCount: number): number;

  fgraph_register(kind: number, entry: number, ret: number, aux: number): number;
  fgraph_unregister(index: number): number;
  graph_set_ring(index: number, task: number, ring: number): number;
  stats_clear(index: number): number;

  fprobe_request(count: number): number;
  fprobe_register(count: number): bigint;
  fprobe_unregister(handle: bigint): number;
  fprobe_enable(handle: bigint, on: number): number;
  fprobe_record(handle: bigint): number;
  fprobe_clear(handle: bigint): number;
  fprobe_site(low: number, high: number): number;
  fprobe_drain(): number;
  graph_options(index: number, options: number, threshold: number): number;
  graph_filter(on: number): void;
  graph_site(site: number, starts: number, notrace: number): number;
  graph_depth(max: number): number;

  ops_register(kind: number, handler: number, flags: number): number;
  ops_unregister(handle: number): number;

  reserve(index: number, bytes: number): number;
  retrieve(index: number): number;
  retrieve_size(index: number): number;
  retrieve_parent(index: number, n: number): number;
  retrieve_parent_size(index: number, n: number): number;
  retrieve_word(index: number, n: number): number;
  task_variable(index: number): number;

  ring_create(pages: number, mode: number): number;
  ring_free(ring: number): number;
  ring_clear(ring: number): number;
  ring_on(ring: number, on: number): number;
  ring_read(ring: number, sequence: number): number;
  ring_consume(ring: number, sequence: number): number;
  ring_wait(ring: number): number;

  enter_call(task: number, site: number, first: bigint, ret: bigint, retp: bigint, fp: bigint): number;
  leave_call(task: number, cookie: number, first: bigint): void;
  enter(site: number): number;
  leave(cookie: number): void;
  leave_value(cookie: number, value: bigint): void;
  word(index: number, value: bigint): void;
  save(): number;
  restore(mark: number): void;
  enter_1: Enter<[W]>;
  enter_2: Enter<[W, W]>;
  enter_3: Enter<[W, W, W]>;
  enter_4: Enter<[W, W, W, W]>;
  enter_5: Enter<[W, W, W, W, W]>;
  enter_6: Enter<[W, W, W, W, W, W]>;
  enter_7: Enter<[W, W, W, W, W, W, W]>;
  enter_8: Enter<[W, W, W, W, W, W, W, W]>;
  enter_9: Enter<[W, W, W, W, W, W, W, W, W]>;
  enter_10: Enter<[W, W, W, W, W, W, W, W, W, W]>;
  enter_11: Enter<[W, W, W, W, W, W, W, W, W, W, W]>;
  enter_12: Enter<[W, W, W, W, W, W, W, W, W, W, W, W]>;
  enter_13: Enter<[W, W, W, W, W, W, W, W, W, W, W, W, W]>;
  enter_14: Enter<[W, W, W, W, W, W, W, W, W, W, W, W, W, W]>;
  enter_15: Enter<[W, W, W, W, W, W, W, W, W, W, W, W, W, W, W]>;
  enter_16: Enter<[W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W]>;
}

/// What the engine asks of its host, all optional.
export interface EngineImports {
  /// Runs a handler of a GOPS_HOST user or of OPS_HOST ops. From an entry handler, nonzero asks for the exit callback. Must not
  /// throw.
  call?(handler: number, owner: number, site: number, frame: number, fregs: number): number;
  /// Nanoseconds since any fixed moment, below 2^53. Default: `performance.now()`.
  clock?(): number;
  /// Blocks until a ring buffer may have something to read; 0 = give up. Default: gives up.
  wait?(ring: number): number;
}

/// What the engine is asked for when a probe is registered: the REQUEST_* of assembly/fprobe/layout.ts.
export interface FprobeRequest {
  readonly kind: number;
  readonly entry: number;
  readonly exit: number;
  readonly dataSize: number;
  readonly flags: number;
  readonly private: number;
  readonly source?: number;
  readonly index?: number;
  readonly cells?: number;
  readonly min?: number;
  readonly step?: number;
}

/// A failure of the engine. `code` is the name of the kernel's error.
export class EngineError extends Error {
  readonly code: string;

  constructor(code: string, message: string, cause?: unknown) {
    super(`${message} (${code})`, cause === undefined ? undefined : { cause });
    this.name = 'EngineError';
    this.code = code;
  }
}

const CODES = new Map([
  [layout.ENOENT, 'ENOENT'],
  [layout.E2BIG, 'E2BIG'],
  [layout.ENOMEM, 'ENOMEM'],
  [layout.EBUSY, 'EBUSY'],
  [layout.ENODEV, 'ENODEV'],
  [layout.EINVAL, 'EINVAL'],
  [layout.ENOSPC, 'ENOSPC'],
]);

const NANOSECONDS = 1e6; // per millisecond

export class Engine {
  readonly exports: EngineExports;
  readonly memory: Memory;

  /// Use `instantiateEngine` or `loadEngine`.
  constructor(exports: EngineExports) {
    if (!(exports.memory instanceof WebAssembly.Memory)) {
      throw new EngineError('EINVAL', 'not an engine: it exports no memory; pass the bytes of fprobe.wasm');
    }
    this.exports = exports;
    this.memory = new Memory(exports);
    const version = this.memory.load32(layout.ABI_VERSION);
    if (this.memory.load32(layout.ABI_MAGIC) !== layout.ABI_MAGIC_VALUE || version !== layout.ABI_VERSION_VALUE) {
      throw new EngineError(
        'EINVAL',
        `this is not an engine of ABI version ${layout.ABI_VERSION_VALUE} (found version ${version}); rebuild fprobe.wasm`,
      );
    }
  }

  /// Adds `count` sites and returns the id of the first.
  addSites(count: number): number {
    return check(this.exports.site_add(count), `cannot add ${count} sites`);
  }

  /// A block of `bytes` zeroed bytes, for machines. Returns its address, a multiple of 8.
  allocateBlock(bytes: number): number {
    const address = this.exports.block_alloc(bytes);
    if (address === 0) throw new EngineError('ENOMEM', `no memory for a block of ${bytes} bytes`);
    return address;
  }

  /// Blocks of these sizes: all of them, or none.
  allocateBlocks(sizes: readonly number[]): number[] {
    const blocks: number[] = [];
    try {
      for (const bytes of sizes) blocks.push(this.allocateBlock(bytes));
    } catch (error) {
      for (const address of blocks) this.exports.block_free(address);
      throw error;
    }
    return blocks;
  }

  /// A task with a shadow stack of `words` words. Returns its address.
  createTask(words = layout.SHADOW_STACK_WORDS): number {
    const { SHADOW_STACK_WORDS_MIN: min, SHADOW_STACK_WORDS_MAX: max } = layout;
    if (!(Number.isInteger(words) && words >= min && words <= max)) {
      throw badRange(`a shadow stack has ${min} to ${max} words, not ${shown(words)}`);
    }
    const task = this.exports.task_create(words);
    if (task === 0) throw new EngineError('ENOMEM', `no memory for a shadow stack of ${words} words`);
    return task;
  }

  /// A ring buffer of `pages` pages. Returns its address.
  createRing(pages: number, mode: number): number {
    if (!Number.isInteger(pages) || pages < 1 || pages > ringLayout.RING_PAGES_MAX || (pages & (pages - 1)) !== 0) {
      throw badRange(
        `a ring buffer has a power of two of pages up to ${ringLayout.RING_PAGES_MAX}, not ${shown(pages)}`,
      );
    }
    const ring = this.exports.ring_create(pages, mode);
    if (ring === 0) throw new EngineError('ENOMEM', `no memory for a ring buffer of ${pages} pages`);
    return ring;
  }

  /// Registers a probe on `sites` and returns its handle (assembly/README.md, fprobes).
  registerFprobe(request: FprobeRequest, sites: readonly number[]): bigint {
    const { memory, exports } = this;
    const at = exports.fprobe_request(sites.length);
    if (at === 0) throw new EngineError('ENOMEM', `no memory to register a probe on ${sites.length} functions`);
    memory.store32(at + fprobeLayout.REQUEST_KIND, request.kind);
    memory.store32(at + fprobeLayout.REQUEST_ENTRY, request.entry);
    memory.store32(at + fprobeLayout.REQUEST_EXIT, request.exit);
    memory.store32(at + fprobeLayout.REQUEST_DATA_SIZE, request.dataSize);
    memory.store32(at + fprobeLayout.REQUEST_FLAGS, request.flags);
    memory.store32(at + fprobeLayout.REQUEST_PRIVATE, request.private);
    memory.store32(at + fprobeLayout.REQUEST_SOURCE, request.source ?? 0);
    memory.store32(at + fprobeLayout.REQUEST_INDEX, request.index ?? 0);
    memory.store32(at + fprobeLayout.REQUEST_CELLS, request.cells ?? 0);
    memory.u64[(at + fprobeLayout.REQUEST_MIN) >>> layout.WORD_SHIFT] = BigInt(request.min ?? 0);
    memory.u64[(at + fprobeLayout.REQUEST_STEP) >>> layout.WORD_SHIFT] = BigInt(request.step ?? 0);
    memory.u32.set(sites, (at + fprobeLayout.REQUEST_SITES) >>> 2);
    const handle = exports.fprobe_register(sites.length);
    if (handle < 0n) {
      check(Number(handle), `cannot register a probe on ${sites.length} functions`, {
        ENOSPC:
          request.exit === 0 ? OPS_FULL : this.#graphFull(`${layout.FGRAPH_ARRAY_SIZE} users of the function graph`),
        ENODEV: STOPPED,
      });
    }
    return handle;
  }

  /// Whether tracing was stopped for good, by `kill` or since a shadow stack made no sense any more.
  get isDead(): boolean {
    return this.memory.load32(layout.ABI_DEAD) !== 0;
  }

  /// The global switch. Throws EBUSY while ops with OPS_FL_PERMANENT are registered.
  enable(on: boolean): void {
    check(this.exports.ftrace_enable(on ? 1 : 0), 'cannot switch tracing off', {
      EBUSY: 'ops that are permanent are registered, unregister them first',
    });
  }

  /// Registers a function-graph user and returns its index; arguments as of the export.
  registerFgraph(kind: number, entry: number, ret: number, aux: number): number {
    const index = this.exports.fgraph_register(kind, entry, ret, aux);
    if (index >= 0) return index;
    const what =
      kind === layout.GOPS_FRAME
        ? 'cannot register the function-graph user that keeps frames of callers (`parents: false` does without)'
        : 'cannot register a function-graph user';
    return check(index, what, { ENOSPC: this.#graphFull(`${layout.FGRAPH_ARRAY_SIZE}`), ENODEV: STOPPED });
  }

  /// Why there is no room for one more, and who has it: some are not told apart by whoever asked for them.
  #graphFull(all: string): string {
    const holders = new Map<string, number>();
    for (let index = 0; index < layout.FGRAPH_ARRAY_SIZE; index++) {
      const holder = GRAPH_HOLDERS[this.memory.userKind(index)];
      holders.set(holder, (holders.get(holder) ?? 0) + 1);
    }
    const counts = Array.from(holders, ([holder, count]) => `${holder}: ${count}`);
    return `${all} are registered already (${counts.join('; ')}), unregister one first`;
  }

  /// Registers plain ops and returns their handle; arguments as of the export.
  registerOps(kind: number, handler: number, flags = 0): number {
    return check(this.exports.ops_register(kind, handler, flags), 'cannot register function-trace ops', {
      EBUSY: 'they are permanent, and tracing is switched off; switch it on first',
      ENOSPC: OPS_FULL,
      ENODEV: STOPPED,
    });
  }

  /// Replaces both halves of the filter of a client; `undefined`: no hash, every site for the filter and none for the notrace.
  setFilter(client: number, filter: readonly number[] | undefined, notrace: readonly number[] | undefined): void {
    const { exports, memory } = this;
    const what = 'cannot set a filter';
    const sites = [...(filter ?? []), ...(notrace ?? [])];
    const at = sites.length > 0 ? exports.block_alloc(4 * sites.length) : 0;
    if (at === 0 && sites.length > 0) check(-layout.ENOMEM, what);
    memory.u32.set(sites, at >>> 2);
    const second = at + 4 * (filter?.length ?? 0);
    const result = exports.filter_set(client, at, filter?.length ?? -1, second, notrace?.length ?? -1);
    exports.block_free(at);
    check(result, what);
  }

  addToFilter(client: number, site: number): void {
    check(this.exports.site_want(site, client, 1), 'cannot add a function to a filter');
  }

  addToNotrace(client: number, site: number): void {
    check(this.exports.site_notrace(site, client, 1), 'cannot add a function to a notrace filter');
  }
}

/// Who has an index of the function graph, by GOPS_*.
const GRAPH_HOLDERS: Readonly<Record<number, string>> = {
  [layout.GOPS_GRAPH]: 'graphs',
  [layout.GOPS_PROFILE]: 'profiles',
  [layout.GOPS_WASM]: 'with handlers',
  [layout.GOPS_HOST]: 'with handlers',
  [layout.GOPS_FPROBE]: 'for all probes that see returns together',
  [layout.GOPS_FRAME]: 'for callers, of all ops and function tracers together',
};
const OPS_FULL = `${layout.OPS_SLOT_MASK + 1} plain ops are registered already, unregister one first`;
const STOPPED = 'the engine was stopped for good';

/// `result`, unless it is an error. `why` explains codes.
function check(result: number, what: string, why: Readonly<Record<string, string>> = {}): number {
  if (result >= 0) return result;
  const code = CODES.get(-result) ?? `E${-result}`;
  throw new EngineError(code, why[code] ? `${what}: ${why[code]}` : what);
}

const notEngine = (cause: unknown): EngineError =>
  new EngineError('EINVAL', `not an engine: ${String(cause)}; pass the bytes of fprobe.wasm`, cause);

// As it is now: a clock that is traced itself would be read at its own entry.
const now = performance.now.bind(performance);

function importObject({
  call = () => 0,
  clock = () => now() * NANOSECONDS,
  wait = () => 0,
}: EngineImports): WebAssembly.Imports {
  return { fprobe: { call, clock, wait } };
}

/// Starts an engine from the bytes of `fprobe.wasm`, or from its compiled module. Throws EngineError for other modules.
export async function instantiateEngine(
  source: BufferSource | WebAssembly.Module,
  imports: EngineImports = {},
): Promise<Engine> {
  let module: WebAssembly.Module;
  let instance: WebAssembly.Instance;
  try {
    module = isModule(source) ? source : await native.compile(source);
  } catch (error) {
    throw notEngine(error);
  }
  try {
    instance = await native.instantiate(module, importObject(imports));
  } catch (error) {
    throw notEngine(error);
  }
  return new Engine(instance.exports as EngineExports);
}

/// The same at once, where a host allows that: a browser's main thread refuses large modules.
export function instantiateEngineSync(source: BufferSource | WebAssembly.Module, imports: EngineImports = {}): Engine {
  let module: WebAssembly.Module;
  let instance: WebAssembly.Instance;
  try {
    module = isModule(source) ? source : new native.Module(source);
  } catch (error) {
    throw notEngine(error);
  }
  try {
    instance = new native.Instance(module, importObject(imports));
  } catch (error) {
    throw notEngine(error);
  }
  return new Engine(instance.exports as EngineExports);
}

/// Starts an engine from the `fprobe.wasm` that belongs to this package.
export async function loadEngine(imports?: EngineImports): Promise<Engine> {
  return instantiateEngine(await readBuilt(ENGINE), imports);
}

/// The same at once, from a file.
export function loadEngineSync(imports?: EngineImports): Engine {
  return instantiateEngineSync(readBuiltSync(ENGINE, 'Tracer.create()'), imports);
}

// Bundlers know this form, and take the file along. It is in the same place as seen from the compiled files, in dist/.
const ENGINE: Built = {
  name: 'fprobe.wasm',
  option: 'engine',
  url: () => new URL('../build/fprobe.wasm', import.meta.url).href,
};

/// A file that was built and belongs to this package. `option`: of `Tracer.create`, takes its bytes; `url` throws where a bundler has
/// left nothing of where we are.
export interface Built {
  readonly name: string;
  readonly option: string;
  readonly url: () => string;
}

/// Its bytes: from a file, or fetched. Throws EngineError, ENOENT.
export async function readBuilt(built: Built): Promise<BufferSource> {
  try {
    const url = built.url();
    const fs = url.startsWith('file:') && fileSystem();
    return await (fs ? fs.promises.readFile(new URL(url)) : fetched(url));
  } catch (error) {
    throw notRead(built, error);
  }
}

/// The same at once, from a file. `other`: what to call where there are none.
export function readBuiltSync(built: Built, other: string): BufferSource {
  const fs = fileSystem();
  if (!fs) {
    throw new EngineError('ENOENT', `cannot read ${place(built)} at once here; ${passBytes(built)}, or await ${other}`);
  }
  try {
    return new Uint8Array(fs.readFileSync(new URL(built.url())));
  } catch (error) {
    throw notRead(built, error);
  }
}

// Not imported by name: the library also loads, and can be bundled, where there is no such module.
const fileSystem = () => globalThis.process?.getBuiltinModule?.('node:fs');

async function fetched(url: string): Promise<ArrayBuffer> {
  const response = await fetch(new URL(url));
  if (!response.ok) throw new Error(`${response.status} ${response.statusText}`.trimEnd());
  return response.arrayBuffer();
}

const passBytes = ({ name, option }: Built): string =>
  `pass the bytes of fprobe/${name} as option '${option}' of Tracer.create`;

function place({ name, url }: Built): string {
  try {
    const address = url();
    return address.startsWith('file:') ? new URL(address).pathname : address;
  } catch {
    return name;
  }
}

function notRead(built: Built, error: unknown): EngineError {
  const remedy = `${passBytes(built)}, or in a checkout make it: npm run build:engine`;
  return new EngineError('ENOENT', `cannot read ${place(built)}: ${String(error)}; ${remedy}`);
}
