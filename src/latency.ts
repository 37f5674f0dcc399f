// The latency tracers (spec/fgraph.md §13): how long interrupts or preemption were off at most, or how long a task that was woken
// waited, and which functions ran meanwhile. A client of `registerFgraph` like any other: what it records is kept for the
// section that runs, and moved to the side when that is the longest so far.

import type { ClientHost } from './client.ts';
import { EngineError } from './engine.ts';
import { badRange, shown } from './errors.ts';
import { FgraphUser } from './fgraph.ts';
import type { FgraphEvent } from './fgraph-event.ts';
import type { Filter, FilterPair } from './filter.ts';
import type { Symbols } from './graph.ts';
import type { InterruptObserver } from './interrupts.ts';
import { checkLike, checkThreshold, readOptions } from './options.ts';
import { roomToEnd } from './stack.ts';
import type { Task } from './tasks.ts';
import { ENTRY, type EventKind, RETURN, TraceEvent } from './trace/events.ts';
import { GRAPH_DEFAULTS, GraphText, type GraphOptions as TextOptions } from './trace/graph-text.ts';

export type LatencyName = 'irqsoff' | 'preemptoff' | 'preemptirqsoff' | 'wakeup';

export interface LatencyOptions extends FilterPair {
  /// `tracing_thresh`: 0 keeps the longest section; above, every one that took longer is kept, in units of the clock. Default 0.
  readonly threshold?: number;
  /// Most events that are kept of a section; what comes later is counted. Default 65536.
  readonly events?: number;
}

export const LATENCY_NAMES: readonly string[] = ['irqsoff', 'preemptoff', 'preemptirqsoff', 'wakeup'];
const EVENTS = 65536;
const EVENTS_MAX = 2 ** 24;
const MICROSECOND = 1000;

/// A stretch of time that is measured.
interface Section {
  readonly start: number;
  end: number;
  readonly task: Task;
  readonly events: TraceEvent[];
  lost: number;
}

export class LatencyTracer implements InterruptObserver {
  readonly name: LatencyName;
  readonly #host: ClientHost;
  readonly #symbols: Symbols;
  readonly #threshold: number;
  readonly #limit: number;
  readonly #user: FgraphUser;
  #running: Section | undefined;
  /// The task whose waking is measured, until it runs.
  #waiting: Task | undefined;
  #longest: Section | undefined;

  /// Use `Tracer.startLatency`.
  constructor(host: ClientHost, symbols: Symbols, name: LatencyName, options: LatencyOptions) {
    if (!LATENCY_NAMES.includes(name)) {
      throw badRange(`the tracer is ${shown(name)}, expected ${LATENCY_NAMES.join(', ')}`);
    }
    const read = readOptions('startLatency', options, ['filter', 'notrace', 'threshold', 'events']);
    const { filter, notrace, threshold = 0, events = EVENTS } = read;
    checkThreshold(threshold);
    if (!Number.isInteger(events) || events < 1 || events > EVENTS_MAX) {
      throw badRange(`events is ${shown(events)}, expected a whole number from 1 to ${EVENTS_MAX}`);
    }
    if (host.latency.current) throw new EngineError('EBUSY', `${host.latency.current.name} runs; one at a time`);
    this.name = name;
    this.#host = host;
    this.#symbols = symbols;
    this.#threshold = threshold;
    this.#limit = events;
    const user: FgraphUser = new FgraphUser(host, {
      name,
      filter,
      notrace,
      entry: (event: FgraphEvent) => {
        if (!this.#running) return false;
        const time = this.#now();
        user.reserveData(8)?.setFloat64(0, time);
        this.#record(ENTRY, event.site.id, event.depth, time, time);
        return true;
      },
      return: (event: FgraphEvent) => {
        const call = user.retrieveData()?.getFloat64(0);
        if (!this.#running || call === undefined) return;
        this.#record(RETURN, event.site.id, event.depth, this.#now(), call);
      },
    });
    this.#user = user;
    host.latency.current = this;
    host.tasks.interrupts.observe(this);
    if (this.#isOff()) this.#begin(host.tasks.current);
  }

  /// `tracing_max_latency`: the longest section so far, in units of the clock; 0: none yet.
  get maxLatency(): number {
    return this.#longest ? this.#longest.end - this.#longest.start : 0;
  }

  /// Functions that the filter matched when it was last set.
  get matched(): number {
    return this.#user.matched;
  }

  setFilter(filter?: Filter): number {
    return this.#user.setFilter(filter);
  }

  setNotrace(notrace?: Filter): number {
    return this.#user.setNotrace(notrace);
  }

  /// Forgets the longest section.
  clear(): void {
    this.#longest = undefined;
  }

  /// The longest section in the kernel's format. Columns may be changed, but for those that the tracer asks for.
  read(options: Partial<TextOptions> = {}): string {
    const columns = readOptions('read', options, Object.keys(GRAPH_DEFAULTS));
    checkLike(columns, GRAPH_DEFAULTS);
    const section = this.#longest;
    const forced = { cpu: true, proc: true, relative: true, duration: true, latencyFormat: true, tracer: this.name };
    const text = new GraphText({ ...columns, ...forced, start: section?.start ?? 0 }, this.#symbols);
    const events = section?.events ?? [];
    const info = {
      entries: events.length,
      written: events.length + (section?.lost ?? 0),
      cpu: section?.task.cpu ?? 0,
      cpus: 1,
      release: 'fprobe',
      model: 'PREEMPT',
      latency: section && {
        us: (section.end - section.start) / MICROSECOND,
        comm: section.task.comm,
        pid: section.task.pid,
      },
    };
    let out = text.header(info, this.#host.engine.isDead);
    for (const event of events) out += text.push(event);
    return out + text.end();
  }

  /// Stops; the longest section can still be read. Makes room for another latency tracer.
  unregister(): void {
    if (!this.#user.registered) return;
    roomToEnd();
    this.#host.tasks.interrupts.unobserve(this);
    this.#user.unregister();
    this.#running = undefined;
    this.#waiting = undefined;
    this.#host.latency.current = undefined;
  }

  changed(): void {
    if (this.name === 'wakeup') return;
    const off = this.#isOff();
    if (off && !this.#running) this.#begin(this.#host.tasks.current);
    else if (!off && this.#running) this.#end();
  }

  woken(task: Task): void {
    if (this.name !== 'wakeup' || this.#running) return;
    this.#waiting = task;
    this.#begin(task);
  }

  switched(_from: Task, to: Task): void {
    if (this.#waiting === undefined) return;
    if (to === this.#waiting) this.#end();
    else if (!this.#waiting.alive) this.#running = this.#waiting = undefined;
  }

  #isOff(): boolean {
    const { irqsOff, preemption } = this.#host.tasks.interrupts;
    const irqs = this.name === 'irqsoff' || this.name === 'preemptirqsoff';
    const preempt = this.name === 'preemptoff' || this.name === 'preemptirqsoff';
    return (irqs && irqsOff) || (preempt && preemption > 0);
  }

  #begin(task: Task): void {
    const start = this.#now();
    this.#running = { start, end: start, task, events: [], lost: 0 };
    this.#point(start);
  }

  #end(): void {
    const section = this.#running!;
    section.end = this.#now();
    this.#point(section.end);
    this.#running = undefined;
    this.#waiting = undefined;
    const took = section.end - section.start;
    if (this.#threshold > 0 ? took > this.#threshold : took > this.maxLatency) this.#longest = section;
  }

  #now(): number {
    return this.#host.engine.exports.clock_now();
  }

  /// Where the section begins or ends: the function that does it, as far as it is watched.
  #point(time: number): void {
    for (const { ip } of this.#host.engine.memory.frames()) {
      const site = this.#host.sites.around(ip);
      if (!site) return;
      this.#record(ENTRY, site.id, 0, time, time);
      this.#record(RETURN, site.id, 0, time, time);
      return;
    }
  }

  #record(kind: EventKind, func: number, depth: number, time: number, call: number): void {
    const section = this.#running!;
    if (section.events.length >= this.#limit) {
      section.lost++;
      return;
    }
    const { interrupts, current } = this.#host.tasks;
    const event = new TraceEvent();
    event.kind = kind;
    event.func = func;
    event.depth = depth;
    event.time = time;
    event.call = call;
    event.cpu = current.cpu;
    event.pid = current.pid;
    event.flags = interrupts.flags;
    event.preempt = Math.min(interrupts.preemption, 15);
    section.events.push(event);
  }
}
