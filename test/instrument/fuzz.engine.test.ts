// Mutated modules: whatever comes in, either it is refused with `WasmFormatError`, or what comes out is as valid as what
// went in, by the engine's judgement. FPROBE_SEED repeats a run, FPROBE_MUTANTS asks for more.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { expect, test } from 'vitest';
import { type InstrumentOptions, instrument, WasmFormatError } from '../../src/instrument/index.ts';
import { Random } from '../random-program.ts';
import { mutate } from './mutate.ts';
import { CASES } from './proposals.ts';

const require = createRequire(import.meta.url);
const real = (path: string) => new Uint8Array(readFileSync(require.resolve(path)));
const SMALL = CASES.map(({ bytes }) => Uint8Array.from(bytes));
const MEDIUM = [
  real('source-map/lib/mappings.wasm'),
  real('@chainsafe/as-sha256/build/optimized.simd.wasm'),
  real('@vscode/tree-sitter-wasm/wasm/tree-sitter-regex.wasm'),
];
const LARGE = [real('sql.js/dist/sql-wasm.wasm')];

const SEED = process.env.FPROBE_SEED ? Number(process.env.FPROBE_SEED) : (Math.random() * 2 ** 32) >>> 0;
const MUTANTS = Number(process.env.FPROBE_MUTANTS ?? 30_000);

const FORMS: InstrumentOptions[] = [
  {},
  { args: true },
  { growth: 100 },
  { start: 'defer' },
  { args: true, start: 'defer', growth: 100, only: ({ index }) => index % 2 === 0 },
];

// Refused although the engine would take it: what we refuse on principle, and the label of a catch clause that V8 13.6
// counts one too far, so that 2^32 − 1 comes out as 0.
const ON_PRINCIPLE = /mark of an instrumented module|expected no export that begins with|label 4294967295 /;

function judge(bytes: Uint8Array, form: InstrumentOptions): 'refused' | 'valid' | 'invalid' {
  const valid = WebAssembly.validate(bytes as BufferSource);
  let out: Uint8Array;
  try {
    out = instrument(bytes, { ...form, validate: false }).bytes;
  } catch (error) {
    if (!(error instanceof WasmFormatError)) throw error;
    if (valid && !ON_PRINCIPLE.test(error.message)) throw new Error(`valid, but ${error.message}`);
    if (!(error.offset >= 0 && error.offset <= bytes.length)) throw new Error(`no such byte: ${error.message}`);
    return 'refused';
  }
  if (WebAssembly.validate(out as BufferSource) !== valid) {
    throw new Error(valid ? 'valid, but what comes out is not' : 'not valid, but what comes out is');
  }
  return valid ? 'valid' : 'invalid';
}

test(`${MUTANTS} mutants`, { timeout: 120_000 }, () => {
  console.log(`instrumenter mutants: FPROBE_SEED=${SEED}`);
  const random = new Random(SEED);
  const pick = <T>(list: readonly T[]) => list[random.below(list.length)]!;
  const counts = { refused: 0, valid: 0, invalid: 0 };
  let slowest = 0;
  for (let i = 0; i < MUTANTS; i++) {
    const kind = random.below(1000);
    const bytes = pick(kind < 1 ? LARGE : kind < 50 ? MEDIUM : SMALL);
    const mutant = mutate(random, bytes, pick(SMALL));
    const form = pick(FORMS);
    const start = performance.now();
    try {
      counts[judge(mutant, form)]++;
    } catch (error) {
      const shown = mutant.length < 2000 ? Buffer.from(mutant).toString('hex') : `${mutant.length} bytes`;
      throw new Error(`mutant ${i} of seed ${SEED}, ${JSON.stringify(form)}: ${String(error)}\n${shown}`, {
        cause: error,
      });
    }
    slowest = Math.max(slowest, performance.now() - start);
  }
  const summary = Object.entries(counts).map(([what, count]) => `${count} ${what}`);
  console.log(`instrumenter mutants: ${summary.join(', ')}; slowest ${slowest.toFixed(0)} ms`);
  // All three happen, or the mutations have lost their teeth.
  expect(Math.min(...Object.values(counts))).toBeGreaterThan(MUTANTS / 50);
});

test('an invalid module never passes with `validate`', () => {
  const random = new Random(SEED);
  let refused = 0;
  for (let i = 0; i < 1000; i++) {
    const bytes = SMALL[random.below(SMALL.length)]!;
    const mutant = mutate(random, bytes, bytes);
    const valid = WebAssembly.validate(mutant as BufferSource);
    try {
      instrument(mutant);
      expect(valid).toBe(true);
    } catch (error) {
      expect(error).toBeInstanceOf(WasmFormatError);
      expect(valid && !ON_PRINCIPLE.test(String(error))).toBe(false);
      refused++;
    }
  }
  expect(refused).toBeGreaterThan(100);
});
