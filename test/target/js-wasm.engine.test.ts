// JavaScript functions and a WebAssembly module on one shadow stack: methods call exports, which call imported methods, and
// calls end by returning, by exceptions and by traps, caught on either side.

import { expect, test } from 'vitest';
import { Tracer } from '../../src/tracer.ts';
import { wat } from '../instrument/support.ts';
import { Random } from '../random-program.ts';
import { Nesting } from './events.ts';

const TEXT = `(module
  (import "js" "step" (func $step (param i32) (result i32)))
  (tag $own)
  (table $t funcref (elem $pass $inner))
  (func $inner (param i32) (result i32) (call $step (local.get 0)))
  (func $pass (export "pass") (param i32) (result i32) (call $step (local.get 0)))
  (func (export "deep") (param i32) (result i32) (call $inner (call $inner (local.get 0))))
  (func (export "indirect") (param i32) (result i32)
    (call_indirect $t (param i32) (result i32) (local.get 0) (i32.and (local.get 0) (i32.const 1))))
  (func (export "trap") (param i32) (result i32) (drop (call $step (local.get 0))) (unreachable))
  (func (export "catches") (param i32) (result i32)
    (try (result i32) (do (call $inner (local.get 0))) (catch_all (call $step (i32.const 0)))))
)`;

/// Whom an export calls before the import runs, and what the wasm functions are called.
const CHAINS: Record<string, string[]> = {
  pass: ['pass'],
  deep: ['deep', 'inner'],
  indirect: ['indirect', 'inner or pass'],
  trap: ['trap'],
  catches: ['catches', 'inner'],
};

test('calls across the border, in every way out', async () => {
  const rng = new Random(7);
  const tracer = await Tracer.create({ clock: 'counter' });
  let compared = 0;
  let watched = false;
  /// The JavaScript functions that run, outermost first, and how many frames of the module each found on the stack.
  const running: string[] = [];

  type Exports = Record<string, (n: number) => number>;
  let exports: Exports;
  const body = (name: string, n: number): number => {
    running.push(name);
    try {
      compare();
      const result = act(n);
      compare();
      return result;
    } finally {
      running.pop();
    }
  };
  const object = {
    step: (n: number) => body('o.step', n),
    other(n: number) {
      return body('o.other', n);
    },
    get value() {
      return body('o.value.get', 3);
    },
    Class: class {
      readonly n: number;
      constructor(n: number) {
        this.n = body('o.Class', n);
      }
    },
  };
  const act = (n: number): number => {
    let result = n;
    for (let tries = rng.below(3); tries > 0 && n > 0; tries--) {
      const call = (): number => {
        switch (rng.below(8)) {
          case 0:
            return object.step(n - 1);
          case 1:
            return object.other(n - 1);
          case 2:
            return n > 4 ? object.value : 0;
          case 3:
            return new object.Class(n - 1).n;
          default: {
            const name = Object.keys(CHAINS)[rng.below(5)];
            running.push(...CHAINS[name].map((fn) => `wasm ${fn}`));
            const depth = running.length - CHAINS[name].length;
            try {
              return exports[name](n - 1);
            } finally {
              running.length = depth;
            }
          }
        }
      };
      if (rng.chance(50)) {
        try {
          result = call();
        } catch {
          compare();
        }
      } else result = call();
    }
    if (rng.chance(15)) throw new Error('thrown');
    return result | 0;
  };
  const compare = (): void => {
    if (!watched) return;
    compared++;
    const frames = tracer.frames().map(({ name }) => name);
    // In a handler of its own the module calls `step` from another function than in its body.
    const expected = running.toReversed();
    const own = (name: string) => name.startsWith('o.');
    expect(frames.filter(own)).toEqual(expected.filter(own));
    const shape = (names: string[], wasm: (name: string) => boolean) => {
      const runs = names.map((name) => (wasm(name) ? 'w' : 'j')).join('');
      return runs.replace(/w+/g, 'w');
    };
    expect(shape(frames, (name) => !own(name))).toEqual(shape(expected, (name) => name.startsWith('wasm')));
  };

  const target = tracer.attachObject(object, { name: 'o' });
  const bytes = wat(TEXT) as Uint8Array<ArrayBuffer>;
  const { instance } = await tracer.instantiate(bytes, { js: { step: (n: number) => object.step(n) } });
  exports = instance.exports as Exports;
  const nest = new Nesting();
  const graph = tracer.startGraph({ bufferPages: 256 });
  watched = true;
  const ended = { returned: 0, thrown: 0, trapped: 0 };
  for (let round = 0; round < 3000; round++) {
    try {
      if (round % 2) {
        running.push('wasm pass');
        exports.pass(8);
      } else object.other(8);
      ended.returned++;
    } catch (error) {
      ended[error instanceof WebAssembly.RuntimeError ? 'trapped' : 'thrown']++;
    }
    running.length = 0;
    expect(tracer.frames()).toEqual([]);
    graph.pages((batch) => nest.page(batch), true);
    expect(nest.complaint).toBeUndefined();
  }
  expect(nest.open).toEqual([]);
  const { entries, returns, unwound, overrun, stray } = tracer.counts();
  expect({ entries, overrun, stray }).toEqual({ entries: returns + unwound, overrun: 0, stray: 0 });
  expect([nest.entries, nest.returns, nest.unwound]).toEqual([entries, returns, unwound]);
  console.log(
    `${entries} calls, ${unwound} unwound, ${compared} stacks compared, ${JSON.stringify(ended)}: no difference`,
  );
  expect(Math.min(...Object.values(ended))).toBeGreaterThan(20);
  expect(compared).toBeGreaterThan(5000);
  tracer.detach(target);
});
