// What a model of the engine (model.ts) is made of: ring buffers, tasks with their frames and locks, users, plain ops.

import * as layout from '../../assembly/layout.ts';

const { FRAME_WORDS, WORD_SIZE, RECURSION_CALLBACK, RECURSION_LIST, CONTEXT_NORMAL, CONTEXT_TRANSITION } = layout;

export interface ModelEvent {
  type: 'entry' | 'return' | 'unwound' | 'function';
  site: number;
  time: number;
  depth: number;
  /// When it was called; of a function event the ip of the caller.
  call: number;
  /// Of a function event.
  pid?: number;
}

export class ModelRing {
  readonly address: number;
  on = true;
  /// Who records here.
  task: ModelTask | 'all' | undefined;
  events: ModelEvent[] = [];

  constructor(address: number) {
    this.address = address;
  }

  /// Returns the event as it was recorded: never before the one in front of it.
  record(event: ModelEvent): ModelEvent | undefined {
    if (!this.on) return undefined;
    const time = Math.max(event.time, this.events.at(-1)?.time ?? 0);
    const recorded = { ...event, time, call: event.type === 'entry' ? time : event.call };
    this.events.push(recorded);
    return recorded;
  }
}

export interface Data {
  owner: number;
  orphan: boolean;
  values: bigint[];
}

export interface Frame {
  base: number; // in words
  site: number;
  bitmap: number;
  /// False until the first user accepted: the frame is being entered, or its entry never came back.
  accepted: boolean;
  data: Data[];
  /// Of a built-in user: when it was called, and the time of recorded calls below it.
  call: Map<number, { time: number; below: number; asleep?: number }>;
}

export interface Lock {
  base: number;
  index: number;
  /// Of a walk through plain ops: it works on no frame, and what is pushed at its base lies above it.
  isWalk: boolean;
  /// Of a walk: the later it began, the higher.
  readonly order?: number;
}

export interface User {
  kind: number;
  entry: number;
  ret: number;
  options: number;
  threshold: number;
  statistics: Map<number, { count: number; total: number; self: number; max: number }>;
}

export class ModelTask {
  readonly address: number;
  readonly stack: number;
  readonly words: number;
  frames: Frame[] = [];
  pause = 0;
  /// Who passes it over.
  ignored = 0;
  overrun = 0;
  unwound = 0;
  stray = 0;
  returns = 0;
  context = CONTEXT_NORMAL;
  /// By bit of the recursion word.
  locks: (Lock | undefined)[] = Array(10).fill(undefined);
  /// By user of the graph: where the task is, as the rules see it.
  places: Place[] = Array.from({ length: 16 }, () => ({ untraced: false }));
  asleep = 0;
  stamp = 0;
  rings: (ModelRing | undefined)[] = Array(16).fill(undefined);
  /// Words of a callback, of one nested in it, and so on; how many of them count.
  registers: bigint[][] = Array.from({ length: 11 }, () => Array(32).fill(0n));
  counts: number[] = Array(11).fill(0);
  readonly pid: number;
  #ahead = 0;

  constructor(address: number, stack: number, words: number, pid: number) {
    this.pid = pid;
    this.address = address;
    this.stack = stack;
    this.words = words;
  }

  get limit(): number {
    return this.words - layout.SHADOW_STACK_SLACK;
  }

  get newest(): Frame | undefined {
    return this.frames.at(-1);
  }

  get top(): number {
    const frame = this.newest;
    return frame
      ? frame.base + FRAME_WORDS + 1 + frame.data.reduce((sum, { values }) => sum + values.length + 1, 0)
      : 0;
  }

  get held(): boolean {
    return this.locks.some((lock) => lock !== undefined);
  }

  /// How many callbacks run on top of each other: whose registers are next.
  get level(): number {
    return this.locks.filter((lock) => lock !== undefined).length;
  }

  /// The lock of that group that would be taken now, or -1.
  next(group: number): number {
    for (const bit of [this.context, CONTEXT_TRANSITION]) if (!this.locks[group + bit]) return group + bit;
    return -1;
  }

  /// The lock of the function-graph callback that runs now.
  get callback(): Lock | undefined {
    const group = this.locks.slice(RECURSION_CALLBACK, RECURSION_LIST);
    return group[CONTEXT_TRANSITION] ?? group.find((lock) => lock !== undefined);
  }

  addressOf(word: number): number {
    return this.stack + word * WORD_SIZE;
  }

  /// Walks of plain ops at work, oldest first.
  get walks(): Lock[] {
    return this.locks.filter((lock) => lock?.isWalk).sort((a, b) => a!.order! - b!.order!) as Lock[];
  }

  /// Takes away the locks for work at `base` and above; of the walks that began there, all but the `walks` oldest.
  breakLocks(base: number, walks = Number.POSITIVE_INFINITY): void {
    const gone = new Set(this.locks.filter((lock) => lock && lock.base >= base + (lock.isWalk ? 1 : 0)));
    const left = this.walks.filter((walk) => !gone.has(walk));
    while (left.length > walks && left.at(-1)!.base >= base) gone.add(left.pop());
    this.locks = this.locks.map((lock) => (gone.has(lock) ? undefined : lock));
  }

  /// What a callback at that level sees.
  wordsAt(level: number): bigint[] {
    return this.registers[level].slice(0, this.counts[level]);
  }

  sendAhead(index: number, value: bigint): void {
    if (index < 1 || index >= layout.FREGS_MAX) return;
    this.registers[this.level][index] = value;
    this.#ahead = Math.max(this.#ahead, index + 1);
  }

  takeAhead(count: number): number {
    const ahead = this.#ahead;
    this.#ahead = 0;
    return Math.max(ahead, count);
  }
}

/// The upper half of a graph user's task variable.
export interface Place {
  untraced: boolean;
  /// Depth of the function that began the graph, and whether that was in an interrupt.
  inside?: { depth: number; irq: boolean };
}

/// A site: who wants it, and the sets of the graph rules that it is in.
export interface ModelSite {
  ip: number;
  users: number;
  starts: boolean;
  notrace: boolean;
}

export interface ModelOps {
  kind: number;
  handler: number;
  flags: number;
  serial: number;
  sites: Set<number>;
}
