// The text of the `function` tracer (spec/fgraph.md §13, spec/tracefs.md §6), letter for letter as the kernel prints it.
//
//   `            bash-1994    ` `(  12345) ` `[000] ` `d..1. ` `  120.000123: ` `vfs_read` ` <-ksys_read`
//    comm-pid                   tgid          cpu      flags    time            function   parent
//
// A line depends on its neighbours in one case only: the mark of latency-format tells the time to the next event, so there a
// line is held until that is known.

import { mark } from './duration.ts';
import { type BufferInfo, flagCharacters, latencyBanner, tracerLine } from './header.ts';
import { argumentText, type Param } from './words.ts';

/// The tracer's view of the general options.
export interface FunctionOptions {
  /// ` <-PARENT` behind the function.
  printParent: boolean;
  /// Names with offset and size, `f+0x4/0x20`.
  symOffset: boolean;
  /// The address behind every name.
  symAddr: boolean;
  contextInfo: boolean;
  latencyFormat: boolean;
  /// The five flag characters.
  irqInfo: boolean;
  /// A column with the number of the process.
  recordTgid: boolean;
  /// Bare decimals, addresses in hex.
  raw: boolean;
  /// Bare hex.
  hex: boolean;
  /// Times are nanoseconds. Off: numbers of a clock that counts something else.
  nanoseconds: boolean;
  /// A line where a CPU begins that is not the first to print: of a buffer that lost its oldest events.
  annotate: boolean;
  /// Time that latency-format counts from.
  start: number;
}

export const FUNCTION_DEFAULTS: Readonly<FunctionOptions> = {
  printParent: true,
  symOffset: false,
  symAddr: false,
  contextInfo: true,
  latencyFormat: false,
  irqInfo: true,
  recordTgid: false,
  raw: false,
  hex: false,
  nanoseconds: true,
  annotate: false,
  start: 0,
};

/// A function of a recording: a site id, or an address where the recorder stores those.
export type Place = number | bigint;

/// One call, one repeat of calls, or one stack. A class, so that all of them have the same shape for the compiler.
export class FunctionEvent {
  cpu = 0;
  pid = 0;
  time = 0;
  func: Place = 0;
  /// Who called: null when the host did.
  parent: Place | null = null;
  /// `FLAG_*` of events.ts.
  flags = 0;
  /// Low four bits: preemption depth; high four: migrate-disable depth.
  preempt = 0;
  /// The argument words, for recorders that store them.
  args: readonly bigint[] | null = null;
  /// How often this call was repeated; 0 = this is the call itself.
  repeats = 0;
  /// When it was repeated last.
  lastTime = 0;
  /// Not a call but the stack at one, innermost first.
  stack: readonly Place[] | null = null;
}

/// Where text finds the names for an event's numbers. Asked for every line, so answers should be looked up, not made.
export interface FunctionNames {
  symbol(place: Place): string;
  /// What `sym-offset` appends, `+0x4/0x20`.
  offset?(place: Place): string;
  /// What `sym-addr` appends, and `raw` and `hex` print.
  address?(place: Place): number | bigint;
  /// Name of a task; `<...>` for one that nobody knows. Tasks of one pid on several CPUs may have several.
  comm?(pid: number, cpu: number): string;
  /// Its process, undefined when that was not recorded.
  tgid?(pid: number): number | undefined;
  /// The parameters of a function, null when there is no type information. `words`: how many were recorded, for functions of
  /// which no more is known.
  params?(place: Place, words: number): readonly Param[] | null;
}

const TRACER = 'function';
const COMM_WIDTH = 16;
const LATENCY_COMM_WIDTH = 8;
const PID_WIDTH = 7;
const TGID_UNKNOWN = '(-------) ';
const HOST = '[host]';

const LATENCY_KEY = `#                    _------=> CPU#            
#                   / _-----=> irqs-off/BH-disabled
#                  | / _----=> need-resched    
#                  || / _---=> hardirq/softirq 
#                  ||| / _--=> preempt-depth   
#                  |||| / _-=> migrate-disable 
#                  ||||| /     delay           
#  cmd     pid     |||||| time  |   caller     
#     \\   /        ||||||  \\    |    /       
`;

/// Turns calls into lines. They must come by time.
///
///     const text = new FunctionText({}, { symbol: (site) => names[site] });
///     out.write(text.header(info));
///     for (const call of calls) out.write(text.push(call));
///     out.write(text.end());
export class FunctionText {
  readonly #options: Readonly<FunctionOptions>;
  readonly #names: FunctionNames;
  readonly #started = new Set<number>();
  /// By CPU: the task column of its last line, and whose it is.
  readonly #tasks: { readonly pid: number; readonly text: string }[] = [];
  // latency-format: the two halves of the line that waits for the next event, and its time.
  #held: { readonly left: string; readonly right: string; readonly time: number } | undefined;

  constructor(options: Partial<FunctionOptions>, names: FunctionNames) {
    this.#options = { ...FUNCTION_DEFAULTS, ...options };
    this.#names = names;
  }

  /// The lines above the events. `isDead`: the engine was stopped for good.
  header(info: BufferInfo, isDead = false): string {
    const { contextInfo, latencyFormat, irqInfo, recordTgid } = this.#options;
    const text = tracerLine(TRACER, isDead);
    if (!contextInfo) return text;
    if (latencyFormat) return info.entries === 0 ? text : text + latencyBanner(TRACER, info) + LATENCY_KEY;
    const counts = `# entries-in-buffer/entries-written: ${info.entries}/${info.written}   #P:${info.cpus}\n#\n`;
    const [tgid1, tgid2] = recordTgid ? ['     TGID   ', '       |    '] : ['  ', '  '];
    const left1 = `#           TASK-PID  ${tgid1}`;
    const left2 = `#              | |    ${tgid2}`;
    if (!irqInfo) {
      return `${text}${counts}${left1} CPU#     TIMESTAMP  FUNCTION\n${left2}   |         |         |\n`;
    }
    const margin = `#${' '.repeat(recordTgid ? 40 : 30)}`;
    return `${text}${counts}${margin}  _-----=> irqs-off/BH-disabled
${margin} / _----=> need-resched
${margin}| / _---=> hardirq/softirq
${margin}|| / _--=> preempt-depth
${margin}||| / _-=> migrate-disable
${margin}|||| /     delay
${left1} CPU#  |||||  TIMESTAMP  FUNCTION
${left2}   |   |||||     |         |
`;
  }

  /// Takes the next event and returns the lines that are complete with it. `event` is not kept.
  push(event: FunctionEvent): string {
    const { latencyFormat, raw, hex, contextInfo } = this.#options;
    if (raw || hex) return this.#bare(event);
    const body = `${this.#body(event)}\n`;
    if (!contextInfo) return body;
    const notice = this.#notice(event.cpu);
    if (!latencyFormat) return notice + this.#context(event) + body;
    const text = this.#release(event.time);
    this.#held = { left: this.#latency(event), right: `: ${body}`, time: event.time };
    return text + notice;
  }

  /// Where events of a CPU are missing; `count` 0 = nobody knows how many.
  lost(cpu: number, count: number): string {
    return `${this.end()}CPU:${cpu} [LOST ${count > 0 ? `${count} ` : ''}EVENTS]\n`;
  }

  /// The line that is held, if one is.
  end(): string {
    return this.#release(undefined);
  }

  #release(next: number | undefined): string {
    const held = this.#held;
    if (!held) return '';
    this.#held = undefined;
    return held.left + (next === undefined ? ' ' : mark(next - held.time)) + held.right;
  }

  #notice(cpu: number): string {
    if (this.#started.has(cpu)) return '';
    const isFirst = this.#started.size === 0;
    this.#started.add(cpu);
    return isFirst || !this.#options.annotate ? '' : `##### CPU ${cpu} buffer started ####\n`;
  }

  #context(event: FunctionEvent): string {
    const { irqInfo } = this.#options;
    const cpu = `[${String(event.cpu).padStart(3, '0')}] `;
    const flags = irqInfo ? flagCharacters(event.flags, event.preempt) : '';
    return `${this.#task(event.pid, event.cpu)}${cpu}${flags} ${this.#time(event.time)}: `;
  }

  #time(time: number): string {
    return this.#options.nanoseconds ? seconds(time) : String(time).padStart(12);
  }

  #task(pid: number, cpu: number): string {
    const last = this.#tasks[cpu];
    if (last?.pid === pid) return last.text;
    let text = `${this.#comm(pid, cpu).padStart(COMM_WIDTH)}-${String(pid).padEnd(PID_WIDTH)} `;
    if (this.#options.recordTgid) {
      const tgid = this.#names.tgid?.(pid);
      text += tgid === undefined ? TGID_UNKNOWN : `(${String(tgid).padStart(PID_WIDTH)}) `;
    }
    this.#tasks[cpu] = { pid, text };
    return text;
  }

  #latency(event: FunctionEvent): string {
    const task = `${this.#comm(event.pid, event.cpu).padStart(LATENCY_COMM_WIDTH)}-${String(event.pid).padEnd(PID_WIDTH)}`;
    const flags = flagCharacters(event.flags, event.preempt);
    const us = String(Math.floor((event.time - this.#options.start) / 1000)).padStart(4);
    return `${task} ${String(event.cpu).padStart(3)}${flags} ${us}us`;
  }

  #body(event: FunctionEvent): string {
    if (event.stack) return ['<stack trace>', ...event.stack.map((place) => ` => ${this.#place(place)}`)].join('\n');
    const { func, parent, args, repeats, lastTime } = event;
    const words = args === null ? '' : `(${argumentText(this.#names.params?.(func, args.length), args)})`;
    let text = this.#place(func) + words;
    if (this.#options.printParent) text += ` <-${parent === null ? HOST : this.#place(parent)}`;
    if (repeats > 0) text += ` (repeats: ${repeats}, last_ts: ${this.#time(lastTime)})`;
    return text;
  }

  #place(place: Place): string {
    const { symOffset, symAddr } = this.#options;
    const offset = symOffset ? (this.#names.offset?.(place) ?? '') : '';
    const address = symAddr ? ` <${this.#address(place).padStart(16, '0')}>` : '';
    return this.#names.symbol(place) + offset + address;
  }

  #bare(event: FunctionEvent): string {
    const { pid, cpu, time, func, parent } = event;
    if (event.stack) return '';
    const addresses = [func, parent].map((place) => (place === null ? '0' : this.#address(place)));
    if (this.#options.raw) return `${[pid, cpu, time, ...addresses].join(' ')}\n`;
    const columns = [hex(pid, 8), hex(cpu, 8), hex(time, 16), ...addresses.map((address) => address.padStart(16, '0'))];
    return `${columns.join(' ')} \n`;
  }

  #address(place: Place): string {
    return (this.#names.address?.(place) ?? place).toString(16);
  }

  #comm(pid: number, cpu: number): string {
    return pid === 0 ? '<idle>' : (this.#names.comm?.(pid, cpu) ?? '<...>');
  }
}

const hex = (value: number, width: number): string => value.toString(16).padStart(width, '0');

/// Seconds and microseconds, cut and never rounded.
function seconds(ns: number): string {
  const us = Math.floor(ns / 1000);
  const whole = Math.floor(us / 1e6);
  return `${String(whole).padStart(5)}.${String(us - whole * 1e6).padStart(6, '0')}`;
}
