// The cases of spec/testcases.md that are about probes, on the functions of each CPU.

import { CPUS } from '../../src/arch/index.ts';
import { type Body, type Machine, Tracer } from '../../src/index.ts';
import type { Fixture, Functions } from '../fprobe/fixture.ts';
import { sectionA } from '../fprobe/suite.ts';

const BASE = 0x3f0_0000_1000n;
const NAMES = ['fa', 'fb', 'f1', 'f2', 'f3', 'f4', 'f5', 'f6', 'f7', 'f8', 'trigger', 'rec'];

for (const [arch, model] of Object.entries(CPUS)) {
  const make = async (stackWords?: number): Promise<Fixture> => {
    const tracer = await Tracer.create({ clock: 'counter' });
    let machine: Machine;
    const load = async (): Promise<void> => {
      const symbols = NAMES.map((name, k) => ({ name, address: BASE + BigInt(k) * 0x100n, size: 0x80 }));
      machine = tracer.machine({ arch, symbols, stackSize: 2 ** 19, stackWords });
    };
    const run = (name: string, args: bigint[], body: Body): number => Number(machine.call(name, args, body));
    const call: Functions = {
      fa: (v) =>
        run('fa', [BigInt(v)], () => {
          fixture.inside();
          return BigInt(Math.trunc(v / 3));
        }),
      fb: (v) => run('fb', [BigInt(v)], () => BigInt(Math.trunc(v / 3) + 1)),
      f1: (v) => run('f1', [BigInt(v)], () => BigInt(v + 1)),
      trigger: () => {
        run('trigger', [], () => {
          for (let k = 1; k <= 8; k++) run(`f${k}`, [1n], () => BigInt(k + 1));
        });
      },
      rec: (n) => run('rec', [BigInt(n)], () => (n === 0 ? 0n : BigInt(call.rec(n - 1) + 1))),
    };
    const fixture: Fixture = {
      tracer,
      call,
      inside: () => {},
      ip: (name) => machine.sites.find((site) => site.name === name)!.ip,
      frameWords: model.framePointerTest ? 4 : 3,
      traceable: NAMES.length,
      unload: () => tracer.detach(machine),
      load,
    };
    await load();
    return fixture;
  };
  sectionA(arch, make);
}
