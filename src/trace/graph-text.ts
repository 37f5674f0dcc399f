// The text of `function_graph`, letter for letter as the kernel prints it (spec/fgraph.md §12), from events in print order
// (merge.ts) to lines.
//
//   ` 0)` `    bash-7     ` ` | ` `+ 12.345 us   |  ` `    ` `vfs_read();`
//    cpu   proc                   duration            indent  text          and before them abstime, after them flags
//
// What a line looks like depends on its neighbours: an entry whose return follows at once becomes one line, so an entry is
// held until the next event is known. Everything else that is remembered belongs to a CPU, as in the kernel: the pid of
// the last printed event, the functions whose `{` was printed at each depth, the depth for comments, and the depth of
// the interrupt that is being left out.
//
// An unwound frame, which the kernel does not know, is a return with the comment `unwound` (leaf `f(); /* unwound */`,
// else `} /* unwound */`, or `} /* f unwound */` where the name is due).

import { badRange, shown } from '../errors.ts';
import { duration, mark } from './duration.ts';
import { COMMENT, ENTRY, LOST, RETURN, TraceEvent, UNWOUND } from './events.ts';
import { type BufferInfo, flagCharacters, latencyBanner, tracerLine } from './header.ts';
import { argumentText, type Param, returnText } from './words.ts';

/// Which columns and comments there are: the tracer's options, and the two general ones that it obeys.
export interface GraphOptions {
  /// A line ` (Overruns: N)` after every return line.
  overrun: boolean;
  cpu: boolean;
  /// The mark in front of a duration.
  overhead: boolean;
  proc: boolean;
  duration: boolean;
  abstime: boolean;
  /// Microseconds since `start`.
  relative: boolean;
  /// Off: what runs below an interrupt entry is left out.
  irqs: boolean;
  /// The name behind every closing brace.
  tail: boolean;
  /// The return value, and the name behind every closing brace.
  retval: boolean;
  retvalHex: boolean;
  retaddr: boolean;
  contextInfo: boolean;
  latencyFormat: boolean;
  /// Time that `relative` counts from.
  start: number;
  /// Number of CPUs there can be; their largest number sets the width of the column.
  cpus: number;
  /// Name in the first line.
  tracer: string;
}

export const GRAPH_DEFAULTS: Readonly<GraphOptions> = {
  overrun: false,
  cpu: true,
  overhead: true,
  proc: false,
  duration: true,
  abstime: false,
  relative: false,
  irqs: true,
  tail: false,
  retval: false,
  retvalHex: false,
  retaddr: false,
  contextInfo: true,
  latencyFormat: false,
  start: 0,
  cpus: 1,
  tracer: 'function_graph',
};

/// Where text finds the names for an event's numbers. Asked for every line, so answers should be looked up, not made.
export interface GraphNames {
  symbol(func: number): string;
  /// Name of a task; `<...>` for one that nobody knows. Tasks of one pid on several CPUs may have several.
  comm?(pid: number, cpu: number): string;
  /// A return address as `caller+0x10/0x20`.
  caller?(retaddr: number | bigint): string;
  /// The parameters of a function, null when there is no type information. `words`: how many were recorded, for functions of
  /// which no more is known.
  params?(func: number, words: number): readonly Param[] | null;
  /// Whether a function is an interrupt entry.
  isInterrupt?(func: number): boolean;
}

interface CpuState {
  /// Pid of the last printed event, −1 before the first.
  pid: number;
  /// The cpu and proc columns of that pid.
  columns: string;
  /// Of the last entry, or one less than the last return's; comments are indented by it.
  depth: number;
  /// Depth of the interrupt entry whose callees are being left out, −1 outside.
  interrupt: number;
  /// By depth: the function whose opening line was printed last and not closed, −1 for none.
  opened: Float64Array;
}

const REMEMBERED_DEPTHS = 50; // deeper braces are always plain
const NO_FUNCTION = -1;
const NO_DURATION = '              |  ';
const COMM_BYTES = 7;
const PROC_WIDTH = 14;
const RULE = ' ------------------------------------------\n';

// The kernel's shadow stack ends the indentation at some 120 levels. A stack of ours may be thousands of times deeper, where
// indenting every line in full would make the text grow with the square of the depth: from here on lines stay put.
const INDENT_DEPTHS = 4096;
const INDENTS: string[] = [];
for (let depth = 0; depth < 64; depth++) INDENTS.push('  '.repeat(depth));
const indent = (depth: number): string =>
  depth < INDENTS.length ? INDENTS[depth] : '  '.repeat(Math.min(depth, INDENT_DEPTHS));

/// Turns events into lines. Events must come in print order: by time, except that a return that directly follows its
/// entry on the same CPU comes right after it (`Merge` yields them so; a single task's events are so as they are).
///
///     const text = new GraphText({ proc: true }, { symbol: (func) => names[func] });
///     let out = text.header();
///     while (merge.next(event)) out += text.push(event);
///     out += text.end();
export class GraphText {
  readonly #options: Readonly<GraphOptions>;
  readonly #names: GraphNames;
  readonly #cpus: CpuState[] = [];
  readonly #cpuWidth: number;
  readonly #showDuration: boolean;
  readonly #blank: string;
  // The entry that is held, if `#holding`.
  readonly #held = new TraceEvent();
  #holding = false;

  /// Throws RangeError for a number of CPUs below 1.
  constructor(options: Partial<GraphOptions>, names: GraphNames) {
    this.#options = { ...GRAPH_DEFAULTS, ...options };
    this.#names = names;
    const { cpus, duration, contextInfo } = this.#options;
    if (!(Number.isInteger(cpus) && cpus >= 1))
      throw badRange(`cpus is ${shown(cpus)}, expected a whole number from 1`);
    this.#cpuWidth = String(cpus - 1).length;
    this.#showDuration = duration && contextInfo;
    this.#blank = this.#showDuration ? NO_DURATION : '';
  }

  /// The lines above the events. `info` is what latency-format's banner tells; that format prints no banner and no columns
  /// above an empty buffer (`info.entries` 0). `isDead`: the engine was stopped for good.
  header(info?: BufferInfo, isDead = false): string {
    const { abstime, relative, cpu, proc, duration, contextInfo, latencyFormat, tracer } = this.#options;
    let text = tracerLine(tracer, isDead);
    if (!contextInfo) return text;
    let left1 = '';
    let left2 = '';
    const column = (shown: boolean, line1: string, line2: string): void => {
      if (!shown) return;
      left1 += line1;
      left2 += line2;
    };
    column(abstime, '     TIME       ', '      |         ');
    column(relative, '   REL TIME     ', '      |         ');
    column(cpu, ' CPU', ' |  ');
    column(proc, '  TASK/PID       ', '   |    |        ');
    if (latencyFormat) {
      if (info === undefined) throw new TypeError('function_graph header in latency-format needs the buffer info');
      if (info.entries === 0) return text;
      text += latencyBanner(tracer, info);
      const margin = `#${' '.repeat(left1.length)}`;
      text += `${margin}  _-----=> irqs-off        \n`;
      text += `${margin} / _----=> need-resched    \n`;
      text += `${margin}| / _---=> hardirq/softirq \n`;
      text += `${margin}|| / _--=> preempt-depth   \n`;
      text += `${margin}||| /                      \n`;
      column(true, '||||   ', '||||   ');
    }
    column(duration, '  DURATION   ', '   |   |      ');
    const margin = ' '.repeat(15);
    return `${text}#${left1}${margin}FUNCTION CALLS\n#${left2}${margin}|   |   |   |\n`;
  }

  /// Takes the next event and returns the lines that are complete with it, often none. `event` is not kept.
  push(event: TraceEvent): string {
    const { kind } = event;
    const ends = kind === RETURN || kind === UNWOUND;
    let text = '';
    if (this.#holding) {
      const held = this.#held;
      this.#holding = false;
      if (ends && event.func === held.func && event.pid === held.pid && event.cpu === held.cpu) {
        return this.#leaf(held, event);
      }
      text = this.#opening(held);
    }
    const cpu = this.#cpu(event.cpu);
    if (kind === ENTRY) {
      if (!this.#isHiddenEntry(cpu, event)) {
        this.#held.copy(event);
        this.#holding = true;
      }
      return text;
    }
    if (ends) return this.#isHiddenReturn(cpu, event) ? text : text + this.#closing(cpu, event);
    if (kind === COMMENT) return text + this.#comment(cpu, event);
    if (kind === LOST) {
      return `${text}CPU:${event.cpu} [LOST ${event.count > 0 ? `${event.count} ` : ''}EVENTS]\n`;
    }
    return text;
  }

  /// The line of the entry that is held, if one is: at the end of the events, or of those that exist so far.
  end(): string {
    if (!this.#holding) return '';
    this.#holding = false;
    return this.#opening(this.#held);
  }

  #opening(entry: TraceEvent): string {
    const cpu = this.#cpu(entry.cpu);
    const { depth } = entry;
    cpu.depth = depth;
    if (depth < REMEMBERED_DEPTHS) cpu.opened[depth] = entry.func;
    const lead = this.#lead(cpu, entry, '==========>');
    const caller = this.#caller(entry);
    const name = `${this.#names.symbol(entry.func)}(${this.#arguments(entry)}`;
    return `${lead + this.#blank + indent(depth) + name}) {${caller === '' ? '' : ` /* ${caller} */`}\n`;
  }

  #leaf(entry: TraceEvent, end: TraceEvent): string {
    const cpu = this.#cpu(entry.cpu);
    const { depth } = entry;
    cpu.depth = depth - 1;
    if (depth < REMEMBERED_DEPTHS) cpu.opened[depth] = NO_FUNCTION;
    const name = `${this.#names.symbol(entry.func)}(${this.#arguments(entry)}`;
    const notes = join(this.#caller(entry), this.#outcome(end));
    const line = this.#lead(cpu, entry, '==========>') + this.#duration(end) + indent(depth) + name;
    const text = notes === '' ? `${line});\n` : `${line}); /* ${notes} */\n`;
    return text + this.#arrow(cpu, end, '<==========');
  }

  #closing(cpu: CpuState, end: TraceEvent): string {
    const { depth } = end;
    const { tail, retval, overrun } = this.#options;
    let named = tail || retval;
    cpu.depth = depth - 1;
    if (depth < REMEMBERED_DEPTHS) {
      named ||= cpu.opened[depth] !== end.func;
      cpu.opened[depth] = NO_FUNCTION;
    }
    const outcome = this.#outcome(end);
    const notes = named ? join(this.#names.symbol(end.func), outcome) : outcome;
    const line = `${this.#lead(cpu, end, '') + this.#duration(end) + indent(depth)}}`;
    let text = notes === '' ? `${line}\n` : `${line} /* ${notes} */\n`;
    if (overrun) text += ` (Overruns: ${end.overrun})\n`;
    return text + this.#arrow(cpu, end, '<==========');
  }

  #comment(cpu: CpuState, event: TraceEvent): string {
    const { text } = event;
    const margin = cpu.depth > 0 ? indent(cpu.depth + 1) : '';
    const body = text.endsWith('\n') ? text.slice(0, -1) : text;
    return `${this.#lead(cpu, event, '') + this.#blank + margin}/* ${body} */\n`;
  }

  // What stands before the duration: a banner if the task changed, an arrow line, the context columns.
  #lead(cpu: CpuState, event: TraceEvent, arrow: string): string {
    let text = '';
    if (event.pid !== cpu.pid) text = this.#switch(cpu, event);
    if (arrow !== '') text += this.#arrow(cpu, event, arrow);
    return text + this.#columns(cpu, event);
  }

  #columns(cpu: CpuState, event: TraceEvent): string {
    const { abstime, relative, contextInfo, latencyFormat, start } = this.#options;
    if (!contextInfo) return '';
    let text = '';
    if (abstime) text += absoluteTime(event.time);
    if (relative) text += `${String(Math.floor((event.time - start) / 1000)).padStart(9)} us |  `;
    text += cpu.columns;
    if (latencyFormat) text += ` ${flagCharacters(event.flags, event.preempt)} | `;
    return text;
  }

  #arrow(cpu: CpuState, event: TraceEvent, arrow: string): string {
    if (!this.#names.isInterrupt?.(event.func)) return '';
    return `${this.#columns(cpu, event)}${this.#showDuration ? `  ${arrow} |` : arrow}\n`;
  }

  #switch(cpu: CpuState, event: TraceEvent): string {
    const previous = cpu.pid;
    const number = ` ${String(event.cpu).padStart(this.#cpuWidth)}) `;
    const proc = this.#proc(event.pid, event.cpu);
    cpu.pid = event.pid;
    cpu.columns = (this.#options.cpu ? number : '') + (this.#options.proc ? `${proc} | ` : '');
    if (previous < 0) return '';
    return `${RULE}${number}${this.#proc(previous, event.cpu)} => ${proc}\n${RULE}\n`;
  }

  #duration(end: TraceEvent): string {
    if (!this.#showDuration) return '';
    const ns = end.time - end.call;
    return `${this.#options.overhead ? mark(ns) : ' '} ${duration(ns)}|  `;
  }

  #arguments(entry: TraceEvent): string {
    return entry.args === null ? '' : argumentText(this.#names.params?.(entry.func, entry.args.length), entry.args);
  }

  #caller(entry: TraceEvent): string {
    if (!this.#options.retaddr || entry.retaddr === null) return '';
    return `<-${this.#names.caller?.(entry.retaddr) ?? `0x${entry.retaddr.toString(16)}`}`;
  }

  #outcome(end: TraceEvent): string {
    if (end.kind === UNWOUND) return 'unwound';
    const { retval, retvalHex } = this.#options;
    return retval && end.retval !== null ? `ret=${returnText(end.retval, retvalHex)}` : '';
  }

  // With interrupts left out, an interrupt entry and all until its return are hidden. A return at or above its depth ends
  // this even when it is another function's: the right one may be lost.
  #isHiddenEntry(cpu: CpuState, entry: TraceEvent): boolean {
    if (this.#options.irqs) return false;
    if (cpu.interrupt >= 0) return true;
    if (!this.#names.isInterrupt?.(entry.func)) return false;
    cpu.interrupt = entry.depth;
    return true;
  }

  #isHiddenReturn(cpu: CpuState, end: TraceEvent): boolean {
    if (cpu.interrupt < 0) return false;
    if (end.depth <= cpu.interrupt) cpu.interrupt = -1;
    return true;
  }

  #cpu(number: number): CpuState {
    let cpu = this.#cpus[number];
    if (cpu === undefined) {
      const opened = new Float64Array(REMEMBERED_DEPTHS).fill(NO_FUNCTION);
      cpu = { pid: -1, columns: '', depth: 0, interrupt: -1, opened };
      this.#cpus[number] = cpu;
    }
    return cpu;
  }

  #proc(pid: number, cpu: number): string {
    const comm = pid === 0 ? '<idle>' : (this.#names.comm?.(pid, cpu) ?? '<...>');
    return centre(`${cut(comm, COMM_BYTES)}-${pid}`, PROC_WIDTH);
  }
}

const join = (left: string, right: string): string => (left === '' || right === '' ? left + right : `${left} ${right}`);

function absoluteTime(ns: number): string {
  const us = Math.floor(ns / 1000);
  const seconds = Math.floor(us / 1e6);
  return `${String(seconds).padStart(5)}.${String(us - seconds * 1e6).padStart(6, '0')} |  `;
}

// The odd blank goes to the right; what is too long is not cut.
function centre(text: string, width: number): string {
  const blanks = Math.max(width - text.length, 0);
  return ' '.repeat(blanks >> 1) + text + ' '.repeat(blanks - (blanks >> 1));
}

// The most whole characters of `text` that fit into so many bytes.
function cut(text: string, bytes: number): string {
  let end = 0;
  for (const character of text) {
    const point = character.codePointAt(0)!;
    bytes -= point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    if (bytes < 0) break;
    end += character.length;
  }
  return text.slice(0, end);
}
