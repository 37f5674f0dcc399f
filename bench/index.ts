// `npm run bench`: runs the files of this folder that answer a question, one after the other, prints their tables and keeps
// their figures as JSON.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { apps } from '../test/cli/apps.ts';
import { programs } from '../test/programs/index.ts';
import { clocks, progress, type Question, type Report, type Settings, table } from './harness.ts';

const QUESTIONS: Readonly<Record<string, () => Promise<Question>>> = {
  'gate-off': () => import('./gate-off.ts'),
  'gate-off-programs': () => import('./gate-off-programs.ts'),
  'graph-record': () => import('./graph-record.ts'),
  'engine-pair': () => import('./engine-pair.ts'),
  users: () => import('./users.ts'),
  handlers: () => import('./handlers.ts'),
  fprobe: () => import('./fprobe.ts'),
  statistics: () => import('./statistics.ts'),
  'programs-on': () => import('./programs-on.ts'),
  'trace-programs': () => import('./trace-programs.ts'),
  instrumenting: () => import('./instrumenting.ts'),
  startup: () => import('./startup.ts'),
  depth: () => import('./depth.ts'),
  drain: () => import('./drain.ts'),
  'js-target': () => import('./js-target.ts'),
};

const FULL = { check: false, rounds: 9, seconds: 0.02 };
const QUICK = { check: false, rounds: 5, seconds: 0.01 };
const CHECK = { check: true, rounds: 0, seconds: 0 };

const HELP = `Usage: npm run bench -- [options] [question …]

Measures what tracing costs. Questions, all of them by default:
  ${Object.keys(QUESTIONS).join('\n  ')}

Options:
  --quick      fewer and shorter rounds: figures to look at, not to quote
  --check      run everything once to check its results, time nothing
  --program P  only this one of the real programs; may be given several times
  --json FILE  write the figures to FILE too (always: build/bench/QUESTION.json)
  --help       show this

Examples:
  npm run bench                                    everything, some 7 minutes
  npm run bench -- gate-off graph-record           two questions
  npm run bench -- --quick --json out.json programs-on --program sqlite
  npm run bench -- --check                         what CI runs
`;

/// Where and with what the figures were made.
function environment(): Record<string, string> {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  return {
    date: new Date().toISOString().slice(0, 10),
    fprobe: version,
    node: process.version,
    v8: process.versions.v8,
    platform: `${process.platform}-${process.arch}`,
    cpu: cpus()[0]?.model ?? 'unknown',
  };
}

function writeJson(file: string | URL, value: unknown): void {
  const path = typeof file === 'string' ? file : fileURLToPath(file);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${JSON.stringify(value, null, 2)}\n`);
}

function print(name: string, { question, rows, notes }: Report, took: string): void {
  const lines = [`${name}: ${question} (${took})`, '', table(rows), ''];
  process.stdout.write(`${[...lines, ...notes.map((note) => `  ${note}`), '', ''].join('\n')}`);
}

function options() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        quick: { type: 'boolean', default: false },
        check: { type: 'boolean', default: false },
        program: { type: 'string', multiple: true, default: [] },
        json: { type: 'string' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
  } catch (error) {
    return fail((error as Error).message);
  }
}

function fail(message: string): never {
  process.stderr.write(`bench: ${message}\nbench: --help shows what there is\n`);
  process.exit(2);
}

async function main(): Promise<void> {
  const { values, positionals } = options();
  if (values.help) {
    process.stdout.write(HELP);
    return;
  }
  const unknown = positionals.find((name) => !(name in QUESTIONS));
  if (unknown !== undefined) fail(`no question '${unknown}', expected ${Object.keys(QUESTIONS).join(', ')}`);
  const names = positionals.length > 0 ? positionals : Object.keys(QUESTIONS);
  const known = new Set([...programs, ...apps].map(({ name }) => name));
  const unknownProgram = values.program.find((name) => !known.has(name));
  if (unknownProgram !== undefined) fail(`no program '${unknownProgram}', expected ${[...known].join(', ')}`);
  const settings: Settings = {
    ...(values.check ? CHECK : values.quick ? QUICK : FULL),
    programs: values.program,
  };
  const results: Record<string, Report> = {};
  // Said now, not after minutes of measuring.
  if (values.json !== undefined) {
    try {
      writeJson(values.json, {});
    } catch (error) {
      fail(`cannot write ${values.json}: ${(error as Error).message}`);
    }
  }
  for (const name of names) {
    const start = clocks();
    progress(name);
    const question = await QUESTIONS[name]();
    const report = await question.run(settings);
    const [passed, processor] = clocks().map((now, i) => ((now - start[i]) / 1000).toFixed(1));
    const took = `${passed} s, ${processor} s of a processor`;
    progress('');
    if (settings.check) {
      process.stdout.write(`${name}: results are right (${took})\n`);
      continue;
    }
    print(name, report, took);
    results[name] = report;
    writeJson(new URL(`../build/bench/${name}.json`, import.meta.url), { ...environment(), ...report });
  }
  if (values.json !== undefined) writeJson(values.json, { ...environment(), results });
}

await main();
