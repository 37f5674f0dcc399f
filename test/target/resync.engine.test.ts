// The acceptance test of resynchronisation (design §6): random programs, checked against the engine's own stack.
//
// At every check the WebAssembly frames of `Error.stack` that belong to probed functions, and nothing else, must be on the
// shadow stack, in the same order. And the program must not notice: everything that it tells its imports and its callers is what
// it tells them untouched. FPROBE_SEED starts elsewhere, FPROBE_CHECKS asks for more.

import { describe, expect, test } from 'vitest';
import type { GraphTracer } from '../../src/graph.ts';
import { realFrames } from '../../src/target/verify.ts';
import type { WasmTarget } from '../../src/target/wasm.ts';
import { Tracer } from '../../src/tracer.ts';
import { type ProgramFeatures, Random, randomProgram } from '../random-program.ts';

const CHECKS = Number(process.env.FPROBE_CHECKS ?? 100_000);
const FIRST_SEED = Number(process.env.FPROBE_SEED ?? 1);

const EMPTY = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];
const validates = (...rest: number[]) => WebAssembly.validate(Uint8Array.of(...EMPTY, ...rest));
const HAS = {
  tailCalls: validates(1, 4, 1, 0x60, 0, 0, 3, 2, 1, 0, 10, 6, 1, 4, 0, 0x12, 0, 0x0b),
  legacy: validates(1, 4, 1, 0x60, 0, 0, 3, 2, 1, 0, 10, 8, 1, 6, 0, 0x06, 0x40, 0x19, 0x0b, 0x0b),
  exnref: validates(1, 4, 1, 0x60, 0, 0, 3, 2, 1, 0, 10, 8, 1, 6, 0, 0x1f, 0x40, 0, 0x0b, 0x0b),
};

/// Statements of the program after which imports only throw, so that it comes to an end.
const BUDGET = 600;
/// Calls inside the program after which its functions only return.
const STEPS = 20_000;
/// Stacks deeper than this are compared one time in `DEEP_EVERY`: reading the engine's stack costs microseconds a frame.
const DEEP = 200;
const DEEP_EVERY = 500;

class Session {
  checks = 0;
  deepest = 0;
  caught = 0;
  /// The first difference that was found.
  difference: string | undefined;
  /// Everything that could be observed from outside.
  readonly log: string[] = [];
  #steps = 0;
  #deep = 0;
  readonly #rng: Random;
  #target: WasmTarget | undefined;
  #tracer: Tracer | undefined;
  #exports!: WebAssembly.Exports;
  #graph: GraphTracer | undefined;
  #probed: (name: string) => boolean = () => true;
  readonly #seed: number;

  constructor(seed: number) {
    this.#seed = seed;
    this.#rng = new Random(seed);
  }

  /// Without a tracer: untouched.
  async run(features: ProgramFeatures, tracer?: Tracer): Promise<void> {
    const rng = this.#rng;
    const program = randomProgram(rng, features);
    const imports = {
      m: {
        check: () => {
          this.#step();
          this.#check();
        },
        choose: (n: number) => {
          const choice = rng.below(n + 1);
          this.log.push(`choose ${choice}`);
          return choice;
        },
        script: (fuel: number) => {
          this.log.push(`script ${fuel}`);
          return this.#script(fuel);
        },
      },
    };
    if (tracer) await this.#trace(tracer, program.bytes, imports);
    else this.#exports = (await WebAssembly.instantiate(program.bytes, imports)).instance.exports;
    for (let i = 0; i < 8; i++) {
      this.#steps = 0;
      (this.#exports.steps as WebAssembly.Global).value = STEPS;
      try {
        this.#enter(1 + rng.below(rng.chance(30) ? 40 : 8));
      } catch (error) {
        this.#catch(error);
      }
      this.#check();
      expect(tracer?.frames() ?? [], `seed ${this.#seed}: frames left after the outermost call`).toEqual([]);
    }
    this.#graph?.close();
    if (this.#target) tracer!.detach(this.#target);
  }

  async #trace(tracer: Tracer, bytes: Uint8Array<ArrayBuffer>, imports: WebAssembly.Imports): Promise<void> {
    const rng = new Random(this.#seed);
    const { instance, target } = await tracer.instantiate(bytes, imports, {
      name: `seed${this.#seed}`,
      growth: rng.chance(50) ? 100 : 0, // bodies written twice, or not
    });
    this.#tracer = tracer;
    this.#target = target!;
    this.#exports = instance.exports;
    const some = rng.chance(50) ? undefined : target!.sites.filter(() => rng.chance(60)).map((site) => site.name);
    if (some?.length === 0) return;
    if (some) this.#probed = (name) => some.includes(name);
    this.#graph = tracer.startGraph({ filter: some, bufferPages: 4 });
  }

  #catch(error: unknown): void {
    this.caught++;
    this.log.push(error instanceof Error ? `${error.name}: ${error.message}` : Object.prototype.toString.call(error));
  }

  #step(): void {
    if (++this.#steps > BUDGET) throw new Error('budget');
  }

  /// One call from JavaScript, through an export or the table.
  #enter(fuel: number): void {
    const names = Object.keys(this.#exports).filter((name) => typeof this.#exports[name] === 'function');
    const table = this.#exports.table as WebAssembly.Table | undefined;
    type Entry = (a: number, b: number) => number;
    let entry = this.#exports[names[this.#rng.below(names.length)]] as Entry | null;
    if (table && this.#rng.chance(40)) entry = table.get(this.#rng.below(table.length)) as Entry | null;
    this.log.push(`${entry?.name}/${entry?.length} returned ${entry?.(fuel, fuel)}`);
  }

  #script(fuel: number): number {
    this.#step();
    if (fuel <= 0) return 0;
    const rng = this.#rng;
    for (let i = rng.below(3); i >= 0; i--) {
      const kind = rng.below(10);
      if (kind < 2) this.#check();
      else if (kind < 3) throw new Error('from the script');
      else if (kind < 6) this.#enter(fuel - 1);
      else {
        try {
          this.#enter(fuel - 1);
        } catch (error) {
          this.#catch(error);
        }
        this.#check();
      }
    }
    return rng.below(3);
  }

  #check(): void {
    if (!this.#tracer || !this.#target) return;
    const shadow = this.#tracer.frames();
    if (shadow.length > DEEP && this.#deep++ % DEEP_EVERY !== 0) return;
    const real = realFrames(this.#target).filter((site) => this.#probed(site.name));
    this.checks++;
    this.deepest = Math.max(this.deepest, real.length);
    const names = (frames: readonly { name: string }[]) => frames.map((f) => f.name).join(' ');
    // Kept, not thrown: the program under test would catch it.
    if (names(real) !== names(shadow)) {
      this.difference ??= `seed ${this.#seed}, check ${this.checks}\n  real   ${names(real)}\n  shadow ${names(shadow)}`;
    }
  }
}

const flavours: [string, boolean, ProgramFeatures][] = [
  ['traps and JavaScript exceptions', true, { tailCalls: false, exceptions: 'none' }],
  ['tail calls', HAS.tailCalls, { tailCalls: true, exceptions: 'none' }],
  ['legacy exception handling', HAS.legacy, { tailCalls: HAS.tailCalls, exceptions: 'legacy' }],
  ['exnref exception handling', HAS.exnref, { tailCalls: HAS.tailCalls, exceptions: 'exnref' }],
];

describe('the shadow stack equals the real one', () => {
  const available = flavours.filter(([, has]) => has).length;
  for (const [name, has, features] of flavours) {
    if (!has) console.log(`not run: ${name}: this engine (${process.version}) does not have it`);
    test.runIf(has)(`${name}: ${Math.ceil(CHECKS / available)} checks`, async () => {
      const tracer = await Tracer.create({ clock: 'counter', stackWords: 1 << 20 });
      let checks = 0;
      let caught = 0;
      let deepest = 0;
      let seed = FIRST_SEED;
      for (; checks < CHECKS / available; seed++) {
        const session = new Session(seed);
        await session.run(features, tracer);
        expect(session.difference).toBeUndefined();
        const untouched = new Session(seed);
        await untouched.run(features);
        expect(session.log, `seed ${seed}: the program noticed`).toEqual(untouched.log);
        checks += session.checks;
        caught += session.caught;
        deepest = Math.max(deepest, session.deepest);
      }
      const { unwound, stray } = tracer.counts();
      console.log(
        `${name}: ${checks} checks in ${seed - FIRST_SEED} programs, 0 differences; ${caught} calls left by a throw or trap, ${unwound} frames unwound, deepest ${deepest}`,
      );
      expect(unwound).toBeGreaterThan(checks / 4);
      expect(stray).toBe(0);
    });
  }
});
