#!/usr/bin/env node
// The command line: finds the command, runs it, and turns what it throws into one line and an exit code.

import { list } from './list.ts';
import { replay } from './replay.ts';
import { trace } from './trace.ts';
import { isSystemError, reason, UsageError } from './usage.ts';
import { packageVersion } from './version.ts';

/// A command gets the arguments after its name and returns the exit code.
interface Command {
  readonly summary: string;
  readonly run: (args: string[]) => number | Promise<number>;
}

const COMMANDS: Readonly<Record<string, Command>> = {
  list: { summary: 'the functions of a WebAssembly file that can be probed', run: list },
  replay: { summary: 'call what a function_graph recorded once more, on the model of a CPU', run: replay },
  trace: { summary: 'run a program and trace the WebAssembly that it loads', run: trace },
};

const EXIT_USAGE = 2;

function help(): string {
  const commands = Object.entries(COMMANDS).map(([name, { summary }]) => `  ${name.padEnd(8)} ${summary}`);
  return `usage: fprobe COMMAND [OPTION]… | --help | --version

Function tracing for WebAssembly.

${commands.join('\n')}

\`fprobe COMMAND --help\` tells more about each.
`;
}

async function main([name, ...args]: string[]): Promise<number> {
  if (name === 'help' && args.length > 0) return main([args[0], '--help']);
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    process.stdout.write(help());
    return name === undefined ? EXIT_USAGE : 0;
  }
  if (name === '--version' || name === '-V') {
    process.stdout.write(`fprobe ${packageVersion()}\n`);
    return 0;
  }
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (!command) throw new UsageError(`there is no command '${name}', see fprobe --help`);
  return command.run(args);
}

// A reader that has seen enough (`fprobe list … | head`) is no failure, and there may be more to do and to say elsewhere.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') return;
  process.stderr.write(`fprobe: cannot write to standard output: ${reason(error)}\n`);
  process.exit(EXIT_USAGE);
});

main(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    if (!(error instanceof UsageError || isSystemError(error))) throw error;
    process.stderr.write(`fprobe: ${error.message}\n`);
    process.exitCode = EXIT_USAGE;
  },
);
