// `fprobe replay`: a recorded graph, called again on the model of a CPU and traced another way.

import { CPUS } from '../arch/index.ts';
import { NoMatchError } from '../errors.ts';
import { ReplayError, readReplay } from '../target/machine-replay.ts';
import { Tracer } from '../tracer.ts';
import { checkTracer } from './tracers.ts';
import { expectedNames, parse, readInput, UsageError } from './usage.ts';

const HELP = `usage: fprobe replay FILE [-p TRACER] [-l GLOB]… [-n GLOB]… [--arch CPU]

FILE is a trace of the kernel's function_graph tracer: of one CPU and one task, with the duration column. Its calls are made again, with
the same durations, on a model of that CPU, through its trampolines and with its registers, and what is traced meanwhile is printed.

  -p, --tracer TRACER  function_graph (default), function, or profile
  -l, --filter GLOB    only functions whose name matches (several: any of them)
  -n, --notrace GLOB   not those
      --arch CPU       ${Object.keys(CPUS).join(', ')}; default x86_64
  -h, --help           this text

examples:
  fprobe replay trace.txt
  fprobe replay trace.txt -p profile -l 'vfs_*'
`;

const TRACERS = ['function_graph', 'function', 'profile'];

export async function replay(args: string[]): Promise<number> {
  const { values, positionals } = parse('fprobe replay --help', {
    args,
    allowPositionals: true,
    options: {
      tracer: { type: 'string', short: 'p', default: 'function_graph' },
      filter: { type: 'string', short: 'l', multiple: true },
      notrace: { type: 'string', short: 'n', multiple: true },
      arch: { type: 'string', default: 'x86_64' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const [path, ...others] = positionals;
  const { tracer: name, arch, filter, notrace } = values;
  if (path === undefined) throw new UsageError('replay: which file? see fprobe replay --help');
  if (others.length > 0) throw new UsageError(`replay: one file at a time, there is also ${others[0]}`);
  checkTracer('replay', name, TRACERS);
  if (!Object.hasOwn(CPUS, arch))
    throw new UsageError(`replay: there is no CPU '${arch}'${expectedNames(arch, Object.keys(CPUS))}`);
  process.stdout.write(await traced(path, name, arch as keyof typeof CPUS, { filter, notrace }));
  return 0;
}

async function traced(
  path: string,
  name: string,
  arch: keyof typeof CPUS,
  pair: { filter?: string[]; notrace?: string[] },
): Promise<string> {
  const text = new TextDecoder().decode(readInput(path));
  let recording: ReturnType<typeof readReplay>;
  try {
    recording = readReplay(text, CPUS[arch]);
  } catch (error) {
    throw error instanceof ReplayError ? new UsageError(`${path}: ${error.message}`) : error;
  }
  if (recording.calls === 0) throw new UsageError(`${path}: there is no call in it`);
  const tracer = await Tracer.create();
  const machine = tracer.machine({ arch, symbols: recording.symbols, cpu: recording.cpu });
  try {
    tracer.checkFilter(pair);
  } catch (error) {
    throw error instanceof NoMatchError ? new UsageError(`replay: ${error.message}`) : error;
  }
  const user =
    name === 'function_graph'
      ? tracer.startGraph(pair)
      : name === 'function'
        ? tracer.startFunction(pair)
        : tracer.startProfile(pair);
  machine.start(recording.program);
  return 'read' in user ? user.read() : user.text();
}
