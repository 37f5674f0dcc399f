// The text of the `function` tracer taken apart into events: what was printed, and nothing of how.

import { FLAG_BH_OFF, FLAG_HARDIRQ, FLAG_IRQS_OFF, FLAG_NEED_RESCHED, FLAG_SOFTIRQ } from '../../src/trace/events.ts';
import { FunctionEvent, type FunctionNames, type FunctionOptions, type Place } from '../../src/trace/function-text.ts';
import type { BufferInfo } from '../../src/trace/header.ts';
import type { Param } from '../../src/trace/words.ts';

export interface ParsedFunction {
  readonly info: BufferInfo;
  readonly events: FunctionEvent[];
  readonly names: FunctionNames;
  readonly start: number;
}

interface Symbol {
  readonly name: string;
  readonly offset?: string;
  readonly address?: bigint;
  readonly params?: Param[];
}

const BARE = /^([0-9a-f]{8}) ([0-9a-f]{8}) ([0-9a-f]{16}) ([0-9a-f]{16}) ([0-9a-f]{16}) $/;
const LATENCY = /^ *(\S+)-(\d+) +(\d+)(\S{5}) +(\d+)us.: (.*)$/;
const LINE = /^ *(\S+)-(\d+) +(?:\([-0-9 ]{7}\) )?\[(\d+)\] (\S{5})? +([\d.]+): (.*)$/;
const PLACE = /^([^ (+]+)(\+0x[0-9a-f]+\/0x[0-9a-f]+)?(\(.*\))?(?: <([0-9a-f]{16})>)?$/;

/// Takes `text` apart, which was printed with `options` on two CPUs.
export function parseFunction(text: string, options: Partial<FunctionOptions>): ParsedFunction {
  const [, entries, written] = /entries-written: (\d+)\/(\d+)/.exec(text) ?? /#(\d+)\/(\d+), CPU/.exec(text) ?? [];
  const [, release, cpu, model] = /v1\.1\.5 on (.*)\n[\s\S]*?CPU#(\d+) \| \(M:(\S+)/.exec(text) ?? [];
  const info: BufferInfo = {
    entries: Number(entries ?? 0),
    written: Number(written ?? 0),
    cpu: Number(cpu ?? 0),
    cpus: 2,
    release: release ?? '',
    model: model ?? '',
  };
  const comms = new Map<number, string>();
  const symbols: Symbol[] = [];
  const events: FunctionEvent[] = [];
  const place = (printed: string): Place => {
    const [, name, offset, args, address] = PLACE.exec(printed)!;
    const params = args?.slice(1, -1).split(', ').map(param);
    return symbols.push({ name, offset, address: address ? BigInt(`0x${address}`) : undefined, params }) - 1;
  };
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue;
    const event = new FunctionEvent();
    if (options.hex) {
      const [pid, cpuNumber, time, func, parent] = BARE.exec(line)!.slice(1);
      event.pid = Number.parseInt(pid, 16);
      event.cpu = Number.parseInt(cpuNumber, 16);
      event.time = Number.parseInt(time, 16);
      event.func = BigInt(`0x${func}`);
      event.parent = BigInt(`0x${parent}`);
      events.push(event);
      continue;
    }
    let body = line;
    if (line.startsWith(' => ')) {
      events[events.length - 1].stack = [
        ...events[events.length - 1].stack!,
        place(line.slice(4).replaceAll(' ', '_')),
      ];
      continue;
    }
    if (options.contextInfo !== false) {
      const found = (options.latencyFormat ? LATENCY : LINE).exec(line);
      if (!found) throw new Error(`not a line of the function tracer: ${line}`);
      const [, comm, pid, cpuNumber, flags, time] = found;
      body = found[6];
      comms.set(Number(pid), comm);
      event.pid = Number(pid);
      event.cpu = Number(cpuNumber);
      event.time = timeOf(time, options);
      [event.flags, event.preempt] = flags === undefined ? [0, 0] : flagsOf(flags);
    }
    if (body === '<stack trace>') {
      event.stack = [];
    } else {
      const [func, parent] = body.split(' <-');
      event.func = place(func);
      event.parent = place(parent);
      const words = /\((.*)\)/
        .exec(func)?.[1]
        .split(', ')
        .map((word) => BigInt(word.slice(word.indexOf('=') + 1)));
      event.args = words ?? null;
    }
    events.push(event);
  }
  const names: FunctionNames = {
    symbol: (at) => symbols[Number(at)].name.replace('[FTRACE_TRAMPOLINE]', '[FTRACE TRAMPOLINE]'),
    offset: (at) => symbols[Number(at)].offset ?? '',
    address: (at) => (typeof at === 'bigint' ? at : symbols[at].address!),
    comm: (pid) => comms.get(pid)!,
    params: (at) => symbols[Number(at)].params ?? null,
  };
  return { info, events, names, start: 0 };
}

const param = (printed: string): Param => ({ name: printed.slice(0, printed.indexOf('=')), kind: 'pointer' });

function timeOf(printed: string, { latencyFormat, nanoseconds }: Partial<FunctionOptions>): number {
  if (latencyFormat) return Number(printed) * 1000;
  if (nanoseconds === false) return Number(printed);
  const [whole, micro] = printed.split('.');
  return Number(whole) * 1e9 + Number(micro) * 1000;
}

function flagsOf(printed: string): [number, number] {
  const [irqs, resched, context, preempt, migrate] = printed;
  let flags = 0;
  if (irqs === 'd' || irqs === 'D') flags |= FLAG_IRQS_OFF;
  if (irqs === 'b' || irqs === 'D') flags |= FLAG_BH_OFF;
  if (resched === 'n') flags |= FLAG_NEED_RESCHED;
  if (context === 'h' || context === 'H') flags |= FLAG_HARDIRQ;
  if (context === 's' || context === 'H') flags |= FLAG_SOFTIRQ;
  const digit = (character: string) => (character === '.' ? 0 : Number.parseInt(character, 16));
  return [flags, digit(preempt) | (digit(migrate) << 4)];
}
