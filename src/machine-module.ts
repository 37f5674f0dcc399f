// The machine's own module, machine.wasm (assembly/machine-index.ts): code that works on the memory of an engine. It is read when
// the first machine of a process is made, and every engine with machines has an instance of it.

import { type Built, type Engine, EngineError, type EngineImports, readBuilt, readBuiltSync } from './engine.ts';
import { isModule, native } from './native.ts';

/// Every export of `machine.wasm` (assembly/README.md).
export interface MachineExports extends WebAssembly.Exports {
  machine_run(machine: number, program: number, words: number, times: number): number;
}

/// The one that belongs to this package, compiled once.
let own: WebAssembly.Module | undefined;

export class MachineModule {
  readonly #engine: Engine;
  readonly #imports: EngineImports;
  readonly #source: BufferSource | WebAssembly.Module | undefined;
  #exports: MachineExports | undefined;

  /// For an engine, with what that was started with. `source`: the bytes or the module of a `machine.wasm`; default: that of this
  /// package. Nothing is read yet.
  constructor(engine: Engine, imports: EngineImports, source?: BufferSource | WebAssembly.Module) {
    this.#engine = engine;
    this.#imports = imports;
    this.#source = source;
  }

  /// Reads and compiles it, for hosts that cannot do that at once. Throws EngineError: ENOENT, EINVAL for what is no such module.
  async load(): Promise<void> {
    if (this.#exports) return;
    const source = this.#source ?? own ?? (await readBuilt(MACHINE));
    this.#start(isModule(source) ? source : await native.compile(source).catch(notMachine));
  }

  /// Those of the instance, which is made now if there is none yet. Throws as `load`.
  get exports(): MachineExports {
    if (this.#exports) return this.#exports;
    const source = this.#source ?? own ?? readBuiltSync(MACHINE, 'tracer.loadMachine()');
    return this.#start(isModule(source) ? source : compile(source));
  }

  #start(module: WebAssembly.Module): MachineExports {
    if (this.#source === undefined) own = module;
    try {
      const { call = () => 0 } = this.#imports;
      const instance = new native.Instance(module, { env: this.#engine.exports, fprobe: { call } });
      const exports = instance.exports as MachineExports;
      if (typeof exports.machine_run !== 'function') throw new TypeError('it exports no machine_run');
      this.#exports = exports;
      return exports;
    } catch (error) {
      throw notMachine(error);
    }
  }
}

function compile(bytes: BufferSource): WebAssembly.Module {
  try {
    return new native.Module(bytes);
  } catch (error) {
    throw notMachine(error);
  }
}

const notMachine = (cause: unknown): never => {
  const what = 'not a machine for this engine';
  throw new EngineError(
    'EINVAL',
    `${what}: ${String(cause)}; pass the bytes of the machine.wasm beside its fprobe.wasm`,
    cause,
  );
};

// See `engineUrl`.
const MACHINE: Built = {
  name: 'machine.wasm',
  option: 'machine',
  url: () => new URL('../build/machine.wasm', import.meta.url).href,
};
