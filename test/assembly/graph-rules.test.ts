// What the graph tracer leaves out (spec/fgraph.md §11), against programs written as call trees: `a(b(c) d)` calls a, which
// calls b and d.

import { expect, test } from 'vitest';
import * as layout from '../../assembly/layout.ts';
import * as ringLayout from '../../assembly/ring-layout.ts';
import { freshEngine } from './engine.ts';
import { readRing } from './records.ts';

const { GOPS_GRAPH, GOPS_FRAME, CONTEXT_IRQ, CONTEXT_NORMAL } = layout;

/// An engine with a graph user on the functions a … h, and what it recorded as a call tree again.
async function start() {
  const engine = await freshEngine();
  const { exports, memory } = engine;
  engine.addSites(8);
  const user = () => {
    const ring = engine.createRing(16, ringLayout.RING_OVERWRITE);
    const index = engine.registerFgraph(GOPS_GRAPH, 0, 0, ring);
    for (let site = 0; site < 8; site++) exports.site_want(site, index, 1);
    return { index, ring };
  };
  const site = (name: string) => name.charCodeAt(0) - 97;
  /// Runs a program; `!` in place of `)` leaves without returning, `<` and `>` are an interrupt.
  const run = (program: string) => {
    const stack: { cookie: number; mark: number }[] = [];
    const enter = (name: string) => stack.push({ mark: exports.save(), cookie: exports.enter(site(name)) });
    const leave = () => {
      const { cookie } = stack.pop()!;
      if (cookie) exports.leave(cookie);
    };
    [...program].forEach((c, k) => {
      if (c >= 'a' && c <= 'h') {
        enter(c);
        if (program[k + 1] !== '(') leave();
      } else if (c === ')') leave();
      else if (c === '!') exports.restore(stack.pop()!.mark);
      else if (c === '<') memory.store32(exports.task_current() + layout.TASK_CONTEXT, CONTEXT_IRQ);
      else if (c === '>') memory.store32(exports.task_current() + layout.TASK_CONTEXT, CONTEXT_NORMAL);
    });
  };
  const recorded = (ring: number): string => {
    const text = readRing(engine, ring)
      .flatMap((page) => page.events)
      .map(({ type, site }) =>
        type === 'entry' ? `${String.fromCharCode(97 + site)}(` : type === 'return' ? ')' : '!',
      )
      .join('');
    exports.ring_clear(ring);
    return text.replaceAll('()', '');
  };
  const first = user();
  return { engine, exports, memory, user, run, site, ...first, read: () => recorded(first.ring), recorded };
}

test('without rules: everything', async () => {
  const { run, read } = await start();
  run('a(b(cd)b(c(!!e)');
  expect(read()).toBe('a(b(cd)b(c(!!e)');
});

test('H44: set_graph_function: these and what they call, nested matches included', async () => {
  const { exports, run, read, site } = await start();
  exports.graph_filter(1);
  run('a(b)');
  expect(read()).toBe(''); // a filter with nothing in it is not the empty filter
  exports.graph_site(site('b'), 1, 0);
  run('a(b(c(bd)e)f)');
  expect(read()).toBe('b(c(bd)e)');
  exports.graph_filter(0);
  run('a(b)');
  expect(read()).toBe('a(b)');
});

test('set_graph_function ends with the frame that began it, however deep, however it was left', async () => {
  const { exports, run, read, site } = await start();
  exports.graph_filter(1);
  exports.graph_site(site('b'), 1, 0);
  run('a(c(d(e(f(g(b(ha)h)))h))h)'); // the kernel's two bits of depth would end it elsewhere
  expect(read()).toBe('b(ha)');
  run('a(b(c(!d)e)b(c(!!d');
  expect(read()).toBe('b(c(!d)b(c(!!');
});

test('an entry that is refused after all does not begin a graph', async () => {
  const { exports, run, read, ring, site } = await start();
  exports.graph_filter(1);
  exports.graph_site(site('b'), 1, 0);
  exports.ring_on(ring, 0);
  run('b(');
  exports.ring_on(ring, 1);
  run('cd');
  expect(read()).toBe('');
});

test('set_graph_notrace: these and what they call vanish; it wins over set_graph_function', async () => {
  const { exports, run, read, site } = await start();
  exports.graph_site(site('b'), 0, 1);
  run('a(b(c(d))c(bd)e)b(c(!!b(c)b(!d');
  expect(read()).toBe('a(c(d)e)d');
  exports.graph_filter(1);
  exports.graph_site(site('b'), 1, 1);
  exports.graph_site(site('c'), 1, 0);
  run('a(b(c)c(bd))');
  expect(read()).toBe('c(d)');
  expect(exports.graph_site(8, 1, 0)).toBe(-layout.EINVAL);
});

test('H43: max_graph_depth counts all frames, also those of others; 0 restores', async () => {
  const { engine, exports, run, read, index } = await start();
  exports.graph_depth(1);
  run('a(b(c))d');
  expect(read()).toBe('ad');
  exports.graph_depth(2);
  run('a(b(c))d');
  expect(read()).toBe('a(b)d');
  exports.site_want(0, engine.registerFgraph(GOPS_FRAME, 0, 0, 0), 1);
  exports.site_want(0, index, 0);
  run('a(b(c))d');
  expect(read()).toBe('bd');
  exports.graph_depth(0);
  run('a(b(c))d');
  expect(read()).toBe('b(c)d');
  expect(exports.graph_depth(-1)).toBe(-layout.EINVAL);
});

test('the rules hold for every graph user, and each has his own place in them', async () => {
  const { exports, run, read, site, user, recorded } = await start();
  const second = user();
  exports.site_want(site('b'), second.index, 0);
  exports.graph_filter(1);
  exports.graph_site(site('b'), 1, 0);
  exports.graph_site(site('d'), 1, 0);
  run('b(c(d(e)f))');
  expect(read()).toBe('b(c(d(e)f))');
  expect(recorded(second.ring)).toBe('d(e)');
});

test('what runs in an interrupt can be left out, unless set_graph_function says that it was asked for', async () => {
  const { exports, run, read, site, index } = await start();
  expect(exports.graph_options(index, layout.GRAPH_SKIP_IRQS, 0)).toBe(0);
  run('a(b<c(d)>e)');
  expect(read()).toBe('a(be)');
  exports.graph_filter(1);
  exports.graph_site(site('c'), 1, 0);
  run('a(b<c(d)e>c(<d>)e)');
  expect(read()).toBe('c(d)c');
});

test('H45: tracing_thresh: returns alone, of what took at least that long', async () => {
  let now = 0;
  const engine = await freshEngine({ clock: () => now });
  const { exports } = engine;
  exports.clock_set(layout.CLOCK_MONO);
  engine.addSites(2);
  const ring = engine.createRing(1, ringLayout.RING_OVERWRITE);
  const index = engine.registerFgraph(GOPS_GRAPH, 0, 0, ring);
  for (const site of [0, 1]) exports.site_want(site, index, 1);
  const run = (outer: number, inner: number) => {
    const cookie = exports.enter(0);
    now += outer - inner;
    const below = exports.enter(1);
    now += inner;
    exports.leave(below);
    exports.leave(cookie);
  };
  const read = () => {
    const events = readRing(engine, ring).flatMap((page) => page.events);
    exports.ring_clear(ring);
    return events.map(({ type, site, time, call, depth }) => [type, site, depth, time - call]);
  };
  const flight = exports.enter(0);
  expect(exports.graph_options(index, 0, 100)).toBe(0);
  exports.leave(flight); // begun without a threshold: forgotten
  expect(read()).toEqual([['entry', 0, 0, 0]]);
  run(99, 5);
  run(100, 99);
  run(300, 200);
  expect(read()).toEqual([
    ['return', 0, 0, 100],
    ['return', 1, 1, 200],
    ['return', 0, 0, 300],
  ]);
  for (const threshold of [-1, Number.NaN, 2 ** 53, Number.POSITIVE_INFINITY]) {
    expect(exports.graph_options(index, 0, threshold)).toBe(-layout.EINVAL);
  }
  expect(exports.graph_options(index, 64, 0)).toBe(-layout.EINVAL);
  expect(exports.graph_options(index + 1, 0, 0)).toBe(-layout.EINVAL);
  expect(exports.graph_options(index, 0, 0)).toBe(0);
  run(9, 8);
  expect(read().length).toBe(4);
});

test('a user who leaves in the middle takes his place in the rules along', async () => {
  const { engine, exports, memory, run, read, site, index, user, recorded } = await start();
  exports.graph_site(site('b'), 0, 1);
  run('b(');
  exports.fgraph_unregister(index);
  for (let k = 0; k < 15; k++) engine.registerFgraph(GOPS_FRAME, 0, 0, 0);
  const next = user();
  expect(next.index).toBe(index);
  run('cb(c)d');
  expect(recorded(next.ring)).toBe('cd');
  expect(read()).toBe('');
  expect(memory.load32(exports.task_variable(index) + layout.GRAPH_STATE)).toBe(0);
});
