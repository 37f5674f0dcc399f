import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { customSections, type ModuleInfo, readModule, SECTION_CODE } from '../../src/instrument/reader.ts';
import { LineTable } from '../../src/symbols/dwarf-line.ts';
import { compilationDirectories } from '../../src/symbols/dwarf-units.ts';
import { functionNames } from '../../src/symbols/function-names.ts';
import { type DebugFiles, Locations } from '../../src/symbols/locations.ts';
import { seeded } from '../trace/random.ts';
import { BZ2, program, SIMPLECC, TREE_SITTER, text, withSections } from './modules.ts';

const NOTHING = new Uint8Array(0);
const isDebug = (name: string): boolean => name.startsWith('.debug_') || name === 'sourceMappingURL';

/// `name file:line` of every function, '' for those without a place.
function places(bytes: Uint8Array, files?: DebugFiles): { names: string[]; places: string[]; warnings: string[] } {
  const module = readModule(bytes);
  const namesOf = functionNames(module);
  const locations = new Locations(module, files);
  const found = Array.from(module.bodyOffsets, (offset, i) => locations.find(offset, module.bodySizes[i]));
  return {
    names: found.map((_, i) => namesOf(i + module.importedFunctions).symbol),
    places: found.map((place) => (place ? `${place.file}:${place.line}` : '')),
    warnings: locations.warnings,
  };
}

describe('web-tree-sitter, debug build', () => {
  const { names, places: found, warnings } = places(program(TREE_SITTER));
  const placeOf = (name: string): string => found[names.indexOf(name)];

  // Looked up in tree-sitter's sources: the line of the brace that opens the function.
  test.each([
    ['ts_parser_new', '/src/lib/src/parser.c:1983'],
    ['ts_language_supertypes', '/src/lib/src/language.c:117'],
    ['fmt_o', '/emsdk/emscripten/system/lib/libc/musl/src/stdio/vfprintf.c:205'],
  ])('%s begins at %s', (name, place) => {
    expect(placeOf(name)).toBe(place);
  });

  test('all but some of the C library, without a warning', () => {
    expect(found.filter((place) => place !== '')).toHaveLength(703);
    expect(found).toHaveLength(766);
    expect(warnings).toEqual([]);
    for (const [i, name] of names.entries())
      if (name.startsWith('ts_')) expect(found[i], name).toMatch(/^\/src\/lib\//);
  });
});

describe.each([
  [TREE_SITTER, 0.99],
  [BZ2, 0.99],
])('%s: its source map says the same as its DWARF', (path, share) => {
  test('for nearly all functions', () => {
    const bytes = program(path);
    const map = new TextDecoder().decode(program(`${path}.map`));
    const dwarf = places(withSections(bytes, (name) => name === 'sourceMappingURL'));
    const mapped = places(withSections(bytes, isDebug), { sourceMap: map });
    expect(mapped.warnings).toEqual([]);
    const line = (place: string): string => place.replace(/.*\//, '');
    const both = dwarf.places.map((place, i) => [line(place), line(mapped.places[i])]).filter(([a, b]) => a && b);
    const same = both.filter(([a, b]) => a === b);
    console.log(`${path}: ${same.length} of ${both.length} functions at the same line`);
    expect(both.length).toBeGreaterThan(500);
    expect(same.length / both.length).toBeGreaterThan(share);
  });
});

describe('where debug information may lie', () => {
  const bytes = program(BZ2);
  const stripped = withSections(bytes, isDebug);
  const whole = places(bytes);

  test('in the module', () => {
    expect(whole.places.filter((place) => place !== '')).toHaveLength(885);
  });
  test('in a file beside it', () => {
    expect(places(stripped, { debugInfo: bytes })).toEqual(whole);
  });
  test('in a data URL', () => {
    const json = JSON.stringify({ version: 3, sources: ['a.c'], names: [], mappings: 'AAAA' });
    for (const url of [`data:application/json,${encodeURIComponent(json)}`, `data:;base64,${btoa(json)}`]) {
      const module = withSections(stripped, () => false, { sourceMappingURL: text(url) });
      expect(new Locations(readModule(module)).find(0, 10)).toEqual({ file: 'a.c', line: 1 });
    }
  });
  test('nowhere', () => {
    const none = places(stripped);
    expect(none.places.every((place) => place === '')).toBe(true);
    expect(none.warnings).toEqual([]);
    expect(places(program(SIMPLECC)).warnings).toEqual([]);
  });
  test('in an indexed source map, after the line that keeps browsers from running it', () => {
    const sections = [0, 5000].map((column, i) => ({
      offset: { line: 0, column },
      map: { version: 3, sources: [`${i}.c`], sourceRoot: 'src', names: [], mappings: 'UAAI' },
    }));
    const sourceMap = `)]}'\n${JSON.stringify({ version: 3, sections })}`;
    const locations = new Locations(readModule(stripped), { sourceMap });
    expect(locations.find(5, 10)).toEqual({ file: 'src/0.c', line: 1 });
    expect(locations.find(5001, 100)).toEqual({ file: 'src/1.c', line: 1 });
    expect(locations.find(11, 4990)).toBeUndefined();
  });
});

describe('debug information that makes no sense is a warning', () => {
  const bytes = withSections(program(BZ2), isDebug);
  test.each<[string, Record<string, number[]>, DebugFiles, string]>([
    [
      'a line table of version 9',
      { '.debug_line': [4, 0, 0, 0, 9, 0, 0, 0] },
      {},
      '.debug_line: the table at 0: version 9',
    ],
    [
      'a line table that is cut off',
      { '.debug_line': [99, 0, 0, 0, 4, 0] },
      {},
      '.debug_line: the table at 0: 99 bytes at 4 are past the end',
    ],
    ['a unit of version 1', { '.debug_info': [2, 0, 0, 0, 1, 0] }, {}, '.debug_info: a unit is skipped: version 1'],
    ['a source map that is none', {}, { sourceMap: '[' }, 'source map: '],
    ['a source map of version 2', {}, { sourceMap: '{"version":2}' }, 'source map: version 2, expected 3'],
    ['a source map without anything', {}, { sourceMap: '{"version":3}' }, 'source map: '],
    ['a data URL without data', { sourceMappingURL: text('data:x') }, {}, 'source map: a data URL without a comma'],
    ['debug information that is no module', {}, { debugInfo: new Uint8Array(9) }, 'external debug information: wasm: '],
  ])('%s', (_, add, files, message) => {
    const { places: found, warnings } = places(
      withSections(bytes, () => false, add),
      files,
    );
    expect(found.every((place) => place === '')).toBe(true);
    expect(warnings.join()).toContain(message);
  });
});

interface Fixture {
  sections: Record<'line' | 'info' | 'abbrev' | 'str' | 'lineStr', string | undefined>;
  rows: [address: number, line: number][];
  functions: Record<'g' | 'main', number>;
}
const fixtures: Record<string, Fixture> = JSON.parse(
  readFileSync(join(import.meta.dirname, '../fixtures/dwarf.json'), 'utf8'),
);

/// A table of sections; what goes wrong fails the test.
function lineTable(sections: Partial<Record<string, Uint8Array>>, warn?: (message: string) => void): LineTable {
  const refuse = (message: string): void => {
    throw new Error(message);
  };
  const all = {
    line: NOTHING,
    info: NOTHING,
    abbrev: NOTHING,
    str: NOTHING,
    lineStr: NOTHING,
    strOffsets: NOTHING,
    ...sections,
  };
  return new LineTable(all, 2 ** 31, compilationDirectories(all, warn ?? refuse), warn ?? refuse);
}

// Two files that gcc 12 compiled and linked for another machine; the rows are those that llvm-dwarfdump prints.
describe.each(Object.entries(fixtures))('DWARF %s', (_, { sections, rows, functions }) => {
  const decode = (base64 = ''): Uint8Array => new Uint8Array(Buffer.from(base64, 'base64'));
  const table = lineTable(Object.fromEntries(Object.entries(sections).map(([key, value]) => [key, decode(value)])));

  test('every row', () => {
    expect(rows.length).toBeGreaterThan(10);
    for (const [address, line] of rows) expect(table.find(address, address + 1)?.line).toBe(line);
  });
  test('files with the directories that they were compiled in', () => {
    expect(table.find(functions.g, functions.g + 50)).toEqual({ file: '/src/a.c', line: 5 });
    expect(table.find(functions.main, functions.main + 9)).toEqual({ file: '/src/b.c', line: 1 });
  });
});

test('units that give their directory by index, before they say where the indices begin', () => {
  const u32 = (value: number): number[] => [value, 0, 0, 0];
  // comp_dir strx1, stmt_list sec_offset, str_offsets_base sec_offset.
  const abbrev = Uint8Array.from([1, 0x11, 0, 0x1b, 0x25, 0x10, 0x17, 0x72, 0x17, 0, 0, 0]);
  const unit = [5, 0, 1, 4, ...u32(0), 1, 1, ...u32(77), ...u32(12)];
  const directories = compilationDirectories(
    {
      info: Uint8Array.from([...u32(unit.length), ...unit]),
      abbrev,
      str: new TextEncoder().encode('wrong\0/right\0'),
      lineStr: NOTHING,
      strOffsets: Uint8Array.from([...u32(12), 5, 0, 0, 0, ...u32(0), ...u32(0), ...u32(6)]),
    },
    (message) => expect(message).toBe(''),
  );
  expect([...directories]).toEqual([[77, '/right']]);
});

describe('line programs', () => {
  const u32 = (value: number): number[] => [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];
  const at = (address: number): number[] => [0, 5, 2, ...u32(address)];
  const END = [0, 1, 1];
  /// A table of version 4 with files a.c and (in directory d) b.c: line base −3, range 12, opcodes from 13.
  const make = (program: number[], { lineRange = 12 } = {}): number[] => {
    const names = [...[0x64, 0], 0, ...[0x61, 0x2e, 0x63, 0, 0, 0, 0], ...[0x62, 0x2e, 0x63, 0, 1, 0, 0], 0];
    const header = [1, 1, 1, 0xfd, lineRange, 13, 0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1, ...names];
    const unit = [4, 0, ...u32(header.length), ...header, ...program];
    return [...u32(unit.length), ...unit];
  };
  const tableOf = (...units: number[][]): LineTable => lineTable({ line: Uint8Array.from(units.flat()) });
  const special = (addressBy: number, lineBy: number): number => 13 + addressBy * 12 + lineBy + 3;

  test('each opcode', () => {
    const table = tableOf(
      make([
        ...at(100),
        1, // copy: line 1
        special(4, 2), // 104: line 3
        ...[3, 0x7f, 2, 10, 1], // advance_line −1, advance_pc 10, copy: 114, line 2
        ...[4, 2, 5, 7, 6, 8, special(0, 0)], // set_file 2, set_column, negate_stmt, const_add_pc 20: 134
        ...[9, 0x00, 0x01, 10, 11, 7, 1], // fixed_advance_pc 256, prologue_end, epilogue_begin, basic_block: 390
        ...[12, 9, 0, 3, 4, 1, 2, special(1, 5)], // set_isa, a discriminator: 391, line 7
        ...[0, 6, 0x80, 1, 2, 3, 4, 5], // an extension
        ...[0, 6, 3, 0x63, 0, 0, 0, 0], // define_file: c, number 3
        ...[4, 3, special(1, 0)], // 392
        ...[2, 8],
        ...END,
      ]),
    );
    const found = [100, 104, 114, 134, 390, 391, 392].map((address) => table.find(address, address + 1));
    expect(found.map((place) => `${place?.file}:${place?.line}`)).toEqual([
      ...['a.c:1', 'a.c:3', 'a.c:2', 'd/b.c:2', 'd/b.c:2', 'd/b.c:7', 'c:7'],
    ]);
    expect(table.find(393, 500)).toBeUndefined();
    expect(table.find(0, 100)).toBeUndefined();
    expect(table.find(0, 101)).toEqual({ file: 'a.c', line: 1 });
  });

  test('code that the linker left out, sequences that do not end, several tables', () => {
    const sequence = (address: number, line: number): number[] => [...at(address), 3, line, 1, 2, 9, ...END];
    const table = tableOf(
      make([...sequence(0, 1), ...sequence(0xffffffff, 2), ...sequence(0xfffffffe, 3), ...sequence(500, 4)]),
      make([...sequence(300, 5), ...at(400), 3, 6, 1]),
      make([...sequence(200, 7)]),
    );
    expect(table.size).toBe(3);
    expect([200, 300, 500].map((start) => table.find(start, start + 9)?.line)).toEqual([8, 6, 5]);
    expect(table.find(1, 200)).toBeUndefined();
    expect(table.find(400, 409)).toBeUndefined();
  });

  test('rows that the compiler made up have line 0', () => {
    const table = tableOf(make([...at(100), 3, 0x7f, 1, 2, 4, 3, 9, 1, 2, 4, ...END]));
    expect(table.find(100, 108)).toEqual({ file: 'a.c', line: 9 });
    expect(table.find(100, 104)).toBeUndefined();
  });

  test('a table that is malformed costs itself only', () => {
    const warnings: string[] = [];
    const good = make([...at(100), 1, 2, 9, ...END]);
    const line = Uint8Array.from([...make([], { lineRange: 0 }), ...make([0, 99, 2]), ...good]);
    expect(lineTable({ line }, (message) => warnings.push(message)).find(100, 101)?.line).toBe(1);
    expect(warnings).toEqual([
      '.debug_line: the table at 0: a line range of 0',
      expect.stringMatching(/^\.debug_line: the table at \d+: 99 bytes at \d+ are past the end$/),
    ]);
  });

  test('all sequences over one another are no hang', () => {
    const one = [...at(1), ...[3, 0x7f], ...Array(200).fill(1), ...[2, 0xff, 0xff, 3], ...END];
    const table = tableOf(make(Array(500).fill(one).flat()));
    const start = performance.now();
    for (let address = 1; address < 20_000; address++) table.find(address, address + 20_000);
    expect(performance.now() - start).toBeLessThan(20_000);
  });
});

describe('random damage', () => {
  /// Units of a section: each begins with its length.
  function units(section: Uint8Array): Uint8Array[] {
    const found: Uint8Array[] = [];
    for (let at = 0; at < section.length; ) {
      const size = 4 + new DataView(section.buffer, section.byteOffset + at).getUint32(0, true);
      found.push(section.subarray(at, at + size));
      at += size;
    }
    return found;
  }

  test('5,000 tables and units of real programs: no throw, no hang', () => {
    const { random, seed } = seeded();
    const modules: ModuleInfo[] = [BZ2, TREE_SITTER].map((path) => readModule(program(path)));
    const parts = modules.map((module) => {
      const section = (name: string): Uint8Array => customSections(module, name)[0];
      const small = (section: Uint8Array): Uint8Array[] => units(section).filter(({ length }) => length < 6000);
      return {
        lines: small(section('.debug_line')),
        infos: small(section('.debug_info')),
        abbrev: section('.debug_abbrev'),
        str: section('.debug_str'),
      };
    });
    const gcc = Object.values(fixtures).map(({ sections }) => ({
      lines: [new Uint8Array(Buffer.from(sections.line!, 'base64'))],
      infos: [new Uint8Array(Buffer.from(sections.info!, 'base64'))],
      abbrev: new Uint8Array(Buffer.from(sections.abbrev!, 'base64')),
      str: new Uint8Array(Buffer.from(sections.str!, 'base64')),
    }));
    const damage = (bytes: Uint8Array): Uint8Array => {
      const copy = bytes.slice(0, random(4) === 0 ? random(bytes.length + 1) : bytes.length);
      for (let hits = random(6); hits > 0 && copy.length > 0; hits--) {
        const near = random(2) === 0 ? Math.min(copy.length, 60) : copy.length; // the header matters most
        copy[random(near)] = [0, 0x7f, 0x80, 0xff, random(256)][random(5)];
      }
      return copy;
    };
    const all = [...parts, ...gcc];
    const start = performance.now();
    let warnings = 0;
    for (let round = 0; round < 5000; round++) {
      const { lines, infos, abbrev, str } = all[random(all.length)];
      const sections = {
        line: damage(lines[random(lines.length)]),
        info: damage(infos[random(infos.length)]),
        abbrev: random(3) === 0 ? damage(abbrev.subarray(0, 2000)) : abbrev,
        str: random(3) === 0 ? damage(str.subarray(0, 2000)) : str,
        lineStr: damage(str.subarray(0, 500)),
        strOffsets: damage(str.subarray(0, 500)),
      };
      const read = (): unknown => {
        const table = lineTable(sections, () => warnings++);
        expect(table.size).toBeLessThanOrEqual(sections.line.length);
        return [0, 1, 1000, 2 ** 31].map((address) => table.find(address, address + 1000));
      };
      expect(read, `seed ${seed} round ${round}`).not.toThrow();
    }
    expect(warnings).toBeGreaterThan(1000);
    expect(performance.now() - start).toBeLessThan(60_000);
  });

  test('whole modules, source maps too', () => {
    const { random, seed } = seeded();
    const bytes = program(BZ2);
    const sourceMap = new TextDecoder().decode(program(`${BZ2}.map`));
    const { sections } = readModule(bytes);
    const debug = sections.filter(({ name }) => name !== undefined && isDebug(name));
    for (let round = 0; round < 15; round++) {
      const copy = bytes.slice();
      for (const { start, end } of debug) {
        for (let hits = random(50); hits > 0; hits--) copy[start + random(end - start)] = random(256);
      }
      const at = random(sourceMap.length);
      const map = sourceMap.slice(0, at) + String.fromCharCode(random(128)) + sourceMap.slice(at + random(3));
      expect(() => places(copy, { sourceMap: map }), `seed ${seed} round ${round}`).not.toThrow();
    }
  });
});

test('the code section is where addresses count from', () => {
  const module = readModule(program(TREE_SITTER));
  const code = module.sections.find(({ id }) => id === SECTION_CODE)!;
  const table = lineTable({
    line: customSections(module, '.debug_line')[0],
    info: customSections(module, '.debug_info')[0],
    abbrev: customSections(module, '.debug_abbrev')[0],
    str: customSections(module, '.debug_str')[0],
  });
  // Nearly every function has a row at its very first byte, and none has one in the byte before that.
  const starts = Array.from(module.bodyOffsets, (offset) => offset - code.start);
  const exact = starts.filter((start) => table.find(start, start + 1));
  expect(exact.length).toBe(608);
  for (const start of starts) expect(table.find(start - 1, start)?.line ?? 0).toBe(0);
});
