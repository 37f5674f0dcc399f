// Nothing stays behind: no frame of a call that is over, however it ended and whenever watching began; no error of ours in the
// place of the program's; no object of the program that only we would still hold.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import type { GraphTracer } from '../../src/graph.ts';
import { Tracer } from '../../src/tracer.ts';
import { wat } from '../instrument/support.ts';
import { nesting } from './events.ts';

type Exports = Record<string, (...args: unknown[]) => unknown>;

async function start(text: string, imports: Record<string, (...args: never[]) => unknown>, tracer?: Tracer) {
  const bytes = wat(text) as Uint8Array<ArrayBuffer>;
  const made = tracer
    ? await tracer.instantiate(bytes, { m: imports })
    : await WebAssembly.instantiate(bytes, { m: imports });
  return made.instance.exports as Exports;
}

/// The recorded lines, less header, columns and indentation.
const lines = (graph: GraphTracer): string[] =>
  graph
    .read({ cpu: false, duration: false })
    .split('\n')
    .filter((line) => line && !line.startsWith('#'))
    .map((line) => line.trim());

describe('a call that was under way when watching began', () => {
  const text = `(module
    (import "m" "first" (func $first)) (import "m" "second" (func $second)) (import "m" "inner" (func $inner))
    (func $B (export "B") call $second)
    (func (export "X") call $first call $B)
    (func (export "Y") call $inner)
  )`;

  test('is left by a throw', async () => {
    const tracer = await Tracer.create({ clock: 'counter' });
    let graph!: GraphTracer;
    const exports = await start(
      text,
      {
        first: () => {
          graph = tracer.startGraph();
        },
        second: () => {
          expect(tracer.frames().map(({ name }) => name)).toEqual(['B']);
          throw new Error('out of everything');
        },
        inner() {},
      },
      tracer,
    );
    expect(() => exports.X()).toThrow('out of everything');
    expect(lines(graph)).toEqual(['B(); /* unwound */']);
    expect(tracer.frames()).toEqual([]);
    expect(tracer.counts()).toMatchObject({ entries: 1, returns: 0, unwound: 1, stray: 0 });
  });

  test('is left by a throw, and watching ended before', async () => {
    const tracer = await Tracer.create({ clock: 'counter' });
    let graph!: GraphTracer;
    const exports = await start(
      text,
      {
        first: () => {
          graph = tracer.startGraph();
        },
        second: () => {
          graph.unregister();
          expect(tracer.frames().map(({ name }) => name)).toEqual(['B']);
          throw new Error('out of everything');
        },
        inner() {},
      },
      tracer,
    );
    expect(() => exports.X()).toThrow('out of everything');
    expect(tracer.frames()).toEqual([]);
    expect(lines(graph)).toEqual(['B() {']);
    const later = tracer.startGraph();
    exports.Y();
    expect(lines(later)).toEqual(['Y();']);
  });

  test('is left by a throw that JavaScript further out catches, also under way', async () => {
    const tracer = await Tracer.create({ clock: 'counter' });
    let graph!: GraphTracer;
    const exports: Exports = await start(
      text,
      {
        first: () => {
          graph ??= tracer.startGraph();
        },
        second: () => {
          throw new Error('to inner');
        },
        inner: () => {
          if (graph) return expect(tracer.frames().map(({ name }) => name)).toEqual(['Y']);
          expect(() => exports.X()).toThrow('to inner');
          exports.Y();
        },
      },
      tracer,
    );
    exports.Y();
    expect(lines(graph)).toEqual(['B(); /* unwound */', 'Y();']);
    expect(tracer.counts()).toMatchObject({ entries: 2, returns: 1, unwound: 1, stray: 0 });
  });
});

describe('where the stack ends', () => {
  const text = `(module
    (import "m" "js" (func $js (param i32) (result i32)))
    (func $f (export "f") (param i32) (result i32) local.get 0 call $js)
    (func $g (param i32) (result i32) local.get 0 call $js)
    (func (export "h") (param i32) (result i32) (local i64 i64 i64) local.get 0 call $g call $g)
  )`;

  /// JavaScript goes down until the stack is full, and from there on each level calls the module, on its way out.
  async function visitTheEnd(levels: number, tracer?: Tracer) {
    const mine = new Error('mine');
    const outcome = { mine: 0, overflow: 0, replaced: 0 };
    let thrown = false;
    const exports = await start(
      text,
      {
        js: () => {
          thrown = true;
          throw mine;
        },
      },
      tracer,
    );
    const attempt = (name: string) => {
      thrown = false;
      try {
        exports[name](1);
      } catch (error) {
        if (error === mine) outcome.mine++;
        else if (thrown) outcome.replaced++;
        else outcome.overflow++;
      }
    };
    let left = 0;
    const down = (): void => {
      try {
        down();
      } catch {}
      if (left-- <= 0) return;
      attempt('f');
      attempt('h');
    };
    // Other sizes of the last gap each time.
    const pad = (n: number): void => (n > 0 ? pad(n - 1) : down());
    for (let round = 0; round < 60; round++) {
      left = levels;
      pad(round % 20);
    }
    return outcome;
  }

  test('the error of the program passes, and no frame stays', async () => {
    const tracer = await Tracer.create({ clock: 'counter' });
    const graph = tracer.startGraph({ bufferPages: 64 });
    const outcome = await visitTheEnd(1000, tracer);
    expect(outcome.replaced).toBe(0);
    expect(outcome.mine).toBeGreaterThan(10_000);
    expect(outcome.overflow).toBeGreaterThan(60);
    expect(tracer.frames()).toEqual([]);
    const { entries, returns, unwound, stray } = tracer.counts();
    expect(entries).toBe(returns + unwound);
    expect(stray).toBe(0);
    graph.clear();
    const exports = await start('(module (func $b) (func (export "a") call $b))', {}, tracer);
    exports.a();
    expect(nesting(graph)).toMatchObject({ complaint: undefined, entries: 2, returns: 2, deepest: 2 });
    console.log(`at the end of the stack: ${JSON.stringify(outcome)}`);
  });
});

test('references are not kept alive', async () => {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as () => void;
  const tracer = await Tracer.create({ clock: 'counter' });
  const text = `(module
    (import "m" "fail" (func $fail (param externref)))
    (func (export "pass") (param externref i32 externref) (result externref externref) local.get 2 local.get 0)
    (func $drop (export "drop") (param externref))
    (func (export "trap") (param externref) (result externref) unreachable)
    (func (export "throw") (param externref) local.get 0 call $fail)
  )`;
  const exports = await start(
    text,
    {
      fail: () => {
        throw new Error('refused');
      },
    },
    tracer,
  );
  tracer.startGraph();
  const uses: Record<string, (object: object) => unknown> = {
    pass: (object) => exports.pass(object, 1, object),
    drop: (object) => exports.drop(object),
    trap: (object) => expect(() => exports.trap(object)).toThrow(WebAssembly.RuntimeError),
    throw: (object) => expect(() => exports.throw(object)).toThrow('refused'),
  };
  for (const [name, use] of Object.entries(uses)) {
    // In a function of its own, so that no register or stack slot of this one remembers the object.
    const used = (() => {
      const object = { name };
      use(object);
      return new WeakRef(object);
    })();
    for (let turn = 0; turn < 10 && used.deref(); turn++) {
      await new Promise((resolve) => setTimeout(resolve)); // a WeakRef holds on until the end of the turn
      gc();
    }
    expect(used.deref(), name).toBeUndefined();
  }
  expect(tracer.counts().entries).toBe(4);
});
