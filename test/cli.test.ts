// The command line as a shell sees it: output, exit code, one line on stderr.

import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { againIfStuck, type Outcome as ProcessOutcome, runProcess } from './process.ts';

const root = join(import.meta.dirname, '..');
const SQLITE = 'node_modules/sql.js/dist/sql-wasm.wasm';

type Outcome = Omit<ProcessOutcome, 'signal'>;

const fprobe = async (...args: string[]): Promise<Outcome> => {
  const command = ['--import', 'tsx', 'src/cli/main.ts', ...args];
  const run = () => runProcess(process.execPath, command, { cwd: root, env: process.env });
  const { signal, ...outcome } = await againIfStuck(run);
  expect(signal).toBeNull();
  return outcome;
};

const refusal = (stderr: string): Outcome => ({ code: 2, stdout: '', stderr: `fprobe: ${stderr}\n` });

describe('fprobe list', () => {
  test('lists functions by address, size, name and type', async () => {
    const { code, stdout, stderr } = await fprobe('list', SQLITE);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const lines = stdout.trimEnd().split('\n');
    expect(lines).toHaveLength(1968);
    expect(lines[0]).toMatch(/^ +0x[0-9a-f]+ +\d+ {2}\S+ \(.*\) → \(.*\)$/);
    const addresses = lines.map((line) => Number.parseInt(line.trim(), 16));
    expect(addresses).toEqual([...addresses].sort((a, b) => a - b));
  });

  test('filters, and prints JSON for other programs', async () => {
    const { stdout } = await fprobe('list', SQLITE, '-f', 'func[[]4?]', '-n', 'func[[]42]', '--json');
    const rows = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(rows.map(({ name }) => name)).toEqual([
      'func[40]',
      'func[43]',
      'func[44]',
      'func[45]',
      'func[46]',
      'func[48]',
      'func[49]',
    ]);
    expect(rows[0]).toEqual({
      address: '0x1069',
      index: 40,
      size: 14,
      type: '(i32, i32, i32, i32) → (i32)',
      name: 'func[40]',
    });
  });

  const BZ2 = 'node_modules/@foxglove/wasm-bz2/wasm/module.wasm';
  const SIMPLECC = 'node_modules/simplecc-wasm/pkg/deno/simplecc_wasm_bg.wasm';

  test('shows demangled names, with the lines that they begin at, and takes each form', async () => {
    const invoke = 'emscripten::internal::Invoker<*>::invoke';
    const { stdout, stderr } = await fprobe('list', BZ2, '-l', '-f', 'BZ2_bzD*', '-f', invoke);
    expect(stderr).toBe('');
    expect(stdout.split('\n')).toEqual([
      expect.stringMatching(
        /^ +0x[0-9a-f]+ +\d+ {2}emscripten::internal::Invoker<.*>::invoke\(emscripten::val .*\) \(.*\) → \(i32\) {2}\/\S+\/bind\.h:\d+$/,
      ),
      '    0x3e8b    22003  BZ2_bzDecompress (i32) → (i32)  /home/runner/work/wasm-bz2/wasm-bz2/vendor/bzip2/bzlib.c:810',
      '',
    ]);
    const json = await fprobe('list', SIMPLECC, '--json', '-f', '*::add::h*');
    expect(JSON.parse(json.stdout)).toMatchObject({
      name: 'simplecc::DictNode::add',
      aliases: [expect.stringMatching(/^simplecc::DictNode::add::h[0-9a-f]{16}$/)],
    });
    const lines = await fprobe('list', BZ2, '--json', '-l', '-f', 'BZ2_bzDecompress');
    expect(JSON.parse(lines.stdout).location).toMatch(/\/bzlib\.c:810$/);
  });

  test('takes symbol maps, told of or found', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'fprobe-'));
    const module = join(folder, 'm.wasm');
    copyFileSync(join(root, SQLITE), module);
    const map = join(folder, 'names.txt');
    writeFileSync(map, '# names\n42:_ZN2db4openEPKc\n43 close\n');
    const named = await fprobe('list', module, '--symbols', map, '-f', 'db::open', '-f', 'close');
    expect(named.stdout).toMatch(/^ +0x10c8 +116 {2}db::open\(char const\*\) \(.*\n.* close \(.*\n$/);
    writeFileSync(map, '42:x\nwhat?\n');
    expect(await fprobe('list', module, '--symbols', map)).toEqual(
      refusal(`${map}:2: 'what?', expected INDEX:NAME or INDEX NAME`),
    );
    expect(await fprobe('list', module, '--symbols', `${map}.none`)).toEqual(
      refusal(`cannot read ${map}.none: no such file or directory`),
    );
    writeFileSync(`${module}.symbols`, '42:found\n');
    expect((await fprobe('list', module, '-f', 'found')).stdout).toContain('  found (');
    writeFileSync(`${module}.symbols`, '2008:found\n');
    expect((await fprobe('list', module, '-f', 'func[[]42]')).stderr).toBe(
      `fprobe: warning: symbol map not used: ${module}.symbols names function 2008 of a module that has 2008\n`,
    );
    writeFileSync(`${module}.symbols`, 'nonsense\n');
    const { code, stdout, stderr } = await fprobe('list', module, '-f', 'func[[]42]', '-l');
    expect({ code, lines: stdout.split('\n').length }).toEqual({ code: 0, lines: 2 });
    expect(stderr).toBe(
      `fprobe: warning: symbol map not used: ${module}.symbols:1: 'nonsense', expected INDEX:NAME or INDEX NAME\n` +
        `fprobe: warning: ${module}: no line of these functions is known\n`,
    );
  });

  test('explains itself', async () => {
    expect((await fprobe('--help')).stdout).toContain('list ');
    const { code, stdout } = await fprobe('list', '--help');
    expect(code).toBe(0);
    expect(stdout).toContain('examples:');
    expect((await fprobe('help', 'list')).stdout).toBe(stdout);
    expect(await fprobe('--version')).toEqual({ code: 0, stdout: 'fprobe 0.1.0\n', stderr: '' });
  });

  test('refuses in one line, exit code 2', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'fprobe-'));
    const truncated = join(folder, 'truncated.wasm');
    writeFileSync(truncated, Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 9, 1));
    expect(await fprobe('list')).toEqual(refusal('list: which file? see fprobe list --help'));
    expect(await fprobe('lsit')).toEqual(refusal("there is no command 'lsit', see fprobe --help"));
    expect(await fprobe('list', '--colour', SQLITE)).toEqual(
      refusal("Unknown option '--colour', see fprobe list --help"),
    );
    expect(await fprobe('list', 'a.wasm', 'b.wasm')).toEqual(refusal('list: one file at a time, there is also b.wasm'));
    expect(await fprobe('list', join(folder, 'none.wasm'))).toEqual(
      refusal(`cannot read ${join(folder, 'none.wasm')}: no such file or directory`),
    );
    expect(await fprobe('list', 'README.md')).toEqual(
      refusal('README.md: wasm: 0x23 at byte 0, expected the magic number 00 61 73 6d ("\\0asm")'),
    );
    const { code, stderr } = await fprobe('list', truncated);
    expect(code).toBe(2);
    expect(stderr).toMatch(/^fprobe: .*truncated\.wasm: wasm: .* at byte \d+, expected .*\n$/);
    expect(await fprobe('list', SQLITE, '-f', 'nothing*')).toEqual(
      refusal(`list: ${SQLITE}: nothing matches 'nothing*'`),
    );
    expect(await fprobe('list', SQLITE, '-f', 'fnc[1234')).toEqual(
      refusal(`list: ${SQLITE}: nothing matches 'fnc[1234'; nearest: func[123], func[1234]`),
    );
    expect(await fprobe('list', SQLITE, '-f', 'func*', '-n', 'f*')).toEqual(
      refusal(`list: ${SQLITE}: nothing is left, -n excludes all that -f selects`),
    );
  });
});

describe('fprobe replay', () => {
  const graph = ` 0)               |  vfs_open() {\n 0)   1.250 us    |    do_dentry_open();\n 0)   2.500 us    |  }\n`;
  const header = `# tracer: function_graph\n#\n# CPU  DURATION                  FUNCTION CALLS\n# |     |   |                     |   |   |   |\n`;

  async function replay(text: string, ...args: string[]): Promise<Outcome & { path: string }> {
    const directory = mkdtempSync(join(tmpdir(), 'fprobe-'));
    const path = join(directory, 'trace.txt');
    writeFileSync(path, text);
    const outcome = await fprobe('replay', path, ...args);
    rmSync(directory, { recursive: true });
    return { ...outcome, path };
  }

  test('gives back the text, or part of it, or a profile', async () => {
    expect((await replay(header + graph)).stdout).toBe(header + graph);
    const leaf = await replay(graph, '-l', 'do_*', '--arch', 's390x');
    expect(leaf.stdout).toBe(`${header} 0)   1.250 us    |  do_dentry_open();\n`);
    expect((await replay(graph, '-p', 'profile')).stdout).toMatch(/vfs_open +1 +2\.500 us +2\.500 us/);
  });

  test('says what is wrong', async () => {
    const bad = await replay(`${graph} 1)   1.000 us    |  other();\n`);
    expect(bad).toMatchObject({
      code: 2,
      stdout: '',
      stderr: expect.stringContaining(`fprobe: ${bad.path}: line 4, column 2: `),
    });
    expect((await replay(graph, '-p', 'functoin')).stderr).toContain("there is no tracer 'functoin'");
    expect((await replay(graph, '-l', 'vfs_opne')).stderr).toContain('nearest: vfs_open');
    expect((await replay(graph, '--arch', 'mips')).stderr).toContain("there is no CPU 'mips'");
    expect((await fprobe('replay')).stderr).toContain('which file?');
  });
});
