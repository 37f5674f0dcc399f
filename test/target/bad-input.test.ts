// Everything that can be handed to the API wrongly, and at the wrong time: the refusal says what was wrong, and leaves nothing
// behind. And programs that crash: what was recorded until then can be read.

import { describe, expect, expectTypeOf, test } from 'vitest';
import { ABI_VERSION_VALUE } from '../../assembly/layout.ts';
import { EngineError, type GraphOptions, Tracer, WasmFormatError, type WasmTarget } from '../../src/index.ts';
import { bytesModule } from '../instrument/proposals.ts';
import { wat } from '../instrument/support.ts';

type Func = (...args: unknown[]) => unknown;

const bytes = (source: string) => wat(source) as Uint8Array<ArrayBuffer>;
const HEADER = [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
const PROGRAM = bytes(`(module
  (import "e" "js" (func $js))
  (func $leaf (export "leaf"))
  (func $crash (export "crash") (call $leaf) (call $js) (unreachable))
  (func (export "run") (call $leaf) (call $crash)))`);

const start = async (js: () => void = () => {}) => {
  const tracer = await Tracer.create({ clock: 'counter' });
  const load = async (source = PROGRAM) => {
    const { instance, target } = await tracer.instantiate(source, { e: { js } });
    return { target: target!, f: instance.exports as Record<string, Func> };
  };
  return { tracer, load };
};

async function thrown(run: () => unknown): Promise<unknown> {
  try {
    await run();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
}

const described = (error: unknown) => `${(error as Error).constructor.name}: ${(error as Error).message}`;

/// Names and braces of a graph.
const calls = (graph: { read(options: object): string }) =>
  graph
    .read({ duration: false, cpu: false })
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.replace(/^[ |]*/, ''));

describe('bytes that are no module', () => {
  const body = (...code: number[]) => [...bytesModule([[0x60, 0, 0]], [[0, [0, ...code]]])];
  const UNKNOWN = body(0xff, 0x0b);
  const MALFORMED: [name: string, source: number[], offset: number, expected: string][] = [
    ['nothing', [], 0, 'the magic number'],
    ['text', [...new TextEncoder().encode('(module)')], 0, 'the magic number'],
    ['a component', [...HEADER.slice(0, 4), 0x0d, 0, 1, 0], 4, 'version 01 00 00 00'],
    ['a section that is cut off', [...HEADER, 1, 4, 1], 9, 'at most 1 in the bytes left'],
    ['an unknown section', [...HEADER, 14, 0], 8, 'a section id'],
    ['an unknown opcode', UNKNOWN, UNKNOWN.length - 2, 'an instruction'],
    ['a start function with a parameter', [...bytes('(module (func $s (param i32)) (start $s))')], 21, 'neither'],
  ];

  test.each(MALFORMED)('%s: which byte, and what was expected', async (_, source, offset, expected) => {
    const { tracer } = await start();
    const error = (await thrown(() => tracer.instantiate(Uint8Array.from(source)))) as WasmFormatError;
    expect(error).toBeInstanceOf(WasmFormatError);
    expect(error.offset).toBe(offset);
    expect(error.expected).toContain(expected);
    expect(error.message).toContain(`at byte ${offset}, expected ${error.expected}`);
    expect(tracer.targets.size).toBe(0);
  });

  test('cut off anywhere', async () => {
    const { tracer } = await start();
    let refused = 0;
    for (let length = 0; length < PROGRAM.length; length++) {
      const cut = PROGRAM.slice(0, length);
      if (WebAssembly.validate(cut)) continue;
      const error = (await thrown(() => tracer.instantiate(cut, { e: { js() {} } }))) as WasmFormatError;
      // The end of a section is a place where a module could end: then it is the engine that says what is missing.
      if (error instanceof WebAssembly.CompileError) continue;
      expect(error, `${length} bytes`).toBeInstanceOf(WasmFormatError);
      expect(error.offset).toBeLessThanOrEqual(length);
      refused++;
    }
    expect(refused).toBeGreaterThan(PROGRAM.length - 12);
    expect(tracer.targets.size).toBe(0);
  });

  test.each(MALFORMED)('%s, with fallback: what WebAssembly.instantiate says', async (_, source) => {
    const { tracer } = await start();
    const code = Uint8Array.from(source);
    const native = await thrown(() => WebAssembly.instantiate(code));
    const error = await thrown(() => tracer.instantiate(code, undefined, { fallback: true }));
    expect(error).toBeInstanceOf(WebAssembly.CompileError);
    expect(described(error)).toBe(described(native));
    expect(tracer.targets.size).toBe(0);
  });

  test('with fallback, a module that only the engine takes runs as it is', async () => {
    const { tracer } = await start();
    const graph = tracer.startGraph({ bufferPages: 1 });
    // A name of ours is what we refuse and engines do not.
    const code = bytes('(module (memory (export "m") 1) (func (export "__fprobe_mine") (result i32) (i32.const 7)))');
    const error = (await thrown(() => tracer.instantiate(code))) as WasmFormatError;
    expect(error).toBeInstanceOf(WasmFormatError);
    expect(error.message).toContain('"__fprobe_mine"');
    const { instance, module, target } = await tracer.instantiate(code, undefined, { fallback: true });
    expect(target).toBe(undefined);
    expect(Object.keys(instance.exports)).toEqual(['m', '__fprobe_mine']);
    expect((instance.exports.__fprobe_mine as Func)()).toBe(7);
    expect(WebAssembly.Module.exports(module).map(({ name }) => name)).toEqual(['m', '__fprobe_mine']);
    expect(tracer.targets.size).toBe(0);
    expect(calls(graph)).toEqual([]);
    const missing = bytes('(module (import "e" "f" (func)) (func (export "__fprobe_mine")))');
    expect(described(await thrown(() => tracer.instantiate(missing, {}, { fallback: true })))).toBe(
      described(await thrown(() => WebAssembly.instantiate(missing, {}))),
    );
  });

  test('fallback is for the format only', async () => {
    const { tracer } = await start();
    const { target } = await tracer.instantiate(PROGRAM, { e: { js() {} } }, { fallback: true });
    expect(target!.sites.length).toBe(3);
    expectTypeOf(target).toEqualTypeOf<WasmTarget | undefined>();
    expectTypeOf((await tracer.instantiate(PROGRAM, { e: { js() {} } })).target).toEqualTypeOf<WasmTarget>();
    const options = { fallback: true, growth: -1 };
    expect(await thrown(() => tracer.instantiate(PROGRAM, { e: { js() {} } }, options))).toBeInstanceOf(RangeError);
  });
});

describe('arguments', () => {
  test.each<[options: object, message: string]>([
    [{ clock: 'wall' }, "RangeError: clock is 'wall', expected 'mono' or 'counter'"],
    [{ clock: null }, "RangeError: clock is null, expected 'mono' or 'counter'"],
    [{ stackWords: 0 }, 'RangeError: a shadow stack has 64 to 16777216 words, not 0'],
    [{ stackWords: 63 }, 'RangeError: a shadow stack has 64 to 16777216 words, not 63'],
    [{ stackWords: 2 ** 24 + 1 }, 'RangeError: a shadow stack has 64 to 16777216 words, not 16777217'],
    [{ stackWords: 100.5 }, 'RangeError: a shadow stack has 64 to 16777216 words, not 100.5'],
    [{ stackWords: Number.NaN }, 'RangeError: a shadow stack has 64 to 16777216 words, not NaN'],
    [{ stackWords: '128' }, "RangeError: a shadow stack has 64 to 16777216 words, not '128'"],
    [{ engine: PROGRAM }, 'EngineError: not an engine: '],
    [{ engine: bytes('(module)') }, 'EngineError: not an engine: it exports no memory'],
    [
      { engine: bytes('(module (memory (export "memory") 1))') },
      `EngineError: this is not an engine of ABI version ${ABI_VERSION_VALUE} (found version 0)`,
    ],
    [{ engine: new Uint8Array(5) }, 'EngineError: not an engine: CompileError'],
    [{ engine: 5 }, 'TypeError: '],
  ])('Tracer.create(%o)', async (options, message) => {
    expect(described(await thrown(() => Tracer.create(options)))).toContain(message);
  });

  test.each<[name: string, source: unknown, message: string]>([
    ['undefined', undefined, 'or a WebAssembly.Module, got undefined'],
    ['null', null, 'got null'],
    ['a number', 5, 'got number'],
    ['a path', 'program.wasm', 'got string'],
    ['an array', [0, 0x61, 0x73, 0x6d], 'got [object Array]'],
    ['a promise', Promise.resolve(PROGRAM), 'got [object Promise]'],
    [
      'an instance',
      new WebAssembly.Instance(new WebAssembly.Module(bytes('(module)'))),
      'got [object WebAssembly.Insta',
    ],
    [
      'a foreign module',
      new WebAssembly.Module(PROGRAM),
      'pass the bytes, or compile them with `tracer.compile(bytes)`',
    ],
  ])('instantiate: %s', async (_, source, message) => {
    const { tracer } = await start();
    for (const fallback of [false, true]) {
      const error = await thrown(() => tracer.instantiate(source as BufferSource, undefined, { fallback }));
      expect(error).toBeInstanceOf(TypeError);
      expect((error as Error).message).toContain(message);
    }
    expect(tracer.targets.size).toBe(0);
  });

  test.each<[options: object, message: string]>([
    [{ name: 5 }, 'TypeError: name is 5, expected a string'],
    [{ name: null }, 'TypeError: name is null, expected a string'],
    [{ growth: -0.1 }, 'RangeError: growth is -0.1, expected a share of 0 or more'],
    [{ growth: Number.NaN }, 'RangeError: growth is NaN, expected a share of 0 or more'],
    [{ growth: 'much' }, "RangeError: growth is 'much', expected a share of 0 or more"],
    [{ link: 'linked' }, "RangeError: link is 'linked', expected 'attached'"],
    [{ only: 'run' }, "TypeError: only is 'run', expected a function"],
  ])('instantiate with %o', async (options, message) => {
    const { tracer } = await start();
    expect(described(await thrown(() => tracer.instantiate(PROGRAM, { e: { js() {} } }, options)))).toBe(message);
    expect(tracer.targets.size).toBe(0);
  });

  test.each<[options: object, message: string]>([
    [{ bufferPages: 0 }, 'RangeError: bufferPages is 0, expected a power of two up to 65536'],
    [{ bufferPages: 3 }, 'RangeError: bufferPages is 3, expected a power of two up to 65536'],
    [{ bufferPages: -1 }, 'RangeError: bufferPages is -1, expected'],
    [{ bufferPages: 0.5 }, 'RangeError: bufferPages is 0.5, expected'],
    [{ bufferPages: 2 ** 17 }, 'RangeError: bufferPages is 131072, expected'],
    [{ bufferPages: Infinity }, 'RangeError: bufferPages is Infinity, expected'],
    [{ bufferPages: '8' }, "RangeError: bufferPages is '8', expected"],
    [{ mode: 'drop' }, "RangeError: mode is 'drop', expected 'overwrite' or 'stop'"],
    [{ mode: null }, "RangeError: mode is null, expected 'overwrite' or 'stop'"],
  ])('startGraph(%o)', async (options, message) => {
    const { tracer } = await start();
    for (let i = 0; i < 20; i++) {
      expect(described(await thrown(() => tracer.startGraph(options)))).toContain(message);
    }
    await expectRoomForAll(tracer);
  });

  test.each<[options: object, message: string]>([
    [{ filter: 5 }, 'filter is 5, expected a glob or an array of globs'],
    [{ filter: null }, 'filter is null, expected a glob'],
    [{ filter: /run/ }, 'filter is an object, expected a glob'],
    [{ filter: ['run', /leaf/] }, 'filter[1] is an object, expected a glob'],
    [{ filter: [undefined] }, 'filter[0] is undefined, expected a glob'],
    [{ notrace: (name: string) => name === 'run' }, 'notrace is a function'],
    [{ filter: 'run', notrace: [7] }, 'notrace[0] is 7, expected a glob'],
  ])('filters: %o', async (options, message) => {
    const { tracer } = await start();
    for (let i = 0; i < 20; i++) {
      for (const begin of [() => tracer.startGraph(options), () => tracer.startProfile(options)]) {
        const error = await thrown(begin);
        expect(error).toBeInstanceOf(TypeError);
        expect((error as Error).message).toContain(message);
      }
    }
    await expectRoomForAll(tracer);
  });

  /// 16 users can still be registered, and whoever comes first sees the calls.
  async function expectRoomForAll(tracer: Tracer): Promise<void> {
    const { instance } = await tracer.instantiate(PROGRAM, { e: { js() {} } });
    (instance.exports.leaf as Func)();
    expect(tracer.counts().entries).toBe(0);
    const users = Array.from({ length: 16 }, () => tracer.startProfile());
    (instance.exports.leaf as Func)();
    for (const user of users) expect(user.rows().map(({ name, count }) => `${name} ${count}`)).toEqual(['leaf 1']);
  }
});

test('the 17th user is refused, and nothing of him stays', async () => {
  const { tracer, load } = await start();
  const { f } = await load();
  const graph = tracer.startGraph({ filter: 'leaf', bufferPages: 1 });
  const others = Array.from({ length: 15 }, () => tracer.startProfile({ filter: 'leaf' }));
  for (let i = 0; i < 50; i++) {
    for (const begin of [() => tracer.startGraph({ bufferPages: 1024 }), () => tracer.startProfile()]) {
      const error = (await thrown(begin)) as EngineError;
      expect(error).toBeInstanceOf(EngineError);
      expect(error.code).toBe('ENOSPC');
      expect(error.message).toMatch(/^cannot register a function-graph user: 16 are registered already.*\(ENOSPC\)$/);
    }
  }
  await thrown(() => f.run!());
  // Nobody asked for the others' gates.
  expect(tracer.counts()).toEqual({ entries: 2, returns: 2, unwound: 0, overrun: 0, stray: 0 });
  expect(calls(graph)).toEqual(['leaf();', 'leaf();']);
  for (const other of others) expect(other.rows().map(({ count }) => count)).toEqual([2]);
  // One leaves, one can come.
  others[7]!.unregister();
  const late = tracer.startGraph({ bufferPages: 1 });
  expect(((await thrown(() => tracer.startProfile())) as EngineError).code).toBe('ENOSPC');
  f.leaf!();
  expect(calls(late)).toEqual(['leaf();']);
  expect(others[7]!.rows().map(({ count }) => count)).toEqual([2]);
  expect(others[8]!.rows().map(({ count }) => count)).toEqual([3]);
});

test('refused buffers are given back', async () => {
  const { tracer } = await start();
  const others = Array.from({ length: 16 }, () => tracer.startProfile());
  // 100 × 64 MiB would not fit.
  for (let i = 0; i < 100; i++) {
    expect(((await thrown(() => tracer.startGraph({ bufferPages: 16_384 }))) as EngineError).code).toBe('ENOSPC');
  }
  others[0]!.unregister();
  tracer.startGraph({ bufferPages: 16_384 }).close();
});

describe('a program that crashes', () => {
  const CRASHED = ['run() {', 'leaf();', 'crash() {', 'leaf();', '} /* unwound */', '} /* unwound */'];

  test('by a trap: what was recorded can be read', async () => {
    const { tracer, load } = await start();
    const { f } = await load();
    const graph = tracer.startGraph({ bufferPages: 1 });
    const profile = tracer.startProfile();
    const error = await thrown(() => f.run!());
    expect(error).toBeInstanceOf(WebAssembly.RuntimeError);
    expect((error as Error).message).toBe('unreachable');
    expect(tracer.frames()).toEqual([]);
    expect(calls(graph)).toEqual(CRASHED);
    const counts = new Map(profile.rows().map(({ name, count }) => [name, count]));
    expect(counts).toEqual(new Map(Object.entries({ run: 1, crash: 1, leaf: 2 })));
    expect(tracer.counts()).toEqual({ entries: 4, returns: 2, unwound: 2, overrun: 0, stray: 0 });
    // And the next run is recorded as if there had been none before.
    graph.clear();
    await thrown(() => f.run!());
    expect(calls(graph)).toEqual(CRASHED);
  });

  test('by an exception: the same object; in its midst, the open calls can be seen', async () => {
    const own = new Error('own');
    const seen: string[][] = [];
    const { tracer, load } = await start(() => {
      seen.push(
        tracer.frames().map(({ name }) => name),
        calls(graph),
      );
      throw own;
    });
    const { f } = await load();
    const graph = tracer.startGraph({ bufferPages: 1 });
    expect(await thrown(() => f.run!())).toBe(own);
    expect(seen).toEqual([
      ['crash', 'run'],
      ['run() {', 'leaf();', 'crash() {', 'leaf();'],
    ]);
    expect(calls(graph)).toEqual(CRASHED);
    graph.unregister();
    expect(calls(graph)).toEqual(CRASHED);
    graph.close();
    expect(calls(graph)).toEqual([]);
  });

  test('in its start function', async () => {
    const { tracer, load } = await start();
    const graph = tracer.startGraph({ bufferPages: 1 });
    const source = '(module (func $in (export "in") (unreachable)) (func $s (export "s") (call $in)) (start $s))';
    expect(((await thrown(() => load(bytes(source)))) as Error).message).toBe('unreachable');
    expect(tracer.targets.size).toBe(0);
    expect(calls(graph)).toEqual(['s() {', 'in(); /* unwound */', '} /* unwound */']);
    const { f } = await load();
    f.leaf!();
    expect(calls(graph).at(-1)).toBe('leaf();');
  });
});

describe('what was closed, used again', () => {
  test('a graph that is unregistered records no more and can be read; closed, it is empty', async () => {
    const { tracer, load } = await start();
    const { f } = await load();
    const graph = tracer.startGraph({ bufferPages: 1 });
    f.leaf!();
    for (let i = 0; i < 2; i++) {
      graph.unregister();
      graph.on = true;
      f.leaf!();
      expect(calls(graph)).toEqual(['leaf();']);
    }
    const header = graph.read().replace(/^ .*\n/gm, '');
    for (let i = 0; i < 2; i++) {
      graph.close();
      graph.unregister();
      graph.clear();
      graph.on = true;
      f.leaf!();
      expect(graph.lost).toBe(0);
      expect(graph.read()).toBe(header);
      graph.pages(() => expect.unreachable('a page of a closed buffer'), true);
    }
    expect(tracer.counts().entries).toBe(1);
  });

  test('a closed graph does not touch the one that has its place now', async () => {
    const { tracer, load } = await start();
    const { f } = await load();
    const options: GraphOptions = { bufferPages: 1, mode: 'stop' };
    // Until one has the index of the first, which was freed longest ago, and very likely its buffer.
    const old = Array.from({ length: 16 }, () => {
      const graph = tracer.startGraph(options);
      graph.close();
      return graph;
    });
    const now = Array.from({ length: 16 }, () => tracer.startGraph(options));
    f.leaf!();
    for (const graph of old) {
      graph.on = false;
      graph.clear();
      graph.unregister();
      graph.close();
      expect(calls(graph)).toEqual([]);
    }
    f.leaf!();
    for (const graph of now) graph.unregister();
    for (const graph of old) graph.close();
    for (const graph of now) expect(calls(graph)).toEqual(['leaf();', 'leaf();']);
  });

  test('a graph closed while its pages are visited', async () => {
    const { tracer, load } = await start();
    const { f } = await load();
    const graph = tracer.startGraph({ bufferPages: 4 });
    for (let i = 0; i < 700; i++) f.leaf!();
    let pages = 0;
    graph.pages(() => pages++);
    expect(pages).toBeGreaterThan(1);
    pages = 0;
    graph.pages(() => {
      pages++;
      graph.close();
      // Very likely in the same place.
      tracer.startGraph({ bufferPages: 4 });
      for (let i = 0; i < 700; i++) f.leaf!();
    });
    expect(pages).toBe(1);
  });

  test('an unregistered profile keeps its rows, until they are cleared', async () => {
    const { tracer, load } = await start();
    const { f } = await load();
    const profile = tracer.startProfile();
    f.leaf!();
    profile.unregister();
    f.leaf!();
    const [row] = profile.rows();
    expect([row!.name, row!.count]).toEqual(['leaf', 1]);
    const others = Array.from({ length: 16 }, () => tracer.startProfile());
    f.leaf!();
    profile.unregister();
    expect(profile.rows()).toEqual([row]);
    expect(profile.text()).toContain('leaf');
    profile.clear();
    expect(profile.rows()).toEqual([]);
    profile.unregister();
    f.leaf!();
    for (const other of others) expect(other.rows().map(({ count }) => count)).toEqual([2]);
  });

  test('a target that was detached runs on, and stays detached', async () => {
    const { tracer, load } = await start();
    const { f, target } = await load();
    const { tracer: stranger } = await start();
    const graph = tracer.startGraph({ bufferPages: 1 });
    stranger.detach(target); // not his
    f.leaf!();
    expect(tracer.targets.has(target)).toBe(true);
    for (let i = 0; i < 2; i++) {
      tracer.detach(target);
      f.leaf!();
      expect(tracer.targets.size).toBe(0);
    }
    const late = tracer.startGraph({ bufferPages: 1 });
    expect(late.matched).toBe(0);
    f.leaf!();
    expect(calls(graph)).toEqual(['leaf();']);
    expect(calls(late)).toEqual([]);
  });
});

test('a filter that matches nothing opens nothing, until a target comes that it matches', async () => {
  const { tracer, load } = await start();
  const { f } = await load();
  const graph = tracer.startGraph({ filter: 'later', bufferPages: 1 });
  const none = tracer.startProfile({ notrace: '*' });
  expect([graph.matched, none.matched]).toEqual([0, 0]);
  await thrown(() => f.run!());
  expect(tracer.counts()).toEqual({ entries: 0, returns: 0, unwound: 0, overrun: 0, stray: 0 });
  expect(calls(graph)).toEqual([]);
  expect(none.rows()).toEqual([]);
  const other = await load(bytes('(module (func (export "later")) (func (export "leaf")))'));
  other.f.later!();
  other.f.leaf!();
  expect(calls(graph)).toEqual(['later();']);
  expect([graph.matched, none.rows()]).toEqual([0, []]);
});

test('modules with nothing to trace', async () => {
  const { tracer, load } = await start();
  const graph = tracer.startGraph({ bufferPages: 1 });
  const before = await load();
  for (const source of [
    '(module)',
    '(module (import "e" "js" (func)) (export "js" (func 0)))',
    '(module (memory 1))',
  ]) {
    const { target, f } = await load(bytes(source));
    expect(target.sites).toEqual([]);
    f.js?.();
    tracer.detach(target);
  }
  const after = await load();
  before.f.leaf!();
  after.f.leaf!();
  expect(calls(graph)).toEqual(['leaf();', 'leaf();']);
});
