// Users with handlers of their own, from outside: the cases of section B of spec/testcases.md under their numbers, and what a
// handler may do and must not.
//
// Not here: B17 (a direct-call hook beside the graph) needs a CPU's trampolines; test/machine has it. B10 to B16 are the
// function tracer's, test/ftrace.test.ts.

import { describe, expect, test } from 'vitest';
import { assembleText } from '../bench/shapes.ts';
import { type FgraphEvent, type FgraphOptions, type FgraphUser, Tracer } from '../src/index.ts';

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

/// The code of what `run` throws; undefined when it does not.
function codeOf(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return (error as { code?: unknown }).code ?? String(error);
  }
  return undefined;
}

describe('section B: the graph layer', () => {
  const STORED = [
    { number: 'B1', bytes: 1, value: 123n },
    { number: 'B2', bytes: 2, value: 12345n },
    { number: 'B3', bytes: 4, value: 1234567890n },
    { number: 'B4', bytes: 8, value: 1234567890123456789n },
  ];

  function store(view: DataView, bytes: number, value: bigint): void {
    for (let i = 0; i < bytes; i++) view.setUint8(i, Number((value >> BigInt(8 * i)) & 0xffn));
  }

  function stored(view: DataView, bytes: number): bigint {
    let value = 0n;
    for (let i = 0; i < bytes; i++) value |= BigInt(view.getUint8(i)) << BigInt(8 * i);
    return value;
  }

  /// A user of the start-up self test: stores a value at entry, checks it at return.
  function storing(tracer: Tracer, bytes: number, value: bigint): { user: FgraphUser; seen: unknown[] } {
    const seen: unknown[] = [];
    const user: FgraphUser = tracer.registerFgraph({
      filter: 'fa',
      entry() {
        const data = user.reserveData(bytes);
        if (data === null) throw new Error('nothing reserved');
        store(data, bytes, value);
      },
      return() {
        const data = user.retrieveData();
        if (data === null) throw new Error('nothing retrieved');
        seen.push([data.byteLength >= bytes, stored(data, bytes)]);
      },
    });
    return { user, seen };
  }

  test.each(STORED)('$number: $bytes bytes come back', async ({ bytes, value }) => {
    const { tracer, f } = await start();
    const { user, seen } = storing(tracer, bytes, value);
    f.fa(1);
    user.unregister();
    expect(user.lastError).toBe(undefined);
    expect(seen).toEqual([[true, value]]);
    f.fa(1);
    expect(seen.length).toBe(1);
  });

  test('B5: all four together, indices 4 to 7 after the singles; unregistered in reverse', async () => {
    const { tracer, f } = await start();
    for (const { bytes, value } of STORED) storing(tracer, bytes, value).user.unregister();
    const users = STORED.map(({ bytes, value }) => storing(tracer, bytes, value));
    expect(users.map(({ user }) => user.idx)).toEqual([4, 5, 6, 7]);
    f.fa(1);
    expect(users.map(({ seen }) => seen)).toEqual(STORED.map(({ value }) => [[true, value]]));
    for (const { user } of users.reverse()) user.unregister();
    f.fa(1);
    expect(users.map(({ seen }) => seen.length)).toEqual([1, 1, 1, 1]);
    expect(tracer.frames()).toEqual([]);
  });

  test('B6: the 17th user is refused, until one has gone; the index freed longest ago is next', async () => {
    const { tracer, f } = await start();
    let calls = 0;
    const options: FgraphOptions = { filter: 'fb', entry: () => void calls++ };
    const users = Array.from({ length: 16 }, () => tracer.registerFgraph(options));
    expect(users.map(({ idx }) => idx)).toEqual([...Array(16).keys()]);
    expect(() => tracer.registerFgraph(options)).toThrow(/16 are registered already.*ENOSPC/);
    expect(codeOf(() => tracer.registerFgraph(options))).toBe('ENOSPC');
    expect(codeOf(() => tracer.startGraph())).toBe('ENOSPC');
    f.fb();
    expect(calls).toBe(16);
    users[9].unregister();
    users[3].unregister();
    expect(tracer.registerFgraph(options).idx).toBe(9);
    expect(tracer.registerFgraph(options).idx).toBe(3);
    f.fb();
    expect(calls).toBe(32);
  });

  test('B7: a user that is registered cannot be registered again; one that was can', async () => {
    const { tracer, f } = await start();
    let calls = 0;
    const user = tracer.registerFgraph({ filter: 'fb', entry: () => void calls++ });
    expect(codeOf(() => tracer.registerFgraph(user))).toBe('EBUSY');
    f.fb();
    user.unregister();
    expect(user.idx).toBe(-1);
    expect(tracer.registerFgraph(user)).toBe(user);
    expect(user.idx).toBe(1);
    f.fb();
    expect(calls).toBe(2);
    const other = await start();
    user.unregister();
    expect(codeOf(() => other.tracer.registerFgraph(user))).toBe('EINVAL');
    expect(user.registered).toBe(false);
  });

  test('B8: 33 words are not to be had, and the call goes on', async () => {
    const { tracer, f } = await start();
    const given: unknown[] = [];
    let returns = 0;
    const user: FgraphUser = tracer.registerFgraph({
      filter: 'fa',
      entry() {
        given.push(user.reserveData(33 * 8), user.reserveData(2 ** 32 + 8), user.reserveData(1e300));
        given.push(user.reserveData(256)?.byteLength);
      },
      return() {
        returns++;
        given.push(user.retrieveData()?.byteLength);
      },
    });
    expect(f.fa(7)).toBe(7);
    expect([given, returns, user.errors]).toEqual([[null, null, null, 256, 256], 1, 0]);
  });

  test('B9: the user of slot 0 hears nothing of what another one accepted', async () => {
    const { tracer, f } = await start();
    const heard: string[] = [];
    const note = (who: string, filter: string): FgraphOptions => ({
      filter,
      entry: (event) => void heard.push(`${who} ${event.name}`),
      return: (event) => void heard.push(`${who} /${event.name}`),
    });
    expect(tracer.registerFgraph(note('A', 'fa')).idx).toBe(0);
    tracer.registerFgraph(note('B', 'fb'));
    f.fb();
    expect(heard).toEqual(['B fb', 'B /fb']);
  });

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
