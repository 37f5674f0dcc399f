// The function tracer (spec/fgraph.md §13): plain ops that record which function was entered, and from where.

import * as layout from '../assembly/layout.ts';
import { BUFFER_OPTIONS, Buffer, type BufferOptions } from './buffer.ts';
import type { ClientHost } from './client.ts';
import { badRange } from './errors.ts';
import type { FilterPair } from './filter.ts';
import type { Symbols } from './graph.ts';
import { checkBoolean, checkLike, readOptions } from './options.ts';
import { roomToEnd } from './stack.ts';
import { type Batch, FUNCTION } from './trace/events.ts';
import {
  FUNCTION_DEFAULTS,
  FunctionEvent,
  FunctionText,
  type FunctionOptions as TextOptions,
} from './trace/function-text.ts';
import { bufferInfo } from './trace/header.ts';
import type { NotedCall } from './trace/notes.ts';
import { Watcher } from './users.ts';

export interface FunctionOptions extends FilterPair, BufferOptions {
  /// Keep frames of the watched functions, so that callers are known, at the price of one of the 16 users of the function graph for
  /// all who want that together. Otherwise callers are what the users of the graph have frames of. Default true.
  readonly parents?: boolean;
  /// `func-args`: calls are recorded with up to six words of arguments, and printed with them. Default false.
  readonly args?: boolean;
  /// `func-no-repeats`: of calls of one function from one place by one task, one after the other, the first is recorded, the others
  /// are counted: a line before the next call that differs. Default false.
  readonly noRepeats?: boolean;
  /// `func_stack_trace`: after each call the functions that it stands on, as far as frames of them are kept, 256 at most. Default
  /// false.
  readonly stackTrace?: boolean;
}

const OPTIONS = ['parents', 'args', 'noRepeats', 'stackTrace'] as const;

/// The kernel's names of those that `args` does not go with.
const NOT_WITH_ARGS = { noRepeats: 'func-no-repeats', stackTrace: 'func_stack_trace' } as const;

/// Throws RangeError for options that exclude each other (spec/fgraph.md §13).
function flagsOf({ args = false, noRepeats = false, stackTrace = false }: FunctionOptions): number {
  const others = { noRepeats, stackTrace };
  for (const [name, value] of Object.entries({ args, ...others })) checkBoolean(name, value);
  for (const name of ['stackTrace', 'noRepeats'] as const) {
    if (args && others[name]) {
      throw badRange(`args (func-args) and ${name} (${NOT_WITH_ARGS[name]}) exclude each other`);
    }
  }
  return (
    (args ? layout.FUNC_ARGUMENTS : 0) |
    (noRepeats ? layout.FUNC_NO_REPEATS : 0) |
    (stackTrace ? layout.FUNC_STACK_TRACE : 0)
  );
}

const TEXT = [...Object.keys(FUNCTION_DEFAULTS), 'consume'];

export class FunctionTracer extends Watcher {
  readonly #host: ClientHost;
  readonly #symbols: Symbols;
  readonly #buffer: Buffer;
  readonly #parents: boolean;
  /// Handle of the ops.
  #ops = 0;

  /// Use `Tracer.startFunction`.
  constructor(host: ClientHost, symbols: Symbols, options: FunctionOptions) {
    const read = readOptions('startFunction', options, ['filter', 'notrace', ...OPTIONS, ...BUFFER_OPTIONS]);
    super(host.users, read, () => this.#ops);
    const { parents = true } = read;
    checkBoolean('parents', parents);
    const flags = flagsOf(read);
    this.#host = host;
    this.#symbols = symbols;
    this.#parents = parents;
    this.#buffer = new Buffer(host.engine, host.users, read);
    try {
      this.#ops = host.engine.registerOps(layout.OPS_FUNCTION, this.#buffer.ring, flags);
      this.filtersChanged();
      this.beginWatching();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /// Calls that were dropped or overwritten before anybody read them.
  get lost(): number {
    return this.#buffer.lost;
  }

  /// `tracing_on`.
  get on(): boolean {
    return this.#buffer.on;
  }
  set on(on: boolean) {
    this.#buffer.on = on;
  }

  /// Calls `visit` with each page of the buffer, decoded, oldest first, see `GraphTracer.pages`. Of its events, `call` is the
  /// caller's ip, 0 for the host.
  pages(visit: (batch: Batch) => void, consume = false): void {
    this.#buffer.pages(visit, consume);
  }

  /// The text of the buffer in the kernel's format, with its header, in pieces of about a page. Default: `trace`, which leaves
  /// the buffer as it is; `consume`: `trace_pipe`.
  text(options: Partial<TextOptions> & { consume?: boolean } = {}): Generator<string> {
    return this.#pieces('text', options);
  }

  *#pieces(who: string, options: Partial<TextOptions> & { consume?: boolean }): Generator<string> {
    const { consume = false, ...columns } = readOptions(who, options, TEXT);
    checkBoolean('consume', consume);
    checkLike(columns, FUNCTION_DEFAULTS);
    const text = new FunctionText(columns, {
      symbol: (place) => this.#symbols.symbol(Number(place)),
      comm: this.#symbols.comm,
      params: (place, words) => this.#symbols.params(Number(place), words),
    });
    const event = new FunctionEvent();
    const noted: NotedCall = { args: null, run: null, stack: null };
    const { sites } = this.#host;
    const placeOf = (address: bigint) => (address === 0n ? null : (sites.function(address)?.id ?? null));
    const pieces: string[] = [];
    let entries = 0;
    this.pages((batch) => {
      let piece = '';
      for (let i = 0; i < batch.count; i++) {
        if (batch.kind[i] !== FUNCTION) {
          piece += text.lost(0, batch.func[i]);
          continue;
        }
        batch.notes.readCall(i, noted);
        event.time = batch.time[i];
        if (noted.run !== null) {
          entries++;
          event.func = noted.run.site;
          event.pid = noted.run.pid;
          event.parent = placeOf(noted.run.parent);
          event.args = null;
          event.repeats = noted.run.count;
          event.lastTime = noted.run.lastTime;
          piece += text.push(event);
        }
        entries++;
        event.func = batch.func[i];
        event.pid = batch.pid[i];
        event.parent = placeOf((BigInt(batch.callerHigh[i]) << 32n) | BigInt(batch.callerLow[i]));
        event.args = noted.args;
        event.repeats = 0;
        piece += text.push(event);
        if (noted.stack === null) continue;
        entries++;
        event.stack = [event.func, ...noted.stack.map((address) => sites.function(address)?.id ?? address)];
        piece += text.push(event);
        event.stack = null;
      }
      pieces.push(piece);
    }, consume);
    yield text.header(bufferInfo(entries, entries + this.lost), this.#host.engine.isDead);
    yield* pieces;
    yield text.end();
  }

  /// The whole text at once, see `text`.
  read(options: Partial<TextOptions> = {}): string {
    return [...this.#pieces('read', options)].join('');
  }

  /// Forgets all that was recorded so far.
  clear(): void {
    this.#buffer.clear();
  }

  /// Stops recording; what was recorded can still be read.
  unregister(): void {
    if (this.#ops === 0) return;
    roomToEnd();
    this.endWatching(() => this.#host.engine.exports.ops_unregister(this.#ops));
    this.#ops = 0;
    this.#host.parents.remove(this);
  }

  /// Stops recording and gives the buffer back: nothing is left to read but `lost`.
  close(): void {
    roomToEnd();
    this.unregister();
    this.#buffer.close();
  }

  protected override filtersChanged(): void {
    if (this.#parents && this.#ops !== 0) this.#host.parents.set(this, this.halves);
  }
}
