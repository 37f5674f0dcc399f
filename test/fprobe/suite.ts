// Section A of spec/testcases.md, numbered as there, and the rows of B and L that are about probes; one body for all targets.
// Where a case needs threads, tasks take their place: one is left in the middle of a call while another runs.

import { describe, expect, test } from 'vitest';
import * as layout from '../../assembly/layout.ts';
import {
  FPROBE_FL_DISABLED,
  FPROBE_FL_KPROBE_SHARED,
  FPROBE_FL_SHARED_EXIT,
  type Fprobe,
  type FprobeOptions,
} from '../../src/index.ts';
import { Random } from '../assembly/engine.ts';
import { enabled, errno, type Fixture, inCallback, Log, type MakeFixture, misses, tables } from './fixture.ts';

const R = 1_234_567;
const third = Math.trunc(R / 3);
const noop = (): void => {};

export function sectionA(target: string, make: MakeFixture): void {
  const on = ({ tracer }: Fixture, names: string | string[], options: Omit<FprobeOptions, 'symbols'>): Fprobe =>
    tracer.registerFprobe({ ...options, symbols: [names].flat() });

  /// The probe of the unit suite: entry sees R/3, exit the result.
  function checking(fixture: Fixture, options: Partial<FprobeOptions> & { result?: number } = {}) {
    const seen = { entry: 0, exit: 0, entryIps: [] as number[], data: [] as (DataView | null)[] };
    const { result = 0, ...rest } = options;
    const places = [fixture.ip('fa'), fixture.ip('fb')];
    const handlers = {
      entry: (_: Fprobe, ip: number, _ret: number, _regs: unknown, data: DataView | null) => {
        expect(inCallback(fixture.tracer)).toBe(true);
        expect(places).toContain(ip);
        seen.entryIps.push(ip);
        seen.entry = third;
        seen.data.push(data);
        data?.setUint32(0, seen.entry, true);
        return result;
      },
      exit: (_: Fprobe, ip: number, _ret: number, fregs: { returnValue(): unknown }, data: DataView | null) => {
        expect(inCallback(fixture.tracer)).toBe(true);
        expect(Number(fregs.returnValue())).toBe(ip === places[0] ? third : third + 1);
        expect(seen.entry).toBe(third);
        seen.exit = seen.entry + 3;
        seen.data.push(data);
        if (data) expect(data.getUint32(0, true)).toBe(seen.entry);
      },
    };
    return { seen, handlers: { ...handlers, ...rest } };
  }

  describe(`${target}: A`, () => {
    test('A1 unregister what was never registered', async () => {
      const { tracer } = await make();
      const probe = tracer.createFprobe({ entry: noop });
      expect(probe.registered).toBe(false);
      expect(errno(() => probe.unregister())).toBe('EINVAL');
    });

    test('A2, A3 entry only', async () => {
      const fixture = await make();
      const { seen, handlers } = checking(fixture);
      const probe = fixture.tracer.registerFprobe({ filter: 'f[ab]', entry: handlers.entry });
      expect(fixture.call.fa(R)).toBe(third);
      expect(seen).toEqual({ entry: third, exit: 0, entryIps: [fixture.ip('fa')], data: [null] });
      expect(fixture.call.fb(R)).toBe(third + 1);
      expect(seen).toEqual({
        entry: third,
        exit: 0,
        entryIps: [fixture.ip('fa'), fixture.ip('fb')],
        data: [null, null],
      });
      expect([probe.hits, probe.nmissed]).toEqual([2, 0]);
      expect(errno(() => probe.unregister())).toBe(0);
    });

    test('A4, A5, A8 entry and exit', async () => {
      const fixture = await make();
      const { seen, handlers } = checking(fixture);
      const probe = fixture.tracer.registerFprobe({ filter: 'f[ab]', ...handlers });
      expect(fixture.call.fa(R)).toBe(third);
      expect(seen).toMatchObject({ entry: third, exit: third + 3, data: [null, null] });
      expect(fixture.call.fb(R)).toBe(third + 1);
      expect(seen.exit).toBe(third + 3);
      expect(probe.errors, String(probe.lastError)).toBe(0);
      expect(errno(() => probe.unregister())).toBe(0);
      expect(enabled(fixture.tracer)).toEqual([]);
    });

    test('A6 by names', async () => {
      const fixture = await make();
      const { seen, handlers } = checking(fixture);
      const probe = on(fixture, ['fa', 'fb'], handlers);
      fixture.call.fa(R);
      fixture.call.fb(R);
      expect(seen).toMatchObject({ exit: third + 3, entryIps: [fixture.ip('fa'), fixture.ip('fb')] });
      expect(probe.errors, String(probe.lastError)).toBe(0);
      probe.unregister();
    });

    test('A7 four bytes of data', async () => {
      const fixture = await make();
      const { seen, handlers } = checking(fixture);
      const probe = on(fixture, 'fa', { ...handlers, entryDataSize: 4 });
      expect(probe.entryDataSize).toBe(8);
      fixture.call.fa(R);
      expect(seen.data.map((data) => data?.byteLength)).toEqual([8, 8]);
      expect(probe.errors, String(probe.lastError)).toBe(0);
    });

    test('A9 the entry handler cancels', async () => {
      const fixture = await make();
      const { seen, handlers } = checking(fixture, { result: 1 });
      const probe = on(fixture, 'fa', handlers);
      fixture.call.fa(R);
      expect(seen).toMatchObject({ entry: third, exit: 0 });
      expect([probe.nmissed, probe.hits, probe.errors]).toEqual([0, 1, 0]);
    });

    test.each(['A10', 'A11'])('%s entry and exit, and entry only, on one function', async (id) => {
      const fixture = await make();
      const log = new Log();
      const one = () => on(fixture, 'fa', { entry: log.entry('P1'), exit: log.exit('P1') });
      const two = () => fixture.tracer.registerFprobe({ filter: 'fa', entry: log.entry('P2') });
      const probes = id === 'A10' ? [one(), two()] : [two(), one()];
      expect(fixture.call.fa(R)).toBe(third);
      expect(log.take().sort()).toEqual(['entry P1', 'entry P2', 'exit P1']);
      for (const probe of probes) expect(errno(() => probe.unregister())).toBe(0);
      expect(enabled(fixture.tracer)).toEqual([]);
    });

    test('A12 registered already, by address', async () => {
      const fixture = await make();
      const log = new Log();
      const probe = on(fixture, 'fa', { entry: log.entry('P'), exit: log.exit('P') });
      const before = tables(fixture.tracer);
      expect(errno(() => probe.register({ addresses: [fixture.ip('fb')] }))).toBe('EEXIST');
      expect(errno(() => probe.register({ addresses: [] }))).toBe('EEXIST');
      expect(errno(() => probe.register({ filter: 'fb' }))).toBe('EEXIST');
      expect(tables(fixture.tracer)).toEqual(before);
      fixture.call.fa(R);
      expect(log.take()).toEqual(['entry P', 'exit P']);
    });

    test('A13 registered already, by a filter that matches nothing', async () => {
      const fixture = await make();
      const probe = on(fixture, 'fa', { entry: noop });
      expect(errno(() => probe.register({ filter: 'nothing_*' }))).toBe('ENOENT');
      expect(errno(() => probe.register({ symbols: ['no_such'] }))).toBe('ENOENT');
      expect(errno(() => probe.register({ filter: null as never }))).toBe('EINVAL');
    });

    test('A14 null and nothing', async () => {
      const fixture = await make();
      const { tracer } = fixture;
      const before = tables(tracer);
      const bad: unknown[] = [
        null,
        undefined,
        {},
        { entry: noop },
        { filter: null },
        { filter: [] },
        { filter: [null] },
        { filter: 'fa', notfilter: 7 },
        { addresses: null },
        { addresses: [] },
        { addresses: -1 },
        { symbols: null },
        { symbols: [] },
        { symbols: [undefined] },
        { filter: 'fa', symbols: ['fa'] },
        { symbols: ['fa'], notfilter: 'fb' },
      ];
      for (const options of bad) {
        expect(
          errno(() => tracer.registerFprobe(options as FprobeOptions)),
          JSON.stringify(options),
        ).toBe('EINVAL');
      }
      expect(tables(tracer)).toEqual(before);
    });

    test('A15, A16 a name that there is not, a name twice', async () => {
      const fixture = await make();
      const before = tables(fixture.tracer);
      expect(errno(() => on(fixture, ['fa', 'no_such'], { entry: noop, exit: noop }))).toBe('ENOENT');
      expect(errno(() => on(fixture, ['fa', 'fa'], { entry: noop, exit: noop }))).toBe('ENOENT');
      expect(tables(fixture.tracer)).toEqual(before);
      expect(() => on(fixture, ['trigge'], { entry: noop })).toThrow(/'trigge'; nearest: trigger/);
    });

    test('A17 names are sorted', async () => {
      const fixture = await make();
      const symbols = ['fb', 'rec', 'f1', 'fa'];
      const probe = fixture.tracer.registerFprobe({ symbols, exit: noop });
      expect(symbols).toEqual(['f1', 'fa', 'fb', 'rec']);
      expect(probe.locations).toBe(4);
      fixture.call.fa(R);
      fixture.call.fb(R);
      expect(probe.hits).toBe(2);
      expect(errno(() => fixture.tracer.registerFprobe({ symbols: Object.freeze(['fb', 'fa']) as never }))).toBe(0);
    });

    test('A18 an address inside a function', async () => {
      const fixture = await make();
      const before = tables(fixture.tracer);
      const addresses = [
        fixture.ip('fa'),
        Number(fixture.ip('fa')) + 0.5,
        'fa',
        -1,
        Number.NaN,
        2n ** 64n,
        Number(fixture.ip('fb')) + 2 ** 40,
      ];
      for (const bad of addresses.slice(1)) {
        const options = { addresses: [addresses[0], bad] as number[], exit: noop };
        expect(
          errno(() => fixture.tracer.registerFprobe(options)),
          String(bad),
        ).toBe('ENOENT');
      }
      expect(tables(fixture.tracer)).toEqual(before);
      expect(fixture.tracer.registerFprobe({ addresses: [BigInt(fixture.ip('fa'))], exit: noop }).locations).toBe(1);
    });

    test('A20, A21, A22 how much data', async () => {
      const fixture = await make();
      const log = new Log();
      const with15 = on(fixture, 'fa', { entryDataSize: 120, exit: log.exit('P') });
      fixture.call.fa(R);
      expect(log.take()).toEqual(['exit P']);
      with15.unregister();
      const before = tables(fixture.tracer);
      for (const entryDataSize of [121, 128, 2 ** 31, 2 ** 32, 2 ** 32 + 8, 2 ** 53]) {
        const probe = fixture.tracer.createFprobe({ entryDataSize, exit: noop });
        expect(
          errno(() => probe.register({ symbols: ['fa'] })),
          String(entryDataSize),
        ).toBe('E2BIG');
        expect(
          errno(() => probe.register({ addresses: [1] })),
          'before the addresses are looked at',
        ).toBe('E2BIG');
        expect(
          errno(() => probe.register({ symbols: ['no_such'] })),
          'names come first',
        ).toBe('ENOENT');
        expect(probe.registered).toBe(false);
      }
      for (const entryDataSize of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, '8', null]) {
        expect(errno(() => on(fixture, 'fa', { entryDataSize: entryDataSize as number, exit: noop }))).toBe('EINVAL');
      }
      expect(tables(fixture.tracer)).toEqual(before);
    });

    test('A23 a filter less another', async () => {
      const fixture = await make();
      const names: string[] = [];
      const entry = (_: Fprobe, ip: number) => names.push(ip === fixture.ip('f1') ? 'f1' : 'other') && 0;
      fixture.tracer.registerFprobe({ filter: 'f*', notfilter: 'f[2-8]', entry, exit: noop });
      fixture.call.trigger();
      expect(names).toEqual(['f1']);
    });

    test('A24 counting by filter', async () => {
      const { tracer, traceable } = await make();
      const count = (filter: string) => {
        let result: number | string = 0;
        const code = errno(() => {
          result = tracer.countByFilter(filter);
        });
        return code || result;
      };
      const counts = ['f?', 'f[1-8]', 'f[13]', 'f[!1]', 'f[', 'f\\*', '*', ''].map(count);
      expect(counts).toEqual([10, 8, 2, 9, 'ENOENT', 'ENOENT', traceable, 'ENOENT']);
      expect(tracer.countByFilter('f*', 'f[2-8]')).toBe(3);
    });

    test('A25 disable, enable', async () => {
      const fixture = await make();
      const probe = on(fixture, 'fa', { entry: noop, exit: noop });
      const before = enabled(fixture.tracer);
      probe.disable();
      fixture.call.fa(R);
      expect([probe.hits, probe.disabled]).toEqual([0, true]);
      expect(enabled(fixture.tracer)).toEqual(before);
      probe.enable();
      fixture.call.fa(R);
      expect([probe.hits, probe.nmissed]).toEqual([1, 0]);
    });

    test('A26, A27 disabled between entry and exit, and enabled again', async () => {
      const fixture = await make();
      const log = new Log();
      const probe = on(fixture, 'fa', { entry: log.entry('P'), exit: log.exit('P') });
      fixture.inside = () => probe.disable();
      fixture.call.fa(R);
      expect(log.take()).toEqual(['entry P']);
      expect(probe.nmissed).toBe(0);
      probe.enable();
      fixture.inside = () => {
        probe.disable();
        probe.enable();
      };
      fixture.call.fa(R);
      expect(log.take()).toEqual(['entry P', 'exit P']);
    });

    test('A28, A29 unregistered by another task while fa sleeps, and registered again', async () => {
      for (const again of [false, true]) {
        for (const another of [false, true]) {
          const fixture = await make();
          const { engine } = fixture.tracer;
          const log = new Log();
          const probe = on(fixture, 'fa', { entry: log.entry('P'), exit: log.exit('P'), entryDataSize: 8 });
          if (another) on(fixture, 'fa', { exit: log.exit('Q') }); // so that the graph user stays
          const other = engine.task_create(0);
          fixture.inside = () => {
            const sleeping = engine.task_switch(other);
            probe.unregister();
            if (again) probe.register({ symbols: ['fa'] });
            engine.task_switch(sleeping);
          };
          expect(fixture.call.fa(R)).toBe(third);
          expect(log.take()).toEqual(another ? ['entry P', 'exit Q'] : ['entry P']);
          expect(probe.registered).toBe(again);
          fixture.inside = noop;
          fixture.call.fa(R);
          const once = again ? ['entry P', 'exit P'] : [];
          expect(log.take().sort()).toEqual((another ? [...once, 'exit Q'] : once).sort());
        }
      }
    });

    test('A30, A31 unregistered while its handler is at work on another task', async () => {
      for (const isAsync of [false, true]) {
        const fixture = await make();
        const { engine } = fixture.tracer;
        const other = engine.task_create(0);
        let gone: Promise<void> | undefined;
        let waits = 0;
        let finished = false;
        const probe = on(fixture, 'fa', {
          exit: noop,
          entry: () => {
            const blocked = engine.task_switch(other);
            if (isAsync) gone = probe.unregisterAsync();
            else probe.unregister();
            waits = engine.fprobe_drain();
            engine.task_switch(blocked);
            fixture.tracer.registerFprobe({ symbols: ['fb'], exit: noop }); // would get the memory if it were free
            finished = true;
          },
        });
        expect(fixture.call.fa(R)).toBe(third);
        expect([waits, finished, probe.registered, probe.errors]).toEqual([1, true, false, 0]);
        await gone;
        expect(engine.fprobe_drain()).toBe(0);
        expect([probe.hits, enabled(fixture.tracer).length]).toEqual([1, 1]);
      }
    });

    test.each([
      ['A32', 32, 0, true],
      ['A33', 33, 0, false],
      ['A34', 2, 120, true],
    ])('%s %i probes with %i bytes', async (_, count, entryDataSize, fits) => {
      const fixture = await make();
      const log = new Log();
      const probe = (k: number) =>
        on(fixture, 'fa', { entryDataSize, entry: log.entry(`${k}`), exit: log.exit(`${k}`) });
      const probes = Array.from({ length: count }, (_, k) => probe(k));
      expect(fixture.call.fa(R)).toBe(third);
      const newestFirst = [...probes.keys()].reverse();
      const all = [...newestFirst.map((k) => `entry ${k}`), ...newestFirst.map((k) => `exit ${k}`)];
      expect(log.take()).toEqual(fits ? all : []);
      expect(misses(probes)).toEqual(probes.map(() => (fits ? 0 : 1)));
    });

    test('A35 two with 15 words and one without', async () => {
      const fixture = await make();
      const log = new Log();
      const sizes = [120, 120, 0];
      const probes = sizes.map((entryDataSize) =>
        on(fixture, 'fa', { entryDataSize, entry: log.entry('P'), exit: noop }),
      );
      expect(fixture.call.fa(R)).toBe(third);
      expect([log.take(), misses(probes)]).toEqual([[], [1, 1, 1]]);
    });

    test('A36 33 exit probes do not keep one for entries only from running', async () => {
      const fixture = await make();
      const log = new Log();
      for (let k = 0; k < 33; k++) on(fixture, 'fa', { exit: log.exit('P') });
      const plain = on(fixture, 'fa', { entry: log.entry('plain') });
      fixture.call.fa(R);
      expect([log.take(), plain.nmissed, plain.hits]).toEqual([['entry plain'], 0, 1]);
    });

    test.each([
      ['A37', [0, 0, 0]],
      ['A38', [0, 1, 0]],
      ['A39', [1, 1, 1]],
      ['one and three cancelled', [1, 0, 1]],
      ['the first cancelled', [1, 0, 0]],
    ])('%s three probes with 1, 3 and 0 words', async (_, cancels) => {
      const fixture = await make();
      const lines: string[] = [];
      const probes = [8, 24, 0].map((entryDataSize, k) =>
        on(fixture, 'fa', {
          entryDataSize,
          entry: (_p, _ip, _ret, _regs, data) => {
            lines.push(`entry P${k + 1} ${data?.byteLength}`);
            for (let at = 0; data && at < data.byteLength; at += 4) data.setUint32(at, 100 * (k + 1) + at, true);
            return cancels[k];
          },
          exit: (_p, _ip, _ret, _regs, data) => {
            lines.push(`exit P${k + 1}`);
            for (let at = 0; data && at < data.byteLength; at += 4) {
              expect(data.getUint32(at, true)).toBe(100 * (k + 1) + at);
            }
          },
        }),
      );
      expect(fixture.call.fa(R)).toBe(third);
      const entries = ['entry P3 undefined', 'entry P2 24', 'entry P1 8'];
      const exits = ['exit P3', 'exit P2', 'exit P1'].filter((_, at) => cancels[2 - at] === 0);
      expect(lines).toEqual([...entries, ...exits]);
      expect(misses(probes)).toEqual([0, 0, 0]);
      expect(probes.map(({ errors }) => errors)).toEqual([0, 0, 0]);
    });

    test('A40 a disabled probe takes room too', async () => {
      const fixture = await make();
      const disabled = on(fixture, 'fa', { exit: noop, flags: FPROBE_FL_DISABLED });
      const probes = Array.from({ length: 32 }, () => on(fixture, 'fa', { exit: noop }));
      fixture.call.fa(R);
      expect(misses([disabled, ...probes])).toEqual([0, ...probes.map(() => 1)]);
    });

    test('A41 200 deep', async () => {
      const fixture = await make(layout.SHADOW_STACK_WORDS);
      const log = new Log();
      const probe = on(fixture, 'rec', { entry: log.entry('P'), exit: log.exit('P') });
      expect(fixture.call.rec(199)).toBe(199);
      const lines = log.take();
      // With frames of 3 words the 82nd fits, but its record does not; with 4 the 71st does not fit. Deeper frames come and go
      // in the same place.
      const kept = fixture.frameWords === 4 ? 70 : 81;
      const overrun = fixture.frameWords === 4 ? 200 - kept : 0;
      expect([lines.length, lines.lastIndexOf('entry P'), lines.indexOf('exit P')]).toEqual([2 * kept, kept - 1, kept]);
      expect([probe.nmissed, probe.overrun, probe.recursion]).toEqual([200 - kept - overrun, overrun, 0]);
    });

    test('A42 the entry handler calls the function', async () => {
      const fixture = await make();
      let calls = 0;
      const probe = on(fixture, 'fa', {
        exit: noop,
        entry: () => {
          calls++;
          expect(fixture.call.fa(R)).toBe(third);
        },
      });
      expect(fixture.call.fa(R)).toBe(third);
      expect([calls, probe.nmissed, probe.recursion, probe.errors]).toEqual([2, 0, 1, 0]);
    });

    test.each([
      [FPROBE_FL_KPROBE_SHARED, []],
      [FPROBE_FL_KPROBE_SHARED | FPROBE_FL_SHARED_EXIT, ['exit Q']],
      [0, ['entry Q', 'exit Q']],
    ])('A43 the exclusive group, flags %i', async (flags, expected) => {
      const fixture = await make();
      const log = new Log();
      const inner = on(fixture, 'fb', { flags, entry: log.entry('Q'), exit: log.exit('Q') });
      const outer = on(fixture, 'fa', {
        flags: FPROBE_FL_KPROBE_SHARED,
        entry: () => void fixture.call.fb(R),
        exit: noop,
      });
      fixture.call.fa(R);
      expect(log.take()).toEqual(expected);
      expect(misses([inner, outer])).toEqual([flags ? 1 : 0, 0]);
      fixture.call.fb(R);
      expect(log.take()).toEqual(['entry Q', 'exit Q']);
    });

    test('A44, A46 what stays when one of two goes', async () => {
      const fixture = await make();
      const p = on(fixture, ['fa', 'fb'], { exit: noop });
      const q = on(fixture, 'fa', { exit: noop });
      expect(enabled(fixture.tracer)).toHaveLength(2);
      p.unregister();
      expect(enabled(fixture.tracer)).toHaveLength(1);
      fixture.call.fa(R);
      fixture.call.fb(R);
      expect([p.hits, q.hits]).toEqual([0, 1]);
      q.unregister();
      expect(enabled(fixture.tracer)).toEqual([]);
    });

    test('A45 an exit probe and one for entries on the same function', async () => {
      const fixture = await make();
      const exit = on(fixture, 'fa', { exit: noop });
      const plain = on(fixture, 'fa', { entry: noop });
      exit.unregister();
      expect(enabled(fixture.tracer)).toHaveLength(1);
      fixture.call.fa(R);
      expect(plain.hits).toBe(1);
      plain.unregister();
      expect(enabled(fixture.tracer)).toEqual([]);
    });

    test('A47 one function, named twice', async () => {
      const fixture = await make();
      const ip = fixture.ip('fa');
      const probe = fixture.tracer.registerFprobe({ addresses: [ip, fixture.ip('fb'), BigInt(ip), ip], exit: noop });
      fixture.call.fa(R);
      expect([probe.hits, probe.locations]).toEqual([1, 2]);
    });

    test('A48 the functions go away', async () => {
      const fixture = await make();
      const log = new Log();
      const probe = fixture.tracer.registerFprobe({ filter: '*', entry: log.entry('P'), exit: log.exit('P') });
      fixture.inside = () => fixture.unload();
      fixture.call.fa(R);
      expect(log.take(), 'it is registered, so it gets its exit').toEqual(['entry P']); // the graph user is gone
      expect([probe.registered, probe.locations, enabled(fixture.tracer).length]).toEqual([true, 0, 0]);
      fixture.inside = noop;
      await fixture.load();
      fixture.call.fa(R);
      expect([log.take(), probe.hits]).toEqual([[], 1]);
      expect(errno(() => probe.unregister())).toBe(0);
    });

    test('A49 registered and unregistered 1000 times between calls on four tasks', async () => {
      const fixture = await make();
      const { engine } = fixture.tracer;
      const before = tables(fixture.tracer);
      const random = new Random(49);
      const tasks = [engine.task_current(), ...Array.from({ length: 3 }, () => engine.task_create(0))];
      const alive: { probe: Fprobe; entries: number; exits: number }[] = [];
      let pairs = 0;
      let depth = 0;
      const change = (): void => {
        if (alive.length > 4 || (alive.length > 0 && random.oneIn(2))) {
          const { probe, entries, exits } = alive.splice(random.below(alive.length), 1)[0];
          probe.unregister();
          expect(exits).toBeLessThanOrEqual(entries);
          expect(probe.hits).toBe(entries);
          pairs++;
        } else {
          const counts = { entries: 0, exits: 0 };
          const probe = on(fixture, random.oneIn(2) ? 'fa' : ['fa', 'fb'], {
            entryDataSize: random.below(4) * 8,
            entry: () => void counts.entries++,
            exit: () => void counts.exits++,
          });
          alive.push(
            Object.defineProperties({ probe } as never, {
              entries: { get: () => counts.entries },
              exits: { get: () => counts.exits },
            }),
          );
        }
      };
      fixture.inside = () => {
        change();
        if (depth >= 3) return;
        depth++;
        const blocked = engine.task_switch(tasks[depth]);
        for (let calls = random.below(3); calls > 0; calls--) fixture.call.fa(R);
        engine.task_switch(blocked);
        depth--;
      };
      while (pairs < 1000) {
        expect(fixture.call.fa(R)).toBe(third);
        change();
      }
      for (const { probe } of alive) probe.unregister();
      expect(tables(fixture.tracer)).toEqual(before);
    });

    test('A50 registered again, the misses begin anew', async () => {
      const fixture = await make();
      const others = Array.from({ length: 32 }, () => on(fixture, 'fa', { exit: noop }));
      const probe = on(fixture, 'fa', { exit: noop });
      for (let k = 0; k < 5; k++) fixture.call.fa(R);
      expect(probe.nmissed).toBe(5);
      probe.unregister();
      expect(probe.nmissed).toBe(5);
      others[0].unregister();
      probe.register({ symbols: ['fa'] });
      expect([probe.nmissed, probe.hits]).toEqual([0, 0]);
      fixture.call.fa(R);
      expect([probe.nmissed, probe.hits]).toEqual([0, 1]);
    });
  });
}
