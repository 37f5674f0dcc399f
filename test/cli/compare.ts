// Runs a program untouched and traced, and compares all that can be seen of it.

import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { type App, launch } from './apps.ts';
import { fprobe, run } from './fprobe.ts';

const folder = mkdtempSync(join(tmpdir(), 'fprobe-test-'));

/// What `fprobe` itself says on standard error is taken out: that a buffer was full is no fault.
export async function compare(app: App, options: readonly string[]): Promise<void> {
  const output = join(folder, 'trace.txt');
  const expected = await run(...launch(app));
  const traced = await fprobe(['trace', ...options, '-o', output, '--', ...app.command]);
  expect(expected.end).toBe(app.code ?? 0);
  expect(expected.stdout).not.toBe('');
  const stderr = traced.stderr.replace(/^fprobe: \d+ events did not fit .*\n/m, '');
  expect({ ...traced, stderr }).toEqual(expected);
  expect(readFileSync(output, 'utf8').split('\n').length).toBeGreaterThan(20);
}
