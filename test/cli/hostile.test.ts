// What goes wrong around a command: files that are none, outputs that are full, a session that somebody takes away. One line on
// standard error, and an exit code.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { fprobe, run } from './fprobe.ts';
import { folder, SUBJECT, script } from './subject.ts';

const FULL = '/dev/full';
const onLinux = process.platform === 'linux' ? describe : describe.skip; // the others have no /dev/full and no /proc

describe('list', () => {
  test('a file that is no module: the byte, in one line', async () => {
    const path = join(folder, 'text.wasm');
    writeFileSync(path, 'some text');
    const { end, stdout, stderr } = await fprobe(['list', path]);
    expect({ end, stdout }).toEqual({ end: 2, stdout: '' });
    expect(stderr).toMatch(/^fprobe: .*text\.wasm: wasm: 0x73 at byte 0, expected the magic number .*\n$/);
  });
});

onLinux('what Linux has', () => {
  test('list: a device that never ends is refused', async () => {
    expect(await fprobe(['list', '/dev/zero'])).toEqual({
      end: 2,
      stdout: '',
      stderr: 'fprobe: cannot read /dev/zero: it is a device, expected a file\n',
    });
  });

  test('trace: an output that is full is said in a line, the program has ended as ever', async () => {
    const failed = await fprobe(['trace', '-o', FULL, '--', 'node', ...script('wasm.run(); process.exitCode = 7')]);
    const stderr = `fprobe: cannot write ${FULL}: no space left on device\n`;
    expect(failed).toEqual({ end: 7, stdout: '', stderr });
    expect(await fprobe(['trace', '-o', FULL, '--', 'node', ...script('wasm.run()')])).toMatchObject({
      end: 2,
      stderr,
    });
  });

  test('trace: what lies among the recordings and is no file is not waited for', async () => {
    const body = `wasm.run(); require('child_process').execFileSync('mkfifo', [require('path').dirname(process.env.FPROBE_REQUEST) + '/999999-0.fprobe'])`;
    const { end, stdout, stderr } = await fprobe(['trace', 'node', ...script(body)]);
    expect(end).toBe(0);
    expect(stdout).toContain('run() {');
    expect(stderr).toMatch(/^fprobe: cannot read .*\/999999-0\.fprobe: it is a pipe \(expected a file\)$/m);
  });

  test('trace: a program that is killed leaves nothing, which is said', async () => {
    const { end, stderr } = await fprobe([
      'trace',
      'node',
      ...script('wasm.run(); process.kill(process.pid, "SIGKILL")'),
    ]);
    expect({ end, stderr }).toEqual({
      end: 'SIGKILL',
      stderr: 'fprobe: nothing was recorded: SIGKILL ended the program before it could leave anything\n',
    });
  });
});

describe('trace', () => {
  test('a program that removes the session is told, and its exit code is kept', async () => {
    const body = `require('fs').rmSync(require('path').dirname(process.env.FPROBE_REQUEST), { recursive: true }); process.exitCode = 5`;
    const { end, stderr } = await fprobe(['trace', 'node', ...script(body)]);
    expect(end).toBe(5);
    expect(stderr).toMatch(/^fprobe: the recordings are gone, which were in .*: no such file or directory$/m);
    expect(stderr).not.toContain('    at ');
  });

  test('nowhere to keep recordings', async () => {
    const missing = join(folder, 'missing');
    const { end, stderr } = await fprobe(['trace', 'node', ...script('')], { env: { TMPDIR: missing } });
    expect({ end, stderr }).toEqual({
      end: 2,
      stderr: `fprobe: cannot make a folder for the recordings in ${missing}: no such file or directory; TMPDIR names another\n`,
    });
  });
});

onLinux('standard output that is full', () => {
  test.each([
    ['list', SUBJECT],
    ['--help', ''],
  ])('%s', async (command, file) => {
    const { end, stderr } = await run('sh', ['-c', `node dist/src/cli/main.js ${command} ${file} > /dev/full`]);
    expect({ end, stderr }).toEqual({
      end: 2,
      stderr: 'fprobe: cannot write to standard output: no space left on device\n',
    });
  });
});
