// Tasks: whatever owns a stack (spec/fgraph.md §7). A program that runs several in turn (coroutines, green threads, a scripted
// scheduler) has one made for each and says which one runs; frames, task variables and recordings are then each task's own.
//
// The tracer begins with one, `main`. A task that is not the current one sleeps: nothing of it can be entered or left, and a
// `leave` that comes while another task runs is counted as stray and changes nothing.

import * as layout from '../assembly/layout.ts';
import { type Engine, EngineError } from './engine.ts';
import { badRange, badType, shown } from './errors.ts';
import { Interrupts } from './interrupts.ts';
import type { TaskCounts } from './memory.ts';
import { checkFunction, checkString, readOptions } from './options.ts';
import { roomToBegin, roomToCall, roomToEnd } from './stack.ts';

const PID_MAX = 2 ** 29 - 1; // what a record has room for

export interface TaskOptions {
  /// Name, as `comm` of a process. Default `task-N`, N being its pid.
  readonly comm?: string;
  /// The same, for who has no `comm`.
  readonly name?: string;
  /// 1 to 2^29 − 1, of no task that lives. Default: the next one.
  readonly pid?: number;
  /// Size of its shadow stack in words of 8 bytes, 64 to 16777216. Default: as the tracer's own.
  readonly stackWords?: number;
}

const KNOWN = ['comm', 'name', 'pid', 'stackWords'];

/// Who has something for each task. `begin` may throw: the task is then not made, and `end` is called for those that began.
export interface TaskObserver {
  /// `parent`: the task that forked it, if one did.
  begin(task: Task, parent?: Task): void;
  end(task: Task): void;
}

export class Task {
  readonly pid: number;
  readonly comm: string;
  readonly stackWords: number;
  /// The CPU that its events are shown on.
  cpu = 0;
  /// In the engine; not to be used when the task has gone.
  readonly address: number;
  readonly #tasks: Tasks;
  /// The task that ran when this one was resumed.
  #resumer: Task | undefined;

  /// Use `Tracer.createTask`.
  constructor(tasks: Tasks, address: number, pid: number, comm: string, stackWords: number) {
    this.#tasks = tasks;
    this.address = address;
    this.pid = pid;
    this.comm = comm;
    this.stackWords = stackWords;
  }

  /// Whether `value` is a task. Also tells a Proxy of one, and what only inherits from one, from the real thing.
  static is(value: unknown): value is Task {
    return typeof value === 'object' && value !== null && #tasks in value;
  }

  /// False when it has exited.
  get alive(): boolean {
    return this.#tasks.has(this);
  }

  get isCurrent(): boolean {
    return this.#tasks.current === this;
  }

  /// What happened on it so far. Throws ESRCH, as all that follows does, when it has exited.
  counts(): TaskCounts {
    return this.#tasks.counts(this);
  }

  /// Makes it the current task. Returns the one before.
  switchTo(): Task {
    roomToCall();
    return this.#tasks.switchTo(this);
  }

  /// Calls `run` on this task and goes back to the one that was current, however `run` ends.
  run<Result>(run: () => Result): Result {
    checkFunction('run: what is to run', run);
    roomToCall();
    const before = this.#tasks.switchTo(this);
    try {
      return run();
    } finally {
      if (before.alive) this.#tasks.switchTo(before);
    }
  }

  /// Makes it the current task until it is suspended, as a coroutine. Throws EBUSY for the current one, and for one that waits
  /// for another that it resumed.
  resume(): void {
    roomToCall();
    this.#tasks.check(this);
    if (this.isCurrent || this.#resumer?.alive) throw new EngineError('EBUSY', `${shownTask(this)} runs already`);
    this.#resumer = this.#tasks.switchTo(this);
  }

  /// Goes back to the task that resumed this one. Throws EINVAL when this is not the current one, or nobody resumed it.
  suspend(): void {
    roomToCall();
    this.#tasks.check(this);
    const resumer = this.#resumer;
    if (!this.isCurrent) throw new EngineError('EINVAL', `${shownTask(this)} cannot be suspended: it does not run`);
    if (!resumer?.alive) throw new EngineError('EINVAL', `${shownTask(this)} cannot be suspended: nobody resumed it`);
    this.#resumer = undefined;
    this.#tasks.switchTo(resumer);
  }

  /// Entries on this task are refused until `unpause` was called as often; calls under way return as usual (spec/fgraph.md §8).
  pause(): void {
    this.#tasks.pause(this, true);
  }

  /// Throws EINVAL when it is not paused.
  unpause(): void {
    this.#tasks.pause(this, false);
  }

  /// Says that the task is ready to run: the `wakeup` tracer measures how long it waits. Throws EINVAL for the current task.
  wake(): void {
    this.#tasks.check(this);
    if (this.isCurrent) throw new EngineError('EINVAL', `${shownTask(this)} is awake: it runs`);
    this.#tasks.interrupts.woken(this);
  }

  /// A new task with an empty stack of the same size, and the same name unless there is another one. With `Tracer.functionFork`
  /// it is in the pid filters that this one is in.
  fork(options: Omit<TaskOptions, 'stackWords'> = {}): Task {
    const { name = this.comm, comm = name, pid } = readOptions('fork', options, ['comm', 'name', 'pid']);
    this.#tasks.check(this);
    return this.#tasks.create({ name, comm, pid, stackWords: this.stackWords }, this);
  }

  /// Ends the task: its frames are unwound, what was recorded of it can still be read. Throws EBUSY for the current task, for
  /// the tracer's own, and while one of its handlers runs.
  exit(): void {
    this.#tasks.exit(this);
  }
}

const shownTask = ({ comm, pid }: Task): string => `task ${comm}-${pid}`;

export class Tasks {
  readonly main: Task;
  readonly interrupts: Interrupts;
  readonly #engine: Engine;
  readonly #byPid = new Map<number, Task>();
  /// Of those that have exited too: recordings name them.
  readonly #comms = new Map<number, string>();
  readonly #observers = new Set<TaskObserver>();
  #current: Task;
  #lastPid = 0;

  /// Makes the tracer's own task, with pid 1, and the current one.
  constructor(engine: Engine, stackWords: number) {
    this.#engine = engine;
    this.interrupts = new Interrupts(engine);
    const before = engine.exports.task_current();
    this.main = this.#make('main', 1, stackWords);
    this.#current = this.main;
    engine.exports.task_switch(this.main.address);
    engine.exports.task_free(before); // the engine's first, which nobody asked for
  }

  get current(): Task {
    return this.#current;
  }

  /// Those that live, in the order in which they were made.
  get all(): Iterable<Task> {
    return this.#byPid.values();
  }

  /// Name of a task, also of one that has exited.
  comm(pid: number): string {
    return this.#comms.get(pid) ?? '<...>';
  }

  has(task: Task): boolean {
    return this.#byPid.get(task.pid) === task;
  }

  /// Throws TypeError for what is no task, EINVAL for another tracer's, ESRCH for one that has exited.
  check(task: Task): void {
    if (!Task.is(task)) throw badType(`expected a task, got ${shown(task)}`);
    if (this.has(task)) return;
    if (task.alive) throw new EngineError('EINVAL', `${shownTask(task)} belongs to another tracer`);
    throw new EngineError('ESRCH', `${shownTask(task)} has exited`);
  }

  /// `observer.begin` is called for all tasks there are, then for each new one; `end` when one exits.
  observe(observer: TaskObserver): void {
    this.#begin([...this.all], [observer]);
    this.#observers.add(observer);
  }

  unobserve(observer: TaskObserver): void {
    this.#observers.delete(observer);
  }

  create(options: TaskOptions, parent?: Task): Task {
    const read = readOptions('createTask', options, KNOWN);
    const { name, comm = name, pid = this.#freePid(), stackWords = this.main.stackWords } = read;
    checkString('comm', comm);
    checkString('name', name);
    if (!Number.isInteger(pid) || pid < 1 || pid > PID_MAX) {
      throw badRange(`pid is ${shown(pid)}, expected a whole number from 1 to ${PID_MAX}`);
    }
    roomToBegin();
    const taken = this.#byPid.get(pid);
    if (taken) throw new EngineError('EEXIST', `pid ${pid} is that of ${shownTask(taken)}`);
    const task = this.#make(comm ?? `task-${pid}`, pid, stackWords);
    try {
      this.#begin([task], [...this.#observers], parent);
    } catch (error) {
      this.#forget(task);
      throw error;
    }
    return task;
  }

  #begin(tasks: readonly Task[], observers: readonly TaskObserver[], parent?: Task): void {
    const begun: [TaskObserver, Task][] = [];
    try {
      for (const observer of observers) {
        for (const task of tasks) {
          observer.begin(task, parent);
          begun.push([observer, task]);
        }
      }
    } catch (error) {
      for (const [observer, task] of begun) observer.end(task);
      throw error;
    }
  }

  #make(comm: string, pid: number, stackWords: number): Task {
    const address = this.#engine.createTask(stackWords);
    this.#engine.memory.store32(address + layout.TASK_ID, pid);
    const task = new Task(this, address, pid, comm, stackWords);
    this.#byPid.set(pid, task);
    this.#comms.set(pid, comm);
    this.#lastPid = pid;
    return task;
  }

  #freePid(): number {
    let pid = this.#lastPid;
    do pid = pid === PID_MAX ? 1 : pid + 1;
    while (this.#byPid.has(pid));
    return pid;
  }

  #forget(task: Task): void {
    this.#byPid.delete(task.pid);
    this.#engine.exports.task_free(task.address);
  }

  switchTo(task: Task): Task {
    this.check(task);
    const before = this.#current;
    if (task !== before) {
      this.#engine.exports.task_switch(task.address);
      this.#current = task;
      this.interrupts.switched(before, task);
    }
    return before;
  }

  /// The engine, which runs a program, has gone over to `task`.
  follow(task: Task): void {
    const before = this.#current;
    this.#engine.exports.task_switch(task.address);
    this.#current = task;
    if (task !== before) this.interrupts.switched(before, task);
  }

  counts(task: Task): TaskCounts {
    this.check(task);
    return this.#engine.memory.counts(task.address);
  }

  pause(task: Task, on: boolean): void {
    this.check(task);
    if (this.#engine.exports.task_pause(task.address, on ? 1 : 0) < 0) {
      throw new EngineError('EINVAL', `${shownTask(task)} is not paused`);
    }
  }

  exit(task: Task): void {
    this.check(task);
    if (task === this.main) throw new EngineError('EBUSY', `${shownTask(task)} is the tracer's own`);
    if (task === this.#current) throw new EngineError('EBUSY', `${shownTask(task)} runs; switch to another one first`);
    if (this.#engine.memory.load32(task.address + layout.TASK_RECURSION) !== 0) {
      throw new EngineError('EBUSY', `a handler runs on ${shownTask(task)}`);
    }
    roomToEnd();
    this.#engine.exports.task_reset(task.address); // before its recordings are detached: they tell how its calls ended
    for (const observer of this.#observers) observer.end(task);
    this.#forget(task);
  }
}
