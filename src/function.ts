// The function tracer (spec/fgraph.md §13): plain ops that record which function was entered, and from where.

import * as layout from '../assembly/layout.ts';
import { BUFFER_OPTIONS, Buffer, type BufferOptions } from './buffer.ts';
import type { ClientHost } from './client.ts';
import type { FilterPair } from './filter.ts';
import type { Symbols } from './graph.ts';
import { checkBoolean, readOptions } from './options.ts';
import { type Batch, FUNCTION } from './trace/events.ts';
import {
  FUNCTION_DEFAULTS,
  FunctionEvent,
  FunctionText,
  type FunctionOptions as TextOptions,
} from './trace/function-text.ts';
import { Watcher } from './users.ts';

export interface FunctionOptions extends FilterPair, BufferOptions {
  /// Keep frames of the watched functions, so that callers are known, at the price of one of the 16 users of the function graph for
  /// all who want that together. Otherwise callers are what the users of the graph have frames of. Default true.
  readonly parents?: boolean;
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
    const read = readOptions('startFunction', options, ['filter', 'notrace', 'parents', ...BUFFER_OPTIONS]);
    super(host.users, read, () => this.#ops);
    const { parents = true } = read;
    checkBoolean('parents', parents);
    this.#host = host;
    this.#symbols = symbols;
    this.#parents = parents;
    this.#buffer = new Buffer(host.engine, host.users, read);
    try {
      this.#ops = host.engine.registerOps(layout.OPS_FUNCTION, this.#buffer.ring);
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
  *text(options: Partial<TextOptions> & { consume?: boolean } = {}): Generator<string> {
    const { consume = false, ...columns } = readOptions('text', options, TEXT);
    checkBoolean('consume', consume);
    const text = new FunctionText(columns, {
      symbol: (place) => this.#symbols.symbol(Number(place)),
      comm: this.#symbols.comm,
    });
    const event = new FunctionEvent();
    const pieces: string[] = [];
    let entries = 0;
    this.pages((batch) => {
      let piece = '';
      for (let i = 0; i < batch.count; i++) {
        if (batch.kind[i] !== FUNCTION) {
          piece += text.lost(0, batch.func[i]);
          continue;
        }
        entries++;
        event.func = batch.func[i];
        event.time = batch.time[i];
        event.pid = batch.pid[i];
        const { sites } = this.#host;
        const parent =
          typeof sites.byId(event.func).ip === 'bigint'
            ? (BigInt(batch.callerHigh[i]) << 32n) | BigInt(batch.callerLow[i])
            : batch.call[i];
        event.parent = parent === 0 ? null : (sites.around(parent)?.id ?? null);
        piece += text.push(event);
      }
      pieces.push(piece);
    }, consume);
    yield text.header({ entries, written: entries + this.lost, cpu: 0, cpus: 1, release: '', model: '' });
    yield* pieces;
    yield text.end();
  }

  /// The whole text at once, see `text`.
  read(options?: Partial<TextOptions>): string {
    return [...this.text(options)].join('');
  }

  /// Forgets all that was recorded so far.
  clear(): void {
    this.#buffer.clear();
  }

  /// Stops recording; what was recorded can still be read.
  unregister(): void {
    if (this.#ops === 0) return;
    this.endWatching(() => this.#host.engine.exports.ops_unregister(this.#ops));
    this.#ops = 0;
    this.#host.parents.remove(this);
  }

  /// Stops recording and gives the buffer back: nothing is left to read but `lost`.
  close(): void {
    this.unregister();
    this.#buffer.close();
  }

  protected override filtersChanged(): void {
    if (this.#parents && this.#ops !== 0) this.#host.parents.set(this, this.halves);
  }
}
