import { describe, expect, test } from 'vitest';
import { ENTRY, RETURN, TraceEvent, UNWOUND } from '../../src/trace/events.ts';
import { GRAPH_DEFAULTS, type GraphNames, type GraphOptions, GraphText } from '../../src/trace/graph-text.ts';
import { parseGraph } from './parse-graph.ts';
import { seeded } from './random.ts';
import { script } from './script.ts';

function print(text: string, options: Partial<GraphOptions> = {}, more: Partial<GraphNames> = {}): string {
  const { events, names } = script(text);
  const graph = new GraphText(options, { ...names, ...more });
  return events.map((event) => graph.push(event)).join('') + graph.end();
}

// What stands after the columns of a trace without context.
const bare = (text: string, options: Partial<GraphOptions> = {}): string[] =>
  print(text, { ...options, contextInfo: false })
    .trimEnd()
    .split('\n');

test.each([
  [7, '  0.007 us    |  '],
  [10_000, '  10.000 us   |  '],
  [10_001, '+ 10.001 us   |  '],
  [1_234_567, '# 1234.567 us |  '],
  [12_345_678, '* 12345.67 us |  '],
  [123_456_789, '@ 123456.7 us |  '],
  [1_234_567_890, '$ 1234567 us  |  '],
  [12_345_678_901, '$ 12345678 us |  '],
  // both sides of every mark, and of every number of digits
  [0, '  0.000 us    |  '],
  [999, '  0.999 us    |  '],
  [1000, '  1.000 us    |  '],
  [100_000, '+ 100.000 us  |  '],
  [100_001, '! 100.001 us  |  '],
  [999_999, '! 999.999 us  |  '],
  [1_000_000, '! 1000.000 us |  '],
  [1_000_001, '# 1000.001 us |  '],
  [9_999_999, '# 9999.999 us |  '],
  [10_000_000, '# 10000.00 us |  '],
  [10_000_001, '* 10000.00 us |  '],
  [100_000_000, '* 100000.0 us |  '],
  [100_000_001, '@ 100000.0 us |  '],
  [999_999_999, '@ 999999.9 us |  '],
  [1_000_000_000, '@ 1000000 us  |  '],
  [1_000_000_001, '$ 1000000 us  |  '],
  [9_999_999_999, '$ 9999999 us  |  '],
  [123_456_789_012, '$ 123456789 us |  '],
])('%d ns takes the column %j', (ns, column) => {
  expect(print(`f{ f}${ns}`, { cpu: false })).toBe(`${column}f();\n`);
});

describe('header', () => {
  const names: GraphNames = { symbol: String };
  const header = (options: Partial<GraphOptions>): string => new GraphText(options, names).header();

  test('default', () => {
    expect(header({})).toBe(
      `# tracer: function_graph
#
# CPU  DURATION                  FUNCTION CALLS
# |     |   |                     |   |   |   |
`,
    );
  });

  test('every column', () => {
    expect(header({ abstime: true, relative: true, proc: true })).toBe(
      `# tracer: function_graph
#
#     TIME          REL TIME      CPU  TASK/PID         DURATION                  FUNCTION CALLS
#      |               |          |     |    |           |   |                     |   |   |   |
`,
    );
  });

  test('no column, and no context at all', () => {
    expect(header({ cpu: false, duration: false })).toBe(
      '# tracer: function_graph\n#\n#               FUNCTION CALLS\n#               |   |   |   |\n',
    );
    expect(header({ contextInfo: false, latencyFormat: true })).toBe('# tracer: function_graph\n#\n');
  });

  test('latency-format: banner and key, nothing above an empty buffer', () => {
    const graph = new GraphText({ latencyFormat: true }, names);
    const info = { entries: 3, written: 5, cpu: 1, cpus: 4, release: '7.2', model: 'PREEMPT' };
    expect(graph.header(info).split('\n')).toEqual([
      '# tracer: function_graph',
      '#',
      '# function_graph latency trace v1.1.5 on 7.2',
      '# --------------------------------------------------------------------',
      '# latency: 0 us, #3/5, CPU#1 | (M:PREEMPT VP:0, KP:0, SP:0 HP:0 #P:4)',
      '#    -----------------',
      '#    | task: -0 (uid:0 nice:0 policy:0 rt_prio:0)',
      '#    -----------------',
      '#',
      '#      _-----=> irqs-off        ',
      '#     / _----=> need-resched    ',
      '#    | / _---=> hardirq/softirq ',
      '#    || / _--=> preempt-depth   ',
      '#    ||| /                      ',
      '# CPU||||     DURATION                  FUNCTION CALLS',
      '# |  ||||      |   |                     |   |   |   |',
      '',
    ]);
    expect(graph.header({ ...info, entries: 0 })).toBe('# tracer: function_graph\n#\n');
    expect(() => graph.header()).toThrow(TypeError);
  });

  test('a machine without CPUs', () => {
    expect(() => new GraphText({ cpus: 0 }, names)).toThrow(RangeError);
  });
});

describe('columns', () => {
  test('the example of the specification', () => {
    expect(print('=2 vfs_read{ rw_verify_area{ rw_verify_area}1382 vfs_read}15382')).toBe(
      ` 0)               |      vfs_read() {
 0)   1.382 us    |        rw_verify_area();
 0) + 15.382 us   |      }
`,
    );
  });

  test('absolute and relative time, microseconds cut', () => {
    expect(print('+12345678901934 f{ f}5 +1000000 g{', { abstime: true })).toBe(
      '12345.678901 |   0)   0.005 us    |  f();\n12345.679901 |   0)               |  g() {\n',
    );
    expect(print('+5999 f{ f}5', { relative: true, start: 2000 })).toBe('        4 us |   0)   0.005 us    |  f();\n');
  });

  test('the CPU column is as wide as the largest number', () => {
    expect(print('f{ f}5 @11.1 f{ f}5', { cpus: 128 })).toBe(
      '   0)   0.005 us    |  f();\n  11)   0.005 us    |  f();\n',
    );
  });

  const comm = (name: string) => ({ comm: () => name });
  test.each([
    ['sh', 7, '     sh-7     '],
    ['bash', 7, '    bash-7    '],
    ['migration/0', 12, '  migrati-12  '],
    ['kworker', 1234567, 'kworker-1234567'],
    ['größer', 1, '   größe-1   '.padEnd(14)],
    ['日本語', 1, '     日本-1     '],
  ])('task %s, pid %d', (name, pid, column) => {
    expect(print(`@0.${pid} f{ f}5`, { proc: true }, comm(name))).toBe(` 0) ${column} |   0.005 us    |  f();\n`);
  });

  test('unknown tasks and the idle task', () => {
    expect(print('@0.7 f{ f}5 @1.0 f{ f}5', { proc: true, cpus: 2 })).toBe(
      ` 0)    <...>-7     |   0.005 us    |  f();\n 1)    <idle>-0    |   0.005 us    |  f();\n`,
    );
  });

  test.each([
    [0x00, 0x00, '.....'],
    [0x01, 0x01, 'd..1.'],
    [0x80, 0xf0, 'b...f'],
    [0x81, 0x2a, 'D..a2'],
    [0x04, 0, '.n...'],
    [0x02, 0, '.l...'],
    [0x20, 0, '.p...'],
    [0x24, 0, '.N...'],
    [0x22, 0, '.L...'],
    [0x06, 0, '.b...'],
    [0x26, 0, '.B...'],
    [0x48, 0, '..Z..'],
    [0x40, 0, '..z..'],
    [0x18, 0, '..H..'],
    [0x08, 0, '..h..'],
    [0x10, 0, '..s..'],
  ])('flags %d, preemption %d: %s', (flags, preempt, characters) => {
    const { events, names } = script('f{ f}5');
    for (const event of events) Object.assign(event, { flags, preempt });
    const graph = new GraphText({ latencyFormat: true }, names);
    expect(events.map((event) => graph.push(event)).join('')).toBe(` 0)  ${characters} |   0.005 us    |  f();\n`);
  });

  test('without marks, without duration, without context', () => {
    expect(print('f{ f}50000', { overhead: false })).toBe(' 0)   50.000 us   |  f();\n');
    expect(print('f{ g{ g}5 f}50000', { duration: false })).toBe(' 0) f() {\n 0)   g();\n 0) }\n');
    expect(print('f{ g{ g}5 f}50000', { contextInfo: false, abstime: true })).toBe('f() {\n  g();\n}\n');
  });

  test('clocks that disagree print no time', () => {
    expect(print('f{ f}-5')).toBe(' 0)   0.000 us    |  f();\n');
  });
});

describe('leaf or not', () => {
  test.each([
    ['its return follows', 'f{ f}5', ['f();']],
    ['recursion: the return of the inner one only', 'f{ f{ f}5 f}5', ['f() {', '  f();', '}']],
    ['a return of another function', 'f{ =2 g}5', ['f() {', '  } /* g */']],
    ['a comment between', 'f{ #x f}5', ['f() {', '/* x */', '}']],
    ['a loss between', 'f{ ?1 f}5', ['f() {', 'CPU:0 [LOST 1 EVENTS]', '}']],
    ['another pid', '@0.1 f{ @0.2 =1 f}5', ['f() {', ...banner('   <...>-1    ', '   <...>-2    '), '}']],
    ['another CPU', '@0.1 f{ @1.1 f}5', ['f() {', '} /* f */']],
    ['another depth: not compared', 'f{ =5 f}5', ['f();']],
    ['the end', 'f{', ['f() {']],
  ])('%s', (_, text, lines) => {
    expect(bare(text)).toEqual(lines);
  });

  test('push gives complete lines only, end what is held', () => {
    const { events, names } = script('f{ g{ g}5 h{');
    const graph = new GraphText({ contextInfo: false }, names);
    expect(events.map((event) => graph.push(event))).toEqual(['', 'f() {\n', '  g();\n', '']);
    expect([graph.end(), graph.end()]).toEqual(['  h() {\n', '']);
  });
});

function banner(from: string, to: string): string[] {
  const rule = ' ------------------------------------------';
  return [rule, ` 0) ${from} => ${to}`, rule, ''];
}

describe('closing braces', () => {
  test('plain below a remembered entry, named otherwise', () => {
    expect(bare('f{ g{ g}5 f}9')).toEqual(['f() {', '  g();', '}']);
    expect(bare('=3 g}5')).toEqual(['    } /* g */']);
    expect(bare('f{ #x f}5 =1 f}5')).toEqual(['f() {', '/* x */', '}', '} /* f */']);
  });

  test('a leaf makes its depth forget', () => {
    // f's return is lost; g is a leaf at the same depth; then f returns after all.
    expect(bare('f{ =0 g{ g}5 =1 f}5')).toEqual(['f() {', 'g();', '} /* f */']);
  });

  test('each CPU remembers its own', () => {
    expect(bare('@0.1 f{ @1.2 g{ @0.1 #x f}5 @1.2 #x g}5')).toEqual(['f() {', 'g() {', '/* x */', '}', '/* x */', '}']);
  });

  test('tail names all', () => {
    expect(bare('f{ g{ g}5 f}9', { tail: true })).toEqual(['f() {', '  g();', '} /* f */']);
  });

  test('from depth 50 on always plain', () => {
    expect(bare('=50 f}5 =51 f}5 =200 f}5').map((line) => line.trim())).toEqual(['} /* f */', '}', '}']);
    // The same holds where an entry was remembered.
    expect(bare('=49 f{ #x g}5 =50 f{ #x g}5').map((line) => line.trim())).toEqual([
      'f() {',
      '/* x */',
      '} /* g */',
      'f() {',
      '/* x */',
      '}',
    ]);
  });

  test('overruns follow a return, not a leaf', () => {
    const { events, names } = script('f{ g{ g}5 f}9');
    events[3].overrun = 12;
    const graph = new GraphText({ overrun: true, contextInfo: false }, names);
    expect(events.map((event) => graph.push(event)).join('')).toBe('f() {\n  g();\n}\n (Overruns: 12)\n');
  });
});

describe('unwound frames', () => {
  test('leaf, brace, named brace', () => {
    expect(bare('f{ g{ g!5 f!9')).toEqual(['f() {', '  g(); /* unwound */', '} /* unwound */']);
    expect(bare('f!9')).toEqual(['} /* f unwound */']);
    expect(bare('f{ g{ g!5 f!9', { tail: true })).toEqual(['f() {', '  g(); /* unwound */', '} /* f unwound */']);
  });

  test('they have no return value', () => {
    const { events, names } = script('f{ g{ g!5 f!9');
    for (const event of events) event.retval = 7n;
    const graph = new GraphText({ retval: true, contextInfo: false }, names);
    expect(events.map((event) => graph.push(event)).join('')).toBe('f() {\n  g(); /* unwound */\n} /* f unwound */\n');
  });
});

describe('return values and addresses', () => {
  function one(kind: typeof RETURN | typeof UNWOUND, nested: boolean, options: Partial<GraphOptions>): string {
    const { events, names } = script(nested ? 'f{ #x f}5' : 'f{ f}5');
    events[0].retaddr = 0xffffffff81234567n;
    events[0].args = [];
    events.at(-1)!.kind = kind;
    events.at(-1)!.retval = 3n;
    const graph = new GraphText({ contextInfo: false, ...options }, { ...names, caller: () => 'caller+0x10/0x20' });
    return events.map((event) => graph.push(event)).join('');
  }
  test.each([
    [false, { retval: true }, 'f(); /* ret=0x3 */\n'],
    [false, { retaddr: true }, 'f(); /* <-caller+0x10/0x20 */\n'],
    [false, { retaddr: true, retval: true }, 'f(); /* <-caller+0x10/0x20 ret=0x3 */\n'],
    [false, { retvalHex: true }, 'f();\n'],
    [true, { retval: true }, 'f() {\n/* x */\n} /* f ret=0x3 */\n'],
    [true, { retval: true, tail: true }, 'f() {\n/* x */\n} /* f ret=0x3 */\n'],
    [true, { retaddr: true }, 'f() { /* <-caller+0x10/0x20 */\n/* x */\n}\n'],
  ])('nested %s, %j', (nested, options, text) => {
    expect(one(RETURN, nested, options)).toBe(text);
  });

  test('an unwound leaf still came from somewhere', () => {
    expect(one(UNWOUND, false, { retaddr: true, retval: true })).toBe('f(); /* <-caller+0x10/0x20 unwound */\n');
  });

  test('what was not recorded is not shown; an address without symbol is', () => {
    expect(bare('f{ g{ g}5 f}9', { retval: true, retaddr: true })).toEqual(['f() {', '  g();', '} /* f */']);
    const { events, names } = script('f{ f}5');
    events[0].retaddr = 0x1234;
    const graph = new GraphText({ contextInfo: false, retaddr: true }, names);
    expect(events.map((event) => graph.push(event)).join('')).toBe('f(); /* <-0x1234 */\n');
  });
});

describe('arguments', () => {
  test('between the parentheses of leaf and opening line', () => {
    const { events, names } = script('f{ g{ g}5 f}9');
    events[0].args = [1n];
    events[1].args = [2n];
    const params = () => [{ name: 'a', kind: 'unsigned' }];
    const graph = new GraphText({ contextInfo: false }, { ...names, params });
    expect(events.map((event) => graph.push(event)).join('')).toBe('f(a=0x1) {\n  g(a=0x2);\n}\n');
  });
});

describe('context switches', () => {
  test('a banner between printed events of different tasks, not before the first', () => {
    const comms: Record<number, string> = { 12: 'migration/1', 1755: 'sshd' };
    const text = print('@1.12 f{ f}5 @1.1755 f{ f}5', { cpus: 2 }, { comm: (pid) => comms[pid] });
    expect(text.split('\n')).toEqual([
      ' 1)   0.005 us    |  f();',
      ' ------------------------------------------',
      ' 1)   migrati-12   =>   sshd-1755   ',
      ' ------------------------------------------',
      '',
      ' 1)   0.005 us    |  f();',
      '',
    ]);
  });

  test('each CPU has its own last task; comments count, losses do not', () => {
    expect(bare('@0.1 f{ f}5 @1.2 f{ f}5 @0.1 f{ f}5')).toEqual(['f();', 'f();', 'f();']);
    expect(bare('@0.1 f{ f}5 @0.2 #x')).toContain(' ------------------------------------------');
    expect(bare('@0.0 f{ f}5 @0.2 #x')).toContain(' 0)    <idle>-0    =>    <...>-2    ');
    expect(bare('@0.1 f{ f}5 @0.2 ?3')).toEqual(['f();', 'CPU:0 [LOST 3 EVENTS]']);
  });
});

describe('comments and losses', () => {
  test('indentation follows the event before', () => {
    expect(bare('#before f{ #0 g{ #1 h{ h}5 #leaf2 =2 g}5 #ret1 f}5 #ret0')).toEqual([
      '/* before */',
      'f() {',
      '/* 0 */', // depth 0: none
      '  g() {',
      '    /* 1 */', // 2 × (1 + 1)
      '    h();',
      '    /* leaf2 */', // one less than the leaf's 2
      '  }',
      '/* ret1 */',
      '}',
      '/* ret0 */',
    ]);
  });

  test('the duration column is empty, one newline at the end goes', () => {
    const { events, names } = script('#text');
    events[0].text = 'two\nlines\n';
    expect(new GraphText({}, names).push(events[0])).toBe(' 0)               |  /* two\nlines */\n');
  });

  test('how many were lost', () => {
    expect(print('@3.1 ?12 ?')).toBe('CPU:3 [LOST 12 EVENTS]\nCPU:3 [LOST EVENTS]\n');
  });
});

describe('interrupts', () => {
  const isInterrupt = (text: string) => {
    const found = script(text).names;
    return { isInterrupt: (func: number) => found.symbol(func).startsWith('irq') };
  };
  const show = (text: string, options: Partial<GraphOptions> = {}): string => print(text, options, isInterrupt(text));

  test('arrows around an interrupt entry', () => {
    expect(show('irq{ f{ f}5 irq}20 irq2{ irq2}7')).toBe(
      ` 0)   ==========> |
 0)               |  irq() {
 0)   0.005 us    |    f();
 0)   0.020 us    |  }
 0)   <========== |
 0)   ==========> |
 0)   0.007 us    |  irq2();
 0)   <========== |
`,
    );
  });

  test('without duration only the arrow; the banner comes first', () => {
    expect(show('irq{ irq}7', { duration: false })).toBe(' 0) ==========>\n 0) irq();\n 0) <==========\n');
    expect(show('@0.1 f{ f}5 @0.2 irq{ irq}7', { contextInfo: false }).split('\n').slice(5, 7)).toEqual([
      '==========>',
      'irq();',
    ]);
  });

  test('left out with all that runs below, up to the return', () => {
    expect(show('f{ irq{ g{ g}5 irq}9 h{ h}5 f}20', { irqs: false, contextInfo: false })).toBe('f() {\n  h();\n}\n');
    expect(show('irq{ irq}9 h{ h}5', { irqs: false, contextInfo: false })).toBe('h();\n');
  });

  test('a lost return ends it at the next return that is not deeper, which is hidden too', () => {
    const text = 'f{ irq{ g{ =1 f}9 h{ h}5';
    expect(show(text, { irqs: false, contextInfo: false })).toBe('f() {\nh();\n');
  });

  test('other CPUs are not hidden', () => {
    const text = '@0.1 irq{ @1.2 h{ h}5 @0.1 irq}9';
    expect(show(text, { irqs: false, contextInfo: false })).toBe('h();\n');
  });
});

test('depths that no kernel has are not indented further', () => {
  const [line] = bare('=100000 f{ f}5');
  expect(line).toBe(`${' '.repeat(8192)}f();`);
});

// Random programs on several CPUs: text → events → text is the identity, and every event is in the text once.
test('random events: nothing is dropped, nothing is invented', () => {
  const { random, seed } = seeded();
  for (let round = 0; round < 300; round++) {
    const flag = (): boolean => random(2) === 0;
    const options: GraphOptions = {
      ...GRAPH_DEFAULTS,
      cpus: 4,
      proc: true,
      cpu: true,
      abstime: flag(),
      tail: flag(),
      overhead: flag(),
      latencyFormat: flag(),
      retval: flag(),
      retaddr: flag(),
    };
    const names: GraphNames = {
      symbol: (func) => `f${func}`,
      comm: (pid) => `task${pid}`,
      caller: (retaddr) => `f${retaddr}+0x${retaddr.toString(16)}/0x40`,
    };
    const stacks = [0, 1, 2].map(() => [] as number[]);
    const graph = new GraphText(options, names);
    let text = '';
    let time = 1e9;
    const counts = { entries: 0, returns: 0, unwound: 0 };
    for (let i = 0; i < 100; i++) {
      time += 1000 * random(50);
      const task = random(3);
      const event = new TraceEvent();
      event.cpu = task === 2 ? random(2) + 2 : task;
      event.pid = 100 + task;
      event.flags = [0, 1, 4, 8, 16][random(5)];
      event.preempt = random(256);
      // Now and then an event is lost, on the way in or out.
      if (random(2) === 0 || stacks[task].length === 0) {
        event.kind = ENTRY;
        event.depth = stacks[task].length;
        event.func = random(5);
        event.retaddr = random(100);
        event.time = time;
        stacks[task].push(event.func);
        if (random(30) === 0) continue;
        counts.entries++;
      } else {
        event.kind = random(5) === 0 ? UNWOUND : RETURN;
        event.func = stacks[task].pop()!;
        event.depth = stacks[task].length;
        event.time = time;
        event.call = time - random(20_000) * 10 ** random(3);
        event.retval = [0n, 5n, -22n, 0xffff_fff7n, 0xffff_ffff_8000_0000n][random(5)];
        if (random(30) === 0) continue;
        counts.returns++;
        if (event.kind === UNWOUND) counts.unwound++;
      }
      text += graph.push(event);
      if (random(40) === 0) text += graph.end();
    }
    text += graph.end();

    const message = `seed ${seed} round ${round}`;
    const parsed = parseGraph(text, options);
    const of = (...kinds: number[]): number => parsed.events.filter(({ kind }) => kinds.includes(kind)).length;
    expect([of(ENTRY), of(RETURN, UNWOUND), of(UNWOUND)], message).toEqual([
      counts.entries,
      counts.returns,
      counts.unwound,
    ]);
    const again = new GraphText(options, parsed.names);
    const reprinted = parsed.events.map((event, i) => (parsed.caughtUp.has(i) ? again.end() : '') + again.push(event));
    expect(reprinted.join('') + again.end(), message).toBe(text);
  }
});
