// A program inside a long call of WebAssembly runs no JavaScript, so no signal handler either. In a session it still has to end when
// it is told to, and to leave its recording. A thread of its own waits for `interrupt` in the session's directory, which holds the
// name of a signal and is written by whoever received that; when the main thread has not noticed the signal by itself after a
// moment, the watcher gets in through the inspector, which can interrupt what runs.
//
//   fprobe trace ── SIGINT ──► main thread: busy
//        └── DIR/interrupt ──► watcher ── Runtime.evaluate ──► main thread: writes, dies by the next SIGINT
//
// The thread sleeps in the kernel otherwise, and does not keep the process alive.

import { Worker } from 'node:worker_threads';

const KEY = 'fprobe.interrupt';
/// How long the main thread has to notice a signal.
const GRACE_MS = 400;

/// What the inspector is to evaluate in the main thread, to prepare it for a signal.
export const preparation = (signal: string): string => `process[Symbol.for('${KEY}')]('${signal}')`;

export interface Watcher {
  /// A signal has arrived in the main thread.
  seen(): void;
}

/// Starts the thread. `prepare` is called from inside whatever runs, and says whether the signal is to be sent again.
export function startWatcher(directory: string, prepare: (signal: NodeJS.Signals) => boolean): Watcher {
  Object.defineProperty(process, Symbol.for(KEY), { value: prepare });
  const flag = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  const workerData = { directory, flag, expression: preparation(SIGNAL), signalName: SIGNAL, grace: GRACE_MS };
  // No environment: what the program's threads are to be hooked by is there.
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(THREAD)}`), {
    ...{ workerData, env: {}, execArgv: [], stdin: false },
  });
  worker.on('error', () => {}); // then there is no watcher
  worker.unref();
  return {
    seen() {
      Atomics.store(flag, 0, 1);
    },
  };
}

/// Stands for the signal's name.
const SIGNAL = 'SIGNAL';

const THREAD = `
import { readFileSync, watch } from 'node:fs';
import { join } from 'node:path';
import { workerData } from 'node:worker_threads';
const { directory, flag, expression, signalName, grace } = workerData;
const file = join(directory, 'interrupt');
let told = false;
function look() {
  let signal;
  try {
    signal = readFileSync(file, 'utf8').trim();
  } catch {
    return;
  }
  if (told || !/^SIG[A-Z]+$/.test(signal)) return;
  told = true;
  setTimeout(async () => {
    if (Atomics.load(flag, 0) !== 0) return;
    const { Session } = await import('node:inspector');
    const session = new Session();
    session.connectToMainThread();
    session.post('Runtime.evaluate', { expression: expression.replace(signalName, signal) }, (_, answer) => {
      session.disconnect(); // first: Node waits for debuggers at its end
      told = false;
      if (answer?.result.value === true) process.kill(process.pid, signal);
    });
  }, grace);
}
watch(directory, look);
look();
`;
