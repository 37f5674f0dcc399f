// One suite for every CPU: what its trampolines show to callbacks and leave to the program (spec/arch.md §14).

import { beforeEach, describe, expect, test } from 'vitest';
import { CPUS } from '../../src/arch/index.ts';
import type { CpuRegs } from '../../src/cpu-regs.ts';
import { Tracer } from '../../src/index.ts';
import type { Machine } from '../../src/target/machine.ts';
import type { MachineOptions } from '../../src/target/machine-options.ts';

let tracer: Tracer;
const BASE = 0x3f0_0000_1000n;
const SYMBOLS = ['fa', 'fb', 'fc'].map((name, k) => ({ name, address: BASE + BigInt(k) * 0x100n, size: 0x80 }));

beforeEach(async () => {
  tracer = await Tracer.create();
});

describe.each(Object.values(CPUS).map((model) => [model.name, model] as const))('%s', (arch, model) => {
  const make = (options: Partial<MachineOptions> = {}): Machine =>
    tracer.machine({ arch, symbols: SYMBOLS, ...options });
  const hook = model.addresses.trampolines;
  const outside = hook + 0x80n;
  const isLinked = model.link !== 'stack';

  test('entry and exit show where execution is', () => {
    const machine = make();
    const { location } = machine.sites[0]!.symbol;
    expect(location).toBe(BASE + BigInt(model.siteForms[0]!.offset));
    const seen: unknown[] = [];
    let entrySp = 0n;
    const user = tracer.registerFgraph({
      filter: 'fa',
      entry(event, fregs) {
        const regs = fregs as CpuRegs;
        entrySp = regs.stackPointer;
        seen.push(event.func, event.parent, regs.instructionPointer - location, regs.returnAddress);
        return true;
      },
      return(event, fregs) {
        seen.push(event.parent, fregs.instructionPointer, fregs.returnValue());
        if (model.exit.stackPointer !== null)
          expect(fregs.stackPointer).toBe(entrySp + BigInt(model.exit.stackPointer));
        else expect(fregs.stackPointer).toBe(0x5a5a_5a5a_5a5a_5a5an);
      },
    });
    const inside: bigint[] = [];
    expect(
      machine.call('fa', [1n], (m) => {
        inside.push(...m.stackTrace({ raw: true }), ...m.stackTrace());
        return -5n;
      }),
    ).toBe(0xffff_ffff_ffff_fffbn);
    expect(inside).toEqual([hook, outside]);
    expect(seen).toEqual([location, outside, BigInt(model.resume), outside, outside, outside, 0xffff_ffff_ffff_fffbn]);
    expect(machine.task.returned).toBe(outside);
    expect(machine.task.resumed).toBe(location + BigInt(model.resume));
    expect([machine.task.depth, user.errors]).toEqual([0, 0]);
  });

  test('arguments are in registers, then on the stack or nowhere', () => {
    const machine = make();
    const args = Array.from({ length: 12 }, (_, k) => BigInt(k + 1) * 0x0101_0101_0101n);
    const seen: unknown[] = [];
    tracer.registerFgraph({
      filter: 'fa',
      entry(_, fregs) {
        for (let n = 0; n < 12; n++) seen.push(fregs.argument(n));
      },
    });
    machine.call('fb', [], (m) => m.call('fa', args));
    const known = model.stackArguments === null ? model.argumentRegisters.length : 12;
    expect(seen).toEqual(args.map((word, k) => (k < known ? word : 0n)));
  });

  test('the outer function is the parent, watched or not', () => {
    const machine = make();
    const parents: unknown[] = [];
    tracer.registerFgraph({
      filter: 'fb',
      entry: (event) => parents.push(machine.symbolAt(event.parent as bigint)?.symbol.name),
    });
    tracer.registerFtrace({
      filter: 'fb',
      call: (ip, parent) => parents.push(ip, machine.symbolAt(parent as bigint)?.symbol.name),
    });
    machine.call('fa', [], (m) => m.call('fb'));
    machine.call('fb');
    const ip = machine.sites[1]!.ip;
    expect(parents).toEqual([ip, 'fa', 'fa', ip, undefined, undefined]);
  });

  test('the function tracer names the caller, watched or not', () => {
    const machine = make({ comm: 'bash', pid: 70 });
    machine.setTime(1_500n);
    const calls = tracer.startFunction({ filter: 'fb' });
    machine.call('fa', [], (m) => {
      m.setTime(1_234_000n);
      return m.call('fb');
    });
    expect(calls.read()).toMatch(/ +bash-70 .* 0\.001234: fb <-fa\n$/);
  });

  test('a tail call: one slot, two frames, the exits innermost first', () => {
    const machine = make();
    const seen: string[] = [];
    const parents: unknown[] = [];
    tracer.registerFgraph({
      entry(event) {
        parents.push(event.parent);
        return true;
      },
      return: (event, fregs) => seen.push(`${event.name} ${event.depth} ${fregs.returnValue()}`),
    });
    const stacks: bigint[][] = [];
    const result = machine.call('fa', [], (m) =>
      m.tailCall('fb', [2n], () => {
        stacks.push(m.stackTrace());
        return m.call('fc', [], () => 6n) + 1n;
      }),
    );
    expect(result).toBe(7n);
    expect(parents.slice(0, 2)).toEqual([outside, hook]);
    expect(stacks).toEqual([[outside]]);
    expect(seen).toEqual(['fc 2 6', 'fb 1 7', 'fa 0 7']);
    expect(machine.task.returned).toBe(outside);
  });

  test('a throw unwinds, and what comes later is balanced', () => {
    const machine = make();
    const left: string[] = [];
    tracer.registerFgraph({ entry: () => true, return: (event) => left.push(event.name) });
    const caught = machine.call('fa', [], (m) => {
      const { unwound } = tracer.counts();
      expect(() =>
        m.call('fa', [], () =>
          m.call('fb', [], () =>
            m.call('fc', [], () => {
              throw new Error('out of here');
            }),
          ),
        ),
      ).toThrow('out of here');
      return BigInt(tracer.counts().unwound - unwound);
    });
    expect(caught).toBe(3n);
    expect(left).toEqual(['fa']);
    expect(machine.call('fb', [], () => 9n)).toBe(9n);
    expect(left).toEqual(['fa', 'fb']);
    expect(tracer.currentTask).toBe(tracer.tasks[0]);
  });

  test('a return value that an exit handler replaces takes effect, except on s390x', () => {
    const machine = make();
    tracer.registerFgraph({ filter: 'fa', return: (_, fregs) => fregs.setReturnValue(42n) });
    expect(machine.call('fa', [], () => 7n)).toBe(arch === 's390x' ? 7n : 42n);
  });

  test('an entry handler can make the function return at once', () => {
    const machine = make();
    let exits = 0;
    const ops = tracer.registerFtrace({
      filter: 'fa',
      call(_ip, _parent, fregs) {
        const regs = fregs as CpuRegs;
        regs.setReturnValue(11n);
        regs.overrideReturn();
      },
    });
    let ran = 0;
    const body = () => {
      ran++;
      return 7n;
    };
    const expected = arch === 'x86_64' || model.entry.restores.includes(model.returnRegisters[0]) ? 11n : 7n;
    expect(machine.call('fa', [], body)).toBe(expected);
    tracer.registerFgraph({ filter: 'fa', entry: () => true, return: () => exits++ });
    expect(machine.call('fa', [], body)).toBe(expected);
    expect([ran, exits, machine.task.depth, tracer.counts().stray]).toEqual([0, 1, 0, 0]);
    ops.unregister();
    expect(machine.call('fa', [], body)).toBe(7n);
  });

  test('execution resumes where an entry handler says', () => {
    const machine = make();
    tracer.registerFtrace({
      filter: 'fa',
      call(_ip, _parent, fregs) {
        (fregs as CpuRegs).instructionPointer = 0x1234n;
      },
    });
    let ran = false;
    machine.call('fa', [], () => {
      ran = true;
      return 1n;
    });
    expect([machine.task.resumed, ran]).toEqual([0x1234n, false]);
  });

  test('a direct call beside a tracer: both happen, and it sees the hook as parent', () => {
    const machine = make();
    const order: unknown[] = [];
    machine.setDirectCall(0x7000n, (_, parent) => order.push('direct', parent));
    tracer.registerFtrace({ filter: 'fa', call: (_ip, _parent, fregs) => (fregs as CpuRegs).setDirect(0x7000n) });
    tracer.registerFgraph({ filter: 'fa', entry: () => order.push('entry'), return: () => order.push('exit') });
    machine.call('fa', [], () => {
      order.push('body');
      return 0n;
    });
    expect(order).toEqual(['entry', 'direct', hook, 'body', 'exit']);
    expect(machine.task.directCalls).toBe(1);
  });

  test.each(['arguments', 'full'] as const)('registers of the %s version', (regs) => {
    const machine = make({ regs });
    const isFull = regs === 'full' && model.fullEntry !== null;
    const trampoline = isFull ? model.fullEntry! : model.entry;
    const { fields } = model.ptRegs;
    fields.forEach(({ name, size }, k) => {
      const isRole = [model.stackPointer, model.frame.chain].includes(name);
      if (size === 8 && !isRole && machine.registers()[name] !== undefined) machine.setRegister(name, BigInt(k + 1000));
    });
    const before = machine.registers();
    const seen: unknown[] = [];
    tracer.registerFgraph({
      filter: 'fa',
      entry(_, fregs) {
        const view = fregs as CpuRegs;
        seen.push(view.fullRegs() !== null);
        for (const { name } of model.fregs.fields) {
          const value = view.record.get(name);
          if (name in trampoline.sets) expect(value, name).toBe(trampoline.sets[name]);
          else if (trampoline.saves.includes(name) && name !== model.siteRegisters?.parent)
            expect(value, name).toBe(before[name]);
        }
        const valid = new Set([...trampoline.saves, ...Object.keys(trampoline.sets)]);
        for (const name of [model.stackPointer, model.instructionPointer, model.returnField ?? '']) valid.add(name);
        for (const { name, size } of model.fregs.fields) {
          if (size === 8 && !valid.has(name)) expect(view.record.get(name), name).toBe(0x5a5a_5a5a_5a5a_5a5an);
        }
        const perf = view.fillPerfRegs();
        expect([perf.userMode, perf.instructionPointer]).toEqual([false, view.instructionPointer]);
        seen.push(view.partialRegs().stackPointer === view.stackPointer, view.fullRegs() !== null);
        return false;
      },
    });
    const user = machine.call('fa', []);
    expect(user).toBe(0n);
    const full = model.full === 'always' || (isFull && model.full !== 'never');
    expect(seen).toEqual([full, true, full || arch === 'x86_64']);
  });

  test('the stack holds what the kernel says, and counts what does not fit', () => {
    const machine = make({ stackWords: 512, stackSize: 2 ** 17 });
    const words = model.framePointerTest ? 4 : 3;
    const dive = (depth: number): void => {
      if (depth > 0) machine.call('fa', [], () => dive(depth - 1) as undefined);
    };
    let entries = 0;
    const plain = tracer.registerFgraph({ filter: 'fa', entry: () => ++entries > 0 });
    dive(150);
    expect(entries).toBe(words === 4 ? 98 : 122);
    expect(machine.task.task.counts().overrun).toBe(150 - entries);
    plain.unregister();
    entries = 0;
    const data = tracer.registerFgraph({
      filter: 'fa',
      entry(): boolean {
        const fits = data.reserveData(8) !== null;
        if (fits) entries++;
        return fits;
      },
    });
    dive(150);
    expect(entries).toBe(words === 4 ? 70 : 81);
    expect(machine.task.depth).toBe(0);
  });

  test('a wrong frame pointer stops the engine where that is tested', () => {
    const machine = make();
    const smash = () => {
      const { chain, chainValue, chainAt } = model.frame;
      const sp = machine.register(chain) - BigInt(chainValue);
      if (chain !== model.stackPointer) machine.writeWord(sp + BigInt(chainAt), 0x1230n);
      return 3n;
    };
    const user = tracer.registerFgraph({ filter: 'fa', return: () => {} });
    if (!model.framePointerTest) {
      expect(machine.call('fa', [], smash)).toBe(3n);
      return;
    }
    expect(() => machine.call('fa', [], smash)).toThrow(expect.objectContaining({ code: 'EFAULT' }));
    machine.reset();
    user.unregister();
    expect(machine.call('fa', [], () => 4n)).toBe(4n);
    expect(() => tracer.registerFgraph({ filter: 'fa', return: () => {} })).toThrow(
      expect.objectContaining({ code: 'ENODEV' }),
    );
  });

  test('the kill switch: frames in flight return as usual', () => {
    const machine = make();
    let exits = 0;
    tracer.registerFgraph({ return: () => exits++ });
    const result = machine.call('fa', [], (m) => {
      tracer.engine.kill();
      return m.call('fb', [], () => 5n);
    });
    expect([result, exits, machine.task.depth]).toEqual([5n, 1, 0]);
  });

  test('an interrupt between: contexts nest, registers come back', () => {
    const machine = make();
    const seen: string[] = [];
    tracer.registerFgraph({
      entry(event) {
        seen.push(event.name);
        if (event.name === 'fa') machine.interrupt('irq', (m) => void m.call('fb'));
        return true;
      },
    });
    machine.call('fc', [], (m) => {
      const before = m.registers();
      m.interrupt('softirq', () => {
        m.call('fb', [99n]);
        expect(() => m.interrupt('softirq', () => {})).toThrow(expect.objectContaining({ code: 'EINVAL' }));
      });
      expect(m.registers()).toEqual(before);
      return m.call('fa');
    });
    expect(seen).toEqual(['fc', 'fb', 'fa', 'fb']);
    expect(machine.task.depth).toBe(0);
  });

  test('tasks have stacks of their own', () => {
    const machine = make({ comm: 'one', pid: 100 });
    const other = machine.createTask({ comm: 'two', pid: 200 });
    const seen: unknown[] = [];
    tracer.registerFgraph({ entry: (event) => seen.push([tracer.currentTask.pid, event.name, event.depth]) });
    machine.call('fa', [], (m) => {
      const one = m.switchTo(other);
      m.call('fb', [], () => m.call('fc'));
      m.switchTo(one);
      return m.call('fb');
    });
    expect(seen).toEqual([
      [100, 'fa', 0],
      [200, 'fb', 0],
      [200, 'fc', 1],
      [100, 'fb', 1],
    ]);
    expect(() => machine.call('fa', [], (m) => void m.switchTo(other))).toThrow('ended on another');
    machine.reset();
    expect([machine.task.pid, machine.task.depth, other.depth]).toEqual([100, 0, 0]);
  });

  test('handlers may call functions of the machine themselves', () => {
    const machine = make();
    const seen: string[] = [];
    tracer.registerFgraph({
      filter: 'f[ab]',
      entry(event, fregs) {
        seen.push(`${event.name} ${fregs.argument(0)}`);
        if (event.name === 'fa') {
          expect(machine.call('fb', [5n], () => 6n)).toBe(6n);
          seen.push(`still ${fregs.argument(0)}`);
        }
        return true;
      },
      return: (event, fregs) => seen.push(`-${event.name} ${fregs.returnValue()}`),
    });
    expect(machine.call('fa', [1n], () => 2n)).toBe(2n);
    expect(seen).toEqual(['fa 1', 'fb 5', '-fb 6', 'still 1', '-fa 2']);
    expect(isLinked || machine.task.depth === 0).toBe(true);
  });

  test('what a handler calls before the frame is pushed leaves the frame pointer of the entry alone', () => {
    const machine = make();
    const ended: string[] = [];
    tracer.registerFgraph({ return: (event) => void ended.push(event.name) });
    tracer.registerFtrace({
      filter: 'fa',
      call: () => void machine.call('fb', [], (m) => m.call('fc')),
    });
    expect(machine.call('fc', [], (m) => m.call('fa', [], () => 2n))).toBe(2n);
    expect(ended).toEqual(['fc', 'fb', 'fa', 'fc']);
  });
});

test.each(Object.keys(CPUS) as MachineOptions['arch'][])(
  '%s: a call that is thrown out of, inside of a handler of plain ops, leaves the walker its lock',
  async (arch) => {
    const tracer = await Tracer.create({ clock: 'counter' });
    const symbols = ['f', 'g', 'h'].map((name, k) => ({ name, address: 0x10000n + BigInt(k) * 0x100n, size: 64 }));
    const machine = tracer.machine({ arch, symbols });
    const heard: unknown[] = [];
    tracer.registerFtrace({ filter: 'f', call: (_ip, _parent, fregs) => void heard.push(fregs.argument(0)) });
    tracer.registerFtrace({
      filter: 'f',
      call(_ip, _parent, fregs) {
        try {
          machine.call('g', [7n], () => {
            throw new Error('left');
          });
        } catch {}
        machine.call('g', [8n]);
        heard.push(fregs.argument(0));
      },
    });
    tracer.registerFtrace({ filter: 'g', call() {} });
    for (let k = 0; k < 3; k++) machine.call('f', [5n]);
    expect(heard).toEqual([5n, 5n, 5n, 5n, 5n, 5n]);
  },
);
