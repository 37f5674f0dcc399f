// What a user keeps on the shadow stack between entry and exit (spec/fgraph.md §4.4, §4.5), as DataViews.
//
// A view of the engine's own memory would be in the user's hands for good, and a write through it after the call would hit
// whatever lies there by then. So a view is of a buffer of ours: words are copied in when the view is given out and
// copied back when the handler is over, if the data are still there. The buffers are used over and over, one for each view that
// is out at the same time, so that no call allocates anything.
//
//   out:   | view of the outer handler | … | view of a handler nested in it | … |
//                                            ↑ what the nested one found        ↑ mark
//
// Data that an outer handler holds are not handed out again: the nested handler gets the same view.

import * as layout from '../assembly/layout.ts';
import type { Memory } from './memory.ts';

const HALVES_MAX = layout.FGRAPH_MAX_DATA_SIZE / 4;

/// One view that is out.
class Loan {
  readonly halves = new Uint32Array(HALVES_MAX);
  /// By how many halves of words.
  readonly #views: (DataView | undefined)[] = new Array(HALVES_MAX + 1).fill(undefined);
  /// How many halves of words the data are, and the number of the half behind them in the engine's memory. A DATA word begins
  /// there, index, size and distance. While it stands there, so do the data.
  length = 0;
  end = 0;
  header = 0;

  get view(): DataView {
    return this.#views[this.length] ?? this.#makeView();
  }

  #makeView(): DataView {
    const view = new DataView(this.halves.buffer, 0, 4 * this.length);
    this.#views[this.length] = view;
    return view;
  }
}

export class FrameData {
  readonly #memory: Memory;
  readonly #loans: Loan[] = [];
  /// How many views are out: what `giveBack` and `drop` take. Written here only.
  mark = 0;

  constructor(memory: Memory) {
    this.#memory = memory;
  }

  /// Bytes of data in front of the DATA word at `word`.
  size(word: number): number {
    const header = this.#memory.u32[word >>> 2];
    return layout.WORD_SIZE * (((header >>> layout.FGRAPH_DATA_SHIFT) & layout.FGRAPH_DATA_MASK) + 1);
  }

  /// The `size` bytes in front of the word at `word`, a multiple of 8 and at most 256, until the handler that asks is over.
  lend(word: number, size: number): DataView {
    const words = this.#memory.u32;
    const end = word >>> 2;
    const length = size >>> 2;
    const header = words[end] | 0;
    for (let k = this.mark - 1; k >= 0; k--) {
      const loan = this.#loans[k];
      if (loan.end === end && loan.header === header && loan.length === length) return loan.view;
    }
    if (this.mark === this.#loans.length) this.#loans.push(new Loan());
    const loan = this.#loans[this.mark++];
    loan.end = end;
    loan.header = header;
    loan.length = length;
    const { halves } = loan;
    for (let k = 0, at = end - length; k < length; k++) halves[k] = words[at + k];
    return loan.view;
  }

  /// A copy of them for somebody who is not inside a handler: what is written to it goes nowhere.
  copy(word: number, size: number): DataView {
    return new DataView(this.#memory.u32.slice((word - size) >>> 2, word >>> 2).buffer);
  }

  /// Ends the loans above `mark` and writes their words back.
  giveBack(mark: number): void {
    const words = this.#memory.u32;
    while (this.mark > mark) {
      const { end, header, length, halves } = this.#loans[--this.mark];
      // Gone with its frame, or orphaned since its owner unregistered.
      if ((words[end] | 0) !== header) continue;
      for (let k = 0, at = end - length; k < length; k++) words[at + k] = halves[k];
    }
  }

  /// Ends the loans above `mark`; the data stay as they were when they were lent.
  drop(mark: number): void {
    this.mark = mark;
  }
}
