// The traced program as a child process. It has our standard streams, and gets the signals that we get; we outlive it, to write
// what was recorded, and then end as it did.

import { type ChildProcess, spawn } from 'node:child_process';
import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FATAL_SIGNALS, groupSignalPath, SESSION_SIGNALS } from '../session.ts';
import type { Launch } from './command.ts';
import { UsageError } from './usage.ts';

/// How a program ended: one of the two.
export interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/// In the session's directory: tells a program that is too busy for a signal to write what it has.
const INTERRUPT = 'interrupt';
/// Those that a terminal sends to all processes in front of it, the child among them.
const FROM_TERMINAL: readonly NodeJS.Signals[] = ['SIGINT', 'SIGQUIT', 'SIGHUP'];
/// How long after it was sent a signal may arrive that the program has sent to all of us, in milliseconds.
const GROUP_MS = 2000;

/// Runs a program to its end. Throws UsageError when it cannot be started.
export async function runChild(launch: Launch, env: NodeJS.ProcessEnv, directory: string): Promise<Ending> {
  const hasTerminal = process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY;
  let child: ChildProcess | undefined;
  const forward = (signal: NodeJS.Signals): void => {
    if (isFromGroup(directory, signal)) return; // the program has it already
    try {
      if (FATAL_SIGNALS.includes(signal)) writeFileSync(join(directory, INTERRUPT), signal);
    } catch {} // the program has removed the directory: it gets the signal all the same
    if (!(hasTerminal && FROM_TERMINAL.includes(signal))) child?.kill(signal);
  };
  // Before the child is there: a signal must not find us alone.
  for (const signal of SESSION_SIGNALS) process.on(signal, forward);
  try {
    return await new Promise<Ending>((resolve, reject) => {
      child = spawn(launch.file, launch.args, { env, stdio: 'inherit' });
      child.once('error', (error) => reject(new UsageError(`cannot run ${launch.file}: ${startFailure(error)}`)));
      child.once('exit', (code, signal) => resolve({ code, signal }));
    });
  } finally {
    for (const signal of SESSION_SIGNALS) process.off(signal, forward);
  }
}

/// Whether the program itself has sent this signal, to its process group.
function isFromGroup(directory: string, signal: NodeJS.Signals): boolean {
  try {
    return Date.now() - statSync(groupSignalPath(directory, signal)).mtimeMs < GROUP_MS;
  } catch {
    return false;
  }
}

function startFailure(error: NodeJS.ErrnoException): string {
  if (error.code === 'ENOENT') return 'no such program';
  if (error.code === 'EACCES') return 'permission denied';
  return error.message;
}

/// Ends this process as the program ended: by the same signal, so that a shell sees no difference.
export function endBy(signal: NodeJS.Signals): Promise<never> {
  process.kill(process.pid, signal);
  return new Promise(() => {
    // The signal arrives in its own time; the timer keeps the process until then.
    setTimeout(() => process.exit(1), 10_000);
  });
}
