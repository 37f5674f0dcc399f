// What records carry besides a function, a time and a depth: words that belong to events (NOTE_* in assembly/ring-layout.ts).
//
// Most recordings have none, and none of those should pay. So notes are no columns of a batch but a list beside it, in the
// order of the events, that is looked at only when it is not empty.
//
//   events     0 ENTRY f    1 ENTRY g    2 RETURN g    3 RETURN f
//   notes      args of 0    args of 1    result of 2   result of 3          found by where the reader stood before

import {
  NOTE_ARGUMENTS,
  NOTE_ARGUMENTS_MAX,
  NOTE_CALLER,
  NOTE_REPEATS,
  NOTE_REPEATS_WORDS,
  NOTE_RESULT,
  NOTE_STACK,
  NOTE_STACK_MAX,
  RING_PAGE_HEADER_SIZE,
  RING_PAGE_SIZE,
} from '../../assembly/ring-layout.ts';

/// Words that fit on one page.
const WORDS_MAX = (RING_PAGE_SIZE - RING_PAGE_HEADER_SIZE) >>> 3;

/// What an event of the graph takes from its notes.
export interface Noted {
  retaddr: number | bigint | null;
  args: readonly bigint[] | null;
  retval: bigint | null;
}

/// Calls of one function from one place by one task, one after the other.
export interface Run {
  readonly site: number;
  readonly pid: number;
  readonly parent: bigint;
  /// How often the first of them was repeated, and when last.
  readonly count: number;
  readonly lastTime: number;
}

/// What a call of the function tracer takes from its notes.
export interface NotedCall {
  args: readonly bigint[] | null;
  /// The run of repeats that the call ended.
  run: Run | null;
  /// Addresses of the functions that it was called from, innermost first.
  stack: readonly bigint[] | null;
}

export class Notes {
  count = 0;
  // Of note k: the event's index in the batch, what it is, and where its words begin and how many they are.
  readonly #event = new Int32Array(WORDS_MAX);
  readonly #kind = new Uint8Array(WORDS_MAX);
  readonly #from = new Int32Array(WORDS_MAX);
  readonly #size = new Int32Array(WORDS_MAX);
  readonly #words = new BigUint64Array(WORDS_MAX);
  readonly #halves = new Uint32Array(this.#words.buffer);
  #used = 0;
  /// The first note that may belong to the event that is asked for next.
  #next = 0;

  clear(): void {
    this.count = 0;
    this.#used = 0;
    this.#next = 0;
  }

  /// Adds a note of `size` words, which lie at index `at` of `words`, to the event of that index. False: the event has such a
  /// note already, or they are more than a page can hold.
  add(event: number, kind: number, words: Uint32Array, at: number, size: number): boolean {
    for (let k = this.count; k-- > 0 && this.#event[k] === event; ) if (this.#kind[k] === kind) return false;
    if (this.count === WORDS_MAX || this.#used + size > WORDS_MAX) return false;
    const k = this.count++;
    this.#event[k] = event;
    this.#kind[k] = kind;
    this.#from[k] = this.#used;
    this.#size[k] = size;
    for (let half = 0; half < 2 * size; half++) this.#halves[2 * this.#used + half] = words[at + half];
    this.#used += size;
    return true;
  }

  /// Fills in what is known of the event of that index.
  read(event: number, into: Noted): void {
    into.retaddr = null;
    into.args = null;
    into.retval = null;
    let k = this.#find(event);
    for (; k < this.count && this.#event[k] === event; k++) {
      const from = this.#from[k];
      switch (this.#kind[k]) {
        case NOTE_CALLER:
          into.retaddr = this.#words[from];
          break;
        case NOTE_ARGUMENTS:
          into.args = Array.from(this.#words.subarray(from, from + this.#size[k]));
          break;
        case NOTE_RESULT:
          into.retval = this.#words[from];
      }
    }
    this.#next = k;
  }

  /// The same for a call of the function tracer.
  readCall(event: number, into: NotedCall): void {
    into.args = null;
    into.run = null;
    into.stack = null;
    let k = this.#find(event);
    for (; k < this.count && this.#event[k] === event; k++) {
      const from = this.#from[k];
      const words = this.#words.subarray(from, from + this.#size[k]);
      switch (this.#kind[k]) {
        case NOTE_ARGUMENTS:
          into.args = Array.from(words);
          break;
        case NOTE_REPEATS:
          into.run = {
            site: this.#halves[2 * from],
            pid: this.#halves[2 * from + 1],
            parent: words[1],
            count: Number(words[2]),
            lastTime: Number(words[3]),
          };
          break;
        case NOTE_STACK:
          into.stack = Array.from(words);
      }
    }
    this.#next = k;
  }

  // Events are mostly read in order; whoever does not starts over.
  #find(event: number): number {
    let k = this.#next;
    if (k > 0 && this.#event[k - 1] >= event) k = 0;
    while (k < this.count && this.#event[k] < event) k++;
    return k;
  }
}

/// Whether a note of that kind may have so many words.
export function noteFits(kind: number, size: number): boolean {
  if (kind === NOTE_ARGUMENTS) return size <= NOTE_ARGUMENTS_MAX;
  if (kind === NOTE_STACK) return size <= NOTE_STACK_MAX;
  if (kind === NOTE_REPEATS) return size === NOTE_REPEATS_WORDS;
  return (kind === NOTE_CALLER || kind === NOTE_RESULT) && size === 1;
}
