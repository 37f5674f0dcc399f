// How much later does a program start under the hook, with nothing probed? Processes of their own: Node's start with and without
// `--import fprobe/register`, and how long modules take to load: untouched, instrumented without a cache, with a cache that is empty,
// and with one that has them.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { programs } from '../test/programs/index.ts';
import { median, progress, type Report, type Settings, type TableRow } from './harness.ts';

const MODULES = ['sha256', 'sqlite', 'web-ifc'];
const MB = 1e6;

const root = fileURLToPath(new URL('..', import.meta.url));
const register = join(root, 'dist/src/register.js');

/// Prints milliseconds of Node's start and of loading the files of the command line.
const CHILD = `
  const booted = performance.now();
  const bytes = process.argv.slice(1).map((file) => require('node:fs').readFileSync(file));
  const start = performance.now();
  for (const module of bytes) new WebAssembly.Module(module);
  const loaded = performance.now() - start;
  console.log(JSON.stringify({ booted, loaded, hooked: !String(WebAssembly.Module).includes('Module') }));`;

interface Times {
  readonly booted: number;
  readonly loaded: number;
}

type Form = 'untouched' | 'no cache' | 'cold' | 'warm';
const FORMS: readonly Form[] = ['untouched', 'no cache', 'cold', 'warm'];

function start(form: Form, files: readonly string[], cache: string): Times {
  if (form === 'cold') rmSync(cache, { recursive: true, force: true });
  const env = { ...process.env, NODE_OPTIONS: '', FPROBE_CACHE: form === 'no cache' ? '0' : cache };
  const hook = form === 'untouched' ? [] : ['--import', register];
  const { stdout, stderr, status } = spawnSync(process.execPath, [...hook, '-e', CHILD, '--', ...files], {
    encoding: 'utf8',
    env,
  });
  if (status !== 0) throw new Error(`a program that only loads modules failed: ${stderr}`);
  const { hooked, ...times } = JSON.parse(stdout) as Times & { hooked: boolean };
  if (hooked !== (form !== 'untouched')) throw new Error(`«${form}» ran ${hooked ? 'with' : 'without'} the hook`);
  return times;
}

/// Medians over the rounds, the forms taking turns.
function measureForms(settings: Settings, files: readonly string[], cache: string): Record<Form, Times> {
  const rounds = settings.check ? 1 : settings.rounds;
  const all = FORMS.map(() => ({ booted: [] as number[], loaded: [] as number[] }));
  for (let round = 0; round < rounds; round++) {
    FORMS.forEach((form, i) => {
      const { booted, loaded } = start(form, files, cache);
      all[i].booted.push(booted);
      all[i].loaded.push(loaded);
    });
  }
  const medians = all.map(({ booted, loaded }) => ({ booted: median(booted), loaded: median(loaded) }));
  return Object.fromEntries(FORMS.map((form, i) => [form, medians[i]])) as Record<Form, Times>;
}

export function run(settings: Settings): Report {
  if (!existsSync(register)) {
    progress('building dist/');
    const { status } = spawnSync('npm', ['run', '-s', 'build:host'], { cwd: root, stdio: 'inherit' });
    if (status !== 0) throw new Error('dist/ is not there and could not be built');
  }
  const folder = mkdtempSync(join(tmpdir(), 'fprobe-startup-'));
  const cache = join(folder, 'cache');
  try {
    const files = MODULES.map((name) => {
      const bytes = programs.find((program) => program.name === name)!.wasm();
      const path = join(folder, `${name}.wasm`);
      writeFileSync(path, bytes);
      return { name, path, size: bytes.length };
    });
    const sets = files.map(({ name, path, size }) => ({ name, paths: [path], size }));
    const size = files.reduce((sum, file) => sum + file.size, 0);
    sets.push({ name: 'all of them', paths: files.map(({ path }) => path), size });

    const rows: TableRow[] = [];
    const boots: Record<Form, number[]> = { untouched: [], 'no cache': [], cold: [], warm: [] };
    for (const { name, paths, size } of sets) {
      progress(name);
      const times = measureForms(settings, paths, cache);
      for (const form of FORMS) boots[form].push(times[form].booted);
      const added = (form: Form): number => ((times[form].loaded - times.untouched.loaded) * MB) / size;
      rows.push({
        module: name,
        KB: Math.round(size / 1000),
        'untouched ms': times.untouched.loaded,
        'no cache ms': times['no cache'].loaded,
        'cold ms': times.cold.loaded,
        'warm ms': times.warm.loaded,
        'no cache +ms/MB': added('no cache'),
        'warm +ms/MB': added('warm'),
      });
    }
    const [bare, hooked] = [median(boots.untouched), median(boots.warm)];
    return {
      question: 'How much later does a program start under the hook, with nothing probed?',
      rows,
      notes: [`until the program begins: Node ${bare.toFixed(0)} ms, with the hook ${hooked.toFixed(0)} ms`],
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
