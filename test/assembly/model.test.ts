// Random operations on the engine and on the model of it (model.ts), which have to agree about every result, every callback,
// every word on the shadow stack, every record and every statistic.
//
// An operation runs on the model first. Callbacks decide at random what to do (more operations, on the model), and all of
// that is logged. Then the operation runs on the engine, whose callbacks have to come in the order of the log and replay it.

import { expect, test } from 'vitest';
import * as layout from '../../assembly/layout.ts';
import * as ringLayout from '../../assembly/ring-layout.ts';
import type { Engine } from '../../src/engine.ts';
import { ENTER_WORDS_MAX } from '../../src/instrument/abi.ts';
import { freshEngine, Random, runSeed } from './engine.ts';
import { Model } from './model.ts';
import { ModelRing, ModelTask } from './model-parts.ts';
import { readRing } from './records.ts';

const OPERATIONS = 1_000_000;
const OPERATIONS_PER_RUN = 4000;
const SITES = 12;
const RETURN = 1 << 8; // added to an entry handler's id
const WORD = layout.WORD_SIZE;

class Thrown extends Error {}

/// `expect(actual).toBe(expected)`, a hundred times faster.
function same(actual: unknown, expected: unknown, what: string): void {
  if (!Object.is(actual, expected)) throw new Error(`${what} is ${String(actual)}, expected ${String(expected)}`);
}

/// `expect(actual).toEqual(expected)` for flat objects, a hundred times faster as long as they are equal.
function alike<T extends object>(actual: T, expected: T): void {
  let equal = true;
  for (const key in expected) equal &&= Object.is(actual[key], expected[key]);
  for (const key in actual) equal &&= key in expected;
  if (!equal) expect(actual).toEqual(expected);
}

/// What the runs came across, so that a test that no longer tests much is noticed.
const seen = {
  direct: 0,
  set: 0,
  short: 0,
  general: 0,
  callbacks: 0,
  thrown: 0,
  types: Array<number>(8).fill(0),
  unwound: 0,
  depth: 0,
};

/// An operation as data: name and arguments, all numbers, so that a log can be read.
type Operation = [name: string, ...numbers: number[]];

/// What a callback did, in order.
interface Callback {
  what: string;
  actions: { operation: Operation; result: unknown }[];
  outcome: 'accept' | 'refuse' | 'throw';
}

interface Subject {
  run(operation: Operation): unknown;
}

const argument = (site: number, k: number) => BigInt(site * 1000 + k) << 20n;

class ModelSubject implements Subject {
  readonly model: Model;

  constructor(model: Model) {
    this.model = model;
  }

  run([name, a, b, c]: Operation): unknown {
    const { model } = this;
    const ring = (k: number) => model.rings[k];
    switch (name) {
      case 'enter':
        return model.enter(a);
      case 'enterWords': {
        for (let k = ENTER_WORDS_MAX; k < b; k++) model.current.sendAhead(k, argument(a, k));
        return model.enter(
          a,
          Array.from({ length: Math.min(b, ENTER_WORDS_MAX) }, (_, k) => argument(a, k)),
        );
      }
      case 'leave':
        return model.leave(a);
      case 'leaveWords':
        for (let k = 1; k < b; k++) model.current.sendAhead(k, argument(99, k));
        return model.leave(a, [argument(99, 0)]);
      case 'save':
        return model.save();
      case 'restore':
        return model.restore(a);
      case 'reset':
        return model.reset(model.tasks[a]);
      case 'reserve': {
        const address = model.reserve(a, b);
        if (address) model.retrieve(a, 0).data!.values.fill(BigInt(c));
        return address;
      }
      case 'retrieve': {
        const { address, size } = model.retrieve(a, b);
        return [address, size];
      }
      case 'register':
        return model.register(a, b, b && b + RETURN, a === layout.GOPS_GRAPH ? ring(c) : undefined);
      case 'registerExit':
        return model.register(layout.GOPS_HOST, 0, a + RETURN, undefined);
      case 'unregister':
        return model.unregister(a);
      case 'setRing':
        return model.setRing(a, model.tasks[b], ring(c));
      case 'want':
        return model.want(a, b, c !== 0);
      case 'ringOn':
        ring(a).on = b !== 0;
        return;
      case 'switch':
        model.switchTo(model.tasks[a]);
        return;
      case 'pause': {
        const task = model.tasks[a];
        if (!b && !task.pause) return -layout.EINVAL;
        task.pause += b ? 1 : -1;
        return task.pause;
      }
      case 'ignore':
        model.tasks[a].ignored = b;
        return 0;
      case 'clock':
        return model.clockSet(a);
      case 'context': {
        const before = model.current.context;
        model.current.context = a;
        return before;
      }
      case 'filter':
        for (let site = 0; site < SITES; site++) model.want(site, a, ((b >>> site) & 1) !== 0);
        return;
      case 'opsRegister':
        return model.opsRegister(a, b, a === layout.OPS_FUNCTION ? ring(b) : undefined, c);
      case 'opsUnregister':
        return model.opsUnregister(a);
      case 'opsWant':
        return model.opsWant(a, b, c !== 0);
      case 'graphFilter':
        model.graphFilter = a !== 0;
        return;
      case 'graphDepth':
        model.graphDepth = a;
        return 0;
      case 'graphSite':
        return model.graphSite(a, b !== 0, c !== 0);
      case 'graphOptions':
        return model.graphOptions(a, b, c);
      default:
        throw new Error(name);
    }
  }
}

class EngineSubject implements Subject {
  readonly engine: Engine;
  tasks: number[];
  rings: number[];

  constructor(engine: Engine, tasks: number[], rings: number[]) {
    this.engine = engine;
    this.tasks = tasks;
    this.rings = rings;
  }

  run([name, a, b, c]: Operation): unknown {
    const { exports, memory } = this.engine;
    switch (name) {
      case 'enter':
        return exports.enter(a);
      case 'enterWords': {
        for (let k = ENTER_WORDS_MAX; k < b; k++) exports.word(k, argument(a, k));
        const enter = exports[`enter_${Math.min(b, ENTER_WORDS_MAX)}`] as (site: number, ...words: bigint[]) => number;
        return enter(a, ...Array.from({ length: Math.min(b, ENTER_WORDS_MAX) }, (_, k) => argument(a, k)));
      }
      case 'leave':
        return exports.leave(a);
      case 'leaveWords':
        for (let k = 1; k < b; k++) exports.word(k, argument(99, k));
        return exports.leave_value(a, argument(99, 0));
      case 'save':
        return exports.save();
      case 'restore':
        return exports.restore(a);
      case 'reset':
        exports.task_reset(this.tasks[a]);
        return;
      case 'reserve': {
        const address = exports.reserve(a, b);
        for (let at = 0; address && at < b; at += WORD) memory.store64(address + at, c);
        return address;
      }
      case 'retrieve': {
        const [address, size] = [exports.retrieve_parent(a, b), exports.retrieve_parent_size(a, b)];
        expect(exports.retrieve_word(a, b)).toBe(address + size);
        return [address, size];
      }
      case 'register':
        return exports.fgraph_register(a, b, b && b + RETURN, a === layout.GOPS_GRAPH ? (this.rings[c] ?? 0) : 0);
      case 'registerExit':
        return exports.fgraph_register(layout.GOPS_HOST, 0, a + RETURN, 0);
      case 'unregister':
        return exports.fgraph_unregister(a);
      case 'setRing':
        return exports.graph_set_ring(a, this.tasks[b], this.rings[c] ?? 0);
      case 'want':
        return exports.site_want(a, b, c);
      case 'ringOn':
        exports.ring_on(this.rings[a], b);
        return;
      case 'switch':
        exports.task_switch(this.tasks[a]);
        return;
      case 'pause':
        return exports.task_pause(this.tasks[a], b);
      case 'ignore':
        return exports.task_ignore(this.tasks[a], b);
      case 'clock':
        return exports.clock_set(a);
      case 'context':
        return exports.task_context(a);
      case 'filter':
        for (let site = 0; site < SITES; site++) exports.site_want(site, a, (b >>> site) & 1);
        return;
      case 'opsRegister':
        return exports.ops_register(a, a === layout.OPS_FUNCTION ? (this.rings[b] ?? 0) : b, c);
      case 'opsUnregister':
        return exports.ops_unregister(a);
      case 'opsWant':
        return exports.site_want(b, a, c);
      case 'graphFilter':
        exports.graph_filter(a);
        return;
      case 'graphDepth':
        return exports.graph_depth(a);
      case 'graphSite':
        return exports.graph_site(a, b, c);
      case 'graphOptions':
        return exports.graph_options(a, b, c);
      default:
        throw new Error(name);
    }
  }
}

/// What a run is like, in percent: how often it changes who wants what, and how much of the stack it fills.
interface Style {
  unrest: number;
  fill: number;
}

/// An operation that makes sense, or nearly, for what the model looks like now.
function randomOperation(random: Random, model: Model, { unrest, fill }: Style): Operation {
  const task = model.current;
  const site = () => random.below(random.oneIn(50) ? SITES + 3 : SITES);
  const user = () => random.below(random.oneIn(10) ? 17 : 4);
  const frame = () => {
    if (task.frames.length === 0 || random.oneIn(12)) return task.addressOf(random.below(task.words + 40) - 20);
    const back = random.oneIn(4) ? random.below(task.frames.length) : 0;
    return task.addressOf(task.frames[task.frames.length - 1 - back].base);
  };
  if (task.pause && random.oneIn(20)) return ['pause', model.tasks.indexOf(task), 0];
  const mark = () => (random.oneIn(8) ? frame() + random.below(9) : frame());
  const choice = random.below(100) < unrest ? 62 + random.below(38) : random.below(62);
  const down = task.top < random.below((task.words * fill) / 50);
  if (choice < 62) {
    if (down) return random.oneIn(4) ? ['enterWords', site(), 1 + random.below(20)] : ['enter', site()];
    return random.oneIn(6) ? ['leaveWords', frame(), 1 + random.below(4)] : ['leave', frame()];
  }
  if (choice < 78) return ['want', site(), user(), random.below(unrest > 10 ? 2 : 4)];
  if (choice < 84) return ['retrieve', user(), random.below(4)];
  if (choice < 86) return ['restore', mark()];
  if (choice < 87) return ['save'];
  if (choice < 91) {
    const kind = random.pick([layout.GOPS_GRAPH, layout.GOPS_GRAPH, layout.GOPS_PROFILE, layout.GOPS_HOST, 0]);
    if (kind === 0) return ['registerExit', 1 + random.below(100)];
    return [
      'register',
      kind,
      kind === layout.GOPS_HOST ? 1 + random.below(100) : 0,
      random.below(model.rings.length + 1),
    ];
  }
  if (choice < 93) return ['unregister', user()];
  if (choice < 95 && unrest > 1) return randomSetting(random, model, site, user);
  if (choice < 96) return ['setRing', user(), random.below(model.tasks.length), random.below(model.rings.length + 1)];
  if (choice < 97) return ['ringOn', random.below(model.rings.length), random.below(3)];
  if (choice < 98) return ['switch', random.below(model.tasks.length)];
  if (random.oneIn(3)) return ['pause', random.below(model.tasks.length), task.pause ? 0 : random.below(2)];
  if (random.oneIn(3)) return ['reset', random.below(model.tasks.length)];
  if (random.oneIn(2)) return ['ignore', random.below(model.tasks.length), random.oneIn(3) ? random.next() : 0];
  return ['clock', random.below(2)];
}

/// Plain ops, rules and contexts.
function randomSetting(random: Random, model: Model, site: () => number, user: () => number): Operation {
  const { OPS_FUNCTION, OPS_HOST, OPS_FL_DIRECT, GRAPH_SKIP_IRQS, GRAPH_SKIP_SLEEP } = layout;
  const handle = () => ((1 + random.below(random.oneIn(4) ? 30 : 3)) << layout.OPS_SLOT_BITS) | random.below(6);
  const pids = () => 1 << (layout.OPS_PIDS_SHIFT + random.below(layout.OPS_PIDS_COUNT));
  switch (random.below(12)) {
    case 0:
      return random.oneIn(2)
        ? ['opsRegister', OPS_HOST, 1 + random.below(100), random.pick([0, OPS_FL_DIRECT, pids(), pids()])]
        : ['opsRegister', OPS_FUNCTION, random.below(model.rings.length + 1), random.oneIn(2) ? pids() : 0];
    case 1:
      return ['opsUnregister', handle()];
    case 2:
    case 3:
    case 4:
    case 5:
      return ['opsWant', handle(), site(), random.below(4)];
    case 6:
      return ['context', random.oneIn(3) ? random.below(4) : layout.CONTEXT_NORMAL];
    case 7:
      return ['filter', user(), random.next()];
    case 8:
      return ['graphSite', site(), random.below(2), random.oneIn(4) ? 1 : 0];
    case 9:
      return ['graphFilter', random.oneIn(3) ? 1 : 0];
    case 10:
      return ['graphDepth', random.oneIn(4) ? random.below(6) : 0];
    default:
      return [
        'graphOptions',
        user(),
        random.oneIn(2) ? 0 : random.pick([GRAPH_SKIP_IRQS, GRAPH_SKIP_SLEEP, GRAPH_SKIP_IRQS | GRAPH_SKIP_SLEEP]),
        random.oneIn(3) ? random.below(20) : 0,
      ];
  }
}

/// The words of a task's stack that the model knows, by address.
function compareStack(engine: Engine, model: Model, task: ModelTask): void {
  const { memory } = engine;
  task.frames.forEach(({ base, site, bitmap, accepted, data }, k) => {
    const at = task.addressOf(base);
    const below = task.frames[k - 1];
    same(memory.load64(at + layout.FRAME_RET), below ? model.sites[below.site].ip : 0, 'ret');
    same(memory.load64(at + layout.FRAME_FUNC), model.sites[site].ip, 'func');
    same(memory.load64(at + layout.FRAME_RETP), below ? task.addressOf(below.base) : 0, 'retp');
    const word = memory.load32(at + layout.FRAME_BITMAP);
    const forgot = word & layout.FGRAPH_BITMAP_ORPHAN;
    same(word ^ forgot, accepted ? (bitmap << 12) | 0x403 : 0x3, 'bitmap word');
    same(forgot !== 0 || !data.some(({ orphan }) => orphan), true, 'a frame with data of nobody says so');
    same(memory.load32(at + layout.FRAME_SITE), site, 'site');
    let end = base + 4;
    for (const { owner, orphan, values } of data) {
      const isHost = model.users[owner]?.kind === layout.GOPS_HOST && !orphan;
      for (const value of values) {
        if (isHost) same(memory.load64(task.addressOf(end)), Number(value), 'data');
        end++;
      }
      const header = ((orphan ? 1 : 0) << 21) | (owner << 17) | ((values.length - 1) << 12) | 0x800 | (end - base);
      same(memory.load64(task.addressOf(end)), header, 'data word');
      end++;
    }
  });
}

/// Events so far; in direct mode the place of the next record says it (assembly/direct.ts).
function eventsSoFar({ exports, memory }: Engine): number {
  const task = exports.task_current();
  if (memory.load32(task + layout.TASK_DIRECT) === 0) return memory.load64(layout.ABI_COUNTER);
  const ring = memory.load32(task + layout.TASK_DIRECT_RING);
  const time =
    BigInt(memory.load32(task + layout.TASK_DIRECT_TIME)) +
    (BigInt(memory.load32(task + layout.TASK_DIRECT_TIME + 4)) << 32n);
  return Number(
    BigInt.asUintN(64, time + BigInt(memory.load32(ring + ringLayout.RING_WRITE) >>> ringLayout.RECORD_SHIFT) - 1n),
  );
}

function compareTask(engine: Engine, task: ModelTask): void {
  const { memory } = engine;
  same(memory.load32(task.address + layout.TASK_TOP), task.addressOf(task.top), 'top');
  same(memory.load32(task.address + layout.TASK_DEPTH) | 0, task.frames.length - 1, 'depth');
  same(memory.load32(task.address + layout.TASK_BASE), task.newest ? task.addressOf(task.newest.base) : 0, 'base');
}

function compareAll(engine: Engine, model: Model, rings: readonly number[]): void {
  const { exports, memory } = engine;
  exports.sync();
  same(memory.load64(layout.ABI_COUNTER), model.counter, 'counter');
  for (const task of model.tasks) {
    compareTask(engine, task);
    compareStack(engine, model, task);
    const { returns, unwound, overrun, stray, frames } = task;
    const entries = returns + unwound + frames.length;
    alike(memory.counts(task.address), { entries, returns, unwound, overrun, stray });
    const bits = task.locks.reduce((bits, lock, k) => (lock ? bits | (1 << k) : bits), 0);
    same(memory.load32(task.address + layout.TASK_RECURSION), bits, 'recursion');
  }
  model.users.forEach((user, index) => {
    if (user?.kind !== layout.GOPS_PROFILE) return;
    for (let site = 0; site < SITES; site++) {
      const row = user.statistics.get(site) ?? { count: 0, total: 0, self: 0, max: 0 };
      alike(memory.statistics(index, site), row);
    }
  });
  model.sites.forEach(({ users }, site) => {
    same(memory.siteWatchers(site), model.ops.count(site) + (users ? 1 : 0), 'watchers of a site');
  });
  rings.forEach((ring, k) => {
    const pages = readRing(engine, ring);
    // A function event stands beside the graph: the reader's depth says nothing about it.
    const events = pages.flatMap((page) => page.events.map((e) => (e.type === 'function' ? { ...e, depth: 0 } : e)));
    const expected = model.rings[k].events;
    const lost = expected.length - events.length;
    events.forEach((event, i) => {
      alike(event, expected[lost + i] as typeof event);
    });
    same(
      pages.reduce((sum, page) => sum + page.lost, 0),
      lost,
      'lost on pages',
    );
    same(memory.ringLost(ring), lost, 'lost');
    for (const { types } of pages) for (let type = 0; type < 8; type++) seen.types[type] += types[type];
  });
}

async function run(seed: number, operations: number): Promise<void> {
  const random = new Random(seed);
  let log: Callback[] = [];
  let position = 0;
  let now = random.below(1e9);
  const style = { unrest: random.pick([1, 4, 38]), fill: random.pick([10, 50, 120]) };
  const describe = (...parts: unknown[]) => parts.join(' ');

  // The model's side: decide, carry out, write down.
  const outside = {
    call(handler: number, index: number, site: number, frame: number, words: readonly bigint[]): boolean {
      const isEntry = handler < RETURN;
      const callback: Callback = {
        what: describe(handler, index, site, frame, ...words),
        actions: [],
        outcome: 'refuse',
      };
      log.push(callback);
      const act = (operation: Operation) => {
        const action = { operation, result: undefined as unknown };
        callback.actions.push(action);
        action.result = modelSubject.run(operation);
        return action.result;
      };
      if (isEntry && random.oneIn(2))
        act(['reserve', index, random.below(24) + (random.oneIn(20) ? 260 : 0), random.next()]);
      for (let n = random.below(3) * random.below(2); n > 0; n--) {
        if (random.oneIn(6)) act(['reserve', index, random.below(24), random.next()]);
        if (random.oneIn(3)) {
          const cookie = act(['enter', random.below(SITES)]) as number;
          if (!random.oneIn(5)) act(['leave', cookie]);
        } else act(randomOperation(random, model, style));
      }
      callback.outcome = random.oneIn(60) ? 'throw' : random.oneIn(3) ? 'refuse' : 'accept';
      if (callback.outcome === 'throw') throw new Thrown();
      return callback.outcome === 'accept';
    },
    clock(): number {
      now += random.below(3) ? random.below(100) : random.oneIn(40) ? 2 ** 33 : random.oneIn(20) ? -50 : 0;
      log.push({ what: describe('clock', now), actions: [], outcome: 'accept' });
      return now;
    },
  };

  // The engine's side: the same callbacks in the same order, or it is wrong.
  const next = (what: string): Callback => {
    const callback = log[position++];
    if (callback?.what !== what) throw new Error(`callback ${position}: got «${what}», expected «${callback?.what}»`);
    return callback;
  };
  const engine = await freshEngine({
    call(handler, index, site, frame, fregs) {
      const count = engine.memory.load32(fregs + layout.FREGS_COUNT);
      const words = Array.from({ length: count }, (_, k) =>
        engine.memory.load64(fregs + layout.FREGS_WORDS + k * WORD),
      );
      same(engine.memory.load64(fregs + layout.FREGS_IP), model.sites[site].ip, 'fregs ip');
      const callback = next(describe(handler, index, site, frame, ...words));
      for (const { operation, result } of callback.actions) {
        same(String(engineSubject.run(operation)), String(result), operation.join(' '));
      }
      if (callback.outcome === 'throw') throw new Thrown();
      return callback.outcome === 'accept' ? 1 : 0;
    },
    clock() {
      const { what } = log[position];
      const value = Number(what.split(' ')[1]);
      next(describe('clock', value));
      return value;
    },
  });

  const { exports, memory } = engine;
  exports.direct_set(random.below(4));
  engine.addSites(SITES);
  const taskWords = [512, 64, 100 + random.below(400)];
  const tasks = taskWords.map((words, k) => (k === 0 ? exports.task_current() : engine.createTask(words)));
  const rings = [1, 2, 4, 1, 2].map((pages) => engine.createRing(pages, ringLayout.RING_OVERWRITE));
  const modelTasks = tasks.map(
    (task, k) => new ModelTask(task, memory.stackBottom(task), taskWords[k], memory.load32(task + layout.TASK_ID)),
  );
  const model = new Model(outside, modelTasks[0]);
  model.tasks = modelTasks;
  model.rings = rings.map((ring) => new ModelRing(ring));
  for (let site = 0; site < SITES; site++) {
    model.sites.push({ ip: 2 ** 32 * 3 + site, users: 0, starts: false, notrace: false });
    memory.setSiteIp(site, 2 ** 32 * 3 + site);
  }
  const modelSubject = new ModelSubject(model);
  const engineSubject = new EngineSubject(engine, tasks, rings);

  const history: Operation[] = [];
  const attempt = (subject: Subject, operation: Operation): unknown => {
    try {
      return subject.run(operation);
    } catch (error) {
      if (error instanceof Thrown) return 'thrown';
      throw error;
    }
  };
  const step = (operation: Operation): unknown => {
    history.push(operation);
    if (history.length > 30) history.shift();
    log = [];
    position = 0;
    const expected = attempt(modelSubject, operation);
    const result = attempt(engineSubject, operation);
    if (result !== expected) same(String(result), String(expected), operation.join(' '));
    same(position, log.length, 'number of callbacks');
    compareTask(engine, model.current);
    same(eventsSoFar(engine), model.counter, 'events');
    seen.callbacks += log.length;
    seen.depth = Math.max(seen.depth, model.current.frames.length);
    if (result === 'thrown') seen.thrown++;
    if (memory.load32(model.current.address + layout.TASK_DIRECT)) seen.direct++;
    else if (memory.load32(model.current.address + layout.TASK_SET)) seen.set++;
    else if (memory.load32(model.current.address + layout.TASK_SHORT) === 2) seen.short++;
    else seen.general++;
    return result;
  };

  try {
    // A first set of users, so that a calm run has something to do.
    const { GOPS_GRAPH, GOPS_PROFILE, GOPS_HOST } = layout;
    const kinds = random.pick([
      [GOPS_GRAPH],
      [GOPS_PROFILE],
      [GOPS_PROFILE, GOPS_GRAPH],
      [GOPS_GRAPH, GOPS_PROFILE, GOPS_GRAPH],
      [GOPS_HOST, GOPS_GRAPH, GOPS_PROFILE, GOPS_HOST],
    ]);
    kinds.forEach((kind, k) => {
      step(['register', kind, kind === GOPS_HOST ? 1 + random.below(100) : 0, k % rings.length]);
      for (let site = 0; site < SITES; site++) if (k === 0 || !random.oneIn(3)) step(['want', site, k, 1]);
    });
    for (let i = 0; i < operations; i++) {
      const mark = model.save();
      const result = step(randomOperation(random, model, style));
      // What a target does when a call ends by a throw.
      if (result === 'thrown' && !random.oneIn(10)) step(['restore', mark]);
      if (random.oneIn(100)) compareAll(engine, model, rings);
    }
    compareAll(engine, model, rings);
    seen.unwound += model.tasks.reduce((sum, task) => sum + task.unwound, 0);
  } catch (error) {
    const { message } = error as Error;
    throw new Error(
      `seed ${seed}: ${message}\nlast operations:\n${history.map((operation) => operation.join(' ')).join('\n')}\n${JSON.stringify(log, null, 1)}`,
      {
        cause: error,
      },
    );
  }
}

test(`${OPERATIONS} random operations: engine and model agree`, async () => {
  const seed = runSeed('engine against model');
  for (let k = 0; k < OPERATIONS / OPERATIONS_PER_RUN; k++) await run(seed + k, OPERATIONS_PER_RUN);
  console.log(JSON.stringify(seen));
  expect(seen.direct).toBeGreaterThan(OPERATIONS / 50);
  expect(seen.set).toBeGreaterThan(OPERATIONS / 50);
  expect(seen.short).toBeGreaterThan(OPERATIONS / 50);
  expect(seen.general).toBeGreaterThan(OPERATIONS / 4);
  expect(seen.callbacks).toBeGreaterThan(OPERATIONS / 8);
  expect(seen.thrown).toBeGreaterThan(100);
  expect(seen.unwound).toBeGreaterThan(1000);
  expect(seen.depth).toBeGreaterThan(60);
  const { RECORD_ENTRY, RECORD_TIME } = ringLayout;
  for (let type = RECORD_ENTRY; type <= RECORD_TIME; type++)
    expect(seen.types[type], `type ${type}`).toBeGreaterThan(20);
});
