// Modules that a package carries inside its JavaScript as a string literal, one character a byte.
import { runInThisContext } from 'node:vm';
import { type Bytes, textOf } from './program.ts';

/// The module's bytes out of the literal in `file` that begins with the WebAssembly magic.
export function embedded(file: string): Bytes {
  const text = textOf(file);
  const start = text.search(/["'`](?:\0|\\0|\\x00)asm/);
  if (start < 0) throw new Error(`${file} contains no literal that begins with \\0asm`);
  const quote = text[start];
  let end = start + 1;
  while (text[end] !== quote) end += text[end] === '\\' ? 2 : 1;
  const literal: string = runInThisContext(text.slice(start, end + 1));
  // The packages' encoder writes a zero byte as character 256; the typed array takes each modulo 256.
  return Uint8Array.from(literal, (character) => character.charCodeAt(0));
}
