// However a thread of a trace session ends: its parent sees the same end as without the session, and its recording is there.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { assembleText } from '../../bench/shapes.ts';
import type { Recording } from '../../src/recording.ts';
import { recordingSources } from '../../src/recording.ts';
import { ENTRY, TraceEvent } from '../../src/trace/events.ts';
import { Merge } from '../../src/trace/merge.ts';
import type { Outcome } from '../process.ts';
import { Programs } from './run.ts';

const programs = new Programs();
afterAll(() => programs.remove());

beforeAll(async () => {
  programs.write(
    'calls.wasm',
    await assembleText(
      'calls',
      `(module $calls (import "js" "back" (func $back))
        (func $leaf)
        (func (export "f") (call $leaf))
        (func (export "inside") (call $leaf) (call $back))
        (func (export "spin") (call $back) (loop $again (call $leaf) (br $again))))`,
    ),
  );
});

const SETUP = `
  const { readFileSync } = require('node:fs');
  const threads = require('node:worker_threads');
  let back = () => {};
  const compiled = new WebAssembly.Module(readFileSync(__dirname + '/calls.wasm'));
  const { f, inside, spin } = new WebAssembly.Instance(compiled, { js: { back: () => back() } }).exports;
  const up = () => console.log('up');
`;

/// How many events of each function, and the depth at the end.
function calls(recording: Recording): { leaf: number; open: number } {
  const leaf = recording.symbols.find(({ name }) => name === 'leaf')?.site;
  const event = new TraceEvent();
  const merge = new Merge(recordingSources(recording, 0));
  const result = { leaf: 0, open: 0 };
  while (merge.next(event)) {
    if (event.kind === ENTRY && event.func === leaf) result.leaf++;
    result.open += event.kind === ENTRY ? 1 : -1;
  }
  return result;
}

const plain = ({ code, signal, stdout }: Outcome) => ({ code, signal, stdout });
// Stack traces name lines of Node, which differ with the way the program was started.
const firstLine = (stderr: string) => /^\w*Error.*$/m.exec(stderr)?.[0];

interface Case {
  name: string;
  code: string;
  signal?: NodeJS.Signals;
  /// Calls of `leaf` in the main thread, and frames in flight at the end.
  leaf: number;
  open?: number;
}

const CASES: Case[] = [
  { name: 'nothing more to do', code: 'f();', leaf: 1 },
  { name: 'process.exit', code: 'f(); process.exit(3);', leaf: 1 },
  { name: 'process.exit in the middle of a call', code: 'back = () => process.exit(4); inside();', leaf: 1, open: 1 },
  { name: 'process.exitCode', code: 'f(); process.exitCode = 5;', leaf: 1 },
  { name: 'calls in listeners of exit', code: "process.on('exit', () => { f(); f(); }); process.exit(0);", leaf: 2 },
  { name: 'an uncaught error', code: "f(); throw new TypeError('mine');", leaf: 1 },
  { name: 'a trap', code: 'f(); setImmediate(() => { back = () => { throw new Error("in"); }; inside(); });', leaf: 2 },
  { name: 'an unhandled rejection', code: "f(); Promise.reject(new RangeError('mine'));", leaf: 1 },
  { name: 'SIGINT', code: 'f(); up(); setInterval(() => {}, 1000);', signal: 'SIGINT', leaf: 1 },
  { name: 'SIGTERM', code: 'f(); up(); setInterval(() => {}, 1000);', signal: 'SIGTERM', leaf: 1 },
  { name: 'SIGHUP', code: 'f(); up(); setInterval(() => {}, 1000);', signal: 'SIGHUP', leaf: 1 },
  {
    name: 'SIGINT that the program handles',
    code: `process.on('SIGINT', () => { f(); console.log('bye'); process.exit(7); }); up(); setInterval(() => {}, 1000);`,
    signal: 'SIGINT',
    leaf: 1,
  },
  {
    name: 'SIGINT that the program no longer handles',
    code: `const own = () => console.log('never'); process.on('SIGINT', own); process.off('SIGINT', own);
      process.once('SIGINT', own); process.removeAllListeners('SIGINT');
      console.log(process.listenerCount('SIGINT'), process.listeners('SIGINT').length, process.eventNames().includes('SIGINT'));
      f(); up(); setInterval(() => {}, 1000);`,
    signal: 'SIGINT',
    leaf: 1,
  },
  {
    // What `signal-exit` does: it ends the process when nobody but itself listens.
    name: 'SIGTERM in the manner of libraries that clean up',
    code: `const own = () => { f(); if (process.listeners('SIGTERM').length === 1) { process.removeListener('SIGTERM', own);
      process.kill(process.pid, 'SIGTERM'); } };
      process.on('SIGTERM', own); up(); setInterval(() => {}, 1000);`,
    signal: 'SIGTERM',
    leaf: 1,
  },
];

describe('the main thread', () => {
  test.each(CASES)('$name', async ({ name, code, signal, leaf, open = 0 }) => {
    const file = `${name.replace(/\W/g, '-')}.cjs`;
    programs.write(file, SETUP + code);
    let sent = 0;
    const onOutput = (stdout: string, kill: (signal: NodeJS.Signals) => void) => {
      if (signal && stdout.includes('up\n') && sent++ < 2) kill(signal);
    };
    const untouched = await programs.run(file, { onOutput });
    sent = 0;
    const { recordings, ...traced } = await programs.traced(file, {}, { onOutput });
    expect(plain(traced)).toEqual(plain(untouched));
    expect(firstLine(traced.stderr)).toBe(firstLine(untouched.stderr));
    expect(recordings.length).toBe(1);
    expect(calls(recordings[0])).toEqual({ leaf, open });
    const dies = untouched.signal !== null;
    expect(recordings[0].end).toBe(dies ? 'signal' : 'exit');
  });

  test('SIGINT inside a call that never ends', async () => {
    programs.write('spin.cjs', `${SETUP} back = () => require('node:fs').writeSync(1, 'up\\n'); spin();`);
    let killed = false;
    const { recordings, code, signal, stderr } = await programs.traced(
      'spin.cjs',
      { bufferPages: 16 },
      {
        onOutput(_, kill) {
          if (killed) return;
          killed = true;
          kill('SIGINT');
          writeFileSync(join(programs.session, 'interrupt'), 'SIGINT');
        },
      },
    );
    expect({ code, signal, stderr }).toEqual({ code: null, signal: 'SIGINT', stderr: '' });
    expect(recordings.map(({ end }) => end)).toEqual(['signal']);
    expect(recordings[0].lost).toBeGreaterThan(0);
    expect(recordings[0].pages.length).toBe(16 * 1024);
  });
});

describe('workers', () => {
  const worker = (main: string, body: string) => `
    if (require('node:worker_threads').isMainThread) {
      const worker = new (require('node:worker_threads').Worker)(__filename);
      worker.on('error', (error) => console.log(error.message));
      worker.on('exit', (code) => console.log('exit', code));
      worker.on('message', async () => { ${main} });
    } else { ${SETUP} ${body} }`;
  const tell = "threads.parentPort.postMessage('up');";

  test.each<[name: string, main: string, body: string, leaf: number, end: string]>([
    ['nothing more to do', '', `f(); ${tell}`, 1, 'exit'],
    ['process.exit', '', `f(); ${tell} process.exit(3);`, 1, 'exit'],
    ['an uncaught error', '', "f(); throw new Error('mine');", 1, 'exit'],
    [
      'terminate',
      'console.log(await worker.terminate());',
      `f(); ${tell} setInterval(() => {}, 1000);`,
      1,
      'terminate',
    ],
    ['the process ends', 'process.exit(6);', `f(); ${tell} setInterval(() => {}, 1000);`, 1, 'terminate'],
  ])('%s', async (name, main, body, leaf, end) => {
    const file = `worker-${name.replace(/\W/g, '-')}.cjs`;
    programs.write(file, worker(main, body));
    const untouched = await programs.run(file);
    const { recordings, ...traced } = await programs.traced(file);
    expect(plain(traced)).toEqual(plain(untouched));
    expect(recordings.length).toBe(2);
    expect(recordings[1].comm).toMatch(/^worker\d+$/);
    expect({ ...calls(recordings[1]), end: recordings[1].end }).toEqual({ leaf, open: 0, end });
  });

  const busy = 'for (const end = Date.now() + 2000; Date.now() < end; ) f();';
  test.each<[name: string, main: string, body: string]>([
    ['that waits', 'process.exit(2);', `${busy} ${tell} Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);`],
    ['inside an endless call', 'setTimeout(() => worker.terminate(), 400);', `${tell} spin();`],
  ])('%s when it is ended leaves what it had done some time before', async (name, main, body) => {
    const file = `worker-${name.replace(/\W/g, '-')}.cjs`;
    programs.write(file, worker(main, body));
    const { recordings, code, stdout } = await programs.traced(file, { bufferPages: 16 });
    expect({ code, stdout }).toEqual(name === 'that waits' ? { code: 2, stdout: '' } : { code: 0, stdout: 'exit 1\n' });
    expect(recordings[1].end).toBe('snapshot');
    expect(calls(recordings[1]).leaf).toBeGreaterThan(100);
  });

  test('a profile', async () => {
    programs.write('profile.cjs', `${SETUP} f(); f(); back = () => process.exit(); inside();`);
    const { recordings } = await programs.traced('profile.cjs', { tracer: 'profile', filter: ['leaf', 'f'] });
    const [{ rows, symbols, globs, modules }] = recordings;
    const name = (site: number) => symbols.find((symbol) => symbol.site === site)?.name;
    expect(rows.map(({ site, count }) => [name(site), count]).sort()).toEqual([
      ['f', 2],
      ['leaf', 3],
    ]);
    expect(globs).toEqual([
      { option: 'filter', glob: 'leaf', matched: 1, nearest: [] },
      { option: 'filter', glob: 'f', matched: 1, nearest: [] },
    ]);
    expect(modules).toMatchObject([{ name: 'calls', functions: 4, matched: 2 }]);
  });

  test('globs that match nothing, and modules that are not asked for', async () => {
    programs.write('none.cjs', `${SETUP} f();`);
    const [wrong, other] = await Promise.all([
      programs.traced('none.cjs', { filter: ['laef'] }),
      programs.traced('none.cjs', { module: ['call'] }),
    ]);
    expect(wrong.recordings[0].globs).toEqual([{ option: 'filter', glob: 'laef', matched: 0, nearest: ['leaf'] }]);
    expect(other.recordings[0].globs).toEqual([{ option: 'module', glob: 'call', matched: 0, nearest: ['calls'] }]);
    expect(other.recordings[0].counts.entries).toBe(0);
    expect(other.stdout).toBe('');
  });
});
