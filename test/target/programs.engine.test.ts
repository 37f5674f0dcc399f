// Real programs with everything recorded: they print what they print untouched, what was entered was left, the recorded graph is
// well nested, and the profiler counted what the graph shows.

import { expect, test } from 'vitest';
import { type Batch, ENTRY, LOST, UNWOUND } from '../../src/trace/events.ts';
import { Tracer } from '../../src/tracer.ts';
import { programs, untouched } from '../programs/index.ts';

/// Part of the default workload: enough to pass through all of a program's own code, with some hundred thousand calls.
const SCALE = 0.05;

/// Follows a recorded stream. Throws at the first event that does not fit the ones before it.
class NestingCheck {
  entries = 0;
  returns = 0;
  unwound = 0;
  readonly calls = new Map<number, number>();
  readonly #open: number[] = [];

  page(batch: Batch): void {
    for (let i = 0; i < batch.count; i++) {
      const { [i]: kind } = batch.kind;
      const func = batch.func[i];
      const depth = batch.depth[i];
      const where = `event ${this.entries + this.returns + this.unwound}, function ${func} at depth ${depth}`;
      if (kind === LOST) throw new Error(`${func} events lost before ${where}`);
      if (kind === ENTRY) {
        if (depth !== this.#open.length) throw new Error(`${where} was entered inside ${this.#open.length} others`);
        this.#open.push(func);
        this.entries++;
        this.calls.set(func, (this.calls.get(func) ?? 0) + 1);
      } else {
        if (depth !== this.#open.length - 1)
          throw new Error(`${where} was left inside ${this.#open.length - 1} others`);
        if (this.#open.pop() !== func) throw new Error(`${where} was left, but another one entered`);
        if (kind === UNWOUND) this.unwound++;
        else this.returns++;
      }
    }
  }

  get stillOpen(): number {
    return this.#open.length;
  }
}

test.each(programs.map((program) => [program.name, program] as const))('%s', async (_, program) => {
  const plain = await program.start(untouched);
  const expected = plain.run(SCALE);
  plain.close?.();

  const tracer = await Tracer.create({ clock: 'counter' });
  const profile = tracer.startProfile();
  const graph = tracer.startGraph({ bufferPages: 65_536, mode: 'stop' });
  const session = await program.start((bytes, imports) => tracer.instantiate(bytes, imports));
  const output = session.run(SCALE);
  session.close?.();
  expect(output).toBe(expected);

  const { entries, returns, unwound, overrun, stray } = tracer.counts();
  expect(tracer.frames()).toEqual([]);
  expect(entries).toBeGreaterThan(1000);
  expect(entries).toBe(returns + unwound);
  expect({ overrun, stray }).toEqual({ overrun: 0, stray: 0 });

  profile.unregister();
  graph.unregister();
  const check = new NestingCheck();
  expect(graph.lost).toBe(0);
  graph.pages((batch) => check.page(batch));
  expect(check.stillOpen).toBe(0);
  expect({ entries, returns, unwound }).toEqual({
    entries: check.entries,
    returns: check.returns,
    unwound: check.unwound,
  });
  expect(new Map(profile.rows().map(({ site, count }) => [site, count]))).toEqual(check.calls);
  graph.close();
  console.log(`${program.name}: ${entries} calls, ${unwound} unwound, all well nested`);
});
