// Function probes (spec/fprobe.md): entry and exit handlers on any number of functions, with data of their own for each
// activation in between. The engine decides who is called, when, and in which order; here a probe is put on functions,
// and its JavaScript handlers are kept from harming the program that they watch.

import * as fprobeLayout from '../../assembly/fprobe/layout.ts';
import * as layout from '../../assembly/layout.ts';
import type { ClientHost } from '../client.ts';
import { EngineError } from '../engine.ts';
import { badRange, badType, shown } from '../errors.ts';
import { type Callback, Failures, guarded, type Handlers } from '../handlers.ts';
import { checkBoolean, readArray, readOptions } from '../options.ts';
import type { FtraceRegs } from '../regs.ts';
import { roomToBegin, roomToEnd } from '../stack.ts';
import type { TargetSite } from '../target/target.ts';
import { FPROBE_HANDLER, isWasm, type WasmFprobeHandler, type WasmTable } from '../wasm-handlers.ts';
import { type Builtin, type BuiltinRequest, builtinRequest, type FprobeRow, readRows } from './builtin.ts';
import { FprobeCallback } from './callback.ts';
import { byAddress, byFilter, bySymbol, checkAddresses, type FprobeWhere } from './where.ts';

/// Soft-disabled: no handler runs, everything stays in place.
export const FPROBE_FL_DISABLED = fprobeLayout.FPROBE_FL_DISABLED;
/// The entry handler belongs to the exclusive group: it is skipped, and a miss counted, while another of the group runs on the
/// same task. Its exit handler is then skipped too (the kernel runs it), unless FPROBE_FL_SHARED_EXIT is set as well.
export const FPROBE_FL_KPROBE_SHARED = fprobeLayout.FPROBE_FL_KPROBE_SHARED;
export const FPROBE_FL_SHARED_EXIT = fprobeLayout.FPROBE_FL_SHARED_EXIT;

/// `fregs` and `data` are good until the handler returns. `data` is the probe's own entry data of this activation, not zeroed,
/// `null` without any, or without an exit handler. From an entry handler, a result other than `undefined`, `null`, `false` and 0
/// cancels the exit handler for this activation. The result of an exit handler is ignored.
///
/// Addresses are bigints on machines and numbers elsewhere. (Declared as a method, so that a handler may name the one it expects.)
export type FprobeHandler = {
  handler(
    probe: Fprobe,
    entryIp: TargetSite['ip'],
    retIp: TargetSite['ip'],
    fregs: FtraceRegs,
    data: DataView | null,
  ): unknown;
}['handler'];

export interface FprobeHandlers<Handler = FprobeHandler> {
  readonly entry?: Handler;
  readonly exit?: Handler;
  /// In place of `entry` and `exit`: a handler of the engine's own.
  readonly builtin?: Builtin;
  /// Bytes of data for each activation, 0 to 120. Default 0.
  readonly entryDataSize?: number;
  /// FPROBE_FL_*. Default 0.
  readonly flags?: number;
  /// A 32-bit number that WebAssembly handlers are given first. Default 0.
  readonly private?: number;
  /// Call WebAssembly handlers through JavaScript, where a trap is caught and counted. Default false.
  readonly guarded?: boolean;
  /// What happens when a handler throws or returns a promise: it is counted, and with `disable` the probe is disabled too.
  /// Default `count`.
  readonly onError?: 'count' | 'disable';
}

/// Handlers that are exported WebAssembly functions, called without JavaScript in between. With one handler of each kind, both
/// are called through JavaScript.
export type WasmFprobeHandlers = FprobeHandlers<WasmFprobeHandler>;
type AnyHandlers = FprobeHandlers<FprobeHandler | WasmFprobeHandler>;

export interface FprobeOptions extends FprobeHandlers, FprobeWhere {}
export interface WasmFprobeOptions extends WasmFprobeHandlers, FprobeWhere {}

const HANDLERS = ['entry', 'exit', 'builtin', 'entryDataSize', 'flags', 'private', 'guarded', 'onError'];
const WHERE = ['filter', 'notfilter', 'addresses', 'symbols'];
const WORD = layout.WORD_SIZE;
const U32_MAX = 2 ** 32 - 1;

interface Counters {
  readonly hits: number;
  readonly nmissed: number;
  readonly recursion: number;
  readonly overrun: number;
}

const NOTHING: Counters = { hits: 0, nmissed: 0, recursion: 0, overrun: 0 };

export class Fprobe {
  readonly #host: ClientHost;
  readonly #options: AnyHandlers;
  readonly #builtin: BuiltinRequest | undefined;
  readonly #kind: number;
  readonly #entry: Callback | WasmFprobeHandler | undefined;
  readonly #exit: Callback | WasmFprobeHandler | undefined;
  readonly #failures: Failures;
  #flags: number;
  #dataSize: number;
  /// The engine's; 0 = not registered.
  #handle = 0n;
  #ids: readonly [entry: number, exit: number] = [0, 0];
  #last = NOTHING;
  #rows: FprobeRow[] = [];

  /// Use `Tracer.registerFprobe` or `Tracer.createFprobe`.
  constructor(host: ClientHost, options: AnyHandlers) {
    const {
      entry,
      exit,
      builtin,
      entryDataSize = 0,
      flags = 0,
      private: private_ = 0,
      guarded = false,
      onError = 'count',
    } = options;
    if (typeof entryDataSize !== 'number') throw badType(`entryDataSize is ${shown(entryDataSize)}, expected a number`);
    if (!Number.isInteger(entryDataSize) || entryDataSize < 0) {
      throw badRange(
        `entryDataSize is ${entryDataSize}, expected 0 to ${fprobeLayout.MAX_FPROBE_DATA_SIZE_WORD * WORD} bytes`,
      );
    }
    if (!Number.isInteger(flags) || flags < 0 || flags > fprobeLayout.FPROBE_FL_ALL) {
      throw badRange(`flags is ${shown(flags)}, expected FPROBE_FL_* from 0 to ${fprobeLayout.FPROBE_FL_ALL}`);
    }
    if (!Number.isInteger(private_) || private_ < 0 || private_ > U32_MAX) {
      throw badRange(`private is ${shown(private_)}, expected an integer from 0 to 2^32 - 1`);
    }
    checkBoolean('guarded', guarded);
    if (onError !== 'count' && onError !== 'disable') {
      throw badRange(`onError is ${shown(onError)}, expected 'count' or 'disable'`);
    }
    const areWasm = [isWasm('entry', entry, FPROBE_HANDLER), isWasm('exit', exit, FPROBE_HANDLER)];
    if (builtin !== undefined && (entry !== undefined || exit !== undefined)) {
      throw badType('builtin stands in place of entry and exit, expected one or the other');
    }
    this.#host = host;
    this.#options = { ...options, private: private_ };
    this.#builtin = builtin === undefined ? undefined : builtinRequest(builtin);
    this.#failures = new Failures(() => {
      if (onError === 'disable') this.disable();
    });
    this.#flags = flags;
    this.#dataSize = entryDataSize;
    const isDirect = !guarded && !areWasm.includes(false);
    const { FPROBE_KIND_NONE, FPROBE_KIND_WASM, FPROBE_KIND_HOST } = fprobeLayout;
    const none = entry === undefined && exit === undefined;
    this.#kind = this.#builtin?.kind ?? (none ? FPROBE_KIND_NONE : isDirect ? FPROBE_KIND_WASM : FPROBE_KIND_HOST);
    this.#entry = this.#callback(entry, areWasm[0], true);
    this.#exit = this.#callback(exit, areWasm[1], false);
  }

  /// Puts the probe on the functions that `where` names, of the targets that there are now; a function that is named twice counts
  /// once. Again after `unregister`: its counters begin anew, and what is still under way from before is not told to it.
  ///
  /// Throws, in this order: with `addresses` EEXIST: registered already; EINVAL: none; E2BIG: more than 120 bytes of data; ENOENT:
  /// an address without a function. With `filter` or `symbols` first EINVAL, then ENOENT for what matches nothing or is listed
  /// twice, then the others. At last ENOSPC: 16 users of the function graph; ENOMEM; ENODEV: the engine was killed. After an error
  /// nothing has changed.
  register(where: FprobeWhere): this {
    return this.#register(readOptions('register', where, WHERE));
  }

  #register(where: FprobeWhere): this {
    const { engine, users, sites } = this.#host;
    const given = WHERE.filter((key) => key !== 'notfilter' && where[key as keyof FprobeWhere] !== undefined);
    if (given.length !== 1) {
      const what = given.length === 0 ? 'none of them' : given.join(' and ');
      throw new EngineError('EINVAL', `a probe takes one of filter, addresses and symbols, here ${what}`);
    }
    const [way] = given;
    if (where.notfilter !== undefined && way !== 'filter') {
      throw new EngineError('EINVAL', `notfilter goes with filter, here it stands with ${way}`);
    }
    let found: readonly TargetSite[] = [];
    // A copy, made before anything is asked of this probe: reading an array may run code of its owner's.
    const addresses = readArray('addresses', where.addresses) ?? where.addresses;
    if (way === 'filter') found = byFilter(users.targets, where.filter, where.notfilter);
    if (way === 'symbols') found = bySymbol(users.targets, where.symbols);
    if (this.registered) throw new EngineError('EEXIST', 'the probe is registered already, unregister it first');
    if (way === 'addresses') checkAddresses(addresses);
    const words = Math.ceil(this.#dataSize / WORD);
    if (words > fprobeLayout.MAX_FPROBE_DATA_SIZE_WORD) {
      const most = fprobeLayout.MAX_FPROBE_DATA_SIZE_WORD * WORD;
      throw new EngineError('E2BIG', `entryDataSize is ${this.#dataSize} bytes, expected ${most} at most`);
    }
    this.#dataSize = words * WORD;
    if (way === 'addresses') found = byAddress(sites, addresses as readonly unknown[]);
    roomToBegin();
    users.settle();
    const ids: [number, number] = [0, 0];
    try {
      ids[0] = this.#add(this.#entry);
      ids[1] = this.#add(this.#exit);
      this.#handle = engine.registerFprobe(
        {
          kind: this.#kind,
          entry: ids[0],
          exit: ids[1],
          dataSize: this.#dataSize,
          flags: this.#flags,
          private: this.#options.private ?? 0,
          ...this.#builtin,
        },
        found.map(({ id }) => id),
      );
    } catch (error) {
      for (const id of ids) this.#owner.remove(id);
      throw error;
    }
    this.#ids = ids;
    this.#last = NOTHING;
    users.hold(this);
    return this;
  }

  /// Takes effect at once, also from inside a handler, its own included: none of its handlers is called any more, those that run
  /// come to their end, activations under way are forgotten. Throws EINVAL when the probe is not registered.
  unregister(): void {
    if (!this.registered) throw new EngineError('EINVAL', 'the probe is not registered');
    roomToEnd();
    const { engine, users } = this.#host;
    this.#last = this.#counters();
    this.#rows = this.#read(false);
    engine.exports.fprobe_unregister(this.#handle);
    this.#handle = 0n;
    for (const id of this.#ids) this.#owner.remove(id);
    this.#ids = [0, 0];
    users.settle();
    users.release(this);
  }

  /// The same, and tells when nothing can reach the probe any more: when no handler that was running at the call still runs.
  unregisterAsync(): Promise<void> {
    this.unregister();
    return this.#gone();
  }

  async #gone(): Promise<void> {
    await undefined; // out of the handler that may have called
    while (this.#host.engine.exports.fprobe_drain() !== 0) await new Promise((resolve) => setTimeout(resolve, 1));
  }

  get registered(): boolean {
    return this.#handle !== 0n && this.#record !== 0;
  }

  get #record(): number {
    return this.#host.engine.exports.fprobe_record(this.#handle);
  }

  /// Takes effect with the next callback on any task. Before `register` too.
  disable(): void {
    const flags = this.#flags | fprobeLayout.FPROBE_FL_DISABLED;
    if (this.#handle !== 0n) this.#host.engine.exports.fprobe_enable(this.#handle, 0);
    this.#flags = flags;
  }

  enable(): void {
    const flags = this.#flags & ~fprobeLayout.FPROBE_FL_DISABLED;
    if (this.#handle !== 0n) this.#host.engine.exports.fprobe_enable(this.#handle, 1);
    this.#flags = flags;
  }

  get disabled(): boolean {
    return (this.#flags & fprobeLayout.FPROBE_FL_DISABLED) !== 0;
  }

  get flags(): number {
    return this.#flags;
  }

  /// Bytes of entry data; a multiple of 8 once the probe was registered.
  get entryDataSize(): number {
    return this.#dataSize;
  }

  /// How many functions it watches: fewer than at first when targets were detached.
  get locations(): number {
    const record = this.registered ? this.#record : 0;
    if (record === 0) return 0;
    const { memory } = this.#host.engine;
    const nodes = memory.load32(record + fprobeLayout.FPROBE_NODES);
    let live = 0;
    for (let k = 0; k < memory.load32(record + fprobeLayout.FPROBE_NODE_COUNT); k++) {
      if (memory.load32(nodes + k * fprobeLayout.NODE_SIZE + fprobeLayout.NODE_OWNER) !== 0) live++;
    }
    return live;
  }

  /// Activations that it took part in since it was registered: its entry handler was called, or, without one, its exit handler
  /// arranged for.
  get hits(): number {
    return this.#counters().hits;
  }

  /// Times that a handler should have run and did not, as the kernel counts them (spec/fprobe.md §13): no room for the records of
  /// all probes of the function, or the exclusive group was busy.
  get nmissed(): number {
    return this.#counters().nmissed;
  }

  /// Callbacks that did not come since handlers ran on top of each other already, entries and exits.
  get recursion(): number {
    return this.#counters().recursion;
  }

  /// Activations that had no room on the shadow stack at all.
  get overrun(): number {
    return this.#counters().overrun;
  }

  #counters(): Counters {
    const record = this.registered ? this.#record : 0;
    if (record === 0) return this.#last;
    const { memory } = this.#host.engine;
    return {
      hits: memory.load64(record + fprobeLayout.FPROBE_HITS),
      nmissed: memory.load64(record + fprobeLayout.FPROBE_NMISSED),
      recursion: memory.load32(record + fprobeLayout.FPROBE_RECURSION),
      overrun: memory.load32(record + fprobeLayout.FPROBE_OVERRUN),
    };
  }

  /// How often a handler threw or returned a promise.
  get errors(): number {
    return this.#failures.count;
  }

  /// What was thrown last.
  get lastError(): unknown {
    return this.#failures.last;
  }

  /// What a built-in handler kept, for each function that has something. `clear`: and begins anew. After `unregister`: as it was.
  read(options: { clear?: boolean } = {}): FprobeRow[] {
    const { clear = false } = readOptions('read', options, ['clear']);
    checkBoolean('clear', clear);
    return this.#read(clear);
  }

  #read(clear: boolean): FprobeRow[] {
    if (!this.#builtin) return [];
    const record = this.registered ? this.#record : 0;
    const { engine, sites } = this.#host;
    const rows = record === 0 ? this.#rows : readRows(engine.memory, record, this.#builtin, (id) => sites.byId(id));
    if (clear) {
      if (record !== 0) engine.exports.fprobe_clear(this.#handle);
      else this.#rows = [];
    }
    return rows;
  }

  // ---- the handlers

  #add(callback: Callback | WasmFprobeHandler | undefined): number {
    if (!callback) return 0;
    return typeof callback === 'function' ? this.#host.wasmTable.add(callback) : this.#host.handlers.add(callback);
  }

  get #owner(): Handlers | WasmTable {
    return this.#kind === fprobeLayout.FPROBE_KIND_WASM ? this.#host.wasmTable : this.#host.handlers;
  }

  #callback(
    handler: AnyHandlers['entry'],
    isWasm: boolean | undefined,
    isEntry: boolean,
  ): Callback | WasmFprobeHandler | undefined {
    if (handler === undefined || this.#kind === fprobeLayout.FPROBE_KIND_WASM) return handler as WasmFprobeHandler;
    if (isWasm) return guarded(this.#caller(handler as WasmFprobeHandler), this.#failures);
    return new FprobeCallback(this.#host, this, handler as FprobeHandler, this.#options, isEntry, this.#failures);
  }

  /// Calls a WebAssembly handler as the engine would.
  #caller(handler: WasmFprobeHandler): Callback['run'] {
    const { engine, sites } = this.#host;
    const { memory } = engine;
    const private_ = this.#options.private ?? 0;
    return (about, site, _frame, fregs) => {
      const ret = memory.u64[(about + layout.FPROBE_CALL_RET) >>> layout.WORD_SHIFT]!;
      const data = memory.load32(about + layout.FPROBE_CALL_DATA);
      return handler(private_, BigInt(sites.byId(site).ip), ret, fregs, data);
    };
  }
}

/// `Tracer.registerFprobe`.
export function registerFprobe(host: ClientHost, options: FprobeOptions | WasmFprobeOptions): Fprobe {
  const read = readOptions('registerFprobe', options, [...HANDLERS, ...WHERE]);
  const { filter, notfilter, addresses, symbols, ...handlers } = read;
  return new Fprobe(host, handlers).register({ filter, notfilter, addresses, symbols });
}

/// `Tracer.createFprobe`.
export function createFprobe(host: ClientHost, handlers: AnyHandlers): Fprobe {
  return new Fprobe(host, readOptions('createFprobe', handlers, HANDLERS));
}
