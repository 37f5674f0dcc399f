// What the engine should do, written as simply as JavaScript allows: objects and arrays in place of words, searches in place
// of caches, no direct mode. It follows spec/fgraph.md §2 to §6 and the contracts in assembly/, and knows addresses only
// where a caller sees them.

import * as layout from '../../assembly/layout.ts';

const { FRAME_WORDS, WORD_SIZE, EBUSY, EINVAL, ENOSPC } = layout;
const { GOPS_GRAPH, GOPS_PROFILE, CLOCK_MONO } = layout;

/// What runs outside of the engine. Either may call the model back, or throw.
export interface Outside {
  call(handler: number, index: number, site: number, frame: number, words: readonly bigint[]): boolean;
  clock(): number;
}

export interface ModelEvent {
  type: 'entry' | 'return' | 'unwound';
  site: number;
  time: number;
  depth: number;
  call: number;
}

export class ModelRing {
  readonly address: number;
  on = true;
  task: ModelTask | undefined;
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

interface Data {
  owner: number;
  orphan: boolean;
  values: bigint[];
}

interface Frame {
  base: number; // in words
  site: number;
  bitmap: number;
  /// False until the first user accepted: the frame is being entered, or its entry never came back.
  accepted: boolean;
  data: Data[];
  /// Of a built-in user: when it was called, and the time of recorded calls below it.
  call: Map<number, { time: number; below: number }>;
}

interface Lock {
  base: number;
  index: number;
}

interface User {
  kind: number;
  entry: number;
  ret: number;
  statistics: Map<number, { count: number; total: number; self: number; max: number }>;
}

export class ModelTask {
  readonly address: number;
  readonly stack: number;
  readonly words: number;
  frames: Frame[] = [];
  pause = 0;
  overrun = 0;
  unwound = 0;
  stray = 0;
  returns = 0;
  /// Normal and transition.
  locks: (Lock | undefined)[] = [undefined, undefined];
  rings: (ModelRing | undefined)[] = Array(16).fill(undefined);
  /// Words of a callback, of one nested in it, and of one that is refused; how many of them count.
  registers: bigint[][] = Array.from({ length: 3 }, () => Array(32).fill(0n));
  counts = [0, 0];
  #ahead = 0;

  constructor(address: number, stack: number, words: number) {
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

  /// The lock that would be taken now: 0, 1, or 2 when there is none left.
  get level(): number {
    return this.locks[0] === undefined ? 0 : this.locks[1] === undefined ? 1 : 2;
  }

  addressOf(word: number): number {
    return this.stack + word * WORD_SIZE;
  }

  breakLocks(base: number): void {
    this.locks = this.locks.map((lock) => (lock && lock.base >= base ? undefined : lock));
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

export class Model {
  readonly outside: Outside;
  sites: { ip: number; users: number }[] = [];
  users: (User | undefined)[] = Array(16).fill(undefined);
  free: number[] = [...Array(16).keys()];
  tasks: ModelTask[] = [];
  rings: ModelRing[] = [];
  current: ModelTask;
  counter = 0;
  mono = false;
  lastMono = 0;

  constructor(outside: Outside, first: ModelTask) {
    this.outside = outside;
    this.tasks.push(first);
    this.current = first;
  }

  #mask(...kinds: number[]): number {
    return this.users.reduce((mask, user, k) => (user && kinds.includes(user.kind) ? mask | (1 << k) : mask), 0);
  }

  get timed(): number {
    return this.#mask(GOPS_GRAPH, GOPS_PROFILE);
  }

  get calling(): number {
    return this.#mask(layout.GOPS_WASM, layout.GOPS_HOST);
  }

  #clock(): number {
    const now = Math.trunc(this.outside.clock());
    if (now >= this.lastMono) this.lastMono = now;
    return this.lastMono;
  }

  // ---- users

  register(kind: number, entry: number, ret: number, ring: ModelRing | undefined): number {
    if (ring?.task) return -EBUSY;
    const index = this.free.shift();
    if (index === undefined) return -ENOSPC;
    this.users[index] = { kind, entry, ret, statistics: new Map() };
    for (const task of this.tasks) task.rings[index] = undefined;
    if (ring) this.#attach(this.current, index, ring);
    return index;
  }

  #attach(task: ModelTask, index: number, ring: ModelRing | undefined): void {
    const old = task.rings[index];
    if (old) old.task = undefined;
    task.rings[index] = ring;
    if (ring) ring.task = task;
  }

  setRing(index: number, task: ModelTask, ring: ModelRing | undefined): number {
    if (this.users[index]?.kind !== GOPS_GRAPH) return -EINVAL;
    if (ring?.task) return -EBUSY;
    this.#attach(task, index, ring);
    return 0;
  }

  unregister(index: number): number {
    if (!this.users[index]) return -EINVAL;
    this.users[index] = undefined;
    this.free.push(index);
    for (const site of this.sites) site.users &= ~(1 << index);
    for (const task of this.tasks) {
      this.#attach(task, index, undefined);
      for (const frame of task.frames) {
        frame.bitmap &= ~(1 << index);
        for (const data of frame.data) if (data.owner === index) data.orphan = true;
      }
    }
    return 0;
  }

  want(site: number, index: number, on: boolean): number {
    if (!this.sites[site] || !this.users[index]) return -EINVAL;
    if (on) this.sites[site].users |= 1 << index;
    else this.sites[site].users &= ~(1 << index);
    return 0;
  }

  // ---- entry and exit

  /// After a call out: false when somebody put the stack back below what we work on.
  #settle(task: ModelTask, from: number, level: number, lock: Lock | undefined): boolean {
    if (task.locks[level] !== lock) return false;
    this.#unwind(task, from);
    return task.locks[level] === lock;
  }

  enter(siteId: number, words?: readonly bigint[]): number {
    const task = this.current;
    const site = this.sites[siteId];
    const { mono } = this;
    const count = words?.length === layout.FREGS_MAX / 2 ? task.takeAhead(words.length) : (words?.length ?? 0);
    if (site && site.users & this.calling && words) {
      for (const [k, word] of words.entries()) task.registers[task.level][k] = word;
    }
    if (!site || task.pause || !site.users) return 0;
    const { level } = task;
    if (level > 1) return 0;
    let lock: Lock | undefined;
    const calls = site.users & this.calling || (mono && site.users & this.timed);
    let time = 0;
    if (calls) {
      lock = { base: task.top, index: -1 };
      task.locks[level] = lock;
      task.counts[level] = count;
      if (mono && site.users & this.timed) {
        const start = task.top;
        time = this.#clock();
        if (!this.#settle(task, start, level, lock)) return 0;
      }
    }
    const frame: Frame = { base: task.top, site: siteId, bitmap: 0, accepted: false, data: [], call: new Map() };
    if (frame.base + FRAME_WORDS + 1 >= task.limit) {
      task.overrun++;
      task.locks[level] = undefined;
      return 0;
    }
    task.frames.push(frame);
    const depth = task.frames.length - 1;
    let number: number | undefined; // of this event, once somebody accepted it; void after events inside
    for (let index = 0; index < 16; index++) {
      const user = this.users[index];
      if (!user || !(site.users & (1 << index))) continue;
      const held = frame.data.length;
      let accepted = true;
      if (user.kind === GOPS_GRAPH) {
        const ring = task.rings[index];
        const now = mono ? time : (number ?? this.counter + 1);
        accepted = ring !== undefined && this.#reserve(task, index, 1, [BigInt(now)]);
        const entry = accepted && ring!.record({ type: 'entry', site: siteId, time: now, depth, call: now });
        accepted = !!entry;
        if (entry) frame.call.set(index, { time: entry.time, below: 0 });
      } else if (user.kind === GOPS_PROFILE) {
        const now = mono ? time : (number ?? this.counter + 1);
        accepted = this.#reserve(task, index, 3, []);
        if (accepted) frame.call.set(index, { time: now, below: 0 });
      } else if (user.entry) {
        lock!.index = index;
        accepted = this.outside.call(user.entry, index, siteId, task.addressOf(frame.base), task.wordsAt(level));
        if (mono && site.users & this.timed) time = this.#clock();
        if (!this.#settle(task, frame.base + 1, level, lock)) return 0;
        lock!.index = -1;
        if (this.users[index] !== user) accepted = false;
        if (this.counter !== number) number = undefined;
      }
      if (accepted) {
        number ??= ++this.counter;
        frame.bitmap |= 1 << index;
        frame.accepted = true;
      } else {
        frame.data.length = held;
      }
    }
    if (lock) task.locks[level] = undefined;
    if (!frame.bitmap) {
      task.frames.pop();
      return 0;
    }
    return task.addressOf(frame.base);
  }

  leave(cookie: number, words?: readonly bigint[]): void {
    const task = this.current;
    const count = words ? task.takeAhead(1) : 0;
    const { mono } = this;
    const frame = task.frames.find(({ base }) => task.addressOf(base) === cookie);
    if (!frame || task.locks.some((lock) => lock?.base === frame.base)) {
      task.stray++;
      return;
    }
    task.breakLocks(frame.base);
    this.#unwind(task, frame.base + 1);
    const { level } = task;
    if (level > 1) {
      this.#unwind(task, frame.base);
      return;
    }
    let lock: Lock | undefined;
    let time = 0;
    if (frame.bitmap & this.calling || (mono && frame.bitmap & this.timed)) {
      lock = { base: frame.base, index: -1 };
      task.locks[level] = lock;
      task.counts[level] = count;
      if (words) task.registers[level][0] = words[0];
      if (mono && frame.bitmap & this.timed) {
        time = this.#clock();
        if (!this.#settle(task, frame.base + 1, level, lock)) return;
      }
    }
    this.counter++;
    if (!mono) time = this.counter;
    const told = frame.bitmap;
    for (let index = 0; index < 16; index++) {
      const user = this.users[index];
      if (!user || !(frame.bitmap & told & (1 << index))) continue;
      if (user.kind === GOPS_GRAPH || user.kind === GOPS_PROFILE) {
        this.#ended(task, frame, index, 'return', time);
      } else if (user.ret) {
        frame.bitmap &= ~((2 << index) - 1);
        const rest = frame.bitmap;
        this.outside.call(user.ret, index, frame.site, cookie, task.wordsAt(level));
        if (mono && rest & this.timed) time = this.#clock();
        if (!this.#settle(task, frame.base + 1, level, lock)) return;
        if (!mono && this.counter !== time) time = ++this.counter;
      }
    }
    if (lock) task.locks[level] = undefined;
    task.frames.pop();
    task.returns++;
  }

  save(): number {
    return this.current.addressOf(this.current.top);
  }

  restore(mark: number): void {
    const task = this.current;
    const word = (mark - task.stack) / WORD_SIZE;
    if (word === task.top && !task.held) return;
    if (word < 0 || word > task.limit) {
      task.stray++;
      return;
    }
    this.reset(task, word);
  }

  reset(task: ModelTask, word = 0): void {
    task.breakLocks(word);
    this.#unwind(task, word);
  }

  #unwind(task: ModelTask, from: number): void {
    if (!task.newest || task.newest.base < from) return;
    const time = this.mono && this.timed ? this.#clock() : 0;
    for (let frame = task.newest; frame && frame.base >= from; frame = task.newest) {
      this.counter++;
      for (let index = 0; index < 16; index++) {
        if (frame.bitmap & this.timed & (1 << index)) {
          this.#ended(task, frame, index, 'unwound', this.mono ? time : this.counter);
        }
      }
      task.frames.pop();
      task.unwound++;
    }
  }

  #ended(task: ModelTask, frame: Frame, index: number, type: 'return' | 'unwound', time: number): void {
    const depth = task.frames.length - 1;
    const { time: call, below } = frame.call.get(index)!;
    const user = this.users[index]!;
    if (user.kind === GOPS_GRAPH) {
      task.rings[index]?.record({ type, site: frame.site, time, depth, call });
      return;
    }
    const row = user.statistics.get(frame.site) ?? { count: 0, total: 0, self: 0, max: 0 };
    const total = Math.max(time - call, 0);
    row.count++;
    row.total += total;
    row.self += Math.max(total - below, 0);
    row.max = Math.max(row.max, total);
    user.statistics.set(frame.site, row);
    const parent = task.frames.slice(0, -1).findLast(({ bitmap }) => bitmap & (1 << index));
    if (parent) parent.call.get(index)!.below += total;
  }

  // ---- data

  #reserve(task: ModelTask, owner: number, words: number, values: bigint[]): boolean {
    if (task.top + words + 1 >= task.limit) return false;
    const filled = Array.from({ length: words }, (_, i) => values[i] ?? 0n);
    task.newest!.data.push({ owner, orphan: false, values: filled });
    return true;
  }

  reserve(index: number, bytes: number): number {
    const task = this.current;
    const lock = task.locks[1] ?? task.locks[0];
    if (!lock || lock.index !== index || !this.users[index] || bytes <= 0 || bytes > 256) return 0;
    if (task.newest?.base !== lock.base || task.newest.data.some((d) => d.owner === index && !d.orphan)) return 0;
    const address = task.addressOf(task.top);
    return this.#reserve(task, index, Math.ceil(bytes / 8), []) ? address : 0;
  }

  /// Address and size of the data of a user, n frames below the newest.
  retrieve(index: number, n: number): { address: number; size: number; data?: Data } {
    const task = this.current;
    const frame = this.users[index] && task.frames[task.frames.length - 1 - n];
    if (!frame) return { address: 0, size: 0 };
    let word = frame.base + FRAME_WORDS + 1;
    for (const data of frame.data) {
      if (data.owner === index && !data.orphan) {
        return { address: task.addressOf(word), size: data.values.length * WORD_SIZE, data };
      }
      word += data.values.length + 1;
    }
    return { address: 0, size: 0 };
  }

  clockSet(clock: number): number {
    if ((clock === CLOCK_MONO) === this.mono) return 0;
    if (this.tasks.some((task) => task.frames.length > 0 || task.held)) return -EBUSY;
    this.mono = clock === CLOCK_MONO;
    for (const ring of this.rings) ring.events = [];
    return 0;
  }
}
