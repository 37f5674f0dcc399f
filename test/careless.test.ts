// Values that nobody expects: each is refused with a code, in a message of some words, and none of its own code runs. What was
// refused has changed nothing.

import { expect, test } from 'vitest';
import { assembleText } from '../bench/shapes.ts';
import { Tracer } from '../src/index.ts';
import { MachineProgram } from '../src/target/machine-program.ts';

const PROGRAM = '(module (func $one (export "one")) (func $two (export "two")))';
const never = (): never => {
  throw new Error('ran code of the value');
};
const NASTY: readonly unknown[] = [
  ...[null, -1, Number.NaN, 1n, Symbol('odd'), 'x'.repeat(1e5), [Symbol('odd')], Object.create(null)],
  { toString: never, valueOf: never, [Symbol.toPrimitive]: never },
];

test('every refusal has a code, and is short', async () => {
  const tracer = await Tracer.create();
  const bytes = await assembleText('careless', PROGRAM);
  const machine = tracer.machine({ arch: 'x86_64', symbols: [{ name: 'f', address: 0x40_0000n, size: 64 }] });
  const program = new MachineProgram().call(0);
  const calls: Record<string, (value: never) => unknown> = {
    attachObject: (value) => tracer.attachObject(value && typeof value === 'object' ? (5 as never) : value),
    'the name of attachObject': (name) => tracer.attachObject({}, { name }),
    wrap: (value) => tracer.wrap(value),
    attachModule: (value) => tracer.attachModule(value && typeof value === 'object' ? (5 as never) : value),
    filter: (filter) => tracer.startProfile({ filter }),
    setGraphFunction: (value) => tracer.setGraphFunction(value),
    options: (value) => tracer.registerFprobe(value && typeof value === 'object' ? (5 as never) : value),
    'builtin.keep': (keep) => tracer.registerFprobe({ filter: '*', builtin: { keep } }),
    'builtin.of': (of) =>
      tracer.registerFprobe({ filter: '*', builtin: { keep: 'log2', of: of === -1 ? 0.5 : of } as never }),
    interrupt: (context) => tracer.interrupt(context, () => {}),
    arch: (arch) => tracer.machine({ arch, symbols: [] }),
    compileSync: (value) => tracer.compileSync(value),
    growth: (growth) => tracer.instantiateSync(bytes, {}, { growth: growth === null ? (-1 as never) : growth }),
    only: (only) => tracer.instantiateSync(bytes, {}, { only }),
    'machine.run': (value) => machine.run(value),
    'a program from words': (words) => MachineProgram.from(words),
    'a word of a program': (word) => program.call(0, [typeof word === 'bigint' ? (1 as never) : word]),
    'words of a program': (words) => program.call(0, words && typeof words === 'object' ? (5 as never) : words),
    detach: (target) => tracer.detach(target && typeof target === 'object' ? (5 as never) : target),
  };
  for (const [what, call] of Object.entries(calls)) {
    for (const value of NASTY) {
      if (what === 'filter' && typeof value === 'string') continue;
      if (what === 'setGraphFunction' && typeof value === 'string') continue;
      if (what === 'the name of attachObject' && typeof value === 'string') continue;
      let refusal: Error & { code?: string } = new Error(`${what} took ${typeof value}`);
      try {
        call(value as never);
      } catch (error) {
        refusal = error as Error;
      }
      expect({ what, code: refusal.code, message: refusal.message }).toMatchObject({ what, code: 'EINVAL' });
      expect(refusal.message.length).toBeLessThan(400);
    }
  }
  expect(tracer.enabledFunctions()).toEqual([]);
  expect(program.length).toBe(1);
});

test('an array of addresses that registers the probe while it is read leaves nothing behind', async () => {
  const tracer = await Tracer.create();
  const { target } = await tracer.instantiate(await assembleText('careless', PROGRAM));
  const probe = tracer.createFprobe({ entry() {} });
  const addresses = [0];
  Object.defineProperty(addresses, 0, {
    get() {
      if (!probe.registered) probe.register({ filter: 'one' });
      return target?.sites[1]?.ip;
    },
  });
  expect(() => probe.register({ addresses })).toThrow('registered already');
  probe.unregister();
  expect(tracer.enabledFunctions()).toEqual([]);
});

test('a target is detached by its own tracer only', async () => {
  const [mine, other] = [await Tracer.create(), await Tracer.create()];
  const object = { f: () => 1 };
  const { f } = object;
  const target = mine.attachObject(object);
  other.detach(target);
  expect(object.f).not.toBe(f);
  expect(mine.targets.has(target)).toBe(true);
  mine.detach(target);
  mine.detach(target);
  expect(object.f).toBe(f);
});
