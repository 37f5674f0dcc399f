// The function tracer and the rules of the graph tracers, on a real module: what is recorded, to the letter.

import { expect, test } from 'vitest';
import { assembleText } from '../bench/shapes.ts';
import { Tracer } from '../src/index.ts';

type Func = (...args: unknown[]) => unknown;

const PROGRAM = `(module
  (import "js" "back" (func $back))
  (func $leaf (export "leaf"))
  (func $mid (call $leaf) (call $back))
  (func $main (export "main") (call $leaf) (call $mid) (call $leaf)))`;

async function start() {
  const tracer = await Tracer.create({ clock: 'counter' });
  let back = () => {};
  const program = await assembleText('functions', PROGRAM);
  const { instance } = await tracer.instantiate(program, { js: { back: () => back() } });
  const f = instance.exports as Record<string, Func>;
  return { tracer, f, program, setBack: (to: () => void) => (back = to) };
}

const lines = (text: string) =>
  text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.replace(/^.*: /, ''));

const graphLines = (text: string) =>
  text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.slice(line.indexOf('|') + 3));

test('each call and who made it, through JavaScript too', async () => {
  const { tracer, f, setBack } = await start();
  const tracing = tracer.startFunction();
  expect(tracing.matched).toBe(3);
  setBack(() => f.leaf());
  f.main();
  expect(lines(tracing.read())).toEqual([
    'main <-[host]',
    'leaf <-main',
    'mid <-main',
    'leaf <-mid',
    'leaf <-mid', // called by JavaScript that mid called: the nearest function that is traced
    'leaf <-main',
  ]);
  expect(tracing.read()).toMatch(/^# tracer: function\n#\n# entries-in-buffer\/entries-written: 6\/6 {3}#P:1\n/);
  expect(tracing.read({ printParent: false })).toMatch(/: main\n/);
  tracing.on = false;
  f.main();
  expect(lines(tracing.read()).length).toBe(6);
  expect(lines(tracing.read({ irqInfo: false }))).toEqual(lines([...tracing.text({ consume: true })].join('')));
  expect(lines(tracing.read())).toEqual([]);
  tracing.close();
  expect(tracer.counts()).toMatchObject({ unwound: 0, stray: 0 });
});

test('filters, changes of them, and nothing after the end', async () => {
  const { tracer, f, program } = await start();
  const tracing = tracer.startFunction({ filter: 'm*', notrace: 'mid' });
  f.main();
  expect(lines(tracing.read())).toEqual(['main <-[host]']);
  tracing.clear();
  expect(tracing.setNotrace()).toBe(2);
  expect(tracing.setFilter(['mid', 'leaf'])).toBe(2);
  const { instance } = await tracer.instantiate(program, { js: { back() {} } }, { name: 'second' });
  (instance.exports.main as Func)();
  expect(lines(tracing.read())).toEqual(['leaf <-[host]', 'mid <-[host]', 'leaf <-mid', 'leaf <-[host]']);
  tracing.unregister();
  tracing.unregister();
  f.main();
  expect(lines(tracing.read()).length).toBe(4);
});

test('without parents nothing is kept on the shadow stack; several tracers at once do not disturb each other', async () => {
  const { tracer, f } = await start();
  const alone = tracer.startFunction({ parents: false });
  f.main();
  expect(tracer.counts().entries).toBe(0);
  expect(lines(alone.read())).toEqual(['main', 'leaf', 'mid', 'leaf', 'leaf'].map((name) => `${name} <-[host]`));
  alone.clear();
  const graph = tracer.startGraph({ filter: 'mid' });
  const other = tracer.startFunction({ filter: 'leaf', parents: false });
  f.main();
  expect(graphLines(graph.read())).toEqual(['mid();']);
  expect(lines(other.read())).toEqual(['leaf <-[host]', 'leaf <-mid', 'leaf <-[host]']);
  expect(lines(alone.read()).length).toBe(5);
});

test('what is lost is said, and what is wrong is refused', async () => {
  const { tracer, f } = await start();
  const tracing = tracer.startFunction({ bufferPages: 1, mode: 'stop' });
  for (let i = 0; i < 100; i++) f.main();
  const kept = lines(tracing.read()).length;
  expect(kept).toBeGreaterThan(200);
  expect(kept + tracing.lost).toBe(500);
  expect(() => tracer.startFunction({ bufferPages: 3 })).toThrow(/power of two/);
  expect(() => tracer.startFunction({ filter: 3 } as never)).toThrow(TypeError);
  expect(() => tracer.startFunction({ fliter: 'x' } as never)).toThrow(/has no option 'fliter'/);
  tracing.close();
  for (let i = 0; i < 16; i++) tracer.startGraph({ bufferPages: 1 });
  expect(() => tracer.startFunction()).toThrow(/ENOSPC/);
  tracer.startFunction({ parents: false }).close();
});

test('set_graph_function, set_graph_notrace and max_graph_depth hold for all graphs, also in targets to come', async () => {
  const { tracer, f, program } = await start();
  const graph = tracer.startGraph();
  expect(tracer.setGraphFunction('mid')).toBe(1);
  expect(tracer.graphFunction).toBe('mid');
  f.main();
  expect(graphLines(graph.read())).toEqual(['mid() {', '  leaf();', '}']);
  graph.clear();
  expect(tracer.setGraphNotrace('l?af')).toBe(1);
  const { instance } = await tracer.instantiate(program, { js: { back() {} } }, { name: 'second' });
  (instance.exports.main as Func)();
  expect(graphLines(graph.read())).toEqual(['mid();']);
  graph.clear();
  expect(tracer.setGraphFunction('nosuch')).toBe(0);
  f.main();
  expect(graphLines(graph.read())).toEqual([]);
  tracer.setGraphFunction();
  tracer.setGraphNotrace([]);
  tracer.maxGraphDepth = 1;
  f.main();
  expect(graphLines(graph.read())).toEqual(['main();']);
  tracer.maxGraphDepth = 0;
  graph.clear();
  f.main();
  expect(graphLines(graph.read()).length).toBe(7);
  for (const depth of [-1, 0.5, 2 ** 31, Number.NaN, '1']) {
    expect(() => {
      tracer.maxGraphDepth = depth as number;
    }).toThrow(/^maxGraphDepth is /);
  }
  expect(() => tracer.setGraphFunction(3 as never)).toThrow(TypeError);
});

test('tracing_thresh: only returns, of what took that long', async () => {
  const { tracer, f } = await start();
  const graph = tracer.startGraph({ threshold: 3 }); // main takes 5 events at least, mid 3, leaf 1
  f.main();
  expect(graphLines(graph.read())).toEqual(['  } /* mid */', '} /* main */']);
  expect(() => tracer.startGraph({ threshold: -1 })).toThrow(RangeError);
});

test('tracing_thresh of a profile: what takes less on average is not shown', async () => {
  const { tracer, f } = await start();
  const [all, some] = [0, 3].map((threshold) => tracer.startProfile({ threshold }));
  f.main();
  const names = (text: string) => Array.from(text.matchAll(/^ {2}(\w+) +\d/gm), ([, name]) => name).sort();
  expect(names(all.text())).toEqual(['leaf', 'main', 'mid']);
  expect(names(some.text())).toEqual(['main', 'mid']);
  expect(some.rows()).toHaveLength(3);
  expect(() => tracer.startProfile({ threshold: -1 })).toThrow(RangeError);
});

test('graph-time and sleep-time of profiles and graphs', async () => {
  const { tracer, f, setBack } = await start();
  const profiles = [{}, { graphTime: false }, { sleepTime: false }].map((options) => tracer.startProfile(options));
  const graph = tracer.startGraph({ sleepTime: false, filter: 'mid' });
  const other = tracer.createTask();
  setBack(() => other.run(() => f.leaf()));
  f.main();
  const times = profiles.map((profile) => /mid +1 +([0-9.]+)/.exec(profile.text())?.[1]);
  // While mid runs, leaf is called twice, an entry and a return each, once by another task.
  expect(times).toEqual(['0.005', '0.004', '0.003']);
  expect(graphLines(graph.read())).toEqual(['  mid();']);
  expect(graph.read()).toContain('0.003 us');
  expect(() => tracer.startProfile({ graphTime: 1 } as never)).toThrow(TypeError);
  expect(() => tracer.startGraph({ sleepTime: 0 } as never)).toThrow(TypeError);
});

test('arguments, repeats and stacks of calls', async () => {
  const { tracer, f } = await start();
  const PARAMS =
    '(module (func $g (param $n i32)) (func (export "f") (param $n i32) (call $g (local.get $n)) (call $g (i32.const 7))))';
  const { instance } = await tracer.instantiate(await assembleText('params', PARAMS));
  const withArgs = tracer.startFunction({ filter: ['f', 'g'], args: true });
  (instance.exports.f as Func)(-1);
  expect(lines(withArgs.read())).toEqual(['f(n=0xffffffff) <-[host]', 'g(n=0xffffffff) <-f', 'g(n=0x7) <-f']);
  withArgs.close();

  const options = { filter: ['leaf', 'mid', 'main'] };
  const stacks = tracer.startFunction({ ...options, stackTrace: true });
  const counted = tracer.startFunction({ ...options, noRepeats: true });
  const both = tracer.startFunction({ ...options, filter: 'leaf', stackTrace: true, noRepeats: true });
  f.main();
  for (let i = 0; i < 3; i++) f.leaf();
  f.main();
  expect(lines(stacks.read()).slice(0, 11)).toEqual([
    ...['main <-[host]', '<stack trace>', ' => main'],
    ...['leaf <-main', '<stack trace>', ' => leaf', ' => main'],
    ...['mid <-main', '<stack trace>', ' => mid', ' => main'],
  ]);
  expect(stacks.read()).toContain('# entries-in-buffer/entries-written: 26/26 ');
  expect(lines(counted.read().replace(/repeats: (\d+), last_ts: +[0-9.]+/g, '$1 more'))).toEqual([
    ...['main <-[host]', 'leaf <-main', 'mid <-main', 'leaf <-mid', 'leaf <-main'],
    ...['leaf <-[host]', 'leaf <-[host] (2 more)'],
    ...['main <-[host]', 'leaf <-main', 'mid <-main', 'leaf <-mid', 'leaf <-main'],
  ]);
  expect(both.read().match(/: leaf <-\[host\] \(repeats: 2, last_ts: .*\)\n/g)).toHaveLength(1);
});

test.each([
  ['noRepeats', 'args (func-args) and noRepeats (func-no-repeats) exclude each other'],
  ['stackTrace', 'args (func-args) and stackTrace (func_stack_trace) exclude each other'],
])('arguments do not go with %s', async (other, message) => {
  const { tracer } = await start();
  const make = () => tracer.startFunction({ args: true, [other]: true });
  expect(make).toThrow(expect.objectContaining({ code: 'EINVAL', message }));
  expect(() => tracer.startFunction({ [other]: 'yes' })).toThrow(`${other} is 'yes', expected true or false`);
});
