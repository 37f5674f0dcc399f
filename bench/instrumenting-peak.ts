// The child process of instrumenting.ts: instruments one file and prints how many bytes its memory grew at most meanwhile, the
// module itself not counted. What the code takes is there before: a small module is instrumented first, a few times.

import { readFileSync, writeFileSync } from 'node:fs';
import { instrument } from '../src/instrument/index.ts';
import { sha256 } from '../test/programs/sha256.ts';

const collect = (globalThis as { gc?: () => void }).gc!;

/// The highest that the resident set was since the last call, in bytes.
function highest(): number {
  const kibibytes = (): number => process.resourceUsage().maxRSS;
  try {
    const status = readFileSync('/proc/self/status', 'utf8');
    return Number(/VmHWM:\s+(\d+)/.exec(status)![1]) * 1024;
  } catch {
    return kibibytes() * 1024;
  }
}

function forgetHighest(): void {
  try {
    writeFileSync('/proc/self/clear_refs', '5'); // Linux: the mark begins anew. Elsewhere what came before counts too
  } catch {}
}

const bytes = new Uint8Array(readFileSync(process.argv[2]));
const small = sha256.wasm();
for (let i = 0; i < 30; i++) instrument(small, { validate: false });
collect();
forgetHighest();
const before = process.memoryUsage.rss();
const { sites } = instrument(bytes, { validate: false });
if (sites.length === 0) throw new Error('no function has a gate');
process.stdout.write(String(Math.max(0, highest() - before)));
