import { expect, test } from 'vitest';
import { Batch, ENTRY, LOST, RETURN, TraceEvent, UNWOUND } from '../../src/trace/events.ts';
import { Merge, type Source } from '../../src/trace/merge.ts';
import { seeded } from './random.ts';

type Row = [kind: number, func: number, time: number];

// A source that hands out its events in batches of the given sizes; what is left comes in one.
function source(cpu: number, pid: number, events: Row[], sizes: number[] = []): Source {
  const batch = new Batch(events.length + 1);
  let at = 0;
  let k = 0;
  return {
    cpu,
    pid,
    batch,
    next() {
      if (at >= events.length) return false;
      const size = sizes[k++] ?? events.length;
      batch.count = 0;
      for (const [kind, func, time] of events.slice(at, at + size)) {
        const i = batch.count++;
        batch.kind[i] = kind;
        batch.func[i] = func;
        batch.time[i] = time;
      }
      at += size;
      return true;
    },
  };
}

type Printed = [cpu: number, pid: number, kind: number, func: number, time: number];

function drain(sources: Source[]): Printed[] {
  const merge = new Merge(sources);
  const event = new TraceEvent();
  const out: Printed[] = [];
  while (merge.next(event)) out.push([event.cpu, event.pid, event.kind, event.func, event.time]);
  expect(merge.next(event)).toBe(false);
  return out;
}

const times = (printed: Printed[]): number[] => printed.map(([, , , , time]) => time);

test('one source comes through as it is, across batches and empty batches', () => {
  const events: Row[] = [1, 2, 3, 4, 5].map((time) => [ENTRY, time, time]);
  expect(times(drain([source(0, 1, events, [2, 0, 1])]))).toEqual([1, 2, 3, 4, 5]);
  expect(drain([source(0, 1, [])])).toEqual([]);
  expect(drain([])).toEqual([]);
});

test('by time, ties in the order of the sources', () => {
  const a = source(0, 1, [
    [ENTRY, 1, 10],
    [ENTRY, 2, 30],
  ]);
  const b = source(1, 2, [
    [ENTRY, 3, 10],
    [ENTRY, 4, 20],
  ]);
  expect(drain([a, b]).map(([, , , func]) => func)).toEqual([1, 3, 4, 2]);
});

test('the return that makes a leaf comes right after its entry', () => {
  const a = source(0, 1, [
    [ENTRY, 1, 10],
    [RETURN, 1, 50],
    [ENTRY, 2, 60],
  ]);
  const b = source(1, 2, [
    [ENTRY, 3, 20],
    [UNWOUND, 3, 30],
  ]);
  expect(times(drain([a, b]))).toEqual([10, 50, 20, 30, 60]);
});

test('also when it is in the next batch', () => {
  const a = source(
    0,
    1,
    [
      [ENTRY, 1, 10],
      [RETURN, 1, 50],
    ],
    [1, 0, 1],
  );
  expect(times(drain([a, source(1, 2, [[ENTRY, 3, 20]])]))).toEqual([10, 50, 20]);
});

test('not when something else happened on that CPU, was lost, or another function returned', () => {
  const a: Row[] = [
    [ENTRY, 1, 10],
    [RETURN, 1, 50],
  ];
  const other = (): Source => source(1, 3, [[ENTRY, 9, 20]]);
  expect(times(drain([source(0, 1, a), source(0, 2, [[ENTRY, 2, 30]]), other()]))).toEqual([10, 20, 30, 50]);
  const lost: Row[] = [
    [ENTRY, 1, 10],
    [LOST, 3, 40],
    [RETURN, 1, 50],
  ];
  expect(times(drain([source(0, 1, lost), other()]))).toEqual([10, 20, 40, 50]);
  const wrong: Row[] = [
    [ENTRY, 1, 10],
    [RETURN, 2, 50],
  ];
  expect(times(drain([source(0, 1, wrong), other()]))).toEqual([10, 20, 50]);
});

test('not when another task returned from the same function', () => {
  const sources = [source(0, 1, [[ENTRY, 1, 10]]), source(0, 2, [[RETURN, 1, 50]]), source(1, 3, [[ENTRY, 9, 20]])];
  expect(times(drain(sources))).toEqual([10, 20, 50]);
});

test('a task that moved: its return on another CPU is no leaf', () => {
  const a = source(0, 1, [[ENTRY, 1, 10]]);
  expect(times(drain([a, source(2, 5, [[ENTRY, 7, 20]]), source(1, 1, [[RETURN, 1, 50]])]))).toEqual([10, 20, 50]);
});

test('losses and counts arrive in their fields', () => {
  const merge = new Merge([source(0, 1, [[LOST, 12, 5]])]);
  const event = new TraceEvent();
  merge.next(event);
  expect([event.kind, event.count, event.func, event.time]).toEqual([LOST, 12, 0, 5]);
});

test('random streams agree with the rule applied to the whole', () => {
  const { random, seed } = seeded();
  for (let round = 0; round < 500; round++) {
    let unique = 0;
    const sources = Array.from({ length: 1 + random(4) }, (_, pid) => {
      const stack: number[] = [];
      const events: Row[] = [];
      let time = pid;
      for (let i = random(20); i > 0; i--) {
        time += 4 * (1 + random(5)); // times differ between tasks: they are pid modulo 4
        if (stack.length === 0 || random(2) === 0) events.push([ENTRY, stack[stack.push(++unique) - 1], time]);
        else events.push([RETURN, stack.pop()!, time]);
      }
      return { cpu: random(2), pid, events };
    });

    // By definition: all by time, then every return that directly follows its entry on its CPU moves up to it.
    const all: Printed[] = sources.flatMap(({ cpu, pid, events }) =>
      events.map(([kind, func, time]): Printed => [cpu, pid, kind, func, time]),
    );
    all.sort((a, b) => a[4] - b[4]);
    const expected: Printed[] = [];
    const moved = new Set<Printed>();
    all.forEach((event, i) => {
      if (moved.has(event)) return;
      expected.push(event);
      const next = all.slice(i + 1).find(([cpu]) => cpu === event[0]);
      if (event[2] === ENTRY && next !== undefined && next[2] === RETURN && next[3] === event[3]) {
        moved.add(next);
        expected.push(next);
      }
    });
    const sizes = Array.from({ length: 30 }, () => random(4));
    const printed = drain(sources.map(({ cpu, pid, events }) => source(cpu, pid, events, sizes)));
    expect(printed, `seed ${seed} round ${round}`).toEqual(expected);
  }
});
