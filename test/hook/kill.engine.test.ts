// Signals that a program sends to itself: nothing of it comes later, or not at all, because somebody records. Each program prints
// what it notices, and does the same untouched and in a trace session.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { assembleText } from '../../bench/shapes.ts';
import { Programs } from './run.ts';

const programs = new Programs();
afterAll(() => programs.remove());

beforeAll(async () => {
  programs.write('calls.wasm', await assembleText('calls', '(module $calls (func (export "f")))'));
});

const SETUP = `
  const { readFileSync, writeSync } = require('node:fs');
  const threads = require('node:worker_threads');
  const { spawn } = require('node:child_process');
  const say = (text) => writeSync(1, text + '\\n');
  const { f } = new WebAssembly.Instance(new WebAssembly.Module(readFileSync(__dirname + '/calls.wasm'))).exports;
  const kill = (pid, signal) => { say('sends'); say('sent ' + process.kill(pid, signal)); };`;

/// The same program once more, as the leader of a process group; who starts it prints how that ends.
const leader = (body: string): string => `${SETUP}
  if (process.argv[2] === 'led') { ${body} }
  else spawn(process.execPath, [__filename, 'led'], { detached: true, stdio: 'inherit' })
    .on('exit', (code, signal) => { f(); say('ended by ' + code + ' ' + signal); });`;

const worker = (main: string, body: string): string => `${SETUP}
  f();
  if (threads.isMainThread) { ${main}; new threads.Worker(__filename).on('exit', () => say('over')); } else { ${body} }`;

// How far a worker itself gets before the process ends is up to the system.
const TELL = "say('sends'); process.kill(process.pid, 'SIGTERM')";

const BUSY = "setTimeout(() => { for (const end = Date.now() + 20000; Date.now() < end; ); say('not busy'); }, 100)";

interface Case {
  name: string;
  code: string;
  /// How its recordings end, in the order of processes and threads.
  ends: string[];
}

const CASES: Case[] = [
  ...['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'].map((signal) => ({
    name: signal,
    code: `${SETUP} f(); kill(process.pid, '${signal}'); process.exit(0);`,
    ends: ['signal'],
  })),
  {
    name: 'by number, in an exit listener, with a pid that is a string',
    code: `${SETUP} f(); process.on('exit', () => kill(String(process.pid), 15));`,
    ends: ['signal'],
  },
  {
    name: 'with no signal named',
    code: `${SETUP} f(); kill(process.pid);`,
    ends: ['signal'],
  },
  {
    name: 'a listener runs when the loop turns, and the program goes on',
    code: `${SETUP} process.on('SIGTERM', (...all) => { f(); say('heard ' + all); clearInterval(timer); });
      const timer = setInterval(() => {}, 1000); kill(process.pid, 'SIGTERM'); kill(process.pid, 0);`,
    ends: ['exit'],
  },
  {
    name: 'a listener that has gone before the loop turns has heard nothing',
    code: `${SETUP} const own = () => say('heard'); process.on('SIGHUP', own); kill(process.pid, 'SIGHUP'); f();
      process.off('SIGHUP', own); setTimeout(() => kill(process.pid, 'SIGHUP'), 50);`,
    ends: ['signal'],
  },
  {
    // What `signal-exit` and many by hand do.
    name: 'a listener cleans up and sends it again',
    code: `${SETUP} process.once('SIGINT', () => { f(); kill(process.pid, 'SIGINT'); process.exit(0); });
      setInterval(() => {}, 1000); kill(process.pid, 'SIGINT');`,
    ends: ['signal'],
  },
  {
    name: 'to others',
    code: `${SETUP} f(); const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { detached: true });
      child.on('exit', (code, signal) => say(code + ' ' + signal)); kill(-child.pid, 'SIGTERM');`,
    ends: ['exit'],
  },
  {
    name: 'mistakes',
    code: `${SETUP} f(); for (const [pid, signal] of [['x', 'SIGTERM'], [process.pid, 'SIGNONE'], [process.pid, 999], [2 ** 22 + 1, 15]])
      try { kill(pid, signal); } catch ({ name, code, message }) { say([name, code, message].join()); }`,
    ends: ['exit'],
  },
  {
    name: 'a worker',
    code: worker('setInterval(() => {}, 1000)', TELL),
    ends: ['signal', 'terminate'],
  },
  {
    name: 'a worker while the main thread is busy',
    code: worker(BUSY, `setTimeout(() => { ${TELL} }, 600)`),
    ends: ['signal', 'terminate'],
  },
  {
    name: 'a worker, and the main thread listens',
    code: worker(
      "const timer = setInterval(() => {}, 1000); process.on('SIGTERM', () => { say('heard'); clearInterval(timer); })",
      "process.kill(process.pid, 'SIGTERM'); f()",
    ),
    ends: ['exit', 'exit'],
  },
  { name: 'group 0', code: leader("f(); kill(0, 'SIGTERM'); process.exit(0);"), ends: ['exit', 'signal'] },
  {
    name: 'the own group',
    code: leader("f(); kill(-process.pid, 'SIGINT'); process.exit(0);"),
    ends: ['exit', 'signal'],
  },
  {
    name: 'a group that another leads',
    code: leader(`f(); if (process.argv[3]) kill(-process.ppid, 'SIGTERM'); else {
      spawn(process.execPath, [__filename, 'led', 'member'], { stdio: 'inherit' }); process.on('SIGTERM', () => process.exit(3)); }`),
    ends: ['exit', 'exit', 'signal'],
  },
];

// A program dies where it stands: what two of them print may come in either order.
const lines = (stdout: string): string[] => stdout.split('\n').sort();

describe('process.kill', () => {
  test.each(CASES)('$name', async ({ name, code, ends }) => {
    const file = `${name.replace(/\W/g, '-')}.cjs`;
    programs.write(file, code);
    const [untouched, traced] = await Promise.all([programs.run(file), programs.traced(file)]);
    const { recordings, stdout, stderr, ...end } = traced;
    expect({ code: end.code, signal: end.signal }).toEqual({ code: untouched.code, signal: untouched.signal });
    expect(lines(stdout)).toEqual(lines(untouched.stdout));
    expect(stderr).toBe(untouched.stderr);
    expect(recordings.map((recording) => recording.end)).toEqual(ends);
    for (const { counts } of recordings) expect(counts.entries).toBeGreaterThan(0);
  });

  test('is what it was', async () => {
    programs.write(
      'kill.cjs',
      `const { kill, _kill } = process; const same = require('node:process').kill === kill;
      for (const fn of [kill, _kill]) console.log(fn.name, fn.length, Object.keys(fn), same, 'prototype' in fn);
      console.log(kill.toString(), Object.getOwnPropertyDescriptor(process, 'kill').writable);`,
    );
    const [untouched, traced] = await Promise.all([programs.run('kill.cjs'), programs.traced('kill.cjs')]);
    expect(traced.stdout).toBe(untouched.stdout);
  });

  test('a stand-in of the program’s own gets what the program sends, and no signal of ours', async () => {
    programs.write(
      'stand-in.cjs',
      `${SETUP} process.kill = (...all) => say('mine ' + all); f(); process.kill(1, 2); say('up'); setInterval(() => {}, 1000);`,
    );
    let sent = false;
    const onOutput = (stdout: string, kill: (signal: NodeJS.Signals) => void) => {
      if (!sent && stdout.includes('up\n')) kill('SIGTERM');
      sent ||= stdout.includes('up\n');
    };
    const { signal, stdout, recordings } = await programs.traced('stand-in.cjs', {}, { onOutput });
    expect({ signal, stdout }).toEqual({ signal: 'SIGTERM', stdout: 'mine 1,2\nup\n' });
    expect(recordings.map(({ end }) => end)).toEqual(['signal']);
  });
});
