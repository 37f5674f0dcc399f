// The C types that a machine is given: what has another shape is refused, with the path to it.

import { expect, test } from 'vitest';
import { readTypes } from '../../src/target/c-types.ts';
import { cParams } from '../../src/target/params.ts';
import { Tracer } from '../../src/tracer.ts';

const SYMBOLS = [{ name: 'f', address: 0x1000n, size: 16 }];
const revoked = Proxy.revocable([], {});
revoked.revoke();

test.each<[string, unknown, string]>([
  ['no object', 5, 'types: the options are 5 (number), expected an object'],
  ['a list', [], 'types: the options are an array, expected an object'],
  ['a misspelt part', { function: {} }, "types has no option 'function', expected note, functions, structs"],
  ['a part', { functions: [] }, 'types.functions is an array, expected an object'],
  ['an empty part', { enums: null }, 'types.enums is null, expected an object'],
  ['a function', { functions: { f: 'int' } }, "types.functions.f is 'int', expected an object"],
  ['a function not asked for', { functions: { g: 1 } }, 'types.functions.g is 1, expected an object'],
  ['parameters', { functions: { f: { params: {} } } }, 'types.functions.f.params is an object, expected an array'],
  ['a parameter', { functions: { f: { params: [null] } } }, 'types.functions.f.params[0] is null, expected an object'],
  [
    'a parameter’s type',
    { functions: { f: { params: [{ name: 'a', type: 'int' }, { name: 'b' }] } } },
    'types.functions.f.params[1].type is undefined, expected a string',
  ],
  [
    'a parameter’s name',
    { functions: { f: { params: [{ name: 1n, type: 'int' }] } } },
    'types.functions.f.params[0].name is 1n, expected a string',
  ],
  ['a size', { structs: { 'struct s': { size: -1 } } }, "types.structs['struct s'].size is -1, expected a number of"],
  ['no size', { structs: { s: {} } }, 'types.structs.s.size is undefined, expected a number of bytes'],
  ['a typedef', { typedefs: { a: {} } }, 'types.typedefs.a is an object, expected a string'],
  ['a typedef of itself', { typedefs: { a: 'const b', b: 'c', c: 'b' } }, "types.typedefs.a leads back to 'b'"],
  ['an encoding', { ints: { int: { encoding: 'signed' } } }, "types.ints.int.encoding is 'signed', expected SIGNED"],
  [
    'values',
    { enums: { 'enum e': { values: ['A'] } } },
    "types.enums['enum e'].values is an array, expected an object",
  ],
  ['a value', { enums: { e: { values: { A: 1.5 } } } }, 'types.enums.e.values.A is 1.5, expected a whole number'],
  ['a proxy that was revoked', { functions: { f: revoked.proxy } }, 'types.functions.f cannot be read'],
  [
    'a getter that throws',
    {
      get ints() {
        throw new Error('no');
      },
    },
    'types: the options cannot be read: Error: no',
  ],
])('%s', (_, types, message) => {
  const tracer = Tracer.createSync();
  expect(() => tracer.machine({ arch: 'x86_64', symbols: SYMBOLS, types: types as never })).toThrow(
    expect.objectContaining({ code: 'EINVAL', message: expect.stringContaining(message) }),
  );
  expect(tracer.targets.size).toBe(0);
});

test('names of what every object has are no types', () => {
  const params = cParams(readTypes({ functions: { f: { params: [{ name: 'a', type: 'constructor' }] } } }));
  expect(params('f')).toEqual([{ name: 'a', kind: 'unknown' }]);
  expect(params('toString')).toBeNull();
});

test('what is not there is unknown, and what is there besides does not matter', () => {
  const params = cParams(
    readTypes({
      note: 'some',
      functions: {
        f: { params: [{ name: 'a', type: 'const struct s' }, { name: 'b', type: 'enum e' }, { type: '...' }] },
        g: { returns: 'int' } as never,
      },
      structs: { 'struct s': { size: 9, members: [] } as never },
      enums: { 'enum e': { size: 4, values: { MANY: 1n << 62n } } as never },
    }),
  );
  expect(params('f')).toEqual([
    { name: 'a', kind: 'STRUCT', words: 2 },
    { name: 'b', kind: 'enum', values: new Map([[1n << 62n, 'MANY']]) },
    { name: '', kind: 'unknown', variadic: true },
  ]);
  expect(params('g')).toBeNull();
});
