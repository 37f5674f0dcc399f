// What runs for a handler of a probe that is JavaScript.
//
// The view of the entry data that a handler gets is of a copy, as in ../frame-data.ts: made before the handler runs, and written
// back after an entry handler, if the data are still there. Each handler has one, used over and over; a handler inside of
// itself gets another from there.

import * as fprobeLayout from '../../assembly/fprobe/layout.ts';
import * as layout from '../../assembly/layout.ts';
import type { ClientHost } from '../client.ts';
import { type Callback, type Failures, refusePromise } from '../handlers.ts';
import { LastSite } from '../last-site.ts';
import type { Memory } from '../memory.ts';
import { AT_EXIT, type FtraceRegs } from '../regs.ts';
import type { Running } from '../running.ts';
import type { TargetSite } from '../target/target.ts';
import type { Fprobe, FprobeHandler } from './fprobe.ts';

// Kept from now: a program may trace `Reflect`. Not `handler.call`: functions have many shapes, and some a `call` of their own.
const { apply } = Reflect;

const WORD = layout.WORD_SIZE;
const COPY_MAX = fprobeLayout.MAX_FPROBE_DATA_SIZE_WORD * WORD;

export class FprobeCallback implements Callback {
  readonly #probe: Fprobe;
  readonly #handler: FprobeHandler;
  readonly #self: object;
  readonly #exit: number;
  readonly #failures: Failures;
  readonly #memory: Memory;
  readonly #running: Running;
  readonly #last: LastSite;
  /// The data in words of four bytes, and a view of them.
  readonly #copy: Uint32Array;
  readonly #view: DataView;
  #isLent = false;

  constructor(
    { engine, running, sites }: ClientHost,
    probe: Fprobe,
    handler: FprobeHandler,
    self: object,
    isEntry: boolean,
    failures: Failures,
  ) {
    this.#probe = probe;
    this.#handler = handler;
    this.#self = self;
    this.#exit = isEntry ? 0 : AT_EXIT;
    this.#failures = failures;
    this.#memory = engine.memory;
    this.#running = running;
    this.#last = new LastSite(sites, engine.memory);
    this.#copy = new Uint32Array(Math.min(Math.ceil(probe.entryDataSize / WORD) * WORD, COPY_MAX) >>> 2);
    this.#view = new DataView(this.#copy.buffer);
  }

  run(about: number, site: number, _frame: number, fregs: number): number {
    const called = this.#last;
    if (site !== called.id) called.look(site);
    const { ip, regs } = called; // a handler inside of this one may be of another site
    const words = this.#memory.u32;
    const from = words[(about + layout.FPROBE_CALL_DATA) >>> 2];
    const ret = called.address(words, about + layout.FPROBE_CALL_RET);
    const running = this.#running;
    const outer = running.enter(0, called, fregs | this.#exit);
    let cancelled = 0;
    try {
      const result: unknown =
        from === 0
          ? apply(this.#handler, this.#self, [this.#probe, ip, ret, regs, null])
          : this.#withData(words, from, ip, ret, regs);
      if (result !== undefined && result !== 0) cancelled = this.#verdict(result);
      running.keep(outer);
    } catch (error) {
      running.leave(outer);
      this.#failures.note(error);
      return 0;
    }
    running.leave(outer);
    return cancelled;
  }

  #withData(words: Uint32Array, from: number, ip: TargetSite['ip'], ret: TargetSite['ip'], regs: FtraceRegs): unknown {
    const copy = this.#copy;
    if (this.#isLent) return this.#withAnother(from, ip, ret, regs);
    const { length } = copy;
    const at = from >>> 2;
    for (let k = 0; k < length; k++) copy[k] = words[at + k];
    const above = words[at + length];
    this.#isLent = true;
    try {
      return apply(this.#handler, this.#self, [this.#probe, ip, ret, regs, this.#view]);
    } finally {
      this.#isLent = false;
      if (this.#exit === 0) {
        const words = this.#memory.u32;
        // Unless the frame has gone meanwhile.
        if (words[at + length] === above) for (let k = 0; k < length; k++) words[at + k] = copy[k];
      }
    }
  }

  #withAnother(from: number, ip: TargetSite['ip'], ret: TargetSite['ip'], regs: FtraceRegs): unknown {
    const { data } = this.#running;
    const { mark } = data;
    const size = this.#copy.byteLength;
    try {
      return apply(this.#handler, this.#self, [this.#probe, ip, ret, regs, data.lend(from + size, size)]);
    } finally {
      data.giveBack(mark);
    }
  }

  /// What a result means that is not one of the usual ones: 0 keeps the exit handler.
  #verdict(result: unknown): number {
    refusePromise(result, this.#exit === 0 ? 'the entry handler' : 'the exit handler');
    return result === null || result === false || result === 0n ? 0 : 1;
  }
}
