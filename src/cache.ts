// Instrumented modules on disk, so that a program that starts again does not wait for the same work again.
//
// An entry is a file named after what went in: the SHA-256 of the module's bytes and of everything else that the result depends on.
// An entry is never changed, only made, used and removed; several processes may do so at the same time.
//
//   0   magic "FPRBCACH"
//   8   the key, 32 bytes: an entry under another's name is no entry
//   40  u32 CRC-32 of all that follows
//   44  u32 where the marker's contents begin, u32 where they end, in the module
//   52  the instrumented module
//
// What cannot be read is instrumented anew, what cannot be written is not kept: with or without a cache, programs do the same.

import {
  closeSync,
  constants,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { threadId } from 'node:worker_threads';
import { crc32 } from 'node:zlib';
import { SECTION_NAME } from './instrument/abi.ts';
import { readMarker } from './instrument/marker.ts';
import { readModule } from './instrument/reader.ts';
import { readRegularFile } from './read-file.ts';
import { type PreparedBytes, preparedAs } from './target/prepare.ts';

const MAGIC = Buffer.from('FPRBCACH', 'latin1');
const KEY_SIZE = 32;
const AT_CHECKSUM = MAGIC.length + KEY_SIZE;
const AT_MARKER = AT_CHECKSUM + 4;
const HEADER = AT_MARKER + 8;
const SUFFIX = '.module';
const TEMPORARY = '.tmp';

/// Modules below this are instrumented in less time than a file takes.
const SIZE_MIN = 1 << 14;
const LIMIT_MIB = 512;
const MIB = 1 << 20;
/// No engine takes a module of that size.
const ENTRY_MAX = 2 ** 31 - 2;
/// A temporary file that is older belongs to a process that died.
const ABANDONED_MS = 60 * 60 * 1000;

export interface CacheOptions {
  /// Made with mode 0700 if it does not exist.
  readonly directory: string;
  /// Bytes that all entries together may take; those unused for longest go first. Default 512 MiB.
  readonly limit?: number;
  /// Is told what goes wrong, the first time that something does.
  readonly warn?: (problem: string) => void;
}

/// What is wrong with `FPROBE_CACHE_SIZE`, if anything is.
export function cacheSizeProblem({ FPROBE_CACHE_SIZE: size }: NodeJS.ProcessEnv): string | undefined {
  if (!size || Number(size) >= 0) return undefined;
  return `FPROBE_CACHE_SIZE is '${size}', expected MiB, a number of 0 or more`;
}

/// The cache that the environment asks for: `FPROBE_CACHE` is a directory or `0` for none, `FPROBE_CACHE_SIZE` the limit in MiB.
/// With `FPROBE_VERBOSE` it says on standard error what goes wrong first.
export function cacheFromEnvironment(env: NodeJS.ProcessEnv = process.env): Cache | undefined {
  if (env.FPROBE_CACHE === '0') return undefined;
  const directory = env.FPROBE_CACHE ? resolve(env.FPROBE_CACHE) : defaultDirectory(env);
  const say = (what: string): void => {
    process.stderr.write(`fprobe: ${what.replaceAll('\n', ' ')}\n`);
  };
  const warn = (problem: string): void => say(`cache not used: ${problem}`);
  const wrong = cacheSizeProblem(env);
  if (wrong && env.FPROBE_VERBOSE) say(`${wrong}; ${LIMIT_MIB} it is`);
  const size = wrong ? LIMIT_MIB : Number(env.FPROBE_CACHE_SIZE || LIMIT_MIB);
  return new Cache({
    directory,
    limit: size * MIB,
    warn: env.FPROBE_VERBOSE ? warn : undefined,
  });
}

function defaultDirectory(env: NodeJS.ProcessEnv): string {
  const home = homedir();
  if (process.platform === 'win32') return join(env.LOCALAPPDATA || join(home, 'AppData', 'Local'), 'fprobe', 'cache');
  if (process.platform === 'darwin') return join(home, 'Library', 'Caches', 'fprobe');
  return join(env.XDG_CACHE_HOME || join(home, '.cache'), 'fprobe');
}

export class Cache {
  readonly #directory: string;
  readonly #limit: number;
  /// Undefined until the directory was looked at.
  #usable: boolean | undefined;
  readonly #pending = new Map<Buffer, PreparedBytes>();
  readonly #warn: ((problem: string) => void) | undefined;
  /// What went wrong last, in words; nothing is thrown for it.
  problem: string | undefined;

  /// Nothing is read or made before it is needed.
  constructor({ directory, limit = LIMIT_MIB * MIB, warn }: CacheOptions) {
    this.#warn = warn;
    this.#directory = directory;
    this.#limit = limit;
  }

  /// The instrumented form of a module; undefined when there is none, or what there is cannot be trusted.
  /// `args`: with the option of that name.
  read(original: Uint8Array<ArrayBuffer>, args: boolean): PreparedBytes | undefined {
    if (original.length < SIZE_MIN || !this.#open()) return undefined;
    const key = keyOf(original, args);
    const path = this.#path(key);
    let entry: Buffer;
    try {
      entry = readRegularFile(path, ENTRY_MAX, constants.O_NOFOLLOW); // undefined, so 0, where the system has none
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') this.#note(String(error));
      return undefined;
    }
    const problem = damage(entry, key);
    if (problem !== undefined) {
      this.#discard(path, problem);
      return undefined;
    }
    try {
      const bytes = new Uint8Array(entry.buffer as ArrayBuffer, entry.byteOffset + HEADER, entry.length - HEADER);
      const [start, end] = [entry.readUInt32LE(AT_MARKER), entry.readUInt32LE(AT_MARKER + 4)];
      const prepared = preparedAs(original, bytes, readMarker(bytes.subarray(start, end)));
      const now = new Date();
      utimesSync(path, now, now);
      return prepared;
    } catch (error) {
      this.#discard(path, String(error));
      return undefined;
    }
  }

  #discard(path: string, problem: string): void {
    this.#note(`${path}: ${problem}`);
    try {
      rmSync(path, { force: true });
    } catch {} // a folder that cannot be written to: the next one finds the same
  }

  /// Keeps a module for the next time. It is written when the program has nothing else to do, at the latest at its end.
  write(prepared: PreparedBytes): void {
    if (prepared.original.length < SIZE_MIN || !this.#open()) return;
    if (this.#pending.size === 0) {
      process.on('exit', this.#flush);
      setImmediate(this.#flush).unref();
    }
    this.#pending.set(keyOf(prepared.original, prepared.facts.args), prepared);
  }

  readonly #flush = (): void => this.flush();

  /// Writes what is waiting to be written.
  flush(): void {
    process.off('exit', this.#flush);
    const pending = [...this.#pending];
    this.#pending.clear();
    try {
      for (const [key, prepared] of pending) this.#store(key, prepared);
      if (pending.length > 0) this.#evict();
    } catch (error) {
      this.#note(String(error));
    }
  }

  #note(problem: string): void {
    if (this.problem === undefined) this.#warn?.(problem);
    this.problem = problem;
  }

  #path(key: Buffer): string {
    return join(this.#directory, `${key.toString('hex')}${SUFFIX}`);
  }

  /// Whether there is a directory that nobody else can write to.
  #open(): boolean {
    if (this.#usable !== undefined) return this.#usable;
    try {
      makeDirectory(this.#directory);
      const stats = statSync(this.#directory);
      const foreign = process.getuid !== undefined && (stats.uid !== process.getuid() || (stats.mode & 0o077) !== 0);
      this.#usable = stats.isDirectory() && !foreign;
      if (!stats.isDirectory()) this.#note(`${this.#directory} is no directory`);
      else if (foreign)
        this.#note(`${this.#directory} is open to others, expected a directory of your own with mode 0700`);
    } catch (error) {
      this.#note(String(error));
      this.#usable = false;
    }
    return this.#usable;
  }

  #store(key: Buffer, { bytes }: PreparedBytes): void {
    const path = this.#path(key);
    const marker = readModule(bytes).sections.find(({ name }) => name === SECTION_NAME);
    if (!marker) return;
    const header = Buffer.alloc(HEADER);
    MAGIC.copy(header);
    key.copy(header, MAGIC.length);
    header.writeUInt32LE(marker.start, AT_MARKER);
    header.writeUInt32LE(marker.end, AT_MARKER + 4);
    header.writeUInt32LE(crc32(bytes, crc32(header.subarray(AT_MARKER))), AT_CHECKSUM);
    const temporary = `${path}.${process.pid}-${threadId}${TEMPORARY}`;
    try {
      const file = openSync(temporary, 'w', 0o600);
      try {
        for (const piece of [header, bytes]) for (let at = 0; at < piece.length; ) at += writeSync(file, piece, at);
      } finally {
        closeSync(file);
      }
      renameSync(temporary, path);
    } catch (error) {
      rmSync(temporary, { force: true });
      throw error;
    }
  }

  /// Removes what was not used for longest until the rest is within the limit.
  #evict(): void {
    const entries: { path: string; size: number; used: number }[] = [];
    for (const name of readdirSync(this.#directory)) {
      const path = join(this.#directory, name);
      const { size, mtimeMs: used } = lstatSync(path, { throwIfNoEntry: false }) ?? { size: 0, mtimeMs: 0 };
      if (name.endsWith(SUFFIX)) entries.push({ path, size, used });
      else if (name.endsWith(TEMPORARY) && Date.now() - used > ABANDONED_MS) rmSync(path, { force: true });
    }
    let total = entries.reduce((sum, { size }) => sum + size, 0);
    entries.sort((a, b) => a.used - b.used);
    for (const { path, size } of entries) {
      if (total <= this.#limit) return;
      rmSync(path, { force: true });
      total -= size;
    }
  }
}

/// `mkdirSync` with `recursive` does not return where a folder takes no others, as in /proc.
function makeDirectory(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return;
    if (code !== 'ENOENT' || existsSync(dirname(path))) throw error;
    makeDirectory(dirname(path));
    makeDirectory(path);
  }
}

let maker: string | undefined;

/// What stands for the code of the instrumenter: its version, and for whoever works on it, when its files were made.
function makerOf(): string {
  const file = (path: string): URL => new URL(path, import.meta.url);
  const compiled = import.meta.url.endsWith('.js');
  const { version } = JSON.parse(readFileSync(file(compiled ? '../../package.json' : '../package.json'), 'utf8'));
  const { mtimeMs } = statSync(file(compiled ? './instrument/index.js' : './instrument/rewriter.ts'));
  return `${version} ${mtimeMs}`;
}

/// Everything that the instrumented form depends on.
function keyOf(original: Uint8Array, args: boolean): Buffer {
  maker ??= makerOf();
  // Not imported at the top: it takes longer to load than all else here, and programs without WebAssembly do without.
  const { createHash } = process.getBuiltinModule('node:crypto');
  return createHash('sha256').update(`fprobe ${maker} args=${args}\n`).update(original).digest();
}

function damage(entry: Buffer, key: Buffer): string | undefined {
  if (entry.length < HEADER || !entry.subarray(0, MAGIC.length).equals(MAGIC)) return 'no cache entry';
  if (!entry.subarray(MAGIC.length, AT_CHECKSUM).equals(key)) return 'the entry of another module';
  if (crc32(entry.subarray(AT_MARKER)) !== entry.readUInt32LE(AT_CHECKSUM)) return 'damaged';
  return undefined;
}
