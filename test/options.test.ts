// A misspelt option is refused, and says what there is; so is what is no object of options at all.

import { expect, test } from 'vitest';
import { instrument } from '../src/instrument/index.ts';
import { Tracer } from '../src/tracer.ts';

const EMPTY = Uint8Array.of(0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00);

test('misspelt options', async () => {
  const tracer = await Tracer.create();
  expect(() => tracer.startGraph({ filters: 'run' } as never)).toThrow(
    Object.assign(
      new TypeError(
        "startGraph has no option 'filters', expected filter, notrace, bufferPages, mode, threshold, irqs, sleepTime, args, retval, retaddr",
      ),
      {
        code: 'EINVAL',
      },
    ),
  );
  expect(() => tracer.startProfile({ glob: 'run' } as never)).toThrow("startProfile has no option 'glob'");
  expect(() => instrument(EMPTY, { grwth: 1 } as never)).toThrow("instrument has no option 'grwth'");
  await expect(Tracer.create({ clok: 'mono' } as never)).rejects.toThrow("Tracer.create has no option 'clok'");
  await expect(tracer.instantiate(EMPTY, {}, { nam: 'x' } as never)).rejects.toThrow("instantiate has no option 'nam'");
  expect(tracer.startGraph().matched).toBe(0);
});

test('no options', async () => {
  const tracer = await Tracer.create();
  expect(() => tracer.startGraph(null as never)).toThrow('startGraph: the options are null, expected an object');
  expect(() => tracer.startGraph(['run'] as never)).toThrow('startGraph: the options are an array, expected an object');
  expect(() => tracer.startProfile('run' as never)).toThrow("startProfile: the options are 'run' (string)");
  await expect(Tracer.create('mono' as never)).rejects.toThrow(TypeError);
  await expect(tracer.instantiate(EMPTY, {}, null as never)).rejects.toThrow(TypeError);
});

test('bytes that are none', () => {
  expect(() => instrument(EMPTY.buffer as never)).toThrow(
    "instrument: expected the module's bytes as a Uint8Array, got [object ArrayBuffer]",
  );
  expect(() => instrument(undefined as never)).toThrow(TypeError);
});

test('a page is consumed when its visitor has returned, not before', async () => {
  const tracer = await Tracer.create({ clock: 'counter' });
  const graph = tracer.startGraph();
  const one = Uint8Array.of(...EMPTY, 1, 4, 1, 0x60, 0, 0, 3, 2, 1, 0, 7, 5, 1, 1, 0x66, 0, 0, 10, 4, 1, 2, 0, 0x0b);
  const { instance } = await tracer.instantiate(one);
  (instance.exports.f as () => void)();
  const text = graph.read();
  expect(text).toContain('f();');
  const full = () => {
    throw new Error('disk full');
  };
  expect(() => graph.pages(full, true)).toThrow('disk full');
  expect(graph.read()).toBe(text);
  expect(graph.on).toBe(true);
  graph.on = false;
  expect(graph.on).toBe(false);
});

test.each<[string, (tracer: Tracer) => unknown, string]>([
  ['a column', (t) => t.startGraph().read({ tail: 1 as never }), 'tail is 1, expected true or false'],
  ['no column', (t) => t.startGraph().read({ bogus: 1 } as never), "read has no option 'bogus', expected "],
  ['no column of calls', (t) => t.startFunction().read({ bogus: 1 } as never), "read has no option 'bogus', expected "],
  [
    'no column of pieces',
    (t) =>
      t
        .startGraph()
        .text({ bogus: 1 } as never)
        .next(),
    "text has no option 'bogus', expected ",
  ],
  ['a time', (t) => t.startFunction().read({ start: '0' as never }), "start is '0', expected a number"],
  ['consume', (t) => t.startGraph().pages(() => {}, 'yes' as never), "pages: consume is 'yes', expected true or false"],
  ['tracing_on', (t) => Object.assign(t.startGraph(), { on: '0' }), "on is '0', expected true or false"],
  ['growth', () => instrument(EMPTY, { growth: null as never }), 'growth is null, expected a share'],
  ['start', () => instrument(EMPTY, { start: 'never' as never }), "start is 'never', expected 'keep' or 'defer'"],
  ['flags', (t) => t.createFprobe({ flags: 2 ** 53 }), 'flags is 9007199254740992, expected FPROBE_FL_*'],
  ['private', (t) => t.createFprobe({ private: null as never }), 'private is null, expected an integer'],
  [
    'values of a histogram',
    (t) => t.createFprobe({ builtin: { keep: 'linear', of: 'latency', values: 4 } }),
    'builtin.values is for keep first and last, here it is linear',
  ],
  [
    'steps of what has none',
    (t) => t.createFprobe({ builtin: { keep: 'log2', of: 'latency', step: 4 } }),
    'builtin.step is for keep linear, here it is log2',
  ],
  [
    'the sign of a time',
    (t) => t.createFprobe({ builtin: { keep: 'count', of: 'latency', signed: true } }),
    "builtin.signed is for arguments and results, of is 'latency'",
  ],
  ['no target', (t) => t.detach({} as never), 'detach: an object is no target'],
  ['comm of a fork', (t) => t.currentTask.fork({ name: 'a', comm: 1 as never }), 'comm is 1, expected a string'],
])('a wish that comes to nothing is refused: %s', async (_, act, message) => {
  const tracer = await Tracer.create();
  expect(() => act(tracer)).toThrow(
    expect.objectContaining({ code: 'EINVAL', message: expect.stringContaining(message) }),
  );
});

test('a fork and a task go by the same of two names', async () => {
  const tracer = await Tracer.create();
  const both = { comm: 'a', name: 'b' };
  expect([tracer.createTask(both).comm, tracer.currentTask.fork(both).comm]).toEqual(['a', 'a']);
  expect(tracer.currentTask.fork({ name: 'b' }).comm).toBe('b');
});

test('latency-format, of recordings without interrupts', async () => {
  const tracer = await Tracer.create({ clock: 'counter' });
  const graph = tracer.startGraph();
  const calls = tracer.startFunction();
  expect(graph.read({ latencyFormat: true })).toBe('# tracer: function_graph\n#\n');
  const { f } = tracer.attachModule({ f: () => 1 }).exports;
  f();
  const banner = '(M:NONE VP:0, KP:0, SP:0 HP:0 #P:1)';
  const text = graph.read({ latencyFormat: true });
  expect(text).toContain(`function_graph latency trace v1.1.5 on fprobe\n`);
  expect(text).toContain(`# latency: 0 us, #2/2, CPU#0 | ${banner}`);
  expect(text).toMatch(/^ 0\) {2}\.{5} \| .* \| {2}\S*f\(\);$/m);
  expect(calls.read({ latencyFormat: true })).toContain(`# latency: 0 us, #1/1, CPU#0 | ${banner}`);
});
