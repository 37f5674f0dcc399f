// Real programs under full observation: they must say what they say untouched, and what was recorded of them must add up. Then
// users come and go while they run, called from the programs' own imports.

import binaryen from 'binaryen';
import { expect, test } from 'vitest';
import type { GraphTracer } from '../../src/graph.ts';
import { readModule } from '../../src/instrument/index.ts';
import type { Profiler } from '../../src/profile.ts';
import type { WasmTarget } from '../../src/target/wasm.ts';
import { ENTRY } from '../../src/trace/events.ts';
import { Tracer } from '../../src/tracer.ts';
import { type Bytes, type Instantiate, type Program, programs, untouched } from '../programs/index.ts';
import { Random } from '../random-program.ts';
import { nesting } from './events.ts';

/// A fraction of the benchmark's work; the programs' fixed parts (start, errors, recursion) are in it anyhow.
const SCALE = 0.02;
/// Room for every event: 256 MiB for the programs of many calls.
const PAGES = 65_536;

/// `tracer` in the place of WebAssembly.instantiate; `targets` receives what it makes, `imports` may replace what the program
/// passes.
const traced =
  (
    tracer: Tracer,
    targets: WasmTarget[],
    change: (imports: WebAssembly.Imports) => WebAssembly.Imports = (imports) => imports,
  ): Instantiate =>
  async (bytes, imports) => {
    const result = await tracer.instantiate(bytes, change(imports));
    targets.push(result.target!);
    return result;
  };

/// `imports` with `visit` called before each call of an imported function. Read through as the engine reads them: programs
/// that link dynamically have imports that do not exist until they are asked for.
function visiting(imports: WebAssembly.Imports, visit: () => void): WebAssembly.Imports {
  const around = (value: unknown): unknown => {
    if (typeof value !== 'function' || /^\d+$/.test(value.name)) return value; // a WebAssembly function keeps its identity
    return (...args: unknown[]) => {
      visit();
      return value(...args);
    };
  };
  const spaces = new Proxy(Object.create(null), {
    get: (_, from: string) =>
      new Proxy(Object.create(null), {
        get: (_, name: string) => around((imports[from] as Record<string, unknown>)[name]),
      }),
  });
  return spaces;
}

const texts = new Map<Program, string>();

/// What the program says untouched.
async function expected(program: Program): Promise<string> {
  let text = texts.get(program);
  if (text !== undefined) return text;
  const session = await program.start(untouched);
  text = session.run(SCALE);
  session.close?.();
  texts.set(program, text);
  return text;
}

test.each(programs)('$name says the same with everything recorded, and the recording adds up', async (program) => {
  const text = await expected(program);
  const tracer = await Tracer.create({ clock: 'counter', stackWords: 1 << 20 });
  const graph = tracer.startGraph({ bufferPages: PAGES, mode: 'stop' });
  const profile = tracer.startProfile();
  const targets: WasmTarget[] = [];
  const session = await program.start(traced(tracer, targets));
  expect(session.run(SCALE)).toBe(text);

  const functions = targets.reduce((sum, { sites, notrace }) => sum + sites.length + notrace.length, 0);
  const { entries, returns, unwound, overrun, stray } = tracer.counts();
  expect(tracer.frames()).toEqual([]);
  expect({ overrun, stray }).toEqual({ overrun: 0, stray: 0 });

  // Three counts of the same thing: the task's, the profile's, and the events.
  const rows = profile.rows();
  expect(rows.reduce((sum, { count }) => sum + count, 0)).toBe(returns + unwound);
  expect(graph.lost).toBe(0);
  const nest = nesting(graph);
  expect(nest.complaint).toBeUndefined();
  expect(nest.open).toEqual([]);
  expect([nest.entries, nest.returns, nest.unwound]).toEqual([entries, returns, unwound]);
  expect(new Map(rows.map(({ site, count }) => [site, count]))).toEqual(nest.calls);

  // Detached in two ways it runs on as if nothing had been.
  graph.close();
  profile.unregister();
  expect(session.run(SCALE)).toBe(text);
  for (const target of targets) tracer.detach(target);
  tracer.startGraph({ bufferPages: 1 });
  expect(session.run(SCALE)).toBe(text);
  expect(tracer.counts().entries).toBe(entries);
  session.close?.();
  console.log(
    `${program.name}: ${rows.length} of ${functions} functions, ${entries} entries, ${unwound} unwound, depth ${nest.deepest}`,
  );
});

// One of them takes half of the time and is no different from the others here.
const most = programs.filter(({ name }) => name !== 'binaryen');

test.each(most)('$name runs on while its own imports register, unregister and close users', async (program) => {
  const text = await expected(program);
  const tracer = await Tracer.create({ clock: 'counter', stackWords: 1 << 20 });
  const targets: WasmTarget[] = [];
  const random = new Random(program.name.length);
  const pairs: [GraphTracer, Profiler][] = [];
  const differences: string[] = []; // kept, not thrown: the program would catch it
  let events = 0;
  let changes = 0;
  const end = (k: number) => {
    const [[graph, profile]] = pairs.splice(k, 1);
    graph.unregister();
    profile.unregister();
    const { complaint, calls } = nesting(graph, true);
    if (complaint) differences.push(complaint);
    if (graph.lost === 0) {
      const rows = profile.rows();
      if (rows.length !== calls.size) differences.push(`${rows.length} functions counted, ${calls.size} recorded`);
      for (const { site, name, count } of rows) {
        const shown = calls.get(site);
        if (shown !== count) differences.push(`${name}: ${count} calls counted, ${shown} recorded`);
        events += count;
      }
    }
    graph.close();
  };
  const change = () => {
    changes++;
    if (pairs.length > 2 || (pairs.length > 0 && random.chance(60))) return end(random.below(pairs.length));
    const letter = String.fromCharCode(97 + random.below(26));
    const options = random.chance(50) ? {} : { filter: [`*${letter}*`, `*[${random.below(10)}]]`] };
    pairs.push([tracer.startGraph({ ...options, bufferPages: 256, mode: 'stop' }), tracer.startProfile(options)]);
  };
  // Ever rarer: some programs call their imports a few times, others a million times.
  let calls = 0;
  let next = 1;
  const visit = () => {
    if (++calls < next) return;
    next += Math.ceil(next / 2);
    change();
  };
  const session = await program.start(traced(tracer, targets, (imports) => visiting(imports, visit)));
  for (let run = 0; run < 2; run++) {
    change();
    calls = 0;
    next = 1;
    expect(session.run(SCALE)).toBe(text);
    expect(tracer.frames()).toEqual([]);
  }
  while (pairs.length > 0) end(0);
  expect(differences.slice(0, 5)).toEqual([]);
  expect(tracer.counts()).toMatchObject({ overrun: 0, stray: 0 });
  session.close?.();
  console.log(`${program.name}: ${changes} changes of users, ${events} calls counted twice`);
});

/// `bytes` with a call of the import `probe.enter`, with the function's index, at the beginning of every function: the same as
/// ours is for, by a tool that takes modules apart and puts them together again.
function withProbes(bytes: Bytes): Bytes {
  const { importedFunctions } = readModule(bytes);
  const module = binaryen.readBinary(bytes);
  const { MutableGlobals, NontrappingFPToInt, SIMD128, BulkMemory, SignExt, ReferenceTypes, Multivalue } =
    binaryen.Features;
  module.setFeatures(
    MutableGlobals | NontrappingFPToInt | SIMD128 | BulkMemory | SignExt | ReferenceTypes | Multivalue,
  );
  const bodies: number[] = [];
  for (let i = 0; i < module.getNumFunctions(); i++) {
    const fn = module.getFunctionByIndex(i);
    if (binaryen.getFunctionInfo(fn).module === '') bodies.push(fn);
  }
  module.addFunctionImport('probe', 'probe', 'enter', binaryen.i32, binaryen.none);
  bodies.forEach((fn, k) => {
    const { body, results } = binaryen.getFunctionInfo(fn);
    const probe = module.call('probe', [module.i32.const(importedFunctions + k)], binaryen.none);
    (binaryen as unknown as Pick<binaryen.Module, 'Function'>).Function.setBody(
      fn,
      module.block(null, [probe, body], results),
    );
  });
  const changed = module.emitBinary() as Bytes;
  module.dispose();
  return changed;
}

test.each(programs.filter(({ name }) => ['sqlite', 'oniguruma', 'box2d', 'sha256'].includes(name)))(
  '$name enters its functions in the order that probes put in by another tool see',
  async (program) => {
    const seen: number[] = [];
    const enter = (index: number) => void seen.push(index);
    const probed = await program.start((bytes, imports) =>
      WebAssembly.instantiate(withProbes(bytes), { ...imports, probe: { enter } }),
    );
    const text = await expected(program);
    expect(probed.run(SCALE)).toBe(text);

    const tracer = await Tracer.create({ clock: 'counter', stackWords: 1 << 20 });
    const graph = tracer.startGraph({ bufferPages: PAGES, mode: 'stop' });
    const targets: WasmTarget[] = [];
    const session = await program.start(traced(tracer, targets));
    expect(session.run(SCALE)).toBe(text);
    expect(nesting(graph).complaint).toBeUndefined();
    const index = new Map(targets[0].sites.map((site) => [site.id, site.index]));
    const entries: (number | undefined)[] = [];
    graph.pages(({ count, kind, func }) => {
      for (let i = 0; i < count; i++) if (kind[i] === ENTRY) entries.push(index.get(func[i]));
    });
    expect(graph.lost).toBe(0);
    expect(entries.length).toBe(seen.length);
    expect(entries.findIndex((entered, i) => entered !== seen[i])).toBe(-1);
  },
);
