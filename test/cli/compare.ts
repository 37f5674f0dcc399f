// Runs a program untouched and traced, and compares all that can be seen of it; while it is traced, the shadow stack is compared
// with the real one.

import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { type App, launch } from './apps.ts';
import { fprobe, run } from './fprobe.ts';

const folder = mkdtempSync(join(tmpdir(), 'fprobe-test-'));

/// PostgreSQL alone takes a dozen seconds of a processor that is not shared.
const LIMIT = 180_000; // milliseconds
/// For a test that compares one program.
export const COMPARE_TIMEOUT = 2.2 * LIMIT;

const VERIFIED = /^fprobe: verify: .*: (\d+) samples, (\d+) differences\n/gm;

/// What `fprobe` itself says on standard error is taken out: that a buffer was full is no fault.
export async function compare(app: App, options: readonly string[]): Promise<void> {
  const output = join(folder, 'trace.txt');
  const expected = await run(...launch(app), { limit: LIMIT });
  const args = ['trace', ...options, `--verify=${app.rate ?? 200}`, '-o', output, '--', ...app.command];
  const traced = await fprobe(args, { limit: LIMIT });
  expect(expected.end).toBe(app.code ?? 0);
  expect(expected.stdout).not.toBe('');
  const verified = [...traced.stderr.matchAll(VERIFIED)];
  const stderr = traced.stderr.replace(/^fprobe: \d+ events did not fit .*\n/m, '').replace(VERIFIED, '');
  expect({ ...traced, stderr }).toEqual(expected);
  expect(verified.reduce((sum, [, samples]) => sum + Number(samples), 0)).toBeGreaterThan(0);
  expect(verified.map(([, , differences]) => differences)).toEqual(verified.map(() => '0'));
  expect(readFileSync(output, 'utf8').split('\n').length).toBeGreaterThan(20);
}
