// The shadow stack word by word: formats, sizes, what fits and what refuses (spec/fgraph.md §2, §4, §6).

import { describe, expect, test } from 'vitest';
import * as layout from '../../assembly/layout.ts';
import type { Engine, EngineImports } from '../../src/engine.ts';
import { freshEngine } from './engine.ts';

const WORD = layout.WORD_SIZE;
const ENTRY = 100; // handler ids: 100 + user, 200 + user
const RETURN = 200;

type Entry = (index: number, frame: number) => boolean;
type Return = (index: number, frame: number) => void;

/// An engine with `count` host users on one site.
async function withUsers(count: number, entry: Entry, ret: Return = () => {}, words = 0) {
  const call: EngineImports['call'] = (handler, index, _site, frame) => {
    if (handler < RETURN) return entry(index, frame) ? 1 : 0;
    ret(index, frame);
    return 0;
  };
  const engine = await freshEngine({ call });
  const { exports } = engine;
  if (words > 0) exports.task_switch(engine.createTask(words));
  const site = engine.addSites(1);
  for (let i = 0; i < count; i++) {
    const index = engine.registerFgraph(layout.GOPS_HOST, ENTRY + i, RETURN + i, 0);
    expect(exports.site_want(site, index, 1)).toBe(0);
  }
  return { engine, exports, memory: engine.memory, task: exports.task_current() };
}

const top = (engine: Engine) => engine.memory.load32(engine.exports.task_current() + layout.TASK_TOP);

describe('words', () => {
  test('the examples of §4.1', async () => {
    let reserved = 0;
    let inProgress = 0;
    const { engine, exports, memory } = await withUsers(4, (index, frame) => {
      if (index === 0) inProgress = memory.load32(frame + layout.FRAME_BITMAP);
      if (index === 3) reserved = exports.reserve(3, 16);
      return index === 0 || index === 3;
    });
    memory.setSiteIp(0, 0x1234_5678_9abc);
    const base = exports.enter(0);
    expect(inProgress).toBe(0x3);
    expect(memory.load64(base + layout.FRAME_BITMAP)).toBe(0x9403);
    expect(reserved).toBe(base + 4 * WORD);
    expect(memory.load64(base + 6 * WORD)).toBe(0x61806);
    expect(top(engine)).toBe(base + 7 * WORD);
    expect(memory.load64(base + layout.FRAME_FUNC)).toBe(0x1234_5678_9abc);
  });

  test('the self-test with four users holding 1 to 8 bytes (§14)', async () => {
    const { engine, exports, memory } = await withUsers(
      8,
      (index) => index >= 4 && exports.reserve(index, 1 << (index - 4)) !== 0,
    );
    const base = exports.enter(0);
    expect(memory.load32(base + layout.FRAME_BITMAP) >>> layout.FGRAPH_INDEX_SHIFT).toBe(0xf0);
    expect(top(engine)).toBe(base + 12 * WORD);
    for (const [k, distance] of [5, 7, 9, 11].entries()) {
      expect(memory.load32(base + distance * WORD) & layout.FGRAPH_FRAME_OFFSET_MASK).toBe(distance);
      expect(exports.retrieve(4 + k)).toBe(base + (distance - 1) * WORD);
      expect(exports.retrieve_size(4 + k)).toBe(8);
    }
  });

  test('ret and retp are the enclosing traced frame, 0 at the bottom', async () => {
    const { exports, memory } = await withUsers(1, () => true);
    memory.setSiteIp(0, 77);
    const outer = exports.enter(0);
    const inner = exports.enter(0);
    expect([memory.load64(outer), memory.load64(outer + layout.FRAME_RETP)]).toEqual([0, 0]);
    expect([memory.load64(inner), memory.load64(inner + layout.FRAME_RETP)]).toEqual([77, outer]);
    expect([...memory.frames()]).toEqual([inner, outer].map((base) => ({ base, site: 0, ip: 77 })));
    expect([0, 1, 2].map((k) => exports.task_frame(exports.task_current(), k))).toEqual([inner, outer, 0]);
  });
});

describe('what fits', () => {
  // words on the stack, words of data, activations, overruns after one more (§4)
  const cases = [
    [512, 0, 122, 1],
    [512, 1, 81, 0],
    [1024, 0, 250, 1],
    [64, 0, 10, 1],
  ];
  test.each(cases)('%i words, %i of data each: %i activations', async (words, data, activations, overrun) => {
    const { exports, memory, task } = await withUsers(
      1,
      (index) => data === 0 || exports.reserve(index, data * WORD) !== 0,
      undefined,
      words,
    );
    for (let i = 0; i < activations; i++) expect(exports.enter(0), `activation ${i + 1}`).not.toBe(0);
    const before = memory.load32(task + layout.TASK_TOP);
    expect(exports.enter(0)).toBe(0);
    expect(memory.counts().overrun).toBe(overrun);
    expect(memory.load32(task + layout.TASK_TOP)).toBe(before);
    expect(memory.load32(task + layout.TASK_DEPTH)).toBe(activations - 1);
    expect(before).toBeLessThanOrEqual(memory.load32(task + layout.TASK_LIMIT));
  });

  test('task sizes are 64 to 2^24 words', async () => {
    const { exports } = await freshEngine();
    for (const words of [1, 63, 2 ** 24 + 1, -2]) expect(exports.task_create(words)).toBe(0);
    expect(exports.task_create(64)).not.toBe(0);
  });
});

describe('reserve and retrieve', () => {
  test('1 to 256 bytes, rounded up to words', async () => {
    for (const [bytes, size] of [
      [1, 8],
      [8, 8],
      [9, 16],
      [255, 256],
      [256, 256],
    ]) {
      const { exports } = await withUsers(1, (index) => exports.reserve(index, bytes) !== 0);
      expect(exports.enter(0)).not.toBe(0);
      expect(exports.retrieve_size(0)).toBe(size);
    }
    for (const bytes of [0, -1, 257, 2 ** 31 - 1]) {
      const { exports } = await withUsers(1, (index) => exports.reserve(index, bytes) !== 0);
      expect(exports.enter(0)).toBe(0);
    }
  });

  test('is refused a second time, for somebody else, at exit and outside of callbacks', async () => {
    const results: number[] = [];
    const { exports } = await withUsers(
      2,
      (index) => {
        results.push(Math.sign(exports.reserve(index, 8)), exports.reserve(index, 8), exports.reserve(1 - index, 8));
        return true;
      },
      (index) => results.push(exports.reserve(index, 8)),
    );
    expect(exports.reserve(0, 8)).toBe(0);
    const base = exports.enter(0);
    exports.leave(base);
    expect(results).toEqual([1, 0, 0, 1, 0, 0, 0, 0]);
  });

  test('a refused entry drops what it reserved', async () => {
    const { engine, exports } = await withUsers(2, (index) => exports.reserve(index, 40) !== 0 && index === 1);
    const base = exports.enter(0);
    expect(top(engine)).toBe(base + (4 + 5 + 1) * WORD);
    expect(exports.retrieve(0)).toBe(0);
    expect(exports.retrieve(1)).toBe(base + 4 * WORD);
  });

  test('parents are the next frames down, whoever caused them', async () => {
    let call = 0;
    const { exports } = await withUsers(2, (index) => {
      const mine = call++ % 2 === index; // each user takes every other activation
      return mine && exports.reserve(index, 8 * (index + 1)) !== 0;
    });
    call = 0;
    exports.enter(0); // calls 0 and 1: both want it
    call = 1;
    exports.enter(0); // nobody does
    expect(exports.retrieve_size(0)).toBe(8);
    expect(exports.retrieve_size(1)).toBe(16);
    expect(exports.retrieve_parent(0, 1)).toBe(0);
    expect(exports.retrieve_parent_size(1, 2 ** 31)).toBe(0);
  });

  test('data written at entry is there at exit', async () => {
    const seen: number[] = [];
    const { exports, memory } = await withUsers(
      3,
      (index) => {
        memory.store64(exports.reserve(index, 8), 1000 + index);
        return true;
      },
      (index) => seen.push(memory.load64(exports.retrieve(index))),
    );
    exports.leave(exports.enter(0));
    expect(seen).toEqual([1000, 1001, 1002]);
  });
});

test('who writes past his data throws the kill switch, and nothing else', async () => {
  const heard: number[] = [];
  const { exports, memory, task } = await withUsers(
    2,
    (index) => {
      const data = exports.reserve(index, 8);
      if (index === 1) memory.store64(data + 8, 0x123); // the word behind it leads nowhere
      return true;
    },
    (index) => heard.push(index),
  );
  const base = exports.enter(0);
  exports.leave(base);
  expect(heard).toEqual([]);
  expect(memory.load32(layout.ABI_DEAD)).toBe(1);
  expect(memory.load32(task + layout.TASK_TOP)).toBe(base);
  expect(memory.counts()).toMatchObject({ entries: 1, returns: 0, unwound: 1 });
  expect(exports.enter(0)).toBe(0);
});

describe('indices', () => {
  const register = (engine: Engine) => engine.exports.fgraph_register(layout.GOPS_HOST, 1, 0, 0);

  test('0 to 15, then none; afterwards the one freed longest ago', async () => {
    const engine = await freshEngine();
    expect(Array.from({ length: 16 }, () => register(engine))).toEqual([...Array(16).keys()]);
    expect(register(engine)).toBe(-layout.ENOSPC);
    for (const index of [7, 3, 12]) expect(engine.exports.fgraph_unregister(index)).toBe(0);
    expect(engine.exports.fgraph_unregister(3)).toBe(-layout.EINVAL);
    expect([register(engine), register(engine), register(engine)]).toEqual([7, 3, 12]);
    expect(register(engine)).toBe(-layout.ENOSPC);
  });

  test('bad registrations', async () => {
    const engine = await freshEngine();
    const { exports } = engine;
    const { EINVAL, EBUSY, ENODEV, GOPS_GRAPH, GOPS_HOST, GOPS_PROFILE, GOPS_STUB, GOPS_WASM } = layout;
    const ring = engine.createRing(1, 0);
    expect(exports.fgraph_register(GOPS_STUB, 1, 1, 0)).toBe(-EINVAL);
    expect(exports.fgraph_register(GOPS_HOST + 1, 1, 1, 0)).toBe(-EINVAL);
    expect(exports.fgraph_register(GOPS_HOST, 0, 0, 0)).toBe(-EINVAL);
    expect(exports.fgraph_register(GOPS_WASM, 1, 0, ring)).toBe(-EINVAL);
    expect(exports.fgraph_register(GOPS_PROFILE, 1, 0, 0)).toBe(-EINVAL);
    expect(exports.fgraph_register(GOPS_GRAPH, 0, 0, ring + 8)).toBe(-EINVAL);
    expect(exports.fgraph_register(GOPS_GRAPH, 0, 0, ring)).toBe(0);
    expect(exports.fgraph_register(GOPS_GRAPH, 0, 0, ring)).toBe(-EBUSY);
    expect(exports.ring_free(ring)).toBe(-EBUSY);
    exports.kill();
    expect(exports.fgraph_register(GOPS_PROFILE, 0, 0, 0)).toBe(-ENODEV);
    expect(() => engine.registerFgraph(GOPS_PROFILE, 0, 0, 0)).toThrow(/ENODEV/);
  });

  test('a new owner never hears of frames of the old one, nor finds his data', async () => {
    const heard: string[] = [];
    let generation = 0;
    const { engine, exports } = await withUsers(
      16,
      (index) => exports.reserve(index, 8) !== 0 && index !== 15,
      (index) => heard.push(`${index}.${generation}`),
    );
    const base = exports.enter(0);
    exports.fgraph_unregister(5);
    generation = 1;
    expect(register(engine)).toBe(5);
    expect(exports.retrieve(5)).toBe(0);
    expect(exports.retrieve(4)).not.toBe(0);
    expect(exports.retrieve(6)).not.toBe(0);
    exports.leave(base);
    expect(heard).toEqual([0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14].map((index) => `${index}.1`));
    expect(exports.save()).toBe(base);
  });

  test('a task variable is zero for a new owner, on every task', async () => {
    const engine = await freshEngine();
    const { exports, memory } = engine;
    const other = engine.createTask();
    const first = exports.task_current();
    expect(exports.task_variable(0)).toBe(0);
    register(engine);
    for (const task of [first, other]) {
      exports.task_switch(task);
      expect(memory.load64(exports.task_variable(0))).toBe(0);
      memory.store64(exports.task_variable(0), 5);
    }
    exports.fgraph_unregister(0);
    for (let i = 1; i < 17; i++) register(engine);
    for (const task of [first, other]) {
      exports.task_switch(task);
      expect(memory.load64(exports.task_variable(0))).toBe(0);
    }
  });
});
