// Interrupts, sections without them and wake-ups of a machine, by calls and in programs, on every CPU: what the latency tracers
// measure, what graphs leave out.

import { beforeEach, describe, expect, test } from 'vitest';
import { CPUS } from '../../src/arch/index.ts';
import { type LatencyName, type Machine, MachineProgram, ProgramError, Tracer } from '../../src/index.ts';
import { randomNumbers } from '../../src/target/machine-generate.ts';

const NAMES = ['work', 'handler', 'step', 'idle'];
const [WORK, HANDLER, STEP, IDLE] = NAMES.keys() as unknown as number[];
const SYMBOLS = NAMES.map((name, k) => ({ name, address: 0x3f0_0000_1000n + BigInt(k) * 0x100n, size: 0x80 }));

/// Numbers from 0 to 1, and what they come from.
function chance(): [random: () => number, seed: number] {
  const seed = Number(process.env.FPROBE_SEED ?? Math.floor(Math.random() * 2 ** 31));
  return [randomNumbers(seed), seed];
}

describe.each(Object.keys(CPUS))('%s', (arch) => {
  let tracer: Tracer;
  let machine: Machine;

  beforeEach(async () => {
    tracer = await Tracer.create();
    machine = tracer.machine({ arch, symbols: SYMBOLS, comm: 'one', pid: 101, cpu: 2 });
  });

  /// A call of handler, which calls step; `us` pass in each.
  const handle = (us: number): void => {
    machine.call('handler', [], (m) => {
      m.call('step', [], (m) => m.setTime(m.time + BigInt(us) * 1000n) as undefined);
      m.setTime(m.time + BigInt(us) * 1000n);
    });
  };
  const handling = (program: MachineProgram, from: number, us: number): MachineProgram =>
    program
      .call(HANDLER)
      .call(STEP)
      .time(BigInt(from + us) * 1000n)
      .return()
      .time(BigInt(from + 2 * us) * 1000n)
      .return();

  const SECTIONS: [string, () => void][] = [
    ['calls', () => machine.withoutIrqs(() => machine.withoutIrqs(() => handle(3)))],
    ['a program', () => machine.run(handling(new MachineProgram().irqsOff().irqsOff(), 0, 3).irqsOn().irqsOn())],
  ];
  test.each(SECTIONS)('irqsoff by %s, to the letter', (_, section) => {
    const latency = tracer.startLatency('irqsoff');
    section();
    machine.call('idle');
    expect(latency.maxLatency).toBe(6000);
    const lines = latency.read().split('\n');
    expect(lines).toContain('# latency: 6 us, #4/4, CPU#2 | (M:PREEMPT VP:0, KP:0, SP:0 HP:0 #P:1)');
    expect(lines).toContain('#    | task: one-101 (uid:0 nice:0 policy:0 rt_prio:0)');
    expect(lines.filter((line) => line !== '' && !line.startsWith('#'))).toEqual([
      '        0 us |   2)    one-101     |  d.... |               |  handler() {',
      '        0 us |   2)    one-101     |  d.... |   3.000 us    |    step();',
      '        6 us |   2)    one-101     |  d.... |   6.000 us    |  }',
    ]);
  });

  test.each([
    ['irqsoff', [true, false, true]],
    ['preemptoff', [false, true, false]],
    ['preemptirqsoff', [true, true, true]],
    ['wakeup', [false, false, false]],
  ] as [LatencyName, boolean[]][])('%s measures what it says, by calls and in programs', (name, measured) => {
    const latency = tracer.startLatency(name);
    const next = (): number => Number(machine.time / 1000n);
    const sections = [
      () => machine.withoutIrqs(() => handle(1)),
      () => machine.withoutPreemption(() => handle(1)),
      () => machine.interrupt('irq', () => handle(1)),
      () => machine.run(handling(new MachineProgram().irqsOff(), next(), 1).irqsOn()),
      () => machine.run(handling(new MachineProgram().preemptionOff(), next(), 1).preemptionOn()),
      () => machine.run(handling(new MachineProgram().interrupt(1), next(), 1).interruptEnd()),
    ];
    const seen = sections.map((section) => {
      latency.clear();
      section();
      return latency.maxLatency;
    });
    expect(seen).toEqual([...measured, ...measured].map((isMeasured) => (isMeasured ? 2000 : 0)));
  });

  test('wakeup: from waking until the task runs, whatever runs meanwhile', () => {
    const two = machine.createTask({ comm: 'two', pid: 102, cpu: 2 });
    const three = machine.createTask({ comm: 'three', pid: 103, cpu: 2 });
    const latency = tracer.startLatency('wakeup');
    const byCalls = () => {
      machine.wake(two);
      handle(2);
      const one = machine.switchTo(three);
      handle(1);
      machine.wake(one); // one at a time is measured
      machine.switchTo(two);
      handle(50);
      machine.switchTo(one);
    };
    const inProgram = () => {
      const program = handling(new MachineProgram().wake(1), 0, 2).switchTo(2);
      machine.run(handling(handling(program, 4, 1).wake(0).switchTo(1), 6, 50).switchTo(0));
    };
    inProgram();
    expect(latency.maxLatency).toBe(6000);
    const text = latency.read();
    expect(text).toContain('task: two-102');
    expect(text).toMatch(/ 2\) +one-101 +=> +three-103 *\n/);
    expect(text.match(/handler\(\)/g)?.length).toBe(2);
    latency.clear();
    byCalls();
    expect(latency.maxLatency).toBe(6000);
    expect(latency.read().match(/handler\(\)/g)?.length).toBe(2);
    expect(() => machine.wake(machine.task)).toThrow(expect.objectContaining({ code: 'EINVAL' }));
    expect(() => machine.wake({} as never)).toThrow(TypeError);
    expect(() => machine.run(new MachineProgram().wake(0))).toThrow(expect.objectContaining({ code: 'EINVAL' }));
    expect(() => machine.run(new MachineProgram().wake(9))).toThrow(expect.objectContaining({ code: 'EINVAL' }));
  });

  test('graphs leave hard interrupts out, but not what a function of theirs does in one', () => {
    const names = (text: string) => text.match(/\w+(?=\(\))/g) ?? [];
    const all = tracer.startGraph();
    const none = tracer.startGraph({ irqs: false });
    const body = (m: Machine): void => {
      m.interrupt('irq', () => handle(1));
      m.interrupt('softirq', () => handle(1));
      m.interrupt('nmi', () => m.call('idle'));
    };
    machine.call('work', [], (m) => body(m) as undefined);
    expect(names(all.read())).toEqual(['work', 'handler', 'step', 'handler', 'step', 'idle']);
    expect(names(none.read())).toEqual(['work', 'handler', 'step', 'idle']);
    all.clear();
    none.clear();
    body(machine); // interrupts of what runs outside of any function
    expect(names(all.read())).toEqual(['handler', 'step', 'handler', 'step', 'idle']);
    expect(names(none.read())).toEqual(['handler', 'step', 'idle']);
    none.clear();
    machine.run(
      new MachineProgram()
        .call(WORK)
        .interrupt(1)
        .call(HANDLER)
        .return()
        .interruptEnd()
        .interrupt(0)
        .call(IDLE)
        .return()
        .interruptEnd()
        .call(STEP)
        .return()
        .return(),
    );
    expect(names(none.read())).toEqual(['work', 'idle', 'step']);
    tracer.setGraphFunction('handler');
    none.clear();
    machine.interrupt('irq', () => handle(1));
    expect(names(none.read())).toEqual(['handler', 'step']);
  });

  test('arrows around what begins an interrupt, and a text without it', () => {
    const symbols = [
      { ...SYMBOLS[0]!, name: 'asm_irq', isInterrupt: true },
      { ...SYMBOLS[1]!, name: 'irq_exit' },
      { ...SYMBOLS[2]!, name: 'vfs_read' },
    ];
    const other = tracer.machine({
      arch,
      symbols: symbols.map((symbol, k) => ({ ...symbol, address: BigInt(k + 1) << 20n })),
    });
    const graph = tracer.startGraph();
    other.call('vfs_read', [], (m) => m.interrupt('irq', () => m.call('asm_irq', [], () => m.call('irq_exit'))));
    const lines = (irqs: boolean) => graph.read({ irqs }).split('\n').slice(4, -1);
    expect(lines(true)).toEqual([
      ' 0)               |  vfs_read() {',
      ' 0)   ==========> |',
      ' 0)               |    asm_irq() {',
      ' 0)   0.000 us    |      irq_exit();',
      ' 0)   0.000 us    |    }',
      ' 0)   <========== |',
      ' 0)   0.000 us    |  }',
    ]);
    expect(lines(false)).toEqual([' 0)               |  vfs_read() {', ' 0)   0.000 us    |  }']);
    const wrong = { ...symbols[0]!, address: 0x5000n, isInterrupt: 1 } as never;
    expect(() => tracer.machine({ arch, symbols: [wrong] })).toThrow('isInterrupt is 1');
  });

  test('a program by chance: of each call the task, the context and what is off', () => {
    const [random, seed] = chance();
    const pids = [101, 102, 103];
    for (const pid of pids.slice(1)) machine.createTask({ comm: `t${pid}`, pid, cpu: 2 });
    const latency = tracer.startLatency('preemptirqsoff');
    for (let round = 0; round < 5; round++) {
      const program = new MachineProgram().preemptionOff();
      const expected: string[] = [];
      const stacks: (number | 'call')[][] = [[], [], []]; // contexts that were interrupted
      let task = 0;
      let irqs = 0;
      let preemption = 1;
      const contexts = (): number[] => stacks[task]!.filter((entry) => entry !== 'call') as number[];
      const flags = (open: number[]): string => {
        const [nmi, hard, soft] = [0, 1, 2].map((context) => open.includes(context));
        const context = nmi ? (hard ? 'Z' : 'z') : hard ? (soft ? 'H' : 'h') : soft ? 's' : '.';
        return `${irqs > 0 || hard ? 'd' : '.'}.${context}${preemption > 0 ? preemption : '.'}.`;
      };
      const innermost = (): number => Math.min(3, ...contexts());
      for (let k = 0; k < 300; k++) {
        const stack = stacks[task]!;
        switch (Math.floor(random() * 9)) {
          case 0:
          case 1:
            if (stack.length >= 12) break;
            program.call(STEP);
            stack.push('call');
            expected.push(`${pids[task]} ${flags(contexts())}`);
            break;
          case 2:
            if (stack.at(-1) === 'call') {
              program.return();
              stack.pop();
            }
            break;
          case 3: {
            const context = Math.floor(random() * 3);
            if (context >= innermost()) break;
            program.interrupt(context);
            stack.push(context);
            break;
          }
          case 4:
            if (stack.length > 0 && stack.at(-1) !== 'call') {
              program.interruptEnd();
              stack.pop();
            }
            break;
          case 5:
            if (contexts().length > 0) break; // interrupts do not sleep
            task = Math.floor(random() * 3);
            program.switchTo(task);
            break;
          case 6:
            if (random() < 0.5 && irqs < 3) {
              program.irqsOff();
              irqs++;
            } else if (irqs > 0) {
              program.irqsOn();
              irqs--;
            }
            break;
          case 7:
            if (random() < 0.5 && preemption < 4) {
              program.preemptionOff();
              preemption++;
            } else if (preemption > 1) {
              program.preemptionOn();
              preemption--;
            }
            break;
          case 8: {
            // All of an interrupt and what it called are left at once.
            const at = stack.findLastIndex((entry) => entry !== 'call');
            if (at < 0 || random() < 0.7) break;
            program.unwind(stack.length - at);
            stack.length = at;
          }
        }
      }
      program.time(machine.time + 1000n + BigInt(round) * 1000n);
      for (; preemption > 0; preemption--) program.preemptionOn();
      for (; irqs > 0; irqs--) program.irqsOn();
      machine.start(program);
      machine.reset();
      const entries = latency.read().matchAll(/-(\d+) +\| +(\S{5}) \|.*step\(\)/g);
      expect(
        Array.from(entries, ([, pid, seen]) => `${pid} ${seen}`),
        `FPROBE_SEED=${seed}`,
      ).toEqual(expected);
      latency.clear();
    }
  });

  test('handlers are told the task of a program', () => {
    machine.createTask({ comm: 'two', pid: 102 });
    const seen: string[] = [];
    tracer.registerFgraph({ entry: ({ name }) => void seen.push(`${tracer.currentTask.comm} ${name}`) });
    const program = new MachineProgram().call(WORK).switchTo(1).call(STEP).return().switchTo(0).call(IDLE).return();
    machine.run(program.return());
    expect(seen).toEqual(['one work', 'two step', 'one idle']);
    expect([tracer.currentTask.comm, tracer.engine.task_current()]).toEqual(['main', tracer.currentTask.address]);
    machine.start(new MachineProgram().switchTo(1));
    machine.call('step');
    expect(seen.at(-1)).toBe('two step');
  });

  test('sections end however they are left, and results come through', () => {
    const latency = tracer.startLatency('preemptirqsoff');
    const fail = (): never => {
      handle(1);
      throw new Error('left');
    };
    for (const section of [
      () => machine.withoutIrqs(fail),
      () => machine.withoutPreemption(fail),
      () => machine.interrupt('irq', fail),
      () => machine.interrupt('irq', () => machine.call('work', [], fail)),
    ]) {
      latency.clear();
      expect(section).toThrow('left');
      expect([latency.maxLatency, machine.task.depth]).toEqual([2000, 0]);
    }
    expect([
      machine.withoutIrqs(() => 1),
      machine.withoutPreemption(() => 2),
      machine.interrupt('nmi', () => 3),
    ]).toEqual([1, 2, 3]);
    const before = tracer.currentTask;
    const two = machine.createTask({ comm: 'two' });
    expect(() => machine.interrupt('irq', (m) => m.switchTo(two))).toThrow('ended on another');
    expect([machine.task.comm, tracer.currentTask, machine.task.depth, two.depth]).toEqual(['one', before, 0, 0]);
    for (const context of ['normal', '', 'toString', 7, undefined]) {
      expect(() => machine.interrupt(context as never, () => {})).toThrow(RangeError);
    }
    expect(() => machine.interrupt('irq', 5 as never)).toThrow(TypeError);
    expect(() => machine.withoutIrqs(undefined as never)).toThrow(TypeError);
    expect(() => machine.withoutPreemption({} as never)).toThrow(TypeError);
  });

  test('what a program leaves open stays so until another one, or reset, ends it', () => {
    const latency = tracer.startLatency('irqsoff');
    machine.start(new MachineProgram().interrupt(1).call(HANDLER));
    machine.setTime(5000n);
    machine.start(new MachineProgram().return().interruptEnd());
    expect(latency.maxLatency).toBe(5000);
    machine.start(new MachineProgram().irqsOff().interrupt(1).call(HANDLER));
    machine.setTime(14_000n);
    machine.reset();
    expect(latency.maxLatency).toBe(9000);
    const graph = tracer.startGraph({ irqs: false });
    machine.call('work');
    expect(graph.read()).toContain('work();');
    for (const program of [
      new MachineProgram().irqsOn(),
      new MachineProgram().preemptionOn(),
      MachineProgram.from(BigUint64Array.of(10n | (2n << 32n))),
    ]) {
      expect(() => machine.run(program)).toThrow(expect.objectContaining({ code: 'EINVAL', position: 0 }));
    }
    const open = new MachineProgram().preemptionOff();
    expect(() => machine.run(open)).toThrow(ProgramError);
    machine.reset();
    expect(() => machine.run(open)).toThrow(expect.objectContaining({ code: 'ECHILD', position: 1 }));
  });
});
