// Section B of spec/testcases.md, numbered as there, as far as it is the same on every kind of target: users of the graph, B1
// to B9, and clients of function entries, B10 to B16.

import { describe, expect, test } from 'vitest';
import type { FgraphOptions, FgraphUser, Tracer } from '../src/index.ts';

export interface GraphFixture {
  readonly tracer: Tracer;
  readonly call: {
    /// Calls fc and returns its argument.
    fa(value: number): number;
    fb(): void;
  };
}

/// The code of what `run` throws; undefined when it does not.
export function codeOf(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return (error as { code?: unknown }).code ?? String(error);
  }
  return undefined;
}

export function sectionB(target: string, make: () => Promise<GraphFixture>): void {
  describe(`${target}: section B, the graph layer`, () => {
    const STORED = [
      { number: 'B1', bytes: 1, value: 123n },
      { number: 'B2', bytes: 2, value: 12345n },
      { number: 'B3', bytes: 4, value: 1234567890n },
      { number: 'B4', bytes: 8, value: 1234567890123456789n },
    ];

    function store(view: DataView, bytes: number, value: bigint): void {
      for (let i = 0; i < bytes; i++) view.setUint8(i, Number((value >> BigInt(8 * i)) & 0xffn));
    }

    function stored(view: DataView, bytes: number): bigint {
      let value = 0n;
      for (let i = 0; i < bytes; i++) value |= BigInt(view.getUint8(i)) << BigInt(8 * i);
      return value;
    }

    /// A user of the start-up self test: stores a value at entry, checks it at return.
    function storing(tracer: Tracer, bytes: number, value: bigint): { user: FgraphUser; seen: unknown[] } {
      const seen: unknown[] = [];
      const user: FgraphUser = tracer.registerFgraph({
        filter: 'fa',
        entry() {
          const data = user.reserveData(bytes);
          if (data === null) throw new Error('nothing reserved');
          store(data, bytes, value);
        },
        return() {
          const data = user.retrieveData();
          if (data === null) throw new Error('nothing retrieved');
          seen.push([data.byteLength >= bytes, stored(data, bytes)]);
        },
      });
      return { user, seen };
    }

    test.each(STORED)('$number: $bytes bytes come back', async ({ bytes, value }) => {
      const { tracer, call } = await make();
      const { user, seen } = storing(tracer, bytes, value);
      call.fa(1);
      user.unregister();
      expect(user.lastError).toBe(undefined);
      expect(seen).toEqual([[true, value]]);
      call.fa(1);
      expect(seen.length).toBe(1);
    });

    test('B5: all four together, indices 4 to 7 after the singles; unregistered in reverse', async () => {
      const { tracer, call } = await make();
      for (const { bytes, value } of STORED) storing(tracer, bytes, value).user.unregister();
      const users = STORED.map(({ bytes, value }) => storing(tracer, bytes, value));
      expect(users.map(({ user }) => user.idx)).toEqual([4, 5, 6, 7]);
      call.fa(1);
      expect(users.map(({ seen }) => seen)).toEqual(STORED.map(({ value }) => [[true, value]]));
      for (const { user } of users.reverse()) user.unregister();
      call.fa(1);
      expect(users.map(({ seen }) => seen.length)).toEqual([1, 1, 1, 1]);
      expect(tracer.frames()).toEqual([]);
    });

    test('B6: the 17th user is refused, until one has gone; the index freed longest ago is next', async () => {
      const { tracer, call } = await make();
      let calls = 0;
      const options: FgraphOptions = { filter: 'fb', entry: () => void calls++ };
      const users = Array.from({ length: 16 }, () => tracer.registerFgraph(options));
      expect(users.map(({ idx }) => idx)).toEqual([...Array(16).keys()]);
      expect(() => tracer.registerFgraph(options)).toThrow(/16 are registered already.*ENOSPC/);
      expect(codeOf(() => tracer.registerFgraph(options))).toBe('ENOSPC');
      expect(codeOf(() => tracer.startGraph())).toBe('ENOSPC');
      call.fb();
      expect(calls).toBe(16);
      users[9].unregister();
      users[3].unregister();
      expect(tracer.registerFgraph(options).idx).toBe(9);
      expect(tracer.registerFgraph(options).idx).toBe(3);
      call.fb();
      expect(calls).toBe(32);
    });

    test('B7: a user that is registered cannot be registered again; one that was can', async () => {
      const { tracer, call } = await make();
      let calls = 0;
      const user = tracer.registerFgraph({ filter: 'fb', entry: () => void calls++ });
      expect(codeOf(() => tracer.registerFgraph(user))).toBe('EBUSY');
      call.fb();
      user.unregister();
      expect(user.idx).toBe(-1);
      expect(tracer.registerFgraph(user)).toBe(user);
      expect(user.idx).toBe(1);
      call.fb();
      expect(calls).toBe(2);
      const other = await make();
      user.unregister();
      expect(codeOf(() => other.tracer.registerFgraph(user))).toBe('EINVAL');
      expect(user.registered).toBe(false);
    });

    test('B8: 33 words are not to be had, and the call goes on', async () => {
      const { tracer, call } = await make();
      const given: unknown[] = [];
      let returns = 0;
      const user: FgraphUser = tracer.registerFgraph({
        filter: 'fa',
        entry() {
          given.push(user.reserveData(33 * 8), user.reserveData(2 ** 32 + 8), user.reserveData(1e300));
          given.push(user.reserveData(256)?.byteLength);
        },
        return() {
          returns++;
          given.push(user.retrieveData()?.byteLength);
        },
      });
      expect(call.fa(7)).toBe(7);
      expect([given, returns, user.errors]).toEqual([[null, null, null, 256, 256], 1, 0]);
    });

    test('B9: the user of slot 0 hears nothing of what another one accepted', async () => {
      const { tracer, call } = await make();
      const heard: string[] = [];
      const note = (who: string, filter: string): FgraphOptions => ({
        filter,
        entry: (event) => void heard.push(`${who} ${event.name}`),
        return: (event) => void heard.push(`${who} /${event.name}`),
      });
      expect(tracer.registerFgraph(note('A', 'fa')).idx).toBe(0);
      tracer.registerFgraph(note('B', 'fb'));
      call.fb();
      expect(heard).toEqual(['B fb', 'B /fb']);
    });

    test('B10 to B14: counts of probes 1 (fa), 2 (fd) and 3 (both), and one without a filter', async () => {
      const { tracer, call } = await make();
      const counts = [0, 0, 0, 0];
      // fa calls fc, which the one without a filter sees too
      const probe = (k: number, filter?: string[]) => tracer.registerFtrace({ filter, call: () => void counts[k]++ });
      const probes = [probe(0, ['fa']), probe(1, ['fb']), probe(2, ['fa', 'fb'])];
      call.fa(1);
      expect(counts).toEqual([1, 0, 1, 0]); // B10
      call.fb();
      expect(counts).toEqual([1, 1, 2, 0]); // B11
      probes.push(probe(3));
      call.fa(1);
      expect(counts).toEqual([2, 1, 3, 2]);
      call.fb();
      expect(counts).toEqual([2, 2, 4, 3]); // B12
      probes[2].setFilter(['fb']);
      call.fa(1);
      expect(counts).toEqual([3, 2, 4, 5]);
      call.fb();
      expect(counts).toEqual([3, 3, 5, 6]); // B13
      counts.fill(0);
      for (const ops of probes) ops.unregister();
      call.fa(1);
      call.fa(1);
      expect(counts).toEqual([0, 0, 0, 0]); // B14
      expect(tracer.counts()).toMatchObject({ unwound: 0, stray: 0 });
    });

    test('B15, B16: a handler that calls what it watches runs twice, never more', async () => {
      const { tracer, call } = await make();
      let calls = 0;
      const ops = tracer.registerFtrace({
        filter: 'fa',
        call() {
          calls++;
          call.fa(1);
        },
      });
      call.fa(1);
      expect([calls, ops.errors]).toEqual([2, 0]);
      expect(tracer.frames()).toEqual([]);
    });
  });
}
