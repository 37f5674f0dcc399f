// The ring buffers of a graph user, one for each task, and what they hold as one stream of events.

import { Buffer, type BufferOptions, checkOn } from './buffer.ts';
import type { ClientHost } from './client.ts';
import { EngineError } from './engine.ts';
import { checkBoolean, checkFunction } from './options.ts';
import { roomToCall } from './stack.ts';
import type { Task, TaskObserver } from './tasks.ts';
import { pageBatch } from './trace/decode.ts';
import type { Batch } from './trace/events.ts';
import type { Source } from './trace/merge.ts';

export class TaskBuffers implements TaskObserver {
  readonly #host: ClientHost;
  readonly #options: BufferOptions;
  readonly #index: () => number;
  #buffers: { readonly task: Task; readonly buffer: Buffer }[] = [];
  #on = true;
  #closed = false;
  /// Of buffers that were given back.
  #lost = 0;

  /// `index` is that of the user, as long as he is registered, then −1.
  constructor(host: ClientHost, options: BufferOptions, index: () => number) {
    this.#host = host;
    this.#options = options;
    this.#index = index;
  }

  /// Throws RangeError for options out of their range, ENOMEM.
  begin(task: Task): void {
    const { engine, users } = this.#host;
    const buffer = new Buffer(engine, users, this.#options);
    buffer.on = this.#on;
    if (engine.exports.graph_set_ring(this.#index(), task.address, buffer.ring) < 0) {
      buffer.close();
      throw new EngineError('EINVAL', `cannot record on task ${task.comm}-${task.pid}`);
    }
    this.#buffers.push({ task, buffer });
  }

  /// What was recorded of the task stays; an empty buffer is given back.
  end(task: Task): void {
    const { engine } = this.#host;
    engine.exports.graph_set_ring(this.#index(), task.address, 0);
    const kept = this.#buffers.filter((mine) => mine.task !== task || !mine.buffer.isEmpty);
    for (const mine of this.#buffers) if (!kept.includes(mine)) this.#giveBack(mine.buffer);
    this.#buffers = kept;
  }

  #giveBack(buffer: Buffer): void {
    buffer.close();
    this.#lost += buffer.lost;
  }

  get lost(): number {
    return this.#buffers.reduce((sum, { buffer }) => sum + buffer.lost, this.#lost);
  }

  get on(): boolean {
    return this.#on && !this.#closed;
  }
  set on(on: boolean) {
    checkOn(on);
    roomToCall();
    this.#on = on;
    for (const { buffer } of this.#buffers) buffer.on = on;
  }

  /// See `Buffer.pages`: task after task.
  pages(visit: (batch: Batch, task: Task) => void, consume: boolean): void {
    checkFunction('pages: the visitor', visit);
    checkBoolean('pages: consume', consume);
    for (const { task, buffer } of this.#buffers) buffer.pages((batch) => visit(batch, task), consume);
  }

  rawPages(): Uint8Array[] {
    return this.rawTasks().flatMap(({ pages }) => pages);
  }

  /// The same, task by task, the tracer's own first.
  rawTasks(): { readonly task: Task; readonly pages: Uint8Array[] }[] {
    return this.#buffers.map(({ task, buffer }) => ({ task, pages: buffer.rawPages() }));
  }

  /// For `Merge`.
  sources(consume: boolean): Source[] {
    return this.#buffers.map(({ task, buffer }) => {
      const batch = pageBatch();
      const batches = buffer.batches(consume, batch);
      return { cpu: task.cpu, pid: task.pid, batch, next: () => !batches.next().done };
    });
  }

  clear(): void {
    for (const { buffer } of this.#buffers) buffer.clear();
  }

  close(): void {
    this.#closed = true;
    for (const { buffer } of this.#buffers) this.#giveBack(buffer);
    this.#buffers = [];
  }
}
