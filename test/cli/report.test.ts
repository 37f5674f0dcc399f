// Recordings of several threads as one text.

import { describe, expect, test } from 'vitest';
import { findings } from '../../src/cli/findings.ts';
import { inOrder, profileReport, traceText } from '../../src/cli/report.ts';
import { parseTraceOptions } from '../../src/cli/trace-options.ts';
import type { RecordedModule, Recording } from '../../src/recording.ts';
import type { TracerName } from '../../src/session.ts';
import { PageWriter, pages, recording } from './recordings.ts';

const NAMES = ['main', 'parse'];

function print(tracer: TracerName, recordings: Recording[], ...options: string[]): string {
  const parsed = parseTraceOptions(options, tracer);
  return [...traceText(tracer as 'function', recordings, parsed, 'fprobe-0.1.0')].join('');
}

const one = recording(NAMES, {
  pages: pages(new PageWriter(1_000_000, 0).entry(0, 0).entry(1, 500).return(1, 2000).return(0, 700)),
  counts: { entries: 2 } as Recording['counts'],
});
const worker = recording(NAMES, {
  tid: 1,
  comm: 'worker',
  began: 5,
  clockOffset: 900_000,
  pages: pages(new PageWriter(100_600, 0).entry(1, 0).return(1, 400)),
  counts: { entries: 1 } as Recording['counts'],
});

describe('function_graph', () => {
  test('of one thread, as the kernel prints it', () => {
    expect(print('function_graph', [one])).toBe(`# tracer: function_graph
#
# CPU  DURATION                  FUNCTION CALLS
# |     |   |                     |   |   |   |
 0)               |  main() {
 0)   2.000 us    |    parse();
 0)   3.200 us    |  }
`);
  });

  test('of several threads by time, each a CPU with its task', () => {
    expect(print('function_graph', [one, worker])).toBe(`# tracer: function_graph
#
# CPU  TASK/PID         DURATION                  FUNCTION CALLS
# |     |    |           |   |                     |   |   |   |
 0)   app.js-100   |               |  main() {
 0)   app.js-100   |   2.000 us    |    parse();
 1)   worker-100   |   0.400 us    |  parse();
 0)   app.js-100   |   3.200 us    |  }
`);
    expect(print('function_graph', [one, worker], 'nofuncgraph-proc')).not.toContain('app.js');
  });

  test('options change columns', () => {
    expect(print('function_graph', [one], 'funcgraph-tail', 'nofuncgraph-duration').split('\n')[6]).toBe(
      ' 0) } /* main */',
    );
  });

  test('nothing recorded is the header', () => {
    expect(print('function_graph', []).trimEnd().split('\n')).toHaveLength(4);
  });

  test('where two modules have a function of a name, or it is but a number, the module is told', () => {
    const module = (name: string): RecordedModule => ({ ...one.modules[0], name });
    const two = recording([], {
      modules: [module('a.wasm'), module('b.wasm')],
      symbols: [
        { site: 0, name: 'free', module: 0, index: 3, offset: 1, ip: 1, size: 8 },
        { site: 1, name: 'free', module: 1, index: 7, offset: 1, ip: 1, size: 8 },
        { site: 2, name: 'only', module: 1, index: 8, offset: 1, ip: 1, size: 8 },
        { site: 3, name: 'func[9]', module: 1, index: 9, offset: 1, ip: 1, size: 8 },
      ],
      pages: pages([0, 1, 2, 3].reduce((page, site) => page.entry(site, 1).return(site, 1), new PageWriter(0, 0))),
    });
    const names = print('function_graph', [two]).match(/\S+( \[.*\])?\(\)/g);
    expect(names).toEqual(['free [a.wasm]()', 'free [b.wasm]()', 'only()', 'func[9] [b.wasm]()']);
  });
});

describe('function', () => {
  test('of several threads, with parents', () => {
    expect(print('function', [one, worker]).split('\n').slice(2)).toEqual([
      '# entries-in-buffer/entries-written: 3/3   #P:2',
      '#',
      '#                                _-----=> irqs-off/BH-disabled',
      '#                               / _----=> need-resched',
      '#                              | / _---=> hardirq/softirq',
      '#                              || / _--=> preempt-depth',
      '#                              ||| / _-=> migrate-disable',
      '#                              |||| /     delay',
      '#           TASK-PID     CPU#  |||||  TIMESTAMP  FUNCTION',
      '#              | |         |   |||||     |         |',
      '          app.js-100     [000] .....     0.001000: main <-[host]',
      '          app.js-100     [000] .....     0.001000: parse <-main',
      '          worker-100     [001] .....     0.001000: parse <-[host]',
      '',
    ]);
  });

  test('addresses are offsets in the file', () => {
    expect(print('function', [one], 'sym-addr')).toContain(': parse <0000000000001001> <-main <0000000000001000>\n');
  });

  test('counts what was lost, and says where', () => {
    const lossy = recording(NAMES, {
      pages: pages(new PageWriter(1000, 1, 40).entry(1, 0).return(1, 10)),
      lost: 40,
      counts: { entries: 21 } as Recording['counts'],
    });
    const text = print('function', [lossy]);
    expect(text).toContain('entries-written: 1/21 ');
    expect(text).toContain('CPU:0 [LOST 40 EVENTS]\n');
    expect(text).toContain('parse <-[unknown]\n');
  });
});

describe('profile', () => {
  const counted = (tid: number, comm: string, count: number): Recording =>
    recording(NAMES, {
      tid,
      comm,
      tracer: 'profile',
      rows: [
        { site: 0, count, total: 4000 * count, self: 1000 * count, max: 5000 },
        { site: 1, count: 2 * count, total: 3000 * count, self: 3000 * count, max: 2000 },
      ],
    });
  const threads = [counted(0, 'app.js', 1), counted(1, 'worker', 3)];

  test('all threads together', () => {
    const [first, second] = profileReport(threads, { sort: 'self', perThread: false }).split('\n').slice(2);
    expect(first.trim().split(/ +/)).toEqual([
      '75.00',
      '#'.repeat(24),
      '0.012',
      '0.012',
      '8',
      '1.500',
      '2.000',
      'parse',
    ]);
    expect(second.trim().split(/ +/)).toEqual(['25.00', '########', '0.004', '0.016', '4', '4.000', '5.000', 'main']);
  });

  test('each thread by itself', () => {
    const text = profileReport(threads, { sort: 'calls', perThread: true });
    expect(text.match(/^# .*$/gm)).toEqual(['# app.js-100', '# worker-100, thread 1']);
    expect(text.match(/ parse$/gm)).toHaveLength(2);
  });
});

test('threads come in the order in which they began', () => {
  const late = recording(NAMES, { began: 50, pid: 3 });
  const early = recording(NAMES, { began: 10, pid: 9 });
  const tied = recording(NAMES, { began: 10, pid: 9, tid: 2 });
  expect(inOrder([late, tied, early])).toEqual([early, tied, late]);
});

describe('findings', () => {
  const glob = { option: 'filter', glob: 'prase', matched: 0, nearest: ['parse', 'parser'] } as const;

  test('a glob is at fault when it matched in no thread', () => {
    const missed = recording(NAMES, { globs: [glob] });
    const hit = recording(NAMES, { globs: [{ ...glob, matched: 2, nearest: [] }] });
    expect(findings([missed, missed], [])).toEqual({
      messages: ["-l 'prase' matches no function; nearest: parse, parser"],
      failed: true,
      different: false,
    });
    expect(findings([missed, hit], [])).toEqual({ messages: [], failed: false, different: false });
  });

  test('a glob that no module comes near is told what there was', () => {
    const missed = { option: 'module', glob: 'zzz', matched: 0, nearest: [] } as const;
    const module = one.modules[0];
    const modules = [module, module, { ...module, name: 'other' }];
    expect(findings([recording(NAMES, { globs: [missed], modules })], []).messages).toEqual([
      `--module 'zzz' matches no module; loaded: ${module.name}, other`,
    ]);
    expect(findings([recording([], { globs: [missed], modules: [] })], []).messages).toEqual([
      "--module 'zzz' matches no module; no WebAssembly module was loaded in a Node process",
    ]);
  });

  test('no module, no fault of the glob', () => {
    const { messages, failed } = findings([recording([], { modules: [], globs: [glob] })], []);
    expect(messages).toEqual(['nothing to trace: no WebAssembly module was loaded in a Node process']);
    expect(failed).toBe(false);
  });

  test('tells what was lost, too deep, damaged, or untraced', () => {
    const [module] = one.modules;
    const { messages } = findings(
      [
        recording(NAMES, {
          lost: 7,
          counts: { overrun: 2 } as Recording['counts'],
          modules: [
            { ...module, error: 'wasm: bad byte' },
            { ...module, name: '', error: 'wasm: end of file' },
          ],
          notes: ['the cache is not writable'],
        }),
      ],
      ['1-0.fprobe: unexpected end'],
    );
    expect(messages).toEqual([
      '1-0.fprobe: unexpected end',
      'main is not traced: wasm: bad byte',
      'a module without a name is not traced: wasm: end of file',
      'app.js-100: the cache is not writable',
      '7 events did not fit into the buffers; -b gives more room, -l asks for less',
      '2 calls were too deep to record',
    ]);
  });

  test('reports comparisons', () => {
    const verify = { samples: 40, differences: 1, examples: ['entry 3: parse, real stack: main'] };
    const { messages, different } = findings([recording(NAMES, { verify })], []);
    expect(messages).toEqual(['verify: app.js-100: 40 samples, 1 differences', 'entry 3: parse, real stack: main']);
    expect(different).toBe(true);
  });
});
