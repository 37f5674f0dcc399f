// Signals that a thread sends to its own process, alone or as one of its group. One that nobody listens to ends the process inside of
// `process.kill`, before the next line of the program; with our listeners there (src/hook/endings.ts) it would come when the event
// loop turns, after that line. So whoever is told beforehand takes them away.
//
// `process.kill` itself stays what it is: it checks what it was given and then calls `process._kill`.

import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { groupSignalPath, SESSION_SIGNALS } from '../session.ts';

type Kill = (pid: unknown, signal: unknown) => number;

const NAMES = new Map(SESSION_SIGNALS.map((name) => [constants.signals[name], name]));
/// Where system calls fail that ask for it.
const NO_GROUP = 0;

/// Calls `before` when this thread is about to send its process a signal that a session cares for. `directory`: of the session. For
/// good.
export function hookKill(directory: string, before: (signal: NodeJS.Signals) => void): void {
  const holder = process as unknown as { _kill?: Kill };
  const own = holder._kill;
  if (typeof own !== 'function') return;
  holder._kill = new Proxy(own, {
    apply(target, self, args: [pid: unknown, signal: unknown]) {
      try {
        const signal = NAMES.get(args[1] as number);
        // To JavaScript a pid may be a string, too.
        if (signal) announce(Number(args[0]), signal);
      } catch {} // it is sent all the same
      return Reflect.apply(target, self, args);
    },
  });

  function announce(pid: number, signal: NodeJS.Signals): void {
    const toGroup = pid === 0 || (pid < -1 && -pid === ownGroup());
    // `fprobe trace` stands in our group, and passes on to us what it gets.
    if (toGroup) note(signal);
    if (toGroup || pid === process.pid) before(signal);
  }

  function note(signal: NodeJS.Signals): void {
    try {
      writeFileSync(groupSignalPath(directory, signal), '');
    } catch {} // the program has removed the directory
  }
}

/// The process group that we are in: a process of Node stays in the one that it began in.
function ownGroup(): number {
  group ??= askGroup();
  return group;
}

let group: number | undefined;

function askGroup(): number {
  try {
    // `PID (NAME) STATE PPID GROUP …`, any bytes in NAME.
    const [, , , own] = (readFileSync('/proc/self/stat', 'latin1').split(')').at(-1) as string).split(' ');
    return Number(own);
  } catch {} // not on this system
  try {
    return Number(execFileSync('ps', ['-o', 'pgid=', '-p', String(process.pid)], { encoding: 'latin1' }));
  } catch {
    return NO_GROUP;
  }
}
