// The function_graph tracer (spec/fgraph.md §11): a built-in user that records entries and returns into a ring buffer of its
// own, and the text of what it recorded. Recording happens in the engine; reading happens here, whenever somebody asks.

import * as layout from '../assembly/layout.ts';
import type { Engine } from './engine.ts';
import { badRange } from './errors.ts';
import type { FilterPair } from './filter.ts';
import { checkOptions } from './options.ts';
import { decodePage, pageBatch } from './trace/decode.ts';
import { type Batch, TraceEvent } from './trace/events.ts';
import { GraphText, type GraphOptions as TextOptions } from './trace/graph-text.ts';
import { type Users, Watcher } from './users.ts';

export interface GraphOptions extends FilterPair {
  /// Size of the buffer in pages of 4 KiB, a power of two up to 65536. Default 1024. A page holds about 500 events.
  readonly bufferPages?: number;
  /// What happens when the buffer is full: `overwrite` drops the oldest page (the default), `stop` drops what is new.
  readonly mode?: 'overwrite' | 'stop';
}

const DEFAULT_PAGES = 1024;

/// Names for the numbers in a recording.
export interface Symbols {
  /// Name of the function at an engine site id.
  symbol(site: number): string;
  comm(pid: number): string;
}

export class GraphTracer extends Watcher {
  readonly #engine: Engine;
  readonly #users: Users;
  readonly #symbols: Symbols;
  readonly #ring: number;
  readonly #index: number;
  #registered = true;
  /// `lost` as it was when the buffer was given back.
  #lost: number | undefined;

  /// Use `Tracer.startGraph`.
  constructor(engine: Engine, users: Users, symbols: Symbols, options: GraphOptions) {
    checkOptions('startGraph', options, ['filter', 'notrace', 'bufferPages', 'mode']);
    super(users, options);
    const { bufferPages = DEFAULT_PAGES, mode = 'overwrite' } = options;
    const isPower = Number.isInteger(bufferPages) && bufferPages > 0 && Number.isInteger(Math.log2(bufferPages));
    if (!isPower || bufferPages > layout.RING_PAGES_MAX) {
      throw badRange(`bufferPages is ${bufferPages}, expected a power of two up to ${layout.RING_PAGES_MAX}`);
    }
    if (mode !== 'overwrite' && mode !== 'stop') {
      throw badRange(`mode is '${mode}', expected 'overwrite' or 'stop'`);
    }
    this.#engine = engine;
    this.#users = users;
    this.#symbols = symbols;
    this.#ring = engine.createRing(bufferPages, mode === 'stop' ? layout.RING_STOP : layout.RING_OVERWRITE);
    try {
      this.#index = engine.registerFgraph(layout.GOPS_GRAPH, 0, 0, this.#ring);
    } catch (error) {
      engine.exports.ring_free(this.#ring);
      throw error;
    }
    this.beginWatching();
  }

  /// Events that were dropped or overwritten before anybody read them.
  get lost(): number {
    return this.#lost ?? this.#engine.memory.ringLost(this.#ring);
  }

  /// `tracing_on`: recording can be halted and taken up again without touching a gate.
  get on(): boolean {
    return !this.#closed && this.#engine.memory.ringOn(this.#ring);
  }
  set on(on: boolean) {
    if (!this.#closed) this.#engine.exports.ring_on(this.#ring, on ? 1 : 0);
  }

  /// Calls `visit` with each page of the buffer, decoded, oldest first. The batch is filled anew for every page.
  /// `consume`: what was visited is gone afterwards (`trace_pipe`); otherwise it stays (`trace`). No page after `close`.
  pages(visit: (batch: Batch) => void, consume = false): void {
    if (this.#closed) return;
    this.#users.settle();
    const { exports, memory } = this.#engine;
    const batch = pageBatch();
    const [tail, head] = memory.ringRange(this.#ring);
    for (let sequence = tail; sequence !== (head + 1) >>> 0; sequence = (sequence + 1) >>> 0) {
      const page = exports.ring_read(this.#ring, sequence) >>> 0;
      if (page === 0) continue; // overwritten meanwhile
      decodePage(memory.u32, page, batch);
      visit(batch);
      if (this.#closed) return;
      if (consume) exports.ring_consume(this.#ring, sequence); // after it: a visitor that throws has not had the page
    }
  }

  /// Copies of the buffer's pages as they lie in memory, oldest first; what was recorded stays.
  rawPages(): Uint8Array[] {
    if (this.#closed) return [];
    this.#users.settle();
    const { exports, memory } = this.#engine;
    const pages: Uint8Array[] = [];
    const [tail, head] = memory.ringRange(this.#ring);
    for (let sequence = tail; sequence !== (head + 1) >>> 0; sequence = (sequence + 1) >>> 0) {
      const page = exports.ring_read(this.#ring, sequence) >>> 0;
      if (page === 0) continue; // overwritten meanwhile
      pages.push(new Uint8Array(memory.u32.buffer, page, layout.RING_PAGE_SIZE).slice());
    }
    return pages;
  }

  /// The text of the buffer in the kernel's format, with its header, in pieces of about a page. Default: `trace`, which leaves
  /// the buffer as it is; `consume`: `trace_pipe`.
  *text(options: Partial<TextOptions> & { consume?: boolean } = {}): Generator<string> {
    const text = new GraphText(options, { symbol: this.#symbols.symbol, comm: this.#symbols.comm });
    yield text.header();
    const event = new TraceEvent();
    event.pid = 1;
    const pieces: string[] = [];
    this.pages((batch) => {
      let piece = '';
      for (let i = 0; i < batch.count; i++) {
        batch.read(i, event);
        piece += text.push(event);
      }
      pieces.push(piece);
    }, options.consume);
    yield* pieces;
    yield text.end();
  }

  /// The whole text at once, see `text`.
  read(options?: Partial<TextOptions>): string {
    return [...this.text(options)].join('');
  }

  /// Forgets all that was recorded so far.
  clear(): void {
    if (!this.#closed) this.#engine.exports.ring_clear(this.#ring);
  }

  /// Stops recording; what was recorded can still be read. Functions that are running leave no return.
  unregister(): void {
    if (!this.#registered) return;
    this.#registered = false;
    this.endWatching();
    this.#engine.exports.fgraph_unregister(this.#index);
  }

  /// Stops recording and gives the buffer back: nothing is left to read but `lost`.
  close(): void {
    if (this.#closed) return;
    this.unregister();
    this.#lost = this.lost;
    this.#engine.exports.ring_free(this.#ring);
  }

  /// The engine may give the same address to somebody else's buffer.
  get #closed(): boolean {
    return this.#lost !== undefined;
  }

  protected want(site: number, wanted: boolean): void {
    this.#engine.exports.site_want(site, this.#index, wanted ? 1 : 0);
  }
}
