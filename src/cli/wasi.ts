// Runs a program of WASI preview 1 with Node's own implementation: `node wasi.js SETTINGS ARGS…`, where SETTINGS is the JSON of
// `WasiSettings`. Started by `fprobe trace`, below the hook; by itself it just runs the program.
//
// Ends as other runners do: with the program's exit code, with 134 after a trap (what a shell sees of SIGABRT), with 2 when the
// program could not be started.

import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { WASI } from 'node:wasi';
import type { WasiSettings } from './command.ts';

const EXIT_TRAP = 134;
const EXIT_USAGE = 2;
const VERSIONS = { wasi_snapshot_preview1: 'preview1', wasi_unstable: 'unstable' } as const;

class StartError extends Error {}

function start(settings: WasiSettings, args: readonly string[]): number {
  const { path, preopens, env } = settings;
  const module = new WebAssembly.Module(readFileSync(path));
  const imports = WebAssembly.Module.imports(module);
  const system = imports.find(({ module: name }) => name in VERSIONS)?.module ?? 'wasi_snapshot_preview1';
  const foreign = imports.find(({ module: name }) => name !== system);
  if (foreign) throw new StartError(`it imports ${foreign.module}.${foreign.name}, which is no part of WASI preview 1`);
  if (!WebAssembly.Module.exports(module).some(({ name }) => name === '_start')) {
    throw new StartError('it exports no _start: a library, not a program');
  }
  const wasi = new WASI({
    version: VERSIONS[system as keyof typeof VERSIONS],
    args: [basename(path), ...args],
    env: { ...env },
    preopens: { ...preopens },
    returnOnExit: true,
  });
  const instance = new WebAssembly.Instance(module, wasi.getImportObject() as WebAssembly.Imports);
  return wasi.start(instance);
}

const [settingsText, ...args] = process.argv.slice(2);
const settings = JSON.parse(settingsText) as WasiSettings;
process.argv = [process.argv[0], settings.path, ...args]; // a recording is named by it
try {
  process.exitCode = start(settings, args);
} catch (error) {
  const trapped = error instanceof WebAssembly.RuntimeError || error instanceof RangeError;
  const text = trapped ? (error.stack ?? error.message) : error instanceof Error ? error.message : String(error);
  process.stderr.write(`${settings.path}: ${text}\n`);
  process.exitCode = trapped ? EXIT_TRAP : EXIT_USAGE;
}
