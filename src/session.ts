// A trace session: what `fprobe trace` asks of every process and thread that it starts, told through one file.
//
// The session is a directory. `request.json` in it says what to trace; each thread that runs leaves its recording beside it
// (src/recording.ts). Processes find the request through the environment, threads inherit it from the one that starts them.
//
//   fprobe trace ── FPROBE_REQUEST=DIR/request.json, NODE_OPTIONS=--require=…/register.js ──►  node app.js
//        ▲                                                                                  ├─ worker 1
//        └── DIR/PID-TID.fprobe ◄──────────────────────────────────────────────────────────┴─ fork()

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SHADOW_STACK_WORDS_MAX, SHADOW_STACK_WORDS_MIN } from '../assembly/layout.ts';
import { RING_PAGES_MAX } from '../assembly/ring-layout.ts';
import { PID_MAX } from './pids.ts';
import { readRegularFile } from './read-file.ts';
import type { ClockName } from './tracer.ts';

/// Name of the environment variable that holds the path of the request.
export const REQUEST_VARIABLE = 'FPROBE_REQUEST';

/// Signals that end a program which does not listen to them, and leave a recording then.
export const FATAL_SIGNALS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'];

/// What `fprobe trace` passes on to the program.
export const SESSION_SIGNALS: readonly NodeJS.Signals[] = [...FATAL_SIGNALS, 'SIGUSR1', 'SIGUSR2'];

/// The file that a process of the session touches before it sends a signal to its process group, to which `fprobe trace` belongs.
export function groupSignalPath(directory: string, signal: NodeJS.Signals): string {
  return join(directory, `group-${signal}`);
}

/// Bytes; command lines are shorter.
const REQUEST_MAX = 1 << 24;

export type TracerName = 'function_graph' | 'function' | 'profile';

/// What to trace, and how. Lists of globs are as in spec/fprobe.md §3.1; an empty one is no restriction.
export interface TraceRequest {
  /// Where the recordings go, an absolute path.
  readonly directory: string;
  /// When the session began: CLOCK_MONOTONIC in nanoseconds, decimal. Times of recordings are relative to it.
  readonly started: string;
  readonly tracer: TracerName;
  /// `set_ftrace_filter` and `set_ftrace_notrace`.
  readonly filter: readonly string[];
  readonly notrace: readonly string[];
  /// `set_graph_function` and `set_graph_notrace`.
  readonly graph: readonly string[];
  readonly graphNotrace: readonly string[];
  /// `max_graph_depth`, 0 = no limit.
  readonly maxDepth: number;
  /// `tracing_thresh` in microseconds, 0 = everything. Of a profile: for whoever prints it.
  readonly threshold: number;
  /// `sleep-time`: whether time counts during which the task did not run.
  readonly sleepTime: boolean;
  /// `set_ftrace_pid` and `set_ftrace_notrace_pid`: pids of tasks of each thread's tracer, of which 1 is the thread's own, for which
  /// the pid of its process stands too. An empty list of the first is no restriction.
  readonly pids: readonly number[];
  readonly notracePids: readonly number[];
  /// `function-fork`: whether tasks that tasks of these lists fork belong to them, too.
  readonly functionFork: boolean;
  /// What events carry besides (`funcgraph-args`, `-retval`, `-retaddr`), of a graph.
  readonly args: boolean;
  readonly retval: boolean;
  readonly retaddr: boolean;
  /// Which modules, by the names of their targets; all when empty.
  readonly module: readonly string[];
  readonly clock: ClockName;
  /// Of each thread's buffer; a power of two.
  readonly bufferPages: number;
  readonly mode: 'overwrite' | 'stop';
  /// Size of the shadow stack in words, 0 = as `Tracer.create` has it.
  readonly stackWords: number;
  /// Every how many entries the shadow stack is compared with the real one; 0 = never.
  readonly verify: number;
}

const DEFAULTS: Omit<TraceRequest, 'directory' | 'started'> = {
  tracer: 'function_graph',
  filter: [],
  notrace: [],
  graph: [],
  graphNotrace: [],
  maxDepth: 0,
  threshold: 0,
  sleepTime: true,
  pids: [],
  notracePids: [],
  functionFork: false,
  args: false,
  retval: false,
  retaddr: false,
  module: [],
  clock: 'mono',
  bufferPages: 1024,
  mode: 'overwrite',
  stackWords: 0,
  verify: 0,
};

const CHOICES: Readonly<Record<string, readonly string[]>> = {
  tracer: ['function_graph', 'function', 'profile'],
  clock: ['mono', 'counter'],
  mode: ['overwrite', 'stop'],
};

/// Writes the request of a new session into `directory` and returns its path. Throws TypeError or RangeError for a request that
/// no thread could follow.
export function writeRequest(
  directory: string,
  wishes: Partial<Omit<TraceRequest, 'directory' | 'started'>> = {},
): string {
  const started = process.hrtime.bigint().toString();
  const request = checkRequest('the request', { ...DEFAULTS, ...wishes, directory, started });
  const path = join(directory, 'request.json');
  writeFileSync(path, `${JSON.stringify(request, null, 2)}\n`);
  return path;
}

/// Reads a request. Throws an error that names the file.
export function readRequest(path: string): TraceRequest {
  let value: unknown;
  try {
    value = JSON.parse(readRegularFile(path, REQUEST_MAX).toString());
  } catch (error) {
    throw new Error(`cannot read the trace request ${path}: ${(error as Error).message}`, { cause: error });
  }
  return checkRequest(path, value);
}

/// The environment in which a Node process, and those that it starts, follow the request. `register` is the URL of the hook,
/// a file. It is required, not imported: Node treats a program that something was imported for in another way than others.
export function sessionEnvironment(
  request: string,
  register: string,
  env: NodeJS.ProcessEnv = process.env,
): NodeJS.ProcessEnv {
  const path = fileURLToPath(register);
  const quoted = /[\s"\\]/.test(path) ? `"${path.replace(/["\\]/g, '\\$&')}"` : path;
  const hook = `--require=${quoted}`;
  const options = env.NODE_OPTIONS ? `${hook} ${env.NODE_OPTIONS}` : hook;
  return { ...env, NODE_OPTIONS: options, [REQUEST_VARIABLE]: request };
}

function checkRequest(where: string, value: unknown): TraceRequest {
  if (typeof value !== 'object' || value === null) throw new TypeError(`${where}: expected an object`);
  const request = value as Record<string, unknown>;
  const refuse = (key: string, expected: string): never => {
    throw new RangeError(`${where}: ${key} is ${JSON.stringify(request[key])}, expected ${expected}`);
  };
  const known = ['directory', 'started', ...Object.keys(DEFAULTS)];
  const unknown = Object.keys(request).find((key) => !known.includes(key));
  if (unknown !== undefined) throw new TypeError(`${where} has no field '${unknown}', expected ${known.join(', ')}`);
  if (typeof request.directory !== 'string' || request.directory === '') refuse('directory', 'a path');
  if (typeof request.started !== 'string' || !/^\d{1,20}$/.test(request.started)) refuse('started', 'nanoseconds');
  for (const [key, choices] of Object.entries(CHOICES)) {
    if (!choices.includes(request[key] as string)) refuse(key, `one of ${choices.join(', ')}`);
  }
  for (const key of ['filter', 'notrace', 'graph', 'graphNotrace', 'module']) {
    const list = request[key];
    if (!Array.isArray(list) || list.some((glob) => typeof glob !== 'string')) refuse(key, 'a list of globs');
  }
  for (const key of ['maxDepth', 'verify', 'stackWords']) {
    if (!Number.isInteger(request[key]) || (request[key] as number) < 0) refuse(key, 'a whole number of 0 or more');
  }
  for (const key of ['pids', 'notracePids']) {
    const list = request[key];
    if (!Array.isArray(list) || list.some((pid) => !Number.isInteger(pid) || pid < 0 || pid > PID_MAX)) {
      refuse(key, `a list of whole numbers from 0 to ${PID_MAX}`);
    }
  }
  for (const key of ['args', 'retval', 'retaddr', 'sleepTime', 'functionFork']) {
    if (typeof request[key] !== 'boolean') refuse(key, 'true or false');
  }
  if (!((request.threshold as number) >= 0)) refuse('threshold', 'microseconds of 0 or more');
  const pages = request.bufferPages as number;
  if (!Number.isInteger(pages) || pages < 1 || pages > RING_PAGES_MAX || !Number.isInteger(Math.log2(pages))) {
    refuse('bufferPages', `a power of two up to ${RING_PAGES_MAX}`);
  }
  const words = request.stackWords as number;
  if (words !== 0 && (words < SHADOW_STACK_WORDS_MIN || words > SHADOW_STACK_WORDS_MAX)) {
    refuse('stackWords', `0, or ${SHADOW_STACK_WORDS_MIN} to ${SHADOW_STACK_WORDS_MAX}`);
  }
  return request as unknown as TraceRequest;
}
