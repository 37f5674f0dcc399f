// WABT, the WebAssembly toolkit itself: C++ that parses, validates, prints and rereads modules, mostly short calls and
// virtual ones over small heap objects.
import { embedded } from './embedded.ts';
import {
  bytesOf,
  digest,
  type InstantiateWasm,
  outcome,
  type Program,
  requireFresh,
  textOf,
  throughHook,
} from './program.ts';

type Wabt = Awaited<ReturnType<typeof import('wabt')>>;
type Factory = (options: { instantiateWasm: InstantiateWasm }) => Promise<Wabt>;

const wasm = () => embedded('wabt/index.js');

export const wabt: Program = {
  name: 'wabt',
  package: 'wabt',
  language: 'C++',
  wasm,
  async start(instantiate) {
    const factory = requireFresh('wabt') as Factory;
    const tool = await throughHook(instantiate, wasm(), (instantiateWasm) => factory({ instantiateWasm }));
    const texts = [
      textOf('@chainsafe/as-sha256/build/untouched.wat'),
      textOf('@chainsafe/as-sha256/build/optimized.wat'),
    ];
    const binary = bytesOf('@bokuweb/zstd-wasm/dist/common/zstd.wasm');
    return {
      run(scale = 1) {
        const lines: string[] = [];
        for (let round = 0; round < 2 * scale; round++) {
          for (const text of texts) lines.push(assemble(tool, text, round));
        }
        lines.push(disassemble(tool, binary));
        for (const mistake of MISTAKES) lines.push(outcome(() => tool.parseWat('mistake.wat', mistake).validate()));
        lines.push(outcome(() => tool.readWasm(binary.subarray(0, 5000), {})));
        return lines.join('\n');
      },
    };
  },
};

const MISTAKES = [
  '(module (func (result i32) i64.const 1))',
  '(module (func $a) (func $a) (export "a" (func $b)))',
  '(module (memory 1) (func (i32.load offset=99999999999 (i32.const 0)))',
];

function assemble(tool: Wabt, text: string, round: number): string {
  const module = tool.parseWat(`round${round}.wat`, text, {});
  module.resolveNames();
  module.validate();
  const { buffer, log } = module.toBinary({ log: true, write_debug_names: true, canonicalize_lebs: round % 2 === 0 });
  module.destroy();
  return `assembled ${buffer.length} ${digest(buffer)} log ${log.length} ${digest(log)}`;
}

function disassemble(tool: Wabt, bytes: Uint8Array): string {
  const module = tool.readWasm(bytes, { readDebugNames: true });
  module.generateNames();
  module.applyNames();
  const text = module.toText({ foldExprs: true, inlineExport: true });
  module.destroy();
  return `disassembled ${text.length} ${digest(text)}`;
}
