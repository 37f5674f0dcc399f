// build/fprobe.h has every constant of the layout files with its value and its comment, and is C. A compiler for C is not needed for
// that: the header is comments and `#define NAME VALUE`, in which nothing is left to interpretation. Where there is one, it is asked
// as well, and compiles the example of assembly/README.md.

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import * as fprobeLayout from '../../assembly/fprobe/layout.ts';
import * as layout from '../../assembly/layout.ts';
import * as machineLayout from '../../assembly/machine-layout.ts';
import * as ringLayout from '../../assembly/ring-layout.ts';

const root = join(import.meta.dirname, '../..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const header = read('build/fprobe.h');

const LAYOUTS = {
  'layout.ts': layout,
  'ring-layout.ts': ringLayout,
  'fprobe/layout.ts': fprobeLayout,
  'machine-layout.ts': machineLayout,
} as const;
const constants = Object.values(LAYOUTS).flatMap((file) => Object.entries<number>(file));

/// A value as C has it: an int, an unsigned int, or one in parentheses that has a sign.
const INT = /^(?:0x[0-9a-f]+u?|\d+|\((-\d+)(?: - 1)?\))$/;
const intOf = (text: string): number => {
  const [, negative, less] = /^\((-\d+)( - 1)?\)$/.exec(text) ?? [];
  return negative ? Number(negative) - (less ? 1 : 0) : Number(text.replace(/u$/, ''));
};

test('every constant is there once, with its value, and nothing else', () => {
  const defined = [...header.matchAll(/^#define FPRB_(\w+) (.*?)(?: \/\/.*)?$/gm)].map(([, name, text]) => {
    expect(text, name).toMatch(INT);
    return [name, intOf(text)] as const;
  });
  expect(constants.length).toBeGreaterThan(500);
  expect(new Set(defined.map(([name]) => name)).size).toBe(defined.length);
  expect(Object.fromEntries(defined)).toEqual(Object.fromEntries(constants));
});

test('comments are those of the layout files, in their order', () => {
  const comments = (text: string) => [...text.matchAll(/\/\/.*$/gm)].map(([comment]) => comment.replace(/^\/+ ?/, ''));
  const theirs = Object.keys(LAYOUTS).flatMap((file) => [
    `---- assembly/${file}`,
    ...comments(read(`assembly/${file}`)),
  ]);
  expect(comments(header).slice(1)).toEqual(theirs);
});

test('it is C', () => {
  const kinds = new Set(
    header.split('\n').map((line) => {
      // Neither can a comment go on behind its line, nor is there a trigraph that becomes a backslash.
      expect(line).not.toMatch(/\\$|\?\?\//);
      if (/^(\/\/.*)?$/.test(line)) return 'comment';
      const [, directive, rest] = /^#(\w+)(.*)$/.exec(line) ?? [];
      const code = rest?.replace(/\/\/.*$/, '').trim();
      if (directive === 'define' && /^FPRB_H$/.test(code)) return 'guard';
      if (directive === 'define' && /^FPRB_[A-Z]\w* \S.*$/.test(code)) return 'constant';
      if (directive === 'ifndef' && code === 'FPRB_H') return 'guard';
      if (directive === 'endif' && code === '') return 'guard';
      return line;
    }),
  );
  expect([...kinds].sort()).toEqual(['comment', 'constant', 'guard']);
  const directives = header.match(/^#(?:ifndef|endif).*/gm);
  expect(directives).toEqual(['#ifndef FPRB_H', '#endif']);
  expect(header.trimEnd().endsWith('#endif')).toBe(true);
});

const { error } = spawnSync('cc', ['--version']);
const why = error ? ` (there is no cc here: ${error.message})` : '';

test.skipIf(error)(`a compiler agrees, also beside errno.h, and takes the example of the README${why}`, () => {
  const [example] = /(?<=```c\n)#include "fprobe\.h"\n.*?(?=```)/s.exec(read('assembly/README.md'))!;
  const asserts = constants.map(([name, value]) => {
    const as = value < 0 ? `(int64_t)FPRB_${name}` : `FPRB_${name}`;
    return `_Static_assert(${as} == ${value < 0 ? `INT64_C(${value})` : `${value}u`}, "${name}");`;
  });
  const folder = mkdtempSync(join(tmpdir(), 'fprobe-header-'));
  try {
    const path = join(folder, 'header.c');
    writeFileSync(
      path,
      `#include <errno.h>\n#include <limits.h>\n#include <unistd.h>\n${example}\n${asserts.join('\n')}\n`,
    );
    const flags = ['-std=c11', '-Wall', '-Wextra', '-pedantic', '-Werror', '-fsyntax-only', '-I', join(root, 'build')];
    expect(execFileSync('cc', [...flags, path], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })).toBe('');
  } finally {
    rmSync(folder, { recursive: true });
  }
});
