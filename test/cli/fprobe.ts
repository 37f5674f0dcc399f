// The command line as a shell sees it, from the compiled files.

import { spawn } from 'node:child_process';
import { dirname, join } from 'node:path';

export const root = join(import.meta.dirname, '../..');

export interface Outcome {
  /// Exit code, or the name of the signal.
  readonly end: number | string;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  /// Called once the program has printed something.
  readonly onOutput?: (pid: number) => void;
}

/// Runs a program in the project's folder; `node` is the Node that runs the tests.
export function run(file: string, args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  const { input, env = {}, onOutput } = options;
  const path = `${dirname(process.execPath)}:${process.env.PATH}`;
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, {
      cwd: root,
      env: { ...process.env, NODE_OPTIONS: '', PATH: path, ...env },
      stdio: 'pipe',
    });
    let stdout = '';
    let stderr = '';
    let seen = false;
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
      if (!seen) onOutput?.(child.pid!);
      seen = true;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ end: code ?? signal ?? 'nothing', stdout, stderr }));
    // A program that never reads its input ends first; that is no matter.
    child.stdin.on('error', () => {}).end(input ?? '');
  });
}

export const fprobe = (args: readonly string[], options?: RunOptions): Promise<Outcome> =>
  run(process.execPath, [join(root, 'dist/src/cli/main.js'), ...args], options);
