// The only typed views over the engine's memory, and the only readers of its records. Growth replaces the memory's buffer and
// leaves old views empty; `u32`, `u64` and `view` notice, nobody else has to. (Their length says so. An element of an empty view is
// undefined too, but code that has ever read one is slow from then on.) Reading costs nothing on the other side: the engine
// does not know that it is read.
//
// What stands still in direct mode (assembly/direct.ts) is brought up to date before it is read here.

import * as layout from '../assembly/layout.ts';
import * as ringLayout from '../assembly/ring-layout.ts';

const HIGH = 2 ** 32;

/// One row of a profile user's table; times in units of the clock.
export interface Statistics {
  count: number;
  total: number;
  self: number;
  max: number;
}

/// What happened on a task so far: `entries = returns + unwound + frames on the stack`.
export interface TaskCounts {
  entries: number;
  returns: number;
  unwound: number;
  /// Entries refused for lack of room on the shadow stack.
  overrun: number;
  /// Leaves whose frame was already gone, marks that were none.
  stray: number;
}

/// What reading needs of the engine.
interface Exports {
  readonly memory: WebAssembly.Memory;
  sync(): void;
  task_current(): number;
}

export class Memory {
  readonly #exports: Exports;
  readonly #memory: WebAssembly.Memory;
  #u32: Uint32Array;
  #u64: BigUint64Array;
  #view: DataView;

  constructor(exports: Exports) {
    this.#exports = exports;
    this.#memory = exports.memory;
    this.#u32 = new Uint32Array(exports.memory.buffer);
    this.#u64 = new BigUint64Array(exports.memory.buffer);
    this.#view = new DataView(exports.memory.buffer);
  }

  /// All of the memory as words. Do not keep it: memory may have grown after any call of the engine.
  get u32(): Uint32Array {
    if (this.#u32.length === 0) {
      this.#u32 = new Uint32Array(this.#memory.buffer);
    }
    return this.#u32;
  }

  /// All of the memory as 64-bit words. Do not keep it either.
  get u64(): BigUint64Array {
    if (this.#u64.length === 0) {
      this.#u64 = new BigUint64Array(this.#memory.buffer);
    }
    return this.#u64;
  }

  /// All of the memory for reading in any byte order. Do not keep it either.
  get view(): DataView {
    if (this.#view.buffer !== this.#memory.buffer) this.#view = new DataView(this.#memory.buffer);
    return this.#view;
  }

  /// The u32 at `address`, a multiple of 4.
  load32(address: number): number {
    return this.u32[address >>> 2];
  }

  store32(address: number, value: number): void {
    this.u32[address >>> 2] = value;
  }

  /// The u64 at `address` as a number: exact below 2^53.
  load64(address: number): number {
    const words = this.u32;
    return words[(address >>> 2) + 1] * HIGH + words[address >>> 2];
  }

  store64(address: number, value: number): void {
    const words = this.u32;
    words[address >>> 2] = value;
    words[(address >>> 2) + 1] = value / HIGH;
  }

  // ---- sites

  siteCount(): number {
    return this.load32(layout.ABI_SITE_COUNT);
  }

  #site(id: number): number {
    if (!Number.isInteger(id) || id < 0 || id >= this.siteCount()) {
      throw new RangeError(`site ${id} does not exist, there are ${this.siteCount()}`);
    }
    return this.load32(layout.ABI_SITES) + id * layout.SITE_SIZE;
  }

  /// How many watch a site, as `enabled_functions` counts: all function-graph users are one.
  siteWatchers(id: number): number {
    return this.siteFlags(id) & layout.SITE_COUNT_MASK;
  }

  /// Record flags of a site, `SITE_FL_*` and the count.
  siteFlags(id: number): number {
    return this.load32(this.#site(id) + layout.SITE_FLAGS);
  }

  /// Nonzero while anybody watches the site. Bit k: function-graph user k; `SITE_HAS_OPS`: plain ops.
  siteUsers(id: number): number {
    return this.load32(this.#site(id) + layout.SITE_USERS);
  }

  /// Says which pid filter plain ops honour, OPS_PIDS_MASK.
  setOpsPids(handle: number, bit: number): void {
    const at = this.load32(layout.ABI_OPS) + (handle & layout.OPS_SLOT_MASK) * layout.OPS_SIZE + layout.OPS_FLAGS;
    this.store32(at, (this.load32(at) & ~layout.OPS_PIDS_MASK) | bit);
  }

  siteIp(id: number): number {
    return this.load64(this.#site(id) + layout.SITE_IP);
  }

  /// `ip` is below 2^53.
  setSiteIp(id: number, ip: number): void {
    this.store64(this.#site(id) + layout.SITE_IP, ip);
  }

  // ---- tasks; the current one unless said otherwise

  /// Address of the first word of a task's shadow stack: the mark that drops everything.
  stackBottom(task = this.#exports.task_current()): number {
    return this.load32(task + layout.TASK_STACK);
  }

  #isOn(task: number, frame: number): boolean {
    return frame >= this.load32(task + layout.TASK_STACK) && frame < this.load32(task + layout.TASK_LIMIT);
  }

  /// The task on whose shadow stack a frame is: `current` if it may be.
  taskOf(frame: number, current: number): number {
    if (this.#isOn(current, frame)) return current;
    let task = this.load32(layout.ABI_TASKS);
    while (task !== 0 && !this.#isOn(task, frame)) task = this.load32(task + layout.TASK_NEXT);
    return task === 0 ? current : task;
  }

  /// The frames on a task's shadow stack, newest first: where they begin (the mark that drops them), their sites and
  /// where those are; of a machine's frames `ip` is not exact.
  *frames(task = this.#exports.task_current()): Generator<{ base: number; site: number; ip: number }> {
    const bottom = this.stackBottom(task);
    const extra = this.load32(task + layout.TASK_FRAME_FP);
    let base = this.load32(task + layout.TASK_BASE);
    while (base !== 0) {
      yield { base, site: this.load32(base + layout.FRAME_SITE), ip: this.load64(base + layout.FRAME_FUNC) };
      const start = base - extra;
      const word = this.load32(start - layout.WORD_SIZE);
      const distance = (word & layout.FGRAPH_FRAME_OFFSET_MASK) << layout.WORD_SHIFT;
      base = start === bottom ? 0 : start - layout.WORD_SIZE - distance;
    }
  }

  /// The address at `at`, as a bigint where addresses are bigints, as a number elsewhere.
  loadAddress(at: number, like: number | bigint): number | bigint {
    return typeof like === 'bigint' ? this.u64[at >>> 3]! : this.load64(at);
  }

  counts(task = this.#exports.task_current()): TaskCounts {
    this.#exports.sync();
    const returns = this.load64(task + layout.TASK_RETURNS);
    const unwound = this.load32(task + layout.TASK_UNWOUND);
    const depth = this.load32(task + layout.TASK_DEPTH) | 0;
    return {
      entries: returns + unwound + depth + 1,
      returns,
      unwound,
      overrun: this.load32(task + layout.TASK_OVERRUN),
      stray: this.load32(task + layout.TASK_STRAY),
    };
  }

  // ---- ring buffers

  /// Sequence numbers of the oldest and the newest page. `head + 1 === tail` (mod 2^32): nothing to read.
  ringRange(ring: number): [tail: number, head: number] {
    return [this.load32(ring + ringLayout.RING_TAIL), this.load32(ring + ringLayout.RING_HEAD)];
  }

  /// `tracing_on` of a ring buffer.
  ringOn(ring: number): boolean {
    return this.load32(ring + ringLayout.RING_ON) !== 0;
  }

  /// Events that were dropped, or overwritten before they were read.
  ringLost(ring: number): number {
    return this.load32(ring + ringLayout.RING_LOST);
  }

  // ---- users of the function graph

  /// GOPS_* of the user that has this index; GOPS_STUB: nobody.
  userKind(index: number): number {
    return this.load32(layout.ABI_GOPS + index * layout.GOPS_SIZE + layout.GOPS_KIND);
  }

  // ---- statistics

  /// The row of `site` in the table of profile user `index`.
  statistics(index: number, site: number): Statistics {
    const gops = layout.ABI_GOPS + index * layout.GOPS_SIZE;
    if (site >= this.load32(gops + layout.GOPS_STATS_ROWS)) return { count: 0, total: 0, self: 0, max: 0 };
    const row = this.load32(gops + layout.GOPS_STATS) + site * ringLayout.STAT_SIZE;
    return {
      count: this.load64(row + ringLayout.STAT_COUNT),
      total: this.load64(row + ringLayout.STAT_TOTAL),
      self: this.load64(row + ringLayout.STAT_SELF),
      max: this.load64(row + ringLayout.STAT_MAX),
    };
  }
}
