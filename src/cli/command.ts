// What `fprobe trace -- COMMAND` starts. A command is run as it stands, found as a shell finds it; two kinds of file that are not
// programs by themselves are run by Node: a script, and a WebAssembly file, which is a program of WASI.

import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { reason, UsageError } from './usage.ts';

/// A program and its arguments, ready to be spawned.
export interface Launch {
  readonly file: string;
  readonly args: readonly string[];
}

/// What a program of WASI may see of this machine.
export interface WasiGrants {
  /// `HOST` or `HOST::GUEST`, as given.
  readonly dirs: readonly string[];
  /// `NAME=VALUE`, or `NAME`: as it is here.
  readonly env: readonly string[];
}

/// What the runner gets as its first argument, as JSON.
export interface WasiSettings {
  readonly path: string;
  /// Guest path → host path.
  readonly preopens: Readonly<Record<string, string>>;
  readonly env: Readonly<Record<string, string>>;
}

const SCRIPTS = ['.js', '.mjs', '.cjs'];
const WASM_MAGIC = [0, 0x61, 0x73, 0x6d];

/// Finds out what `command` is. Throws UsageError for files that cannot be read, and grants to what is not a program of WASI.
export function launchOf(command: readonly string[], grants: WasiGrants): Launch {
  const [program, ...args] = command;
  if (extname(program) === '.wasm' || isWasm(program)) return wasiLaunch(program, args, grants);
  if (grants.dirs.length + grants.env.length > 0) {
    throw new UsageError(`trace: --dir and --env are for a program of WASI, a .wasm file; COMMAND is ${program}`);
  }
  if (!SCRIPTS.includes(extname(program))) return { file: program, args };
  checkReadable(program);
  return { file: process.execPath, args: [program, ...args] };
}

function wasiLaunch(path: string, args: readonly string[], grants: WasiGrants): Launch {
  checkReadable(path);
  if (!isWasm(path)) throw new UsageError(`trace: ${path} is not a WebAssembly file: it does not begin with "\\0asm"`);
  const preopens: Record<string, string> = {};
  for (const dir of grants.dirs) {
    const [host, guest = host] = dir.split('::');
    if (!isDirectory(host)) throw new UsageError(`trace: --dir ${dir}: ${host} is not a directory`);
    preopens[guest] = host;
  }
  const env: Record<string, string> = {};
  for (const setting of grants.env) {
    const at = setting.indexOf('=');
    const name = at < 0 ? setting : setting.slice(0, at);
    const value = at < 0 ? process.env[name] : setting.slice(at + 1);
    if (name === '') throw new UsageError(`trace: --env ${setting}: expected NAME=VALUE or NAME`);
    if (value !== undefined) env[name] = value;
  }
  const settings: WasiSettings = { path, preopens, env };
  // Node warns that its WASI is experimental; the program's standard error is the program's.
  const runner = fileURLToPath(new URL(import.meta.url.endsWith('.ts') ? 'wasi.ts' : 'wasi.js', import.meta.url));
  const options = ['--disable-warning=ExperimentalWarning', runner];
  return { file: process.execPath, args: [...options, JSON.stringify(settings), ...args] };
}

function isWasm(path: string): boolean {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch {
    return false; // a name to be looked up, or nothing; whoever runs it will tell
  }
  try {
    const start = Buffer.alloc(WASM_MAGIC.length);
    return readSync(file, start) === start.length && WASM_MAGIC.every((byte, i) => start[i] === byte);
  } catch {
    return false; // a directory
  } finally {
    closeSync(file);
  }
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

function checkReadable(path: string): void {
  try {
    closeSync(openSync(path, 'r'));
    if (isDirectory(path)) throw new Error('EISDIR: is a directory, ');
  } catch (error) {
    throw new UsageError(`cannot read ${path}: ${reason(error)}`);
  }
}
