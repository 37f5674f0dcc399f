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

const WORDS_MAX = layout.FGRAPH_MAX_DATA_SIZE / layout.WORD_SIZE;

/// One view that is out.
class Loan {
  readonly words = new Uint32Array(layout.FGRAPH_MAX_DATA_SIZE / 4);
  /// By words of data.
  readonly #views: (DataView | undefined)[] = new Array(WORDS_MAX + 1).fill(undefined);
  /// Of the data in the engine's memory.
  address = 0;
  size = 0;
  /// The DATA word above the data: index, size and distance. While it stands there, so do the data.
  header = 0;

  get view(): DataView {
    const words = this.size / layout.WORD_SIZE;
    this.#views[words] ??= new DataView(this.words.buffer, 0, this.size);
    return this.#views[words];
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

  /// The `size` bytes at `address`, a multiple of 8 and at most 256, until the handler that asks is over.
  lend(address: number, size: number): DataView {
    const words = this.#memory.u32;
    const header = words[(address + size) >>> 2];
    for (let i = this.mark - 1; i >= 0; i--) {
      const loan = this.#loans[i];
      if (loan.address === address && loan.header === header) return loan.view;
    }
    this.#loans[this.mark] ??= new Loan();
    const loan = this.#loans[this.mark++];
    loan.address = address;
    loan.size = size;
    loan.header = header;
    for (let i = 0, at = address >>> 2; i < size / 4; i++) loan.words[i] = words[at + i];
    return loan.view;
  }

  /// A copy for somebody who is not inside a handler: what is written to it goes nowhere.
  copy(address: number, size: number): DataView {
    return new DataView(this.#memory.u32.slice(address >>> 2, (address + size) >>> 2).buffer);
  }

  /// Ends the loans above `mark` and writes their words back.
  giveBack(mark: number): void {
    if (this.mark === mark) return;
    const words = this.#memory.u32;
    while (this.mark > mark) {
      const { address, size, header, words: lent } = this.#loans[--this.mark];
      const at = address >>> 2;
      const end = at + size / 4;
      // Gone with its frame, or orphaned since its owner unregistered.
      if (words[end] !== header) continue;
      for (let i = 0; at + i < end; i++) words[at + i] = lent[i];
    }
  }

  /// Ends the loans above `mark`; the data stay as they were when they were lent.
  drop(mark: number): void {
    this.mark = mark;
  }
}
