// Probes on the machine: addresses are bigints, locations are not where functions begin, registers are those of a CPU.

import { expect, test } from 'vitest';
import { Tracer } from '../../src/index.ts';
import { errno } from './fixture.ts';

const TEXT = 0xffffffff81000000n;
const SIZE = 0x100;

test('A18, A19 by the address of a function, by its location, and by nothing in between', async () => {
  const tracer = await Tracer.create({ clock: 'counter' });
  const symbols = ['fa', 'fb'].map((name, k) => {
    const address = TEXT + BigInt(k * SIZE);
    return { name, address, size: SIZE, location: address + 4n };
  });
  const machine = tracer.machine({ arch: 'x86_64', symbols });
  const seen: unknown[] = [];
  const register = (addresses: bigint[]) =>
    tracer.registerFprobe({
      addresses,
      entryDataSize: 8,
      entry: (_probe, ip, ret, fregs, data) => {
        data!.setBigUint64(0, 5n);
        seen.push(['entry', ip, typeof ret, fregs.argument(0)]);
      },
      exit: (_probe, ip, ret, fregs, data) =>
        void seen.push(['exit', ip, typeof ret, fregs.returnValue(), data!.getBigUint64(0)]),
    });
  for (const wrong of [TEXT + 1n, TEXT + 5n, TEXT - 1n, TEXT + 0x1000n]) {
    expect(
      errno(() => register([TEXT, wrong])),
      wrong.toString(16),
    ).toBe('ENOENT');
  }
  for (const address of [TEXT, TEXT + 4n]) {
    const probe = register([address]);
    const words = tracer.registerFprobe({ filter: '*', builtin: { keep: 'last', of: 'result' } });
    const hits = tracer.registerFprobe({ filter: '*', builtin: { keep: 'count' } });
    expect(machine.call('fa', [7n], (m) => m.call('fb', [1n], () => 42n))).toBe(42n);
    expect(seen.splice(0)).toEqual([
      ['entry', TEXT + 4n, 'bigint', 7n],
      ['exit', TEXT + 4n, 'bigint', 42n, 5n],
    ]);
    expect([probe.hits, probe.errors, words.hits, words.read(), hits.read().length]).toEqual([1, 0, 2, [], 2]);
    for (const other of [probe, words, hits]) other.unregister();
  }
});
