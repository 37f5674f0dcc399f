// SHA-256 in AssemblyScript, SIMD variant: a start function, and exports so short that calls from JavaScript are most of
// the work. The package's own JavaScript instantiates while it is imported and without a hook, so the exports are driven
// directly here, as it does.
import { type Bytes, bytesOf, digest, outcome, type Program, textOf } from './program.ts';

interface Exports {
  PARALLEL_FACTOR: WebAssembly.Global;
  INPUT_LENGTH: WebAssembly.Global;
  input: WebAssembly.Global;
  output: WebAssembly.Global;
  memory: WebAssembly.Memory;
  init(): void;
  update(data: number, length: number): void;
  final(output: number): void;
  digest(length: number): void;
  digest64(input: number, output: number): void;
  batchHash4UintArray64s(output: number): void;
}

const wasm = (): Bytes => bytesOf('@chainsafe/as-sha256/build/optimized.simd.wasm');

export const sha256: Program = {
  name: 'sha256',
  package: '@chainsafe/as-sha256',
  language: 'AssemblyScript',
  wasm,
  async start(instantiate) {
    const abort = (message: number, file: number, line: number, column: number): never => {
      throw new Error(`abort: ${message}:${file}:${line}:${column}`);
    };
    const { instance } = await instantiate(wasm(), { env: { abort } });
    const module = instance.exports as unknown as Exports;
    const data = new TextEncoder().encode(textOf('web-tree-sitter/web-tree-sitter.cjs'));
    return { run: (scale = 1) => hash(module, data, scale) };
  },
};

function hash(module: Exports, data: Uint8Array, scale: number): string {
  const input = module.input.value;
  const output = module.output.value;
  const memory = new Uint8Array(module.memory.buffer);
  const result = () => Buffer.from(memory.subarray(output, output + 32)).toString('hex');
  const limit = module.INPUT_LENGTH.value;

  module.init();
  for (let at = 0; at < data.length; at += limit) {
    const part = data.subarray(at, at + limit);
    memory.set(part, input);
    module.update(input, part.length);
  }
  module.final(output);
  // The library's one property that is known without it: the digest of these bytes.
  const lines = [`whole ${result()} ${result().startsWith(digest(data))}`];

  // A chain: each digest is half of the next block.
  memory.set(data.subarray(0, 64), input);
  for (let block = 0; block < 90_000 * scale; block++) {
    module.digest64(input, output);
    memory.copyWithin(input + (block & 32), output, output + 32);
  }
  lines.push(`chain ${result()}`);

  memory.set(data.subarray(0, 256), input);
  memory.fill(0, output + 32, output + 128);
  for (let batch = 0; batch < 5_000 * scale; batch++) {
    memory.copyWithin(input, output, output + 128);
    memory[input + 128 + (batch % 128)] = batch;
    module.batchHash4UintArray64s(output);
  }
  lines.push(`batches of ${module.PARALLEL_FACTOR.value} ${digest(memory.slice(output, output + 128))}`);
  for (let length = 0; length < 200; length++) {
    memory.set(data.subarray(length, length * 2), input);
    module.digest(length);
  }
  lines.push(
    `short ${result()}`,
    outcome(() => module.update(0xffff_fff0, 64)),
  );
  return lines.join('\n');
}
