// Every proposal, through both validators and, where the engine knows it, through its paces: the instrumented module must
// answer as the original does, without an engine attached and with everything watched.

import { setFlagsFromString } from 'node:v8';
import { describe, expect, test } from 'vitest';
import type { InstrumentOptions } from '../../src/instrument/index.ts';
import { CASES, type Case } from './proposals.ts';
import { checked, complaint, FakeEngine, instantiate, runsHere, supported } from './support.ts';

// Not on by default in every engine that has it; one that has not says so to nobody.
const flags = {
  'exceptions, try_table': '--experimental-wasm-exnref',
  'relaxed SIMD': '--experimental-wasm-relaxed-simd',
};
const major = Number(process.versions.node.split('.')[0]);
if (major >= 24) setFlagsFromString(flags['exceptions, try_table']);
if (major === 20) setFlagsFromString(flags['relaxed SIMD']);

const FORMS: [string, InstrumentOptions][] = [
  ['default', {}],
  ['args', { args: true }],
  ['bodies written twice', { growth: 100 }],
  ['bodies written twice, args', { growth: 100, args: true }],
  ['start deferred', { start: 'defer' }],
  ['no gates', { only: () => false }],
  ['every other gate', { only: ({ index }) => index % 2 === 0 }],
];

function answers(
  { calls, imports }: Case,
  bytes: Uint8Array,
  prepare?: (instance: WebAssembly.Instance) => () => void,
) {
  const instance = instantiate(bytes, imports?.());
  const start = instance.exports.__fprobe_start as (() => void) | undefined;
  const check = prepare?.(instance);
  start?.();
  const exports = instance.exports as Record<string, (...args: unknown[]) => unknown>;
  return calls.map(([name, ...args]) => {
    try {
      const result = exports[name]!(...args);
      check?.();
      return typeof result === 'object' && !Array.isArray(result) ? String(result) : result;
    } catch (error) {
      check?.();
      // A WebAssembly.Exception says nothing about itself, and traps are told apart by their message.
      return `${(error as Error).constructor.name}: ${(error as Error).message}`;
    }
  });
}

describe.each(CASES)('$name', (module) => {
  test('is what the test says it is', () => {
    expect(complaint(module.bytes)).toBeUndefined();
    if (supported(module.bytes)) answers(module, module.bytes);
  });

  test.each(FORMS)('%s: valid, and the same with no engine', (_, options) => {
    const result = checked(module.bytes, options);
    if (!supported(module.bytes)) return;
    expect(answers(module, result.bytes)).toEqual(answers(module, module.bytes));
  });

  test.runIf(runsHere(module.name, module.bytes)).each(FORMS)(
    '%s: the same when watched, and every entry is left',
    (_, options) => {
      const result = checked(module.bytes, options);
      let engine!: FakeEngine;
      const watched = answers(module, result.bytes, (instance) => {
        engine = new FakeEngine(instance, result);
        engine.open();
        // Between calls nothing is on the stack, however the call ended.
        return () => expect(engine.stack).toEqual([]);
      });
      expect(watched).toEqual(answers(module, module.bytes));
      expect(engine.stray).toBe(0);
      expect(engine.count('enter')).toBe(engine.count('leave') + engine.count('unwound'));
      if (options.only === undefined && result.sites.length > 0) expect(engine.count('enter')).toBeGreaterThan(0);
    },
  );
});
