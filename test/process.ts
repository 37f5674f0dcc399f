// Programs in processes of their own, for tests. One that gets stuck is ended, and the test is told where it stood.
//
// Node itself can get stuck when a program ends, traced or not (github.com/nodejs/node/issues/54918): the main thread waits for a
// compiler thread, which waits for the main thread to collect garbage. Then all threads sleep in a futex and nobody uses any time. Nothing
// of fprobe waits like that: its one wait (src/hook/flush.ts) ends after half a second. Such a program is run again, once,
// and the test says so.

import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

export interface Outcome {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ProcessOptions {
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  readonly input?: string;
  /// Called when the program has printed something, with all of it so far.
  readonly onOutput?: (stdout: string, child: ChildProcess) => void;
  /// Milliseconds without any use of time in the whole tree of processes after which it is stuck.
  readonly patience?: number;
  /// Milliseconds after which it is ended in any case, before the runner of the tests would give up without a word.
  readonly limit?: number;
}

const PATIENCE = 30_000;
const LIMIT = 110_000;
const LOOKS = 10; // within the patience
const FUTEX = 202; // the system call's number on x64

/// A program that came to no end. `isDeadlock`: its threads wait for each other.
export class Stuck extends Error {
  readonly isDeadlock: boolean;

  constructor(message: string, isDeadlock: boolean) {
    super(message);
    this.isDeadlock = isDeadlock;
  }
}

/// Runs a program to its end. Throws Stuck.
export function runProcess(file: string, args: readonly string[], options: ProcessOptions): Promise<Outcome> {
  const { cwd, env, input, onOutput, patience = PATIENCE, limit = LIMIT } = options;
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { cwd, env, stdio: 'pipe' });
    const pid = child.pid!;
    let stdout = '';
    let stderr = '';
    const giveUp = (what: string, isDeadlock: boolean): void => {
      clearInterval(timer);
      const processes = tree(pid);
      const where = processes.map(describe).join('\n');
      for (const { pid } of processes) end(pid);
      const command = [file, ...args].join(' ');
      reject(new Stuck(`${what}: ${command}\n${where}\nstdout: ${stdout}\nstderr: ${stderr}`, isDeadlock));
    };
    const begin = performance.now();
    let used = -1;
    let idleSince = begin;
    const timer = setInterval(() => {
      const now = performance.now();
      const before = used;
      const processes = tree(pid);
      used = processes.reduce((sum, { time }) => sum + time, 0);
      if (used !== before) idleSince = now;
      else if (now - idleSince > patience && processes.some(isDeadlocked)) {
        giveUp(`stuck, no thread has run for ${patience} ms`, true);
      }
      if (now - begin > limit) giveUp(`not at its end after ${limit} ms`, false);
    }, patience / LOOKS);
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
      onOutput?.(stdout, child);
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.once('error', (error) => {
      clearInterval(timer);
      reject(error);
    });
    child.once('close', (code, signal) => {
      clearInterval(timer);
      resolve({ code, signal, stdout, stderr });
    });
    // A program that never reads its input ends first; that is no matter.
    child.stdin.on('error', () => {}).end(input ?? '');
  });
}

/// `run`, and once more if a program of it deadlocked.
export async function againIfStuck<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (!(error instanceof Stuck && error.isDeadlock)) throw error;
    console.log(`again, see test/process.ts: ${error.message}`);
    return run();
  }
}

interface Process {
  readonly pid: number;
  /// Ticks of a processor that it has used.
  readonly time: number;
}

/// A process and its descendants, as far as /proc knows them.
function tree(root: number): Process[] {
  const parents = new Map<number, { parent: number; time: number }>();
  for (const entry of list('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    // The name, in parentheses, may hold anything.
    const fields = read(`/proc/${entry}/stat`).split(') ').at(-1)!.split(' ');
    if (fields.length > 13) parents.set(Number(entry), { parent: Number(fields[1]), time: +fields[11] + +fields[12] });
  }
  const found = [root];
  for (const pid of found) for (const [child, { parent }] of parents) if (parent === pid) found.push(child);
  return found.flatMap((pid) => {
    const process = parents.get(pid);
    return process ? [{ pid, time: process.time }] : [];
  });
}

/// Whether the main thread waits for another one.
const isDeadlocked = ({ pid }: Process): boolean =>
  read(`/proc/${pid}/wchan`).startsWith('futex') || read(`/proc/${pid}/syscall`).startsWith(`${FUTEX} `);

function describe({ pid, time }: Process): string {
  const threads = list(`/proc/${pid}/task`).map((tid) => {
    const path = `/proc/${pid}/task/${tid}`;
    return `  ${read(`${path}/comm`).trim()}: ${read(`${path}/wchan`)}, syscall ${read(`${path}/syscall`).trim()}`;
  });
  const command = read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').slice(0, 200);
  return [`process ${pid}, ${time} ticks: ${command}`, ...threads].join('\n');
}

function end(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {} // it came to its end after all
}

// What is gone in between, or is no Linux, tells nothing.
function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function list(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
