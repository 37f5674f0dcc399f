// The `function` tracer's text: what a real kernel printed comes back byte for byte; lines and options that no recording has.

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { FunctionEvent, type FunctionOptions, FunctionText } from '../../src/trace/function-text.ts';
import type { BufferInfo } from '../../src/trace/header.ts';
import { parseFunction } from './parse-function.ts';

interface Recording {
  readonly name: string;
  readonly options: Partial<FunctionOptions>;
  readonly text: string;
}

const file = new URL('../fixtures/function.json', import.meta.url);
const recordings = JSON.parse(readFileSync(file, 'utf8')) as Recording[];

describe('recordings of the function tracer come back byte for byte', () => {
  test.each(recordings.map((recording) => [recording.name, recording] as const))('%s', (_, { text, options }) => {
    const { info, events, names } = parseFunction(text, options);
    const printer = new FunctionText(options, names);
    // The bare forms have no counts in them but those of the header.
    const lines = events.map((event) => printer.push(event));
    expect(printer.header(info) + lines.join('') + printer.end()).toBe(text);
  });

  test('all of them are there', () => {
    expect(recordings).toHaveLength(14);
  });
});

const INFO: BufferInfo = { entries: 2, written: 5, cpu: 0, cpus: 4, release: '0.1.0', model: 'SERVER' };
const NAMES = ['main', 'parse', 'free'];

function print(events: readonly Partial<FunctionEvent>[], options: Partial<FunctionOptions> = {}): string {
  const printer = new FunctionText(options, {
    symbol: (place) => NAMES[Number(place)],
    offset: () => '+0x0/0x10',
    address: (place) => 0x1000 + Number(place),
    comm: (pid) => (pid === 7 ? 'app.js' : '<...>'),
    tgid: (pid) => (pid === 7 ? 6 : undefined),
  });
  return events.map((event) => printer.push(Object.assign(new FunctionEvent(), event))).join('') + printer.end();
}

describe('lines', () => {
  const call = { pid: 7, time: 1_500_000_999, func: 1, parent: 0 };

  test.each<[string, Partial<FunctionEvent>, Partial<FunctionOptions>, string]>([
    ['a call', call, {}, '          app.js-7       [000] .....     1.500000: parse <-main\n'],
    [
      'by the host',
      { ...call, parent: null },
      {},
      '          app.js-7       [000] .....     1.500000: parse <-[host]\n',
    ],
    ['without parent', call, { printParent: false }, '          app.js-7       [000] .....     1.500000: parse\n'],
    ['of nobody', { ...call, pid: 0 }, {}, '          <idle>-0       [000] .....     1.500000: parse <-main\n'],
    ['of a stranger', { ...call, pid: 8 }, {}, '           <...>-8       [000] .....     1.500000: parse <-main\n'],
    [
      'with its process',
      call,
      { recordTgid: true },
      '          app.js-7       (      6) [000] .....     1.500000: parse <-main\n',
    ],
    [
      'with every kind of name',
      call,
      { symAddr: true, symOffset: true },
      '          app.js-7       [000] .....     1.500000: parse+0x0/0x10 <0000000000001001> <-main+0x0/0x10 <0000000000001000>\n',
    ],
    ['raw', call, { raw: true }, '7 0 1500000999 1001 1000\n'],
    ['raw, by the host', { ...call, parent: null }, { raw: true }, '7 0 1500000999 1001 0\n'],
    [
      'repeated',
      { ...call, repeats: 3, lastTime: 2_000_001_000 },
      {},
      '          app.js-7       [000] .....     1.500000: parse <-main (repeats: 3, last_ts:     2.000001)\n',
    ],
    [
      'a stack',
      { ...call, stack: [1, 0] },
      {},
      '          app.js-7       [000] .....     1.500000: <stack trace>\n => parse\n => main\n',
    ],
    [
      'a clock that counts events',
      { ...call, time: 42 },
      { nanoseconds: false },
      '          app.js-7       [000] .....           42: parse <-main\n',
    ],
  ])('%s', (_, event, options, expected) => {
    expect(print([event], options)).toBe(expected);
  });

  test('latency-format marks the time to the next line, and nothing at the end', () => {
    const at = (time: number) => ({ ...call, time: 1e9 + time });
    expect(print([at(5000), at(5000), at(20_000), at(2e6)], { latencyFormat: true, start: 1e9 })).toBe(
      [
        '  app.js-7         0.....    5us : parse <-main\n',
        '  app.js-7         0.....    5us+: parse <-main\n',
        '  app.js-7         0.....   20us#: parse <-main\n',
        '  app.js-7         0..... 2000us : parse <-main\n',
      ].join(''),
    );
  });

  test('says where a CPU begins whose oldest events are gone', () => {
    const [first, second] = [call, { ...call, cpu: 1 }];
    expect(print([first, second, first, second], { annotate: true }).match(/#+ .* #+/g)).toEqual([
      '##### CPU 1 buffer started ####',
    ]);
    expect(print([first, second])).not.toContain('#');
  });

  test('says where events are missing', () => {
    const printer = new FunctionText({}, { symbol: String });
    expect(printer.lost(1, 5)).toBe('CPU:1 [LOST 5 EVENTS]\n');
    expect(printer.lost(0, 0)).toBe('CPU:0 [LOST EVENTS]\n');
  });
});

describe('header', () => {
  const names = { symbol: String };

  test('counts what is left and what there was', () => {
    expect(new FunctionText({}, names).header(INFO)).toContain('# entries-in-buffer/entries-written: 2/5   #P:4\n');
  });

  test('latency-format has none above an empty buffer', () => {
    const printer = new FunctionText({ latencyFormat: true }, names);
    expect(printer.header({ ...INFO, entries: 0 })).toBe('# tracer: function\n#\n');
  });
});
