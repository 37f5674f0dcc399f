import { describe, expect, test } from 'vitest';
import { Names } from '../../src/instrument/names.ts';
import { seeded } from '../trace/random.ts';

const utf8 = (text: string): number[] => [...new TextEncoder().encode(text)];
const leb = (value: number): number[] =>
  value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...leb(Math.floor(value / 128))];
const name = (text: string): number[] => [...leb(utf8(text).length), ...utf8(text)];
const nameMap = (...entries: [number, string][]): number[] => [
  ...leb(entries.length),
  ...entries.flatMap(([index, text]) => [...leb(index), ...name(text)]),
];
const indirect = (...entries: [number, number[]][]): number[] => [
  ...leb(entries.length),
  ...entries.flatMap(([index, map]) => [...leb(index), ...map]),
];
const sub = (id: number, contents: number[]): number[] => [id, ...leb(contents.length), ...contents];
const section = (...subs: number[][]): Uint8Array => Uint8Array.from(subs.flat());

const everything = section(
  sub(0, name('program')),
  sub(1, nameMap([0, 'main'], [3, 'größe'], [300, 'x'.repeat(200)])),
  sub(2, indirect([0, nameMap([0, 'argc'], [1, 'argv'])], [3, nameMap([5, 'i'])])),
  sub(3, indirect([0, nameMap([0, 'loop'])])),
  sub(4, nameMap([0, 'point'])),
  sub(5, nameMap([0, 'table'])),
  sub(6, nameMap([0, 'memory'])),
  sub(7, nameMap([0, '__stack_pointer'])),
  sub(8, nameMap([0, 'elements'])),
  sub(9, nameMap([0, '.rodata'])),
  sub(10, indirect([0, nameMap([0, 'x'], [1, 'y'])])),
  sub(11, nameMap([0, 'exception'])),
  sub(99, [1, 2, 3]),
);

const plain = (map: ReadonlyMap<number, unknown>): object => Object.fromEntries(map);
const nested = (map: ReadonlyMap<number, ReadonlyMap<number, string>>): object =>
  Object.fromEntries([...map].map(([index, inner]) => [index, plain(inner)]));

test('every subsection', () => {
  const names = new Names(everything);
  expect(names.module).toBe('program');
  expect(plain(names.functions)).toEqual({ 0: 'main', 3: 'größe', 300: 'x'.repeat(200) });
  expect(nested(names.locals)).toEqual({ 0: { 0: 'argc', 1: 'argv' }, 3: { 5: 'i' } });
  expect(nested(names.labels)).toEqual({ 0: { 0: 'loop' } });
  expect(plain(names.types)).toEqual({ 0: 'point' });
  expect(plain(names.tables)).toEqual({ 0: 'table' });
  expect(plain(names.memories)).toEqual({ 0: 'memory' });
  expect(plain(names.globals)).toEqual({ 0: '__stack_pointer' });
  expect(plain(names.elem)).toEqual({ 0: 'elements' });
  expect(plain(names.data)).toEqual({ 0: '.rodata' });
  expect(nested(names.fields)).toEqual({ 0: { 0: 'x', 1: 'y' } });
  expect(plain(names.tags)).toEqual({ 0: 'exception' });
});

describe('what is malformed is dropped, what stands before it stays', () => {
  const functions = (...subs: number[][]): object => plain(new Names(section(...subs)).functions);
  const map = nameMap([0, 'a'], [1, 'b']);

  test('no section, no bytes', () => {
    expect(new Names().functions.size).toBe(0);
    expect(new Names(section()).module).toBeUndefined();
  });
  test('a count of more than there is', () => {
    expect(functions(sub(1, [0xff, 0xff, 0xff, 0xff, 0x0f, ...map.slice(1)]))).toEqual({ 0: 'a', 1: 'b' });
  });
  test('a name longer than its subsection', () => {
    expect(functions(sub(1, [...map.slice(0, -2), 9, 98]))).toEqual({ 0: 'a' });
  });
  test('a subsection longer than the section', () => {
    expect(functions([1, 100, ...map])).toEqual({ 0: 'a', 1: 'b' });
  });
  test('a name that ends with the section, its subsection later', () => {
    expect(functions([1, 100, 2, 0, 1, 97, 1, 3, 98])).toEqual({ 0: 'a' });
  });
  test('a number of six bytes', () => {
    expect(functions(sub(1, [2, 0, 1, 97, 0x81, 0x80, 0x80, 0x80, 0x80, 0x00, 1, 98]))).toEqual({ 0: 'a' });
  });
  test('a number above 32 bits', () => {
    expect(functions(sub(1, [2, 0, 1, 97, 0xff, 0xff, 0xff, 0xff, 0x1f, 1, 98]))).toEqual({ 0: 'a' });
  });
  test('bad UTF-8', () => {
    expect(functions(sub(1, [1, 0, 2, 0xc3, 0x28]))).toEqual({ 0: '\ufffd(' });
  });
  test('an index named twice keeps its first name, in one subsection or two', () => {
    expect(functions(sub(1, nameMap([0, 'first'], [0, 'second'])), sub(1, nameMap([0, 'third'], [1, 'b'])))).toEqual({
      0: 'first',
      1: 'b',
    });
  });
  test('an inner map that is cut off', () => {
    const names = new Names(section(sub(2, [2, 0, ...nameMap([0, 'x']), 1, 2, 0, 1, 121, 1])));
    expect(nested(names.locals)).toEqual({ 0: { 0: 'x' }, 1: { 0: 'y' } });
  });

  test('each is a warning, once its subsection is asked for; what is well formed is none', () => {
    const whole = new Names(everything);
    void [whole.module, whole.functions, whole.locals, whole.fields, whole.tags];
    expect(whole.warnings).toEqual([]);
    const names = new Names(section(sub(1, [9, 0, 1, 97]), sub(2, [1, 0, 5]), sub(7, []), [11, 0x80]));
    expect(names.warnings).toEqual(['name section: subsection 11 has no size, it and what follows is ignored']);
    void [names.functions, names.locals, names.globals, names.functions];
    expect(names.warnings.slice(1)).toEqual(
      [1, 2, 7].map((id) => `name section: subsection ${id} is cut off or malformed, the rest of it is ignored`),
    );
  });

  test('random damage never throws', () => {
    const { random, seed } = seeded();
    for (let round = 0; round < 5000; round++) {
      const bytes = everything.slice(0, random(3) === 0 ? random(everything.length) : everything.length);
      for (let hits = random(8); hits > 0 && bytes.length > 0; hits--) bytes[random(bytes.length)] = random(256);
      const names = new Names(bytes);
      const read = (): unknown => [names.module, names.functions, names.locals, names.labels, names.fields, names.tags];
      expect(read, `seed ${seed} round ${round}`).not.toThrow();
    }
  });
});
