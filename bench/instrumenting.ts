// How fast are modules instrumented, how much do they grow, and how much memory does it take? All modules of test/programs and
// the largest others that the development dependencies bring. The engine's own validation of the same bytes stands beside it:
// it has to look at every instruction too.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { instrument, readModule } from '../src/instrument/index.ts';
import { programs } from '../test/programs/index.ts';
import { bytesOf } from '../test/programs/program.ts';
import { measure, progress, type Report, type Settings, type TableRow } from './harness.ts';

const SPEED_MIN = 50;
const GROWTH_MAX = 25;
const MEMORY_MAX = 4;
/// Other modules are looked at when they have this much code; most large files are tables with little code to go with them.
const CODE_MIN = 1 << 19;
/// Below this the memory that a process takes for itself hides what the module takes.
const MEMORY_MODULE_MIN = 1 << 20;
const SECTION_CODE = 10;

interface Module {
  readonly name: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

const packages = join(dirname(createRequire(import.meta.url).resolve('wabt/package.json')), '..');

/// Paths of the .wasm files in the installed packages.
function* wasmFiles(folder: string): Generator<string> {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* wasmFiles(path);
    else if (entry.name.endsWith('.wasm')) yield path;
  }
}

function modules({ programs: names, check }: Settings): Module[] {
  const result: Module[] = programs
    .filter(({ name }) => names.length === 0 || names.includes(name))
    .map((program) => ({ name: program.name, bytes: program.wasm() }));
  if (names.length > 0 || check) return result;
  const seen = new Set(result.map(({ bytes }) => bytes.length));
  for (const path of wasmFiles(packages)) {
    const { size } = statSync(path);
    if (size < CODE_MIN || seen.has(size)) continue; // packages ship the same module several times
    const parts = path.slice(packages.length + 1).split(sep);
    const bytes = bytesOf(parts.join('/'));
    if (codeOf(bytes) < CODE_MIN) continue;
    seen.add(size);
    result.push({ name: `${parts[0].startsWith('@') ? parts[1] : parts[0]}: ${parts.at(-1)}`, bytes });
  }
  return result;
}

/// Bytes of the code section.
function codeOf(bytes: Uint8Array): number {
  const code = readModule(bytes).sections.find(({ id }) => id === SECTION_CODE);
  return code ? code.end - code.start : 0;
}

const growth = (before: number, after: number): number => (100 * (after - before)) / before;

/// The bytes as an instrumented module, of which an engine is asked whether it is one.
function checked({ name, bytes }: Module, args: boolean): Uint8Array {
  const result = instrument(bytes, { validate: false, args });
  if (!WebAssembly.validate(result.bytes as Uint8Array<ArrayBuffer>)) {
    throw new Error(`${name}: the instrumented module is not valid`);
  }
  if (result.sites.length + result.skipped.length !== readModule(bytes).bodySizes.length) {
    throw new Error(`${name}: ${result.sites.length} functions have a gate, not all of them`);
  }
  return result.bytes;
}

/// Highest memory use of a process of its own while it instruments the module, as a multiple of the module's size.
function peak(bytes: Uint8Array, folder: string): number {
  const file = join(folder, 'module.wasm');
  writeFileSync(file, bytes);
  const child = fileURLToPath(new URL('./instrumenting-peak.ts', import.meta.url));
  const { stdout, stderr, status } = spawnSync(
    process.execPath,
    ['--expose-gc', '--import', import.meta.resolve('tsx'), child, file],
    { encoding: 'utf8' },
  );
  if (status !== 0) throw new Error(`measuring memory failed: ${stderr}`);
  return Number(stdout) / bytes.length;
}

export function run(settings: Settings): Report {
  const rows: TableRow[] = [];
  const sum = { bytes: 0, code: 0, after: 0, afterArgs: 0, fast: 0, checked: 0 };
  const slow: string[] = [];
  const grown: string[] = [];
  const large: number[] = [];
  const folder = mkdtempSync(join(tmpdir(), 'fprobe-bench-'));
  try {
    for (const module of modules(settings)) {
      progress(module.name);
      const { name, bytes } = module;
      const after = checked(module, false).length;
      const afterArgs = checked(module, true).length;
      if (settings.check) continue;
      const rates = measure(
        [
          { name: `${name}: validate`, run: () => WebAssembly.validate(bytes), expected: true },
          {
            name: `${name}: instrument`,
            run: () => instrument(bytes, { validate: false }).bytes.length,
            expected: after,
          },
          { name: `${name}: instrument and validate`, run: () => instrument(bytes).bytes.length, expected: after },
        ],
        { ...settings, rounds: Math.ceil(settings.rounds / 2) },
      );
      const [engine, fast, validated] = rates.map(({ ns }) => (1000 * bytes.length) / ns);
      const info = readModule(bytes);
      const codeSize = codeOf(bytes);
      const memory = bytes.length >= MEMORY_MODULE_MIN ? peak(bytes, folder) : '';
      sum.bytes += bytes.length;
      sum.code += codeSize;
      sum.after += after;
      sum.afterArgs += afterArgs;
      sum.fast += bytes.length / fast;
      sum.checked += bytes.length / validated;
      if (fast < SPEED_MIN) slow.push(`${name} ${fast.toFixed(0)}`);
      if (growth(bytes.length, after) > GROWTH_MAX) grown.push(`${name} ${growth(bytes.length, after).toFixed(0)} %`);
      if (memory !== '') large.push(memory);
      rows.push({
        module: name,
        KiB: Math.round(bytes.length / 1024),
        'code KiB': Math.round(codeSize / 1024),
        functions: info.bodySizes.length,
        'MB/s': fast,
        'checked MB/s': validated,
        'engine validates MB/s': engine,
        'growth %': growth(bytes.length, after),
        'of the code %': codeSize ? (100 * (after - bytes.length)) / codeSize : '',
        'with args %': growth(bytes.length, afterArgs),
        'peak ×': memory,
      });
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  if (settings.check) return { question: '', rows, notes: [] };
  const all = { fast: sum.bytes / sum.fast, checked: sum.bytes / sum.checked, growth: growth(sum.bytes, sum.after) };
  return {
    question: 'How fast are modules instrumented, how much do they grow, and how much memory does it take?',
    rows,
    notes: [
      `all together: ${all.fast.toFixed(0)} MB/s, ${all.checked.toFixed(0)} MB/s with the engine’s check (target ${SPEED_MIN}); below it: ${slow.join(', ') || 'none'}`,
      `growth of all together: ${all.growth.toFixed(1)} % (target ${GROWTH_MAX} % each), ${growth(sum.bytes, sum.afterArgs).toFixed(1)} % with args; above it: ${grown.join(', ') || 'none'}`,
      large.length > 0
        ? `memory: at most ${Math.max(...large).toFixed(1)} × the module (target ${MEMORY_MAX}), what is garbage included`
        : '',
    ].filter((note) => note !== ''),
  };
}
