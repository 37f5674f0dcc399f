// What a command line starts.

import { chmodSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { launchOf, type WasiSettings } from '../../src/cli/command.ts';

const NONE = { dirs: [], env: [] };
const folder = mkdtempSync(join(tmpdir(), 'fprobe-test-'));
const wasm = join(folder, 'prog.wasm');
const nameless = join(folder, 'prog');
const text = join(folder, 'text.wasm');
const script = join(folder, 'app.mjs');
writeFileSync(wasm, Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0));
writeFileSync(nameless, Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0));
writeFileSync(text, '(module)');
writeFileSync(script, '');
chmodSync(script, 0o755);

const settingsOf = (args: readonly string[]): WasiSettings => JSON.parse(args[2]);

describe('a command', () => {
  test('runs as it stands', () => {
    expect(launchOf(['node', '--no-warnings', 'app.js', '-l'], NONE)).toEqual({
      file: 'node',
      args: ['--no-warnings', 'app.js', '-l'],
    });
    expect(launchOf(['npm', 'test'], NONE)).toEqual({ file: 'npm', args: ['test'] });
  });

  test('a script runs in this Node', () => {
    expect(launchOf([script, 'a b'], NONE)).toEqual({ file: process.execPath, args: [script, 'a b'] });
  });

  test.each([wasm, nameless])('a WebAssembly file is a program of WASI: %s', (path) => {
    const { file, args } = launchOf([path, '--dir', 'x'], NONE);
    expect(file).toBe(process.execPath);
    expect(settingsOf(args)).toEqual({ path, preopens: {}, env: {} });
    expect(args.slice(3)).toEqual(['--dir', 'x']);
  });

  test('a program of WASI sees what it is given', () => {
    process.env.FPROBE_TEST_VARIABLE = 'of the host';
    const env = ['A=1=2', 'EMPTY=', 'FPROBE_TEST_VARIABLE', 'FPROBE_TEST_NONE'];
    const { args } = launchOf([wasm], { dirs: [folder, `${folder}::/data`], env });
    delete process.env.FPROBE_TEST_VARIABLE;
    expect(settingsOf(args)).toEqual({
      path: wasm,
      preopens: { [folder]: folder, '/data': folder },
      env: { A: '1=2', EMPTY: '', FPROBE_TEST_VARIABLE: 'of the host' },
    });
  });

  test.each<[string, string[], Partial<typeof NONE>, string]>([
    ['a missing file', ['none.wasm'], {}, 'cannot read none.wasm: no such file or directory'],
    ['a missing script', ['none.mjs'], {}, 'cannot read none.mjs: no such file or directory'],
    ['text', [text], {}, `${text} is not a WebAssembly file: it does not begin with "\\0asm"`],
    ['a folder', [folder], { dirs: ['x'] as never[] }, '--dir and --env are for'],
    ['grants to Node', ['node'], { env: ['A=1'] as never[] }, '--dir and --env are for a program of WASI'],
    ['no folder', [wasm], { dirs: ['/none'] as never[] }, 'trace: --dir /none: /none is not a directory'],
    ['no name', [wasm], { env: ['=1'] as never[] }, 'trace: --env =1: expected NAME=VALUE or NAME'],
  ])('refuses %s', (_, command, grants, message) => {
    expect(() => launchOf(command, { ...NONE, ...grants })).toThrow(message);
  });
});
