// What one thread of a trace session leaves behind: who it was, what it counted, and its ring buffer or its profile. Written by
// the thread itself at its end, read by whoever makes text of it, without an engine.
//
//   0   magic "FPROBREC"
//   8   u32 version
//   12  u32 H: bytes of the header
//   16  u32 P: bytes of the payload
//   20  u32 CRC-32 of header and payload
//   24  header: JSON, UTF-8, filled up with blanks to a multiple of 8
//   24 + H  payload: ring pages of 4096 bytes, oldest first (assembly/ring-layout.ts), those of the thread's own task before those
//           of the tasks that the program made, as `tasks` counts them; or profile rows of five f64:
//           site, count, total, self, max
//
// All numbers are little-endian. A recording is written beside its name and renamed: what is there is whole, or was damaged later,
// and a thread that writes several times replaces what it wrote before.

import { closeSync, openSync, readdirSync, renameSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { RING_PAGE_SIZE } from '../assembly/ring-layout.ts';
import type { TaskCounts } from './memory.ts';
import { readRegularFile } from './read-file.ts';
import type { TracerName } from './session.ts';
import { decodePage, pageBatch } from './trace/decode.ts';
import type { Source } from './trace/merge.ts';
import type { Param } from './trace/words.ts';
import type { ClockName } from './tracer.ts';

const MAGIC = Buffer.from('FPROBREC', 'latin1');
const VERSION = 3;
const START = 24;
const ROW_SIZE = 40;
const SUFFIX = '.fprobe';

/// A function that occurs in the recording.
export interface RecordedSymbol {
  /// Site id within this recording.
  readonly site: number;
  readonly name: string;
  /// Index into `modules`.
  readonly module: number;
  /// Function index and file offset of the body in the original module.
  readonly index: number;
  readonly offset: number;
  /// Address of its site, and bytes of its body.
  readonly ip: number;
  readonly size: number;
  /// Where arguments were recorded, how they are printed; null: nobody knows.
  readonly params?: readonly Param[] | null;
}

/// One instance of a module that the thread loaded, instrumented or not.
export interface RecordedModule {
  readonly name: string;
  /// Functions that could be probed, and those that could not.
  readonly functions: number;
  readonly notrace: number;
  /// Functions that the filters selected.
  readonly matched: number;
  /// Bytes of the original and of the instrumented form; 0 = not known, because it came from another thread.
  readonly size: number;
  readonly instrumentedSize: number;
  /// Milliseconds that instrumenting took, or reading it from the cache.
  readonly loadTime: number;
  readonly cached: boolean;
  /// Why it is not instrumented.
  readonly error?: string;
}

/// A task that the program made, by its tracer's numbering, and had calls recorded on.
export interface RecordedTask {
  readonly pid: number;
  readonly comm: string;
  /// How many pages are its.
  readonly pages: number;
}

/// How a glob or a pid of the request fared.
export interface GlobUse {
  readonly option: 'filter' | 'notrace' | 'graph' | 'graphNotrace' | 'module' | 'pids' | 'notracePids';
  readonly glob: string;
  /// Functions (modules, tasks) that it matched.
  readonly matched: number;
  /// When it matched none: the names that are nearest, the best first.
  readonly nearest: readonly string[];
}

/// Comparisons of the shadow stack with the real one.
export interface VerifyResult {
  readonly samples: number;
  readonly differences: number;
  /// The first differences in words, a few.
  readonly examples: readonly string[];
}

/// Why the thread wrote: it ended, it was about to be killed, or somebody asked while it ran on.
export type RecordingEnd = 'exit' | 'signal' | 'terminate' | 'snapshot';

export interface RecordingHeader {
  readonly pid: number;
  readonly ppid: number;
  /// 0 = the main thread of the process, else the worker's `threadId`.
  readonly tid: number;
  /// Name of the program, or of the worker.
  readonly comm: string;
  /// The command line, of the main thread.
  readonly command: readonly string[];
  /// Nanoseconds of the session at which the thread was hooked, and at which this was written.
  readonly began: number;
  readonly ended: number;
  readonly end: RecordingEnd;
  readonly clock: ClockName;
  /// What to add to an event's time to have nanoseconds of the session; 0 with the clock `counter`.
  readonly clockOffset: number;
  readonly tracer: TracerName;
  readonly modules: readonly RecordedModule[];
  readonly symbols: readonly RecordedSymbol[];
  readonly tasks: readonly RecordedTask[];
  readonly globs: readonly GlobUse[];
  readonly counts: TaskCounts;
  /// Events that did not fit into the buffer.
  readonly lost: number;
  readonly verify?: VerifyResult;
  /// What went wrong in the hook, in words.
  readonly notes: readonly string[];
}

/// One row of a profile; times in units of the clock.
export interface RecordedRow {
  readonly site: number;
  readonly count: number;
  readonly total: number;
  readonly self: number;
  readonly max: number;
}

export interface Recording extends RecordingHeader {
  /// Ring pages as words, for `decodePage`; empty for a profile.
  readonly pages: Uint32Array;
  /// Of a profile.
  readonly rows: readonly RecordedRow[];
}

/// A file that is not a whole recording. `offset` is the byte where that shows.
export class RecordingError extends Error {
  readonly code = 'EINVAL';
  readonly file: string;
  readonly offset: number;

  constructor(file: string, offset: number, found: string, expected: string) {
    super(`${file}: ${found} at byte ${offset}, expected ${expected}`);
    this.name = 'RecordingError';
    this.file = file;
    this.offset = offset;
  }
}

/// Where a thread leaves its recording.
export function recordingPath(directory: string, pid: number, tid: number): string {
  return join(directory, `${pid}-${tid}${SUFFIX}`);
}

/// Paths of the recordings in a session's directory, by process and thread.
export function listRecordings(directory: string): string[] {
  const found: [pid: number, tid: number][] = [];
  for (const name of readdirSync(directory)) {
    const parts = /^(\d+)-(\d+)\.fprobe$/.exec(name);
    if (parts) found.push([Number(parts[1]), Number(parts[2])]);
  }
  found.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  return found.map(([pid, tid]) => recordingPath(directory, pid, tid));
}

/// The bytes of profile rows.
export function encodeRows(rows: readonly RecordedRow[]): Uint8Array {
  const words = new Float64Array(rows.length * (ROW_SIZE / 8));
  rows.forEach(({ site, count, total, self, max }, i) => {
    words.set([site, count, total, self, max], i * (ROW_SIZE / 8));
  });
  return new Uint8Array(words.buffer);
}

/// Writes a recording, whole or not at all. `pieces`: ring pages, or `encodeRows`.
export function writeRecording(path: string, header: RecordingHeader, pieces: readonly Uint8Array[]): void {
  const payload = pieces.filter(({ length }) => length > 0); // of nothing, the checksum would begin anew
  const text = JSON.stringify(header);
  const json = Buffer.from(text.padEnd(text.length + (-Buffer.byteLength(text) & 7)));
  const start = Buffer.alloc(START);
  MAGIC.copy(start);
  start.writeUInt32LE(VERSION, 8);
  start.writeUInt32LE(json.length, 12);
  start.writeUInt32LE(
    payload.reduce((sum, piece) => sum + piece.length, 0),
    16,
  );
  start.writeUInt32LE(
    payload.reduce((sum, piece) => crc32(piece, sum), crc32(json)),
    20,
  );
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    const file = openSync(temporary, 'w', 0o600);
    try {
      for (const piece of [start, json, ...payload]) {
        for (let at = 0; at < piece.length; ) at += writeSync(file, piece, at);
      }
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

/// Bytes: four times the largest buffer, and the header.
const RECORDING_MAX = 2 ** 30;

/// Reads a recording. Throws RecordingError for what is not one, and what `readRegularFile` throws.
export function readRecording(path: string): Recording {
  return decodeRecording(path, readRegularFile(path, RECORDING_MAX));
}

/// A recording out of its bytes; `file` is its name in errors.
export function decodeRecording(file: string, bytes: Uint8Array): Recording {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (buffer.length < START)
    throw new RecordingError(file, buffer.length, 'unexpected end', 'the start of a recording');
  if (!buffer.subarray(0, 8).equals(MAGIC)) throw new RecordingError(file, 0, 'another format', `"${MAGIC}"`);
  const version = buffer.readUInt32LE(8);
  if (version !== VERSION) {
    throw new RecordingError(file, 8, `version ${version}`, `${VERSION}: use the fprobe that recorded it`);
  }
  const headerSize = buffer.readUInt32LE(12);
  const payloadSize = buffer.readUInt32LE(16);
  const end = START + headerSize + payloadSize;
  if (buffer.length < end) throw new RecordingError(file, buffer.length, 'unexpected end', `${end} bytes`);
  if (buffer.length > end) throw new RecordingError(file, end, 'more bytes', 'the end of the file');
  if (crc32(buffer.subarray(START)) !== buffer.readUInt32LE(20)) {
    throw new RecordingError(file, 20, 'a checksum that does not fit the contents', 'an undamaged file');
  }
  const header = parseHeader(file, buffer.toString('utf8', START, START + headerSize));
  // A copy of its own is aligned.
  const payload = new Uint8Array(buffer.subarray(START + headerSize)).buffer;
  if (header.tracer === 'profile') {
    if (payloadSize % ROW_SIZE !== 0) throw new RecordingError(file, 16, `${payloadSize} bytes of rows`, 'whole rows');
    return { ...header, pages: new Uint32Array(0), rows: decodeRows(new Float64Array(payload)) };
  }
  if (payloadSize % RING_PAGE_SIZE !== 0) {
    throw new RecordingError(file, 16, `${payloadSize} bytes of pages`, `a multiple of ${RING_PAGE_SIZE}`);
  }
  const counted = header.tasks.reduce((sum, { pages }) => sum + pages, 0);
  if (
    header.tasks.some(({ pages }) => !Number.isInteger(pages) || pages < 0) ||
    counted * RING_PAGE_SIZE > payloadSize
  ) {
    throw new RecordingError(file, 16, `${payloadSize} bytes of pages`, `those of the ${header.tasks.length} tasks`);
  }
  return { ...header, pages: new Uint32Array(payload), rows: [] };
}

function decodeRows(words: Float64Array): RecordedRow[] {
  const rows: RecordedRow[] = [];
  for (let i = 0; i < words.length; i += ROW_SIZE / 8) {
    rows.push({ site: words[i], count: words[i + 1], total: words[i + 2], self: words[i + 3], max: words[i + 4] });
  }
  return rows;
}

const HEADER_FIELDS: Readonly<Record<keyof RecordingHeader, string>> = {
  pid: 'number',
  ppid: 'number',
  tid: 'number',
  comm: 'string',
  command: 'list',
  began: 'number',
  ended: 'number',
  end: 'string',
  clock: 'string',
  clockOffset: 'number',
  tracer: 'string',
  modules: 'list',
  symbols: 'list',
  tasks: 'list',
  globs: 'list',
  counts: 'object',
  lost: 'number',
  verify: 'object or nothing',
  notes: 'list',
};

/// What the lists of a header hold.
const ITEMS = {
  command: 'string',
  modules: 'object',
  symbols: 'object',
  tasks: 'object',
  globs: 'object',
  notes: 'string',
} as const;

/// The checksum holds, so this is what some writer wrote: what is looked for is another writer's idea of the fields.
function parseHeader(file: string, text: string): RecordingHeader {
  let header: Record<string, unknown>;
  try {
    header = JSON.parse(text) ?? {};
  } catch (error) {
    throw new RecordingError(file, START, `a header that is no JSON (${(error as Error).message})`, 'JSON');
  }
  for (const [key, kind] of Object.entries(HEADER_FIELDS)) {
    const value = header[key];
    if (value === undefined && kind.endsWith('nothing')) continue;
    const is = Array.isArray(value) ? 'list' : value === null ? 'null' : typeof value;
    if (!kind.startsWith(is)) throw new RecordingError(file, START, `header with ${key}: ${is}`, `${key}: ${kind}`);
  }
  for (const [key, kind] of Object.entries(ITEMS)) {
    const wrong = (header[key] as unknown[]).findIndex((item) => item === null || typeof item !== kind);
    if (wrong >= 0)
      throw new RecordingError(file, START, `header with an odd ${key}[${wrong}]`, `${key}: list of ${kind}s`);
  }
  return header as unknown as RecordingHeader;
}

/// The events of a graph recording for `Merge`, task by task, with times of the session. One pass. The thread's own task has the pid
/// of the process.
export function recordingSources(recording: Recording, cpu: number): Source[] {
  const { tasks, pages, pid } = recording;
  let at = pages.byteLength;
  const others = tasks.toReversed().map((task) => {
    const end = at;
    at -= task.pages * RING_PAGE_SIZE;
    return taskSource(recording, { cpu, pid: task.pid, at, end });
  });
  return [taskSource(recording, { cpu, pid, at: 0, end: at }), ...others.reverse()];
}

function taskSource(
  { pages, clockOffset }: Recording,
  {
    cpu,
    pid,
    at: start,
    end,
  }: { readonly cpu: number; readonly pid: number; readonly at: number; readonly end: number },
): Source {
  const batch = pageBatch();
  let at = start;
  return {
    cpu,
    pid,
    batch,
    next() {
      if (at >= end) return false;
      decodePage(pages, at, batch);
      at += RING_PAGE_SIZE;
      for (let i = 0; i < batch.count; i++) {
        batch.time[i] += clockOffset;
        batch.call[i] += clockOffset;
      }
      return true;
    },
  };
}
