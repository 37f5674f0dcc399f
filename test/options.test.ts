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
