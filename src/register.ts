// `node --import fprobe/register app.js`: every WebAssembly module that the program loads, in whatever way and thread, becomes a
// target of that thread's tracer. In a trace session (src/session.ts) the thread also records, and leaves a recording when it ends.
//
// Whatever fails here, the program runs on as if it had not been hooked.

import { isMainThread, threadId } from 'node:worker_threads';
import { cacheFromEnvironment } from './cache.ts';
import { onExit, onFatalSignal } from './hook/endings.ts';
import { hookTerminate, Threads } from './hook/flush.ts';
import { hookKill } from './hook/kill.ts';
import { Modules } from './hook/modules.ts';
import { Recorder } from './hook/recorder.ts';
import { startWatcher } from './hook/watcher.ts';
import { hookWebAssembly } from './hook/webassembly.ts';
import { hookWorkers, takeInheritance } from './hook/workers.ts';
import { FATAL_SIGNALS, REQUEST_VARIABLE, readRequest } from './session.ts';
import { Tracer } from './tracer.ts';

const REGISTER = import.meta.url;

function start(): Tracer | undefined {
  const inheritance = takeInheritance();
  const path = inheritance ? inheritance.request : process.env[REQUEST_VARIABLE];
  let recorder: Recorder | undefined;
  let threads: Threads | undefined;
  try {
    if (path) {
      const name = isMainThread ? '' : `worker${threadId}`;
      recorder = new Recorder(readRequest(path), threadId, name);
      threads = record(recorder, inheritance?.threads);
    }
  } catch (error) {
    complain(error);
  }
  try {
    hookWorkers(REGISTER, { request: path, threads: threads?.shared }, inheritance !== undefined);
    const tracer = recorder?.tracer ?? Tracer.createSync();
    hookWebAssembly(new Modules(tracer, recorder, cacheFromEnvironment()));
    return tracer;
  } catch (error) {
    complain(error);
    return undefined;
  }
}

/// Sees to it that the recording is written.
function record(recorder: Recorder, shared: SharedArrayBuffer | undefined): Threads {
  const write = (end: 'exit' | 'signal' | 'terminate'): void => {
    try {
      recorder.write(end);
    } catch (error) {
      complain(error);
    }
  };
  const { directory } = recorder.request;
  const threads = new Threads(shared, threadId, () => write('terminate'));
  onExit(() => {
    if (isMainThread) threads.askAll();
    write('exit');
    threads.written();
  });
  if (isMainThread) {
    const prepare = onFatalSignal(
      () => {
        threads.askAll();
        write('signal');
      },
      () => watcher.seen(),
    );
    const watcher = startWatcher(directory, (signal) => {
      const isFatal = prepare(signal);
      threads.prepared();
      return isFatal;
    });
    hookKill(directory, prepare);
  } else {
    hookKill(directory, (signal) => {
      if (!FATAL_SIGNALS.includes(signal)) return;
      // First: the main thread waits for all that have not written.
      write('terminate');
      threads.written();
      threads.prepareMain(signal);
      threads.runs(); // if we do
    });
  }
  hookTerminate(threads);
  return threads;
}

function complain(error: unknown): void {
  process.stderr.write(`fprobe: ${error instanceof Error ? error.message : String(error)}\n`);
}

/// The tracer of the thread that imports this.
export const tracer: Tracer = start()!;
