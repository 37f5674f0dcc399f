// What a recording says, checked without any help from the code that writes it: the rules that the events of one task obey
// however the program ran.

import type { GraphTracer } from '../../src/graph.ts';
import { type Batch, ENTRY, LOST, RETURN, UNWOUND } from '../../src/trace/events.ts';

/// Follows the events of a task from an empty stack: an entry goes one deeper than its caller, an end names the innermost open
/// call, its depth and its time, and time does not run backwards.
export class Nesting {
  /// The first event that breaks a rule, in words; undefined when there is none.
  complaint: string | undefined;
  entries = 0;
  returns = 0;
  unwound = 0;
  deepest = 0;
  /// Calls that ended, by site id.
  readonly calls = new Map<number, number>();
  readonly #gaps: boolean;
  readonly #func: number[] = [];
  readonly #depth: number[] = [];
  readonly #call: number[] = [];
  #time = 0;

  /// `gaps`: calls whose end was not recorded are fine, as when the recording was stopped and begun again while they ran. What
  /// is as deep as a later entry is taken as ended. Depths count calls that were not recorded too, so they may leave some out.
  constructor(gaps = false) {
    this.#gaps = gaps;
  }

  /// Calls that began and did not end, outermost first, as site ids.
  get open(): readonly number[] {
    return this.#func;
  }

  page(batch: Batch): void {
    for (let i = 0; i < batch.count && this.complaint === undefined; i++) this.#event(batch, i);
  }

  #event(batch: Batch, i: number): void {
    const kind = batch.kind[i];
    const func = batch.func[i];
    const depth = batch.depth[i];
    const time = batch.time[i];
    const complain = (what: string) => {
      const number = this.entries + this.returns + this.unwound;
      this.complaint ??= `event ${number} (kind ${kind}, site ${func}, depth ${depth}, time ${time}): ${what}`;
    };
    if (kind === LOST) {
      complain('events are lost');
      return;
    }
    if (time < this.#time) complain(`time runs backwards from ${this.#time}`);
    this.#time = time;
    if (this.#gaps) {
      const gone = kind === ENTRY ? depth : depth + 1;
      while (this.#func.length > 0 && this.#depth[this.#depth.length - 1] >= gone) this.#pop();
    }
    const top = this.#func.length - 1;
    if (kind === ENTRY) {
      this.entries++;
      if (!this.#gaps && depth !== top + 1) complain(`an entry, and ${top + 1} calls are open`);
      this.#func.push(func);
      this.#depth.push(depth);
      this.#call.push(time);
      this.deepest = Math.max(this.deepest, depth + 1);
      return;
    }
    if (kind === RETURN) this.returns++;
    else if (kind === UNWOUND) this.unwound++;
    else complain('neither entry nor end');
    this.calls.set(func, (this.calls.get(func) ?? 0) + 1);
    if (top < 0) {
      complain('the end of a call that did not begin');
      return;
    }
    if (this.#depth[top] !== depth) complain(`the innermost call has depth ${this.#depth[top]}`);
    if (this.#func[top] !== func) complain(`the innermost call is of ${this.#func[top]}`);
    if (this.#call[top] !== batch.call[i]) complain(`called at ${batch.call[i]}, the entry says ${this.#call[top]}`);
    this.#pop();
  }

  #pop(): void {
    this.#func.pop();
    this.#depth.pop();
    this.#call.pop();
  }
}

/// The rules applied to all that is in the buffer.
export function nesting(graph: GraphTracer, gaps = false): Nesting {
  const nest = new Nesting(gaps);
  graph.pages((batch) => nest.page(batch));
  return nest;
}
