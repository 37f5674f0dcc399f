// The text of `fprobe trace --help`.

import { TRACE_OPTION_NAMES } from './trace-options.ts';

const WIDTH = 56;

/// The names in lines of about `WIDTH` characters, each behind `indent`.
function wrap(names: readonly string[], indent: string): string {
  const lines = [''];
  for (const name of names) {
    const line = lines[lines.length - 1];
    if (line.length + name.length > WIDTH) lines.push(name);
    else lines[lines.length - 1] = line === '' ? name : `${line} ${name}`;
  }
  return lines.join(`\n${indent}`);
}

const INDENT = ' '.repeat(23);

export const TRACE_HELP = `usage: fprobe trace [OPTION]… [--] COMMAND [ARG]…

Runs COMMAND, traces the functions of every WebAssembly module that it loads, in all its Node
processes and threads, and prints the trace when it has ended. COMMAND is anything that ends in
Node (node …, npm run …, npx …), a script (app.js), or a program of WASI (prog.wasm).

  -p, --tracer TRACER  function_graph (default), function, or profile
  -l, --filter GLOB    only functions whose name matches (several: any of them)
  -n, --notrace GLOB   not those
  -g, --graph GLOB     only what runs inside of these functions
      --graph-notrace GLOB
                       not these functions, nor what runs inside of them
      --max-graph-depth N
                       calls that deep and no deeper; 0 = all
      --threshold US   only calls that took so many microseconds or more;
                       of profile: only functions whose calls took so much on average
      --module GLOB    only in modules whose name matches
  -P, --pid PID[,PID]  only on tasks with these pids: 1 is the one that every thread begins with,
                       the main thread of a process and each worker (so is the pid that the trace
                       shows, that of the process); others are what the program makes of its own
                       by createTask of fprobe/register
      --notrace-pid PID[,PID]
                       not on these tasks; with -O function-fork these and those are also
                       what tasks of the list fork
  -O, --option OPTION  a trace option, or no and its name to switch it off:
                       ${wrap(TRACE_OPTION_NAMES, INDENT)}
  -C, --clock CLOCK    mono (default): nanoseconds; counter: event numbers, which cost nothing
  -b, --buffer-size KB room for each thread's events; default 4096
  -o, --output FILE    where the trace goes; default: standard output, after the program's own
      --sort KEY       of profile: self (default), total, calls, avg, max, name
      --per-thread     of profile: a table for every thread
      --verify[=N]     compare the shadow stack with the real one at every N-th entry (1000)
      --dir HOST[::GUEST]
                       WASI: a directory that the program may use
      --env NAME[=VALUE]
                       WASI: a variable of its environment
  -h, --help           this text

The exit status is the program's, also when a signal ended it. Where the program succeeded: 2 when
a GLOB matched nothing or no task has a PID, 1 when --verify found a difference. 2 for a command
line without sense.

examples:
  fprobe trace -- node app.js
  fprobe trace -l 'sqlite3_*' -o trace.txt -- npm test
  fprobe trace -p profile node app.js | head -20
  fprobe trace -p function -O func_stack_trace -- node app.js
  fprobe trace -g render --max-graph-depth 3 -- npx tsx app.ts
  fprobe trace -p profile --dir . -- prog.wasm input.txt < data
`;
