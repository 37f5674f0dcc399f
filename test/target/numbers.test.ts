// The number of a target is part of its default name, and of its addresses: what was refused uses none up.

import { expect, test } from 'vitest';
import { assembleText } from '../../bench/shapes.ts';
import { Tracer } from '../../src/tracer.ts';

const bytes = await assembleText('numbers', '(module (func (export "f")))');
const trap = await assembleText('trap', '(module (func $start unreachable) (start $start))');
const symbols = [{ name: 'f', address: 0x1000n, size: 16 }];

const REFUSED: Readonly<Record<string, (tracer: Tracer) => unknown>> = {
  attachObject: (tracer) => tracer.attachObject({ f() {} }, { prototypes: 1 as never }),
  'attachObject of nothing': (tracer) => tracer.attachObject(5 as never),
  attachModule: (tracer) => tracer.attachModule(null as never),
  wrap: (tracer) => tracer.wrap(5 as never),
  machine: (tracer) => tracer.machine({ arch: 'pdp11', symbols }),
  'machine, its task': (tracer) => tracer.machine({ arch: 's390x', symbols, pid: 1 }),
  instantiateSync: (tracer) => tracer.instantiateSync(Uint8Array.of(1)),
  'instantiateSync, its imports': (tracer) => tracer.instantiateSync(bytes, 5 as never),
  instantiate: (tracer) => tracer.instantiate(Uint8Array.of(1)),
};

test.each(Object.keys(REFUSED))('%s', async (name) => {
  const tracer = await Tracer.create();
  await expect(async () => await REFUSED[name](tracer)).rejects.toThrow();
  expect(tracer.attachObject({ f() {} }).name).toBe('js1');
  await expect(async () => await REFUSED[name](tracer)).rejects.toThrow();
  expect((await tracer.instantiate(bytes)).target.name).toBe('wasm2');
});

test('a module whose start function fails has had a target', async () => {
  const tracer = await Tracer.create();
  expect(() => tracer.instantiateSync(trap)).toThrow(WebAssembly.RuntimeError);
  expect(tracer.attachObject({ f() {} }).name).toBe('js2');
});

test('targets that are made meanwhile keep the numbers apart', async () => {
  const tracer = await Tracer.create();
  const inside: string[] = [];
  const namespace = new Proxy(
    {},
    {
      ownKeys: () => {
        inside.push(tracer.attachObject({ f() {} }).name);
        throw new Error('not now');
      },
    },
  );
  expect(() => tracer.attachModule(namespace)).toThrow('not now');
  const late = tracer.instantiate(Uint8Array.of(1)).catch(() => {});
  inside.push(tracer.attachObject({ f() {} }).name);
  await late;
  inside.push(tracer.attachObject({ f() {} }).name);
  expect(inside).toEqual(['js2', 'js4', 'js5']);
});
