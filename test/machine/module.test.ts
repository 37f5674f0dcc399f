// Where the machine's code comes from: read when the first machine is made, given, or loaded beforehand.

import { readFileSync } from 'node:fs';
import { afterEach, expect, test, vi } from 'vitest';
import { Tracer } from '../../src/index.ts';

const bytes = readFileSync(new URL('../../build/machine.wasm', import.meta.url));
const engine = readFileSync(new URL('../../build/fprobe.wasm', import.meta.url));
const OPTIONS = { arch: 'x86_64', symbols: [{ name: 'f', address: 0x1000n, size: 16 }] } as const;

afterEach(() => {
  vi.unstubAllGlobals();
  vi.resetModules();
});

/// The library as it is loaded where there are no files, so that nothing was read before.
async function withoutFiles(fetched: () => Promise<Response>): Promise<typeof Tracer> {
  vi.stubGlobal('process', { ...process, getBuiltinModule: undefined });
  vi.stubGlobal('fetch', fetched);
  vi.resetModules();
  return (await import('../../src/index.ts')).Tracer;
}

const passes = (tracer: Tracer): void => {
  const graph = tracer.startGraph();
  expect(tracer.machine(OPTIONS).call('f', [], () => 5n)).toBe(5n);
  expect(graph.read()).toContain('f();');
};

test('of bytes, of a module, at once or not', async () => {
  passes(await Tracer.create({ machine: bytes }));
  passes(Tracer.createSync({ machine: new WebAssembly.Module(bytes) }));
  const tracer = Tracer.createSync({ machine: bytes });
  await tracer.loadMachine();
  await tracer.loadMachine();
  passes(tracer);
});

test('where files cannot be read at once it is loaded beforehand, for all tracers', async () => {
  const fetch = vi.fn(async () => new Response(bytes));
  const Fresh = await withoutFiles(fetch);
  const tracer = Fresh.createSync({ engine });
  expect(() => tracer.machine(OPTIONS)).toThrow(
    /^cannot read \S+\/machine\.wasm at once here; pass the bytes of fprobe\/machine\.wasm as option 'machine' of Tracer\.create, or await tracer\.loadMachine\(\) \(ENOENT\)$/,
  );
  expect(tracer.targets.size).toBe(0);
  await tracer.loadMachine();
  passes(tracer);
  passes(Fresh.createSync({ engine }));
  expect(fetch).toHaveBeenCalledTimes(1);
});

test('what cannot be read, and what is no machine', async () => {
  const Fresh = await withoutFiles(async () => new Response('', { status: 404, statusText: 'Not Found' }));
  await expect(Fresh.createSync({ engine }).loadMachine()).rejects.toThrow(
    /^cannot read \S+\/machine\.wasm: Error: 404 Not Found; pass the bytes of fprobe\/machine\.wasm as option 'machine' of Tracer\.create, or in a checkout make it: npm run build:engine \(ENOENT\)$/,
  );
  const empty = new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
  for (const machine of [engine, new Uint8Array(8), empty, new WebAssembly.Module(engine)]) {
    const message =
      /^not a machine for this engine: .*; pass the bytes of the machine\.wasm beside its fprobe\.wasm \(EINVAL\)$/;
    const tracer = Tracer.createSync({ engine, machine });
    expect(() => tracer.machine(OPTIONS)).toThrow(message);
    await expect(tracer.loadMachine()).rejects.toThrow(message);
    expect(tracer.tasks).toHaveLength(1);
  }
});
