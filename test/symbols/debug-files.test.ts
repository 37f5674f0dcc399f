import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { readModule } from '../../src/instrument/reader.ts';
import { debugFilesBeside } from '../../src/symbols/debug-files.ts';
import { Locations } from '../../src/symbols/locations.ts';
import { BZ2, program, text, withSections } from './modules.ts';

const folder = mkdtempSync(join(tmpdir(), 'fprobe-'));
const wasm = join(folder, 'a.wasm');
mkdirSync(join(folder, 'maps'));
writeFileSync(join(folder, 'maps/a b.map'), '{"version":3}');
writeFileSync(join(folder, '100%.map'), '{}');
const stripped = withSections(program(BZ2), () => true);

function read(sections: Record<string, number[]>): { sourceMap?: string; debugInfo?: number; warnings: string[] } {
  const warnings: string[] = [];
  const module = readModule(withSections(stripped, () => false, sections));
  const { sourceMap, debugInfo } = debugFilesBeside(wasm, module, (message) => warnings.push(message));
  return { sourceMap, debugInfo: debugInfo?.length, warnings };
}

test.each([
  ['maps/a%20b.map', '{"version":3}'],
  ['./maps/a%20b.map?v=1#x', '{"version":3}'],
  [pathToFileURL(join(folder, 'maps/a b.map')).href, '{"version":3}'],
  ['100%.map', '{}'],
  ['data:application/json,{}', undefined],
  ['', undefined],
])('a source map at %j', (url, sourceMap) => {
  expect(read({ sourceMappingURL: text(url) })).toEqual({ sourceMap, debugInfo: undefined, warnings: [] });
});

test('one that is not there, or is elsewhere', () => {
  expect(read({ sourceMappingURL: text('none.map') }).warnings).toEqual([
    expect.stringMatching(/^no source map: ENOENT: /),
  ]);
  expect(read({ sourceMappingURL: text('https://example.org/a.map') }).warnings).toEqual([
    'no source map: https://example.org/a.map is no file',
  ]);
  expect(read({ external_debug_info: text('none.wasm') }).warnings).toEqual([
    expect.stringMatching(/^no debug information: ENOENT: /),
  ]);
  expect(read({})).toEqual({ sourceMap: undefined, debugInfo: undefined, warnings: [] });
});

test('DWARF in a file of its own', () => {
  writeFileSync(join(folder, 'a.debug.wasm'), program(BZ2));
  const module = readModule(withSections(stripped, () => false, { external_debug_info: text('a.debug.wasm') }));
  const locations = new Locations(
    module,
    debugFilesBeside(wasm, module, (message) => expect(message).toBe('')),
  );
  const found = Array.from(module.bodyOffsets, (offset, i) => locations.find(offset, module.bodySizes[i]));
  expect(found.filter((place) => place !== undefined)).toHaveLength(885);
});
