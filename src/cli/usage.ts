// What can be wrong with a command line, and the files it names.

import { readFileSync, statSync } from 'node:fs';
import { type ParseArgsConfig, parseArgs } from 'node:util';
import { nearestHint } from '../errors.ts';
import { nearestNames } from '../symbols/nearest.ts';

/// Shown as one line, exit code 2.
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/// `parseArgs` of Node, its errors in the form of ours; `help` is what tells more.
export function parse<T extends ParseArgsConfig>(help: string, config: T): ReturnType<typeof parseArgs<T>> {
  const { args = [], options = {} } = config;
  try {
    return parseArgs({ ...config, args: withNegative(args, options) } as T);
  } catch (error) {
    const [message] = (error as Error).message.split(/\.?\n|\. /);
    throw new UsageError(`${message}, see ${help}`);
  }
}

/// A negative number behind an option that takes a value is that, not another option: who reads it knows what to say about it.
function withNegative(args: readonly string[], options: NonNullable<ParseArgsConfig['options']>): string[] {
  const takes = (arg: string | undefined): boolean =>
    Object.entries(options).some(
      ([name, { type, short }]) =>
        type === 'string' && (arg === `--${name}` || (short !== undefined && arg === `-${short}`)),
    );
  const joined: string[] = [];
  for (const arg of args) {
    const before = joined.at(-1);
    if (/^-\d/.test(arg) && takes(before)) joined.push(`${joined.pop()}${before!.startsWith('--') ? '=' : ''}${arg}`);
    else joined.push(arg);
  }
  return joined;
}

/// The bytes of a file that the user named.
export function readInput(path: string): Uint8Array<ArrayBuffer> {
  try {
    const stat = statSync(path);
    // Some of them never end.
    if (stat.isCharacterDevice() || stat.isBlockDevice()) throw new Error('it is a device, expected a file');
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

/// Whether the system refused something: no fault of the program.
export const isSystemError = (error: unknown): error is NodeJS.ErrnoException =>
  error instanceof Error && 'syscall' in error;

/// The end of an error about a name that is none of `known`: the nearest, else all of them.
export function expectedNames(name: string, known: readonly string[]): string {
  const near = nearestNames(
    name,
    known.map((other) => ({ name: other })),
  );
  return near.length > 0 ? nearestHint(near) : `, expected one of ${known.join(', ')}`;
}

/// A command line of the form `OPTION… [--] COMMAND…` in two: options end at `--`, or at the first word that is none. Options with
/// a value keep it.
export function splitCommand(
  args: string[],
  options: NonNullable<ParseArgsConfig['options']>,
): [own: string[], command: string[]] {
  const { tokens } = parseArgs({ args, options, strict: false, allowPositionals: true, tokens: true });
  const end = tokens.find(({ kind }) => kind !== 'option');
  if (!end) return [args, []];
  return [args.slice(0, end.index), args.slice(end.kind === 'option-terminator' ? end.index + 1 : end.index)];
}
