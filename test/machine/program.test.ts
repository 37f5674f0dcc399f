// Programs: what the engine runs without JavaScript on the way. A traced run must leave what an untraced one leaves.

import { describe, expect, test } from 'vitest';
import * as layout from '../../assembly/machine-layout.ts';
import { CPUS } from '../../src/arch/index.ts';
import { type Machine, MachineProgram, ProgramError, Tracer } from '../../src/index.ts';
import { registerFile } from '../../src/target/machine-description.ts';
import { generateProgram, randomNumbers } from '../../src/target/machine-generate.ts';

const BASE = 0x3f0_0000_1000n;
const SYMBOLS = Array.from({ length: 20 }, (_, k) => ({
  name: `f${k}`,
  address: BASE + BigInt(k) * 0x100n,
  size: 0x80,
}));
const seed = Number(process.env.FPROBE_SEED ?? Math.floor(Math.random() * 2 ** 31));

async function make(arch: string): Promise<{ tracer: Tracer; machine: Machine }> {
  const tracer = await Tracer.create({ clock: 'counter' });
  return { tracer, machine: tracer.machine({ arch, symbols: SYMBOLS, stackWords: 8192 }) };
}

describe.each(Object.values(CPUS).map((model) => [model.name, model] as const))('%s', (arch, model) => {
  test('registers that a call preserves, and results, are what they are untraced', async () => {
    const { places } = registerFile(model);
    const lost = new Set([...model.clobbered, ...model.argumentRegisters, model.siteRegisters?.parent]);
    const preserved = Object.values(model.ptRegs.fields)
      .map(({ name }) => name)
      .filter((name) => places.has(name) && !lost.has(name));
    const random = randomNumbers(seed);
    for (let round = 0; round < 4; round++) {
      const program = generateProgram({
        functions: SYMBOLS.length,
        calls: 2000,
        depth: 40,
        nesting: 0.3 + 0.4 * random(),
        recursion: 0.3,
        tailCalls: 0.2,
        args: Math.floor(random() * 13),
        seed: Math.floor(random() * 2 ** 32),
      });
      const outcome = async (watch: (tracer: Tracer) => void) => {
        const { tracer, machine } = await make(arch);
        preserved.forEach((name, k) => {
          if (![model.stackPointer, model.frame.chain].includes(name)) machine.setRegister(name, BigInt(k) * 7n + 1n);
        });
        watch(tracer);
        machine.run(program, 2);
        const { entries, returns, unwound } = machine.task.task.counts();
        expect([unwound, entries - returns], `seed ${seed}`).toEqual([0, 0]);
        const all = machine.registers();
        return { kept: preserved.map((name) => all[name]), result: all[model.returnRegisters[0]], entries };
      };
      const untraced = await outcome(() => {});
      expect(untraced.entries).toBe(0);
      const traced = await outcome((tracer) => {
        tracer.startProfile();
        tracer.registerFgraph({ filter: 'f1*', entry: (_, fregs) => fregs.argument(0), return: () => {} });
        tracer.registerFprobe({ filter: 'f*', entryDataSize: 8, entry: () => {}, exit: () => {} });
      });
      expect(traced.entries).toBe(4000);
      expect({ ...traced, entries: 0 }, `seed ${seed}`).toEqual(untraced);
    }
  });

  test('tasks, interrupts, unwinding and time in a program', async () => {
    const { tracer, machine } = await make(arch);
    machine.createTask({ comm: 'two', pid: 77 });
    const seen: string[] = [];
    tracer.registerFgraph({
      entry: (event) =>
        seen.push(`${tracer.engine.task_current() === machine.tasks[1]!.task.address} ${event.name} ${event.depth}`),
      return: (event) => seen.push(`-${event.name}`),
    });
    const program = new MachineProgram()
      .call(0, [1n])
      .switchTo(1)
      .call(1)
      .interrupt(1)
      .call(2)
      .return()
      .interruptEnd()
      .switchTo(0)
      .call(3)
      .call(4)
      .unwind(2)
      .time(500n)
      .return(7n)
      .switchTo(1)
      .return()
      .switchTo(0);
    machine.run(program);
    expect(seen).toEqual(['false f0 0', 'true f1 0', 'true f2 1', '-f2', 'false f3 1', 'false f4 2', '-f0', '-f1']);
    expect([machine.time, machine.register(model.returnRegisters[0])]).toEqual([500n, 7n]);
  });

  test('a body that a handler skipped is skipped with all that it calls', async () => {
    const { tracer, machine } = await make(arch);
    const seen: string[] = [];
    tracer.registerFtrace({ call: (ip) => seen.push(machine.symbolAt(ip as bigint)!.symbol.name) });
    tracer.registerFtrace({
      filter: 'f0',
      call: (_ip, _parent, fregs) => (fregs as import('../../src/index.ts').CpuRegs).overrideReturn(),
    });
    machine.run(
      new MachineProgram().call(1).call(0).call(2).call(3).return().return().return(9n).call(4).return().return(),
    );
    expect(seen).toEqual(['f1', 'f0', 'f4']);
  });
});

describe('what is wrong with a program is said with its place, and the machine is usable afterwards', () => {
  const word = (operation: number, count: number, operand: number) =>
    BigInt(operation | (count << 8)) | (BigInt(operand) << 32n);
  const cases: [string, MachineProgram, string, number, string][] = [
    ['a return too many', new MachineProgram().call(0).return().return(), 'ECHILD', 2, 'do not match'],
    ['cut off', new MachineProgram().call(0).call(1).return(), 'ECHILD', 3, 'at its end'],
    ['no such function', new MachineProgram().call(0).call(20), 'EINVAL', 1, '(call)'],
    ['no such task', new MachineProgram().switchTo(1), 'EINVAL', 0, '(switch)'],
    ['no such operation', MachineProgram.from(BigUint64Array.of(word(99, 0, 0))), 'EINVAL', 0, 'unknown operation'],
    ['a register that is none', new MachineProgram().set(4, 0n), 'EINVAL', 0, '(register)'],
    [
      'arguments that are missing',
      MachineProgram.from(BigUint64Array.of(word(layout.OP_CALL, 3, 0), 1n)),
      'EINVAL',
      0,
      '(call)',
    ],
    ['a context that is not more urgent', new MachineProgram().interrupt(1).interrupt(2), 'EINVAL', 1, '(interrupt)'],
    ['an end without interrupt', new MachineProgram().call(0).interruptEnd(), 'ECHILD', 1, '(end of interrupt)'],
    ['a return out of an interrupt', new MachineProgram().call(0).interrupt(1).return(), 'ECHILD', 2, '(return)'],
    ['more unwound than called', new MachineProgram().call(0).unwind(2), 'ECHILD', 1, '(unwind)'],
  ];
  test.each(cases)('%s', async (_, program, code, position, text) => {
    const { tracer, machine } = await make('x86_64');
    let balance = 0;
    const user = tracer.registerFgraph({ entry: () => ++balance, return: () => balance-- });
    const attempt = () => machine.run(program);
    expect(attempt).toThrow(ProgramError);
    machine.reset();
    expect(attempt).toThrow(expect.objectContaining({ code, position, message: expect.stringContaining(text) }));
    machine.reset();
    user.unregister();
    expect([machine.task.depth, machine.call('f3', [], () => 8n), tracer.frames()]).toEqual([0, 8n, []]);
  });

  test('a full stack, by a program and by calls', async () => {
    const { machine } = await make('s390x');
    const deep = new MachineProgram();
    for (let k = 0; k < 1000; k++) deep.call(k % 20);
    expect(() => machine.run(deep)).toThrow(expect.objectContaining({ code: 'EOVERFLOW' }));
    machine.reset();
    const dive = (n: number): bigint => machine.call('f0', [], () => dive(n + 1));
    expect(() => dive(0)).toThrow(
      expect.objectContaining({ code: 'EOVERFLOW', message: expect.stringContaining('f0') }),
    );
    expect([machine.task.depth, machine.call('f1', [], () => 3n)]).toEqual([0, 3n]);
  });

  test('bad arguments', async () => {
    const { tracer, machine } = await make('arm64');
    const bad =
      (symbols: object[], arch = 'arm64') =>
      () =>
        tracer.machine({ arch, symbols } as never);
    const a = { name: 'a', address: 0x1000n, size: 64 };
    expect(bad([], 'mips')).toThrow("arch is 'mips'");
    expect(bad([a, { ...a, name: 'b', address: 0x1020n }])).toThrow('symbols a and b overlap at 0x1020');
    expect(bad([a, a])).toThrow('two symbols a');
    expect(bad([{ ...a, location: 0x1040n }])).toThrow('the location 0x1040 is outside of its 64 bytes at 0x1000');
    expect(bad([{ ...a, location: 0x1002n }])).toThrow('no multiple of 4');
    expect(bad([{ ...a, address: 4096 }])).toThrow('expected a bigint');
    expect(bad([{ ...a, size: 0 }])).toThrow('the size is 0');
    expect(bad([{ ...a, address: machine.model.addresses.trampolines }])).toThrow('trampolines');
    expect(() => machine.call('nosuch')).toThrow(expect.objectContaining({ code: 'ENOENT' }));
    expect(() => machine.call('f0', [1] as never)).toThrow('argument 0 is 1');
    expect(() => machine.call('f0', new Array(13).fill(0n))).toThrow('at most 12');
    expect(() => machine.call('f0', [], (() => 5) as never)).toThrow('the body of f0 returned 5');
    expect(() => machine.register('rax')).toThrow('arm64 has no register');
    expect(() => machine.setTime(5 as never)).toThrow('bigint of nanoseconds');
    machine.setTime(5n);
    expect(() => machine.setTime(4n)).toThrow('expected 5');
    expect(() => machine.run(new MachineProgram(), 0)).toThrow('times is 0');
    expect(() => generateProgram({ functions: 0, calls: 1 })).toThrow('functions is 0');
    expect(() => generateProgram({ functions: 1, calls: 1, nesting: 2 })).toThrow('nesting is 2');
    expect(machine.task.depth).toBe(0);
  });

  test('a handler cannot run a program inside of a program', async () => {
    const { tracer, machine } = await make('riscv64');
    const codes: unknown[] = [];
    const inner = new MachineProgram().call(1).return();
    tracer.registerFgraph({
      filter: 'f0',
      entry: () => {
        try {
          machine.run(inner);
        } catch (error) {
          codes.push((error as ProgramError).code);
        }
      },
    });
    machine.run(new MachineProgram().call(0).return());
    machine.call('f0');
    expect(codes).toEqual(['EBUSY']);
  });
});
