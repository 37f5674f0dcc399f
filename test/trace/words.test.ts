import { describe, expect, test } from 'vitest';
import { argumentText, type Param, returnText } from '../../src/trace/words.ts';

describe('return values', () => {
  test.each([
    [0n, '0x0', '0x0'],
    [1n, '0x1', '0x1'],
    [0xffff_fffbn, '-5', '0xfffffffb'],
    [0xffff_ffff_ffff_fffbn, '-5', '0xfffffffffffffffb'],
    [-5n, '-5', '0xfffffffffffffffb'],
    [-4095n, '-4095', '0xfffffffffffff001'],
    [-4096n, '0xfffffffffffff000', '0xfffffffffffff000'],
    [0xffff_f001n, '-4095', '0xfffff001'],
    [0xffff_f000n, '0xfffff000', '0xfffff000'],
    [0x8000_0000n, '0x80000000', '0x80000000'],
    [0x1_ffff_fffbn, '0x1fffffffb', '0x1fffffffb'],
    [0xff11_0000_0306_1880n, '0xff11000003061880', '0xff11000003061880'],
  ])('%d', (word, text, hex) => {
    expect([returnText(word, false), returnText(word, true)]).toEqual([text, hex]);
  });
});

describe('arguments', () => {
  const param = (name: string, kind: string, more: Partial<Param> = {}): Param => ({ name, kind, ...more });
  const states = new Map([[2n, 'RUNNING']]);
  test.each<[Param[], bigint[], string]>([
    [[], [], ''],
    [[param('p', 'pointer')], [0xffff_8000n], 'p=0xffff8000'],
    [[param('a', 'signed'), param('b', 'unsigned')], [-3n, -3n], 'a=-3, b=0xfffffffffffffffd'],
    [[param('dfd', 'signed')], [0xffff_ff9cn], 'dfd=4294967196'],
    [[param('x', 'unknown')], [5n], 'x=?0x5'],
    [[param('state', 'enum', { values: states })], [2n], 'state=2 [RUNNING]'],
    [[param('state', 'enum', { values: states })], [3n], 'state=3'],
    [[param('kuid', 'STRUCT')], [0n], 'kuid=(STRUCT)[0x0]'],
    [[param('s', 'STRUCT', { words: 2 }), param('n', 'signed')], [1n, 2n, 3n], 's=(STRUCT)[0x1:0x2], n=3'],
    [[param('s', 'STRUCT', { words: 3 })], [1n, 2n], 's=(STRUCT)[0x1:0x2:...]'],
    [[param('f', 'pointer'), param('', 'unknown', { variadic: true })], [1n, 9n], 'f=0x1, =?0x9'],
    [[param('', 'pointer')], [1n], '0x1'],
    [['a', 'b', 'c'].map((name) => param(name, 'signed')), [1n, 2n], 'a=1, b=2, ...'],
  ])('%j', (params, words, text) => {
    expect(argumentText(params, words)).toBe(text);
  });

  test('six words, seven parameters', () => {
    const params = Array.from({ length: 7 }, (_, i) => param(`a${i}`, 'unsigned'));
    expect(argumentText(params, [0n, 1n, 2n, 3n, 4n, 5n])).toBe('a0=0x0, a1=0x1, a2=0x2, a3=0x3, a4=0x4, a5=0x5, ...');
  });

  test('no type information, no text', () => {
    expect([argumentText(null, [1n]), argumentText(undefined, [1n])]).toEqual(['', '']);
  });
});
