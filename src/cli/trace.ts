// `fprobe trace`: runs a program under the hook, waits for its end, prints what its threads recorded, and ends as it did.

import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RING_PAGE_SIZE, RING_PAGES_MAX } from '../../assembly/ring-layout.ts';
import { cacheSizeProblem } from '../cache.ts';
import { PID_MAX } from '../pids.ts';
import { listRecordings, type Recording, RecordingError, readRecording } from '../recording.ts';
import { sessionEnvironment, type TraceRequest, type TracerName, writeRequest } from '../session.ts';
import { SORT_KEYS } from '../trace/profile-table.ts';
import { type Ending, endBy, runChild } from './child.ts';
import { launchOf } from './command.ts';
import { findings } from './findings.ts';
import { inOrder, profileReport, traceText } from './report.ts';
import { TRACE_HELP } from './trace-help.ts';
import { parseTraceOptions } from './trace-options.ts';
import { checkTracer } from './tracers.ts';
import { isSystemError, parse, reason, splitCommand, UsageError } from './usage.ts';
import { packageVersion } from './version.ts';

const TRACERS: readonly TracerName[] = ['function_graph', 'function', 'profile'];
/// What a profile without graph-time has not.
const GRAPH_TIMES: readonly string[] = ['total', 'max'];
const CLOCKS = ['mono', 'counter'] as const;
const DEFAULT_VERIFY_RATE = 1000;
const DEFAULT_BUFFER_KB = '4096';
const EXIT_DIFFERENT = 1;
const EXIT_USAGE = 2;
const KB = 1024;

const OPTIONS = {
  tracer: { type: 'string', short: 'p', default: 'function_graph' },
  filter: { type: 'string', short: 'l', multiple: true },
  notrace: { type: 'string', short: 'n', multiple: true },
  graph: { type: 'string', short: 'g', multiple: true },
  'graph-notrace': { type: 'string', multiple: true },
  'max-graph-depth': { type: 'string' },
  threshold: { type: 'string' },
  option: { type: 'string', short: 'O', multiple: true },
  clock: { type: 'string', short: 'C', default: 'mono' },
  'buffer-size': { type: 'string', short: 'b' },
  module: { type: 'string', multiple: true },
  pid: { type: 'string', short: 'P', multiple: true },
  'notrace-pid': { type: 'string', multiple: true },
  output: { type: 'string', short: 'o' },
  verify: { type: 'string' },
  sort: { type: 'string' },
  'per-thread': { type: 'boolean' },
  dir: { type: 'string', multiple: true },
  env: { type: 'string', multiple: true },
  help: { type: 'boolean', short: 'h' },
} as const;

export async function trace(args: string[]): Promise<number> {
  // Bare, it does not take the next word.
  const [own, command] = splitCommand(args, { ...OPTIONS, verify: { type: 'boolean' } });
  const { values } = parse('fprobe trace --help', {
    args: own.map((arg) => (arg === '--verify' ? `--verify=${DEFAULT_VERIFY_RATE}` : arg)),
    options: OPTIONS,
  });
  if (values.help) {
    process.stdout.write(TRACE_HELP);
    return 0;
  }
  const tracer = checkTracer('trace', values.tracer, TRACERS);
  const sort = choice('--sort', values.sort ?? 'self', SORT_KEYS);
  const options = parseTraceOptions(values.option ?? [], tracer);
  checkFits(tracer, values);
  if (!options.graphTime && GRAPH_TIMES.includes(sort)) {
    throw new UsageError(
      `trace: --sort ${sort} is of times that option nograph-time leaves out, expected self, avg, calls, name`,
    );
  }
  const wishes: Partial<TraceRequest> = {
    // The calls of `function` are read off the graph (src/trace/calls.ts), which also knows their parents.
    tracer: tracer === 'function' ? 'function_graph' : tracer,
    filter: values.filter ?? [],
    notrace: values.notrace ?? [],
    graph: values.graph ?? [],
    graphNotrace: values['graph-notrace'] ?? [],
    maxDepth: number('--max-graph-depth', values['max-graph-depth'] ?? '0', 0, 2 ** 31 - 1),
    threshold: number('--threshold', values.threshold ?? '0', 0, 1e9),
    pids: pids('-P', values.pid),
    notracePids: pids('--notrace-pid', values['notrace-pid']),
    ...options.recorded,
    module: values.module ?? [],
    clock: choice('-C', values.clock, CLOCKS),
    bufferPages: bufferPages(values['buffer-size'] ?? DEFAULT_BUFFER_KB),
    mode: options.overwrite ? 'overwrite' : 'stop',
    verify: values.verify === undefined ? 0 : number('--verify', values.verify, 1, 2 ** 31 - 1),
  };
  const table = {
    perThread: values['per-thread'] ?? false,
    graphTime: options.graphTime,
    threshold: wishes.threshold!,
  };
  const wrongSize = cacheSizeProblem(process.env);
  if (wrongSize) throw new UsageError(`trace: ${wrongSize}`);
  if (command.length === 0) throw new UsageError('trace: which command? see fprobe trace --help');
  const launch = launchOf(command, { dirs: values.dir ?? [], env: values.env ?? [] });
  // Before anything runs: who cannot write should hear so at once.
  const output = values.output === undefined ? undefined : openOutput(values.output);
  const directory = newDirectory();
  // Also when standard output breaks, which ends us in the middle of everything.
  const remove = (): void => rmSync(directory, { recursive: true, force: true });
  process.once('exit', remove);
  try {
    const request = writeRequest(directory, wishes);
    const ending = await runChild(
      launch,
      sessionEnvironment(request, import.meta.resolve('fprobe/register')),
      directory,
    );
    const { recordings, problems } = collect(directory);
    const threads = inOrder(recordings);
    const pieces =
      tracer === 'profile'
        ? [profileReport(threads, { sort, ...table })]
        : traceText(tracer, threads, options, `fprobe-${packageVersion()}`, progress);
    let isWritten = true;
    try {
      await print(pieces, output);
    } catch (error) {
      if (!isSystemError(error)) throw error;
      problems.push(`cannot write ${values.output ?? 'the trace'}: ${reason(error)}`);
      isWritten = false;
    }
    progress(1);
    const { messages, failed, different } = findings(threads, problems, ending.signal);
    for (const message of messages) process.stderr.write(`fprobe: ${message}\n`);
    return await end(ending, failed || !isWritten ? EXIT_USAGE : different ? EXIT_DIFFERENT : 0, remove);
  } finally {
    remove();
    if (output !== undefined) closeSync(output);
  }
}

/// Options that say nothing to a tracer are a misunderstanding.
function checkFits(tracer: TracerName, values: Readonly<Record<string, unknown>>): void {
  const given = (option: string) => values[option] !== undefined;
  const only = (tracers: readonly TracerName[], options: readonly string[]): void => {
    const stranger = tracers.includes(tracer) ? undefined : options.find(given);
    if (stranger) throw new UsageError(`trace: --${stranger} is for -p ${tracers.join(' and ')}, this is ${tracer}`);
  };
  only(['function_graph', 'profile'], ['threshold']);
  only(['function_graph', 'function'], ['graph', 'graph-notrace', 'max-graph-depth', 'buffer-size']);
  only(['profile'], ['sort', 'per-thread']);
}

/// Ends as the program ended; its success gives way to what went wrong here.
function end({ code, signal }: Ending, ours: number, remove: () => void): number | Promise<never> {
  if (signal !== null) {
    remove(); // what comes after us comes no more
    return endBy(signal);
  }
  return code === 0 ? ours : code!;
}

function collect(directory: string): { recordings: Recording[]; problems: string[] } {
  const recordings: Recording[] = [];
  const problems: string[] = [];
  for (const path of found(directory, problems)) {
    try {
      recordings.push(readRecording(path));
    } catch (error) {
      if (error instanceof RecordingError) problems.push(error.message);
      else problems.push(`cannot read ${path}: ${reason(error)}`);
    }
  }
  return { recordings, problems };
}

function found(directory: string, problems: string[]): string[] {
  try {
    return listRecordings(directory);
  } catch (error) {
    if (!isSystemError(error)) throw error;
    problems.push(`the recordings are gone, which were in ${directory}: ${reason(error)}`);
    return [];
  }
}

/// Writes all pieces to the file, or to standard output at the pace of its reader, who may have seen enough before the last.
async function print(pieces: Iterable<string>, file: number | undefined): Promise<void> {
  if (file !== undefined) {
    for (const piece of pieces) writeFileSync(file, piece);
    return;
  }
  for (const piece of pieces) {
    const error = await new Promise<unknown>((resolve) => process.stdout.write(piece, resolve));
    if (error) return; // src/cli/main.ts listens, too
  }
}

const PROGRESS_AFTER = 500; // milliseconds: shorter work needs no word
let progressSince = 0;
let progressShown = false;

function progress(done: number): void {
  if (!process.stderr.isTTY) return;
  progressSince ||= performance.now();
  if (done >= 1) {
    if (progressShown) process.stderr.write('\r\x1b[K');
    progressShown = false;
  } else if (performance.now() - progressSince > PROGRESS_AFTER) {
    process.stderr.write(`\r\x1b[Kfprobe: writing the trace, ${Math.floor(done * 100)} %`);
    progressShown = true;
  }
}

function newDirectory(): string {
  try {
    return mkdtempSync(join(tmpdir(), 'fprobe-'));
  } catch (error) {
    throw new UsageError(
      `cannot make a folder for the recordings in ${tmpdir()}: ${reason(error)}; TMPDIR names another`,
    );
  }
}

function openOutput(path: string): number {
  try {
    return openSync(path, 'w');
  } catch (error) {
    throw new UsageError(`cannot write ${path}: ${reason(error)}`);
  }
}

function choice<T extends string>(option: string, value: string, choices: readonly T[]): T {
  if (choices.includes(value as T)) return value as T;
  throw new UsageError(`trace: ${option} ${value}: expected ${choices.join(', ')}`);
}

function number(option: string, value: string, least: number, most: number): number {
  const parsed = Number(value);
  if (/^\d+$/.test(value) && parsed >= least && parsed <= most) return parsed;
  throw new UsageError(`trace: ${option} ${value}: expected a whole number from ${least} to ${most}`);
}

/// Numbers, with commas between them or an option each.
function pids(option: string, values: readonly string[] = []): number[] {
  return values.flatMap((value) => value.split(',')).map((pid) => number(option, pid, 0, PID_MAX));
}

/// `-b`: kilobytes, as trace-cmd has it, to the next power of two in pages.
function bufferPages(value: string): number {
  const most = (RING_PAGES_MAX * RING_PAGE_SIZE) / KB;
  const pages = Math.ceil((number('-b', value, 1, most) * KB) / RING_PAGE_SIZE);
  return 2 ** Math.ceil(Math.log2(pages));
}
