// Calls out of a graph: parents, what is not known after a loss, repeats, stacks. Notation: `main{` enters, `}` returns,
// `next` is both, `?N` says that events were lost and that the next one is at depth N.

import { describe, expect, test } from 'vitest';
import { type CallOptions, Calls, UNKNOWN } from '../../src/trace/calls.ts';
import { ENTRY, LOST, RETURN, TraceEvent } from '../../src/trace/events.ts';

const NAMES = ['main', 'parse', 'next', 'free'];
const nameOf = (place: number | bigint | null): string =>
  place === null ? '[host]' : place === UNKNOWN ? '[unknown]' : NAMES[Number(place)];

function calls(script: string, options: CallOptions = {}): string[] {
  const out: string[] = [];
  const stream = new Calls(options, ({ func, parent, stack, repeats, lastTime, time }) => {
    if (stack) out.push(stack.map(nameOf).join(' '));
    else out.push(`${nameOf(func)} <-${nameOf(parent)}${repeats ? ` ×${repeats} last ${lastTime} at ${time}` : ''}`);
  });
  const event = new TraceEvent();
  const push = (kind: TraceEvent['kind'], func: number, depth: number) => {
    Object.assign(event, { kind, func, depth, time: event.time + 1 });
    stream.push(event);
  };
  const open: number[] = [];
  for (const word of script.split(' ')) {
    if (word.startsWith('cpu')) {
      event.cpu = Number(word.slice(3));
      continue;
    }
    if (word.startsWith('?')) {
      push(LOST, 0, 0);
      open.length = Number(word.slice(1));
      continue;
    }
    if (word === '}') {
      const func = open.pop() ?? 0;
      push(RETURN, func, open.length);
      continue;
    }
    const func = NAMES.indexOf(word.replace('{', ''));
    push(ENTRY, func, open.length);
    if (word.endsWith('{')) open.push(func);
    else push(RETURN, func, open.length);
  }
  return out;
}

describe('calls out of a graph', () => {
  test('the parent is the innermost open frame', () => {
    expect(calls('main{ parse{ next next } free } main{ }')).toEqual([
      'main <-[host]',
      'parse <-main',
      'next <-parse',
      'next <-parse',
      'free <-main',
      'main <-[host]',
    ]);
  });

  test('a parent whose entry was lost is not known, nor invented', () => {
    expect(calls('main{ parse{ ?2 next{ free } } } free')).toEqual([
      'main <-[host]',
      'parse <-main',
      'next <-[unknown]',
      'free <-next',
      'free <-[host]',
    ]);
    expect(calls('?3 next{ free } next')).toEqual(['next <-[unknown]', 'free <-next', 'next <-[unknown]']);
  });

  test('repeats are counted and told when another call follows', () => {
    expect(calls('main{ next next next free next next }', { noRepeats: true })).toEqual([
      'main <-[host]',
      'next <-main',
      'next <-main ×2 last 6 at 8',
      'free <-main',
      'next <-main',
    ]);
  });

  test('stacks follow their call, innermost first', () => {
    expect(calls('main{ parse{ next } }', { stackTrace: true })).toEqual([
      'main <-[host]',
      'main',
      'parse <-main',
      'parse main',
      'next <-parse',
      'next parse main',
    ]);
  });

  test('every CPU has a stack and repeats of its own', () => {
    expect(calls('cpu0 next cpu1 next cpu0 next free', { noRepeats: true })).toEqual([
      'next <-[host]',
      'next <-[host]',
      'next <-[host] ×1 last 5 at 7',
      'free <-[host]',
    ]);
  });
});
