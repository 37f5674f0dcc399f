// Interrupts, sections without them, wake-ups: what graphs make of them, and the latency tracers.

import { describe, expect, test } from 'vitest';
import { assembleText } from '../bench/shapes.ts';
import { type LatencyName, type LatencyOptions, Tracer } from '../src/index.ts';

type Func = (...args: unknown[]) => unknown;

const PROGRAM = `(module
  (import "js" "look" (func $look))
  (func $step)
  (func $handler (export "handler") (call $step))
  (func $work (export "work") (call $step) (call $look) (call $step)))`;

async function start() {
  const tracer = await Tracer.create({ clock: 'counter' });
  const imports = { look: () => {} };
  const { instance } = await tracer.instantiate(await assembleText('latency', PROGRAM), {
    js: { look: () => imports.look() },
  });
  return { tracer, f: instance.exports as Record<string, Func>, imports };
}

function codeOf(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return (error as { code?: unknown }).code ?? String(error);
  }
  return undefined;
}

describe('interrupts', () => {
  test('graphs can leave them out', async () => {
    const { tracer, f, imports } = await start();
    const all = tracer.startGraph({ filter: ['work', 'handler'] });
    const none = tracer.startGraph({ filter: ['work', 'handler'], irqs: false });
    imports.look = () => {
      tracer.interrupt('irq', () => f.handler());
      tracer.interrupt('softirq', () => f.handler());
    };
    f.work();
    expect(all.read().match(/handler\(\)/g)?.length).toBe(2);
    expect(none.read().match(/handler\(\)/g)?.length).toBe(1); // soft interrupts stay
    expect(tracer.counts()).toMatchObject({ unwound: 0, stray: 0 });
  });

  test('a handler that is interrupted is no recursion: each context has a guard of its own', async () => {
    const { tracer, f } = await start();
    const heard: string[] = [];
    const levels = ['softirq', 'irq', 'nmi'] as const;
    const user = tracer.registerFgraph({
      filter: 'handler',
      entry() {
        const depth = heard.push('entry');
        if (depth <= levels.length) tracer.interrupt(levels[depth - 1], () => f.handler());
      },
    });
    f.handler();
    expect([heard.length, user.errors]).toEqual([4, 0]);
    expect(tracer.counts()).toMatchObject({ entries: 4, returns: 4, unwound: 0 });
  });

  test('nesting, results, throws', async () => {
    const { tracer } = await start();
    expect(tracer.interrupt('irq', () => tracer.interrupt('nmi', () => 7))).toBe(7);
    expect(tracer.interrupt('irq', () => codeOf(() => tracer.interrupt('softirq', () => {})))).toBe('EINVAL');
    expect(tracer.interrupt('nmi', () => codeOf(() => tracer.interrupt('nmi', () => {})))).toBe('EINVAL');
    const fail = () => {
      throw new Error('left');
    };
    expect(() => tracer.interrupt('nmi', fail)).toThrow('left');
    expect(() => tracer.withoutIrqs(fail)).toThrow('left');
    expect(() => tracer.withoutPreemption(fail)).toThrow('left');
    expect(tracer.interrupt('softirq', () => 1)).toBe(1);
    for (const context of ['normal', '', 'toString', 7, null, undefined, {}]) {
      expect(codeOf(() => tracer.interrupt(context as never, () => {}))).toBe('EINVAL');
    }
    for (const run of [undefined, null, 7, {}]) {
      expect(codeOf(() => tracer.interrupt('irq', run as never))).toBe('EINVAL');
      expect(codeOf(() => tracer.withoutIrqs(run as never))).toBe('EINVAL');
      expect(codeOf(() => tracer.withoutPreemption(run as never))).toBe('EINVAL');
    }
  });
});

const HEADER = `# tracer: irqsoff
#
# irqsoff latency trace v1.1.5 on fprobe
# --------------------------------------------------------------------
# latency: 0 us, #12/12, CPU#0 | (M:PREEMPT VP:0, KP:0, SP:0 HP:0 #P:1)
#    -----------------
#    | task: main-1 (uid:0 nice:0 policy:0 rt_prio:0)
#    -----------------
#
#                                       _-----=> irqs-off        
#                                      / _----=> need-resched    
#                                     | / _---=> hardirq/softirq 
#                                     || / _--=> preempt-depth   
#                                     ||| /                      
#   REL TIME      CPU  TASK/PID       ||||     DURATION                  FUNCTION CALLS
#      |          |     |    |        ||||      |   |                     |   |   |   |
`;

// An entry's time is that of the event before it: the entry itself has no number yet when its handler runs.
const HANDLER = `        0 us |   0)     main-1     |  d.... |               |  handler() {
        0 us |   0)     main-1     |  d.... |   0.002 us    |    step();
        0 us |   0)     main-1     |  d.... |   0.004 us    |  }
`;

describe('latency tracers', () => {
  test('irqsoff: the longest section, to the letter', async () => {
    const { tracer, f, imports } = await start();
    const latency = tracer.startLatency('irqsoff');
    expect(latency.read()).toBe('# tracer: irqsoff\n#\n');
    imports.look = () => void tracer.withoutIrqs(() => f.handler());
    f.work(); // nothing of `work` itself: it is entered before
    expect(latency.maxLatency).toBe(4);
    tracer.withoutIrqs(() => {
      f.handler();
      tracer.withoutIrqs(() => f.handler()); // the outer section goes on
      f.handler();
    });
    expect(latency.maxLatency).toBe(12);
    const longest = latency.read();
    tracer.withoutIrqs(() => f.handler());
    tracer.withoutPreemption(() => {
      for (let i = 0; i < 9; i++) f.handler();
    });
    expect(latency.read()).toBe(longest);
    expect(longest).toBe(HEADER + HANDLER.repeat(3));
    latency.clear();
    expect(latency.maxLatency).toBe(0);
  });

  test('where a section begins and ends, as far as that is watched by anybody', async () => {
    const { tracer, f, imports } = await start();
    tracer.startGraph({ filter: 'work' });
    const latency = tracer.startLatency('irqsoff', { filter: 'step' });
    imports.look = () => void tracer.withoutIrqs(() => f.handler());
    f.work();
    const calls = Array.from(latency.read().matchAll(/ us +\| +([a-z]+)\(\);$/gm), ([, name]) => name);
    expect(calls).toEqual(['work', 'step', 'work']);
  });

  test.each([
    ['irqsoff', [true, false, true]],
    ['preemptoff', [false, true, false]],
    ['preemptirqsoff', [true, true, true]],
    ['wakeup', [false, false, false]],
  ] as [LatencyName, boolean[]][])('%s measures what it says', async (name, measured) => {
    const { tracer, f } = await start();
    const latency = tracer.startLatency(name);
    const sections = [
      () => tracer.withoutIrqs(() => f.handler()),
      () => tracer.withoutPreemption(() => f.handler()),
      () => tracer.interrupt('irq', () => f.handler()),
    ];
    const seen = sections.map((section) => {
      latency.clear();
      section();
      return latency.maxLatency > 0;
    });
    expect(seen).toEqual(measured);
  });

  test('wakeup: from waking until it runs, whatever runs meanwhile', async () => {
    const { tracer, f } = await start();
    const latency = tracer.startLatency('wakeup');
    const [a, b] = [tracer.createTask({ comm: 'a' }), tracer.createTask({ comm: 'b' })];
    f.handler();
    a.wake();
    f.handler();
    b.run(() => f.handler());
    b.wake(); // one at a time is measured
    expect(latency.maxLatency).toBe(0);
    a.run(() => f.handler());
    expect(latency.maxLatency).toBe(8);
    const text = latency.read();
    expect(text).toContain('# tracer: wakeup\n');
    expect(text).toContain('task: a-2');
    expect(text).toMatch(/ 0\) +main-1 +=> +b-3 +\n/);
    expect(codeOf(() => tracer.currentTask.wake())).toBe('EINVAL');
    latency.clear();
    a.wake();
    a.exit();
    f.handler();
    b.run(() => f.handler());
    expect(latency.maxLatency).toBe(0); // it never ran
    b.wake();
    f.handler();
    b.run(() => {});
    expect(latency.maxLatency).toBe(4);
    expect(codeOf(() => a.wake())).toBe('ESRCH');
  });

  test('contexts on top of one another: Z, z, H, h, s', async () => {
    const { tracer, f } = await start();
    const latency = tracer.startLatency('preemptoff');
    tracer.withoutPreemption(() => {
      tracer.interrupt('softirq', () => {
        f.handler();
        tracer.interrupt('irq', () => {
          f.handler();
          tracer.interrupt('nmi', () => f.handler());
        });
        tracer.interrupt('nmi', () => f.handler());
      });
      tracer.interrupt('irq', () => f.handler());
    });
    const seen = Array.from(latency.read().matchAll(/\| +(\S{5}) \|.*handler\(\)/g), ([, flags]) => flags);
    expect(seen).toEqual(['..s1.', 'd.H1.', 'd.Z1.', '..z1.', 'd.h1.']);
  });

  test('one at a time; a threshold; what has no room is counted; begun in the middle', async () => {
    const { tracer, f } = await start();
    const first = tracer.startLatency('irqsoff', { threshold: 5, events: 3 });
    expect(codeOf(() => tracer.startLatency('wakeup'))).toBe('EBUSY');
    tracer.withoutIrqs(() => f.handler());
    expect(first.maxLatency).toBe(0);
    tracer.withoutIrqs(() => {
      f.handler();
      f.handler();
    });
    expect(first.maxLatency).toBe(8);
    expect(first.read()).toContain('#3/8, CPU#0');
    first.unregister();
    first.unregister();
    expect(first.maxLatency).toBe(8);
    tracer.withoutIrqs(() => {
      const second = tracer.startLatency('irqsoff');
      f.handler();
      tracer.interrupt('nmi', () => f.handler());
      expect(second.maxLatency).toBe(0);
      second.setFilter('handler');
      expect(second.matched).toBe(1);
    });
    f.handler();
    expect(tracer.counts()).toMatchObject({ unwound: 0, stray: 0 });
    expect(tracer.frames()).toEqual([]);
  });

  test.each([
    ['irqsof', {}],
    [undefined, {}],
    ['irqsoff', null],
    ['irqsoff', { filter: 7 }],
    ['irqsoff', { threshold: -1 }],
    ['irqsoff', { threshold: '1' }],
    ['irqsoff', { events: 0 }],
    ['irqsoff', { events: 2 ** 25 }],
    ['irqsoff', { buffer: 1 }],
  ])('bad input: %o, %o', async (name, options) => {
    const { tracer, f } = await start();
    expect(codeOf(() => tracer.startLatency(name as LatencyName, options as LatencyOptions))).toBe('EINVAL');
    expect(tracer.startLatency('irqsoff').maxLatency).toBe(0); // no place is taken
    tracer.withoutIrqs(() => f.handler());
  });
});
