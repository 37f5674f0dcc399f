// What an instrumented module says about itself, and what `readModule` says about any module.

import { describe, expect, test } from 'vitest';
import {
  customSections,
  hasMarker,
  instrument,
  type Marker,
  readMarker,
  readModule,
  readSites,
} from '../../src/instrument/index.ts';
import { CASES } from './proposals.ts';
import { wat, watGc } from './support.ts';

const contents = (bytes: Uint8Array) => customSections(readModule(bytes), 'fprobe')[0]!;

describe('marker', () => {
  test.each(CASES)('$name: tells what the instrumenter told', ({ bytes }) => {
    for (const options of [
      {},
      { args: true },
      { start: 'defer' },
      { only: ({ index }: { index: number }) => index % 2 === 0 },
    ] as const) {
      const result = instrument(bytes, { ...options, validate: false });
      const { id, originalSize, args, startDeferred, via, sites, skipped, faces, importsByReference } = result;
      const expected: Marker = {
        id,
        originalSize,
        args,
        startDeferred,
        via,
        sites,
        skipped,
        faces,
        importsByReference,
      };
      expect(readMarker(contents(result.bytes))).toEqual(expected);
      expect(readSites(contents(result.bytes))).toEqual(sites);
      expect(hasMarker(readModule(result.bytes))).toBe(true);
      expect(hasMarker(readModule(bytes))).toBe(false);
    }
  });

  test('keeps the functions that were skipped, and why', () => {
    const bytes = wat(`(module (func) (func (local ${'i32 '.repeat(50_000)})) (func))`);
    const result = instrument(bytes);
    expect(result.skipped).toHaveLength(1);
    expect(readMarker(contents(result.bytes)).skipped).toEqual(result.skipped);
    expect(result.sites.map(({ id, index }) => [id, index])).toEqual([
      [0, 0],
      [1, 2],
    ]);
  });

  test('the id is the module’s, not the form’s', () => {
    const [one, two] = [wat('(module (func))'), wat('(module (func nop))')];
    expect(instrument(one, { args: true }).id).toBe(instrument(one).id);
    expect(instrument(two).id).not.toBe(instrument(one).id);
  });

  test('garbage is refused', () => {
    const good = contents(instrument(wat('(module (func (export "f") (param i32)))')).bytes);
    expect(() => readMarker(Uint8Array.of(9))).toThrow('wasm: marker version 9 at byte 0, expected version 1');
    for (let length = 0; length < good.length; length++) {
      expect(() => readMarker(good.subarray(0, length))).toThrow(/^wasm: .* at byte \d+, expected /);
    }
  });
});

describe('sites', () => {
  test('name their types as the text format does', () => {
    const bytes = watGc(`(module (rec (type $s (struct)) (type $f (func (param (ref null $s) (ref $s)))))
      (func (type $f) (unreachable)) (func (param i32 i64 f32 f64 v128) (result funcref externref) (unreachable))
      (func (param anyref eqref i31ref structref arrayref exnref nullref nullfuncref nullexternref nullexnref) (unreachable))
      (func (param (ref func) (ref extern) (ref any) (ref none)) (unreachable)))`);
    const { sites } = instrument(bytes, { validate: false });
    expect(sites.map(({ params, results }) => [params.join(' '), results.join(' ')])).toEqual([
      ['(ref null 0) (ref 0)', ''],
      ['i32 i64 f32 f64 v128', 'funcref externref'],
      ['anyref eqref i31ref structref arrayref exnref nullref nullfuncref nullexternref nullexnref', ''],
      ['(ref func) (ref extern) (ref any) (ref none)', ''],
    ]);
  });

  test('lie where the bodies lie', () => {
    const bytes = wat('(module (import "e" "f" (func)) (func nop) (func (local i32) nop))');
    for (const { index, offset, size } of instrument(bytes).sites) {
      const body = bytes.subarray(offset, offset + size);
      expect([...body]).toEqual(index === 1 ? [0, 1, 0x0b] : [1, 1, 0x7f, 1, 0x0b]);
      expect(bytes[offset - 1]).toBe(size);
    }
  });
});

test('readModule: imports, exports, types, sections', () => {
  const bytes = wat(`(module
    (import "a" "f" (func (param i32))) (import "a" "t" (table 1 funcref)) (import "b" "m" (memory 1))
    (import "b" "g" (global i32)) (import "b" "x" (tag)) (import "c" "h" (func (result i64)))
    (func (export "own") (param f32)) (table (export "t") 1 externref) (memory (export "m") 1) (global (export "g") f64 (f64.const 0))
    (tag (export "x")) (export "again" (func 0)) (start $s) (func $s))`);
  const module = readModule(bytes);
  expect(module.imports).toEqual([
    { module: 'a', name: 'f', kind: 'function', index: 0 },
    { module: 'a', name: 't', kind: 'table', index: 0 },
    { module: 'b', name: 'm', kind: 'memory', index: 0 },
    { module: 'b', name: 'g', kind: 'global', index: 0 },
    { module: 'b', name: 'x', kind: 'tag', index: 0 },
    { module: 'c', name: 'h', kind: 'function', index: 1 },
  ]);
  expect(module.exports).toEqual([
    { name: 'own', kind: 'function', index: 2 },
    { name: 't', kind: 'table', index: 1 },
    { name: 'm', kind: 'memory', index: 1 },
    { name: 'g', kind: 'global', index: 1 },
    { name: 'x', kind: 'tag', index: 1 },
    { name: 'again', kind: 'function', index: 0 },
  ]);
  expect(module.start).toBe(3);
  expect(module.importedFunctions).toBe(2);
  expect(module.spaces).toEqual({ types: 4, functions: 4, tables: 2, globals: 2, tags: 2, elements: 0 });
  expect(module.sections.map(({ id }) => id)).toEqual([1, 2, 3, 4, 5, 13, 6, 7, 8, 10]);
});
