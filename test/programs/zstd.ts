// Zstandard: long loops in few functions, memory that grows while a call is running.
import { type Bytes, bytesOf, digest, outcome, type Program, requireFresh, textOf, throughGlobal } from './program.ts';

const wasm = (): Bytes => bytesOf('@bokuweb/zstd-wasm/dist/common/zstd.wasm');

export const zstd: Program = {
  name: 'zstd',
  package: '@bokuweb/zstd-wasm',
  language: 'C',
  wasm,
  async start(instantiate) {
    const codec = requireFresh('@bokuweb/zstd-wasm') as typeof import('@bokuweb/zstd-wasm');
    await throughGlobal(instantiate, wasm(), () => codec.init());
    const source = new TextEncoder().encode(textOf('web-tree-sitter/web-tree-sitter.cjs'));
    return {
      run(scale = 1) {
        const lines: string[] = [];
        for (const level of [1, 3, 7, 12, 19]) {
          const size = level > 10 ? source.length : source.length * scale;
          const data = Uint8Array.from({ length: size }, (_, index) => source[index % source.length]);
          const packed = codec.compress(data, level);
          const back = codec.decompress(packed);
          lines.push(
            `level ${level}: ${data.length} → ${packed.length} ${digest(packed)} ${digest(back) === digest(data)}`,
          );
        }
        lines.push(`dictionary ${digest(withDictionary(codec, source, 60 * scale))}`);
        lines.push(outcome(() => codec.decompress(source.subarray(0, 500))));
        const broken = codec.compress(source, 3);
        broken[broken.length >> 1] ^= 0xff;
        lines.push(outcome(() => codec.decompress(broken).length));
        return lines.join('\n');
      },
    };
  },
};

function withDictionary(codec: typeof import('@bokuweb/zstd-wasm'), source: Uint8Array, count: number): string {
  const dictionary = source.subarray(0, 8000);
  const compressor = codec.createCCtx();
  const decompressor = codec.createDCtx();
  const sizes: string[] = [];
  for (let part = 0; part < count; part++) {
    const message = source.subarray(8000 + part * 97, 8400 + part * 101);
    const packed = codec.compressUsingDict(compressor, message, dictionary, 5);
    const back = codec.decompressUsingDict(decompressor, packed, dictionary);
    sizes.push(`${message.length}>${packed.length}=${back.length} ${digest(packed)}`);
  }
  codec.freeCCtx(compressor);
  codec.freeDCtx(decompressor);
  return sizes.join();
}
