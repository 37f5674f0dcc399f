// What handlers are told while they nest: random calls of random functions, from handlers too, which throw, refuse, fill the stack and
// come and go. The naive model is a list of the handlers that run. Each of them has to see its own call all the time, also after others
// have run inside of it and of whatever became of them, and nothing once it is over.

import { expect, test } from 'vitest';
import { assembleText } from '../bench/shapes.ts';
import { type FgraphEvent, type FgraphUser, type Fprobe, type FtraceRegs, Tracer } from '../src/index.ts';
import { Random, runSeed } from './assembly/engine.ts';

const CALLS = 200;
const NAMES = ['fa', 'fb', 'fc', 'fd'] as const;
const DEPTH_MAX = 6;
const BYTES_MAX = 40;

type Traced = (argument: number) => number;
type Body = (which: number, argument: number) => number;

/// Four functions that call `body` with their number and their argument, and return what it does.
type Make = (tracer: Tracer, body: Body) => Promise<Traced[]>;

const TYPES = ['i32', 'f64', 'i32', 'f32']; // as exact as the values need, and read differently

const inWebAssembly: Make = async (tracer, body) => {
  const text = `(module
    ${NAMES.map((name, k) => `(import "js" "${name}" (func $${name} (param ${TYPES[k]}) (result ${TYPES[k]})))`).join('\n')}
    ${NAMES.map((name, k) => `(func (export "${name}") (param ${TYPES[k]}) (result ${TYPES[k]}) (call $${name} (local.get 0)))`).join('\n')})`;
  const js = Object.fromEntries(NAMES.map((name, k) => [name, (argument: number) => body(k, argument)]));
  const { instance } = await tracer.instantiate(await assembleText('random handlers', text), { js });
  return NAMES.map((name) => instance.exports[name] as Traced);
};

const inJavaScript: Make = async (tracer, body) => {
  const object: Record<string, Traced> = {};
  NAMES.forEach((name, k) => {
    object[name] = (argument) => body(k, argument);
  });
  tracer.attachObject(object, { name: 'o' });
  return NAMES.map((name) => (argument) => object[name](argument));
};

/// A handler that runs.
interface Open {
  readonly event?: FgraphEvent;
  readonly name: string;
}

const codeOf = (run: () => unknown): unknown => {
  try {
    run();
  } catch (error) {
    return (error as { code?: unknown }).code;
  }
  return undefined;
};

async function shake(make: Make, seed: number) {
  const random = new Random(seed);
  const tracer = await Tracer.create({ clock: 'counter' });
  const seen = { handlers: 0, nested: 0, failed: 0, refused: 0, data: 0, overflows: 0, changes: 0 };
  const open: Open[] = [];
  const events = new Set<FgraphEvent>();
  const views = new Set<FtraceRegs>();
  const wrong: string[] = [];
  let depth = 0;
  let thrown = 0;

  const same = (what: string, is: unknown, expected: unknown): void => {
    if (is !== expected) wrong.push(`${what}: ${String(is)}, expected ${String(expected)}`);
  };
  /// Argument and result say which function it is, so that nothing has to be kept of a call: 4 × any + its number.
  const nameOf = (value: unknown): string => NAMES[(value as number) & 3];
  const argumentFor = (which: number): number => 4 * random.below(2 ** 20) + which;

  const call = (): void => {
    if (depth >= DEPTH_MAX) return;
    const which = random.below(NAMES.length);
    const argument = argumentFor(which);
    depth++;
    try {
      same('result', functions[which](argument) & 3, which);
    } catch (error) {
      if (error !== LEFT) throw error;
    } finally {
      depth--;
    }
  };
  const LEFT = new Error('left without returning');
  const functions = await make(tracer, (which, argument) => {
    same('argument', argument & 3, which);
    while (random.oneIn(2)) call();
    if (random.oneIn(20)) throw LEFT;
    return argumentFor(which);
  });

  const overflow = (): number => 1 + overflow();
  /// What every handler does: `look` says what it sees of its call.
  const act = (event: FgraphEvent | undefined, fregs: FtraceRegs, look: () => string): void => {
    const name = look();
    seen.handlers++;
    if (open.length > 0) seen.nested++;
    for (const other of open)
      if (other.event) same('event of an outer handler', other.event.name.slice(-2), other.name);
    if (event) events.add(event);
    views.add(fregs);
    open.push({ event, name });
    try {
      while (random.oneIn(3)) {
        call();
        same('after others', look(), name);
      }
      if (random.oneIn(40)) change();
      same('after changes', look(), name);
      if (random.oneIn(300)) {
        seen.overflows++;
        thrown++;
        overflow();
      }
      if (random.oneIn(10)) {
        thrown++;
        throw new Error('a bug in a handler');
      }
    } finally {
      open.pop();
    }
  };

  const users: FgraphUser[] = [];
  const probes: Fprobe[] = [];
  const change = (): void => {
    seen.changes++;
    const user = random.pick(users);
    if (user.registered) user.unregister();
    else tracer.registerFgraph(user);
    const probe = random.pick(probes);
    if (probe.registered) probe.unregister();
    else probe.register({ filter: random.pick(['*', '*a', '*[bc]']) });
  };

  const lookAt = (event: FgraphEvent, fregs: FtraceRegs, isEntry: boolean) => () => {
    const name = event.name.slice(-2);
    same('site', event.site.name.slice(-2), name);
    same('registers', nameOf(isEntry ? fregs.argument(0) : fregs.returnValue()), name);
    same('the other registers', isEntry ? fregs.returnValue() : fregs.argument(0), undefined);
    return name;
  };
  for (let k = 0; k < 3; k++) {
    const user: FgraphUser = tracer.registerFgraph({
      filter: k === 2 ? '*[bd]' : undefined,
      entry(event, fregs) {
        const bytes = random.oneIn(2) ? 1 + random.below(BYTES_MAX) : 0;
        const id = event.name.charCodeAt(event.name.length - 1);
        const data = bytes > 0 && user.registered ? user.reserveData(bytes) : null;
        if (data) for (let at = 0; at < data.byteLength; at++) data.setUint8(at, id ^ k);
        act(event, fregs, lookAt(event, fregs, true));
        if (random.oneIn(6)) {
          seen.refused++;
          return false;
        }
        return random.pick([undefined, true, 1, 'yes', null]);
      },
      return(event, fregs) {
        const id = event.name.charCodeAt(event.name.length - 1);
        const data = user.retrieveData();
        if (data) seen.data++;
        if (data) for (let at = 0; at < data.byteLength; at++) same('data', data.getUint8(at), id ^ k);
        act(event, fregs, lookAt(event, fregs, false));
      },
    });
    users.push(user);
  }
  const ops = tracer.registerFtrace({
    filter: '*[ac]',
    call(_ip, _parent, fregs) {
      act(undefined, fregs, () => nameOf(fregs.argument(0)));
    },
  });
  for (const entryDataSize of [0, 8]) {
    probes.push(
      tracer.registerFprobe({
        filter: '*',
        entryDataSize,
        entry(_probe, ip, _ret, fregs, data) {
          const name = nameOf(fregs.argument(0));
          data?.setFloat64(0, Number(ip));
          act(undefined, fregs, () => {
            if (data) same('its data', data.getFloat64(0), ip);
            same('registers', nameOf(fregs.argument(0)), name);
            return name;
          });
        },
        exit(_probe, ip, _ret, fregs, data) {
          if (data) same('data of the entry', data.getFloat64(0), ip);
          act(undefined, fregs, () => nameOf(fregs.returnValue()));
        },
      }),
    );
  }

  for (let k = 0; k < CALLS; k++) {
    call();
    same('handlers that run', open.length, 0);
    for (const event of events)
      same(
        'an event that is over',
        codeOf(() => event.name),
        'EINVAL',
      );
    for (const fregs of views)
      same(
        'registers that are over',
        codeOf(() => fregs.argument(0)),
        'EINVAL',
      );
    same(
      'outside',
      codeOf(() => users[0].reserveData(8)),
      'EINVAL',
    );
    if (wrong.length > 0) break;
  }
  for (const { errors } of [...users, ops, ...probes]) seen.failed += errors;
  expect(wrong.slice(0, 5)).toEqual([]);
  expect(seen.failed).toBe(thrown);
  expect(tracer.frames()).toEqual([]);
  return seen;
}

test('handlers that nest see their own calls, and the same on every target', async () => {
  const seed = runSeed('handlers');
  const seen = await shake(inWebAssembly, seed);
  console.log(`handlers: ${JSON.stringify(seen)}`);
  for (const count of Object.values(seen)) expect(count).toBeGreaterThan(5);
  expect(await shake(inJavaScript, seed)).toEqual(seen);
});
