// What happened, in memory: the one form that every recorder is decoded into and every text or export is made from.
//
// An event is read during a call and not kept: readers fill one object over and over, so that a million events cost one
// allocation. Whoever needs an event later copies the fields it needs.
//
// Times are numbers of nanoseconds (or of clock units) below 2^53. Functions are numbers too, dense site ids on every
// target; names come in only where text is made.

import { Notes } from './notes.ts';

export const ENTRY = 1;
export const RETURN = 2;
/// The frame was left without returning: a trap, a throw, a longjmp. `time` is when that was noticed.
export const UNWOUND = 3;
/// Events are missing here; `count` says how many, 0 = not known.
export const LOST = 4;
/// Any other event, already turned into `text`.
export const COMMENT = 5;
/// A function was entered, as the function tracer records it.
export const FUNCTION = 6;

export type EventKind = typeof ENTRY | typeof RETURN | typeof UNWOUND | typeof LOST | typeof COMMENT | typeof FUNCTION;

// Bits of `flags` (spec/fgraph.md §11.1).
export const FLAG_IRQS_OFF = 0x01;
export const FLAG_NEED_RESCHED_LAZY = 0x02;
export const FLAG_NEED_RESCHED = 0x04;
export const FLAG_HARDIRQ = 0x08;
export const FLAG_SOFTIRQ = 0x10;
export const FLAG_PREEMPT_RESCHED = 0x20;
export const FLAG_NMI = 0x40;
export const FLAG_BH_OFF = 0x80;

/// One event of the function graph. A class, so that all of them have the same shape for the compiler.
export class TraceEvent {
  kind: EventKind = ENTRY;
  cpu = 0;
  pid = 0;
  time = 0;
  /// ENTRY, RETURN, UNWOUND: site id of the function.
  func = 0;
  /// ENTRY, RETURN, UNWOUND: frames below this one on the task; the outermost has 0.
  depth = 0;
  /// RETURN, UNWOUND: when the function was called.
  call = 0;
  /// LOST: how many events are missing, 0 = not known.
  count = 0;
  /// COMMENT: what is printed inside the comment. A newline at the end is dropped.
  text = '';
  /// `FLAG_*` at the time of the event.
  flags = 0;
  /// Low four bits: preemption depth; high four: migrate-disable depth.
  preempt = 0;
  /// RETURN: calls of this task that did not fit on its shadow stack so far.
  overrun = 0;
  /// ENTRY: where the function returns to, for recorders that store it.
  retaddr: number | bigint | null = null;
  /// ENTRY: the argument words, for recorders that store them.
  args: readonly bigint[] | null = null;
  /// RETURN: the raw return word, for recorders that store it.
  retval: bigint | null = null;

  /// Takes over every field of `from`.
  copy(from: TraceEvent): void {
    this.kind = from.kind;
    this.cpu = from.cpu;
    this.pid = from.pid;
    this.time = from.time;
    this.func = from.func;
    this.depth = from.depth;
    this.call = from.call;
    this.count = from.count;
    this.text = from.text;
    this.flags = from.flags;
    this.preempt = from.preempt;
    this.overrun = from.overrun;
    this.retaddr = from.retaddr;
    this.args = from.args;
    this.retval = from.retval;
  }
}

/// Events of one shape in columns: `count` of them, event `i` at index `i` of every column. Sized once, filled again and
/// again.
export class Batch {
  readonly capacity: number;
  count = 0;
  readonly kind: Uint8Array;
  /// Site id; of a LOST event how many are missing, 0 = not known.
  readonly func: Uint32Array;
  readonly depth: Int32Array;
  readonly time: Float64Array;
  /// Of RETURN and UNWOUND: the time of the call. Of FUNCTION: the ip of the caller, 0 = the host.
  readonly call: Float64Array;
  /// Of FUNCTION: both halves of that ip, which on a machine is more than a number can hold.
  readonly callerLow: Uint32Array;
  readonly callerHigh: Uint32Array;
  /// Of FUNCTION alone: the task.
  readonly pid: Uint32Array;
  /// What events carry besides.
  readonly notes = new Notes();

  constructor(capacity: number) {
    this.capacity = capacity;
    this.kind = new Uint8Array(capacity);
    this.func = new Uint32Array(capacity);
    this.depth = new Int32Array(capacity);
    this.time = new Float64Array(capacity);
    this.call = new Float64Array(capacity);
    this.callerLow = new Uint32Array(capacity);
    this.callerHigh = new Uint32Array(capacity);
    this.pid = new Uint32Array(capacity);
  }

  /// Adds a LOST event; does nothing when the batch is full.
  lost(count: number, time: number): void {
    if (this.count === this.capacity) return;
    const i = this.count++;
    this.kind[i] = LOST;
    this.func[i] = count;
    this.depth[i] = 0;
    this.time[i] = time;
    this.call[i] = time;
  }

  /// Puts event `i` into `event`. The fields that a batch does not carry (cpu, pid, text) are left alone.
  read(i: number, event: TraceEvent): void {
    const kind = this.kind[i] as EventKind;
    event.kind = kind;
    event.time = this.time[i];
    event.depth = this.depth[i];
    event.call = this.call[i];
    event.func = kind === LOST ? 0 : this.func[i];
    event.count = kind === LOST ? this.func[i] : 0;
    if (this.notes.count > 0) {
      this.notes.read(i, event);
    } else {
      event.retaddr = null;
      event.args = null;
      event.retval = null;
    }
  }
}
