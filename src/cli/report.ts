// What a traced run comes to: the recordings of all its threads as one text.
//
// A thread has a CPU of its own here, numbered in the order in which the threads began: nothing tells which thread ran on which
// processor, and a CPU is what the kernel's texts keep apart. Its pid is the process's, its name its own; tasks that the program makes
// on it have their own pids and names.
//
//   app.js       123-0.fprobe ─ CPU 0 ─┐
//   worker.js    123-1.fprobe ─ CPU 1 ─┼─ by time ─► function_graph, function
//   child.js     140-0.fprobe ─ CPU 2 ─┘

import { RING_PAGE_SIZE } from '../../assembly/ring-layout.ts';
import { type Recording, recordingSources } from '../recording.ts';
import { Calls, UNKNOWN } from '../trace/calls.ts';
import { decodePage, pageBatch } from '../trace/decode.ts';
import { ENTRY, LOST, RETURN, TraceEvent, UNWOUND } from '../trace/events.ts';
import { FunctionText, type Place } from '../trace/function-text.ts';
import { GraphText } from '../trace/graph-text.ts';
import type { BufferInfo } from '../trace/header.ts';
import { Merge } from '../trace/merge.ts';
import { type CountedFunction, profileTable, type SortKey, sumByName } from '../trace/profile-table.ts';
import type { Param } from '../trace/words.ts';
import type { TraceOptions } from './trace-options.ts';

/// Text is handed out in pieces of about this many characters.
const PIECE = 1 << 16;
/// What `M:` says in the banner of latency-format: nothing interrupts a function here.
const MODEL = 'NONE';

const NANOSECONDS = 1000; // per microsecond

/// In place of a function's number: the host called.
const HOST = UNKNOWN - 1;

/// Called now and then with how much of the work is done, 0 to 1.
export type Progress = (done: number) => void;

/// The symbols of all recordings under one numbering: site s of recording r is number base[r] + s.
class Symbols {
  readonly bases: number[] = [];
  readonly #names: string[] = [];
  readonly #addresses: number[] = [];
  readonly #params: (readonly Param[] | null | undefined)[] = [];
  readonly #sizes: number[] = [];
  /// Of each recording: the number of the function at an address.
  readonly #numbers: Map<number, number>[] = [];

  constructor(recordings: readonly Recording[]) {
    const shown = displayNames(recordings);
    let base = 0;
    recordings.forEach(({ symbols }, r) => {
      this.bases.push(base);
      let next = base;
      const numbers = new Map<number, number>();
      this.#numbers.push(numbers);
      for (const { site, module, index, offset, ip, size, params } of symbols) {
        numbers.set(ip, base + site);
        this.#names[base + site] = shown(r, module, index);
        this.#addresses[base + site] = offset;
        this.#params[base + site] = params;
        this.#sizes[base + site] = size;
        next = Math.max(next, base + site + 1);
      }
      base = next;
    });
  }

  symbol(number: number): string {
    return number === UNKNOWN ? '[unknown]' : (this.#names[number] ?? `0x${number.toString(16).padStart(8, '0')}`);
  }

  /// Of recording `r`: the number of the function at an address, HOST for 0.
  numberAt(r: number, address: number): number {
    return address === 0 ? HOST : (this.#numbers[r].get(address) ?? UNKNOWN);
  }

  /// A caller that `numberAt` found, as far as is known where: at its beginning.
  caller(number: number): string {
    if (number < 0) return number === HOST ? '[host]' : this.symbol(number);
    return `${this.symbol(number)}+0x0/0x${this.#sizes[number].toString(16)}`;
  }

  params(number: number): readonly Param[] | null {
    return this.#params[number] ?? null;
  }

  address(number: number): number {
    return number === UNKNOWN ? 0 : (this.#addresses[number] ?? 0);
  }
}

/// A function's name, with its module behind it, as in `kallsyms`, where two modules have a function of that name, and where there
/// are several modules and the name is but a number.
function displayNames(recordings: readonly Recording[]): (r: number, module: number, index: number) => string {
  const modulesOf = new Map<string, Set<string>>();
  const all = new Set<string>();
  const names = recordings.map(({ symbols, modules }) => {
    const byFunction = new Map<string, [name: string, module: string]>();
    for (const { name, module, index } of symbols) {
      const where = modules[module]?.name ?? '?';
      all.add(where);
      byFunction.set(`${module} ${index}`, [name, where]);
      let users = modulesOf.get(name);
      if (!users) {
        users = new Set();
        modulesOf.set(name, users);
      }
      users.add(where);
    }
    return byFunction;
  });
  return (r, module, index) => {
    const [name, where] = names[r].get(`${module} ${index}`)!;
    const isAmbiguous = modulesOf.get(name)!.size > 1 || (all.size > 1 && name === `func[${index}]`);
    return isAmbiguous ? `${name} [${where}]` : name;
  };
}

/// Threads in the order in which they began.
export function inOrder(recordings: readonly Recording[]): Recording[] {
  return [...recordings].sort((a, b) => a.began - b.began || a.pid - b.pid || a.tid - b.tid);
}

/// A thread's own task has its name.
const commOf = ({ comm, tasks, pid: own }: Recording, pid: number): string =>
  pid === own ? comm : (tasks.find((task) => task.pid === pid)?.comm ?? comm);

/// Events of all kinds that are still there, and calls among them.
function count(recordings: readonly Recording[]): { events: number; calls: number; pages: number } {
  const batch = pageBatch();
  let events = 0;
  let calls = 0;
  let pages = 0;
  for (const { pages: words } of recordings) {
    for (let at = 0; at < words.byteLength; at += RING_PAGE_SIZE, pages++) {
      decodePage(words, at, batch);
      for (let i = 0; i < batch.count; i++) {
        if (batch.kind[i] === LOST) continue;
        events++;
        if (batch.kind[i] === ENTRY) calls++;
      }
    }
  }
  return { events, calls, pages };
}

/// The text of `function_graph` or `function`, in pieces. `recordings` in the order of their CPUs.
export function* traceText(
  tracer: 'function_graph' | 'function',
  recordings: readonly Recording[],
  options: TraceOptions,
  release: string,
  progress: Progress = () => {},
): Generator<string> {
  const symbols = new Symbols(recordings);
  const { events, calls } = count(recordings);
  const lost = recordings.reduce((sum, recording) => sum + recording.lost, 0);
  const entries = tracer === 'function' ? calls : events;
  const cpus = Math.max(recordings.length, 1);
  // The buffers hold returns too, so how many calls were lost is known from what was counted when they happened.
  const entered = recordings.reduce((sum, { counts }) => sum + counts.entries, 0);
  const written = tracer === 'function' ? Math.max(calls, entered) : events + lost;
  const info: BufferInfo = { entries, written, cpu: 0, cpus, release, model: MODEL };
  const names = {
    symbol: (place: Place) => symbols.symbol(Number(place)),
    comm: (pid: number, cpu: number) => commOf(recordings[cpu], pid),
    params: (place: Place) => symbols.params(Number(place)),
    caller: (number: number | bigint) => symbols.caller(Number(number)),
  };
  const merge = new Merge(recordings.flatMap(recordingSources));
  const event = new TraceEvent();
  const next = (): boolean => {
    if (!merge.next(event)) return false;
    const { kind } = event;
    if (kind === ENTRY || kind === RETURN || kind === UNWOUND) event.func += symbols.bases[event.cpu];
    if (event.retaddr !== null) event.retaddr = symbols.numberAt(event.cpu, Number(event.retaddr));
    return true;
  };

  let piece = '';
  let seen = 0;
  if (tracer === 'function_graph') {
    // Which CPU is which thread has to be told somewhere, and which calls are whose.
    const proc = recordings.length > 1 || recordings.some(({ tasks }) => tasks.length > 0);
    const text = new GraphText({ proc, ...options.graph, cpus }, names);
    piece += text.header(info);
    while (next()) {
      piece += text.push(event);
      seen++;
      if (piece.length < PIECE) continue;
      progress(seen / events);
      yield piece;
      piece = '';
    }
    yield piece + text.end();
    return;
  }
  const nanoseconds = recordings.every(({ clock }) => clock === 'mono');
  const text = new FunctionText(
    { nanoseconds, annotate: lost > 0, ...options.func },
    { ...names, address: (place) => symbols.address(Number(place)), offset: () => '', tgid: (pid) => pid },
  );
  piece += text.header(info);
  const stream = new Calls(options.calls, (call) => {
    piece += text.push(call);
  });
  while (next()) {
    if (event.kind === LOST) piece += text.lost(event.cpu, event.count);
    stream.push(event);
    seen++;
    if (piece.length < PIECE) continue;
    progress(seen / events);
    yield piece;
    piece = '';
  }
  yield piece + text.end();
}

export interface ReportOptions {
  readonly sort: SortKey;
  readonly perThread: boolean;
  /// See `TableOptions`.
  readonly graphTime?: boolean;
  /// Microseconds, or ticks: functions whose calls took less on average are left out.
  readonly threshold?: number;
}

/// The table of `profile`: of all threads together, or of each.
export function profileReport(
  recordings: readonly Recording[],
  { sort, perThread, graphTime, threshold = 0 }: ReportOptions,
): string {
  const symbols = new Symbols(recordings);
  const nanoseconds = recordings.every(({ clock }) => clock === 'mono');
  const counted = recordings.map(({ rows }, r) =>
    rows.map((row): CountedFunction => ({ ...row, name: symbols.symbol(symbols.bases[r] + row.site) })),
  );
  const table = { sort, nanoseconds, graphTime, threshold: nanoseconds ? threshold * NANOSECONDS : threshold };
  if (!perThread) return profileTable(sumByName(counted.flat()), table);
  return recordings
    .map(({ comm, pid, tid }, r) => {
      const thread = tid === 0 ? `${comm}-${pid}` : `${comm}-${pid}, thread ${tid}`;
      return `# ${thread}\n\n${profileTable(sumByName(counted[r]), table)}`;
    })
    .join('\n');
}
