// Where something ends: the shadow stack, the engine's stack, what an engine takes of one function; and where something ends in
// the middle of something else: gates, users and targets that come and go while calls are under way.

import { describe, expect, test, vi } from 'vitest';
import * as layout from '../../assembly/layout.ts';
import { run as measureDepth } from '../../bench/depth.ts';
import { assembleText } from '../../bench/shapes.ts';
import type { GraphTracer } from '../../src/graph.ts';
import { realFrames } from '../../src/target/verify.ts';
import type { WasmTarget } from '../../src/target/wasm.ts';
import { ENTRY, TraceEvent, UNWOUND } from '../../src/trace/events.ts';
import { Tracer } from '../../src/tracer.ts';

type Func = (...args: unknown[]) => unknown;

interface Loaded {
  readonly f: Record<string, Func>;
  readonly target: WasmTarget;
}

const assemble = (text: string) => assembleText('limits', `(module ${text})`);

async function load(tracer: Tracer, text: string, imports?: WebAssembly.Imports, args = false): Promise<Loaded> {
  const { instance, target } = await tracer.instantiate(await assemble(text), imports, { args });
  return { f: instance.exports as Record<string, Func>, target: target! };
}

const counter = (stackWords?: number) => Tracer.create({ clock: 'counter', stackWords });

/// What was recorded, as `+outer +inner -inner`; `!` for a frame that was left without returning.
function story(graph: GraphTracer, target: WasmTarget): string {
  const event = new TraceEvent();
  const words: string[] = [];
  graph.pages((batch) => {
    for (let i = 0; i < batch.count; i++) {
      batch.read(i, event);
      const mark = event.kind === ENTRY ? '+' : event.kind === UNWOUND ? '!' : '-';
      words.push(mark + target.sites[event.func - target.firstSite].name);
    }
  });
  return words.join(' ');
}

/// Frames of `frame` words that fit onto a shadow stack of so many words.
const capacity = (stackWords: number, frame: number): number =>
  Math.floor((stackWords - layout.SHADOW_STACK_SLACK - 1) / frame);

describe('tail calls', async () => {
  const MILLION = 1_000_000;
  const bytes = await assemble(`
    (import "js" "end" (func $end))
    (type $t (func (param i32 i32) (result i32)))
    (table 2 2 funcref) (elem (i32.const 0) $indirect)
    (func $direct (export "direct") (param $n i32) (param $sum i32) (result i32)
      (if (i32.eqz (local.get $n)) (then (call $end) (return (local.get $sum))))
      (return_call $direct (i32.sub (local.get $n) (i32.const 1)) (i32.add (local.get $n) (local.get $sum))))
    (func $indirect (export "indirect") (type $t)
      (if (i32.eqz (local.get 0)) (then (call $end) (return (local.get 1))))
      (return_call_indirect (type $t)
        (i32.sub (local.get 0) (i32.const 1)) (i32.add (local.get 0) (local.get 1)) (i32.const 0)))`);
  const has = WebAssembly.validate(bytes);
  if (!has) console.log(`not run: tail calls: this engine (${process.version}) does not have them`);
  test.runIf(has).each(['direct', 'indirect'])('a loop of a million %s ones takes one frame', async (name) => {
    const tracer = await counter(layout.SHADOW_STACK_WORDS_MIN);
    const profile = tracer.startProfile();
    const graph = tracer.startGraph({ bufferPages: 2 });
    let frames: string[] = [];
    const end = () => {
      frames = tracer.frames().map((site) => site.name);
    };
    const { instance } = await tracer.instantiate(bytes, { js: { end } });
    const result = (instance.exports[name] as Func)(MILLION, 0);
    expect(result).toBe(((MILLION * (MILLION + 1)) / 2) | 0);
    expect(frames).toEqual([name]);
    const calls = MILLION + 1;
    expect(tracer.counts()).toEqual({ entries: calls, returns: calls, unwound: 0, overrun: 0, stray: 0 });
    expect(profile.rows()).toMatchObject([{ name, count: calls, max: 1 }]);
    graph.close();
  });
});

describe('recursion past the shadow stack', () => {
  const TEXT = `(func $down (export "down") (param i32) (result i32)
    (if (result i32) (local.get 0)
      (then (i32.add (i32.const 1) (call $down (i32.sub (local.get 0) (i32.const 1)))))
      (else (i32.const 0))))
    (func $fall (export "fall") (param i32)
      (if (i32.eqz (local.get 0)) (then unreachable))
      (call $fall (i32.sub (local.get 0) (i32.const 1))))`;
  // Words of the stack and of a frame. A frame is ret, func, retp and bitmap, for the graph tracer a call time and a header, for
  // the profiler three words and a header.
  const users = { graph: [256, 6, true, false], profile: [256, 8, false, true], both: [252, 10, true, true] } as const;
  for (const [name, [stack, words, graphs, profiles]] of Object.entries(users)) {
    test(`${name}: what does not fit is counted, and what comes later is recorded again`, async () => {
      const room = capacity(stack, words);
      const tracer = await counter(stack);
      const graph = graphs ? tracer.startGraph({ bufferPages: 16, mode: 'stop' }) : undefined;
      const profile = profiles ? tracer.startProfile() : undefined;
      const { f, target } = await load(tracer, TEXT);
      /// What must have happened so far.
      const counts = (entries: number, unwound: number, overrun: number) => {
        expect(tracer.counts()).toEqual({ entries, returns: entries - unwound, unwound, overrun, stray: 0 });
        expect(tracer.frames()).toEqual([]);
      };

      expect(f.down(room - 1)).toBe(room - 1);
      counts(room, 0, 0);
      expect(f.down(room)).toBe(room);
      counts(2 * room, 0, 1);
      expect(f.down(1000)).toBe(1000);
      counts(3 * room, 0, 1 + 1001 - room);
      expect(() => f.fall(1000)).toThrow(WebAssembly.RuntimeError);
      const overrun = 1 + 2 * (1001 - room);
      counts(4 * room, room, overrun);
      expect(f.down(2)).toBe(2);
      counts(4 * room + 3, room, overrun);

      if (graph) {
        const words = story(graph, target).split(' ');
        expect(words.length).toBe(2 * (4 * room + 3));
        expect(words.slice(-6).join(' ')).toBe('+down +down +down -down -down -down');
        expect(words.filter((word) => word === '!fall').length).toBe(room);
        graph.close();
      }
      if (profile) {
        const counted = Object.fromEntries(profile.rows().map((row) => [row.name, row.count]));
        expect(counted).toEqual({ down: 3 * room + 3, fall: room });
      }
    });
  }

  // Where a frame fits but not its data, it is the reservation that refuses, and the kernel does not count that as overrun
  // (spec/fgraph.md §4). One stack size in three is so when the graph tracer watches alone; the default is not.
  for (const stack of [259, 260]) {
    const overrun = async () => {
      const tracer = await counter(stack);
      const graph = tracer.startGraph();
      const { f } = await load(tracer, TEXT);
      expect(f.down(1000)).toBe(1000);
      const counts = tracer.counts();
      graph.close();
      return counts;
    };
    test(`room for a frame but not for its data, ${stack} words: not recorded`, async () => {
      const entries = capacity(stack, 6);
      expect(await overrun()).toMatchObject({ entries, returns: entries, unwound: 0, stray: 0 });
    });
    test(`room for a frame but not for its data, ${stack} words: no overrun`, async () => {
      expect((await overrun()).overrun).toBe(0);
    });
  }

  test('the default size has room for some 21,800 activations', () => {
    expect(Math.abs(capacity((1 << 17) + 2, 6) - 21_800)).toBeLessThan(100);
  });
});

/// Percent of the untouched depth below which this fails; `undefined` where the target of design and README, 80 %, is what is held.
/// The floors lie below it: these shapes miss the target today, and the figures are here so that they do not get worse unseen.
const DEPTH_TARGET = 80;
const DEPTH_FLOORS: readonly (readonly [what: RegExp, off: number, on: number])[] = [
  [/^quickjs/, DEPTH_TARGET, DEPTH_TARGET],
  [/^sqlite/, DEPTH_TARGET, 50], // each level enters from JavaScript, through a root
  [/^through JavaScript/, DEPTH_TARGET, 20], // the same
  [/^(one function|with values|two functions|through a table)/, 35, 35], // frames of a few words grow by a few words
];

test('reachable recursion depth', async () => {
  const { rows } = await measureDepth({ check: false, rounds: 3, seconds: 0, programs: ['quickjs', 'sqlite'] });
  expect(rows.length).toBe(7);
  const below: string[] = [];
  for (const row of rows) {
    const what = String(row.what);
    const off = Number(row['off %']);
    const on = Number(row['on %']);
    const figures = `${what.split(':')[0]}: untouched ${row.untouched}, off ${row.off} (${off.toFixed(0)} %), on ${row.on} (${on.toFixed(0)} %)`;
    console.log(`depth: ${figures}${Math.min(off, on) < DEPTH_TARGET ? `, target ${DEPTH_TARGET} % missed` : ''}`);
    const [, offFloor, onFloor] = DEPTH_FLOORS.find(([pattern]) => pattern.test(what))!;
    if (!(off >= offFloor && on >= onFloor)) below.push(`${figures}; expected ${offFloor} % and ${onFloor} %`);
  }
  expect(below).toEqual([]);
}, 240_000);

describe('signatures', () => {
  const MANY = 1000;
  const numbers = Array.from({ length: MANY }, (_, i) => i * 3 + 1);
  const TEXT = `(global $calls (export "calls") (mut i32) (i32.const 0))
    (func $none (export "none") (global.set $calls (i32.add (global.get $calls) (i32.const 1))))
    (func $many (export "many") ${'(param i32)'.repeat(MANY)} (result i32)
      ${numbers.map((_, i) => `(i32.mul (local.get ${i}) (i32.const ${i + 1}))`).join(' ')}
      ${'i32.add '.repeat(MANY - 1)})
    (func $inside (export "inside") (result i32) (call $many ${numbers.map((n) => `(i32.const ${n})`).join(' ')}))`;
  const sum = numbers.reduce((all, n, i) => (all + Math.imul(n, i + 1)) | 0, 0);

  test.each([false, true])('0 and 1,000 parameters, args: %s', async (args) => {
    const tracer = await counter();
    const graph = tracer.startGraph();
    const { f, target } = await load(tracer, TEXT, undefined, args);
    expect(target.notrace).toEqual([]);
    expect(f.none()).toBeUndefined();
    expect(f.many(...numbers)).toBe(sum);
    expect(f.inside()).toBe(sum);
    expect((f.calls as unknown as WebAssembly.Global).value).toBe(1);
    expect(story(graph, target)).toBe('+none -none +many -many +inside +many -many -inside');
    expect(tracer.counts()).toMatchObject({ overrun: 0, stray: 0, unwound: 0 });
    graph.unregister();
    expect(f.many(...numbers)).toBe(sum);
    graph.close();
  });

  const RESULTS = `(func $give (export "give") (param i32) ${'(result i32)'.repeat(MANY)}
      ${numbers.map((n) => `(i32.add (local.get 0) (i32.const ${n}))`).join(' ')})
    (func $last (export "last") (param i32) (result i32) (local $kept i32)
      (call $give (local.get 0)) (local.set $kept) ${'drop '.repeat(MANY - 1)} (local.get $kept))`;
  test.each([false, true])('1,000 results, args: %s', async (args) => {
    const bytes = await assemble(RESULTS);
    if (!WebAssembly.validate(bytes)) {
      console.log(`not run: 1,000 results: this engine (${process.version}) does not take them`);
      return;
    }
    const tracer = await counter();
    const graph = tracer.startGraph();
    const { f, target } = await load(tracer, RESULTS, undefined, args);
    expect(target.notrace).toEqual([]);
    expect(f.give(5)).toEqual(numbers.map((n) => n + 5));
    expect(f.last(7)).toBe(numbers[MANY - 1] + 7);
    expect(story(graph, target)).toBe('+give -give +last +give -give -last');
    graph.close();
  });
});

test('a function with 50,000 locals is left alone and listed, its neighbours are traced', async () => {
  const LOCALS = 50_000;
  const text = `(func $before (export "before") (result i32) (i32.const 1))
    (func $large (export "large") (result i32) (local ${'i32 '.repeat(LOCALS)})
      (local.set ${LOCALS - 1} (i32.const 40)) (i32.add (local.get ${LOCALS - 1}) (call $after)))
    (func $after (export "after") (result i32) (i32.add (call $before) (i32.const 1)))`;
  const tracer = await counter();
  const graph = tracer.startGraph();
  const { f, target } = await load(tracer, text);
  expect(target.sites.map(({ name, index }) => [name, index])).toEqual([
    ['before', 0],
    ['after', 2],
  ]);
  const { index, name, reason } = target.notrace[0];
  expect([target.notrace.length, index, name]).toEqual([1, 1, 'large']);
  expect(reason).toMatch(/^limit: .*50[,_]?000/);
  expect(f.large()).toBe(42);
  expect(f.before()).toBe(1);
  expect(story(graph, target)).toBe('+after +before -before -after +before -before');
  expect(tracer.startProfile({ filter: 'large' }).matched).toBe(0);
  graph.close();
});

describe('in the middle of a call', () => {
  // `outer(n)` calls `inner` with 0, 1, 2, and each of them calls the import with its number.
  const TEXT = `(import "js" "step" (func $step (param i32)))
    (func $inner (export "inner") (param i32) (result i32) (call $step (local.get 0)) (local.get 0))
    (func $outer (export "outer") (result i32)
      (i32.add (call $inner (i32.const 0)) (i32.add (call $inner (i32.const 1)) (call $inner (i32.const 2)))))`;

  async function session(stackWords?: number) {
    const tracer = await counter(stackWords);
    let at: (step: number) => void = () => {};
    const { f, target } = await load(tracer, TEXT, { js: { step: (n: number) => at(n) } });
    const gates = vi.spyOn(target, 'setGates');
    /// Which gates were last said to be open: an open one that nobody needs costs time and shows nowhere else.
    const open = () => [...gates.mock.lastCall![0]];
    /// Runs `outer` and does `what` at the import's calls.
    const outer = (what: (step: number) => void) => {
      at = what;
      expect(f.outer()).toBe(3);
      expect(tracer.frames()).toEqual([]);
      const { entries, returns, unwound, overrun, stray } = tracer.counts();
      expect({ open: entries - returns - unwound, overrun, stray }).toEqual({ open: 0, overrun: 0, stray: 0 });
      return { entries, unwound };
    };
    return { tracer, target, outer, open };
  }

  test('gates that open: what runs already is not recorded, what is called from then on is', async () => {
    const { tracer, target, outer } = await session();
    let graph: GraphTracer | undefined;
    outer((step) => {
      if (step === 1) graph = tracer.startGraph();
      expect(tracer.frames().map(({ name }) => name)).toEqual(step === 2 ? ['inner'] : []);
    });
    expect(story(graph!, target)).toBe('+inner -inner');
    expect(outer(() => {}).entries).toBe(1 + 4);
  });

  test('gates that close: what runs is left, what is called from then on is not entered', async () => {
    const { tracer, target, outer, open } = await session();
    const graph = tracer.startGraph();
    expect(open()).toEqual([0b11]);
    const { entries, unwound } = outer((step) => {
      if (step === 1) graph.unregister();
    });
    expect(story(graph, target)).toBe('+outer +inner -inner +inner');
    expect({ entries, unwound }).toEqual({ entries: 3, unwound: 0 });
    expect(outer(() => {}).entries).toBe(3);
    expect(open()).toEqual([0]);
  });

  test('one user goes and another comes: each sees the calls that began while he was there', async () => {
    const { tracer, target, outer } = await session();
    const first = tracer.startGraph();
    const always = tracer.startProfile();
    let second: GraphTracer | undefined;
    outer((step) => {
      if (step !== 1) return;
      first.unregister();
      second = tracer.startGraph({ filter: 'inner' });
    });
    expect(story(first, target)).toBe('+outer +inner -inner +inner');
    expect(story(second!, target)).toBe('+inner -inner');
    expect(always.rows().map(({ name, count }) => [name, count])).toEqual(
      expect.arrayContaining([
        ['outer', 1],
        ['inner', 3],
      ]),
    );
  });

  test('close gives the buffer back while calls that it recorded are under way', async () => {
    const { tracer, target, outer } = await session();
    const first = tracer.startGraph({ bufferPages: 1 });
    let second: GraphTracer | undefined;
    outer((step) => {
      if (step !== 1) return;
      first.close();
      second = tracer.startGraph({ bufferPages: 1 }); // in the memory of the first
    });
    expect(first.read().trimEnd().split('\n').length).toBe(4); // the header
    expect(story(second!, target)).toBe('+inner -inner');
  });

  test('indices go round while frames of their former owners are on the stack: the new owners do not hear of them', async () => {
    const { tracer, outer } = await session();
    tracer.startGraph({ bufferPages: 1, filter: 'outer' });
    let last = tracer.startProfile();
    outer((step) => {
      if (step === 2) return;
      for (let i = 0; i < 3 * layout.FGRAPH_ARRAY_SIZE; i++) {
        last.unregister();
        last = tracer.startProfile();
      }
    });
    expect(last.rows().map(({ name, count }) => [name, count])).toEqual([['inner', 1]]);
  });

  test('detach: running calls are left, and nothing is entered any more', async () => {
    const { tracer, target, outer, open } = await session();
    const graph = tracer.startGraph();
    const profile = tracer.startProfile();
    const { entries } = outer((step) => {
      if (step === 1) tracer.detach(target);
    });
    expect(entries).toBe(3);
    expect(tracer.targets.has(target)).toBe(false);
    expect(open()).toEqual([0]);
    expect(story(graph, target)).toBe('+outer +inner -inner +inner -inner -outer');
    expect(profile.rows().map(({ name, count }) => [name, count])).toEqual([
      ['outer', 1],
      ['inner', 2],
    ]);
    expect(outer(() => {}).entries).toBe(3);
    graph.unregister();
    expect(tracer.startGraph().matched).toBe(0);
    expect(outer(() => {}).entries).toBe(3);
  });

  test('a throw through calls that a user who is gone had entered', async () => {
    const { tracer, target, outer } = await session();
    const graph = tracer.startGraph();
    const error = new Error('from the import');
    const fail = () =>
      outer((step) => {
        if (step !== 1) return;
        graph.unregister();
        throw error;
      });
    expect(fail).toThrow(error);
    expect(tracer.frames()).toEqual([]);
    expect(tracer.counts()).toEqual({ entries: 3, returns: 1, unwound: 2, overrun: 0, stray: 0 });
    expect(story(graph, target)).toBe('+outer +inner -inner +inner');
    const again = tracer.startGraph();
    outer(() => {});
    expect(story(again, target)).toBe('+outer +inner -inner +inner -inner +inner -inner -outer');
  });

  test('watching begins in the middle of a call that a throw leaves later', async () => {
    const { tracer, target, outer } = await session();
    let graph: GraphTracer | undefined;
    const error = new Error('from the import');
    const fail = () =>
      outer((step) => {
        if (step === 1) graph = tracer.startGraph();
        if (step === 2) throw error;
      });
    expect(fail).toThrow(error);
    expect(tracer.frames()).toEqual([]);
    expect(tracer.counts()).toEqual({ entries: 1, returns: 0, unwound: 1, overrun: 0, stray: 0 });
    expect(story(graph!, target)).toBe('+inner !inner');
  });

  // The last user goes while a function is on the stack that catches.
  test('landing pads put the stack back as long as calls are under way', async () => {
    const text = `(import "js" "step" (func $step (param i32)))
      (func $inner (call $step (i32.const 0)))
      (func $outer (export "outer") (try (do (call $inner)) (catch_all)) (call $step (i32.const 1)))`;
    if (!WebAssembly.validate(await assemble(text))) {
      console.log(`not run: landing pads: this engine (${process.version}) has no legacy exception handling`);
      return;
    }
    const tracer = await counter();
    const graph = tracer.startGraph();
    let frames: string[] = [];
    const step = (n: number) => {
      if (n === 0) {
        graph.unregister();
        throw new Error('caught');
      }
      frames = tracer.frames().map(({ name }) => name);
    };
    const { f } = await load(tracer, text, { js: { step } });
    f.outer();
    expect(frames).toEqual(['outer']);
    expect(tracer.frames()).toEqual([]);
    expect(tracer.counts()).toEqual({ entries: 2, returns: 1, unwound: 1, overrun: 0, stray: 0 });
    graph.close();
  });
});

describe('re-entry: export to import to export', () => {
  const TEXT = `(import "js" "again" (func $again (param i32) (result i32)))
    (func $a (export "a") (param i32) (result i32) (i32.add (i32.const 1) (call $b (local.get 0))))
    (func $b (export "b") (param i32) (result i32) (i32.add (i32.const 1) (call $c (local.get 0))))
    (func $c (export "c") (param i32) (result i32) (i32.add (i32.const 1) (call $again (local.get 0))))`;
  const LEVELS = 12;
  const filters: readonly (readonly [filter: string[], notrace: string[], probed: string])[] = [
    [[], [], 'abc'],
    [['b'], [], 'b'],
    [['a', 'c'], [], 'ac'],
    [[], ['b'], 'ac'],
    [['*'], ['[ab]'], 'c'],
    [['x'], [], ''],
  ];
  for (const [filter, notrace, probed] of filters) {
    test(`watching «${probed}» (filter ${JSON.stringify(filter)}, notrace ${JSON.stringify(notrace)})`, async () => {
      const tracer = await counter();
      const graph = tracer.startGraph({ filter, notrace });
      let checks = 0;
      let thrown = 0;
      const names = (frames: readonly { name: string }[]) => frames.map(({ name }) => name).join('');
      const check = () => {
        expect(names(tracer.frames())).toBe(
          names(realFrames(target)).replace(/./g, (n) => (probed.includes(n) ? n : '')),
        );
        checks++;
      };
      const entries = ['a', 'b', 'c'];
      const again = (n: number): number => {
        check();
        if (n === 0) throw new Error('the innermost import');
        let result = 0;
        try {
          result = f[entries[n % 3]](n - 1) as number;
        } catch (error) {
          if (n % 4 !== 0) throw error; // through the frames of two or three levels
          thrown++;
        }
        check();
        return result;
      };
      const { f, target } = await load(tracer, TEXT, { js: { again } });
      f.a(LEVELS);
      // Levels 0 to 3 are left by the throw; level 4 catches it, and from there on everything returns.
      const opened = (levels: number[]) =>
        levels.map((n) => (n === LEVELS ? 'abc' : 'abc'.slice((n + 1) % 3))).join('');
      const wanted = (text: string) => [...text].filter((name) => probed.includes(name)).length;
      const lost = wanted(opened([0, 1, 2, 3]));
      const kept = wanted(opened([4, 5, 6, 7, 8, 9, 10, 11, 12]));
      expect(tracer.counts()).toEqual({ entries: lost + kept, returns: kept, unwound: lost, overrun: 0, stray: 0 });
      expect([checks, thrown]).toEqual([LEVELS + 1 + LEVELS - 3, 1]);
      expect(tracer.frames()).toEqual([]);
      graph.close();
    });
  }
});
