// Names and places through the API, on programs that run.

import { createRequire } from 'node:module';
import { beforeAll, describe, expect, test } from 'vitest';
import { SymbolMapError, Tracer } from '../../src/index.ts';
import { Names } from '../../src/instrument/names.ts';
import { customSections, readModule } from '../../src/instrument/reader.ts';
import { demangle } from '../../src/symbols/demangle.ts';
import type { WasmTarget } from '../../src/target/wasm.ts';
import { BZ2, program, SIMPLECC, withSections } from './modules.ts';

const require = createRequire(import.meta.url);

/// Eight times the sentence, compressed.
const SENTENCE = 'The quick brown fox jumps over the lazy dog. ';
const COMPRESSED = Buffer.from(
  'QlpoOTFBWSZTWW+wWk4AACuTgEABBAA////wIACQKAAaAAAKqp+pqAaaZNDaNqIGAkfBIvFRAqMR4H0QMxAzCwuGg2GQsOY/CBcJGgoMBUbCgyGosKCRIxHLcbjgXckU4UJBvsFpOA==',
  'base64',
);

interface Bzip2 {
  target: WasmTarget;
  decompress(): string;
}

interface Emscripten {
  HEAPU8: Uint8Array;
  _malloc(size: number): number;
  decompress(
    to: number,
    size: number,
    from: number,
    length: number,
    small: number,
  ): { code: number; buffer: Uint8Array };
}

async function startBzip2(
  tracer: Tracer,
  bytes: Uint8Array<ArrayBuffer>,
  symbols?: Map<number, string>,
): Promise<Bzip2> {
  let target: WasmTarget | undefined;
  const module: Emscripten = await require('@foxglove/wasm-bz2/wasm/module.js')({
    instantiateWasm(imports: WebAssembly.Imports, done: (instance: WebAssembly.Instance) => void) {
      tracer.instantiate(bytes, imports, { symbols }).then((loaded) => {
        target = loaded.target;
        done(loaded.instance);
      });
      return {};
    },
  });
  const decompress = (): string => {
    const [from, to] = [module._malloc(COMPRESSED.length), module._malloc(1000)];
    module.HEAPU8.set(COMPRESSED, from);
    const { code, buffer } = module.decompress(to, 1000, from, COMPRESSED.length, 0);
    expect(code).toBe(0);
    return Buffer.from(buffer).toString();
  };
  return { target: target!, decompress };
}

describe('C++: bzip2, called through embind', () => {
  const INVOKE =
    'emscripten::internal::Invoker<emscripten::val, unsigned long, unsigned int, unsigned long, unsigned int, int>::invoke';

  test('names that the linker demangled, and lines', async () => {
    const tracer = await Tracer.create();
    const { target, decompress } = await startBzip2(tracer, program(BZ2));
    const graph = tracer.startGraph({ filter: ['emscripten::internal::Invoker<*>::invoke', 'BZ2_*'] });
    expect(decompress()).toBe(SENTENCE.repeat(8));
    expect(graph.read()).toContain(` |  ${INVOKE}() {`);
    const site = target.sites.find(({ name }) => name === INVOKE)!;
    expect(site.aliases).toEqual([
      expect.stringMatching(/^emscripten::internal::Invoker<.*>::invoke\(emscripten::val \(\*\)\(/),
    ]);
    expect(site.location).toEqual({ file: expect.stringMatching(/\/emscripten\/bind\.h$/), line: expect.any(Number) });
    expect(target.sites.filter(({ location }) => location !== undefined)).toHaveLength(885);
    expect(target.locations.warnings).toEqual([]);
  });

  test('mangled names from a symbol map: shown demangled, matched in each form', async () => {
    // What the debug information calls the functions, for the module without its own names.
    const module = readModule(program(BZ2));
    const names = new Names(...customSections(module, 'name')).functions;
    const strings = new TextDecoder().decode(customSections(module, '.debug_str')[0]).split('\0');
    const mangled = new Map(
      strings.filter((name) => name.startsWith('_Z')).map((name) => [demangle(name)!.signature, name]),
    );
    const symbols = new Map([...names].map(([index, name]) => [index, mangled.get(name) ?? name]));
    const stripped = withSections(program(BZ2), () => true);

    const tracer = await Tracer.create();
    const { target, decompress } = await startBzip2(tracer, stripped, symbols);
    const site = target.sites.find(({ name }) => name === INVOKE)!;
    const [signature, symbol] = site.aliases!;
    expect(symbol).toMatch(/^_ZN10emscripten8internal7InvokerI/);
    for (const filter of [
      INVOKE,
      signature,
      symbol,
      'emscripten::internal::Invoker<*val*>::invoke',
      '_ZN10emscripten8internal7InvokerI*6invoke*',
    ]) {
      const profile = tracer.startProfile({ filter });
      expect(profile.matched, filter).toBe(1);
      expect(decompress()).toBe(SENTENCE.repeat(8));
      expect(profile.rows().map(({ name, count }) => [name, count])).toEqual([[INVOKE, 1]]);
      profile.unregister();
    }
    expect(tracer.startProfile({ filter: 'emscripten::*', notrace: symbol }).matched).toBe(
      tracer.startProfile({ filter: 'emscripten::*' }).matched - 1,
    );
    expect(() => tracer.checkFilter({ filter: 'emscripten::internal::Invokre*' })).toThrow(
      /^nothing matches 'emscripten::internal::Invokre\*'; nearest: emscripten::internal::Invoker</,
    );
  });
});

describe('Rust: simplecc', () => {
  /// What its own glue does, less what is not needed for one string.
  async function start(tracer: Tracer): Promise<{ target: WasmTarget; convert: (text: string) => string }> {
    const { instance, target } = await tracer.instantiate(program(SIMPLECC), {
      './simplecc_wasm_bg.js': {
        __wbindgen_init_externref_table() {},
        __wbindgen_cast_0000000000000001: () => '',
      },
    });
    const exports = instance.exports as Record<string, (...args: number[]) => number & number[]>;
    const memory = instance.exports.memory as WebAssembly.Memory;
    const pass = (text: string): [number, number] => {
      const bytes = new TextEncoder().encode(text);
      const at = exports.__wbindgen_malloc(bytes.length, 1);
      new Uint8Array(memory.buffer).set(bytes, at);
      return [at, bytes.length];
    };
    const convert = (text: string): string => {
      const [at, length] = exports.simplecc(...pass(text), ...pass('t2s'));
      return new TextDecoder().decode(new Uint8Array(memory.buffer, at, length));
    };
    return { target: target!, convert };
  }

  test('names without their hashes, matched with and without', async () => {
    const tracer = await Tracer.create();
    const { target, convert } = await start(tracer);
    const profile = tracer.startProfile({ filter: 'simplecc::*' });
    expect(convert('漢字')).toBe('汉字');
    const called = profile.rows().map(({ name }) => name);
    expect(called).toContain('simplecc::DictNode::add');
    const site = target.sites.find(({ name }) => name === 'simplecc::DictNode::add')!;
    expect(site.aliases).toEqual([expect.stringMatching(/^simplecc::DictNode::add::h[0-9a-f]{16}$/)]);
    for (const filter of ['simplecc::DictNode::add', site.aliases![0], '*::h????????????????']) {
      expect(tracer.startProfile({ filter }).matched).toBeGreaterThan(0);
    }
    expect(target.sites.some(({ name }) => /::h[0-9a-f]{16}$/.test(name))).toBe(false);
    expect(site.location).toBeUndefined();
  });
});

describe('options of instantiate', () => {
  let tracer: Tracer;
  beforeAll(async () => {
    tracer = await Tracer.create();
  });
  // (func (export "f")) (func)
  const tiny = Uint8Array.of(
    0,
    0x61,
    0x73,
    0x6d,
    1,
    0,
    0,
    0,
    1,
    4,
    1,
    0x60,
    0,
    0,
    3,
    3,
    2,
    0,
    0,
    7,
    5,
    1,
    1,
    0x66,
    0,
    0,
    10,
    7,
    2,
    2,
    0,
    11,
    2,
    0,
    11,
  );

  test('symbols as text', async () => {
    const { target } = await tracer.instantiate(tiny, {}, { symbols: '0:_Z1fi\n1 _ZN1a1bEv\n' });
    expect(target!.sites.map(({ name, aliases }) => [name, aliases])).toEqual([
      ['f', ['f(int)', '_Z1fi']],
      ['a::b', ['a::b()', '_ZN1a1bEv']],
    ]);
    expect(JSON.parse(JSON.stringify(target!.sites[1]))).toMatchObject({ symbol: '_ZN1a1bEv', index: 1 });
  });
  test('a source map', async () => {
    const sourceMap = JSON.stringify({ version: 3, sources: ['a.wat'], names: [], mappings: '8BAEA' });
    const { target } = await tracer.instantiate(tiny, {}, { sourceMap });
    expect(target!.sites.map(({ location }) => location)).toEqual([{ file: 'a.wat', line: 3 }, undefined]);
  });

  test('wrong ones', async () => {
    const load = (options: object) => tracer.instantiate(tiny, {}, options);
    await expect(load({ symbols: '0:a\n?' })).rejects.toThrow(SymbolMapError);
    await expect(load({ symbols: '0:a\n?' })).rejects.toThrow("symbols:2: '?', expected INDEX:NAME or INDEX NAME");
    await expect(load({ symbols: 5 })).rejects.toThrow('symbols is 5, expected the text of a symbol map or a Map');
    await expect(load({ symbols: new Map([[0, 5]]) })).rejects.toThrow('symbols has 5 at 0, expected names at indices');
    await expect(load({ sourceMap: {} })).rejects.toThrow('sourceMap is an object, expected a string');
    await expect(load({ debugInfo: 'x' })).rejects.toThrow(TypeError);
  });
});
