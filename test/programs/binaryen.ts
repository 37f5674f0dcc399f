// Binaryen, the optimiser: the largest module here, over 12,000 functions of C++. Its exceptions run through JavaScript:
// each call that could throw leaves by an `invoke_…` import and comes back in through a function out of the exported
// table, hundreds of thousands of times a run.
import { embedded } from './embedded.ts';
import {
  type Bytes,
  bytesOf,
  digest,
  type Instantiate,
  type Program,
  textOf,
  throughGlobal,
  urlOf,
} from './program.ts';

type Binaryen = typeof import('binaryen')['default'];

const wasm = (): Bytes => embedded('binaryen/index.js');

/// The package with a module of its own.
export const loadBinaryen = (instantiate: Instantiate): Promise<Binaryen> =>
  throughGlobal(instantiate, wasm(), evaluate);

export const binaryen: Program = {
  name: 'binaryen',
  package: 'binaryen',
  language: 'C++',
  wasm,
  async start(instantiate) {
    const tool = await loadBinaryen(instantiate);
    const module = bytesOf('@chainsafe/as-sha256/build/untouched.wasm');
    return {
      run(scale = 1) {
        const lines: string[] = [];
        for (let round = 0; round < scale; round++) lines.push(optimize(tool, module, round % 3));
        lines.push(build(tool));
        return lines.join('\n');
      },
    };
  },
};

type Evaluate = (load: (specifier: string) => Promise<unknown>) => Promise<Binaryen>;

/// The package instantiates while it is imported, so each session needs an import of its own. Its source is 15 MB of mostly
/// module: as a function it evaluates in a third of a second, while loaders that transform what is imported take ten.
function evaluate(): Promise<Binaryen> {
  const source = textOf('binaryen/index.js')
    .replaceAll('import("node:module")', 'load("node:module")')
    .replaceAll('import.meta.url', JSON.stringify(urlOf('binaryen/index.js').href))
    .replace(/export\s*\{\s*([\w$]+) as default\s*\};?\s*$/, 'return $1;');
  const AsyncFunction = (async () => {}).constructor as new (parameter: string, body: string) => Evaluate;
  return new AsyncFunction('load', `'use strict';${source}`)((specifier) => import(specifier));
}

function optimize(tool: Binaryen, bytes: Uint8Array, shrink: number): string {
  const module = tool.readBinary(bytes);
  module.setFeatures(tool.Features.All);
  tool.setOptimizeLevel(2);
  tool.setShrinkLevel(shrink);
  module.optimize();
  const binary = module.emitBinary();
  module.dispose();
  return `shrink ${shrink}: ${bytes.length} → ${binary.length} ${digest(binary)}`;
}

/// A module built expression by expression, one export call each.
function build(tool: Binaryen): string {
  const module = new tool.Module();
  for (let index = 0; index < 200; index++) {
    let body = module.local.get(0, tool.i32);
    for (let term = 0; term < 12; term++) {
      const factor = module.i32.const((index * term) % 7);
      body = module.i32.add(module.i32.mul(body, factor), module.local.get(term % 2, tool.i32));
    }
    module.addFunction(`f${index}`, tool.createType([tool.i32, tool.i32]), tool.i32, [], body);
    if (index % 20 === 0) module.addFunctionExport(`f${index}`, `export${index}`);
  }
  const valid = module.validate();
  module.runPasses(['precompute', 'vacuum', 'remove-unused-module-elements']);
  const text = module.emitText();
  module.dispose();
  return `built ${valid} ${text.length} ${digest(text)}`;
}
