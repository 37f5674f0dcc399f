// The threads of one process and their recordings. A thread writes by itself when it ends; one that is ended by another (terminate(),
// or the end of the process) never gets to run again, so whoever ends it asks first and waits a moment.
//
//   shared memory, one i32 for each thread id:  0 not known   1 runs   2 has written
//                  one i32 behind them:         how often the main thread was prepared for a signal
//
// The one who asks blocks meanwhile: to the program, nothing happens between its call and what it called for.

import workerThreads, { BroadcastChannel } from 'node:worker_threads';
import { preparation } from './watcher.ts';

const SLOTS = 4096;
/// Index of the word behind those of the threads.
const PREPARED = SLOTS;
const RUNS = 1;
const WRITTEN = 2;
/// How long a thread has to answer. One that does not is inside a long call, or waits in one; so may be the next.
const PATIENCE_MS = 500;
const PATIENCE_MIN_MS = 30;
/// How long the main thread has to prepare for a signal, other threads to be asked by it included.
const PREPARE_MS = 2000;

export class Threads {
  readonly shared: SharedArrayBuffer;
  readonly #slots: Int32Array;
  readonly #tid: number;
  readonly #channel: BroadcastChannel;
  #patience = PATIENCE_MS;

  /// `write` writes this thread's recording.
  constructor(shared: SharedArrayBuffer | undefined, tid: number, write: () => void) {
    this.shared = shared ?? new SharedArrayBuffer((SLOTS + 1) * Int32Array.BYTES_PER_ELEMENT);
    this.#slots = new Int32Array(this.shared);
    this.#tid = tid;
    this.#channel = new BroadcastChannel(`fprobe ${process.pid}`);
    this.#channel.onmessage = ({ data }: { data: unknown }) => {
      if (data !== tid && data !== -1) return;
      write();
      this.written();
    };
    this.#channel.unref();
    this.runs();
  }

  /// This thread may have more to write.
  runs(): void {
    this.#mark(RUNS);
  }

  /// This thread has written, or never will.
  written(): void {
    this.#mark(WRITTEN);
  }

  #mark(state: number): void {
    if (this.#tid >= SLOTS) return;
    Atomics.store(this.#slots, this.#tid, state);
    Atomics.notify(this.#slots, this.#tid);
  }

  /// Of the main thread: it was prepared for a signal.
  prepared(): void {
    Atomics.add(this.#slots, PREPARED, 1);
    Atomics.notify(this.#slots, PREPARED);
  }

  /// Of another thread: has the main thread prepare for a signal, whatever it is doing, and waits for it.
  prepareMain(signal: NodeJS.Signals): void {
    const { Session } = process.getBuiltinModule('node:inspector');
    const session = new Session();
    session.connectToMainThread();
    const before = Atomics.load(this.#slots, PREPARED);
    session.post('Runtime.evaluate', { expression: preparation(signal) });
    Atomics.wait(this.#slots, PREPARED, before, PREPARE_MS);
    session.disconnect();
  }

  /// Has all other threads of the process write.
  askAll(): void {
    const others: number[] = [];
    for (let tid = 1; tid < SLOTS; tid++) if (tid !== this.#tid && this.#slots[tid] === RUNS) others.push(tid);
    this.#ask(-1, others);
  }

  /// Has one thread write.
  ask(tid: number): void {
    if (tid >= 0 && tid < SLOTS) this.#ask(tid, [tid]);
  }

  #ask(whom: number, tids: readonly number[]): void {
    if (tids.every((tid) => Atomics.load(this.#slots, tid) !== RUNS)) return;
    this.#channel.postMessage(whom);
    const deadline = performance.now() + this.#patience;
    for (const tid of tids) {
      const left = deadline - performance.now();
      if (left > 0) Atomics.wait(this.#slots, tid, RUNS, left);
    }
    if (performance.now() > deadline) this.#patience = Math.max(this.#patience / 2, PATIENCE_MIN_MS);
  }
}

/// Has a worker write before it is terminated.
export function hookTerminate(threads: Threads): void {
  const { prototype } = workerThreads.Worker;
  const own = prototype.terminate;
  prototype.terminate = new Proxy(own, {
    apply(target, worker: workerThreads.Worker, args: []) {
      try {
        threads.ask(worker.threadId);
      } catch {} // it ends all the same
      return Reflect.apply(target, worker, args);
    },
  });
}
