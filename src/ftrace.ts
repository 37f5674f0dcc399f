// A client of function entries (spec/fgraph.md §1): one call when a watched function begins, nothing at its return, no data.

import * as layout from '../assembly/layout.ts';
import type { ClientHost } from './client.ts';
import { EngineError } from './engine.ts';
import { badType, shown } from './errors.ts';
import { compileFilter, type FilterPair } from './filter.ts';
import { type Callback, Failures, guarded, refusePromise } from './handlers.ts';
import { LastSite } from './last-site.ts';
import type { Memory } from './memory.ts';
import { checkBoolean, checkString, readOptions } from './options.ts';
import type { FtraceRegs } from './regs.ts';
import type { Running } from './running.ts';
import { roomToBegin, roomToEnd } from './stack.ts';
import type { TargetSite } from './target/target.ts';
import { Watcher } from './users.ts';
import { isWasm, type WasmHandler } from './wasm-handlers.ts';

/// A watched function begins. `ip` is the address of its site, `parentIp` that of its caller, as far as that is watched too, 0 for
/// the host. `fregs` is good until the handler returns.
/// Addresses are bigints on machines and numbers elsewhere. (Declared as a method, so that a handler may name the one it expects.)
export type CallHandler = {
  handler(ip: TargetSite['ip'], parentIp: TargetSite['ip'], fregs: FtraceRegs): unknown;
}['handler'];

interface CommonOptions extends FilterPair {
  /// For messages. Default `ftrace`.
  readonly name?: string;
  /// Keep frames of the watched functions, so that `parentIp` is known, at the price of one of the 16 users of the function
  /// graph for all ops together. Otherwise it is what the users of the graph have frames of. Default true.
  readonly parents?: boolean;
  /// The full set of registers (`SAVE_REGS`): `fregs.fullRegs()` is then not null, at the price of a longer trampoline. There are
  /// CPUs of machines that have it; elsewhere true is refused, with EINVAL, and functions of targets to come are not watched.
  /// `'if-supported'`: what there is when they are registered. Default false.
  readonly saveRegs?: boolean | 'if-supported';
  /// `Tracer.ftraceEnabled` cannot become false while they are registered, and they cannot be registered while it is. Default
  /// false.
  readonly permanent?: boolean;
}

export interface FtraceOptions extends CommonOptions {
  /// Called with this object as `this`. What it returns does not count.
  readonly call: CallHandler;
  readonly guarded?: boolean;
}

/// The same with an exported WebAssembly function: `(handle, site, frame, fregs) → i32`, all i32.
export interface WasmFtraceOptions extends CommonOptions {
  readonly call: WasmHandler;
  /// Call it through JavaScript, where a trap is caught and counted. Otherwise it reaches the program. Default false.
  readonly guarded?: boolean;
}

const { apply } = Reflect;

const KNOWN = ['name', 'filter', 'notrace', 'call', 'guarded', 'parents', 'saveRegs', 'permanent'];

const hasFullRegs = (site: TargetSite): boolean => site.hasFullRegs ?? false;

export class FtraceOps extends Watcher {
  readonly name: string;
  readonly #host: ClientHost;
  readonly #isWasm: boolean;
  readonly #parents: boolean;
  readonly #failures = new Failures();
  readonly #call: Callback | WasmHandler;
  readonly #saveRegs: boolean | 'if-supported';
  readonly #permanent: boolean;
  #id = 0;
  #handle = 0;

  /// Use `Tracer.registerFtrace`.
  constructor(host: ClientHost, options: FtraceOptions | WasmFtraceOptions) {
    const read = readOptions('registerFtrace', options, KNOWN);
    const { name = 'ftrace', call, guarded = false, parents = true, saveRegs = false, permanent = false } = read;
    super(host.users, read, () => this.#handle, saveRegs === true ? hasFullRegs : undefined);
    checkString('name', name);
    checkBoolean('guarded', guarded);
    checkBoolean('parents', parents);
    checkBoolean('permanent', permanent);
    if (typeof saveRegs !== 'boolean' && saveRegs !== 'if-supported') {
      throw badType(`saveRegs is ${shown(saveRegs)}, expected true, false or 'if-supported'`);
    }
    if (call === undefined) throw badType('registerFtrace: expected call, the function to be called');
    const wasm = isWasm('call', call) === true;
    this.name = name;
    this.#host = host;
    this.#isWasm = wasm && !guarded;
    this.#parents = parents;
    this.#saveRegs = saveRegs;
    this.#permanent = permanent;
    this.#call = this.#isWasm ? (call as WasmHandler) : this.#callback(call, wasm, options);
    this.register(host);
  }

  /// Whether `value` is one, and not just an object that inherits from one.
  static is(value: unknown): value is FtraceOps {
    return typeof value === 'object' && value !== null && #host in value;
  }

  /// Registers ops that were unregistered. Throws EBUSY: they are registered, or permanent while tracing is switched off; ENOSPC: 4096 ops, or 16 users of the graph, are
  /// already; ENODEV: the engine was stopped; EINVAL: `host` is not that of their tracer. Nothing has changed then.
  register(host: ClientHost): void {
    if (host !== this.#host) throw new EngineError('EINVAL', `${this.name} belongs to another tracer`);
    if (this.registered) throw new EngineError('EBUSY', `${this.name} is registered already`);
    roomToBegin();
    try {
      const { wasmTable, handlers } = host;
      this.#id = typeof this.#call === 'function' ? wasmTable.add(this.#call) : handlers.add(this.#call);
      this.checkFilters(this);
      const flags = this.#regsFlags() | (this.#permanent ? layout.OPS_FL_PERMANENT : 0);
      this.#handle = host.engine.registerOps(this.#isWasm ? layout.OPS_WASM : layout.OPS_HOST, this.#id, flags);
      this.filtersChanged();
      this.beginWatching();
    } catch (error) {
      this.#forget();
      throw error;
    }
  }

  #regsFlags(): number {
    if (this.#saveRegs === true) return layout.OPS_FL_SAVE_REGS;
    const isThere = this.#saveRegs && this.#sites().some(hasFullRegs);
    return isThere ? layout.OPS_FL_SAVE_REGS_IF_SUPPORTED : 0;
  }

  #sites(): readonly TargetSite[] {
    return [...this.#host.users.targets].flatMap((target) => target.sites);
  }

  /// Throws EINVAL where full registers are a must and a function of the filter has none.
  protected override checkFilters({ filter, notrace }: FilterPair): void {
    if (this.#saveRegs !== true) return;
    const wanted = compileFilter({ filter, notrace });
    const without = this.#sites().find((site) => wanted(site) && !hasFullRegs(site));
    if (!without) return;
    throw new EngineError(
      'EINVAL',
      `${this.name}: there is no full set of registers at ${without.name}; pass saveRegs: 'if-supported', or another filter`,
    );
  }

  /// Takes effect at once, also from inside the handler. Again: does nothing.
  unregister(): void {
    if (!this.registered) return;
    roomToEnd();
    this.#forget();
  }

  #forget(): void {
    const { engine, parents } = this.#host;
    this.endWatching(() => {
      if (this.#handle > 0) engine.exports.ops_unregister(this.#handle);
    });
    this.#handle = 0;
    parents.remove(this);
    this.#owner.remove(this.#id);
    this.#id = 0;
  }

  get #owner() {
    return this.#isWasm ? this.#host.wasmTable : this.#host.handlers;
  }

  get registered(): boolean {
    return this.#handle > 0;
  }

  /// How often the handler threw or returned a promise.
  get errors(): number {
    return this.#failures.count;
  }

  /// What was thrown last.
  get lastError(): unknown {
    return this.#failures.last;
  }

  protected override filtersChanged(): void {
    if (this.#parents && this.registered) this.#host.parents.set(this, this.halves);
  }

  #callback(call: CallHandler | WasmHandler, isWasm: boolean, options: object): Callback {
    if (isWasm) return guarded(call as WasmHandler, this.#failures);
    return new FtraceCallback(this.#host, call as CallHandler, options, this.#failures, this.name);
  }
}

class FtraceCallback implements Callback {
  readonly #handler: CallHandler;
  readonly #self: object;
  readonly #failures: Failures;
  readonly #name: string;
  readonly #memory: Memory;
  readonly #running: Running;
  readonly #last: LastSite;

  constructor(
    { engine, running, sites }: ClientHost,
    handler: CallHandler,
    self: object,
    failures: Failures,
    name: string,
  ) {
    this.#handler = handler;
    this.#self = self;
    this.#failures = failures;
    this.#name = name;
    this.#memory = engine.memory;
    this.#running = running;
    this.#last = new LastSite(sites, engine.memory);
  }

  run(_handle: number, site: number, _frame: number, fregs: number): number {
    const called = this.#last;
    if (site !== called.id) called.look(site);
    const { ip, regs } = called;
    const parent = called.address(this.#memory.u32, fregs + layout.FREGS_PARENT);
    const running = this.#running;
    const outer = running.enter(0, called, fregs);
    try {
      const result: unknown = apply(this.#handler, this.#self, [ip, parent, regs]);
      if (typeof result === 'object') refusePromise(result, `the handler of ${this.#name}`);
    } catch (error) {
      running.leave(outer);
      this.#failures.note(error);
      return 0;
    }
    running.leave(outer);
    return 0;
  }
}
