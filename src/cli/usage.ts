// What can be wrong with a command line, and the files it names.

import { readFileSync } from 'node:fs';
import { type ParseArgsConfig, parseArgs } from 'node:util';

/// Shown as one line, exit code 2.
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/// `parseArgs` of Node, its errors in the form of ours.
export function parse<T extends ParseArgsConfig>(config: T): ReturnType<typeof parseArgs<T>> {
  try {
    return parseArgs(config);
  } catch (error) {
    const [message] = (error as Error).message.split('. ');
    throw new UsageError(message);
  }
}

/// The bytes of a file that the user named.
export function readInput(path: string): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(readFileSync(path));
  } catch (error) {
    throw new UsageError(`cannot read ${path}: ${reason(error)}`);
  }
}

/// `no such file or directory`, from what Node says of a failed system call.
export function reason(error: unknown): string {
  const { message } = error as Error;
  return /^[A-Z0-9]+: ([^,]+)/.exec(message)?.[1] ?? message;
}
