// Entries and exits of trampolines of one's own, which keep a return address in the frame (enter_call, leave_call).

import { expect, test } from 'vitest';
import * as layout from '../../assembly/layout.ts';
import { freshEngine } from './engine.ts';
import { checkAll } from './invariants.ts';

const RET = 0x1111_2222_3333_4444n;
const RETP = 0xffff_0000_0000_8000n;
const FP = 0x7000n;

test('the frame has the return address and where it is kept, handlers see the words, and the task becomes the current one', async () => {
  const seen: unknown[] = [];
  const engine = await freshEngine({
    call: (handler, _, site, frame, fregs) => {
      const { u64 } = engine.memory;
      const count = engine.memory.load32(fregs + layout.FREGS_COUNT);
      const words = u64.slice((fregs + layout.FREGS_WORDS) >>> 3, ((fregs + layout.FREGS_WORDS) >>> 3) + count);
      seen.push([handler, site, u64[frame >>> 3], u64[(frame + layout.FRAME_RETP) >>> 3], [...words]]);
      return 1;
    },
  });
  const { exports, memory } = engine;
  engine.addSites(2);
  exports.site_want(1, engine.registerFgraph(layout.GOPS_HOST, 5, 6, 0), 1);
  const task = engine.createTask(64);
  exports.word(1, 99n); // of another task
  memory.store32(task + layout.TASK_FRAME_FP, layout.WORD_SIZE);

  const frame = exports.enter_call(task, 1, 7n, RET, RETP, FP);
  expect(exports.task_current()).toBe(task);
  expect(frame).toBe(memory.stackBottom(task) + layout.WORD_SIZE);
  expect(memory.u64[(frame - layout.WORD_SIZE) >>> 3]).toBe(FP);
  exports.word(1, 43n);
  exports.leave_call(task, frame, 42n);
  expect(seen).toEqual([
    [5, 1, RET, RETP, [7n]],
    [6, 1, RET, RETP, [42n, 43n]],
  ]);
  expect(exports.enter_call(task, 0, 7n, RET, RETP, FP)).toBe(0); // nobody watches
  expect(memory.counts(task)).toEqual({ entries: 1, returns: 1, unwound: 0, overrun: 0, stray: 0 });
});

test('a wrong argument does nothing', async () => {
  const engine = await freshEngine();
  const { exports, memory } = engine;
  engine.addSites(1);
  exports.site_want(0, engine.registerFgraph(layout.GOPS_FRAME, 0, 0, 0), 1);
  const task = exports.task_current();
  for (const wrong of [0, task + 8, -1]) {
    expect(exports.enter_call(wrong, 0, 1n, RET, RETP, FP)).toBe(0);
    exports.leave_call(wrong, task, 1n);
  }
  expect(exports.enter_call(task, 1, 1n, RET, RETP, FP)).toBe(0);
  expect(exports.enter_call(task, -1, 1n, RET, RETP, FP)).toBe(0);
  expect([exports.task_current(), memory.counts()]).toEqual([
    task,
    { entries: 0, returns: 0, unwound: 0, overrun: 0, stray: 0 },
  ]);
  exports.leave_call(task, 12345, 1n);
  expect(memory.counts().stray).toBe(1);
  checkAll(engine);
});

test.each([
  ['a graph', [layout.GOPS_GRAPH]],
  ['two graphs and a profile', [layout.GOPS_GRAPH, layout.GOPS_GRAPH, layout.GOPS_PROFILE]],
  ['a handler', [layout.GOPS_HOST]],
])(
  'whatever the return address, the frame below is found when others leave by the shorter ways, %s',
  async (_, kinds) => {
    const engine = await freshEngine({ call: () => 1 });
    const { exports, memory } = engine;
    engine.addSites(1);
    for (const kind of kinds) {
      const handler = kind === layout.GOPS_HOST ? 1 : 0;
      const ring = kind === layout.GOPS_GRAPH ? engine.createRing(1, 0) : 0;
      exports.site_want(0, engine.registerFgraph(kind, handler, handler, ring), 1);
    }
    const task = exports.task_current();
    const pass = (count: number): void => {
      for (let k = 0; k < count; k++) exports.leave(exports.enter(0));
    };
    pass(3);
    const outer = exports.enter(0);
    const hooked = exports.enter_call(task, 0, 1n, RET, 12n, FP);
    pass(3);
    exports.leave(hooked);
    expect(memory.load32(task + layout.TASK_BASE)).toBe(outer);
    pass(3);
    exports.leave(outer);
    checkAll(engine);
    expect(memory.counts()).toEqual({ entries: 11, returns: 11, unwound: 0, overrun: 0, stray: 0 });

    exports.task_reset(task);
    expect(memory.load32(task + layout.TASK_HOOKED)).toBe(0);
  },
);
