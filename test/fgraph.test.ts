// Users with handlers of their own, from outside: the cases of section B of spec/testcases.md under their numbers, and what a
// handler may do and must not.
//
// Not here: B17 (a direct-call hook beside the graph) needs a CPU's trampolines; test/machine has it.

import { describe, expect, test } from 'vitest';
import { assembleText } from '../bench/shapes.ts';
import { type FgraphEvent, type FgraphOptions, type FgraphUser, Tracer } from '../src/index.ts';
import { codeOf, sectionB } from './section-b.ts';

type Func = (...args: unknown[]) => unknown;

// fa → fc; fb; `types` has a parameter of each kind; `tail` leaves through a tail call; `pass` → `mid` → `bottom` → throw.
const PROGRAM = `(module
  (import "js" "throw" (func $throw))
  (import "js" "look" (func $look))
  (func $fc)
  (func $fa (export "fa") (param i32) (result i32) (call $fc) (call $look) (local.get 0))
  (func $fb (export "fb"))
  (func $types (export "types") (param i32 i64 f32 f64 externref) (result f64) (local.get 3))
  (func $tail (export "tail") (return_call $fb))
  (func $bottom (call $throw))
  (func $mid (call $bottom))
  (func $pass (export "pass") (call $mid))
  (func $deep (export "deep") (param i32)
    (if (local.get 0) (then (call $deep (i32.sub (local.get 0) (i32.const 1))))))
  (func $trap (export "trap") unreachable))`;

const THROWN = new Error('thrown by the import');

interface Started {
  tracer: Tracer;
  f: Record<string, Func>;
  /// What the import `look` does.
  imports: { look: () => void };
}

async function start(stackWords?: number): Promise<Started> {
  const tracer = await Tracer.create({ clock: 'counter', stackWords });
  const imports = { look: () => {} };
  const { instance } = await tracer.instantiate(await assembleText('users', PROGRAM), {
    js: {
      throw() {
        throw THROWN;
      },
      look: () => imports.look(),
    },
  });
  return { tracer, f: instance.exports as Record<string, Func>, imports };
}

sectionB('wasm', async () => {
  const { tracer, f } = await start();
  return { tracer, call: { fa: (value) => f.fa(value) as number, fb: () => void f.fb() } };
});

describe('section B, as it is in WebAssembly', () => {
  test('B18: a stack trace taken inside shows the callers', async () => {
    const { tracer, f, imports } = await start();
    let stack = '';
    imports.look = () => {
      stack = new Error('here').stack ?? '';
    };
    tracer.registerFgraph({ entry: () => true, return: () => {} });
    (function caller() {
      f.fa(1);
    })();
    expect(stack).toContain('caller');
    expect(stack).toMatch(/wasm-function\[\d+\]/);
    expect(tracer.frames()).toEqual([]);
  });

  test('B19: a tail call', async () => {
    const { tracer, f } = await start();
    const heard: string[] = [];
    tracer.registerFgraph({
      filter: ['tail', 'fb'],
      entry: (event) => void heard.push(`${event.name} ${event.depth}`),
      return: (event) => void heard.push(`/${event.name}`),
    });
    f.tail();
    // WebAssembly has no return slot to share: the frame of `tail` is left before `fb` is entered.
    expect(heard).toEqual(['tail 0', '/tail', 'fb 0', '/fb']);
    expect(tracer.counts()).toMatchObject({ entries: 2, returns: 2, unwound: 0 });
  });

  test('B20: an exception through three frames', async () => {
    const { tracer, f } = await start();
    const heard: string[] = [];
    tracer.registerFgraph({
      filter: ['pass', 'mid', 'bottom', 'fb'],
      entry: (event) => void heard.push(event.name),
      return: (event) => void heard.push(`/${event.name}`),
    });
    expect(() => f.pass()).toThrow(THROWN);
    expect(tracer.counts()).toMatchObject({ entries: 3, returns: 0, unwound: 3 });
    f.fb();
    expect(heard).toEqual(['pass', 'mid', 'bottom', 'fb', '/fb']);
    expect(tracer.frames()).toEqual([]);
  });
});

describe('what a handler is told', () => {
  test('event: site, address, depth, parent', async () => {
    const { tracer, f } = await start();
    const [target] = tracer.targets;
    const site = (name: string) => target.sites.find((candidate) => candidate.name === name)!;
    const heard: unknown[] = [];
    const note = (event: FgraphEvent): void => {
      heard.push([event.name, event.func, event.site, event.depth, event.parent, event.retp === 0, event.overrun]);
    };
    tracer.registerFgraph({ filter: ['fa', 'fc'], entry: note, return: note });
    f.fa(3);
    const [fa, fc] = [site('fa'), site('fc')];
    const outer = ['fa', fa.ip, fa, 0, 0, true, 0];
    const inner = ['fc', fc.ip, fc, 1, fa.ip, false, 0];
    expect(heard).toEqual([outer, inner, inner, outer]);
    expect(Number.isSafeInteger(fa.ip)).toBe(true);
  });

  test('registers: arguments at entry, the result at return, by their types', async () => {
    const { tracer, f } = await start();
    const heard: unknown[] = [];
    const user = tracer.registerFgraph({
      filter: 'types',
      entry(event, fregs) {
        for (let n = 0; n < 7; n++) heard.push(fregs.argument(n));
        heard.push(fregs.returnValue(), fregs.instructionPointer === event.func);
      },
      return(_event, fregs) {
        heard.push(fregs.returnValue(), fregs.argument(0));
      },
    });
    f.types(-5, -(2n ** 63n), 1.5, Math.PI, {});
    expect(user.errors).toBe(0);
    const args = [-5, -(2n ** 63n), 1.5, Math.PI, undefined, undefined, undefined];
    expect(heard).toEqual([...args, undefined, true, Math.PI, undefined]);
  });

  test('a module without arguments says that there are none', async () => {
    const tracer = await Tracer.create();
    const { instance } = await tracer.instantiate(
      await assembleText('plain', '(module (func (export "f") (param i32) (result i32) (local.get 0)))'),
      {},
      { args: false },
    );
    const heard: unknown[] = [];
    tracer.registerFgraph({
      entry: (_event, fregs) => void heard.push(fregs.argument(0)),
      return: (_event, fregs) => void heard.push(fregs.returnValue()),
    });
    (instance.exports as Record<string, Func>).f(1);
    expect(heard).toEqual([undefined, undefined]);
  });

  test('neither can be read later', async () => {
    const { tracer, f } = await start();
    const kept: unknown[] = [];
    tracer.registerFgraph({ filter: 'fb', entry: (event, fregs) => void kept.push(event, fregs) });
    f.fb();
    const [event, fregs] = kept as Parameters<NonNullable<FgraphOptions['entry']>>;
    for (const field of ['site', 'name', 'func', 'depth', 'parent', 'retp', 'overrun'] as const) {
      expect(codeOf(() => event[field as never])).toBe('EINVAL');
    }
    expect(() => (fregs as unknown as { argument(n: number): unknown }).argument(0)).toThrow(/handler/);
  });

  test('`this` is the options object', async () => {
    const { tracer, f } = await start();
    const options = {
      filter: 'fb',
      entry(this: unknown) {
        return this === options;
      },
      return() {
        returns++;
      },
    };
    let returns = 0;
    tracer.registerFgraph(options);
    f.fb();
    expect(returns).toBe(1);
  });

  test.each([
    [false, 0],
    [0, 0],
    [undefined, 1],
    [null, 1],
    [true, 1],
    [1, 1],
    ['', 1],
  ])('an entry that returns %o: %i returns', async (result, expected) => {
    const { tracer, f } = await start();
    let returns = 0;
    const user: FgraphUser = tracer.registerFgraph({
      filter: 'fb',
      entry() {
        user.reserveData(8);
        return result;
      },
      return: () => void returns++,
    });
    f.fb();
    expect(returns).toBe(expected);
    expect(tracer.counts().entries).toBe(expected);
  });
});
