// Programs in processes of their own, untouched and with the hook, and what they left behind. The hook is what `npm run build`
// made: Node 20 does not run the sources.

import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { listRecordings, type Recording, readRecording } from '../../src/recording.ts';
import { sessionEnvironment, type TraceRequest, writeRequest } from '../../src/session.ts';
import { againIfStuck, type Outcome, runProcess } from '../process.ts';

const root = join(import.meta.dirname, '../..');
export const REGISTER = join(root, 'dist/src/register.js');
if (!existsSync(REGISTER)) throw new Error(`${REGISTER} is not there; npm run build makes it`);

export interface RunOptions {
  /// Arguments of Node before the program's file.
  readonly node?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  /// Called when the program has printed this much; for sending signals.
  readonly onOutput?: (stdout: string, kill: (signal: NodeJS.Signals) => void) => void;
}

/// A folder of programs that find the npm packages of this repository, and fprobe itself.
export class Programs {
  readonly folder = mkdtempSync(join(tmpdir(), 'fprobe-hook-'));
  /// Directory of the last session.
  session = '';
  #sessions = 0;

  constructor() {
    const modules = join(this.folder, 'node_modules');
    symlinkSync(join(root, 'node_modules'), modules, 'dir');
  }

  write(name: string, contents: string | Uint8Array): string {
    const path = join(this.folder, name);
    writeFileSync(path, contents);
    return path;
  }

  /// Runs a file of the folder as it is.
  run(file: string, options: RunOptions = {}): Promise<Outcome> {
    return againIfStuck(() => this.#once(file, options));
  }

  /// Runs it with the hook, which is not in `process.execArgv` then.
  hooked(file: string, options: RunOptions = {}): Promise<Outcome> {
    const env = { ...options.env, NODE_OPTIONS: `--import=${pathToFileURL(REGISTER).href}` };
    return this.run(file, { ...options, env });
  }

  /// Runs it in a trace session.
  traced(
    file: string,
    wishes: Partial<TraceRequest> = {},
    options: RunOptions = {},
  ): Promise<Outcome & { recordings: Recording[]; directory: string }> {
    return againIfStuck(async () => {
      const directory = join(this.folder, `session-${++this.#sessions}`);
      mkdirSync(directory);
      this.session = directory;
      const request = writeRequest(directory, wishes);
      const env = sessionEnvironment(request, pathToFileURL(REGISTER).href, options.env ?? {});
      const outcome = await this.#once(file, { ...options, env });
      return { ...outcome, directory, recordings: listRecordings(directory).map(readRecording) };
    });
  }

  #once(file: string, { node = [], env = {}, onOutput }: RunOptions): Promise<Outcome> {
    return runProcess(process.execPath, [...node, join(this.folder, file)], {
      cwd: this.folder,
      // What the test runner tells its own children is nothing to these.
      env: { PATH: process.env.PATH, HOME: this.folder, FPROBE_CACHE: '0', NODE_NO_WARNINGS: '1', ...env },
      onOutput: (stdout, child) => onOutput?.(stdout, (signal) => child.kill(signal)),
    });
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
