// Tables of names: one a line, fields separated by tabs, `#` begins a comment.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export function table(name: string): string[][] {
  const text = readFileSync(join(import.meta.dirname, '../fixtures', name), 'utf8');
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return lines.map((line) => line.split('\t'));
}
