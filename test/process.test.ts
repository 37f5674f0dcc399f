// What is done about programs that come to no end.

import { existsSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { againIfStuck, type ProcessOptions, runProcess, Stuck } from './process.ts';

const folder = mkdtempSync(join(tmpdir(), 'fprobe-process-'));
const node = (script: string, options: Partial<ProcessOptions> = {}) =>
  runProcess(process.execPath, ['-e', script], { cwd: folder, env: {}, patience: 1000, ...options });

const WAITS = 'console.log("waits"); Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)';
const isLinux = process.platform === 'linux';
const onLinux = isLinux ? describe : describe.skip;
if (!isLinux) console.log('skipped: deadlocks are told by what /proc says, which only Linux has');

test('output, exit code and signal', async () => {
  const script =
    'process.stdin.on("data", (d) => { console.log(String(d)); console.error("e"); process.exitCode = 3 })';
  const seen: string[] = [];
  const onOutput = (text: string) => void seen.push(text);
  const outcome = await node(script, { input: 'in', onOutput });
  expect(outcome).toEqual({ code: 3, signal: null, stdout: 'in\n', stderr: 'e\n' });
  expect(seen).toEqual(['in\n']);
  expect(await node('process.kill(process.pid, "SIGTERM"); setTimeout(() => {}, 1e5)')).toMatchObject({
    code: null,
    signal: 'SIGTERM',
  });
});

test('one that does not end is ended, with its children, and where they stood is told', async () => {
  const child = 'require("child_process").execFileSync(process.execPath, ["-e", "for (;;);"])';
  const error: Stuck = await node(child, { limit: 6000 }).catch((error) => error);
  expect(error).toBeInstanceOf(Stuck);
  expect(error.isDeadlock).toBe(false);
  expect(error.message).toMatch(/^not at its end after 6000 ms: .*execFileSync/);
  if (!isLinux) return;
  const [, pid] = error.message.match(/^process (\d+), \d+ ticks: \S+ -e for \(;;\);/m)!;
  await vi.waitUntil(() => !existsSync(`/proc/${pid}`), 10_000);
});

onLinux('a deadlock', () => {
  test('is told from a program that waits for something to come', async () => {
    const error: Stuck = await node(WAITS).catch((error) => error);
    expect(error.message).toMatch(
      /^stuck, no thread has run for 1000 ms: .*\nprocess \d+, \d+ ticks: .*\n {2}\S.*: futex/,
    );
    expect(error.message).toContain('stdout: waits\n');
    expect(error.isDeadlock).toBe(true);
    expect(await node('setTimeout(() => console.log("done"), 3000)')).toMatchObject({ code: 0, stdout: 'done\n' });
  });

  test('is given one more chance', async () => {
    const said = vi.spyOn(console, 'log').mockImplementation(() => {});
    const path = join(folder, 'first');
    const once = `if (require("fs").existsSync("${path}")) console.log("done"); else {${WAITS}}`;
    const outcome = againIfStuck(() => {
      const outcome = node(once);
      outcome.catch(() => writeFileSync(path, ''));
      return outcome;
    });
    expect(await outcome).toMatchObject({ code: 0, stdout: 'done\n' });
    expect(said.mock.calls).toEqual([[expect.stringMatching(/^again, see test\/process\.ts: stuck/)]]);
    await expect(againIfStuck(() => node(WAITS))).rejects.toThrow(/^stuck/);
    said.mockRestore();
  });

  test('no other failure is', async () => {
    let runs = 0;
    const failing = againIfStuck(async () => {
      runs++;
      throw new Error('no');
    });
    await expect(failing).rejects.toThrow('no');
    expect(runs).toBe(1);
  });
});
