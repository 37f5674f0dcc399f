// A user of the function graph with handlers of his own (spec/fgraph.md §2 to §4): called when a watched function is entered
// and when it returns, with data on the shadow stack in between. What he is told, and in which order, is the engine's;
// here his handlers are kept from harming the program that they watch.

import * as layout from '../assembly/layout.ts';
import type { ClientHost } from './client.ts';
import { EngineError } from './engine.ts';
import { badRange, badType, shown } from './errors.ts';
import { FgraphCallback } from './fgraph-callback.ts';
import type { FgraphEvent } from './fgraph-event.ts';
import type { FilterPair } from './filter.ts';
import { type Callback, Failures, guarded, type Handlers } from './handlers.ts';
import { checkBoolean, checkString, readOptions } from './options.ts';
import type { FtraceRegs } from './regs.ts';
import { roomToBegin, roomToEnd } from './stack.ts';
import { Watcher } from './users.ts';
import { isWasm, type WasmHandler, type WasmTable } from './wasm-handlers.ts';

/// A watched function is entered. `false` or 0: this user is not told of the return, and what he reserved is dropped. `event`
/// and `fregs` are good until the handler returns.
export type EntryHandler = (event: FgraphEvent, fregs: FtraceRegs) => unknown;

/// A function whose entry the user accepted returns. Not called for calls that end otherwise.
export type ReturnHandler = (event: FgraphEvent, fregs: FtraceRegs) => unknown;

export interface FgraphOptions extends FilterPair {
  /// For messages. Default `fgraphN`, N being the index.
  readonly name?: string;
  /// At least one of the two; called with this object as `this`.
  readonly entry?: EntryHandler;
  readonly return?: ReturnHandler;
  readonly guarded?: boolean;
}

/// The same with exported WebAssembly functions, called without JavaScript in between. With one handler of each kind, both are
/// called through JavaScript.
export interface WasmFgraphOptions extends FilterPair {
  readonly name?: string;
  readonly entry?: WasmHandler;
  readonly return?: WasmHandler;
  /// Call WebAssembly handlers through JavaScript, where a trap is caught and counted. Otherwise it reaches the program as if
  /// the program had trapped. Default false.
  readonly guarded?: boolean;
}

const KNOWN = ['name', 'filter', 'notrace', 'entry', 'return', 'guarded'];

export class FgraphUser extends Watcher {
  readonly #host: ClientHost;
  readonly #options: FgraphOptions | WasmFgraphOptions;
  /// What the engine calls: entries of its table if `#isWasm`, otherwise through its import.
  readonly #entry: Callback | WasmHandler | undefined;
  readonly #return: Callback | WasmHandler | undefined;
  readonly #isWasm: boolean;
  readonly #name: string | undefined;
  readonly #failures = new Failures();
  /// Who runs, to `Running`, while a handler of his does.
  readonly #key: number;
  #index = -1;
  #ids: readonly [entry: number, ret: number] = [0, 0];

  /// Use `Tracer.registerFgraph`.
  constructor(host: ClientHost, options: FgraphOptions | WasmFgraphOptions) {
    const read = readOptions('registerFgraph', options, KNOWN);
    super(host.users, read, () => this.#index);
    const { name, entry, return: ret, guarded = false } = read;
    checkString('name', name);
    checkBoolean('guarded', guarded);
    if (entry === undefined && ret === undefined) throw badType('registerFgraph: expected entry or return, or both');
    const [entryIsWasm, returnIsWasm] = [isWasm('entry', entry), isWasm('return', ret)];
    this.#host = host;
    this.#options = options;
    this.#name = name;
    this.#key = host.running.newKey();
    this.#isWasm = !guarded && entryIsWasm !== false && returnIsWasm !== false;
    this.#entry = this.#callback(entry, entryIsWasm, true);
    this.#return = this.#callback(ret, returnIsWasm, false);
    this.register(host);
  }

  /// Whether `value` is one, and not just an object that inherits from one.
  static is(value: unknown): value is FgraphUser {
    return typeof value === 'object' && value !== null && #host in value;
  }

  /// Registers a user that was unregistered, as a new one: other index, no data. Throws EBUSY: he is registered; ENOSPC: 16 users
  /// are already; ENODEV: the engine was killed; EINVAL: `host` is not that of his tracer. Nothing has changed then.
  register(host: ClientHost): void {
    if (host !== this.#host) throw new EngineError('EINVAL', `${this.name} is a user of another tracer`);
    if (this.registered) throw new EngineError('EBUSY', `${this.name} is registered already`);
    roomToBegin();
    const { engine } = this.#host;
    const ids: [number, number] = [0, 0];
    try {
      ids[0] = this.#add(this.#entry);
      ids[1] = this.#add(this.#return);
      this.#index = engine.registerFgraph(this.#isWasm ? layout.GOPS_WASM : layout.GOPS_HOST, ...ids, 0);
      this.#ids = ids;
      this.beginWatching();
    } catch (error) {
      this.#ids = ids;
      this.#forget();
      throw error;
    }
  }

  /// Takes effect at once, also from inside a handler: none of his is called any more, those that run come to their end, and what he
  /// kept in frames in flight is gone. Again: does nothing.
  unregister(): void {
    if (!this.registered) return;
    roomToEnd();
    this.#forget();
  }

  #forget(): void {
    this.endWatching(() => {
      if (this.#index >= 0) this.#host.engine.exports.fgraph_unregister(this.#index);
    });
    this.#index = -1;
    for (const id of this.#ids) this.#owner.remove(id);
    this.#ids = [0, 0];
  }

  #add(callback: Callback | WasmHandler | undefined): number {
    if (!callback) return 0;
    return typeof callback === 'function' ? this.#host.wasmTable.add(callback) : this.#host.handlers.add(callback);
  }

  get #owner(): Handlers | WasmTable {
    return this.#isWasm ? this.#host.wasmTable : this.#host.handlers;
  }

  get registered(): boolean {
    return this.#index >= 0;
  }

  /// Index among the users, 0 to 15; −1 when not registered.
  get idx(): number {
    return this.#index;
  }

  get name(): string {
    return this.#name ?? `fgraph${this.#index < 0 ? '' : this.#index}`;
  }

  /// How often a handler threw or returned a promise; the call was then not accepted (entry) or told to nobody (return).
  get errors(): number {
    return this.#failures.count;
  }

  /// What was thrown last.
  get lastError(): unknown {
    return this.#failures.last;
  }

  /// Room in the frame of the call that this user's entry handler runs for: 1 to 256 bytes, rounded up to words of 8, not
  /// cleared. What the view holds when the handler returns is kept; later writes to it go nowhere. `null`: more than 256 bytes, no
  /// room on the shadow stack, or a second time in the same call.
  ///
  /// Throws RangeError for a size that is none, EINVAL outside of the entry handler, ENODEV when that has unregistered its user.
  reserveData(bytes: number): DataView | null {
    if (typeof bytes !== 'number')
      throw badType(`reserveData: the size is ${shown(bytes)}, expected a number of bytes`);
    if (!Number.isInteger(bytes) || bytes < 1)
      throw badRange(`reserveData: the size is ${bytes}, expected 1 to 256 bytes`);
    const { engine, running } = this.#host;
    if (running.key !== this.#key) {
      throw new EngineError('EINVAL', `reserveData: expected to be called by the entry handler of ${this.name}`);
    }
    if (!this.registered) throw new EngineError('ENODEV', `reserveData: ${this.name} is not registered any more`);
    if (bytes > layout.FGRAPH_MAX_DATA_SIZE) return null;
    const address = engine.exports.reserve(this.#index, bytes);
    if (address === 0) return null;
    const size = (bytes + layout.WORD_SIZE - 1) & -layout.WORD_SIZE;
    return running.data.lend(address + size, size);
  }

  /// What this user reserved in the newest frame of the current task, or in the one `n` frames below it, whoever caused those frames:
  /// all words of it, so up to 7 bytes more than were asked for. `null`: nothing. In a handler of this user, what is written to the
  /// view is kept; elsewhere it is a copy.
  retrieveData(n = 0): DataView | null {
    if (typeof n !== 'number') throw badType(`retrieveData: the frame is ${shown(n)}, expected a number of frames`);
    if (!Number.isInteger(n) || n < 0)
      throw badRange(`retrieveData: the frame is ${n}, expected 0 or more frames below`);
    if (!this.registered || n > 0xffffffff) return null;
    const { engine, running } = this.#host;
    const word = engine.exports.retrieve_word(this.#index, n);
    if (word === 0) return null;
    const { data } = running;
    const size = data.size(word);
    return (running.key & ~1) === this.#key ? data.lend(word, size) : data.copy(word, size);
  }

  /// A number that belongs to this user on the current task, an integer from 0 to 2^53 − 1; 0 when he registers and when a task
  /// begins. Throws RangeError for other values, ENODEV when the user is not registered.
  get taskVar(): number {
    return this.#host.engine.memory.load64(this.#taskVar());
  }
  set taskVar(value: number) {
    if (!Number.isSafeInteger(value) || value < 0) {
      throw badRange(`taskVar is ${shown(value)}, expected an integer from 0 to 2^53 - 1`);
    }
    this.#host.engine.memory.store64(this.#taskVar(), value);
  }

  #taskVar(): number {
    const address = this.registered ? this.#host.engine.exports.task_variable(this.#index) : 0;
    if (address === 0) throw new EngineError('ENODEV', `${this.name} is not registered and has no task variable`);
    return address;
  }

  #callback(
    handler: EntryHandler | WasmHandler | undefined,
    isWasm: boolean | undefined,
    isEntry: boolean,
  ): Callback | WasmHandler | undefined {
    if (!handler || this.#isWasm) return handler as WasmHandler | undefined;
    if (isWasm) return guarded(handler as WasmHandler, this.#failures);
    const what = () => `the ${isEntry ? 'entry' : 'return'} handler of ${this.name}`;
    const key = isEntry ? this.#key : this.#key + 1;
    return new FgraphCallback(this.#host, handler as EntryHandler, this.#options, key, this.#failures, what);
  }
}
