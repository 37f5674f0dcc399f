// A tiny notation for events, so that a test shows what happened beside what was printed:
//
//   f{       entry of f, one level deeper            f}120    return of f, which took 120 ns
//   f!120    f was unwound after 120 ns              #text    another event (blanks written as _)
//   ?12      12 events lost, ? = unknown             @1.7     from here on CPU 1, pid 7
//   +500     the clock moves on by 500 ns            =3       the next depth on this task is 3
//
// Every event takes place 1 ns after the one before, a return at least as late as its duration needs.

import { COMMENT, ENTRY, LOST, RETURN, TraceEvent, UNWOUND } from '../../src/trace/events.ts';
import type { GraphNames } from '../../src/trace/graph-text.ts';

export interface Script {
  events: TraceEvent[];
  names: GraphNames;
}

export function script(text: string, start = 0): Script {
  const functions: string[] = [];
  const depths = new Map<number, number>();
  const events: TraceEvent[] = [];
  let cpu = 0;
  let pid = 1;
  let time = start;
  for (const token of text.trim().split(/\s+/)) {
    const event = new TraceEvent();
    const [, name, what, number] = /^([^{}!]*)([{}!])(.*)$/.exec(token) ?? [];
    if (token.startsWith('@')) {
      [cpu, pid] = token.slice(1).split('.').map(Number);
      continue;
    }
    if (token.startsWith('+')) {
      time += Number(token.slice(1));
      continue;
    }
    if (token.startsWith('=')) {
      depths.set(pid, Number(token.slice(1)));
      continue;
    }
    event.cpu = cpu;
    event.pid = pid;
    event.time = ++time;
    if (token.startsWith('#')) {
      event.kind = COMMENT;
      event.text = token.slice(1).replaceAll('_', ' ');
    } else if (token.startsWith('?')) {
      event.kind = LOST;
      event.count = Number(token.slice(1));
    } else if (what === '{') {
      event.kind = ENTRY;
      event.depth = depths.get(pid) ?? 0;
      depths.set(pid, event.depth + 1);
    } else if (name !== undefined) {
      event.kind = what === '!' ? UNWOUND : RETURN;
      event.depth = (depths.get(pid) ?? 1) - 1;
      depths.set(pid, event.depth);
      event.call = event.time - Number(number);
    } else {
      throw new Error(`no event: ${token}`);
    }
    if (name !== undefined) {
      const known = functions.indexOf(name);
      event.func = known >= 0 ? known : functions.push(name) - 1;
    }
    events.push(event);
  }
  return { events, names: { symbol: (func) => functions[func] } };
}
