// Which fprobe this is.

import { readFileSync } from 'node:fs';

/// `0.1.0`, from package.json.
export function packageVersion(): string {
  return JSON.parse(readFileSync(new URL(import.meta.resolve('fprobe/package.json')), 'utf8')).version;
}
