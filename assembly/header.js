// The layout files → build/fprobe.h: their constants for who embeds the engine in C, with the comments that say what they are. A
// layout file is JavaScript as it stands, so the numbers are those that it comes to, not what is read out of its text.

import { readFileSync } from 'node:fs';

const FILES = ['layout.ts', 'ring-layout.ts', 'fprobe/layout.ts', 'machine-layout.ts'];
/// In front of every name: C has one space of names, and errno.h is in it.
const PREFIX = 'FPRB_';
const INT_MAX = 2 ** 31 - 1;

/// The text of fprobe.h. Throws for a constant that it could not hold, and for a line that is neither constant nor comment.
export async function header() {
  const texts = FILES.map((file) => readFileSync(new URL(file, import.meta.url), 'utf8').replace(/^import[^;]*;\n/gm, ''));
  const values = await import(`data:text/javascript,${encodeURIComponent(texts.join(''))}`);
  const lines = texts.flatMap((text, k) => ['', `// ---- assembly/${FILES[k]}`, '', ...converted(FILES[k], text, values)]);
  return `// The constants of fprobe.wasm and machine.wasm, made from the layout files. assembly/README.md says what to do with them.

#ifndef FPRB_H
#define FPRB_H
${lines.join('\n')}

#endif
`;
}

function converted(file, text, values) {
  return text.trim().split('\n').map((line) => {
    if (line === '') return '';
    // A comment ends with its line, unless a backslash is the last of it.
    if (line.endsWith('\\')) throw new Error(`assembly/${file}: a line ends with a backslash: ${line}`);
    if (line.startsWith('//')) return line.replace(/^\/\/\/?/, '//');
    const [, name, written, comment = ''] = /^export const (\w+) = ([^;]+);( \/\/.*)?$/.exec(line) ?? [];
    if (name === undefined) throw new Error(`assembly/${file}: neither a constant nor a comment: ${line}`);
    return `#define ${PREFIX}${name} ${literal(name, written, values[name])}${comment}`;
  });
}

function literal(name, written, value) {
  if (!Number.isInteger(value) || value < -INT_MAX - 1 || value > 2 * INT_MAX + 1) {
    throw new Error(`${name} is ${value}, expected a number of 32 bits`);
  }
  if (value > INT_MAX) return `0x${value.toString(16)}u`;
  if (value < -INT_MAX) return `(-${INT_MAX} - 1)`;
  if (value < 0) return `(${value})`;
  return written.startsWith('0x') ? `0x${value.toString(16)}` : `${value}`;
}
