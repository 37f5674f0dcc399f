// Writes ring-buffer pages for tests: records one by one, with nothing left out that a caller does not leave out itself.

import {
  NOTE_WORDS_SHIFT,
  RECORD_DEPTH,
  RECORD_ENTRY,
  RECORD_PAYLOAD_SHIFT,
  RECORD_RETURN,
  RECORD_RETURN_LONG,
  RECORD_TIME,
  RECORD_UNWOUND,
  RING_PAGE_DEPTH,
  RING_PAGE_HEADER_SIZE,
  RING_PAGE_LOST,
  RING_PAGE_SIZE,
  RING_PAGE_TIME,
  RING_PAGE_USED,
} from '../../assembly/ring-layout.ts';

export class PageWriter {
  readonly bytes = new Uint8Array(RING_PAGE_SIZE);
  readonly #view = new DataView(this.bytes.buffer);
  #at = RING_PAGE_HEADER_SIZE;

  constructor(time: number, depth: number, lost = 0) {
    this.#view.setBigUint64(RING_PAGE_TIME, BigInt(time), true);
    this.#view.setInt32(RING_PAGE_DEPTH, depth, true);
    this.#view.setUint32(RING_PAGE_LOST, lost, true);
  }

  get words(): Uint32Array {
    return new Uint32Array(this.bytes.buffer);
  }

  get room(): number {
    return RING_PAGE_SIZE - this.#at;
  }

  record(type: number, payload: number, delta: number, word?: number | bigint): this {
    this.#view.setUint32(this.#at, payload * 2 ** RECORD_PAYLOAD_SHIFT + type, true);
    this.#view.setUint32(this.#at + 4, delta, true);
    this.#at += 8;
    this.#view.setUint32(RING_PAGE_USED, this.#at - RING_PAGE_HEADER_SIZE, true);
    return word === undefined ? this : this.word(BigInt(word));
  }

  entry = (site: number, delta: number): this => this.record(RECORD_ENTRY, site, delta);
  return = (site: number, delta: number): this => this.record(RECORD_RETURN, site, delta);
  returnLong = (site: number, delta: number, call: number): this => this.record(RECORD_RETURN_LONG, site, delta, call);
  unwound = (site: number, delta: number, call: number): this => this.record(RECORD_UNWOUND, site, delta, call);
  depth = (depth: number): this => this.record(RECORD_DEPTH, depth, 0);
  time = (time: number): this => this.record(RECORD_TIME, 0, 0, time);

  note(kind: number, ...words: readonly bigint[]): this {
    this.record(RECORD_TIME, (words.length << NOTE_WORDS_SHIFT) | kind, 0);
    for (const word of words) this.word(word);
    return this;
  }

  word(word: bigint): this {
    this.#view.setBigUint64(this.#at, word, true);
    this.#at += 8;
    this.#view.setUint32(RING_PAGE_USED, this.#at - RING_PAGE_HEADER_SIZE, true);
    return this;
  }
}
