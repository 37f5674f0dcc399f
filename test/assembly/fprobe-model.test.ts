// Probes against a naive model: the same random script runs in a model of a few lines, in an engine, and in an engine that
// may not take the short way. Probes come and go while calls are under way, and from inside of handlers, their own too. What
// the handlers saw, in which order, and what the probes counted has to be the same everywhere. FPROBE_SEED repeats a run.

import { expect, test } from 'vitest';
import * as fprobeLayout from '../../assembly/fprobe/layout.ts';
import * as layout from '../../assembly/layout.ts';
import type { Engine } from '../../src/engine.ts';
import { freshEngine, Random, runSeed } from './engine.ts';
import { checkFprobes, counter, register } from './fprobe.ts';

const SITES = 100_000;
const PROBES = 10_000;
const BLOCK_WORDS = layout.FGRAPH_MAX_DATA_SIZE / layout.WORD_SIZE;
/// Functions that are called; the others are only watched.
const BUSY = 200;
const DEEP = 4;

interface Spec {
  readonly id: number;
  readonly sites: readonly number[];
  readonly words: number;
  readonly entry: boolean;
  readonly exit: boolean;
}

/// Told of handlers that run. `data` is a cell of the activation's own, if the probe has data.
interface Client {
  entry(id: number, site: number, data: { value: number } | undefined): number;
  exit(id: number, site: number, data: { value: number } | undefined): void;
}

interface World {
  register(spec: Spec): void;
  unregister(id: number): void;
  enable(id: number, on: boolean): void;
  /// Calls a function, with `body` inside.
  call(site: number, body: () => void): void;
  counts(id: number): { hits: number; nmissed: number };
}

class Naive implements World {
  readonly #client: Client;
  readonly #probes = new Map<number, { spec: Spec; on: boolean; hits: number; nmissed: number }>();
  /// Newest first.
  readonly #at = new Map<number, number[]>();

  constructor(client: Client) {
    this.#client = client;
  }

  register(spec: Spec): void {
    this.#probes.set(spec.id, { spec, on: true, hits: 0, nmissed: 0 });
    for (const site of new Set(spec.sites)) this.#at.set(site, [spec.id, ...(this.#at.get(site) ?? [])]);
  }

  unregister(id: number): void {
    for (const site of new Set(this.#probes.get(id)!.spec.sites)) {
      this.#at.set(
        site,
        this.#at.get(site)!.filter((other) => other !== id),
      );
    }
    this.#probes.delete(id);
  }

  enable(id: number, on: boolean): void {
    this.#probes.get(id)!.on = on;
  }

  counts(id: number) {
    return this.#probes.get(id)!;
  }

  call(site: number, body: () => void): void {
    // Those for entries alone come first: they are a client of another layer.
    for (const id of this.#at.get(site) ?? []) {
      const probe = this.#probes.get(id);
      if (!probe?.on || probe.spec.exit || !probe.spec.entry) continue;
      probe.hits++;
      this.#client.entry(id, site, undefined);
    }
    const exits = (this.#at.get(site) ?? []).filter((id) => this.#probes.get(id)!.spec.exit);
    const need = exits.reduce((sum, id) => sum + 1 + this.#probes.get(id)!.spec.words, 0);
    const records: { id: number; data: { value: number } | undefined }[] = [];
    for (const id of exits) {
      const probe = this.#probes.get(id);
      if (!probe?.on) continue;
      if (need > BLOCK_WORDS) {
        probe.nmissed++;
        continue;
      }
      probe.hits++;
      const data = probe.spec.words > 0 ? { value: 0 } : undefined;
      if (!probe.spec.entry || this.#client.entry(id, site, data) === 0) records.push({ id, data });
    }
    body();
    for (const { id, data } of records) if (this.#probes.get(id)?.on) this.#client.exit(id, site, data);
  }
}

class Real implements World {
  readonly #engine: Engine;
  readonly #handles = new Map<number, bigint>();

  constructor(engine: Engine, short: boolean) {
    this.#engine = engine;
    const { exports } = engine;
    exports.direct_set(short ? 1 : 0);
    exports.task_switch(engine.createTask(1 << 14));
    engine.addSites(SITES);
    for (let site = 0; site < SITES; site++) engine.memory.setSiteIp(site, 2 ** 40 + site * 16);
  }

  static async start(client: Client, short: boolean): Promise<Real> {
    const engine: Engine = await freshEngine({
      call(handler, about, site) {
        const { memory } = engine;
        const address = memory.load32(about + layout.FPROBE_CALL_DATA);
        const data =
          address === 0
            ? undefined
            : Object.defineProperty({ value: 0 }, 'value', {
                get: () => memory.load32(address),
                set: (value: number) => memory.store32(address, value),
              });
        const id = handler >>> 1;
        if (handler & 1) return client.entry(id, site, data);
        client.exit(id, site, data);
        return 1;
      },
    });
    return new Real(engine, short);
  }

  register({ id, sites, words, entry, exit }: Spec): void {
    const probe = { entry: entry ? 2 * id + 1 : 0, exit: exit ? 2 * id : 0, size: words * 8 };
    const handle = register(this.#engine, probe, sites);
    if (handle < 0n) throw new Error(`registering failed: ${handle}`);
    this.#handles.set(id, handle);
  }

  unregister(id: number): void {
    expect(this.#engine.exports.fprobe_unregister(this.#handles.get(id)!)).toBe(0);
    this.#handles.delete(id);
  }

  enable(id: number, on: boolean): void {
    this.#engine.exports.fprobe_enable(this.#handles.get(id)!, on ? 1 : 0);
  }

  counts(id: number) {
    const count = (at: number) => counter(this.#engine, this.#handles.get(id)!, at);
    return { hits: count(fprobeLayout.FPROBE_HITS), nmissed: count(fprobeLayout.FPROBE_NMISSED) };
  }

  call(site: number, body: () => void): void {
    const { exports } = this.#engine;
    const cookie = exports.enter_1(site, 5n);
    body();
    if (cookie !== 0) exports.leave_value(cookie, 7n);
  }

  check(): number {
    expect(this.#engine.exports.fprobe_drain()).toBe(0);
    expect(this.#engine.memory.counts()).toMatchObject({ unwound: 0, stray: 0, overrun: 0 });
    return checkFprobes(this.#engine);
  }
}

class Script implements Client {
  readonly log: string[] = [];
  readonly alive: number[] = [];
  world!: World;
  readonly #random: Random;
  readonly #writers = new Set<number>();
  #next = 1;
  #depth = 0;
  #inside = 0;
  #activation = 0;

  constructor(seed: number) {
    this.#random = new Random(seed);
  }

  entry(id: number, site: number, data: { value: number } | undefined): number {
    const activation = ++this.#activation;
    if (data) data.value = activation;
    this.log.push(`entry ${id} @${site}`);
    this.#meddle();
    if (data) expect(data.value).toBe(activation);
    return (id + site) % 7 === 0 ? 1 : 0;
  }

  exit(id: number, site: number, data: { value: number } | undefined): void {
    // What nobody wrote to is not zeroed.
    this.log.push(`exit ${id} @${site} ${this.#writers.has(id) ? data?.value : ''}`);
    this.#meddle();
  }

  /// From inside a handler: rarely, and not from a handler that this causes.
  #meddle(): void {
    if (this.#inside > 0 || !this.#random.oneIn(12)) return;
    this.#inside++;
    this.change();
    this.#inside--;
  }

  change(add = this.#random.oneIn(2)): void {
    const random = this.#random;
    if (random.oneIn(6) && this.alive.length > 0) {
      const id = random.pick(this.alive);
      const on = random.oneIn(2);
      this.log.push(`enable ${id} ${on}`);
      this.world.enable(id, on);
    } else if (add || this.alive.length === 0) {
      const id = this.#next++;
      const count = random.oneIn(100) ? 300 : 1 + random.below(12);
      const busy = () => (random.oneIn(40) ? random.below(BUSY) : BUSY + random.below(SITES - BUSY));
      const sites = Array.from({ length: count }, busy);
      if (random.oneIn(3)) sites.push(random.below(BUSY), random.below(BUSY));
      const exit = !random.oneIn(3);
      const words = random.oneIn(2) ? 0 : random.below(4);
      const entry = !random.oneIn(5);
      if (entry) this.#writers.add(id);
      this.world.register({ id, sites, words, entry, exit });
      this.alive.push(id);
    } else {
      this.remove();
    }
  }

  remove(): void {
    const [id] = this.alive.splice(this.#random.below(this.alive.length), 1);
    const { hits, nmissed } = this.world.counts(id);
    this.log.push(`unregister ${id} hits ${hits} missed ${nmissed}`);
    this.world.unregister(id);
  }

  call(): void {
    const site = this.#random.below(BUSY);
    this.world.call(site, () => {
      if (this.#random.oneIn(8)) this.change();
      if (++this.#depth < DEEP) for (let n = this.#random.below(3); n > 0; n--) this.call();
      this.#depth--;
    });
  }

  *run(): Generator<void> {
    while (this.alive.length < PROBES) {
      this.change(true);
      if (this.#random.oneIn(12)) this.call();
      if (this.alive.length === PROBES >> 1) yield;
    }
    yield;
    while (this.alive.length > 0) {
      this.change(this.#random.oneIn(8));
      if (this.#random.oneIn(12)) this.call();
    }
    for (let n = 0; n < 50; n++) this.call();
    while (this.alive.length > 0) this.remove();
    for (let n = 0; n < 50; n++) this.world.call(n, () => {});
  }
}

test(`${PROBES} probes on ${SITES} functions: a naive model, the engine, and the engine without its short way agree`, async () => {
  const seed = runSeed('probes against model');
  const play = (script: Script, world: World, check = () => {}): string[] => {
    script.world = world;
    for (const _ of script.run()) check();
    check();
    return script.log;
  };
  const naive = new Script(seed);
  const expected = play(naive, new Naive(naive));
  const handlers = expected.filter((line) => /^e(ntry|xit) /.test(line)).length;
  const missed = expected.filter((line) => / missed [1-9]/.test(line)).length;
  expect(handlers).toBeGreaterThan(10_000);
  expect(missed).toBeGreaterThan(20);
  for (const short of [true, false]) {
    const script = new Script(seed);
    const world = await Real.start(script, short);
    const nodes: number[] = [];
    const log = play(script, world, () => nodes.push(world.check()));
    const first = log.findIndex((line, k) => line !== expected[k]);
    expect(log.slice(0, first + 1), `line ${first}, seed ${seed}`).toEqual(expected.slice(0, first + 1));
    expect(log.length).toBe(expected.length);
    expect(Math.max(...nodes)).toBeGreaterThan(PROBES);
    expect(nodes.at(-1)).toBe(0);
  }
  console.log(`${handlers} handlers, ${missed} probes that missed`);
});
