// The ground that every comparison of a traced program with an untouched one stands on: untouched, each program starts,
// does real work, and says the same each time.
import { expect, test, vi } from 'vitest';
import { readModule } from '../../src/instrument/index.ts';
import { type Bytes, programs, untouched } from './index.ts';

/// What a run cannot print unless the program worked: known results, or the workload's own checks.
const PROOFS: Record<string, RegExp> = {
  sqlite: /query 4: 1 rows \w+ \[\[112,9232,.*query 12: 1 rows \w+ \[\["ok"\]\].*the host refuses 1$/s,
  'sqlite-official': /query 4: 1 rows \w+ \[\[112,9232,.*query 12: 1 rows \w+ \[\["ok"\]\].*the host refuses 1$/s,
  quickjs: /^fib 50172$.*^overflow InternalError stack overflow/ms,
  'tree-sitter': /^depth 29.*"function_declaration".*^QueryError: /ms,
  tiktoken: /^(\d+ tokens \w+ true\n){48}single 15339 .*^special 64,100257,65$/ms,
  lua: /^fib 33825$.*^caught code 266$.*^host false Error: refused politely$/ms,
  'web-ifc': /^300 walls .*, 7800 triangles .*^integer out of range: threw \[object WebAssembly.Exception\]/ms,
  wabt: /^assembled .*expected \[i32\] but got \[i64\]/ms,
  binaryen: /^shrink 0: .*^built 1 /ms,
  box2d: /^step 399: .*^bodies left 1$/ms,
  rapier: /^step 119: .*^snapshot \d+ true$/ms,
  draco: /^bunny 69451 faces 34834 points .*^truncated failed: /ms,
  zstd: /^(level \d+: \d+ → \d+ \w+ true\n){5}.*Failed to compress/ms,
  oniguruma: /^matches \d{4} .*end pattern with unmatched parenthesis/ms,
  yoga: /^320: 341 boxes .*^Error: cannot be measured$/ms,
  'source-map': /^148197 mappings .*invalid base 64 character/ms,
  sha256: /^whole \w{64} true\n.*^RuntimeError: memory access out of bounds$/ms,
};

for (const program of programs) {
  test(`${program.name} says the same each time`, async () => {
    const seen: Bytes[] = [];
    const start = () =>
      program.start((bytes, imports) => {
        seen.push(bytes);
        return untouched(bytes, imports);
      });
    const session = await start();
    const first = session.run();
    const before = performance.now();
    expect(session.run()).toBe(first);
    const milliseconds = performance.now() - before;
    session.close?.();
    const other = await start();
    expect(other.run()).toBe(first);
    other.close?.();

    expect(first).toMatch(PROOFS[program.name]);
    expect(seen.length).toBeGreaterThanOrEqual(2);
    const bytes = program.wasm();
    expect(seen.some((other) => Buffer.compare(other, bytes) === 0)).toBe(true);
    const module = readModule(bytes);
    const defined = module.functionTypes.length - module.importedFunctions;
    console.log(
      `${program.name} (${program.package}, ${program.language}): ${defined} functions, ${bytes.length} bytes, ` +
        `${seen.length / 2} modules, ${milliseconds.toFixed(0)} ms`,
    );
  });
}

test('other amounts of work give other results', async () => {
  for (const program of programs.filter(({ name }) => name === 'sqlite' || name === 'lua')) {
    const session = await program.start(untouched);
    const half = session.run(0.5);
    expect(half).not.toBe(session.run());
    expect(session.run(0.5)).toBe(half);
    session.close?.();
  }
});

test('a program whose module cannot be instantiated fails to start, and leaves WebAssembly as it was', async () => {
  const original = WebAssembly.instantiate;
  const listening = () => [process.listenerCount('uncaughtException'), process.listenerCount('unhandledRejection')];
  const before = listening();
  // Emscripten's glue tells the console first.
  const silenced = [vi.spyOn(console, 'error'), vi.spyOn(console, 'warn')].map((spy) => spy.mockReturnValue());
  for (const program of programs) {
    await expect(
      program.start(async () => {
        throw new Error('not today');
      }),
      program.name,
    ).rejects.toThrow('not today');
    expect(WebAssembly.instantiate).toBe(original);
    expect(listening(), program.name).toEqual(before);
  }
  for (const spy of silenced) spy.mockRestore();
});
