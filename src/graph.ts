// The function_graph tracer (spec/fgraph.md §11): a built-in user that records entries and returns into a ring buffer of its
// own, and the text of what it recorded. Recording happens in the engine; reading happens here, whenever somebody asks.

import * as layout from '../assembly/layout.ts';
import { BUFFER_OPTIONS, type BufferOptions } from './buffer.ts';
import type { ClientHost } from './client.ts';
import type { FilterPair } from './filter.ts';
import { checkBoolean, checkLike, checkThreshold, readOptions } from './options.ts';
import { roomToEnd } from './stack.ts';
import { TaskBuffers } from './task-buffers.ts';
import type { Task } from './tasks.ts';
import { type Batch, LOST, TraceEvent } from './trace/events.ts';
import { GRAPH_DEFAULTS, GraphText, type GraphOptions as TextOptions } from './trace/graph-text.ts';
import { bufferInfo } from './trace/header.ts';
import { Merge } from './trace/merge.ts';
import type { Param } from './trace/words.ts';
import { Watcher } from './users.ts';

export interface GraphOptions extends FilterPair, BufferOptions {
  /// `tracing_thresh`: 0 or above, in units of the tracer's clock (nanoseconds with `mono`). Above 0 only returns are recorded, of
  /// calls that took at least that long. Default 0.
  readonly threshold?: number;
  /// `funcgraph-irqs`: false leaves out what runs in interrupts. Default true.
  readonly irqs?: boolean;
  /// `sleep-time`: false takes the time during which the task was not the current one out of durations. Default true.
  readonly sleepTime?: boolean;
  /// `funcgraph-args`: entries are recorded with up to six words of arguments, and printed with them. Default false.
  readonly args?: boolean;
  /// `funcgraph-retval`: returns are recorded with the first word of their results, and printed with it. Default false.
  readonly retval?: boolean;
  /// `funcgraph-retaddr`: entries are recorded with the address that they return to, on targets without a CPU with that of the
  /// function that called, and printed with it. Default false.
  readonly retaddr?: boolean;
}

const OPTIONS = ['threshold', 'irqs', 'sleepTime', 'args', 'retval', 'retaddr'] as const;

/// Names for the numbers in a recording.
export interface Symbols {
  /// Name of the function at an engine site id.
  symbol(site: number): string;
  comm(pid: number): string;
  /// Whether it is an interrupt entry.
  isInterrupt(site: number): boolean;
  /// A return address as `caller+0x10/0x20`.
  caller(address: number | bigint): string;
  /// How `words` words of arguments of the function at an engine site id are printed; null: there is no type information.
  params(site: number, words: number): readonly Param[] | null;
}

const TEXT = [...Object.keys(GRAPH_DEFAULTS), 'consume'];

/// Characters of a piece of text, about.
const PIECE = 1 << 15;

export class GraphTracer extends Watcher {
  readonly #host: ClientHost;
  readonly #symbols: Symbols;
  readonly #buffers: TaskBuffers;
  /// What is printed because it is recorded.
  readonly #columns: Partial<TextOptions>;
  #index = -1;

  /// Use `Tracer.startGraph`.
  constructor(host: ClientHost, symbols: Symbols, options: GraphOptions) {
    const read = readOptions('startGraph', options, ['filter', 'notrace', ...BUFFER_OPTIONS, ...OPTIONS]);
    super(host.users, read, () => this.#index);
    const { threshold = 0, irqs = true, sleepTime = true, args = false, retval = false, retaddr = false } = read;
    checkThreshold(threshold);
    for (const [name, value] of Object.entries({ irqs, sleepTime, args, retval, retaddr })) checkBoolean(name, value);
    this.#columns = { retval, retaddr };
    this.#host = host;
    this.#symbols = symbols;
    this.#buffers = new TaskBuffers(host, read, () => this.#index);
    this.#index = host.engine.registerFgraph(layout.GOPS_GRAPH, 0, 0, 0);
    const skipped = (irqs ? 0 : layout.GRAPH_SKIP_IRQS) | (sleepTime ? 0 : layout.GRAPH_SKIP_SLEEP);
    const noted =
      (args ? layout.GRAPH_ARGUMENTS : 0) | (retval ? layout.GRAPH_RESULTS : 0) | (retaddr ? layout.GRAPH_CALLERS : 0);
    host.engine.exports.graph_options(this.#index, skipped | noted, threshold);
    try {
      host.tasks.observe(this.#buffers);
      this.beginWatching();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /// Events that were dropped or overwritten before anybody read them.
  get lost(): number {
    return this.#buffers.lost;
  }

  /// `tracing_on`: recording can be halted and taken up again without touching a gate.
  get on(): boolean {
    return this.#buffers.on;
  }
  set on(on: boolean) {
    this.#buffers.on = on;
  }

  /// Calls `visit` with each page of the buffer, decoded, oldest first, task after task. The batch is filled anew for every page.
  /// `consume`: what was visited is gone afterwards (`trace_pipe`); otherwise it stays (`trace`). No page after `close`.
  pages(visit: (batch: Batch, task: Task) => void, consume = false): void {
    this.#buffers.pages(visit, consume);
  }

  /// Copies of the buffer's pages as they lie in memory, oldest first, task after task; what was recorded stays.
  rawPages(): Uint8Array[] {
    return this.#buffers.rawPages();
  }

  /// The same with the task of each, the tracer's own first.
  rawTasks(): { readonly task: Task; readonly pages: Uint8Array[] }[] {
    return this.#buffers.rawTasks();
  }

  /// The text of the buffer in the kernel's format, with its header, in pieces of about a page. Default: `trace`, which leaves
  /// the buffer as it is; `consume`: `trace_pipe`.
  text(options: Partial<TextOptions> & { consume?: boolean } = {}): Generator<string> {
    return this.#pieces('text', options);
  }

  *#pieces(who: string, options: Partial<TextOptions> & { consume?: boolean }): Generator<string> {
    const { consume = false, ...columns } = readOptions(who, options, TEXT);
    checkBoolean('consume', consume);
    checkLike(columns, GRAPH_DEFAULTS);
    const text = new GraphText({ ...this.#columns, ...columns }, this.#symbols);
    const event = new TraceEvent();
    const events = new Merge(this.#buffers.sources(consume));
    const pieces: string[] = [];
    let piece = '';
    let entries = 0;
    while (events.next(event)) {
      if (event.kind !== LOST) entries++;
      piece += text.push(event);
      if (piece.length < PIECE) continue;
      pieces.push(piece);
      piece = '';
    }
    pieces.push(piece);
    yield text.header(bufferInfo(entries, entries + this.lost, columns.cpus), this.#host.engine.isDead);
    yield* pieces;
    yield text.end();
  }

  /// The whole text at once, see `text`.
  read(options: Partial<TextOptions> = {}): string {
    return [...this.#pieces('read', options)].join('');
  }

  /// Forgets all that was recorded so far.
  clear(): void {
    this.#buffers.clear();
  }

  /// Stops recording; what was recorded can still be read. Functions that are running leave no return.
  unregister(): void {
    if (this.#index < 0) return;
    roomToEnd();
    this.endWatching(() => {
      this.#host.tasks.unobserve(this.#buffers);
      this.#host.engine.exports.fgraph_unregister(this.#index);
    });
    this.#index = -1;
  }

  /// Stops recording and gives the buffer back: nothing is left to read but `lost`.
  close(): void {
    roomToEnd();
    this.unregister();
    this.#buffers.close();
  }
}
