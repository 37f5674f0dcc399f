// A ring buffer as a recorder's host side sees it: how it is asked for, read, switched and given back. The engine writes it,
// whoever it belongs to.

import * as ringLayout from '../assembly/ring-layout.ts';
import type { Engine } from './engine.ts';
import { badRange, badType, shown } from './errors.ts';
import { checkBoolean, checkFunction } from './options.ts';
import { decodePage, pageBatch } from './trace/decode.ts';
import type { Batch } from './trace/events.ts';
import type { Users } from './users.ts';

export interface BufferOptions {
  /// Size of the buffer in pages of 4 KiB, a power of two up to 65536. Default 1024. A page holds about 500 events.
  readonly bufferPages?: number;
  /// What happens when the buffer is full: `overwrite` drops the oldest page (the default), `stop` drops what is new.
  readonly mode?: 'overwrite' | 'stop';
}

export const BUFFER_OPTIONS = ['bufferPages', 'mode'] as const;

/// Throws TypeError for what is neither true nor false.
export function checkOn(on: unknown): void {
  if (typeof on !== 'boolean') throw badType(`on is ${shown(on)}, expected true or false`);
}

const DEFAULT_PAGES = 1024;

export class Buffer {
  /// Address in the engine.
  readonly ring: number;
  readonly #engine: Engine;
  readonly #users: Users;
  /// `lost` as it was when the buffer was given back.
  #lost: number | undefined;

  /// Throws RangeError for options out of their range, ENOMEM.
  constructor(engine: Engine, users: Users, { bufferPages = DEFAULT_PAGES, mode = 'overwrite' }: BufferOptions) {
    const isPower = Number.isInteger(bufferPages) && bufferPages > 0 && Number.isInteger(Math.log2(bufferPages));
    if (!isPower || bufferPages > ringLayout.RING_PAGES_MAX) {
      throw badRange(
        `bufferPages is ${shown(bufferPages)}, expected a power of two up to ${ringLayout.RING_PAGES_MAX}`,
      );
    }
    if (mode !== 'overwrite' && mode !== 'stop') {
      throw badRange(`mode is ${shown(mode)}, expected 'overwrite' or 'stop'`);
    }
    this.#engine = engine;
    this.#users = users;
    this.ring = engine.createRing(bufferPages, mode === 'stop' ? ringLayout.RING_STOP : ringLayout.RING_OVERWRITE);
  }

  /// Events that were dropped or overwritten before anybody read them.
  get lost(): number {
    return this.#lost ?? this.#engine.memory.ringLost(this.ring);
  }

  /// `tracing_on`.
  get on(): boolean {
    return !this.closed && this.#engine.memory.ringOn(this.ring);
  }
  set on(on: boolean) {
    checkOn(on);
    if (!this.closed) this.#engine.exports.ring_on(this.ring, on ? 1 : 0);
  }

  /// Calls `visit` with each page of the buffer, decoded, oldest first. The batch is filled anew for every page.
  /// `consume`: what was visited is gone afterwards (`trace_pipe`); otherwise it stays (`trace`). No page after `close`.
  pages(visit: (batch: Batch) => void, consume = false): void {
    checkFunction('pages: the visitor', visit);
    checkBoolean('pages: consume', consume);
    for (const batch of this.batches(consume)) visit(batch);
  }

  /// The same, pulled: a page is gone when the next one is asked for.
  *batches(consume = false, batch = pageBatch()): Generator<Batch> {
    for (const [page, sequence] of this.#each()) {
      decodePage(this.#engine.memory.u32, page, batch);
      yield batch;
      // After it: a visitor that throws has not had the page.
      if (consume && !this.closed) this.#engine.exports.ring_consume(this.ring, sequence);
    }
  }

  /// Copies of the buffer's pages as they lie in memory, oldest first; what was recorded stays.
  rawPages(): Uint8Array[] {
    const pages: Uint8Array[] = [];
    for (const [page] of this.#each()) {
      pages.push(new Uint8Array(this.#engine.memory.u32.buffer, page, ringLayout.RING_PAGE_SIZE).slice());
    }
    return pages;
  }

  *#each(): Generator<[page: number, sequence: number]> {
    if (this.closed) return;
    this.#users.settle();
    const { exports, memory } = this.#engine;
    const [tail, head] = memory.ringRange(this.ring);
    for (let sequence = tail; sequence !== (head + 1) >>> 0 && !this.closed; sequence = (sequence + 1) >>> 0) {
      const page = exports.ring_read(this.ring, sequence) >>> 0;
      if (page !== 0) yield [page, sequence]; // 0: overwritten meanwhile
    }
  }

  /// Whether there is nothing to read.
  get isEmpty(): boolean {
    if (this.closed) return true;
    const [tail, head] = this.#engine.memory.ringRange(this.ring);
    return tail === (head + 1) >>> 0;
  }

  /// Forgets all that was recorded so far.
  clear(): void {
    if (!this.closed) this.#engine.exports.ring_clear(this.ring);
  }

  /// Gives the buffer back: nothing is left to read but `lost`. Whoever records into it has gone before.
  close(): void {
    if (this.closed) return;
    this.#lost = this.lost;
    this.#engine.exports.ring_free(this.ring);
  }

  /// The engine may give the same address to somebody else's buffer.
  get closed(): boolean {
    return this.#lost !== undefined;
  }
}
