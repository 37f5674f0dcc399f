// What the engine should do, written as simply as JavaScript allows: objects and arrays in place of words, searches in place
// of caches, no direct mode. It follows spec/fgraph.md §2 to §6 and the contracts in assembly/, and knows addresses only
// where a caller sees them.

import * as layout from '../../assembly/layout.ts';
import { ENTER_WORDS_MAX } from '../../src/instrument/abi.ts';
import { ModelOpsTable } from './model-ops.ts';
import type { Data, Frame, Lock, ModelEvent, ModelRing, ModelSite, ModelTask, User } from './model-parts.ts';

const { FRAME_WORDS, WORD_SIZE, EBUSY, EINVAL, ENOSPC, RECURSION_CALLBACK, RECURSION_LIST } = layout;
const { GOPS_GRAPH, GOPS_PROFILE, CLOCK_MONO, GRAPH_SKIP_IRQS, GRAPH_SKIP_SLEEP } = layout;

/// What runs outside of the engine. Either may call the model back, or throw.
export interface Outside {
  call(handler: number, index: number, site: number, frame: number, words: readonly bigint[]): boolean;
  clock(): number;
}

export class Model {
  readonly outside: Outside;
  sites: ModelSite[] = [];
  readonly ops = new ModelOpsTable();
  graphFilter = false;
  graphDepth = 0;
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

  /// Users that need the time of an event, and users with handlers.
  timed = 0;
  calling = 0;

  #classify(): void {
    this.timed = 0;
    this.calling = 0;
    this.users.forEach((user, k) => {
      if (user?.kind === GOPS_GRAPH || user?.kind === GOPS_PROFILE) this.timed |= 1 << k;
      if (user?.kind === layout.GOPS_HOST) this.calling |= 1 << k;
    });
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
    this.users[index] = { kind, entry, ret, options: 0, threshold: 0, statistics: new Map() };
    this.#classify();
    for (const task of this.tasks) {
      task.rings[index] = undefined;
      task.places[index] = { untraced: false };
      task.ignored &= ~(1 << index);
    }
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
    const user = this.users[index];
    if (!user) return -EINVAL;
    if (user.options & GRAPH_SKIP_SLEEP) this.#account(-1);
    this.users[index] = undefined;
    this.#classify();
    this.free.push(index);
    for (const site of this.sites) site.users &= ~(1 << index);
    for (const task of this.tasks) this.#attach(task, index, undefined);
    this.#forget(index);
    return 0;
  }

  /// No frame in flight knows the user any more.
  #forget(index: number): void {
    for (const task of this.tasks) {
      for (const frame of task.frames) {
        frame.bitmap &= ~(1 << index);
        for (const data of frame.data) if (data.owner === index) data.orphan = true;
      }
    }
  }

  // ---- the rules of graph users, and time asleep

  graphOptions(index: number, options: number, threshold: number): number {
    const user = this.users[index];
    if (!user || (user.kind !== GOPS_GRAPH && user.kind !== GOPS_PROFILE)) return -EINVAL;
    const isGraph = user.kind === GOPS_GRAPH;
    if (!isGraph && (threshold >= 1 || options & GRAPH_SKIP_IRQS)) return -EINVAL;
    if (isGraph ? user.threshold !== threshold : user.options !== options) {
      this.#forget(index);
      for (const task of this.tasks) task.places[index] = { untraced: false };
    }
    if ((user.options ^ options) & GRAPH_SKIP_SLEEP) this.#account(options & GRAPH_SKIP_SLEEP ? 1 : -1);
    user.options = options;
    user.threshold = threshold;
    return 0;
  }

  graphSite(site: number, starts: boolean, notrace: boolean): number {
    if (!this.sites[site]) return -EINVAL;
    Object.assign(this.sites[site], { starts, notrace });
    return 0;
  }

  #sleepers = 0;
  #walks = 0;

  #account(change: number): void {
    this.#sleepers += change;
    if (this.#sleepers === 0 || change === 0) for (const task of this.tasks) task.stamp = 0;
  }

  switchTo(task: ModelTask): void {
    const now = this.#sleepers === 0 ? 0 : this.mono ? this.#clock() : this.counter;
    const sleepers = this.#sleepers;
    const previous = this.current;
    this.current = task;
    if (now === 0 && sleepers === 0) return;
    if (task === previous) return;
    previous.stamp = now;
    if (task.stamp) task.asleep += now - task.stamp;
    task.stamp = 0;
  }

  // ---- plain ops

  opsRegister(kind: number, handler: number, ring: ModelRing | undefined, flags: number): number {
    if (kind === layout.OPS_FUNCTION) {
      if (!ring) return -EINVAL;
      if (ring.task) return -EBUSY;
      ring.task = 'all';
      this.#opsRings.set(ring.address, ring);
    }
    return this.ops.register(kind, ring ? ring.address : handler, flags);
  }

  readonly #opsRings = new Map<number, ModelRing>();

  opsUnregister(handle: number): number {
    const ops = this.ops.find(handle);
    if (!ops) return -EINVAL;
    if (ops.kind === layout.OPS_FUNCTION) this.#opsRings.get(ops.handler)!.task = undefined;
    this.ops.remove(handle);
    return 0;
  }

  opsWant(handle: number, site: number, on: boolean): number {
    return this.sites[site] ? this.ops.want(handle, site, on) : -EINVAL;
  }

  /// Tells the plain ops of a site that it was entered. False: the stack was put back below.
  #walk(task: ModelTask, siteId: number, count: number): boolean {
    const bit = task.next(RECURSION_LIST);
    if (bit < 0) return true;
    const { level, top } = task;
    let lock: Lock | undefined;
    if (this.mono || this.ops.calling > 0) {
      lock = { base: top, index: -1, isWalk: true, order: ++this.#walks };
      task.locks[bit] = lock;
      task.counts[level] = count;
    }
    const parent = task.newest ? this.sites[task.newest.site].ip : 0;
    let number = this.counter + 1;
    let time: number | undefined = this.mono ? undefined : 0;
    let last = Number.POSITIVE_INFINITY;
    for (;;) {
      const ops = this.ops.after(siteId, last);
      if (!ops) break;
      if (ops.flags & task.ignored & layout.OPS_PIDS_MASK) {
        last = ops.serial;
        continue;
      }
      if (ops.kind === layout.OPS_FUNCTION && time !== undefined) {
        if (this.counter !== number) number = this.counter + 1;
        const event: ModelEvent = {
          type: 'function',
          site: siteId,
          time: this.mono ? time : number,
          depth: 0,
          call: parent,
          pid: task.pid,
        };
        if (this.#opsRings.get(ops.handler)!.record(event)) this.counter = number;
        last = ops.serial;
        continue;
      }
      if (ops.kind === layout.OPS_FUNCTION) time = this.#clock();
      else {
        last = ops.serial;
        const frame = task.newest ? task.addressOf(task.newest.base) : 0;
        this.outside.call(ops.handler, this.ops.handle(ops), siteId, frame, task.wordsAt(level));
        time = this.mono ? undefined : 0;
      }
      if (!this.#settle(task, top, bit, lock)) return false;
    }
    if (lock) task.locks[bit] = undefined;
    return true;
  }

  want(site: number, index: number, on: boolean): number {
    if (!this.sites[site] || !this.users[index]) return -EINVAL;
    if (on) this.sites[site].users |= 1 << index;
    else this.sites[site].users &= ~(1 << index);
    return 0;
  }

  // ---- entry and exit

  /// After a call out: false when somebody put the stack back below what we work on.
  #settle(task: ModelTask, from: number, bit: number, lock: Lock | undefined): boolean {
    if (task.locks[bit] !== lock) return false;
    this.#unwind(task, from);
    return task.locks[bit] === lock;
  }

  enter(siteId: number, words?: readonly bigint[]): number {
    const task = this.current;
    const site = this.sites[siteId];
    const { mono } = this;
    const count = words?.length === ENTER_WORDS_MAX ? task.takeAhead(words.length) : (words?.length ?? 0);
    const hasOps = this.ops.count(siteId) > 0;
    if (site && words && (site.users & this.calling || (hasOps && this.ops.calling > 0))) {
      words.forEach((word, k) => {
        task.registers[task.level][k] = word;
      });
    }
    if (!site || (hasOps && !this.#walk(task, siteId, count))) return 0;
    if (task.pause || !site.users) return 0;
    const { level } = task;
    const bit = task.next(RECURSION_CALLBACK);
    if (bit < 0) return 0;
    let lock: Lock | undefined;
    const calls = site.users & this.calling || (mono && site.users & this.timed);
    let time = 0;
    if (calls) {
      lock = { base: task.top, index: -1, isWalk: false };
      task.locks[bit] = lock;
      task.counts[level] = count;
      if (mono && site.users & this.timed) {
        const start = task.top;
        time = this.#clock();
        if (!this.#settle(task, start, bit, lock)) return 0;
      }
    }
    const frame: Frame = { base: task.top, site: siteId, bitmap: 0, accepted: false, data: [], call: new Map() };
    if (frame.base + FRAME_WORDS + 1 >= task.limit) {
      task.overrun++;
      task.locks[bit] = undefined;
      return 0;
    }
    task.frames.push(frame);
    const depth = task.frames.length - 1;
    let number: number | undefined; // of this event, once somebody accepted it; void after events inside
    for (let index = 0; index < 16; index++) {
      const user = this.users[index];
      if (!user || !(site.users & ~task.ignored & (1 << index))) continue;
      const held = frame.data.length;
      let accepted = true;
      if (user.kind === GOPS_GRAPH) {
        accepted = this.#graphEntry(task, index, frame, mono ? time : (number ?? this.counter + 1), depth);
      } else if (user.kind === GOPS_PROFILE) {
        const now = mono ? time : (number ?? this.counter + 1);
        accepted = this.#reserve(task, index, 3, []);
        const asleep = user.options ? task.asleep : 0;
        if (accepted) frame.call.set(index, { time: now - asleep, below: 0 });
      } else if (user.entry) {
        lock!.index = index;
        accepted = this.outside.call(user.entry, index, siteId, task.addressOf(frame.base), task.wordsAt(level));
        if (mono && site.users & this.timed) time = this.#clock();
        if (!this.#settle(task, frame.base + 1, bit, lock)) return 0;
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
    if (lock) task.locks[bit] = undefined;
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
    if (!frame || task.locks.some((lock) => lock && !lock.isWalk && lock.base === frame.base)) {
      task.stray++;
      return;
    }
    if (task.held) task.breakLocks(frame.base);
    this.#unwind(task, frame.base + 1);
    const { level } = task;
    const bit = task.next(RECURSION_CALLBACK);
    if (bit < 0) {
      this.#unwind(task, frame.base);
      return;
    }
    let lock: Lock | undefined;
    let time = 0;
    if (frame.bitmap & this.calling || (mono && frame.bitmap & this.timed)) {
      lock = { base: frame.base, index: -1, isWalk: false };
      task.locks[bit] = lock;
      task.counts[level] = count;
      if (words) task.registers[level][0] = words[0];
      if (mono && frame.bitmap & this.timed) {
        time = this.#clock();
        if (!this.#settle(task, frame.base + 1, bit, lock)) return;
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
        if (!this.#settle(task, frame.base + 1, bit, lock)) return;
        if (!mono && this.counter !== time) time = ++this.counter;
      }
    }
    if (lock) task.locks[bit] = undefined;
    task.frames.pop();
    task.returns++;
  }

  save(): number {
    const { current } = this;
    return current.addressOf(current.top) | current.walks.length;
  }

  restore(mark: number): void {
    const task = this.current;
    const word = ((mark & layout.MARK_TOP) - task.stack) / WORD_SIZE;
    if (word === task.top && !task.held) return;
    if (word < 0 || word > task.limit) {
      task.stray++;
      return;
    }
    this.reset(task, word, mark & ~layout.MARK_TOP);
  }

  reset(task: ModelTask, word = 0, walkers = 0): void {
    task.breakLocks(word, walkers);
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
    const user = this.users[index]!;
    if (user.kind === GOPS_GRAPH) {
      this.#graphExit(task, index, frame, type, time, depth);
      return;
    }
    const { time: call, below } = frame.call.get(index)!;
    if (user.options) time -= task.asleep;
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

  // ---- graph users

  #graphEntry(task: ModelTask, index: number, frame: Frame, time: number, depth: number): boolean {
    const user = this.users[index]!;
    const site = this.sites[frame.site];
    const ring = task.rings[index];
    const place = task.places[index];
    if (!ring || place.untraced) return false;
    if (site.notrace) {
      place.untraced = true;
      return true;
    }
    const irq = task.context === layout.CONTEXT_IRQ;
    let { inside } = place;
    if (!inside && this.graphFilter) {
      if (!site.starts) return false;
      inside = { depth, irq };
    }
    if (this.graphDepth && depth >= this.graphDepth) return false;
    if (irq && user.options & GRAPH_SKIP_IRQS && !inside?.irq) return false;
    const sleeps = user.options & GRAPH_SKIP_SLEEP;
    if (!this.#reserve(task, index, sleeps ? 2 : 1, [])) return false;
    let call = time;
    if (!user.threshold) {
      const entry = ring.record({ type: 'entry', site: frame.site, time, depth, call: time });
      if (!entry) return false;
      call = entry.time;
    }
    frame.call.set(index, { time: call, below: 0, asleep: sleeps ? task.asleep : undefined });
    place.inside = inside;
    return true;
  }

  #graphExit(
    task: ModelTask,
    index: number,
    frame: Frame,
    type: 'return' | 'unwound',
    time: number,
    depth: number,
  ): void {
    const place = task.places[index];
    if (place.inside?.depth === depth) place.inside = undefined;
    const { untraced } = place;
    place.untraced = false;
    const called = frame.call.get(index);
    if (untraced || !called) return;
    let call = called.time;
    if (called.asleep !== undefined) call = Math.min(call + task.asleep - called.asleep, time);
    const { threshold } = this.users[index]!;
    if (threshold && time - call < threshold) return;
    task.rings[index]?.record({ type, site: frame.site, time, depth, call });
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
    const lock = task.callback;
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
    this.#account(0);
    return 0;
  }
}
