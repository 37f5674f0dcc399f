// Where bytes went: the offset map, the sections that depend on it, and stack traces translated with it.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { describe, expect, test } from 'vitest';
import { customSections, instrument, readModule } from '../../src/instrument/index.ts';
import { CASES, leb, text } from './proposals.ts';
import { attach, checked, complaint, instantiate, supported, wat } from './support.ts';

const sqlite = new Uint8Array(readFileSync(createRequire(import.meta.url).resolve('sql.js/dist/sql-wasm.wasm')));

describe('offset map', () => {
  test.each([...CASES.map(({ name, bytes }) => [name, bytes] as const), ['sqlite', sqlite] as const])(
    '%s',
    (_, bytes) => {
      for (const args of [false, true]) {
        const { bytes: out, offsets } = instrument(bytes, { validate: false, args, growth: 0 });
        let [copied, disorder, before] = [0, 0, -1];
        for (let at = 0; at < bytes.length; at++) {
          const there = offsets.toInstrumented(at);
          if (there < before || there > out.length) disorder++;
          before = there;
          if (offsets.toOriginal(there) === at && out[there] === bytes[at]) copied++;
        }
        // All but sizes, counts, and what a rewrite replaces.
        expect(copied / bytes.length).toBeGreaterThan(bytes.length > 1000 ? 0.97 : 0.6);
        before = -1;
        for (let at = 0; at < out.length; at++) {
          const there = offsets.toOriginal(at);
          if (there < before || there > bytes.length) disorder++;
          before = there;
        }
        expect(disorder).toBe(0);
      }
    },
  );

  test.each([...CASES.map(({ name, bytes }) => [name, bytes] as const), ['sqlite', sqlite] as const])(
    '%s, bodies written twice',
    (_, bytes) => {
      const { bytes: out, offsets, sites } = instrument(bytes, { validate: false, growth: 100 });
      let [copied, disorder, before] = [0, 0, -1];
      const forms = new Uint8Array(bytes.length);
      for (let at = 0; at < out.length; at++) {
        const there = offsets.toOriginal(at);
        if (there > bytes.length) disorder++;
        if (out[at] === bytes[there]) forms[there] = Math.min(forms[there]! + 1, 255);
      }
      for (let at = 0; at < bytes.length; at++) {
        const there = offsets.toInstrumented(at);
        if (there < before || there > out.length) disorder++;
        before = there;
        if (offsets.toOriginal(there) === at && out[there] === bytes[at]) copied++;
      }
      expect(disorder).toBe(0);
      expect(copied / bytes.length).toBeGreaterThan(bytes.length > 1000 ? 0.97 : 0.6);
      // The bytes of small bodies have two places each.
      const small = sites.filter(({ size }) => size > 60 && size < 400);
      for (const { offset, size } of small) {
        const twice = forms.subarray(offset + 2, offset + size).filter((n) => n >= 2).length;
        if (twice < size * 0.5) disorder++;
      }
      expect(disorder).toBeLessThanOrEqual(small.length * 0.05);
    },
  );

  test('translates the positions of a stack trace', () => {
    const bytes = wat(`(module
      (import "e" "js" (func $js))
      (func $trap (param i32) (if (i32.eq (local.get 0) (i32.const 3)) (then (return))) (unreachable))
      (func $middle (param i32) (call $js) (call $trap (i32.const 3)) (call $trap (i32.const 1)) (nop))
      (func (export "f") (call $middle (i32.const 0)) (call $js)))`);
    const positions = (error: unknown) =>
      [...String((error as Error).stack).matchAll(/wasm-function\[(\d+)\]:0x([0-9a-f]+)/g)].map((match) => ({
        index: Number(match[1]),
        offset: Number.parseInt(match[2]!, 16),
      }));
    const caught = (f: () => unknown) => {
      try {
        f();
      } catch (error) {
        return positions(error);
      }
      throw new Error('did not trap');
    };
    const imports = { e: { js: () => undefined } };
    const original = caught(instantiate(bytes, imports).exports.f as () => void);
    expect(original).toHaveLength(3);
    for (const form of [{}, { args: true }, { growth: 100 }]) {
      const { exports, result } = attach(bytes, { imports, ...form });
      const own = result.sites.map(({ index }) => index);
      const seen = caught(exports.f!).filter(({ index }) => own.includes(index));
      const translated = seen.map(({ index, offset }) => ({ index, offset: result.offsets.toOriginal(offset) }));
      // The outermost function appears twice: its face, and the call that its face made.
      expect(translated.slice(0, 3)).toEqual(original);
    }
  });

  test('an added byte maps to what follows it', () => {
    const bytes = wat('(module (func (export "f") (drop (i32.const 1)) (return)))');
    const { offsets, sites } = instrument(bytes);
    const locals = sites[0]!.offset;
    const gate = offsets.toInstrumented(locals) + 3; // one group of locals has been added
    expect(offsets.toOriginal(gate)).toBe(locals + 1);
    expect(offsets.toOriginal(0)).toBe(0);
    expect(offsets.toInstrumented(bytes.length)).toBe(instrument(bytes).bytes.length);
    expect(offsets.toOriginal(1e9)).toBe(bytes.length);
  });
});

describe('custom sections', () => {
  const custom = (name: string, ...contents: number[]) => {
    const all = [...text(name), ...contents];
    return [0, ...leb(all.length), ...all];
  };
  const plain = wat('(module (memory 1) (func (export "f") (param i32) (if (local.get 0) (then (return))) (nop)))');
  const [head, rest] = [[...plain.subarray(0, 8)], [...plain.subarray(8)]];
  const names = (bytes: Uint8Array) => readModule(bytes).sections.map(({ name, id }) => name ?? id);

  test('are kept where they are, dylink.0 first', () => {
    const bytes = [
      ...head,
      ...custom('dylink.0', 1, 4, 0, 0, 0, 0),
      ...rest,
      ...custom('name', 0, 1, 0),
      ...custom('producers', 0),
      ...custom('more', 9),
    ];
    const result = checked(Uint8Array.from(bytes));
    expect(names(result.bytes)).toEqual(['dylink.0', 1, 3, 4, 5, 6, 7, 9, 10, 'name', 'producers', 'more', 'fprobe']);
    const module = readModule(result.bytes);
    expect(customSections(module, 'name').map((section) => [...section])).toEqual([[0, 1, 0]]);
    expect(result.warnings).toEqual([]);
  });

  test('a missing section is made where it belongs', () => {
    const module = [
      ...head,
      ...custom('first'),
      ...section(1, [0x60, 0, 0]),
      ...custom('second'),
      ...section(3, [0]),
      ...custom('third'),
      ...section(10, [2, 0, 0x0b]),
      ...custom('last'),
    ];
    const result = checked(Uint8Array.from(module), { only: () => true });
    expect(names(result.bytes)).toEqual(['first', 1, 'second', 3, 'third', 4, 6, 7, 10, 'last', 'fprobe']);
  });

  test('that speak of code offsets are dropped with a warning', () => {
    const stale = ['.debug_info', '.debug_line', 'sourceMappingURL', 'external_debug_info', 'reloc.CODE'];
    const result = checked(Uint8Array.from([...head, ...rest, ...stale.flatMap((name) => custom(name, 1, 2, 3))]));
    expect(names(result.bytes).filter((name) => stale.includes(String(name)))).toEqual([]);
    expect(result.warnings).toEqual(
      stale.map((name) => `custom section "${name}" dropped: its code offsets no longer hold`),
    );
  });

  test('branch hints move with their instructions', () => {
    const bytes = wat(`(module (func $g)
      (func (export "f") (param i32)
        call $g local.get 0 (@metadata.code.branch_hint "\\00") if return end
        block local.get 0 (@metadata.code.branch_hint "\\01") br_if 0 end call $g))`);
    const hints = (module: Uint8Array) => {
      const info = readModule(module);
      const [contents] = customSections(info, 'metadata.code.branch_hint');
      const [functions, index, count, ...list] = contents!;
      expect([functions, index, count]).toEqual([1, 1, 2]);
      const body = info.bodyOffsets[index! - info.importedFunctions]!;
      return [0, 3].map((i) => [module[body + list[i]!], list[i + 2]]);
    };
    expect(hints(bytes)).toEqual([
      [0x04, 0],
      [0x0d, 1],
    ]);
    const result = checked(bytes);
    expect(hints(result.bytes)).toEqual([
      [0x04, 0],
      [0x0d, 1],
    ]);
    expect(result.warnings).toEqual([]);
    expect(customSections(readModule(result.bytes), 'metadata.code.branch_hint')[0]).not.toEqual(
      customSections(readModule(bytes), 'metadata.code.branch_hint')[0],
    );
  });

  test('metadata that makes no sense is dropped with a warning', () => {
    for (const contents of [[9], [1, 5, 0], [1, 0, 1, 99, 1, 0], [1, 0, 1, 0x80], [0, 7]]) {
      const result = instrument(Uint8Array.from([...head, ...custom('metadata.code.x', ...contents), ...rest]));
      expect(result.warnings).toHaveLength(1);
      expect(names(result.bytes)).not.toContain('metadata.code.x');
    }
  });

  const section = (id: number, item: number[]) => [id, ...leb(item.length + 1), 1, ...item];
});

test('a real module is valid to both validators in every form', () => {
  for (const args of [false, true]) {
    const result = instrument(sqlite, { args });
    expect(supported(result.bytes)).toBe(true);
    expect(complaint(result.bytes)).toBeUndefined();
  }
});
