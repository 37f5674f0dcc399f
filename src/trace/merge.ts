// Several streams of events → one, in the order in which text is made.
//
// Every task records into a buffer of its own; the text of a CPU is the events of all tasks that ran on it, by time, and
// the text of a machine that of all CPUs, by time. With one exception: a return that directly follows its entry on the
// same CPU comes right after it, whatever other CPUs did in between, because both become one line (the leaf rule of
// spec/fgraph.md §12.3). That is why the next event of a CPU has to be looked at early, and why this is a puller.
//
//   CPU 0:  f{ 10        }f 50          g{ 60 …            CPU 1:  h{ 20   }h 30
//   out:    f{ 10  }f 50   h{ 20  }h 30  g{ 60 …

import type { Batch } from './events.ts';
import { ENTRY, RETURN, type TraceEvent, UNWOUND } from './events.ts';

/// One task's events in order, a batch at a time.
export interface Source {
  cpu: number;
  pid: number;
  /// The batch that `next` fills. Only its reader and `next` touch it.
  readonly batch: Batch;
  /// Refills `batch`; false at the end. An empty batch is allowed.
  next(): boolean;
}

interface Cursor {
  source: Source;
  index: number;
  ended: boolean;
}

/// Yields the events of all sources in print order. Ties go to the source that comes first.
export class Merge {
  readonly #cursors: Cursor[];
  // The cursor whose entry was yielded last, while its CPU may hold the return that makes it a leaf.
  #entry: Cursor | null = null;
  #func = 0;

  constructor(sources: readonly Source[]) {
    this.#cursors = sources.map((source) => ({ source, index: 0, ended: false }));
    for (const { source } of this.#cursors) source.batch.count = 0;
  }

  /// Fills cpu, pid and all that a batch carries into `event`; false at the end.
  next(event: TraceEvent): boolean {
    let cursor: Cursor | null = null;
    if (this.#cursors.length === 1) {
      cursor = fill(this.#cursors[0]) ? this.#cursors[0] : null; // by far the most frequent case needs no search
    } else {
      if (this.#entry !== null) cursor = this.#leaf(this.#entry);
      if (cursor === null) cursor = this.#earliest(-1);
    }
    if (cursor === null) return false;

    const { source } = cursor;
    source.batch.read(cursor.index++, event);
    event.cpu = source.cpu;
    event.pid = source.pid;
    this.#entry = event.kind === ENTRY ? cursor : null;
    this.#func = event.func;
    return true;
  }

  // The cursor that stands at the return of the entry that `cursor` just yielded, if that return is next on its CPU.
  #leaf(cursor: Cursor): Cursor | null {
    const next = this.#earliest(cursor.source.cpu);
    if (next === null || next.source.pid !== cursor.source.pid) return null;
    const { batch } = next.source;
    const kind = batch.kind[next.index];
    return (kind === RETURN || kind === UNWOUND) && batch.func[next.index] === this.#func ? next : null;
  }

  // The cursor at the earliest event, of all or of one CPU. There are as many sources as tasks: a plain search.
  #earliest(cpu: number): Cursor | null {
    let found: Cursor | null = null;
    let time = 0;
    for (const cursor of this.#cursors) {
      if ((cpu >= 0 && cursor.source.cpu !== cpu) || !fill(cursor)) continue;
      const at = cursor.source.batch.time[cursor.index];
      if (found === null || at < time) {
        found = cursor;
        time = at;
      }
    }
    return found;
  }
}

function fill(cursor: Cursor): boolean {
  while (!cursor.ended && cursor.index >= cursor.source.batch.count) {
    cursor.index = 0;
    cursor.ended = !cursor.source.next();
  }
  return !cursor.ended;
}
