// Clients of function entries: parents, and what handlers may do. B10 to B16 of spec/testcases.md are in section-b.ts.

import { describe, expect, test } from 'vitest';
import { assembleText } from '../bench/shapes.ts';
import { type FtraceOps, type FtraceOptions, Tracer } from '../src/index.ts';

type Func = (...args: unknown[]) => unknown;

const PROGRAM = `(module
  (import "js" "look" (func $look))
  (func $fa (export "fa") (param i32) (result i32) (call $look) (local.get 0))
  (func $fb (export "fb") (result i32) (call $fa (i32.const 7)))
  (func $fc (export "fc") (result i32) (call $fb))
  (func $fd (export "fd")))`;

async function start() {
  const tracer = await Tracer.create({ clock: 'counter' });
  const imports = { look: () => {} };
  const { instance } = await tracer.instantiate(await assembleText('ftrace', PROGRAM), {
    js: { look: () => imports.look() },
  });
  const [target] = tracer.targets;
  const ip = (name: string) => target.sites.find((site) => site.name === name)!.ip;
  return { tracer, f: instance.exports as Record<string, Func>, imports, ip };
}

function codeOf(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return (error as { code?: unknown }).code ?? String(error);
  }
  return undefined;
}

test('full registers: there are none in WebAssembly (spec/fgraph.md §1.2, §14)', async () => {
  const tracer = await Tracer.create();
  const early = tracer.registerFtrace({ name: 'early', saveRegs: true, call: () => {} }); // nothing to be seen yet
  const text = '(module (func $f (export "f")) (func $g (export "g")))';
  const { instance } = await tracer.instantiate(await assembleText('full', text));
  expect([early.registered, tracer.enabledFunctions()]).toEqual([true, []]); // the test of its filter says no
  const options = { name: 'late', filter: 'f', saveRegs: true, call: () => {} } as const;
  expect(() => tracer.registerFtrace(options)).toThrow(
    expect.objectContaining({
      code: 'EINVAL',
      message: expect.stringMatching(/late: .* at f; pass saveRegs: 'if-supp/),
    }),
  );
  for (const filter of ['f', undefined]) {
    expect(() => early.setFilter(filter)).toThrow(expect.objectContaining({ code: 'EINVAL' }));
  }
  expect([early.setFilter('nothing'), early.filter]).toEqual([0, 'nothing']);
  let calls = 0;
  tracer.registerFtrace({ saveRegs: 'if-supported', call: () => void calls++ });
  (instance.exports.f as () => void)();
  expect(calls).toBe(1);
  for (const saveRegs of [1, 'yes', null, {}]) {
    expect(() => tracer.registerFtrace({ ...options, saveRegs: saveRegs as boolean })).toThrow(
      /saveRegs is .*, expected true, false or 'if-supported'/,
    );
  }
});

test('one function filtered: no call of others, exactly one of it', async () => {
  const { tracer, f } = await start();
  let calls = 0;
  tracer.registerFtrace({ filter: 'fd', call: () => void calls++ });
  f.fc();
  expect(calls).toBe(0);
  f.fd();
  expect(calls).toBe(1);
});

describe('what it is told', () => {
  test('ip, parentIp, arguments', async () => {
    const { tracer, f, ip } = await start();
    const heard: unknown[] = [];
    const ops = tracer.registerFtrace({
      notrace: 'fd',
      call: (at, parent, fregs) => void heard.push([at, parent, fregs.argument(0), fregs.returnValue()]),
    });
    f.fc();
    expect(ops.errors).toBe(0);
    expect(heard).toEqual([
      [ip('fc'), 0, undefined, undefined],
      [ip('fb'), ip('fc'), undefined, undefined],
      [ip('fa'), ip('fb'), 7, undefined],
    ]);
    expect(ops.matched).toBe(3);
  });

  test('parents are the nearest that anybody watches', async () => {
    const { tracer, f, ip } = await start();
    const heard: unknown[] = [];
    const ops = tracer.registerFtrace({ filter: ['fc', 'fa'], call: (at, parent) => void heard.push([at, parent]) });
    f.fc();
    expect(heard).toEqual([
      [ip('fc'), 0],
      [ip('fa'), ip('fc')],
    ]);
    heard.length = 0;
    const other = tracer.registerFtrace({ filter: 'fb', call: () => {} });
    f.fc();
    expect(heard[1]).toEqual([ip('fa'), ip('fb')]);
    other.setFilter('fd');
    f.fc();
    expect(heard[3]).toEqual([ip('fa'), ip('fc')]);
    other.unregister();
    ops.setFilter('fa');
    f.fc();
    expect(heard[4]).toEqual([ip('fa'), 0]);
  });

  test('without parents no frame is kept; those of graph users serve', async () => {
    const { tracer, f, ip } = await start();
    const heard: unknown[] = [];
    tracer.registerFtrace({ parents: false, call: (_at, parent) => void heard.push(parent) });
    f.fc();
    expect(heard).toEqual([0, 0, 0]);
    expect(tracer.counts().entries).toBe(0);
    tracer.startGraph({ filter: 'fc' });
    f.fc();
    expect(heard.slice(3)).toEqual([0, ip('fc'), ip('fc')]);
  });

  test('a refusal says who has the users, those too whom nobody registered by name', async () => {
    const { tracer } = await start();
    tracer.startFunction();
    tracer.registerFtrace({ call: () => {} });
    tracer.registerFprobe({ filter: 'fa', exit: () => {} });
    tracer.registerFprobe({ filter: 'fb', exit: () => {} });
    tracer.startProfile();
    for (let k = 0; k < 11; k++) tracer.registerFgraph({ entry: () => true });
    tracer.startGraph({ bufferPages: 1 });
    tracer.startLatency('wakeup');
    const who =
      '16 are registered already (for callers, of all ops and function tracers together: 1; ' +
      'for all probes that see returns together: 1; profiles: 1; with handlers: 12; graphs: 1), unregister one first';
    expect(() => tracer.startGraph()).toThrow(`cannot register a function-graph user: ${who} (ENOSPC)`);
  });

  test('frames of callers take one user for all ops together', async () => {
    const { tracer } = await start();
    const users = Array.from({ length: 15 }, () => tracer.registerFgraph({ entry: () => true }));
    const first = tracer.registerFtrace({ call: () => {} });
    tracer.registerFtrace({ call: () => {} }).unregister();
    expect(codeOf(() => tracer.registerFgraph({ entry: () => true }))).toBe('ENOSPC');
    first.unregister();
    users.push(tracer.registerFgraph({ entry: () => true }));
    expect(codeOf(() => tracer.registerFtrace({ call: () => {} }))).toBe('ENOSPC');
    expect(() => tracer.startFunction()).toThrow(
      'frames of callers (`parents: false` does without): 16 are registered already (with handlers: 16), unregister one',
    );
    expect(tracer.registerFtrace({ call: () => {}, parents: false }).registered).toBe(true);
    expect(codeOf(() => tracer.registerFtrace(first))).toBe('ENOSPC');
    expect(first.registered).toBe(false);
    expect(() => tracer.registerFprobe({ filter: 'f?', exit: () => {} })).toThrow(
      /on 4 functions: 16 users of the function graph are registered already \(with handlers: 16\).*ENOSPC/,
    );
    users[0].unregister();
    expect(tracer.registerFtrace(first).registered).toBe(true);
  });
});

describe('order, changes and failures', () => {
  test('the newest is called first, all before users of the graph', async () => {
    const { tracer, f } = await start();
    const heard: string[] = [];
    tracer.registerFgraph({ filter: 'fd', entry: () => void heard.push('graph') });
    tracer.registerFtrace({ filter: 'fd', call: () => void heard.push('first') });
    tracer.registerFtrace({ filter: 'fd', call: () => void heard.push('second') });
    f.fd();
    expect(heard).toEqual(['second', 'first', 'graph']);
  });

  test('unregistered and registered inside of a handler', async () => {
    const { tracer, f } = await start();
    const heard: string[] = [];
    const victim = tracer.registerFtrace({ filter: 'fd', call: () => void heard.push('victim') });
    let added: FtraceOps | undefined;
    const ops = tracer.registerFtrace({
      filter: 'fd',
      call() {
        heard.push('ops');
        victim.unregister();
        ops.unregister();
        added = tracer.registerFtrace({ filter: 'fd', call: () => void heard.push('added') });
      },
    });
    f.fd();
    expect(heard).toEqual(['ops']);
    f.fd();
    expect(heard).toEqual(['ops', 'added']);
    expect([ops.registered, victim.registered, added?.registered]).toEqual([false, false, true]);
  });

  test('a handler that throws, or promises', async () => {
    const { tracer, f } = await start();
    const error = new Error('a bug');
    let calls = 0;
    tracer.registerFtrace({ call: () => void calls++ });
    const bad = tracer.registerFtrace({
      call() {
        throw error;
      },
    });
    const slow = tracer.registerFtrace({ name: 'slow', call: async () => {} });
    expect(f.fc()).toBe(7);
    expect([calls, bad.errors, bad.lastError, slow.errors]).toEqual([3, 3, error, 3]);
    expect(String(slow.lastError)).toMatch(/slow returned a promise/);
  });

  test('EBUSY, EINVAL, again', async () => {
    const [one, two] = [await start(), await start()];
    let calls = 0;
    const ops = one.tracer.registerFtrace({ filter: 'fd', call: () => void calls++ });
    expect(codeOf(() => one.tracer.registerFtrace(ops))).toBe('EBUSY');
    ops.unregister();
    ops.unregister();
    expect(codeOf(() => two.tracer.registerFtrace(ops))).toBe('EINVAL');
    expect(one.tracer.registerFtrace(ops)).toBe(ops);
    one.f.fd();
    expect(calls).toBe(1);
  });

  test('a target that comes later, and one that goes', async () => {
    const { tracer, f } = await start();
    const heard: string[] = [];
    tracer.registerFtrace({ filter: 'late', call: (ip) => void heard.push(ip.toString(16)) });
    const { instance, target } = await tracer.instantiate(
      await assembleText('late', '(module (func $late (export "late")))'),
    );
    const { late } = instance.exports as Record<string, Func>;
    late();
    expect(heard).toEqual([target!.sites[0].ip.toString(16)]);
    tracer.detach(target!);
    late();
    f.fc();
    expect(heard.length).toBe(1);
  });
});

describe('WebAssembly', () => {
  const HANDLER = `(module
    (global $calls (export "calls") (mut i32) (i32.const 0))
    (func (export "call") (param i32 i32 i32 i32) (result i32)
      (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
      (i32.const 0))
    (func (export "traps") (param i32 i32 i32 i32) (result i32) unreachable)
    (func (export "other") (param f64)))`;

  test.each([false, true])('guarded: %s', async (guarded) => {
    const { tracer, f } = await start();
    const { exports } = (await WebAssembly.instantiate(await assembleText('handler', HANDLER))).instance;
    const ops = tracer.registerFtrace({ call: exports.call as never, guarded });
    f.fc();
    expect((exports.calls as WebAssembly.Global).value).toBe(3);
    ops.unregister();
    f.fc();
    expect((exports.calls as WebAssembly.Global).value).toBe(3);
    const traps = tracer.registerFtrace({ call: exports.traps as never, filter: 'fa', guarded });
    if (guarded) expect(f.fc()).toBe(7);
    else expect(() => f.fc()).toThrow(WebAssembly.RuntimeError);
    expect(traps.errors).toBe(guarded ? 1 : 0);
    expect(tracer.frames()).toEqual([]);
    traps.unregister();
    expect(f.fc()).toBe(7);
    expect(codeOf(() => tracer.registerFtrace({ call: exports.other as never }))).toBe('EINVAL');
  });
});

const call = () => {};

test.each([
  [undefined],
  [null],
  [7],
  ['x'],
  [[]],
  [{}],
  [{ call: null }],
  [{ call: 'fa' }],
  [{ call, filter: 7 }],
  [{ call, notrace: [null] }],
  [{ call, name: 7 }],
  [{ call, parents: 1 }],
  [{ call, guarded: 'yes' }],
  [{ call, entry: call }],
])('bad input: %o', async (options) => {
  const { tracer, f } = await start();
  expect(codeOf(() => tracer.registerFtrace(options as unknown as FtraceOptions))).toBe('EINVAL');
  expect(f.fc()).toBe(7);
  expect(tracer.counts().entries).toBe(0);
});
