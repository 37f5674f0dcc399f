// `fprobe trace` as a shell sees it.

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { FLITE } from './apps.ts';
import { fprobe, type Outcome, root, run } from './fprobe.ts';
import { COPY, FOREIGN, folder, LIBRARY, MALFORMED, NESTED, SUBJECT, script, TRAP } from './subject.ts';

let files = 0;
const newFile = (): string => join(folder, `out-${++files}.txt`);

/// Runs `fprobe trace OPTIONS -o FILE -- COMMAND` and reads FILE.
async function traced(options: readonly string[], command: readonly string[], input?: string) {
  const output = newFile();
  const outcome = await fprobe(['trace', ...options, '-o', output, '--', ...command], { input });
  return { ...outcome, trace: readFileSync(output, 'utf8') };
}

const withoutTimes = (trace: string): string =>
  trace.replace(/[0-9.]+ us +\|/g, 'T |').replace(/^ \d\) . /gm, ' 0)   ');

const GRAPH = `# tracer: function_graph
#
# CPU  DURATION                  FUNCTION CALLS
# |     |   |                     |   |   |   |
 0)               |  run() {
${` 0)               |    parse() {
 0)   T |      next_token();
 0)   T |      next_token();
 0)   T |    }
`.repeat(3)} 0)   T |  }
`;

describe('what it prints', () => {
  test('the program’s output, then the trace', async () => {
    const { end, stdout, stderr } = await fprobe(['trace', 'node', ...script('console.log(wasm.run())')]);
    expect({ end, stderr }).toEqual({ end: 0, stderr: '' });
    expect(withoutTimes(stdout)).toBe(`7\n${GRAPH}`);
  });

  test('-o: the trace goes to the file, the program’s streams are its own', async () => {
    const body = 'process.stdin.on("data", (text) => { console.log(text + wasm.run()); console.error("e") })';
    const { end, stdout, stderr, trace } = await traced([], ['node', ...script(body)], 'input ');
    expect({ end, stdout, stderr }).toEqual({ end: 0, stdout: 'input 7\n', stderr: 'e\n' });
    expect(withoutTimes(trace)).toBe(GRAPH);
  });

  test.each<[string, string[], RegExp]>([
    ['-l', ['-l', 'next*'], /^ 0\) .* \| {2}next_token\(\);$/m],
    ['-n', ['-n', 'next*'], /^ 0\) .* \| {4}parse\(\);$/m],
    ['-g', ['-g', 'parse'], /^ 0\) .* \| {2}parse\(\) \{$/m],
    ['depth', ['--max-graph-depth', '1'], /^ 0\) .* \| {2}run\(\);$/m],
    ['-O', ['-O', 'funcgraph-tail'], /} \/\* parse \*\/$/m],
    ['function', ['-p', 'function'], /: next_token <-parse$/m],
    ['the clock', ['-C', 'counter', '-p', 'function'], /\.\.\.\.\. +\d+: parse <-run$/m],
  ])('%s', async (_, options, line) => {
    const { end, stderr, trace } = await traced(options, ['node', ...script('wasm.run()')]);
    expect({ end, stderr }).toEqual({ end: 0, stderr: '' });
    expect(trace).toMatch(line);
  });

  test('--module: only modules of that name', async () => {
    const app = join(folder, 'modules.cjs');
    writeFileSync(app, script('wasm.run()')[1]);
    const one = await traced(['--module', 'mod*'], ['node', app]);
    expect(one).toMatchObject({ end: 0, stderr: '' });
    expect(one.trace).toContain('run() {');
    const none = await traced(['--module', 'mudules'], ['node', app]);
    expect(none).toMatchObject({ end: 2, stderr: "fprobe: --module 'mudules' matches no module; nearest: modules\n" });
    expect(none.trace).not.toContain('run() {');
  });

  test('profile: the counts of every function', async () => {
    const { trace } = await traced(['-p', 'profile', '--sort', 'calls'], ['node', ...script('wasm.run()')]);
    const rows = trace.trimEnd().split('\n').slice(2);
    expect(
      rows
        .map((row) => row.trim().replace(/#+ +/, '').split(/ +/).slice(-4))
        .map(([calls, , , name]) => `${calls} ${name}`),
    ).toEqual(['6 next_token', '3 parse', '1 run']);
  });

  test('threshold: returns only, of what took long', async () => {
    const { trace } = await traced(['--threshold', '1000000'], ['node', ...script('wasm.run()')]);
    expect(trace).not.toContain('run()');
  });

  // The program runs `parse` on a task of its own inside of `run`, for ten milliseconds.
  describe('tasks that the program makes', () => {
    const app = join(folder, 'tasks.cjs');
    const body = `const { tracer } = require('${join(root, 'dist/src/register.js')}');
      const task = tracer.createTask({ comm: 'coro', pid: 7 });
      const nested = require('fs').readFileSync('${NESTED}');
      const inside = () => task.run(() => {
        wasm.run();
        for (const end = performance.now() + 10; performance.now() < end; );
      });
      new WebAssembly.Instance(new WebAssembly.Module(nested), { js: { inside } }).exports.outer();`;
    writeFileSync(app, script(body)[1]);
    const calls = (trace: string) =>
      trace.match(/(?<=^ 0\) +)\S+ .*\w+(?=\(\))/gm)?.map((line) => line.replace(/-\d+ .* \|/, '').replace(/ +/, ' '));
    const ON_TASK = ['run', ...Array(3).fill(['parse', 'next_token', 'next_token']).flat()].map(
      (name) => `coro ${name}`,
    );

    test('stand in the trace by themselves, in the order of time', async () => {
      const { end, stderr, trace } = await traced([], ['node', app]);
      expect({ end, stderr }).toEqual({ end: 0, stderr: '' });
      expect(calls(trace)).toEqual(['tasks.c outer', ...ON_TASK, 'tasks.c after']);
      const { trace: listed } = await traced(
        ['-p', 'function', '-l', 'outer', '-l', 'run', '-l', 'after'],
        ['node', app],
      );
      expect(listed.match(/\S+-\d+ .*: \w+ <-\S+/g)?.map((line) => line.replace(/-\d+ .*:/, ''))).toEqual([
        'tasks.cjs outer <-[host]',
        'coro run <-[host]',
        'tasks.cjs after <-outer',
      ]);
    });

    test.each([
      [
        ['-P', '1'],
        ['outer', 'after'],
      ],
      [['-P', '7,1', '--notrace-pid', '1'], ON_TASK],
    ])('%j', async (options, expected) => {
      const { end, stderr, trace } = await traced(options, ['node', app]);
      expect({ end, stderr }).toEqual({ end: 0, stderr: '' });
      const shown = calls(trace)!;
      expect(shown.map((line) => (expected === ON_TASK ? line : line.replace(/^\S+ /, '')))).toEqual(expected);
    });

    test('-P, of a profile; and a pid that no task has', async () => {
      const { trace } = await traced(['-p', 'profile', '-P', '7', '--sort', 'name'], ['node', app]);
      const rows = trace.trimEnd().split('\n').slice(2);
      expect(rows.map((row) => row.trim().split(/ +/).at(-1))).toEqual(['next_token', 'parse', 'run']);
      const { end, stderr } = await traced(['-P', '9'], ['node', app]);
      expect({ end, stderr }).toEqual({ end: 2, stderr: "fprobe: -P '9' matches no task; nearest: 1, 7\n" });
      const other = await traced(['--notrace-pid', '9,7'], ['node', app]);
      expect({ end: other.end, stderr: other.stderr }).toEqual({
        end: 2,
        stderr: "fprobe: --notrace-pid '9' matches no task; nearest: 1, 7\n",
      });
    });

    test('a pid whose task has left nothing and exited was one all the same', async () => {
      const gone = join(folder, 'gone.cjs');
      writeFileSync(gone, `${readFileSync(app, 'utf8')}; task.exit();`);
      const profile = ['-p', 'profile', '-l', 'outer'];
      for (const options of [
        ['--notrace-pid', '7'],
        ['-P', '1,7'],
        [...profile, '-P', '1,7'],
      ]) {
        const { end, stderr } = await traced(options, ['node', gone]);
        expect({ end, stderr }).toEqual({ end: 0, stderr: '' });
      }
    });

    test('function-fork: what they fork belongs to them', async () => {
      const forks = join(folder, 'forks.cjs');
      const start = body.slice(0, body.indexOf('const nested'));
      writeFileSync(forks, script(`${start} for (const one of [task, task.fork({ pid: 8 })]) one.run(wasm.run);`)[1]);
      const pids = (trace: string) => trace.match(/coro-\d+(?= .*: run )/g);
      const options = ['-p', 'function', '-P', '7'];
      expect(pids((await traced(options, ['node', forks])).trace)).toEqual(['coro-7']);
      const { trace } = await traced([...options, '-O', 'function-fork'], ['node', forks]);
      expect(pids(trace)).toEqual(['coro-7', 'coro-8']);
    });

    test('nosleep-time: what runs on them is not the time of who waits', async () => {
      const options = ['-p', 'profile', '-l', 'outer'];
      const ms = (trace: string) =>
        Number(
          trace
            .trimEnd()
            .split('\n')
            .at(-1)!
            .trim()
            .split(/ +#* */)[2],
        );
      const awake = ms((await traced([...options, '-O', 'nosleep-time'], ['node', app])).trace);
      const all = ms((await traced(options, ['node', app])).trace);
      expect(all).toBeGreaterThan(10);
      expect(awake).toBeLessThan(all - 5);
      const graph = await traced(['-l', 'outer', '-O', 'nosleep-time'], ['node', app]);
      expect(graph.trace).not.toMatch(/^ 0\) .*[*@$].* outer\(\)/m);
    });
  });

  test('nograph-time: the time of functions alone; threshold: those that took long on average', async () => {
    const command = ['node', ...script('wasm.run()')];
    const { trace } = await traced(['-p', 'profile', '-O', 'nograph-time', '--sort', 'calls'], command);
    expect(trace.split('\n')[0]).toMatch(/^ +Self % +Self ms +Calls +Avg us +Function$/);
    expect(
      trace
        .trimEnd()
        .split('\n')
        .slice(2)
        .map((row) => row.trim().split(/ +/).at(-1)),
    ).toEqual(['next_token', 'parse', 'run']);
    const none = await traced(['-p', 'profile', '--threshold', '1000000'], command);
    expect(none.trace.trimEnd().split('\n')).toHaveLength(2);
  });

  test('several processes: each a CPU, with its task', async () => {
    const body = `wasm.run();
      const env = { ...process.env, CHILD: 1 };
      if (!process.env.CHILD) require('child_process').execFileSync(process.execPath, [__filename], { env })`;
    const child = join(folder, 'several.cjs');
    writeFileSync(child, script(body)[1]);
    const { end, trace } = await traced([], ['node', child]);
    expect(end).toBe(0);
    expect(new Set(trace.match(/several-\d+/g)).size).toBe(2);
    expect(trace.match(/ run\(\) \{$/gm)).toHaveLength(2);
  });

  test('a reader that has seen enough is no failure', async () => {
    const command = `"${process.execPath}" dist/src/cli/main.js trace node test/apps/sqlite.cjs | head -3`;
    const temporary = join(folder, 'seen-enough');
    mkdirSync(temporary);
    const { end, stdout, stderr } = await run('sh', ['-c', command], { env: { TMPDIR: temporary } });
    expect(end).toBe(0);
    expect(stdout.split('\n')).toHaveLength(4);
    expect(stderr).not.toContain('EPIPE');
    await expect.poll(() => readdirSync(temporary), { timeout: 20_000 }).toEqual([]);
  });

  test('what there is to say is said to the end, whatever the reader has seen', async () => {
    const command = `{ "${process.execPath}" dist/src/cli/main.js trace -n 'nomatch*' node test/apps/sqlite.cjs
      echo "status $?" >&2; } | head -3`;
    const { stderr } = await run('sh', ['-c', command]);
    expect(stderr).toMatch(/^fprobe: -n 'nomatch\*' matches no function/m);
    expect(stderr).toMatch(/^status 2$/m);
  });

  test.skipIf(!existsSync('/dev/full'))(
    'standard output that takes no more is told of in one line (needs /dev/full)',
    async () => {
      const app = join(folder, 'quiet.cjs');
      writeFileSync(app, script('wasm.run()')[1]);
      const temporary = join(folder, 'full');
      mkdirSync(temporary);
      const command = `"${process.execPath}" dist/src/cli/main.js trace "${app}" > /dev/full`;
      const { end, stderr } = await run('sh', ['-c', command], { env: { TMPDIR: temporary } });
      expect({ end, stderr }).toEqual({
        end: 2,
        stderr: 'fprobe: cannot write to standard output: no space left on device\n',
      });
      expect(readdirSync(temporary)).toEqual([]);
    },
  );

  test('bare --verify leaves the next word to the command', async () => {
    const app = join(folder, 'verified.cjs');
    writeFileSync(app, script('wasm.run(); console.log(process.argv[2])')[1]);
    const { end, stdout, stderr } = await fprobe(['trace', '-p', 'profile', '--verify', app, '--verify']);
    expect({ end, said: stdout.split('\n')[0] }).toEqual({ end: 0, said: '--verify' });
    expect(stderr).toMatch(/^fprobe: verify: verified.cjs-\d+: \d+ samples, 0 differences$/m);
  });

  test.each(['abc', '-5', 'NaN'])('FPROBE_CACHE_SIZE=%s is told of before anything runs', async (size) => {
    const outcome = await fprobe(['trace', 'node', '-e', '1'], { env: { FPROBE_CACHE_SIZE: size } });
    const stderr = `fprobe: trace: FPROBE_CACHE_SIZE is '${size}', expected MiB, a number of 0 or more\n`;
    expect(outcome).toEqual({ end: 2, stdout: '', stderr });
  });

  test('--verify compares the shadow stack with the real one', async () => {
    const { end, stderr } = await traced(['--verify=1'], ['node', ...script('wasm.run(); wasm.run()')]);
    expect(end).toBe(0);
    expect(stderr).toMatch(/^fprobe: verify: node-\d+: \d+ samples, 0 differences$/m);
  });
});

describe('how it ends', () => {
  test.each<[string, string, number | string]>([
    ['exit code', 'wasm.run(); process.exitCode = 7', 7],
    ['process.exit', 'wasm.run(); process.exit(9)', 9],
    ['exception', 'wasm.run(); throw new Error("on purpose")', 1],
    ['trap', 'wasm.run(); wasm.crash()', 1],
    ['signal', 'wasm.run(); process.kill(process.pid, "SIGTERM"); setTimeout(() => {}, 1e5)', 'SIGTERM'],
  ])('as the program does: %s', async (_, body, end) => {
    const outcome = await traced([], ['node', ...script(body)]);
    expect(outcome.end).toBe(end);
    expect(outcome.trace).toContain('run() {');
  });

  test('killed without a word, there is nothing to read, and no hang', async () => {
    const { end, trace } = await traced([], ['node', ...script('process.kill(process.pid, "SIGKILL")')]);
    expect(end).toBe('SIGKILL');
    expect(trace).toContain('# tracer: function_graph');
  });

  test.each(['SIGINT', 'SIGTERM'] as const)(
    '%s to us reaches the program, and what was recorded is written',
    async (signal) => {
      const output = newFile();
      const command = ['node', ...script('wasm.run(); console.log("ready"); setInterval(() => {}, 1000)')];
      const onOutput = (pid: number) => process.kill(pid, signal);
      const { end } = await fprobe(['trace', '-o', output, ...command], { onOutput });
      expect(end).toBe(signal);
      expect(withoutTimes(readFileSync(output, 'utf8'))).toBe(GRAPH);
    },
  );

  test('a program that handles the signal ends in its own way', async () => {
    const body =
      'process.on("SIGTERM", () => process.exit(wasm.run())); console.log("ready"); setInterval(() => {}, 1000)';
    const output = newFile();
    const onOutput = (pid: number) => process.kill(pid, 'SIGTERM');
    const { end } = await fprobe(['trace', '-o', output, 'node', ...script(body)], { onOutput });
    expect(end).toBe(7);
    expect(readFileSync(output, 'utf8')).toContain('run() {');
  });

  test('what the program sends to its whole group, us included, it gets once', async () => {
    const body = `let heard = 0; process.on("SIGTERM", () => heard++); wasm.run(); process.kill(0, "SIGTERM");
      setTimeout(() => console.log("heard", heard), 700)`;
    const command = ['node', ...script(body)];
    const leader = ['--wait', process.execPath, join(root, 'dist/src/cli/main.js'), 'trace', '-p', 'profile'];
    const { end, stdout } = await run('setsid', [...leader, ...command]);
    expect({ end, heard: stdout.split('\n')[0] }).toEqual({ end: 0, heard: 'heard 1' });
  });

  test('a program too busy for a signal ends by it all the same', async () => {
    const output = newFile();
    const command = ['node', ...script('console.log("ready"); wasm.run(); wasm.spin()')];
    const onOutput = (pid: number) => setTimeout(() => process.kill(pid, 'SIGINT'), 300);
    const { end } = await fprobe(['trace', '-n', 'next_token', '-o', output, ...command], { onOutput });
    expect(end).toBe('SIGINT');
    expect(readFileSync(output, 'utf8')).toMatch(/run\(\) \{$/m);
  });

  test('a session leaves nothing behind', async () => {
    const temporary = join(folder, 'tmp');
    mkdirSync(temporary, { recursive: true });
    await fprobe(['trace', 'node', ...script('wasm.run()')], { env: { TMPDIR: temporary } });
    expect(readdirSync(temporary)).toEqual([]);
  });
});

describe('commands', () => {
  test('an npm script', async () => {
    const project = join(folder, 'project');
    mkdirSync(project, { recursive: true });
    writeFileSync(join(project, 'app.cjs'), script('console.log(wasm.run())')[1]);
    writeFileSync(join(project, 'package.json'), JSON.stringify({ scripts: { work: 'node app.cjs' } }));
    const { end, stdout, trace } = await traced(['-l', 'parse'], ['npm', '--prefix', project, 'run', '-s', 'work']);
    expect({ end, stdout }).toEqual({ end: 0, stdout: '7\n' });
    expect(trace.match(/ parse\(\);/g)).toHaveLength(3);
  });

  test('TypeScript through tsx', async () => {
    const app = join(folder, 'app.ts');
    writeFileSync(
      app,
      `import { readFileSync } from 'node:fs';
      const module: WebAssembly.Module = new WebAssembly.Module(readFileSync('${SUBJECT}'));
      console.log((new WebAssembly.Instance(module).exports.run as () => number)());`,
    );
    const { end, stdout, trace } = await traced(['-l', 'parse', '--module', 'app'], ['npx', 'tsx', app]);
    expect({ end, stdout }).toEqual({ end: 0, stdout: '7\n' });
    expect(trace.match(/ parse\(\);/g)).toHaveLength(3);
  });

  test('a script by itself, with its arguments', async () => {
    const app = join(folder, 'app.mjs');
    writeFileSync(app, 'console.log(process.argv.slice(2).join())');
    const { end, stdout, stderr } = await fprobe(['trace', app, '-o', 'x']);
    expect(end).toBe(0);
    expect(stdout).toMatch(/^-o,x\n# tracer/);
    expect(stderr).toBe('fprobe: nothing to trace: no WebAssembly module was loaded in a Node process\n');
  });
});

describe('programs of WASI', () => {
  test('arguments, environment, standard input, exit code', async () => {
    const { end, stdout, stderr, trace } = await traced(
      ['--env', 'A=1', '-l', 'copy'],
      [COPY, 'one', '-o'],
      'piped\ntext',
    );
    expect({ end, stdout, stderr }).toEqual({ end: 3, stdout: 'A=1\0copy.wasm\0one\0-o\0piped\ntext', stderr: '' });
    expect(trace).toMatch(/ copy\(\);/);
    const { trace: calls } = await traced(['-p', 'function', '-l', 'print'], [COPY]);
    expect(calls).toMatch(/^ +copy\.wasm-\d+ .*: print <-\[host\]$/m);
  });

  test('a real one reads and writes files in the folders that it is given', async () => {
    const data = join(folder, 'data');
    mkdirSync(data, { recursive: true });
    writeFileSync(join(data, 'text.txt'), 'Tracing is watching.\n');
    const settings = JSON.stringify({ path: FLITE, preopens: { '/data': data }, env: {} });
    const args = (out: string) => ['-f', '/data/text.txt', '-o', `/data/${out}`];
    const plain = await run(process.execPath, ['dist/src/cli/wasi.js', settings, ...args('plain.wav')]);
    const options = ['-p', 'profile', '--dir', `${data}::/data`];
    const { end, stderr, trace } = await traced(options, [FLITE, ...args('traced.wav')]);
    expect([plain.end, end, stderr]).toEqual([0, 0, '']);
    const wave = readFileSync(join(data, 'plain.wav'));
    expect(wave.length).toBeGreaterThan(10_000);
    expect(readFileSync(join(data, 'traced.wav')).equals(wave)).toBe(true);
    expect(trace).toMatch(/ flite_init$/m);
  });

  test('without --dir it sees no files', async () => {
    const { stderr } = await traced(['-l', 'main'], [FLITE, '-f', '/data/text.txt', 'none']);
    expect(stderr).toContain('failed to open file "/data/text.txt"');
  });

  test('a trap ends it as other runners do', async () => {
    const { end, stderr, trace } = await traced([], [TRAP]);
    expect(end).toBe(134);
    expect(stderr).toMatch(/trap\.wasm: RuntimeError: unreachable\n/);
    expect(trace).toContain('unwound');
  });

  test.each([
    [LIBRARY, 'it exports no _start: a library, not a program'],
    [FOREIGN, 'it imports env.draw, which is no part of WASI preview 1'],
    [MALFORMED, 'byte'],
  ])('refuses %s', async (path, message) => {
    const { end, stderr } = await fprobe(['trace', path]);
    expect(end).toBe(2);
    expect(stderr).toContain(message);
    expect(stderr).not.toContain('    at ');
  });
});

describe('mistakes', () => {
  const refusal = (message: string): Outcome => ({ end: 2, stdout: '', stderr: `fprobe: ${message}\n` });

  test.each<[string[], string]>([
    [[], 'trace: which command? see fprobe trace --help'],
    [['--colour', 'node'], "Unknown option '--colour', see fprobe trace --help"],
    [['-p', 'graph', 'node'], "trace: there is no tracer 'graph'"],
    [
      ['-p', 'irqsoff', 'node'],
      "trace: -p irqsoff needs a machine whose interrupts and wake-ups it can measure: in the library tracer.machine(…), then tracer.startLatency('irqsoff')",
    ],
    [['-P', '1,x', 'node'], 'trace: -P x: expected a whole number from 0 to 2147483647'],
    [
      ['-p', 'profile', '-O', 'nograph-time', '--sort', 'max', 'node'],
      'trace: --sort max is of times that option nograph-time leaves out, expected self, avg, calls, name',
    ],
    [
      ['-p', 'function', '-O', 'nosleep-time', 'node'],
      'trace: option sleep-time belongs to the tracers function_graph and profile, this is function',
    ],
    [['-p', 'function', '--threshold', '5', 'node'], 'trace: --threshold is for -p function_graph and profile'],
    [['-C', 'tsc', 'node'], 'trace: -C tsc: expected mono, counter'],
    [['-b', '0', 'node'], 'trace: -b 0: expected a whole number from 1 to 262144'],
    [['--max-graph-depth', '-1', 'node'], 'trace: --max-graph-depth -1: expected a whole number from 0 to 2147483647'],
    [['--threshold', '-5', 'node'], 'trace: --threshold -5: expected a whole number from 0 to 1000000000'],
    [['-b', '-1', 'node'], 'trace: -b -1: expected a whole number from 1 to 262144'],
    [['--max-graph-depth=-1', 'node'], 'trace: --max-graph-depth -1: expected a whole number from 0 to 2147483647'],
    [['--verify=often', 'node'], 'trace: --verify often: expected a whole number from 1 to 2147483647'],
    [['-p', 'profile', '-g', 'f', 'node'], 'trace: --graph is for -p function_graph and function, this is profile'],
    [['--sort', 'self', 'node'], 'trace: --sort is for -p profile, this is function_graph'],
    [['-o', join(root, 'none/x'), 'node'], `cannot write ${join(root, 'none/x')}: no such file or directory`],
    [['no-such-program'], 'cannot run no-such-program: no such program'],
    [['none.wasm'], 'cannot read none.wasm: no such file or directory'],
  ])('%j', async (args, message) => {
    const { end, stdout, stderr } = await fprobe(['trace', ...args]);
    expect({ end, stdout, stderr: stderr.slice(0, 8 + message.length) }).toEqual({
      ...refusal(message),
      stderr: `fprobe: ${message}`,
    });
    expect(stderr.split('\n')).toHaveLength(2);
  });

  test('the program does not start when the trace has nowhere to go', async () => {
    const mark = newFile();
    await fprobe(['trace', '-o', folder, 'node', '-e', `require('fs').writeFileSync('${mark}', '')`]);
    expect(existsSync(mark)).toBe(false);
  });

  test('a glob that matches nothing names what is near; the program’s own failure comes first', async () => {
    const { end, stderr } = await traced(['-l', 'prase'], ['node', ...script('wasm.run()')]);
    expect({ end, stderr }).toEqual({ end: 2, stderr: "fprobe: -l 'prase' matches no function; nearest: parse\n" });
    expect((await traced(['-l', 'prase'], ['node', ...script('process.exitCode = 5')])).end).toBe(5);
  });

  test('a module that cannot be read is told, and the program runs', async () => {
    const body = `WebAssembly.compile(require('fs').readFileSync('${MALFORMED}')).catch((error) => console.log(error.name))`;
    const { end, stdout } = await traced([], ['node', ...script(body)]);
    expect({ end, stdout }).toEqual({ end: 0, stdout: 'CompileError\n' });
  });
});

test('--help has examples that make sense', async () => {
  const { end, stdout } = await fprobe(['trace', '--help']);
  expect(end).toBe(0);
  expect(stdout).toContain('examples:');
  expect(stdout.split('\n').every((line) => line.length <= 100)).toBe(true);
});
