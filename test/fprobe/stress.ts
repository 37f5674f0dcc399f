// The rows of sections B and L of spec/testcases.md that are about probes, what a kernel recorded about their limits, and what
// handlers do to themselves and to one another.

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import * as layout from '../../assembly/layout.ts';
import type { Fprobe, FprobeHandlers } from '../../src/index.ts';
import { enabled, errno, type Fixture, Log, type MakeFixture, misses, tables } from './fixture.ts';

const noop = (): void => {};
const R = 3000;

interface Sweep {
  readonly n: number;
  readonly events_with_records: number;
  readonly graph_instances_with_records?: number;
}

interface Recording {
  readonly cases: readonly { readonly name: string; readonly note?: string; readonly sweep: readonly Sweep[] }[];
}

const recording = (name: string): Recording =>
  JSON.parse(readFileSync(new URL(`../fixtures/${name}`, import.meta.url), 'utf8'));

export function stress(target: string, make: MakeFixture): void {
  const on = ({ tracer }: Fixture, name: string, handlers: FprobeHandlers): Fprobe =>
    tracer.registerFprobe({ ...handlers, symbols: [name] });

  describe(`${target}: limits`, () => {
    const { cases } = recording('limits2-7.2.json');
    /// What a recorded event took of the block: one word for each argument that it saved.
    const KINDS: Readonly<Record<string, FprobeHandlers & { readonly exits: boolean }>> = {
      'n exit events on one function': { exits: true, entryDataSize: 0 },
      'n exit events with one entry argument': { exits: true, entryDataSize: 8 },
      'n exit events with four entry arguments': { exits: true, entryDataSize: 32 },
      'n entry events on one function': { exits: false },
    };
    test.each(Object.entries(KINDS))('%s', async (name, { exits, entryDataSize }) => {
      const { sweep } = cases.find((other) => other.name === name)!;
      const fixture = await make();
      const log = new Log();
      const probe = () => (exits ? { entryDataSize, exit: log.exit('P') } : { entry: log.entry('P') });
      let count = 0;
      for (const { n, events_with_records } of sweep) {
        for (; count < n; count++) on(fixture, 'fa', probe());
        fixture.call.fa(R);
        expect(log.take().length, `${n} probes`).toBe(events_with_records);
      }
      expect(sweep.length).toBeGreaterThan(5);
    });

    test('fifteen graph users and n exit probes', async () => {
      const { sweep } = recording('limits2-mix-7.2.json').cases[0];
      const fixture = await make();
      const log = new Log();
      const graphs = Array.from({ length: 15 }, () => fixture.tracer.startGraph({ filter: 'fa', bufferPages: 1 }));
      let count = 0;
      for (const { n, events_with_records, graph_instances_with_records } of sweep) {
        while (count < n) on(fixture, 'fa', { exit: log.exit(`${count++}`) });
        for (const graph of graphs) graph.clear();
        fixture.call.fa(R);
        expect(log.take().length, `${n} probes`).toBe(events_with_records);
        expect(graphs.filter((graph) => /fa\(\)/.test(graph.read())).length).toBe(graph_instances_with_records);
      }
    });

    test('E14 the 17th user of the function graph', async () => {
      const fixture = await make();
      const graphs = Array.from({ length: 16 }, () => fixture.tracer.startGraph({ filter: 'fb', bufferPages: 1 }));
      const before = tables(fixture.tracer);
      expect(errno(() => on(fixture, 'fa', { exit: noop }))).toBe('ENOSPC');
      expect(tables(fixture.tracer)).toEqual(before);
      const plain = on(fixture, 'fa', { entry: noop });
      graphs[3].unregister();
      const probe = on(fixture, 'fa', { exit: noop });
      fixture.call.fa(R);
      expect([plain.hits, probe.hits]).toEqual([1, 1]);
    });
  });

  describe(`${target}: L`, () => {
    test('L3 all functions, and a handler whose own path is the engine', async () => {
      const fixture = await make();
      const { engine } = fixture.tracer;
      let calls = 0;
      const probe = fixture.tracer.registerFprobe({
        filter: '*',
        entry: () => {
          calls++;
          engine.sync();
          fixture.tracer.counts();
        },
        exit: noop,
      });
      expect(probe.locations).toBe(fixture.traceable); // none of the engine's functions
      fixture.call.trigger();
      expect([calls, probe.nmissed, probe.recursion]).toEqual([9, 0, 0]);
    });

    test('L4 a task exits inside a probed function', async () => {
      const fixture = await make();
      const { tracer } = fixture;
      const log = new Log();
      on(fixture, 'fa', { entryDataSize: 8, entry: log.entry('P'), exit: log.exit('P') });
      const main = tracer.currentTask;
      const task = tracer.createTask({ name: 'short' });
      fixture.inside = () => {
        fixture.inside = () => {
          main.switchTo();
          task.exit();
        };
        task.run(() => fixture.call.fa(R));
      };
      fixture.call.fa(R);
      expect(log.take()).toEqual(['entry P', 'entry P', 'exit P']); // the outer one's, on its own stack
      expect(task.alive).toBe(false);
      expect(tracer.counts()).toMatchObject({ stray: 1, unwound: 0 }); // its return, which found no frame
      fixture.inside = noop;
      fixture.call.fa(R);
      expect(log.take()).toEqual(['entry P', 'exit P']);
      expect(tracer.frames()).toEqual([]);
    });

    test('L5 a task that is made while probes are active', async () => {
      const fixture = await make();
      const log = new Log();
      on(fixture, 'fa', { entryDataSize: 8, entry: log.entry('P'), exit: log.exit('P') });
      const task = fixture.tracer.createTask({ name: 'new' });
      expect(task.run(() => fixture.call.fa(R))).toBe(Math.trunc(R / 3));
      expect(log.take()).toEqual(['entry P', 'exit P']);
    });

    test('L6 a task without a shadow stack runs unhooked', async () => {
      const fixture = await make();
      const { engine } = fixture.tracer;
      const log = new Log();
      const probe = on(fixture, 'fa', { exit: log.exit('P') });
      const task = engine.task_create(layout.SHADOW_STACK_NONE);
      expect(task).not.toBe(0);
      const before = engine.task_switch(task);
      expect(fixture.call.fa(R)).toBe(Math.trunc(R / 3));
      engine.task_switch(before);
      expect([log.take(), probe.nmissed]).toEqual([[], 0]);
      fixture.call.fa(R);
      expect(log.take()).toEqual(['exit P']);
    });

    test('L7 the last exit probe goes while activations are under way, and another user gets the slot', async () => {
      const fixture = await make();
      const log = new Log();
      const probe = on(fixture, 'rec', { entryDataSize: 8, entry: noop, exit: log.exit('P') });
      const inner = on(fixture, 'fa', { exit: noop });
      let depth = 100;
      fixture.inside = () => {
        if (depth-- > 0) fixture.call.fa(R);
        else {
          probe.unregister();
          inner.unregister();
          for (let k = 0; k < 16; k++) {
            fixture.tracer.registerFgraph({ filter: '*', entry: log.entry('G'), return: log.exit('G') }).unregister();
          }
          fixture.tracer.registerFgraph({ filter: 'fb', entry: log.entry('G'), return: log.exit('G') });
        }
      };
      fixture.call.fa(R);
      expect(log.take()).toEqual([]);
      expect(fixture.tracer.counts()).toMatchObject({ stray: 0, unwound: 0 });
    });

    test('L8 registered again with more data while an activation is under way', async () => {
      const fixture = await make();
      const log = new Log();
      on(fixture, 'fa', { exit: log.exit('other') }); // keeps the client
      const small = on(fixture, 'fa', { entryDataSize: 8, exit: log.exit('small') });
      const large = fixture.tracer.createFprobe({ entryDataSize: 120, exit: log.exit('large') });
      fixture.inside = () => {
        small.unregister();
        large.register({ symbols: ['fa'] });
      };
      fixture.call.fa(R);
      expect(log.take()).toEqual(['exit other']);
      fixture.inside = noop;
      fixture.call.fa(R);
      expect(log.take()).toEqual(['exit large', 'exit other']);
    });

    test('L9 a block that is exactly full', async () => {
      const fixture = await make();
      const log = new Log();
      const sizes = [120, 56, 56]; // 16 + 8 + 8 words
      const probes = sizes.map((entryDataSize, k) => on(fixture, 'fa', { entryDataSize, exit: log.exit(`${k}`) }));
      fixture.call.fa(R);
      expect([log.take(), misses(probes)]).toEqual([
        ['exit 2', 'exit 1', 'exit 0'],
        [0, 0, 0],
      ]);
    });

    test('L10 disabled by the entry of another', async () => {
      const fixture = await make();
      const log = new Log();
      const older = on(fixture, 'fa', { entry: log.entry('older'), exit: log.exit('older') });
      on(fixture, 'fa', { entry: () => older.disable(), exit: log.exit('newer') });
      fixture.call.fa(R);
      expect([log.take(), older.nmissed]).toEqual([['exit newer'], 0]);
    });

    test('L11 some locations went before', async () => {
      const fixture = await make();
      const probe = fixture.tracer.registerFprobe({ filter: '*', exit: noop });
      expect(probe.locations).toBe(fixture.traceable);
      fixture.unload();
      await fixture.load();
      const other = on(fixture, 'fa', { exit: noop });
      probe.unregister();
      expect(enabled(fixture.tracer)).toHaveLength(1);
      other.unregister();
      expect(enabled(fixture.tracer)).toEqual([]);
    });
  });

  describe(`${target}: handlers and probes`, () => {
    test('a probe goes inside its own handlers', async () => {
      for (const where of ['entry', 'exit'] as const) {
        const fixture = await make();
        const log = new Log();
        const older = on(fixture, 'fa', { entry: log.entry('older'), exit: log.exit('older') });
        const probe: Fprobe = on(fixture, 'fa', {
          entryDataSize: 8,
          entry: () => {
            log.lines.push('entry self');
            if (where === 'entry') probe.unregister();
          },
          exit: () => {
            log.lines.push('exit self');
            if (where === 'exit') probe.unregister();
          },
        });
        fixture.call.fa(R);
        const self = where === 'exit' ? ['exit self'] : [];
        expect(log.take()).toEqual(['entry self', 'entry older', ...self, 'exit older']);
        expect([probe.registered, older.registered, probe.errors]).toEqual([false, true, 0]);
        fixture.call.fa(R);
        expect(log.take()).toEqual(['entry older', 'exit older']);
        expect(fixture.tracer.engine.fprobe_drain()).toBe(0);
      }
    });

    test('others come and go inside a handler', async () => {
      const fixture = await make();
      const log = new Log();
      const third = on(fixture, 'fa', { entry: log.entry('3'), exit: log.exit('3') });
      const second = on(fixture, 'fa', { entry: log.entry('2'), exit: log.exit('2') });
      const late: Fprobe[] = [];
      on(fixture, 'fa', {
        entry: () => {
          log.lines.push('entry 1');
          if (late.length > 0) return;
          second.unregister();
          late.push(on(fixture, 'fa', { entry: log.entry('new'), exit: log.exit('new') }));
          third.disable();
          third.enable();
        },
        exit: log.exit('1'),
      });
      fixture.call.fa(R);
      expect(log.take()).toEqual(['entry 1', 'entry 3', 'exit 1', 'exit 3']);
      fixture.call.fa(R);
      expect(log.take()).toEqual(['entry new', 'entry 1', 'entry 3', 'exit new', 'exit 1', 'exit 3']);
      for (const probe of late) expect([probe.hits, probe.nmissed]).toEqual([1, 0]);
    });

    test('a probe registers itself again inside its entry', async () => {
      const fixture = await make();
      const log = new Log();
      on(fixture, 'fa', { exit: log.exit('other') });
      let again = true;
      const probe: Fprobe = on(fixture, 'fa', {
        entry: () => {
          if (!again) return;
          again = false;
          probe.unregister();
          probe.register({ symbols: ['fa'] });
        },
        exit: log.exit('self'),
      });
      fixture.call.fa(R);
      expect(log.take(), 'its exit belongs to what is gone').toEqual(['exit other']);
      fixture.call.fa(R);
      expect(log.take()).toEqual(['exit self', 'exit other']);
    });

    test('the last probe goes in its entry, alone on the function', async () => {
      const fixture = await make();
      const before = tables(fixture.tracer);
      const probe: Fprobe = on(fixture, 'fa', { entry: () => probe.unregister(), exit: noop });
      expect(fixture.call.fa(R)).toBe(R / 3);
      expect(fixture.tracer.engine.fprobe_drain()).toBe(0);
      expect(tables(fixture.tracer)).toEqual(before);
      expect(fixture.tracer.counts()).toMatchObject({ entries: 0, stray: 0, unwound: 0 });
    });

    test('a handler throws, or returns a promise', async () => {
      const fixture = await make();
      const log = new Log();
      const error = new Error('of the handler');
      const older = on(fixture, 'fa', { entry: log.entry('older'), exit: log.exit('older') });
      const bad: FprobeHandlers = {
        entry: () => {
          throw error;
        },
        exit: async () => {
          throw error;
        },
      };
      const newer = on(fixture, 'fa', bad);
      expect(fixture.call.fa(R)).toBe(R / 3);
      expect(log.take()).toEqual(['entry older', 'exit older']);
      expect([newer.errors, older.errors]).toEqual([2, 0]);
      expect(String(newer.lastError)).toMatch(/the exit handler returned a promise/);
      newer.unregister();
      const careful = on(fixture, 'fa', { ...bad, onError: 'disable' });
      fixture.call.fa(R);
      expect([careful.errors, careful.disabled, careful.lastError]).toEqual([1, true, error]);
      fixture.call.fa(R);
      expect([careful.errors, careful.registered]).toEqual([1, true]);
    });

    test('what results of an entry handler keep the exit', async () => {
      const fixture = await make();
      const results: unknown[] = [undefined, null, false, 0, 0n, '', true, 1, -1, 2n, {}, Number.NaN];
      const kept: unknown[] = [];
      for (const result of results) {
        const probe = on(fixture, 'fa', { entry: () => result, exit: () => void kept.push(result) });
        fixture.call.fa(R);
        probe.unregister();
      }
      expect(kept).toEqual([undefined, null, false, 0, 0n]);
    });

    test('kept data and registers are of no use later', async () => {
      const fixture = await make();
      const kept: { data?: DataView | null; fregs?: { returnValue(): unknown } } = {};
      on(fixture, 'fa', {
        entryDataSize: 16,
        entry: (_probe, _ip, _ret, fregs, data) => {
          data!.setFloat64(8, 1.5, true);
          Object.assign(kept, { data, fregs });
        },
        exit: (_probe, _ip, _ret, _fregs, data) => expect(data!.getFloat64(8, true)).toBe(1.5),
      });
      fixture.inside = () => kept.data!.setFloat64(8, 99, true);
      fixture.call.fa(R);
      expect(() => kept.fregs!.returnValue()).toThrow(/inside of a handler only/);
    });
  });
}
