// Pid filters (spec/fgraph.md §3, §11): of section H of spec/testcases.md H13 to H16, for every kind of client.

import { describe, expect, test } from 'vitest';
import { assembleText } from '../bench/shapes.ts';
import { Tracer } from '../src/index.ts';

type Func = (...args: unknown[]) => unknown;

const PROGRAM = `(module
  (import "js" "look" (func $look))
  (func $inner (export "inner"))
  (func $outer (export "outer") (call $look) (call $inner)))`;

async function start() {
  const tracer = await Tracer.create({ clock: 'counter' });
  const js = { look: () => {} };
  const { instance } = await tracer.instantiate(await assembleText('pids', PROGRAM), { js: { look: () => js.look() } });
  const { outer, inner } = instance.exports as Record<string, Func>;
  const other = tracer.createTask({ pid: 7 });
  /// Calls `outer` on both tasks, ten times, so that the engine's shortcuts are taken where they may be.
  const both = () => {
    for (let k = 0; k < 10; k++) {
      outer();
      other.run(() => outer());
    }
  };
  return { tracer, js, outer, inner, other, both };
}

interface Client {
  readonly pids: readonly number[] | undefined;
  setPids(pids?: readonly number[]): void;
  setNotracePids(pids?: readonly number[]): void;
  unregister(): void;
}

/// Counts calls by the task that makes them.
function counter(tracer: Tracer) {
  let counts: [number, number] = [0, 0];
  const count = () => void counts[tracer.currentTask.pid === 1 ? 0 : 1]++;
  const take = (): [number, number] => {
    const taken = counts;
    counts = [0, 0];
    return taken;
  };
  return { count, take };
}

/// A client of each kind, and what it has seen since the last look: calls on task 1, calls on task 7.
const KINDS: Record<string, (tracer: Tracer) => [Client, () => [number, number]]> = {
  function_graph: (tracer) => {
    const graph = tracer.startGraph();
    const seen = (pid: number) => {
      let entries = 0;
      graph.pages((batch, task) => {
        for (let k = 0; k < batch.count; k++) if (task.pid === pid && batch.kind[k] === 1) entries++;
      });
      return entries;
    };
    return [
      graph,
      () => {
        const counts: [number, number] = [seen(1), seen(7)];
        graph.clear();
        return counts;
      },
    ];
  },
  function: (tracer) => {
    const functions = tracer.startFunction();
    return [
      functions,
      () => {
        const lines = functions.read({}).split('\n');
        functions.clear();
        return [/ main-1 /, /task-7-7 /].map((task) => lines.filter((line) => task.test(line)).length) as [
          number,
          number,
        ];
      },
    ];
  },
  registerFgraph: (tracer) => {
    const { count, take } = counter(tracer);
    return [tracer.registerFgraph({ entry: count }), take];
  },
  registerFtrace: (tracer) => {
    const { count, take } = counter(tracer);
    return [tracer.registerFtrace({ call: count }), take];
  },
};

describe.each(Object.keys(KINDS))('%s', (kind) => {
  test('the tasks of the filter, not those of the notrace, and all without either', async () => {
    const { tracer, both } = await start();
    const [client, seen] = KINDS[kind](tracer);
    both();
    expect(seen()).toEqual([20, 20]);
    client.setPids([7]); // H13
    both();
    expect(seen()).toEqual([0, 20]);
    client.setPids([1, 99]);
    both();
    expect(seen()).toEqual([20, 0]);
    client.setNotracePids([1]); // H16: in both lists
    both();
    expect(seen()).toEqual([0, 0]);
    client.setPids();
    both();
    expect(seen()).toEqual([0, 20]); // H15
    client.setNotracePids([]);
    both();
    expect(seen()).toEqual([20, 20]);
  });

  test('clients have filters of their own, and who comes after one inherits none', async () => {
    const { tracer, both } = await start();
    const [first, seenFirst] = KINDS[kind](tracer);
    const [second, seenSecond] = KINDS[kind](tracer);
    first.setPids([1]);
    second.setPids([7]);
    both();
    expect([seenFirst(), seenSecond()]).toEqual([
      [20, 0],
      [0, 20],
    ]);
    first.unregister();
    for (let k = 0; k < 16; k++) {
      const [client, seen] = KINDS[kind](tracer);
      both();
      expect(seen()).toEqual([20, 20]);
      client.unregister();
    }
    expect(seenSecond()[0]).toBe(0);
  });

  test('tasks to come, and edits while a function runs', async () => {
    const { tracer, js, outer, both } = await start();
    const [client, seen] = KINDS[kind](tracer);
    client.setNotracePids([8]);
    const late = tracer.createTask({ pid: 8 });
    for (let k = 0; k < 5; k++) late.run(() => outer());
    expect(seen()).toEqual([0, 0]);
    js.look = () => client.setPids([7]);
    outer(); // outer was entered before, inner is not
    expect(seen()).toEqual([1, 0]);
    js.look = () => {};
    both();
    expect(seen()).toEqual([0, 20]);
  });
});

describe('function-fork (H14)', () => {
  test.each(Object.keys(KINDS))('%s sees what a task of the filter forks, and its children', async (kind) => {
    const { tracer, outer, other } = await start();
    other.exit();
    const [client, seen] = KINDS[kind](tracer);
    const parent = tracer.createTask({ pid: 6 });
    client.setPids([6]);
    tracer.functionFork = true;
    const child = parent.fork({ pid: 7, comm: 'task-7' });
    tracer.functionFork = false;
    expect(client.pids).toEqual([6, 7]);
    for (let k = 0; k < 5; k++) child.run(() => outer());
    expect(seen()[1]).toBe(10);
    client.setPids([7]);
    child.exit();
    expect(client.pids).toEqual([7]);
  });

  test('those not to watch likewise; who is in no list adds nobody', async () => {
    const { tracer, outer, other } = await start();
    let calls = 0;
    const user = tracer.registerFgraph({ entry: () => void calls++ });
    const free = tracer.registerFtrace({ call: () => void calls++ });
    user.setNotracePids([7]);
    free.setNotracePids([99]);
    tracer.functionFork = true;
    expect(tracer.functionFork).toBe(true);
    const child = other.fork({ pid: 8 });
    const grandchild = child.fork({ pid: 9 });
    tracer.createTask({ pid: 10 });
    tracer.currentTask.fork({ pid: 11 });
    expect([user.pids, user.notracePids, free.notracePids]).toEqual([undefined, [7, 8, 9], [99]]);
    grandchild.run(() => outer());
    expect(calls).toBe(2); // of `free` alone
    child.exit();
    expect(user.notracePids).toEqual([7, 9]);
    user.setNotracePids([7, 12]);
    other.fork({ pid: 12 });
    expect(user.notracePids).toEqual([7, 12]);
  });

  test('a list that exits have emptied still holds; a new one replaces it', async () => {
    const { tracer, outer, other } = await start();
    const [client, seen] = KINDS.registerFgraph(tracer);
    client.setPids([7]);
    tracer.functionFork = true;
    other.exit();
    expect(client.pids).toEqual([]);
    outer();
    const late = tracer.createTask({ pid: 7 });
    late.run(() => outer());
    expect(seen()).toEqual([0, 0]);
    client.setPids();
    expect(client.pids).toBeUndefined();
    late.run(() => outer());
    expect(seen()).toEqual([0, 2]);
  });

  test('off, and for clients that are not registered, nobody is followed', async () => {
    const { tracer, other } = await start();
    const user = tracer.registerFgraph({ entry() {} });
    user.setPids([7]);
    other.fork();
    expect(user.pids).toEqual([7]);
    user.unregister();
    tracer.functionFork = true;
    other.fork();
    other.exit();
    expect(user.pids).toEqual([7]);
    expect(() => Object.assign(tracer, { functionFork: 1 })).toThrow(/functionFork is 1, expected true or false/);
    expect(tracer.functionFork).toBe(true);
  });
});

test('a return is told although the task is passed over by then', async () => {
  const { tracer, js, outer } = await start();
  const heard: string[] = [];
  const user = tracer.registerFgraph({
    entry: ({ name }) => void heard.push(name),
    return: ({ name }) => void heard.push(`/${name}`),
  });
  js.look = () => user.setPids([7]);
  outer();
  expect(heard).toEqual(['outer', '/outer']);
});

test('a client that is registered again has the filter that it had', async () => {
  const { tracer, both } = await start();
  let calls = 0;
  const user = tracer.registerFtrace({ call: () => void calls++ });
  user.setPids([7]);
  user.unregister();
  user.setNotracePids([7]);
  expect([user.pids, user.notracePids]).toEqual([[7], [7]]);
  user.setNotracePids();
  tracer.registerFtrace(user);
  both();
  expect(calls).toBe(20);
});

test('twelve clients of entries alone at most, and nothing changes when it is said', async () => {
  const { tracer, both } = await start();
  const clients = Array.from({ length: 13 }, () => {
    const client = { calls: 0, ops: tracer.registerFtrace({ call: () => void client.calls++ }) };
    return client;
  });
  for (const { ops } of clients.slice(0, 12)) ops.setPids([7]);
  expect(() => clients[12].ops.setPids([7])).toThrow(expect.objectContaining({ code: 'ENOSPC' }));
  expect(clients[12].ops.pids).toBeUndefined();
  both();
  expect(clients.map(({ calls }) => calls)).toEqual([...Array(12).fill(20), 40]);
  clients[3].ops.setPids();
  clients[12].ops.setPids([1]);
  for (const client of clients) client.calls = 0;
  both();
  expect(clients.map(({ calls }) => calls)).toEqual([20, 20, 20, 40, ...Array(9).fill(20)]);
});

test('what is no list of pids is refused', async () => {
  const { tracer, both } = await start();
  const [client, seen] = KINDS.registerFgraph(tracer);
  client.setPids([7]);
  for (const pids of [7, 'x', null, {}, [-1], [1.5], ['7'], [undefined], [2 ** 31], [1n], [Number.NaN]]) {
    expect(() => client.setPids(pids as number[])).toThrow(expect.objectContaining({ code: 'EINVAL' }));
    expect(() => client.setNotracePids(pids as number[])).toThrow(/pid/);
  }
  both();
  expect(seen()).toEqual([0, 20]);
});
