// Several tasks: stacks, variables and recordings of their own, whatever is done to them in whatever order.

import { describe, expect, test } from 'vitest';
import { assembleText } from '../bench/shapes.ts';
import { type FgraphUser, type Task, type TaskOptions, Tracer } from '../src/index.ts';

type Func = (...args: unknown[]) => unknown;

const PROGRAM = `(module
  (import "js" "look" (func $look))
  (func $inner (call $look))
  (func $outer (export "outer") (call $inner))
  (func $leaf (export "leaf")))`;

async function start() {
  const tracer = await Tracer.create({ clock: 'counter', stackWords: 4096 });
  const imports = { look: () => {} };
  const { instance } = await tracer.instantiate(await assembleText('tasks', PROGRAM), {
    js: { look: () => imports.look() },
  });
  return { tracer, f: instance.exports as Record<string, Func>, imports };
}

function codeOf(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return (error as { code?: unknown }).code ?? String(error);
  }
  return undefined;
}

const HEADER = `# tracer: function_graph
#
# CPU  TASK/PID         DURATION                  FUNCTION CALLS
# |     |    |           |   |                     |   |   |   |
`;

test('pids, names, who runs', async () => {
  const { tracer } = await start();
  const main = tracer.currentTask;
  expect([main.pid, main.comm, main.isCurrent, main.alive]).toEqual([1, 'main', true, true]);
  const a = tracer.createTask({ comm: 'worker' });
  const b = tracer.createTask({ name: 'other', pid: 77, stackWords: 64 });
  const c = tracer.createTask();
  expect([a, b, c].map(({ pid, comm, stackWords }) => [pid, comm, stackWords])).toEqual([
    [2, 'worker', 4096],
    [77, 'other', 64],
    [78, 'task-78', 4096],
  ]);
  expect(tracer.tasks).toEqual([main, a, b, c]);
  expect(tracer.switchTo(a)).toBe(main);
  expect(b.switchTo()).toBe(a);
  expect([a.isCurrent, b.isCurrent, tracer.currentTask]).toEqual([false, true, b]);
  expect(c.run(() => tracer.currentTask)).toBe(c);
  expect(tracer.currentTask).toBe(b);
  expect(() =>
    c.run(() => {
      throw new Error('left');
    }),
  ).toThrow('left');
  expect(tracer.currentTask).toBe(b);
  main.switchTo();
  a.exit();
  expect([a.alive, tracer.tasks]).toEqual([false, [main, b, c]]);
  expect(tracer.createTask({ pid: 2 }).pid).toBe(2);
});

describe('each has its own', () => {
  test('frames and counts', async () => {
    const { tracer, f, imports } = await start();
    tracer.registerFgraph({ entry: () => true });
    const other = tracer.createTask();
    const seen: unknown[] = [];
    const names = () => tracer.frames().map(({ name }) => name);
    imports.look = () => {
      seen.push(names());
      other.run(() => {
        seen.push(names());
        f.leaf();
      });
      seen.push(names());
    };
    f.outer();
    expect(seen).toEqual([['inner', 'outer'], [], ['inner', 'outer']]);
    expect(tracer.counts()).toMatchObject({ entries: 2, returns: 2, stray: 0 });
    expect(other.counts()).toMatchObject({ entries: 1, returns: 1, unwound: 0, stray: 0 });
  });

  test('task variables, zero when a task or a user begins', async () => {
    const { tracer, f } = await start();
    const user: FgraphUser = tracer.registerFgraph({ filter: 'leaf', entry: () => void user.taskVar++ });
    const other = tracer.createTask();
    f.leaf();
    other.run(() => {
      f.leaf();
      f.leaf();
      expect(user.taskVar).toBe(2);
    });
    expect(user.taskVar).toBe(1);
    const fork = other.fork();
    expect(fork.run(() => user.taskVar)).toBe(0);
    user.unregister();
    tracer.registerFgraph(user);
    expect([user.taskVar, other.run(() => user.taskVar)]).toEqual([0, 0]);
  });

  test('data, and the event’s depth', async () => {
    const { tracer, f, imports } = await start();
    const heard: string[] = [];
    const other = tracer.createTask();
    const user: FgraphUser = tracer.registerFgraph({
      entry(event) {
        user.reserveData(8)!.setUint32(0, heard.length);
        heard.push(`${event.name} ${event.depth}`);
      },
      return: (event) => void heard.push(`/${event.name} ${user.retrieveData()!.getUint32(0)}`),
    });
    imports.look = () => void other.run(() => f.leaf());
    f.outer();
    expect(heard).toEqual(['outer 0', 'inner 1', 'leaf 0', '/leaf 2', '/inner 1', '/outer 0']);
  });

  test('recordings, merged by time; those of a task that exited stay', async () => {
    const { tracer, f, imports } = await start();
    const early = tracer.createTask({ comm: 'early' });
    const graph = tracer.startGraph({ bufferPages: 1 });
    const late = tracer.createTask({ comm: 'late' });
    imports.look = () => {
      early.run(() => f.leaf());
      late.run(() => f.leaf());
    };
    f.outer();
    early.exit();
    late.exit();
    const text = graph.read({ proc: true });
    expect(text.startsWith(HEADER)).toBe(true);
    expect(text.slice(HEADER.length).replace(/^ -+\n.*\n -+\n\n/gm, '')).toBe(
      [
        ' 0)     main-1     |               |  outer() {',
        ' 0)     main-1     |               |    inner() {',
        ' 0)    early-2     |   0.001 us    |  leaf();',
        ' 0)     late-3     |   0.001 us    |  leaf();',
        ' 0)     main-1     |   0.005 us    |    }',
        ' 0)     main-1     |   0.007 us    |  } /* outer */', // another task's call at that depth lies between
        '',
      ].join('\n'),
    );
    expect(text.split('-----\n 0)').length - 1).toBe(3); // a switch each time
    graph.close();
    expect(graph.lost).toBe(0);
  });

  test('what was switched off stays off for tasks to come; losses of all are counted', async () => {
    const { tracer, f } = await start();
    const graph = tracer.startGraph({ bufferPages: 1, mode: 'stop' });
    graph.on = false;
    const other = tracer.createTask();
    other.run(() => f.leaf());
    expect(graph.read().split('\n').length).toBe(5);
    graph.on = true;
    for (let i = 0; i < 1000; i++) f.leaf();
    other.run(() => {
      for (let i = 0; i < 1000; i++) f.leaf();
    });
    const { lost } = graph;
    expect(lost).toBeGreaterThan(1000);
    let pages = 0;
    const tasks = new Set<Task>();
    graph.pages((_, task) => {
      pages++;
      tasks.add(task);
    });
    expect([pages, [...tasks]]).toEqual([2, [tracer.currentTask, other]]);
    graph.clear();
    expect(graph.read().split('\n').length).toBe(5);
  });

  test('the function tracer names the task', async () => {
    const { tracer, f } = await start();
    const functions = tracer.startFunction({ filter: 'leaf' });
    f.leaf();
    tracer.createTask({ comm: 'nine', pid: 9 }).run(() => f.leaf());
    const lines = functions.read().trimEnd().split('\n').slice(-2);
    expect(lines[0]).toMatch(/^ +main-1 +\[000\] .*: leaf <-\[host\]$/);
    expect(lines[1]).toMatch(/^ +nine-9 +\[000\] .*: leaf <-\[host\]$/);
  });
});

test('paused: entries are refused, calls under way return', async () => {
  const { tracer, f, imports } = await start();
  const heard: string[] = [];
  tracer.registerFgraph({
    entry: (event) => void heard.push(event.name),
    return: (event) => void heard.push(`/${event.name}`),
  });
  const task = tracer.currentTask;
  imports.look = () => {
    task.pause();
    task.pause();
    f.leaf();
    task.unpause();
    f.leaf();
  };
  f.outer();
  f.leaf();
  expect(heard).toEqual(['outer', 'inner', '/inner', '/outer']);
  task.unpause();
  f.leaf();
  expect(heard.slice(4)).toEqual(['leaf', '/leaf']);
  expect(codeOf(() => task.unpause())).toBe('EINVAL');
});

test('resumed and suspended, as coroutines are', async () => {
  const { tracer, f } = await start();
  const graph = tracer.startGraph({ bufferPages: 1 });
  const [a, b] = [tracer.createTask({ comm: 'a' }), tracer.createTask({ comm: 'b' })];
  a.resume();
  f.leaf();
  b.resume();
  expect(tracer.currentTask).toBe(b);
  expect(codeOf(() => b.resume())).toBe('EBUSY');
  expect(codeOf(() => a.resume())).toBe('EBUSY'); // it waits for b
  expect(codeOf(() => a.suspend())).toBe('EINVAL');
  b.suspend();
  expect(tracer.currentTask).toBe(a);
  a.suspend();
  expect(tracer.currentTask).toBe(tracer.tasks[0]);
  expect(codeOf(() => tracer.currentTask.suspend())).toBe('EINVAL');
  expect(codeOf(() => a.suspend())).toBe('EINVAL');
  a.resume();
  a.suspend();
  expect(graph.read({ proc: true })).toContain(' 0)      a-2       |   0.001 us    |  leaf();');
});

test('a leave that comes while another task runs changes nothing', async () => {
  const { tracer, f, imports } = await start();
  tracer.registerFgraph({ entry: () => true });
  const main = tracer.currentTask;
  const other = tracer.createTask();
  imports.look = () => void other.switchTo();
  f.outer();
  expect(other.counts()).toMatchObject({ entries: 0, stray: 2 });
  expect(main.counts()).toMatchObject({ entries: 2, returns: 0 });
  main.switchTo();
  imports.look = () => {};
  f.outer();
  expect(main.counts()).toMatchObject({ entries: 4, returns: 2, unwound: 0 });
});

test('switched in the middle of a handler', async () => {
  const { tracer, f } = await start();
  const main = tracer.currentTask;
  const other = tracer.createTask();
  const heard: string[] = [];
  const user: FgraphUser = tracer.registerFgraph({
    entry(event) {
      heard.push(event.name);
      if (event.name === 'outer') other.run(() => f.leaf());
    },
    return(event) {
      heard.push(`/${event.name}`);
      if (event.name === 'inner') heard.push(String(codeOf(() => main.exit())), String(codeOf(() => other.exit())));
    },
  });
  f.outer();
  expect(user.lastError).toBe(undefined);
  expect(heard).toEqual(['outer', 'leaf', '/leaf', 'inner', '/inner', 'EBUSY', 'undefined', '/outer']);
  expect(main.counts()).toMatchObject({ entries: 2, returns: 2, unwound: 0, stray: 0 });
});

test('an event is of its own task, also when the handler has switched to another one', async () => {
  const { tracer, f } = await start();
  const main = tracer.currentTask;
  const other = tracer.createTask({ stackWords: 64 });
  const seen: unknown[] = [];
  tracer.registerFgraph({
    filter: 'leaf',
    entry(event) {
      const own = [event.depth, event.overrun, event.name];
      other.switchTo();
      seen.push(own, [event.depth, event.overrun, event.name]);
      main.switchTo();
    },
  });
  f.leaf();
  expect(seen).toEqual([
    [0, 0, 'leaf'],
    [0, 0, 'leaf'],
  ]);
});

test('a call that fell asleep before it was accepted takes no time, rather than less than none', async () => {
  const { tracer } = await start();
  const main = tracer.currentTask;
  const other = tracer.createTask();
  const object = {
    f() {
      for (let k = 0; k < 3; k++) object.h();
      tracer.switchTo(main);
    },
    g: () => object.f(),
    h() {},
  };
  const target = tracer.attachObject(object, { name: 'o' });
  tracer.registerFgraph({
    filter: 'o.f',
    entry() {
      tracer.switchTo(other);
      for (let k = 0; k < 20; k++) object.h();
    },
    return() {},
  });
  const long = tracer.startGraph({ filter: ['o.f', 'o.g'], sleepTime: false, threshold: 500 });
  const all = tracer.startGraph({ filter: ['o.f', 'o.g'], sleepTime: false });
  tracer.startGraph({ filter: 'o.h' });
  object.g();
  expect(long.read()).not.toMatch(/o\.[fg]/);
  expect(all.read()).toMatch(/o\.f/);
  tracer.detach(target);
});

test('exit unwinds what is left, and records that', async () => {
  const { tracer, f, imports } = await start();
  const graph = tracer.startGraph({ bufferPages: 1 });
  const main = tracer.currentTask;
  const other = tracer.createTask();
  imports.look = () => void main.switchTo();
  other.switchTo();
  f.outer(); // its frames stay on `other`
  other.exit();
  expect(graph.read()).toMatch(/outer\(\) \{\n.*inner\(\); \/\* unwound \*\/\n.*\} \/\* unwound \*\/\n$/);
});

describe('bad input', () => {
  test.each([
    [null],
    [7],
    [{ coom: 'x' }],
    [{ comm: 7 }],
    [{ name: null }],
    [{ pid: 0 }],
    [{ pid: -1 }],
    [{ pid: 1.5 }],
    [{ pid: 2 ** 29 }],
    [{ pid: '3' }],
    [{ pid: Number.NaN }],
    [{ stackWords: 0 }],
    [{ stackWords: 63 }],
    [{ stackWords: -64 }],
    [{ stackWords: 64.5 }],
    [{ stackWords: 2 ** 24 + 1 }],
    [{ stackWords: 2 ** 32 + 64 }],
    [{ stackWords: Number.NaN }],
    [{ stackWords: '64' }],
    [{ stackWords: null }],
    [{ stackWords: Symbol('s') }],
    [{ pid: Symbol('s') }],
  ])('createTask(%o)', async (options) => {
    const { tracer, f } = await start();
    tracer.startGraph({ bufferPages: 1 });
    expect(codeOf(() => tracer.createTask(options as unknown as TaskOptions))).toBe('EINVAL');
    expect(tracer.tasks.length).toBe(1);
    f.outer();
    expect(tracer.counts().entries).toBe(2);
  });

  test('a pid that is taken; the tracer’s own task; a task that has gone, or is another tracer’s', async () => {
    const [one, two] = [await start(), await start()];
    const task = one.tracer.createTask({ pid: 5 });
    expect(codeOf(() => one.tracer.createTask({ pid: 5 }))).toBe('EEXIST');
    expect(codeOf(() => task.fork({ pid: 1 }))).toBe('EEXIST');
    expect(codeOf(() => one.tracer.currentTask.exit())).toBe('EBUSY');
    expect(codeOf(() => task.run(() => task.exit()))).toBe('EBUSY');
    expect(codeOf(() => two.tracer.switchTo(task))).toBe('EINVAL');
    expect(two.tracer.currentTask.pid).toBe(1);
    task.exit();
    for (const use of [
      () => task.exit(),
      () => task.switchTo(),
      () => task.run(() => {}),
      () => task.resume(),
      () => task.suspend(),
      () => task.pause(),
      () => task.unpause(),
      () => task.counts(),
      () => task.fork(),
      () => one.tracer.switchTo(task),
    ]) {
      expect(codeOf(use)).toBe('ESRCH');
    }
    for (const wrong of [null, undefined, 7, {}, 'main', one.tracer]) {
      expect(codeOf(() => one.tracer.switchTo(wrong as never))).toBe('EINVAL');
    }
    expect(codeOf(() => one.tracer.currentTask.run(7 as never))).toBe('EINVAL');
    expect(one.tracer.currentTask.pid).toBe(1);
  });

  test('no memory for a task: nothing of it stays', async () => {
    const { tracer, f } = await start();
    const big = { stackWords: 2 ** 24 }; // 128 MiB each, of 2 GiB
    let code: unknown;
    let made = 0;
    while (code === undefined && made < 20) {
      code = codeOf(() => tracer.createTask(big));
      if (code === undefined) made++;
    }
    expect(code).toBe('ENOMEM');
    expect(tracer.tasks.length).toBe(1 + made);
    tracer.tasks[1].exit();
    expect(codeOf(() => tracer.createTask(big))).toBe(undefined);
    f.outer();
  });
});
