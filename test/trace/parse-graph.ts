// Text of `function_graph` → the events that it was made from: the formatter backwards, for tests.
//
// Columns are found by the options, the rest of a line by its shape. What the text does not say is filled in so that it
// cannot help the formatter: times without abstime count up by a microsecond a line, tasks without proc get their pids from
// the banners. A plain `}` closes the function whose `{` was last at this depth of this CPU.

import { COMMENT, ENTRY, type EventKind, LOST, RETURN, TraceEvent, UNWOUND } from '../../src/trace/events.ts';
import type { GraphNames, GraphOptions } from '../../src/trace/graph-text.ts';
import type { Param } from '../../src/trace/words.ts';

export interface ParsedGraph {
  header: string;
  events: TraceEvent[];
  /// Indices into `events` before which the reader had caught up with the writer, so that the entry there could not be seen to be a
  /// leaf: the text has `f() {` and `}` with nothing between.
  caughtUp: Set<number>;
  names: GraphNames;
}

const FLAG_BITS: Record<string, number> = { d: 0x01, b: 0x80, D: 0x81 };
const RESCHED_BITS: Record<string, number> = { n: 4, l: 2, p: 0x20, N: 0x24, L: 0x22, b: 6, B: 0x26 };
const CONTEXT_BITS: Record<string, number> = { Z: 0x48, z: 0x40, H: 0x18, h: 0x08, s: 0x10 };

export function parseGraph(text: string, options: GraphOptions): ParsedGraph {
  const lines = text.split('\n');
  if (lines.pop() !== '') throw new Error('text does not end with a newline');
  const head = lines.findIndex((line) => !line.startsWith('#'));
  const body = head < 0 ? [] : lines.slice(head);
  const header = lines.slice(0, head < 0 ? lines.length : head).join('\n');

  const functions: string[] = [];
  const callers: string[] = [];
  const params = new Map<number, Param[]>();
  const comms = new Map<number, string>();
  const id = (list: string[], name: string): number => {
    const found = list.indexOf(name);
    return found >= 0 ? found : list.push(name) - 1;
  };

  // The task that runs on a CPU until the first banner there says who it was.
  const running = new Map<number, number>();
  for (const line of body.toReversed()) {
    const banner = /^ *(\d+)\) +(\S+)-(\d+) +=> +(\S+)-(\d+) *$/.exec(line);
    if (banner === null) continue;
    comms.set(Number(banner[3]), banner[2]).set(Number(banner[5]), banner[4]);
    running.set(Number(banner[1]), Number(banner[3]));
  }

  const columns = new RegExp(
    '^' +
      (options.contextInfo && options.abstime ? ' *(?<s>\\d+)\\.(?<us>\\d{6}) \\|  ' : '') +
      (options.contextInfo && options.cpu ? ' +(?<cpu>\\d+)\\) ' : '') +
      (options.contextInfo && options.proc ? ' *(?<comm>\\S+)-(?<pid>\\d+) * \\| ' : '') +
      (options.contextInfo && options.latencyFormat ? ' (?<flags>.{5}) \\| ' : '') +
      (options.contextInfo && options.duration
        ? '(?: {14}\\|  |[ +!#*@$] (?<whole>\\d+)(?:\\.(?<part>\\d+))? us *\\|  )'
        : '') +
      '(?<rest>.*)$',
  );

  const events: TraceEvent[] = [];
  const caughtUp = new Set<number>();
  const opened = new Map<string, number>();
  let clock = 0;
  let entryLine = -1; // index of the event of the line before, if that was an opening line

  for (let i = 0; i < body.length; i++) {
    const line = body[i];
    if (line === ' ------------------------------------------') {
      const banner = /^ *(\d+)\) .*-(\d+) *$/.exec(body[i + 1])!;
      running.set(Number(banner[1]), Number(banner[2]));
      i += 3;
      continue;
    }
    const overrun = /^ \(Overruns: (\d+)\)$/.exec(line);
    if (overrun !== null) {
      events.at(-1)!.overrun = Number(overrun[1]);
      continue;
    }
    const lost = /^CPU:(\d+) \[LOST (?:(\d+) )?EVENTS\]$/.exec(line);
    if (lost !== null) {
      const event = new TraceEvent();
      event.kind = LOST;
      event.cpu = Number(lost[1]);
      event.count = Number(lost[2] ?? 0);
      events.push(event);
      continue;
    }

    const groups = columns.exec(line)?.groups;
    if (groups === undefined) throw new Error(`line ${head + i + 1} has other columns: ${line}`);
    const cpu = Number(groups.cpu ?? 0);
    const pid = Number(groups.pid ?? running.get(cpu) ?? 1);
    if (groups.comm !== undefined) comms.set(pid, groups.comm);
    clock += 1000;
    const time = groups.s === undefined ? clock : Number(groups.s) * 1e9 + Number(groups.us) * 1000;
    const took =
      groups.whole === undefined ? 0 : Number(groups.whole) * 1000 + Number((groups.part ?? '').padEnd(3, '0'));
    const [, indent, what] = /^( *)(.*)$/.exec(groups.rest)!;
    const depth = indent.length / 2;
    const event = (kind: EventKind): TraceEvent => {
      const event = new TraceEvent();
      event.kind = kind;
      event.cpu = cpu;
      event.pid = pid;
      event.time = time;
      event.depth = depth;
      if (groups.flags !== undefined) readFlags(groups.flags, event);
      events.push(event);
      return event;
    };
    const readOutcome = (end: TraceEvent, notes: string): void => {
      const ret = /(?:^| )ret=(\S+)$/.exec(notes);
      if (ret !== null) end.retval = BigInt.asUintN(64, BigInt(ret[1]));
      if (/(?:^| )unwound$/.test(notes)) end.kind = UNWOUND;
    };

    const call = /^([^\s(]+)\((.*?)\)(;| \{)(?: \/\* (.*) \*\/)?$/.exec(what);
    const closing = /^\}(?: \/\* (.*) \*\/)?$/.exec(what);
    const comment = /^\/\* (.*) \*\/$/.exec(what);
    const opens = entryLine;
    entryLine = -1;
    if (call !== null) {
      const [, name, argumentText, end, notes = ''] = call;
      const entry = event(ENTRY);
      entry.func = id(functions, name);
      if (argumentText !== '') {
        const parsed = parseArguments(argumentText);
        entry.args = parsed.words;
        params.set(entry.func, parsed.params);
      }
      const caller = /<-(\S+)/.exec(notes);
      if (caller !== null) entry.retaddr = id(callers, caller[1]);
      if (end === ';') {
        const leaf = event(RETURN);
        leaf.func = entry.func;
        leaf.call = time;
        leaf.time = time + took;
        readOutcome(leaf, notes);
      } else {
        opened.set(`${cpu} ${depth}`, entry.func);
        entryLine = events.length - 1;
      }
    } else if (closing !== null) {
      const notes = closing[1] ?? '';
      const name = notes.replace(/(?:^| )(?:ret=\S+|unwound)$/, '');
      const end = event(RETURN);
      const func = name === '' ? opened.get(`${cpu} ${depth}`) : id(functions, name);
      if (func === undefined) throw new Error(`line ${head + i + 1} closes nothing: ${line}`);
      end.func = func;
      end.call = time - took;
      readOutcome(end, notes);
      if (opens >= 0 && events[opens].cpu === cpu && events[opens].pid === pid && events[opens].func === func) {
        caughtUp.add(events.length - 1);
      }
    } else if (comment !== null) {
      event(COMMENT).text = comment[1];
    } else {
      throw new Error(`line ${head + i + 1} is neither call, brace nor comment: ${line}`);
    }
  }

  const names: GraphNames = {
    symbol: (func) => functions[func],
    comm: (pid) => comms.get(pid) ?? '?',
    caller: (retaddr) => callers[Number(retaddr)],
    params: (func) => params.get(func) ?? null,
  };
  return { header: `${header}\n`, events, caughtUp, names };
}

function readFlags(flags: string, event: TraceEvent): void {
  const [irqs, resched, context, preempt, migrate] = flags;
  event.flags = (FLAG_BITS[irqs] ?? 0) | (RESCHED_BITS[resched] ?? 0) | (CONTEXT_BITS[context] ?? 0);
  const digit = (character: string): number => (character === '.' ? 0 : Number.parseInt(character, 16));
  event.preempt = digit(preempt) | (digit(migrate) << 4);
}

// `a=0x1, b=-3, =?0x5, c=(STRUCT)[0x1:0x2], d=1 [NAME], ...`
function parseArguments(text: string): { params: Param[]; words: bigint[] } {
  const params: Param[] = [];
  const words: bigint[] = [];
  for (const part of text.split(', ')) {
    if (part === '...') {
      params.push({ name: 'rest', kind: 'unknown' });
      continue;
    }
    const split = /^(\w*)=(.*)$/.exec(part);
    if (split === null) throw new Error(`argument ${part} of (${text})`);
    const [, name, value] = split;
    const raw = /^\((\w+)\)\[(.*)\]$/.exec(value);
    const named = /^(-?\d+) \[(\w+)\]$/.exec(value);
    const variadic = name === '';
    if (raw !== null) {
      const all = raw[2].split(':');
      params.push({ name, kind: raw[1], words: all.length });
      for (const word of all) if (word !== '...') words.push(BigInt(word));
    } else if (named !== null) {
      params.push({ name, kind: 'enum', values: new Map([[BigInt(named[1]), named[2]]]) });
      words.push(BigInt(named[1]));
    } else if (value.startsWith('?')) {
      params.push({ name, kind: 'unknown', variadic });
      words.push(BigInt(value.slice(1)));
    } else {
      params.push({ name, kind: value.startsWith('0x') ? 'pointer' : 'signed', variadic });
      words.push(BigInt(value));
    }
  }
  return { params, words };
}
