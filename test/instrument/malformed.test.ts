// What is not a module, or not one of ours to touch: every refusal says where and what was expected. The second half
// holds the line where appending could repair what was broken: an index one past the end of its space.

import { describe, expect, test } from 'vitest';
import { instrument, WasmFormatError } from '../../src/instrument/index.ts';
import { bytesModule, leb, text } from './proposals.ts';
import { wat } from './support.ts';

const HEADER = [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
const VOID = [0x60, 0, 0];

function refusal(bytes: readonly number[] | Uint8Array, options = {}): WasmFormatError {
  try {
    instrument(Uint8Array.from(bytes), { validate: false, ...options });
  } catch (error) {
    if (error instanceof WasmFormatError) return error;
    throw error;
  }
  throw new Error('was not refused');
}

const section = (id: number, ...contents: number[]) => [...HEADER, id, contents.length, ...contents];
const body = (...code: number[]) => [...bytesModule([VOID], [[0, [0, ...code]]])];

describe('not a module', () => {
  test.each<[string, number[], number, string]>([
    ['nothing', [], 0, 'unexpected end at byte 0, expected the magic number 00 61 73 6d ("\\0asm")'],
    ['text', [...'(module)'].map((c) => c.charCodeAt(0)), 0, '0x28 at byte 0, expected the magic number'],
    ['half a magic number', [0, 0x61], 2, 'unexpected end at byte 2, expected the magic number'],
    ['no version', [0, 0x61, 0x73, 0x6d], 4, 'unexpected end at byte 4, expected version 01 00 00 00 of a core module'],
    ['a component', [0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0], 4, '0x0d at byte 4, expected version 01 00 00 00 of a core'],
    ['an unknown section', section(14), 8, 'unknown section 14 at byte 8, expected a section id of 0 … 13'],
    [
      'a section without a size',
      [...HEADER, 1],
      9,
      'unexpected end at byte 9, expected the number of bytes of a section',
    ],
    [
      'a section past the end',
      [...HEADER, 1, 5, 0],
      9,
      '5 bytes of a section at byte 9, expected at most 1 in the bytes left',
    ],
    [
      'sections out of order',
      [...HEADER, 3, 1, 0, 1, 1, 0],
      11,
      'section 1 out of order at byte 11, expected a custom section or one of 4, 5,',
    ],
    ['a section twice', [...HEADER, 1, 1, 0, 1, 1, 0], 11, 'section 1 out of order at byte 11'],
    ['nothing after data but custom', [...HEADER, 11, 1, 0, 1, 1, 0], 11, 'expected no section but custom ones'],
    ['bytes left over', section(1, 0, 7, 7), 11, '2 bytes left over at byte 11, expected the end of section 1'],
    [
      'a custom section without a name',
      section(0),
      10,
      'unexpected end at byte 10, expected the number of bytes of a custom section name',
    ],
    [
      'a custom name past its section',
      section(0, 9, 65),
      10,
      '9 bytes of a custom section name at byte 10, expected at most 1',
    ],
    [
      'a number of six bytes',
      section(1, 0x80, 0x80, 0x80, 0x80, 0x80, 0),
      10,
      'number above 32 bits at byte 10, expected the number of types',
    ],
    [
      'a number above 32 bits',
      section(1, 0xff, 0xff, 0xff, 0xff, 0x1f),
      10,
      'number above 32 bits at byte 10, expected the number of types',
    ],
    [
      'billions of types',
      section(1, 0xff, 0xff, 0xff, 0xff, 0x0f),
      10,
      '4294967295 types at byte 10, expected at most 0 in the bytes left',
    ],
    [
      'an unknown type form',
      section(1, 1, 0x5d),
      11,
      'unknown type form 0x5d at byte 11, expected a function, struct, array or subtype',
    ],
    [
      'an unknown value type',
      section(1, 1, 0x60, 1, 0x55, 0),
      13,
      'unknown value type 0x55 at byte 13, expected a value type',
    ],
    [
      'an unknown heap type',
      section(1, 1, 0x60, 1, 0x64, 0x50, 0),
      14,
      'unknown heap type 0x50 at byte 14, expected an abstract heap type or a type index',
    ],
    [
      'a type that names a later one',
      section(1, 1, 0x60, 1, 0x64, 1, 0),
      14,
      'type 1 at byte 14, expected a type below 1',
    ],
    ['an import kind', section(2, 1, 0, 0, 9, 0), 13, 'import kind 0x09 at byte 13, expected a kind of 0x00 … 0x04'],
    ['a function of no type', section(3, 1, 0), 11, 'type 0 at byte 11, expected no type at all'],
    [
      'functions without bodies',
      [...section(1, 1, ...VOID), 3, 2, 1, 0],
      18,
      'end of the module at byte 18, expected a code section with 1 bodies',
    ],
    [
      'bodies without functions',
      section(10, 1, 2, 0, 0x0b),
      10,
      '1 bodies at byte 10, expected 0, one for each entry of the function section',
    ],
    [
      'a function of a struct type',
      [...section(1, 1, 0x5f, 0), 3, 2, 1, 0],
      16,
      'type 0, which is not a function type at byte 16',
    ],
    ['an export of nothing', section(7, 1, 0, 0, 0), 13, 'function 0 at byte 13, expected no function at all'],
    ['a start function of nothing', section(8, 0), 10, 'function 0 at byte 10, expected no function at all'],
    ['element flags', section(9, 1, 8, 0), 11, 'element segment flags 8 at byte 11, expected flags of 0 … 7'],
    [
      'a branch in an initial value',
      section(6, 1, 0x7f, 0, 0x0c, 0, 0x0b),
      13,
      'br at byte 13, expected a constant instruction',
    ],
  ])('%s', (_, bytes, offset, message) => {
    const error = refusal(bytes);
    expect(error.message).toContain(message);
    expect(error.message.startsWith('wasm: ')).toBe(true);
    expect(error).toMatchObject({ name: 'WasmFormatError', code: 'EINVAL', offset });
    expect(error.message).toContain(`at byte ${offset}, expected ${error.expected}`);
  });
});

describe('not a body', () => {
  const at = bytesModule([VOID], [[0, []]]).length + 1; // first instruction of `body`
  test.each<[string, number[], number, string]>([
    ['no end', [0x01], at + 1, `end of the body at byte ${at + 1}, expected an instruction`],
    ['ends inside an instruction', [0x41], at + 1, `end of the body at byte ${at + 1}`],
    [
      'goes on after its end',
      [0x0b, 0x01, 0x0b],
      at + 1,
      `2 bytes left over at byte ${at + 1}, expected the end of the body`,
    ],
    ['a constant of six bytes', [0x41, 0x80, 0x80, 0x80, 0x80, 0x80, 0, 0x0b], at + 1, 'number of more than 5 bytes'],
    ['an unknown opcode', [0x27, 0x0b], at, `unknown opcode 0x27 at byte ${at}, expected an instruction`],
    ['an unknown prefixed opcode', [0xfc, 0x99, 0x01, 0x0b], at, `unknown opcode 0xfc 0x99 at byte ${at}`],
    ['a label too many', [0x0c, 1, 0x0b], at, `label 1 at byte ${at}, expected a label below 1`],
    ['a label too many in a table', [0x0e, 1, 0, 2, 0x0b], at, `label 2 at byte ${at}, expected a label below 1`],
    ['a delegate that ends no try', [0x18, 0, 0x0b], at, `delegate at byte ${at}, expected a try that it ends`],
    ['a block type', [0x02, 0x55, 0x0b, 0x0b], at + 1, `unknown value type 0x55 at byte ${at + 1}`],
    [
      'a catch clause',
      [0x1f, 0x40, 1, 4, 0, 0x0b, 0x0b],
      at + 3,
      `catch clause 0x04 at byte ${at + 3}, expected a clause of 0x00 … 0x03`,
    ],
  ])('%s', (_, code, offset, message) => {
    const error = refusal(body(...code));
    expect(error.message).toContain(message);
    expect(error.offset).toBe(offset);
  });
});

describe('an index one past its end is not one of our additions', () => {
  test.each<[string, number[]]>([
    ['a local (the gate’s)', [0x20, 0]],
    ['a global (ANY)', [0x23, 0]],
    ['a function (the setter)', [0x10, 1]],
    ['a tail-called function', [0x12, 1]],
    ['a type (a slot’s)', [0x41, 0, 0x11, 1, 0]],
    ['a type called by reference', [0x14, 1]],
    ['a block’s type', [0x02, 1, 0x0b]],
    ['a table (the engine’s)', [0x41, 0, 0x11, 0, 0]],
    ['a table read from', [0x41, 0, 0x25, 0]],
    ['a table’s size', [0xfc, 0x10, 0]],
    ['an element segment (the faces)', [0xfc, 0x0d, 0]],
    ['a type in a reference', [0xd0, 1]],
  ])('%s', (_, code) => {
    const bytes = Uint8Array.from(body(...code, 0x1a, 0x0b));
    expect(refusal(bytes).expected).toMatch(/below|no .* at all/);
  });

  test('a function that only our export of the start function would declare', () => {
    const bytes = bytesModule([VOID], [[0, [0, 0xd2, 0, 0x1a, 0x0b]]], { 7: [0], 8: [0] });
    expect(WebAssembly.validate(bytes as BufferSource)).toBe(false);
    expect(refusal(bytes, { start: 'defer' }).message).toContain(
      'ref.func 0, which nothing outside of bodies mentions',
    );
  });

  test('a start function that takes parameters, deferred', () => {
    const bytes = bytesModule([[0x60, 1, 0x7f, 0]], [[0, [0, 0x0b]]], { 8: [0] });
    expect(WebAssembly.validate(bytes as BufferSource)).toBe(false);
    expect(refusal(bytes, { start: 'defer' }).message).toContain('start function with parameters or results');
  });
});

describe('large and deep', () => {
  const deep = (open: number[], close: number[], depth: number) => {
    const code = [
      0,
      ...new Array<number[]>(depth).fill(open).flat(),
      ...new Array<number[]>(depth).fill(close).flat(),
      0x0b,
    ];
    return bytesModule([VOID], [[0, code]]);
  };

  test('a million levels', () => {
    const bytes = deep([0x02, 0x40], [0x0b], 1_000_000);
    expect(instrument(bytes, { validate: false }).sites).toHaveLength(1);
  });

  test('tens of thousands of try_tables inside one another', () => {
    const bytes = deep([0x1f, 0x40, 1, 2, 0], [0x0b], 30_000);
    const { bytes: out } = instrument(bytes, { validate: false });
    expect(out.length).toBeLessThan(bytes.length * 12);
  });

  test('counts of billions in a few bytes', () => {
    for (const code of [
      [0x0e, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x0b],
      [0x1c, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x0b],
      [0x1f, 0x40, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x0b],
    ]) {
      expect(refusal(body(...code)).expected).toMatch(/^at most \d+ in the bytes left$/);
    }
    const locals = bytesModule([VOID], [[0, [0xff, 0xff, 0xff, 0xff, 0x0f, 0x0b]]]);
    expect(refusal(locals).expected).toMatch(/^at most \d+ in the bytes left$/);
    const many = bytesModule([VOID], [[0, [2, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x7f, 1, 0x7f, 0x0b]]]);
    expect(refusal(many).expected).toBe('less than 2^32');
  });

  test('signatures of a thousand, over and over', () => {
    // Every body and every landing pad needs the long type; none of them may pay for its length, which would take minutes.
    const long = [0x60, 0, ...leb(1000), ...new Array<number>(1000).fill(0x7f)];
    const clause = [0x02, 1, 0x1f, 1, 1, 2, 0, 0x00, 0x0b, 0x0b, 0x00];
    const code = [0, ...new Array<number[]>(20_000).fill(clause).flat(), 0x0b];
    const start = performance.now();
    instrument(bytesModule([VOID, long], [[1, code]]), { validate: false });
    expect(performance.now() - start).toBeLessThan(10_000);
  });
});

describe('refused on principle', () => {
  test('an instrumented module', () => {
    const once = instrument(wat('(module (func (export "f")))'));
    const error = refusal(once.bytes);
    expect(error.message).toMatch(
      /^wasm: mark of an instrumented module at byte \d+, expected a module that is not instr/,
    );
    expect(once.bytes[error.offset]).toBe(0);
  });

  test('names that we need', () => {
    const bytes = bytesModule([VOID], [[0, [0, 0x0b]]], { 7: [1, ...text('__fprobe_x'), 0, 0] });
    expect(refusal(bytes).message).toContain('export "__fprobe_x" at byte');
    expect(refusal(bytes).expected).toBe('no export that begins with __fprobe_');
  });
});

describe('validate', () => {
  // Well formed, but the stack does not hold what `i32.add` takes.
  const bytes = Uint8Array.from(body(0x6a, 0x0b));

  test('names the byte of the input that the engine objects to', () => {
    let error: unknown;
    try {
      instrument(bytes);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(WasmFormatError);
    const { offset, message } = error as WasmFormatError;
    expect(bytes[offset]).toBe(0x6a);
    expect(message).toContain('not enough arguments on the stack for i32.add');
    expect(message).toContain('what this engine accepts');
  });

  test('is left to the engine when it is off', () => {
    expect(WebAssembly.validate(instrument(bytes, { validate: false }).bytes as BufferSource)).toBe(false);
  });
});
