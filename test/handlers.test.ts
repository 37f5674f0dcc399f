// What users' handlers may do in the middle of somebody else's call, and what they must not be able to: throw into the program,
// lose its frames, write where nothing of theirs is any more.

import { describe, expect, test } from 'vitest';
import { assembleText } from '../bench/shapes.ts';
import { type FgraphEvent, type FgraphOptions, type FgraphUser, Tracer } from '../src/index.ts';

type Func = (...args: unknown[]) => unknown;

// outer → middle → inner; the three exports are called from outside too.
const PROGRAM = `(module
  (import "js" "look" (func $look))
  (func $inner (export "inner") (param i32) (result i32) (call $look) (local.get 0))
  (func $middle (export "middle") (param i32) (result i32) (call $inner (local.get 0)))
  (func $outer (export "outer") (param i32) (result i32) (call $middle (local.get 0)))
  (func $trap (export "trap") unreachable))`;

async function start() {
  const tracer = await Tracer.create({ clock: 'counter' });
  const imports = { look: () => {} };
  const { instance } = await tracer.instantiate(await assembleText('handlers', PROGRAM), {
    js: { look: () => imports.look() },
  });
  return { tracer, f: instance.exports as Record<string, Func>, imports };
}

const BALANCED = { unwound: 0, overrun: 0, stray: 0 };

describe('failures of handlers', () => {
  const ERROR = new Error('a bug in a handler');
  const fail = () => {
    throw ERROR;
  };

  test('an entry that throws is counted and refuses; others are called, the program goes on', async () => {
    const { tracer, f } = await start();
    let returns = 0;
    const bad = tracer.registerFgraph({ entry: fail, return: () => void returns++ });
    const good = tracer.registerFgraph({ return: () => void returns++ });
    expect(f.outer(5)).toBe(5);
    expect([bad.errors, bad.lastError, good.errors, good.lastError]).toEqual([3, ERROR, 0, undefined]);
    expect(returns).toBe(3);
    expect(tracer.counts()).toEqual({ entries: 3, returns: 3, ...BALANCED });
    expect(tracer.frames()).toEqual([]);
  });

  test('a return that throws is counted', async () => {
    const { tracer, f } = await start();
    const bad = tracer.registerFgraph({ return: fail });
    let returns = 0;
    tracer.registerFgraph({ return: () => void returns++ });
    expect(f.outer(5)).toBe(5);
    expect([bad.errors, bad.lastError, returns]).toEqual([3, ERROR, 3]);
    expect(tracer.counts()).toEqual({ entries: 3, returns: 3, ...BALANCED });
  });

  test('a promise is a failure, and its rejection is nobody else’s', async () => {
    const { tracer, f } = await start();
    const rejections: unknown[] = [];
    const onRejection = (reason: unknown) => rejections.push(reason);
    process.on('unhandledRejection', onRejection);
    let returns = 0;
    const user = tracer.registerFgraph({
      name: 'slow',
      filter: 'inner',
      async entry() {
        throw ERROR;
      },
      return: () => void returns++,
    });
    f.outer(1);
    await new Promise((resolve) => setTimeout(resolve, 5));
    process.off('unhandledRejection', onRejection);
    expect([user.errors, returns, rejections]).toEqual([1, 0, []]);
    expect(String(user.lastError)).toMatch(/entry handler of slow returned a promise.*EINVAL/);
  });

  test.each([
    ['a thenable that throws', Object.defineProperty({}, 'then', { value: fail })],
    ['a thenable that cannot be looked at', Object.defineProperty({}, 'then', { get: fail })],
  ])('%s', async (_, result) => {
    const { tracer, f } = await start();
    const user = tracer.registerFgraph({ filter: 'inner', entry: () => result });
    expect(f.outer(2)).toBe(2);
    expect(user.errors).toBe(1);
  });

  test('a handler that never ends its recursion', async () => {
    const { tracer, f } = await start();
    const recurse = (): number => 1 + recurse();
    const user = tracer.registerFgraph({ filter: 'inner', entry: recurse });
    expect(f.outer(2)).toBe(2);
    expect(user.errors).toBe(1);
    expect(user.lastError).toBeInstanceOf(RangeError);
    expect(f.outer(2)).toBe(2);
    expect(tracer.frames()).toEqual([]);
  });

  test('a handler whose own call of the program traps', async () => {
    const { tracer, f } = await start();
    const user = tracer.registerFgraph({ filter: 'inner', return: () => void f.trap() });
    tracer.registerFgraph({ filter: 'trap', return: () => {} });
    expect(f.outer(2)).toBe(2);
    expect(user.lastError).toBeInstanceOf(WebAssembly.RuntimeError);
    expect(tracer.counts()).toMatchObject({ entries: 2, returns: 1, unwound: 1, stray: 0 });
    expect(tracer.frames()).toEqual([]);
  });
});

describe('calls and changes from inside of handlers', () => {
  test('a handler that calls what it watches runs once more, not for ever', async () => {
    const { tracer, f } = await start();
    const heard: string[] = [];
    const user: FgraphUser = tracer.registerFgraph({
      filter: 'inner',
      entry(event) {
        const before = [event.name, event.depth, user.reserveData(8)!.byteLength];
        f.inner(1);
        heard.push(`${before} ${event.name} ${event.depth}`);
      },
      return: (event) => void heard.push(`/${event.depth}`),
    });
    f.inner(1);
    expect(user.errors).toBe(0);
    expect(heard).toEqual(['inner,1,8 inner 1', '/1', 'inner,0,8 inner 0', '/0']);
    expect(tracer.counts()).toEqual({ entries: 2, returns: 2, ...BALANCED });
  });

  test('unregistering oneself in the entry: no return, the frame is gone, another user goes on', async () => {
    const { tracer, f } = await start();
    const heard: string[] = [];
    const once: FgraphUser = tracer.registerFgraph({
      entry(event) {
        heard.push(event.name);
        expect(user.retrieveData()).toBe(null);
        once.unregister();
        expect(codeOf(() => once.reserveData(8))).toBe('ENODEV');
        heard.push(event.name); // still good
        return true;
      },
      return: () => void heard.push('never'),
    });
    const user = tracer.registerFgraph({ filter: 'outer', return: (event) => void heard.push(`/${event.name}`) });
    f.outer(1);
    expect(heard).toEqual(['outer', 'outer', '/outer']);
    expect([once.errors, once.registered]).toEqual([0, false]);
    once.unregister();
    expect(tracer.counts()).toEqual({ entries: 1, returns: 1, ...BALANCED });
  });

  test('an index that is freed and taken in the middle of a call: the newcomer hears nothing of it', async () => {
    const { tracer, f, imports } = await start();
    const heard: string[] = [];
    // 16 users, so that the index that becomes free is the one that is taken next.
    const fill = Array.from({ length: 15 }, () => tracer.registerFgraph({ filter: 'nothing', entry: () => true }));
    const old: FgraphUser = tracer.registerFgraph({
      entry: () => void old.reserveData(8)?.setUint8(0, 77),
      return: () => void heard.push('old'),
    });
    const index = old.idx;
    let young: FgraphUser | undefined;
    imports.look = () => {
      old.unregister();
      young = tracer.registerFgraph({
        entry: (event) => void heard.push(`young ${event.name}`),
        return: () => void heard.push('young'),
      });
      expect(young.idx).toBe(index);
      expect(young.retrieveData()).toBe(null);
      expect(young.retrieveData(1)).toBe(null);
    };
    f.outer(1);
    expect(heard).toEqual([]);
    expect(fill.length).toBe(15);
    imports.look = () => {};
    f.inner(1);
    expect(heard).toEqual(['young inner', 'young']);
  });

  test('registered in an entry handler: with a higher index, he hears of that very entry', async () => {
    const { tracer, f } = await start();
    const heard: string[] = [];
    const first: FgraphUser = tracer.registerFgraph({
      filter: 'middle',
      entry() {
        first.unregister();
        tracer.registerFgraph({
          entry: (event) => void heard.push(event.name),
          return: (event) => void heard.push(`/${event.name}`),
        });
      },
    });
    f.outer(1);
    expect(heard).toEqual(['middle', 'inner', '/inner', '/middle']);
  });

  test('a filter that is changed while calls are under way', async () => {
    const { tracer, f, imports } = await start();
    const heard: string[] = [];
    const user = tracer.registerFgraph({
      filter: ['outer', 'inner'],
      entry: (event) => void heard.push(event.name),
      return: (event) => void heard.push(`/${event.name}`),
    });
    expect(user.matched).toBe(2);
    imports.look = () => {
      imports.look = () => {};
      expect(user.setFilter('mid*')).toBe(1);
      f.outer(1);
    };
    f.outer(1);
    expect(heard).toEqual(['outer', 'inner', 'middle', '/middle', '/inner', '/outer']);
    heard.length = 0;
    expect([user.setFilter(), user.setNotrace(['*er', 'trap'])]).toEqual([4, 1]);
    f.outer(1);
    expect(heard).toEqual(['middle', '/middle']);
    expect([user.setNotrace(), user.setFilter('no such function')]).toEqual([4, 0]);
    expect([user.filter, user.notrace, user.matched]).toEqual(['no such function', undefined, 0]);
    heard.length = 0;
    f.outer(1);
    expect(heard).toEqual([]);
    expect(() => user.setFilter(['outer', 7] as never)).toThrow(/filter\[1\] is 7/);
    expect(user.filter).toBe('no such function');
    expect(tracer.counts()).toMatchObject(BALANCED);
  });

  test('a filter that is changed before a user is registered again', async () => {
    const { tracer, f } = await start();
    const heard: string[] = [];
    const user = tracer.registerFgraph({ filter: 'outer', entry: (event) => void heard.push(event.name) });
    user.unregister();
    expect([user.setFilter(), user.setNotrace(['*er', 'trap'])]).toEqual([4, 1]);
    f.outer(1);
    expect([tracer.enabledFunctions(), heard]).toEqual([[], []]);
    expect(tracer.registerFgraph(user).matched).toBe(1);
    f.outer(1);
    expect(heard).toEqual(['middle']);
  });

  test('gates follow: what nobody wants any more is not entered', async () => {
    const { tracer, f } = await start();
    const user = tracer.registerFgraph({ filter: 'inner', entry: () => true });
    const graph = tracer.startGraph({ filter: 'middle' });
    expect(graph.setFilter('outer')).toBe(1);
    f.outer(1);
    expect(graph.read()).toMatch(/outer\(\);/);
    expect(graph.read()).not.toMatch(/middle/);
    user.setNotrace('inner');
    const { entries } = tracer.counts();
    f.inner(1);
    expect(tracer.counts().entries).toBe(entries);
    const profile = tracer.startProfile({ filter: 'inner' });
    expect(profile.setNotrace('inner')).toBe(0);
    f.inner(1);
    expect(profile.rows()).toEqual([]);
    profile.setNotrace();
    f.inner(1);
    expect(profile.rows().map(({ name }) => name)).toEqual(['inner']);
  });
});

/// The code of what `run` throws; undefined when it does not.
function codeOf(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return (error as { code?: unknown }).code ?? String(error);
  }
  return undefined;
}

describe('data', () => {
  test('of frames further down, changed at return (as the profiler does)', async () => {
    const { tracer, f } = await start();
    const sums: number[] = [];
    const user: FgraphUser = tracer.registerFgraph({
      entry: () => user.reserveData(16)!.setFloat64(0, 0),
      return() {
        const own = user.retrieveData()!;
        const parent = user.retrieveData(1);
        sums.push(own.getFloat64(0));
        expect(user.retrieveData(1)).toBe(parent);
        parent?.setFloat64(0, parent.getFloat64(0) + own.getFloat64(0) + 1);
        expect(user.retrieveData(2)?.byteLength ?? null).toBe(sums.length === 1 ? 16 : null);
      },
    });
    f.outer(1);
    expect(user.lastError).toBe(undefined);
    expect(sums).toEqual([0, 1, 2]);
  });

  test('in between, outside of a handler: a copy', async () => {
    const { tracer, f, imports } = await start();
    const seen: unknown[] = [];
    const user: FgraphUser = tracer.registerFgraph({
      filter: 'outer',
      entry: () => user.reserveData(8)!.setUint32(0, 42),
      return: () => void seen.push(user.retrieveData()!.getUint32(0)),
    });
    imports.look = () => {
      seen.push(user.retrieveData()!.getUint32(0));
      user.retrieveData()!.setUint32(0, 1);
      seen.push(codeOf(() => user.reserveData(8)));
    };
    f.outer(1);
    expect(seen).toEqual([42, 'EINVAL', 42]);
    expect(user.retrieveData()).toBe(null);
  });

  test('a view that is kept reaches nothing any more', async () => {
    const { tracer, f } = await start();
    const kept: DataView[] = [];
    const seen: number[] = [];
    const user: FgraphUser = tracer.registerFgraph({
      entry() {
        const data = user.reserveData(256)!;
        data.setUint32(0, 7);
        kept.push(data);
      },
      return() {
        for (const view of kept) for (let i = 0; i < view.byteLength; i++) view.setUint8(i, 0xff);
        seen.push(user.retrieveData()!.getUint32(0));
      },
    });
    expect(f.outer(1)).toBe(1);
    for (const view of kept) for (let i = 0; i < view.byteLength; i++) view.setUint8(i, 0xff);
    expect(f.outer(1)).toBe(1);
    expect(seen).toEqual([7, 7, 7, 7, 7, 7]);
    expect(tracer.counts()).toEqual({ entries: 6, returns: 6, ...BALANCED });
  });

  test('a second reservation is refused; what a refusing entry reserved is gone', async () => {
    const { tracer, f } = await start();
    const seen: unknown[] = [];
    const user: FgraphUser = tracer.registerFgraph({
      filter: 'inner',
      entry: () => void seen.push(user.reserveData(8)?.byteLength, user.reserveData(8)),
    });
    const refusing: FgraphUser = tracer.registerFgraph({
      filter: 'inner',
      entry: () => refusing.reserveData(8) === null,
    });
    const last: FgraphUser = tracer.registerFgraph({
      filter: 'inner',
      return: () => void seen.push(refusing.retrieveData(), user.retrieveData()?.byteLength, last.retrieveData()),
    });
    f.inner(1);
    expect(seen).toEqual([8, null, null, 8, null]);
  });

  test('the outer handler’s data and those of a handler nested in it', async () => {
    const { tracer, f } = await start();
    const seen: string[] = [];
    let nested = false;
    const user: FgraphUser = tracer.registerFgraph({
      filter: 'inner',
      entry() {
        const data = user.reserveData(8)!;
        data.setUint32(0, nested ? 2 : 1);
        if (nested) return;
        nested = true;
        f.inner(1);
        nested = false;
        seen.push(`outer ${data.getUint32(0)} ${data.getUint32(4)}`);
      },
      return() {
        const own = user.retrieveData()!.getUint32(0);
        const below = user.retrieveData(1);
        below?.setUint32(4, 99); // the view that the outer handler holds right now
        seen.push(`${own} ${below?.getUint32(0)}`);
      },
    });
    f.inner(1);
    expect(user.lastError).toBe(undefined);
    expect(seen).toEqual(['2 1', 'outer 1 99', '1 undefined']);
  });

  test('task variable', async () => {
    const { tracer, f } = await start();
    const user: FgraphUser = tracer.registerFgraph({ entry: () => void user.taskVar++ });
    expect(user.taskVar).toBe(0);
    f.outer(1);
    expect(user.taskVar).toBe(3);
    user.taskVar = Number.MAX_SAFE_INTEGER;
    expect(user.taskVar).toBe(Number.MAX_SAFE_INTEGER);
    for (const bad of [-1, 1.5, Number.NaN, 2 ** 53, '3', null, 1n]) {
      expect(codeOf(() => Object.assign(user, { taskVar: bad }))).toBe('EINVAL');
    }
    expect(user.taskVar).toBe(Number.MAX_SAFE_INTEGER);
    user.unregister();
    expect(codeOf(() => user.taskVar)).toBe('ENODEV');
    expect(codeOf(() => Object.assign(user, { taskVar: 1 }))).toBe('ENODEV');
    tracer.registerFgraph(user);
    expect(user.taskVar).toBe(0);
  });
});

describe('handlers that are WebAssembly', () => {
  // Counts in its own memory; keeps the site on the shadow stack and compares it at return; traps on demand.
  const HANDLERS = `(module
    (import "fprobe" "reserve" (func $reserve (param i32 i32) (result i32)))
    (import "fprobe" "retrieve" (func $retrieve (param i32) (result i32)))
    (import "fprobe" "memory" (memory 4 32768))
    (global $entries (export "entries") (mut i32) (i32.const 0))
    (global $matching (export "matching") (mut i32) (i32.const 0))
    (func (export "entry") (param $user i32) (param $site i32) (param $frame i32) (param $fregs i32) (result i32)
      (local $data i32)
      (global.set $entries (i32.add (global.get $entries) (i32.const 1)))
      (local.set $data (call $reserve (local.get $user) (i32.const 8)))
      (if (i32.eqz (local.get $data)) (then (return (i32.const 0))))
      (i32.store (local.get $data) (local.get $site))
      (i32.const 1))
    (func (export "return") (param $user i32) (param $site i32) (param $frame i32) (param $fregs i32) (result i32)
      (if (i32.eq (i32.load (call $retrieve (local.get $user))) (local.get $site))
        (then (global.set $matching (i32.add (global.get $matching) (i32.const 1)))))
      (i32.const 0))
    (func (export "traps") (param i32 i32 i32 i32) (result i32) unreachable)
    (func (export "other") (param i32) (result i32) (local.get 0)))`;

  async function handlers(tracer: Tracer) {
    const bytes = await assembleText('wasm handlers', HANDLERS);
    const { instance } = await WebAssembly.instantiate(bytes, { fprobe: tracer.engine });
    return instance.exports as Record<string, never> & { entries: { value: number }; matching: { value: number } };
  }

  test.each([false, true])('entry, data and return; guarded: %s', async (guarded) => {
    const { tracer, f } = await start();
    const h = await handlers(tracer);
    const user = tracer.registerFgraph({ entry: h.entry, return: h.return, guarded });
    f.outer(1);
    expect([h.entries.value, h.matching.value, user.errors]).toEqual([3, 3, 0]);
    user.unregister();
    f.outer(1);
    expect(h.entries.value).toBe(3);
    const { length } = tracer.engine.table;
    tracer.registerFgraph(user);
    f.outer(1);
    expect([h.entries.value, h.matching.value]).toEqual([6, 6]);
    expect(tracer.engine.table.length).toBe(length); // entries of the table are used again
  });

  test('one of WebAssembly, the other of JavaScript', async () => {
    const { tracer, f } = await start();
    const h = await handlers(tracer);
    let returns = 0;
    tracer.registerFgraph({ entry: h.entry, return: () => void returns++ });
    f.outer(1);
    expect([h.entries.value, returns]).toEqual([3, 3]);
  });

  test('a trap: of the program, or caught and counted when guarded', async () => {
    const { tracer, f } = await start();
    const h = await handlers(tracer);
    const guarded = tracer.registerFgraph({ filter: 'inner', return: h.traps, guarded: true });
    expect(f.outer(3)).toBe(3);
    expect([guarded.errors, String(guarded.lastError)]).toEqual([1, expect.stringMatching(/RuntimeError/)]);
    guarded.unregister();
    const user = tracer.registerFgraph({ filter: 'inner', return: h.traps });
    let returns = 0;
    tracer.registerFgraph({ filter: 'outer', return: () => void returns++ });
    expect(() => f.outer(3)).toThrow(WebAssembly.RuntimeError);
    expect([user.errors, returns]).toEqual([0, 0]);
    expect(tracer.frames()).toEqual([]);
    user.unregister();
    expect(f.outer(3)).toBe(3);
    expect(returns).toBe(1);
  });

  test('a function of another type is refused before anything would call it', async () => {
    const { tracer, f } = await start();
    const h = await handlers(tracer);
    expect(codeOf(() => tracer.registerFgraph({ entry: h.other }))).toBe('EINVAL');
    expect(() => tracer.registerFgraph({ return: h.other })).toThrow(
      /return is a WebAssembly function of another type/,
    );
    expect(f.outer(1)).toBe(1);
  });
});

describe('bad input', () => {
  const nothing: unknown[] = [undefined, null, 7, 'x', 5n, true, [], () => {}, {}, new Date(), Symbol('s')];
  const entry = () => true;

  test.each([
    ...nothing.map((options) => ['options', options]),
    ...[null, 7, 'x', {}, [], true].flatMap((value) => [
      ['entry', { entry: value }],
      ['return', { return: value }],
      ['return beside an entry', { entry, return: value }],
    ]),
    ...[null, 7, {}, Symbol('s')].map((name) => ['name', { entry, name }]),
    ...[null, 7, 'yes', {}].map((guarded) => ['guarded', { entry, guarded }]),
    ...[null, 7, {}, [7], [null], true].flatMap((filter) => [
      ['filter', { entry, filter }],
      ['notrace', { entry, notrace: filter }],
    ]),
    ['a misspelt option', { entry, filters: 'x' }],
  ])('%s: %o', async (_, options) => {
    const { tracer, f } = await start();
    expect(codeOf(() => tracer.registerFgraph(options as FgraphOptions))).toBe('EINVAL');
    expect(tracer.registerFgraph({ entry }).idx).toBe(0); // no index was lost
    expect(f.outer(1)).toBe(1);
  });

  test.each([0, -1, -8, 0.5, 8.5, Number.NaN, Number.POSITIVE_INFINITY, '8', null, undefined, 8n, {}, [8]])(
    'reserveData(%o), retrieveData(%o)',
    async (size) => {
      const { tracer, f } = await start();
      const codes: unknown[] = [];
      const user: FgraphUser = tracer.registerFgraph({
        filter: 'inner',
        entry() {
          codes.push(codeOf(() => user.reserveData(size as number)));
          if (size !== 0 && size !== undefined) codes.push(codeOf(() => user.retrieveData(size as number)));
        },
      });
      expect(f.outer(1)).toBe(1);
      for (const code of codes) expect(code).toBe('EINVAL');
      expect(user.errors).toBe(0);
    },
  );

  test('a handle in the hands of another tracer, or of another user’s handler', async () => {
    const [one, two] = [await start(), await start()];
    const seen: unknown[] = [];
    const mine: FgraphUser = one.tracer.registerFgraph({ filter: 'inner', entry: () => void mine.reserveData(8) });
    const theirs: FgraphUser = one.tracer.registerFgraph({
      filter: 'inner',
      entry() {
        seen.push(codeOf(() => mine.reserveData(8)));
        mine.retrieveData()?.setUint32(0, 1); // a copy, since it is not his
      },
    });
    two.tracer.registerFgraph({
      filter: 'inner',
      entry: () =>
        void seen.push(
          codeOf(() => theirs.reserveData(8)),
          theirs.retrieveData(),
        ),
    });
    one.f.inner(1);
    two.f.inner(1);
    expect(seen).toEqual(['EINVAL', 'EINVAL', null]);
  });

  test('methods taken off their object', async () => {
    const { tracer } = await start();
    const { unregister, reserveData, setFilter } = tracer.registerFgraph({ entry });
    for (const method of [unregister, reserveData, setFilter]) expect(method).toThrow(TypeError);
  });

  test('huge frame numbers', async () => {
    const { tracer, f } = await start();
    const seen: unknown[] = [];
    const user: FgraphUser = tracer.registerFgraph({
      entry() {
        user.reserveData(8);
        seen.push(user.retrieveData(2 ** 32), user.retrieveData(2 ** 32 - 1), user.retrieveData(1e300));
      },
    });
    f.inner(1);
    expect(seen).toEqual([null, null, null]);
  });

  test('an event that is kept and read for another call', async () => {
    const { tracer, f } = await start();
    const events = new Set<FgraphEvent>();
    tracer.registerFgraph({ entry: (event) => void events.add(event) });
    f.outer(1);
    expect(events.size).toBe(1);
    for (const event of events) expect(codeOf(() => event.depth)).toBe('EINVAL');
  });
});
