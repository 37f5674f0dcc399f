// The global switch and the ops that it must not switch off (spec/fgraph.md §1.1, §1.4).

import { describe, expect, test } from 'vitest';
import * as layout from '../assembly/layout.ts';
import { assembleText } from '../bench/shapes.ts';
import { Tracer } from '../src/index.ts';
import { freshEngine } from './assembly/engine.ts';
import { checkAll } from './assembly/invariants.ts';

const PROGRAM = `(module
  (import "js" "look" (func $look))
  (func $inner (export "inner"))
  (func $outer (export "outer") (call $look) (call $inner)))`;

async function start() {
  const tracer = await Tracer.create({ clock: 'counter' });
  const js = { look: () => {} };
  const { instance } = await tracer.instantiate(await assembleText('switch', PROGRAM), {
    js: { look: () => js.look() },
  });
  return { tracer, js, outer: instance.exports.outer as () => void };
}

const lines = (text: string): number => text.split('\n').filter((line) => /inner|outer/.test(line)).length;

/// A client of each kind, and how many calls it has heard of so far.
const KINDS: Record<string, (tracer: Tracer) => () => number> = {
  function_graph: (tracer) => {
    const graph = tracer.startGraph();
    return () => (graph.read().match(/(inner|outer)\(\)/g) ?? []).length;
  },
  function: (tracer) => {
    const functions = tracer.startFunction();
    return () => lines(functions.read());
  },
  profile: (tracer) => {
    const profile = tracer.startProfile();
    return () => profile.rows().reduce((sum, { count }) => sum + count, 0);
  },
  registerFgraph: (tracer) => {
    let calls = 0;
    tracer.registerFgraph({ entry: () => void calls++ });
    return () => calls;
  },
  registerFtrace: (tracer) => {
    let calls = 0;
    tracer.registerFtrace({ call: () => void calls++ });
    return () => calls;
  },
  'a probe': (tracer) => {
    const probe = tracer.registerFprobe({ filter: '*', entry() {}, exit() {} });
    return () => probe.hits;
  },
};

describe.each(Object.keys(KINDS))('%s', (kind) => {
  test.each([true, false])('is told of nothing while it is off (registered before: %s)', async (isBefore) => {
    const { tracer, outer } = await start();
    let heard = isBefore ? KINDS[kind](tracer) : () => 0;
    for (let k = 0; k < 5; k++) outer();
    const before = heard();
    expect(before).toBe(isBefore ? 10 : 0);
    tracer.ftraceEnabled = false;
    expect(tracer.ftraceEnabled).toBe(false);
    if (!isBefore) heard = KINDS[kind](tracer);
    const entries = tracer.counts().entries;
    for (let k = 0; k < 5; k++) outer();
    expect([heard(), tracer.counts().entries]).toEqual([before, entries]);
    tracer.ftraceEnabled = true;
    for (let k = 0; k < 5; k++) outer();
    expect(heard()).toBe(before + 10);
  });
});

test('what was entered returns, and the switch works from inside a handler', async () => {
  const { tracer, js, outer } = await start();
  const heard: string[] = [];
  tracer.registerFgraph({
    entry: ({ name }) => void heard.push(name),
    return: ({ name }) => void heard.push(`/${name}`),
  });
  js.look = () => {
    tracer.ftraceEnabled = false;
  };
  outer();
  expect(heard).toEqual(['outer', '/outer']);
  tracer.ftraceEnabled = true;
  js.look = () => {};
  const once = tracer.registerFtrace({
    filter: 'inner',
    call() {
      once.unregister();
      tracer.ftraceEnabled = false;
    },
  });
  outer();
  outer();
  expect(heard.slice(2)).toEqual(['outer', 'inner', '/inner', '/outer']); // the entry in hand is told to all
  expect(tracer.counts()).toMatchObject({ entries: 3, returns: 3, unwound: 0 });
});

test('a machine, and functions of JavaScript', async () => {
  const { tracer } = await start();
  let calls = 0;
  tracer.registerFgraph({ entry: () => void calls++ });
  const machine = tracer.machine({ arch: 'x86_64', symbols: [{ name: 'f', address: 0x1000n, size: 64 }] });
  const object = { method: () => 1 };
  tracer.attachObject(object);
  const run = () => {
    machine.call('f');
    object.method();
  };
  run();
  expect(calls).toBe(2);
  tracer.ftraceEnabled = false;
  run();
  expect(calls).toBe(2);
  tracer.ftraceEnabled = true;
  run();
  expect(calls).toBe(4);
});

test('permanent ops keep it on, and do not come while it is off', async () => {
  const { tracer, outer } = await start();
  let calls = 0;
  const ops = tracer.registerFtrace({ name: 'patch', permanent: true, call: () => void calls++ });
  const switchTo = (on: unknown) => () => Object.assign(tracer, { ftraceEnabled: on });
  expect(switchTo(false)).toThrow(expect.objectContaining({ code: 'EBUSY' }));
  expect(switchTo(true)).not.toThrow();
  outer();
  expect([calls, tracer.ftraceEnabled]).toEqual([2, true]);
  ops.unregister();
  expect(switchTo(false)).not.toThrow();
  expect(() => tracer.registerFtrace(ops)).toThrow(/switched off; switch it on first \(EBUSY\)/);
  expect(ops.registered).toBe(false);
  tracer.registerFtrace({ call: () => void calls++ });
  tracer.ftraceEnabled = true;
  tracer.registerFtrace(ops);
  outer();
  expect(calls).toBe(6);
  for (const odd of [0, 1, null, undefined, 'false', {}]) {
    expect(switchTo(odd)).toThrow(/ftraceEnabled is .*, expected true or false/);
  }
});

test('the records of sites say what calls do, and what they should', async () => {
  const engine = await freshEngine({ call: () => 1 });
  const { exports, memory } = engine;
  engine.addSites(3);
  const regs = engine.registerOps(layout.OPS_HOST, 1, layout.OPS_FL_SAVE_REGS);
  exports.site_want(0, engine.registerFgraph(layout.GOPS_PROFILE, 0, 0, 0), 1);
  exports.filter_set(regs, 0, -1, 0, -1);
  const { SITE_FL_ENABLED, SITE_FL_REGS, SITE_FL_REGS_EN, SITE_FL_TOUCHED } = layout;
  const all = SITE_FL_ENABLED | SITE_FL_REGS | SITE_FL_REGS_EN | SITE_FL_TOUCHED;
  const should = SITE_FL_REGS | SITE_FL_TOUCHED;
  const flags = (site: number) => [memory.siteFlags(site) & all, memory.siteWatchers(site)];
  expect([flags(0), flags(2)]).toEqual([
    [all, 2],
    [all, 1],
  ]);
  expect(exports.ftrace_enable(0)).toBe(0);
  checkAll(engine);
  expect([flags(0), flags(2)]).toEqual([
    [should, 2],
    [should, 1],
  ]);
  expect(exports.enter(0)).toBe(0);
  exports.ops_unregister(regs);
  expect([flags(0), flags(2)]).toEqual([
    [SITE_FL_TOUCHED, 1],
    [SITE_FL_TOUCHED, 0],
  ]);
  expect(exports.ops_register(layout.OPS_HOST, 1, layout.OPS_FL_PERMANENT)).toBe(-layout.EBUSY);
  expect(exports.ftrace_enable(7)).toBe(0);
  expect(flags(0)).toEqual([SITE_FL_ENABLED | SITE_FL_TOUCHED, 1]);
  expect(exports.enter(0)).toBeGreaterThan(0);
  checkAll(engine);
});
