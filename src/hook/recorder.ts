// What one thread of a trace session records, from its first module to the file that it leaves.

import { basename } from 'node:path';
import { compileFilter } from '../filter.ts';
import type { GraphTracer } from '../graph.ts';
import type { TaskCounts } from '../memory.ts';
import type { Profiler } from '../profile.ts';
import {
  encodeRows,
  type GlobUse,
  type RecordedModule,
  type RecordedSymbol,
  type RecordingEnd,
  type RecordingHeader,
  recordingPath,
  writeRecording,
} from '../recording.ts';
import type { TraceRequest } from '../session.ts';
import { nearestNames } from '../symbols/nearest.ts';
import { TARGET_STRIDE } from '../target/load.ts';
import type { Prepared } from '../target/prepare.ts';
import type { TargetSite } from '../target/target.ts';
import type { WasmTarget } from '../target/wasm.ts';
import { decodePage, pageBatch } from '../trace/decode.ts';
import { LOST, TraceEvent } from '../trace/events.ts';
import { observeTasks, Tracer } from '../tracer.ts';
import { Verifier } from './verify.ts';

const NANOSECONDS = 1e6; // per millisecond
/// Examples of what went wrong that are worth keeping.
const NOTES_MAX = 100;
const TICKS_PER_US = 1000;

// As it was when the program began: some replace it, to test what depends on time.
const milliseconds = performance.now.bind(performance);

/// From one snapshot of a worker's recording to the next: at first, and at most.
const PAUSE_MS = 20;
const PAUSE_MAX_MS = 1000;
/// Snapshots take no more than one part in so many of a worker's time.
const SNAPSHOT_SHARE = 20;

/// Of the task that a tracer begins with.
const OWN_PID = 1;

const FUNCTION_GLOBS = ['filter', 'notrace', 'graph', 'graphNotrace'] as const;

const PID_LISTS = ['pids', 'notracePids'] as const;

/// How a module came to be instrumented.
export interface Origin {
  readonly instrumentedSize: number;
  readonly loadTime: number;
  readonly cached: boolean;
}

export class Recorder {
  readonly tracer: Tracer;
  readonly request: TraceRequest;
  readonly #tid: number;
  readonly #threadName: string;
  readonly #began: number;
  readonly #modules: RecordedModule[] = [];
  /// By engine site id.
  readonly #sites: { readonly site: TargetSite; readonly module: number }[] = [];
  readonly #moduleNames: { name: string }[] = [];
  readonly #notes: string[] = [];
  /// Pids of the request that a task has, or had.
  readonly #pidsFound = new Set<number>();
  readonly #matches: (site: TargetSite) => boolean;
  #graph: GraphTracer | undefined;
  #profile: Profiler | undefined;
  #verifier: Verifier | undefined;
  /// When what was recorded is to be written next, and how long after the time before, in `milliseconds`.
  #snapshot: number;
  #pause = PAUSE_MS;
  /// What there was to say at the last writing.
  #written = '';

  /// Starts the tracer that the request asks for. What cannot be started is a note in the recording.
  constructor(request: TraceRequest, tid: number, threadName: string) {
    const { stackWords } = request;
    this.request = request;
    this.#tid = tid;
    this.#threadName = threadName;
    this.#snapshot = milliseconds() + PAUSE_MS;
    // A worker can be ended while it waits or works in one long call, and answers to nobody then. Its clock is the one thing of ours
    // that runs meanwhile.
    const now = tid === 0 ? () => milliseconds() * NANOSECONDS : () => this.#tick();
    this.tracer = Tracer.createSync({ clock: request.clock, now, ...(stackWords > 0 && { stackWords }) });
    this.#began = this.#now();
    this.#matches = compileFilter(request);
    try {
      this.#start();
      if (request.verify > 0) this.#verifier = new Verifier(this.tracer, request.verify, request, this.#matches);
    } catch (error) {
      this.note(`cannot start the ${request.tracer} tracer: ${(error as Error).message}`);
    }
  }

  #start(): void {
    const { tracer, filter, notrace, bufferPages, mode, graph, graphNotrace, maxDepth, threshold, sleepTime } =
      this.request;
    if (tracer === 'profile') {
      this.#profile = this.tracer.startProfile({ filter, notrace, sleepTime });
      this.#setPids(this.#profile);
      return;
    }
    if (graph.length > 0) this.tracer.setGraphFunction(graph);
    if (graphNotrace.length > 0) this.tracer.setGraphNotrace(graphNotrace);
    this.tracer.maxGraphDepth = maxDepth;
    const ticks = this.request.clock === 'mono' ? threshold * TICKS_PER_US : threshold;
    // Calls and their parents can be read off a graph: `function` records one too.
    const { args, retval, retaddr } = this.request;
    const options = { bufferPages, mode, threshold: ticks, sleepTime, args, retval, retaddr };
    this.#graph = this.tracer.startGraph({ filter, notrace, ...options });
    this.#setPids(this.#graph);
  }

  /// Before anything can be recorded: no module is there yet.
  #setPids(user: GraphTracer | Profiler): void {
    const { pids, notracePids, functionFork } = this.request;
    const own = (pid: number) => (pid === process.pid ? [pid, OWN_PID] : [pid]);
    if (pids.length > 0) user.setPids(pids.flatMap(own));
    if (notracePids.length > 0) user.setNotracePids(notracePids.flatMap(own));
    if (functionFork) this.tracer.functionFork = true;
    const wanted = new Set([...pids, ...notracePids]);
    if (wanted.size === 0) return;
    const begin = ({ pid }: { readonly pid: number }): void => {
      if (wanted.has(pid)) this.#pidsFound.add(pid);
    };
    observeTasks(this.tracer, { begin, end() {} });
  }

  /// The clock of the tracer. Leaves what was recorded so far, each time after twice as long.
  #tick(): number {
    const now = milliseconds();
    if (now >= this.#snapshot) {
      this.#snapshot = Number.POSITIVE_INFINITY; // what is called from here asks for no time, but who knows
      try {
        this.write('snapshot');
      } catch {} // the end of the thread is another occasion, and says what is wrong
      const took = milliseconds() - now;
      this.#pause = Math.min(2 * this.#pause, PAUSE_MAX_MS);
      this.#snapshot = now + Math.max(this.#pause, took * SNAPSHOT_SHARE);
    }
    return now * NANOSECONDS;
  }

  /// Nanoseconds of the session.
  #now(): number {
    return Number(process.hrtime.bigint() - BigInt(this.request.started));
  }

  note(text: string): void {
    if (this.#notes.length < NOTES_MAX) this.#notes.push(text);
  }

  /// Whether modules of this name are to be traced.
  wants(name: string): boolean {
    const { module } = this.request;
    this.#moduleNames.push({ name });
    return module.length === 0 || compileFilter({ filter: module })({ name });
  }

  add(target: WasmTarget, prepared: Prepared, origin: Origin | undefined): void {
    this.#verifier?.add(target);
    let matched = 0;
    for (const site of target.sites) {
      this.#sites[site.id] = { site, module: this.#modules.length };
      if (this.#matches(site)) matched++;
    }
    this.#modules.push({
      name: target.name,
      functions: target.sites.length,
      notrace: target.notrace.length,
      matched,
      size: prepared.facts.originalSize,
      instrumentedSize: origin?.instrumentedSize ?? 0,
      loadTime: origin?.loadTime ?? 0,
      cached: origin?.cached ?? false,
    });
  }

  /// A module that runs uninstrumented.
  addUntraced(name: string, size: number, error: string): void {
    const nothing = { functions: 0, notrace: 0, matched: 0, instrumentedSize: 0, loadTime: 0, cached: false };
    this.#modules.push({ name, size, error, ...nothing });
  }

  /// Writes, or writes anew, the recording; does nothing when nothing happened since the last time. Throws what writing throws.
  write(end: RecordingEnd): void {
    const counts = sumOf(this.tracer.tasks.map((task) => task.counts()));
    const state = `${end} ${counts.entries} ${counts.returns} ${counts.unwound} ${this.#notes.length} ${this.#modules.length}`;
    if (state === this.#written) return;
    const [own, ...others] = this.#graph?.rawTasks() ?? [];
    const pages = [own, ...others].flatMap((recorded) => recorded?.pages ?? []);
    const rows = this.#profile?.rows() ?? [];
    const used = this.#profile ? rows.map(({ site }) => site) : this.#sitesOnPages(pages);
    const { clock, tracer, directory } = this.request;
    const header: RecordingHeader = {
      pid: process.pid,
      ppid: process.ppid,
      tid: this.#tid,
      // Asked late: who runs another program in its own process says so in `argv`.
      comm: this.#tid === 0 ? basename(process.argv[1] ?? 'node') : this.#threadName,
      command: this.#tid === 0 ? process.argv : [],
      began: this.#began,
      ended: this.#now(),
      end,
      clock,
      clockOffset: clock === 'mono' ? this.#now() - milliseconds() * NANOSECONDS : 0,
      tracer,
      modules: this.#modules,
      symbols: this.#symbols(used),
      tasks: others.map(({ task, pages }) => ({ pid: task.pid, comm: task.comm, pages: pages.length })),
      globs: [...this.#globs(), ...this.#pids(others.map(({ task }) => task.pid))],
      counts,
      lost: this.#graph?.lost ?? 0,
      verify: this.#verifier?.result,
      notes: this.#notes,
    };
    const payload = this.#profile ? [encodeRows(rows)] : pages;
    writeRecording(recordingPath(directory, process.pid, this.#tid), header, payload);
    this.#written = state;
  }

  /// The sites that occur in ring pages, as functions or as callers, ascending.
  #sitesOnPages(pages: readonly Uint8Array[]): number[] {
    const used = new Set<number>();
    const callers = new Set<number>();
    const batch = pageBatch();
    const event = new TraceEvent();
    for (const page of pages) {
      decodePage(new Uint32Array(page.buffer, page.byteOffset, page.length >>> 2), 0, batch);
      for (let i = 0; i < batch.count; i++) if (batch.kind[i] !== LOST) used.add(batch.func[i]);
      if (!this.request.retaddr) continue;
      for (let i = 0; i < batch.count; i++) {
        batch.read(i, event);
        if (event.retaddr !== null) callers.add(Number(event.retaddr));
      }
    }
    if (callers.size > 0) for (const { site } of this.#known()) if (callers.has(Number(site.ip))) used.add(site.id);
    return [...used].sort((a, b) => a - b);
  }

  #known(): readonly { readonly site: TargetSite }[] {
    return this.#sites.filter((entry) => entry !== undefined);
  }

  #symbols(used: readonly number[]): RecordedSymbol[] {
    return used.flatMap((id) => {
      const found = this.#sites[id];
      if (!found) return [];
      const { index, name, size = 0, params } = found.site;
      const ip = Number(found.site.ip);
      const symbol = { site: id, name, module: found.module, index, offset: ip % TARGET_STRIDE, ip, size };
      return [this.request.args ? { ...symbol, params } : symbol];
    });
  }

  /// How the pids of the request fared. `gone`: those of tasks that may have exited.
  #pids(gone: readonly number[]): GlobUse[] {
    const seen = [...new Set([...this.tracer.tasks.map(({ pid }) => pid), ...gone])].map(String);
    return PID_LISTS.flatMap((option) =>
      this.request[option].map((pid) => {
        const matched = pid === process.pid || this.#pidsFound.has(pid) ? 1 : 0;
        return { option, glob: String(pid), matched, nearest: matched > 0 ? [] : seen };
      }),
    );
  }

  #globs(): GlobUse[] {
    const sites = this.#known().map(({ site }) => site);
    const uses: GlobUse[] = this.request.module.map((glob) => use('module', glob, this.#moduleNames));
    for (const option of FUNCTION_GLOBS) for (const glob of this.request[option]) uses.push(use(option, glob, sites));
    return uses;
  }
}

/// What happened on several tasks.
function sumOf(tasks: readonly TaskCounts[]): TaskCounts {
  const sum = { entries: 0, returns: 0, unwound: 0, overrun: 0, stray: 0 };
  for (const counts of tasks) for (const key of Object.keys(sum) as (keyof TaskCounts)[]) sum[key] += counts[key];
  return sum;
}

function use(option: GlobUse['option'], glob: string, among: readonly { readonly name: string }[]): GlobUse {
  const matched = among.filter(compileFilter({ filter: glob })).length;
  return { option, glob, matched, nearest: matched > 0 ? [] : nearestNames(glob, among) };
}
