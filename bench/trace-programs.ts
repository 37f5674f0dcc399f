// What does watching a whole program cost, from its start to its end? Each program runs as a process of its own: untouched, under
// the hook with nothing probed, counted, recorded. A process is timed by the lesser of the time that went by and the time that it
// had a processor, which the shell tells of its children.

import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { listRecordings, type RecordedModule, readRecording } from '../src/recording.ts';
import { sessionEnvironment, type TraceRequest, writeRequest } from '../src/session.ts';
import { type App, apps, launch } from '../test/cli/apps.ts';
import { geometricMean, median, progress, type Report, type Settings, type TableRow } from './harness.ts';

const ROUNDS = 5;
const SLOW_ROUNDS = 3;
const SLOW_SECONDS = 2;
const MB = 1e6;

const root = fileURLToPath(new URL('..', import.meta.url));
const register = new URL('../dist/src/register.js', import.meta.url).href;
const folder = mkdtempSync(join(tmpdir(), 'fprobe-bench-'));
const cache = join(folder, 'cache');

/// One way of running a program: what it finds in its environment.
interface Way {
  readonly name: string;
  readonly wishes?: Partial<TraceRequest>;
  readonly cache?: string;
}

const UNTOUCHED: Way = { name: 'untouched' };
const WAYS: readonly Way[] = [
  UNTOUCHED,
  { name: 'off, first time', cache: '0' },
  { name: 'off', cache },
  { name: 'profile', cache, wishes: { tracer: 'profile', clock: 'counter' } },
  { name: 'graph', cache, wishes: { clock: 'counter' } },
  { name: 'graph, mono', cache, wishes: { clock: 'mono' } },
];

interface Outcome {
  readonly seconds: number;
  readonly stdout: string;
  readonly modules: readonly RecordedModule[];
}

function start(app: App, { wishes, cache: cacheFolder }: Way): Outcome {
  const session = join(folder, 'session');
  rmSync(session, { recursive: true, force: true });
  mkdirSync(session);
  let env: NodeJS.ProcessEnv = { ...process.env, PATH: `${dirname(process.execPath)}:${process.env.PATH}` };
  if (wishes) env = sessionEnvironment(writeRequest(session, wishes), register, env);
  else if (cacheFolder) env.NODE_OPTIONS = `--require=${fileURLToPath(register)}`;
  if (cacheFolder) env.FPROBE_CACHE = cacheFolder;
  const [file, args] = launch(app);
  const began = performance.now();
  // The program's standard error is closed; `times` has the last two lines of it to itself.
  const script = '"$@" 2>/dev/null; code=$?; times >&2; exit $code';
  const { status, stdout, stderr } = spawnSync('sh', ['-c', script, 'sh', file, ...args], {
    ...{ cwd: root, env, encoding: 'utf8', maxBuffer: 1 << 26 },
  });
  const passed = (performance.now() - began) / 1000;
  if (status !== (app.code ?? 0)) throw new Error(`${app.name} ended with ${status}: ${stderr}`);
  const times = [
    ...stderr
      .trimEnd()
      .split('\n')
      .slice(-1)[0]
      .matchAll(/(\d+)m([\d.]+)s/g),
  ];
  const processor = times.reduce((sum, [, minutes, seconds]) => sum + 60 * Number(minutes) + Number(seconds), 0);
  const modules = wishes ? listRecordings(session).flatMap((path) => readRecording(path).modules) : [];
  return { seconds: Math.min(passed, processor), stdout, modules };
}

/// The modules of a program, each once, whatever threads had it.
function sizes(modules: readonly RecordedModule[]): { functions: number; size: number; growth: number } {
  const once = new Map(
    modules.filter(({ instrumentedSize }) => instrumentedSize > 0).map((m) => [`${m.name} ${m.size}`, m]),
  );
  const all = [...once.values()];
  const sum = (value: (module: RecordedModule) => number) => all.reduce((total, module) => total + value(module), 0);
  const size = sum((module) => module.size);
  return { functions: sum((module) => module.functions), size, growth: sum((m) => m.instrumentedSize) / size - 1 };
}

export function run({ check, rounds, programs }: Settings): Report {
  const rows: TableRow[] = [];
  const ratios = WAYS.map((): number[] => []);
  const wanted = apps.filter(({ name }) => programs.length === 0 || programs.includes(name));
  try {
    for (const app of check ? wanted.slice(0, 1) : wanted) {
      const first = start(app, UNTOUCHED);
      const seconds = WAYS.map((): number[] => []);
      let facts = sizes([]);
      const most = check ? 1 : first.seconds > SLOW_SECONDS ? SLOW_ROUNDS : ROUNDS;
      for (let round = 0; round < (check ? 1 : Math.min(rounds, most)); round++) {
        WAYS.forEach((way, i) => {
          progress(`trace-programs: ${app.name}, round ${round + 1}, ${way.name}`);
          const outcome = start(app, way);
          if (outcome.stdout !== first.stdout) throw new Error(`${app.name}, ${way.name}: it printed something else`);
          if (outcome.modules.length > 0) facts = sizes(outcome.modules);
          seconds[i].push(outcome.seconds);
        });
      }
      if (check) continue;
      const [, ...ratio] = seconds.map((times) => median(times.map((time, round) => time / seconds[0][round])));
      ratio.forEach((value, i) => {
        ratios[i + 1].push(value);
      });
      rows.push({
        program: app.name,
        functions: facts.functions,
        MB: facts.size / MB,
        'growth %': 100 * facts.growth,
        'untouched s': median(seconds[0]),
        ...Object.fromEntries(ratio.map((value, i) => [`${WAYS[i + 1].name} ×`, value])),
      });
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  if (check) return { question: '', rows, notes: [] };
  const means = WAYS.slice(1).map(({ name }, i) => `${name} ${geometricMean(ratios[i + 1]).toFixed(2)}`);
  return {
    question: 'What does watching a whole program cost, from the start of its process to the end?',
    rows,
    notes: [
      `geometric means: ${means.join(', ')}`,
      '"first time": instrumented while loading, nothing cached; all others find the instrumented module in the cache',
      'every function is watched; profile and graph with the clock counter, unless it says mono',
    ],
  };
}
