// The command line as a shell sees it, from the compiled files.

import { dirname, join } from 'node:path';
import { againIfStuck, runProcess } from '../process.ts';

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
  /// As of ProcessOptions.
  readonly limit?: number;
}

/// Runs a program in the project's folder; `node` is the Node that runs the tests.
export function run(file: string, args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  const { env = {}, onOutput, ...rest } = options;
  const path = `${dirname(process.execPath)}:${process.env.PATH}`;
  return againIfStuck(async () => {
    let seen = false;
    const { code, signal, stdout, stderr } = await runProcess(file, args, {
      cwd: root,
      env: { ...process.env, NODE_OPTIONS: '', PATH: path, ...env },
      onOutput: (_, child) => {
        if (!seen) onOutput?.(child.pid!);
        seen = true;
      },
      ...rest,
    });
    return { end: code ?? signal ?? 'nothing', stdout, stderr };
  });
}

export const fprobe = (args: readonly string[], options?: RunOptions): Promise<Outcome> =>
  run(process.execPath, [join(root, 'dist/src/cli/main.js'), ...args], options);
