// Users that come and go while the program runs. Random programs (as in resync.engine.test.ts) whose imports register,
// unregister, close and clear tracers in the middle of calls. Whatever happens:
//
//   - the program says what it says untouched
//   - the shadow stack is the engine's own stack, less the frames that nobody watched when they were entered
//   - it is empty when the outermost call is over, and no leave ever missed its frame
//   - what each user was told adds up: ends belong to entries, and the profile counts the ends that the graph shows
//
// FPROBE_SEED starts elsewhere.

import { expect, test } from 'vitest';
import type { GraphTracer } from '../../src/graph.ts';
import type { Profiler } from '../../src/profile.ts';
import { realFrames } from '../../src/target/verify.ts';
import type { WasmTarget } from '../../src/target/wasm.ts';
import { Tracer } from '../../src/tracer.ts';
import { type ProgramFeatures, Random, randomProgram } from '../random-program.ts';
import { nesting } from './events.ts';
import { HAS } from './features.ts';

const FIRST_SEED = Number(process.env.FPROBE_SEED ?? 1);
const PROGRAMS = Number(process.env.FPROBE_PROGRAMS ?? 150);
/// Statements of the program after which imports only throw, and calls inside it after which its functions only return.
const BUDGET = 300;
const STEPS = 20_000;
/// Comparing costs microseconds a frame.
const DEEP = 100;

/// A graph and at times a profile that watches the same functions, registered and unregistered together.
interface Pair {
  readonly graph: GraphTracer;
  readonly profile: Profiler | undefined;
  /// What was recorded does not begin at the beginning.
  cleared: boolean;
  /// Recording was halted for a while, so the profile knows more.
  halted: boolean;
}

class Session {
  readonly log: string[] = [];
  readonly differences: string[] = [];
  checks = 0;
  toggles = 0;
  recordings = 0;
  readonly #rng: Random;
  /// Decides about users, so that the program's own choices stay the same without them.
  readonly #toggle: Random;
  readonly #seed: number;
  #steps = 0;
  #tracer: Tracer | undefined;
  #target: WasmTarget | undefined;
  #exports!: WebAssembly.Exports;
  readonly #registered: Pair[] = [];

  constructor(seed: number) {
    this.#seed = seed;
    this.#rng = new Random(seed);
    this.#toggle = new Random(seed + 7919);
  }

  async run(features: ProgramFeatures, tracer?: Tracer): Promise<void> {
    const rng = this.#rng;
    const { bytes } = randomProgram(rng, features);
    const m = {
      check: () => {
        this.#step();
        this.#check();
      },
      choose: (n: number) => {
        const choice = rng.below(n + 1);
        this.log.push(`choose ${choice}`);
        return choice;
      },
      script: (fuel: number) => this.#script(fuel),
    };
    if (tracer) {
      this.#tracer = tracer;
      const growth = this.#toggle.chance(50) ? 100 : 0; // small bodies written twice, or not
      const { instance, target } = await tracer.instantiate(bytes, { m }, { growth });
      this.#target = target!;
      this.#exports = instance.exports;
    } else this.#exports = (await WebAssembly.instantiate(bytes, { m })).instance.exports;
    for (let i = 0; i < 8; i++) {
      this.#steps = 0;
      (this.#exports.steps as WebAssembly.Global).value = STEPS;
      if (this.#toggle.chance(50)) this.#change();
      try {
        this.#enter(1 + rng.below(rng.chance(30) ? 40 : 8));
      } catch (error) {
        this.#caught(error);
      }
      if (tracer) this.#differ(tracer.frames().length > 0, () => `left: ${names(tracer.frames())}`);
    }
    for (const pair of this.#registered.splice(0)) this.#unregister(pair);
    if (this.#target) tracer!.detach(this.#target);
  }

  #differ(wrong: boolean, text: () => string): void {
    if (wrong) this.differences.push(`seed ${this.#seed}: ${text()}`);
  }

  #caught(error: unknown): void {
    this.log.push(error instanceof Error ? `${error.name}: ${error.message}` : Object.prototype.toString.call(error));
  }

  #step(): void {
    if (++this.#steps > BUDGET) throw new Error('budget');
  }

  #enter(fuel: number): void {
    const keys = Object.keys(this.#exports).filter((name) => typeof this.#exports[name] === 'function');
    const table = this.#exports.table as WebAssembly.Table | undefined;
    type Entry = (a: number, b: number) => number;
    let entry = this.#exports[keys[this.#rng.below(keys.length)]] as Entry | null;
    if (table && this.#rng.chance(40)) entry = table.get(this.#rng.below(table.length)) as Entry | null;
    this.log.push(`returned ${entry?.(fuel, fuel)}`);
  }

  #script(fuel: number): number {
    this.#step();
    if (fuel <= 0) return 0;
    const rng = this.#rng;
    for (let i = rng.below(3); i >= 0; i--) {
      const kind = rng.below(10);
      this.#check();
      if (kind < 3) throw new Error('from the script');
      else if (kind < 6) this.#enter(fuel - 1);
      else {
        try {
          this.#enter(fuel - 1);
        } catch (error) {
          this.#caught(error);
        }
        this.#check();
      }
    }
    return rng.below(3);
  }

  #check(): void {
    if (!this.#tracer || !this.#target) return;
    if (this.#toggle.chance(15)) this.#change();
    const shadow = this.#tracer.frames();
    if (shadow.length > DEEP) return;
    this.checks++;
    const real = realFrames(this.#target);
    let at = 0;
    for (const site of real) if (shadow[at]?.id === site.id) at++;
    this.#differ(at < shadow.length, () => `real ${names(real)}, shadow ${names(shadow)}`);
  }

  #change(): void {
    if (!this.#tracer || !this.#target) return;
    this.toggles++;
    const toggle = this.#toggle;
    const kind = toggle.below(10);
    const registered = this.#registered;
    if (registered.length === 0 || (kind < 5 && registered.length < 4)) {
      const filter = toggle.chance(50)
        ? undefined
        : this.#target.sites.filter(() => toggle.chance(50)).map((s) => s.name);
      if (filter?.length === 0) return;
      const graph = this.#tracer.startGraph({ filter, bufferPages: 64, mode: 'stop' });
      const profile = toggle.chance(50) ? this.#tracer.startProfile({ filter }) : undefined;
      registered.push({ graph, profile, cleared: false, halted: false });
    } else if (kind < 9) {
      this.#unregister(registered.splice(toggle.below(registered.length), 1)[0]);
    } else {
      const pair = registered[toggle.below(registered.length)];
      if (toggle.chance(30)) {
        pair.cleared = true;
        pair.graph.clear();
      } else {
        pair.graph.on = toggle.chance(50);
        pair.halted = true;
      }
    }
  }

  #unregister(pair: Pair): void {
    const { graph, profile, cleared, halted } = pair;
    graph.unregister();
    profile?.unregister();
    if (!cleared && graph.lost === 0) {
      const { complaint, calls } = nesting(graph, true);
      this.#differ(complaint !== undefined, () => String(complaint));
      this.recordings++;
      if (profile && !halted) {
        const counted = new Map(profile.rows().map(({ site, count }) => [site, count]));
        this.#differ(
          counted.size !== calls.size || [...calls].some(([site, count]) => counted.get(site) !== count),
          () => `graph ${JSON.stringify([...calls])}, profile ${JSON.stringify([...counted])}`,
        );
      }
    }
    graph.close();
  }
}

const names = (frames: readonly { name: string }[]): string => frames.map(({ name }) => name).join(' ');

const flavours = (['none', 'legacy', 'exnref'] as const).filter((name) => name === 'none' || HAS[name]);

test.each(flavours)('users come and go, exceptions: %s', async (exceptions) => {
  const features = { tailCalls: HAS.tailCalls, exceptions };
  const tracer = await Tracer.create({ clock: 'counter', stackWords: 1 << 20 });
  let checks = 0;
  let toggles = 0;
  let recordings = 0;
  for (let seed = FIRST_SEED; seed < FIRST_SEED + PROGRAMS; seed++) {
    const session = new Session(seed);
    await session.run(features, tracer);
    expect(session.differences.slice(0, 3)).toEqual([]);
    const untouched = new Session(seed);
    await untouched.run(features);
    expect(session.log, `seed ${seed}: the program noticed`).toEqual(untouched.log);
    checks += session.checks;
    toggles += session.toggles;
    recordings += session.recordings;
  }
  const counts = tracer.counts();
  console.log(
    `${checks} checks, ${toggles} changes of users, ${recordings} recordings read, ${JSON.stringify(counts)}`,
  );
  expect(counts.stray).toBe(0);
  expect(checks).toBeGreaterThan(20 * PROGRAMS);
  expect(recordings).toBeGreaterThan(2 * PROGRAMS);
  expect(counts.unwound).toBeGreaterThan(PROGRAMS);
});
