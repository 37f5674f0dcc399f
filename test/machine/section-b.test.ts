// Section B of spec/testcases.md on the functions of each CPU: what all targets share, and what needs a return slot.

import { describe, expect, test } from 'vitest';
import { PLACE_OUTSIDE } from '../../src/arch/arch.ts';
import { CPUS } from '../../src/arch/index.ts';
import type { CpuRegs } from '../../src/cpu-regs.ts';
import { type Machine, Tracer } from '../../src/index.ts';
import { sectionB } from '../section-b.ts';

const SYMBOLS = ['fa', 'fb', 'fc'].map((name, k) => ({
  name,
  address: 0x3f0_0000_1000n + BigInt(k) * 0x100n,
  size: 0x80,
}));
const DIRECT = 0x7000n;

for (const [arch, model] of Object.entries(CPUS)) {
  const make = async (regs: 'arguments' | 'full' = 'arguments'): Promise<{ tracer: Tracer; machine: Machine }> => {
    const tracer = await Tracer.create();
    return { tracer, machine: tracer.machine({ arch, symbols: SYMBOLS, regs }) };
  };

  sectionB(arch, async () => {
    const { tracer, machine } = await make();
    const fa = (value: number): number =>
      Number(
        machine.call('fa', [BigInt(value)], (m) => {
          m.call('fc');
          return BigInt(value);
        }),
      );
    return { tracer, call: { fa, fb: () => void machine.call('fb') } };
  });

  describe(`${arch}: section B, with a return slot`, () => {
    test.each(['arguments', 'full'] as const)('B17: a direct call beside the graph, %s registers', async (regs) => {
      const { tracer, machine } = await make(regs);
      const graph = tracer.startGraph({ filter: 'fa' });
      let direct = 0;
      machine.setDirectCall(DIRECT, () => void direct++);
      const hook = tracer.registerFtrace({
        filter: 'fa',
        call: (_, _parent, fregs) => (fregs as CpuRegs).setDirect(DIRECT),
      });
      const calls = (): bigint[] => [1n, 2n].map((value) => machine.call('fa', [value], () => value * 3n));
      expect(calls()).toEqual([3n, 6n]);
      expect([direct, machine.task.directCalls]).toEqual([2, 2]);
      expect(graph.read().match(/fa\(\);/g)?.length).toBe(2);
      graph.unregister();
      expect(calls()).toEqual([3n, 6n]);
      expect(direct).toBe(4); // without the graph
      hook.unregister();
      calls();
      expect([direct, hook.errors, tracer.frames()]).toEqual([4, 0, []]);
    });

    test('start-up self test: full registers, where there are any (fgraph.md §14)', async () => {
      const { tracer, machine } = await make();
      const full: Record<string, boolean[]> = { forced: [], asked: [], without: [] };
      const note = (list: boolean[]) => (_ip: unknown, _parent: unknown, fregs: unknown) =>
        void list.push((fregs as CpuRegs).fullRegs() !== null);
      if (arch === 'powerpc64') machine.setRegister('msr', 1n); // it is the mark there
      const force = () => tracer.registerFtrace({ filter: 'fa', saveRegs: true, call: note(full.forced) });
      const supported = model.fullEntry !== null;
      if (supported) force();
      else expect(force).toThrow(expect.objectContaining({ code: 'EINVAL' }));
      tracer.registerFtrace({ filter: 'fb', saveRegs: 'if-supported', call: note(full.asked) });
      tracer.registerFtrace({ filter: 'fc', call: note(full.without) });
      for (const name of ['fa', 'fb', 'fc']) machine.call(name, [1n], () => 2n);
      const always = model.full === 'always';
      expect(full).toEqual({ forced: supported ? [true] : [], asked: [supported], without: [always] });
    });

    test('B18: a stack trace taken inside shows the callers, and no trampoline', async () => {
      const { tracer, machine } = await make();
      tracer.registerFgraph({ entry: () => true, return: () => {} });
      const traces: bigint[][] = [];
      machine.call('fa', [], (m) => {
        m.call(
          'fb',
          [],
          (m) => void m.call('fc', [], (m) => void traces.push(m.stackTrace(), m.stackTrace({ raw: true }))),
        );
      });
      const [real, raw] = traces as [bigint[], bigint[]];
      const { trampolines } = model.addresses;
      expect(real.slice(0, 2).map((address) => machine.symbolAt(address)?.symbol.name)).toEqual(['fb', 'fa']);
      expect([real.length, real.includes(trampolines), raw]).toEqual([
        3,
        false,
        [trampolines, trampolines, trampolines],
      ]);
    });

    test('B19: a tail call: both exits, innermost first, and the real caller is reached', async () => {
      const { tracer, machine } = await make();
      const heard: string[] = [];
      tracer.registerFgraph({
        filter: ['fa', 'fb'],
        entry: ({ name, depth }) => void heard.push(`${name} ${depth}`),
        return: ({ name }, fregs) => void heard.push(`/${name} ${fregs.returnValue()}`),
      });
      const result = machine.call('fc', [], (m) => m.call('fa', [], (m) => m.tailCall('fb', [], () => 5n)));
      expect([result, heard]).toEqual([5n, ['fa 0', 'fb 1', '/fb 5', '/fa 5']]);
      expect(machine.task.returned).toBe(model.addresses.trampolines + BigInt(PLACE_OUTSIDE));
      expect(tracer.frames()).toEqual([]);
    });

    test('B20: an exception through three frames', async () => {
      const { tracer, machine } = await make();
      const heard: string[] = [];
      tracer.registerFgraph({
        entry: ({ name }) => void heard.push(name),
        return: ({ name }) => void heard.push(`/${name}`),
      });
      const fail = (): never => {
        throw new Error('thrown');
      };
      expect(() => machine.call('fa', [], (m) => void m.call('fb', [], (m) => void m.call('fc', [], fail)))).toThrow(
        'thrown',
      );
      expect(machine.task.task.counts()).toMatchObject({ entries: 3, returns: 0, unwound: 3 });
      expect(machine.call('fb', [], () => 4n)).toBe(4n);
      expect([heard, machine.task.depth]).toEqual([['fa', 'fb', 'fc', 'fb', '/fb'], 0]);
    });
  });
}
