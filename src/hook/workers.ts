// Threads that the program starts. Each gets the hook, whatever options it is started with, and finds out what its parent knows.
//
// `--require` goes into the worker's `execArgv` where the hook would not be inherited: with an `execArgv` or an `env` of its own.
// (An import is not done for code that is evaluated, and later than the worker's first line.) What the parent has to tell travels as environment data, which is there before the worker's first line, and is taken away again on
// both sides. The worker then shows the `execArgv` that it was given.

import { syncBuiltinESMExports } from 'node:module';
import { fileURLToPath } from 'node:url';
import workerThreads from 'node:worker_threads';

const KEY = 'fprobe';

/// What a thread tells the threads that it starts.
export interface Inheritance {
  /// Path of the session's request.
  readonly request: string | undefined;
  /// Who runs in this process (src/hook/flush.ts).
  readonly threads: SharedArrayBuffer | undefined;
}

interface Told extends Inheritance {
  /// What `process.execArgv` is to show.
  readonly execArgv: readonly string[] | undefined;
}

/// What the parent told this thread; undefined in the main thread, and in one that was started without the hook.
export function takeInheritance(): Inheritance | undefined {
  if (workerThreads.isMainThread) return undefined;
  const told = workerThreads.getEnvironmentData(KEY) as Told | undefined;
  if (told === undefined) return undefined;
  workerThreads.setEnvironmentData(KEY, undefined);
  if (told.execArgv) process.execArgv = [...told.execArgv];
  return told;
}

type WorkerClass = typeof workerThreads.Worker;
type WorkerArguments = ConstructorParameters<WorkerClass>;

/// Wraps `worker_threads.Worker`, in this thread, for good. `register` is the URL of the hook; `inherited`: this thread has it from
/// another.
export function hookWorkers(register: string, inheritance: Inheritance, inherited: boolean): void {
  const own = workerThreads.Worker;
  const path = fileURLToPath(register);
  const hook = `--require=${path}`;
  // Then workers with no options of their own have the hook by themselves.
  const preloaded = inherited || isPreloaded([register, path, 'fprobe/register']);
  const proxy: WorkerClass = new Proxy(own, {
    construct(_, args: WorkerArguments, target) {
      const make = (given: WorkerArguments, execArgv?: readonly string[]) => {
        workerThreads.setEnvironmentData(KEY, { ...inheritance, execArgv } satisfies Told as never);
        try {
          return Reflect.construct(own, given, target === proxy ? own : target);
        } finally {
          workerThreads.setEnvironmentData(KEY, undefined);
        }
      };
      const [file, options = {}] = args;
      if (typeof options !== 'object' || options === null) return make(args); // the program's error
      // Not a copy: options may be anything that has the properties.
      const makeWith = (execArgv: readonly string[], shown: readonly string[]) =>
        make([file, Object.create(options, { execArgv: { value: [hook, ...execArgv] } })], shown);
      const { env, execArgv } = options as workerThreads.WorkerOptions;
      if (execArgv !== undefined) return Array.isArray(execArgv) ? makeWith(execArgv, execArgv) : make(args);
      const ownEnvironment = typeof env === 'object' && env !== null;
      if (preloaded && !ownEnvironment) return make(args);
      if (!ownEnvironment) {
        try {
          return makeWith(process.execArgv, process.execArgv);
        } catch (error) {
          // Options that only a process can have are inherited, but cannot be given.
          if ((error as NodeJS.ErrnoException).code !== 'ERR_WORKER_INVALID_EXEC_ARGV') throw error;
        }
      }
      return makeWith([], process.execArgv);
    },
  });
  workerThreads.Worker = proxy;
  own.prototype.constructor = proxy;
  syncBuiltinESMExports();
}

/// Whether the process was started with the hook.
function isPreloaded(names: readonly string[]): boolean {
  return [...process.execArgv, process.env.NODE_OPTIONS ?? ''].some((text) =>
    names.some((name) => text.includes(name)),
  );
}
