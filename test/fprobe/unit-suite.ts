// The six cases of the kernel's unit suite and its sample client (spec/fprobe.md §18, §19).

import { describe, expect, test } from 'vitest';
import type { Fprobe, FprobeHandlers, Tracer } from '../../src/index.ts';
import { errno, type Fixture, inCallback, type MakeFixture } from './fixture.ts';

/// What the kernel's own handlers check and remember.
class Shared {
  readonly third: number;
  readonly random: number;
  entryValue = 0;
  exitValue = 0;
  entryResult = 0;
  readonly #fixture: Fixture;

  constructor(fixture: Fixture) {
    this.#fixture = fixture;
    this.random = 4 + Math.trunc(Math.random() * (2 ** 31 - 5));
    this.third = Math.trunc(this.random / 3);
  }

  get handlers(): FprobeHandlers {
    const { tracer } = this.#fixture;
    const isA = (ip: number | bigint) => ip === this.#fixture.ip('fa');
    return {
      entry: (probe, ip, _ret, _fregs, data) => {
        expect(inCallback(tracer)).toBe(true);
        expect(isA(ip) || ip === this.#fixture.ip('fb')).toBe(true);
        this.entryValue = this.third;
        expect(data !== null).toBe(probe.entryDataSize > 0 && this.hasExit);
        data?.setUint32(0, this.entryValue, true);
        return this.entryResult;
      },
      exit: (probe, ip, _ret, fregs, data) => {
        expect(inCallback(tracer)).toBe(true);
        expect(Number(fregs.returnValue())).toBe(isA(ip) ? this.third : this.third + 1);
        expect(this.entryValue).toBe(this.third);
        this.exitValue = this.entryValue + 3;
        expect(data !== null).toBe(probe.entryDataSize > 0);
        if (data) expect(data.getUint32(0, true)).toBe(this.entryValue);
      },
    };
  }

  hasExit = true;

  call(name: 'fa' | 'fb', exit: 'exit' | 'no exit'): void {
    this.entryValue = 0;
    this.exitValue = 0;
    const result = this.#fixture.call[name](this.random);
    expect(result).toBe(name === 'fa' ? this.third : this.third + 1);
    expect(this.entryValue).toBe(this.third);
    expect(this.exitValue).toBe(exit === 'exit' ? this.third + 3 : 0);
  }
}

const done = (probe: Fprobe): void => {
  expect(probe.errors, String(probe.lastError)).toBe(0);
  expect(errno(() => probe.unregister())).toBe(0);
};

export function unitSuite(target: string, make: MakeFixture): void {
  describe(`${target}: unit suite`, () => {
    test('entry only', async () => {
      const fixture = await make();
      const shared = new Shared(fixture);
      shared.hasExit = false;
      const probe = fixture.tracer.createFprobe({ entry: shared.handlers.entry });
      expect(errno(() => probe.unregister())).not.toBe(0);
      probe.register({ filter: 'f[ab]' });
      shared.call('fa', 'no exit');
      shared.call('fb', 'no exit');
      done(probe);
    });

    test('entry and exit, symbols, data', async () => {
      const fixture = await make();
      const shared = new Shared(fixture);
      const { tracer } = fixture;
      const probes = [
        () => tracer.registerFprobe({ filter: 'f[ab]', ...shared.handlers }),
        () => tracer.registerFprobe({ symbols: ['fa', 'fb'], ...shared.handlers }),
        () => tracer.registerFprobe({ filter: 'f[ab]', entryDataSize: 4, ...shared.handlers }),
      ];
      for (const register of probes) {
        const probe = register();
        shared.call('fa', 'exit');
        shared.call('fb', 'exit');
        done(probe);
      }
    });

    test('skip', async () => {
      const fixture = await make();
      const shared = new Shared(fixture);
      const probe = fixture.tracer.registerFprobe({ filter: 'fa', ...shared.handlers });
      shared.entryResult = 1;
      shared.call('fa', 'no exit');
      expect(probe.nmissed).toBe(0);
      done(probe);
    });

    test('multi', async () => {
      const fixture = await make();
      const counts = { entry1: 0, exit1: 0, entry2: 0 };
      const one = { entry: () => void counts.entry1++, exit: () => void counts.exit1++ };
      const two = { entry: () => void counts.entry2++ };
      const [p1, p2] = [fixture.tracer.createFprobe(one), fixture.tracer.createFprobe(two)];
      for (const order of [
        [p1, p2],
        [p2, p1],
      ]) {
        for (const probe of order) probe.register({ filter: 'fa' });
        fixture.call.fa(3);
        expect(counts).toEqual({ entry1: 1, exit1: 1, entry2: 1 });
        for (const probe of [p1, p2]) done(probe);
        Object.assign(counts, { entry1: 0, exit1: 0, entry2: 0 });
      }
    });

    test.each([
      [{ symbol: 'fa' }, 'fa', 2],
      [{ symbol: 'fb,fa' }, 'fb,fa', 4],
      [{ symbol: 'f*', nosymbol: 'f[1-8]' }, 'f*', 4],
    ])('sample client %o', async (parameters, planted, hits) => {
      const fixture = await make();
      const out: string[] = [];
      const unload = sample(fixture.tracer, parameters, (line) => out.push(line));
      fixture.call.fa(9);
      fixture.call.fb(9);
      unload();
      const [fa, fb] = ['fa', 'fb'].map((name) => `0x${fixture.ip(name).toString(16)}`);
      const of = (name: string, ip: string) => [
        `Enter <${name}+0x0> ip = ${ip}`,
        `Return from <${name}+0x0> ip = ${ip} to rip = 0x0 ([host])`,
      ];
      expect(out).toEqual([
        ...(planted.includes(',') ? ['2 symbols found'] : []),
        `Planted fprobe at ${planted}`,
        ...of('fa', fa),
        ...(hits === 4 ? of('fb', fb) : []),
        `fprobe at ${planted} unregistered. ${hits} times hit, 0 times missed`,
      ]);
      out.length = 0;
      expect(errno(() => sample(fixture.tracer, { symbol: 'no_such' }, (line) => out.push(line)))).toBe('ENOENT');
      expect(out).toEqual(['register_fprobe failed, returned ENOENT']);
    });
  });
}

/// The kernel's sample client. Returns what runs when it is unloaded.
function sample(
  tracer: Tracer,
  { symbol = 'fa', nosymbol = '' }: { symbol?: string; nosymbol?: string },
  print: (line: string) => void,
): () => void {
  let hits = 0;
  const hex = (value: number | bigint) => `0x${value.toString(16)}`;
  const at = (ip: number | bigint) => {
    const site = [...tracer.targets].flatMap(({ sites }) => sites).find((site) => site.ip === ip);
    return site ? `${site.name}+0x0` : hex(ip);
  };
  const probe = tracer.createFprobe({
    entry(_probe, ip) {
      print(`Enter <${at(ip)}> ip = ${hex(ip)}`);
      hits++;
    },
    exit(_probe, ip, ret) {
      print(`Return from <${at(ip)}> ip = ${hex(ip)} to rip = ${hex(ret)} (${ret === 0 ? '[host]' : at(ret)})`);
      hits++;
    },
  });
  try {
    if (symbol.includes('*')) probe.register({ filter: symbol, notfilter: nosymbol === '' ? undefined : nosymbol });
    else if (!symbol.includes(',')) probe.register({ symbols: [symbol] });
    else {
      const symbols = symbol.split(',');
      print(`${symbols.length} symbols found`);
      probe.register({ symbols });
    }
  } catch (error) {
    print(`register_fprobe failed, returned ${(error as { code: string }).code}`);
    throw error;
  }
  print(`Planted fprobe at ${symbol}`);
  return () => {
    probe.unregister();
    print(`fprobe at ${symbol} unregistered. ${hits} times hit, ${probe.nmissed} times missed`);
  };
}
