// The engine's own entry points, as they were when fprobe was loaded. The hook (src/register.ts) puts others in their place; what
// fprobe itself compiles must not come back to it.

interface Streaming {
  compileStreaming?(source: unknown, ...rest: unknown[]): Promise<WebAssembly.Module>;
  instantiateStreaming?(source: unknown, ...rest: unknown[]): Promise<WebAssembly.WebAssemblyInstantiatedSource>;
}

const { compileStreaming, instantiateStreaming } = WebAssembly as unknown as Streaming;
const { exports, imports, customSections } = WebAssembly.Module;
const { Module, Instance, compile, instantiate, validate } = WebAssembly;

/// Also false for a Proxy that was revoked, whose prototype cannot be asked for.
export function isModule(value: unknown): value is WebAssembly.Module {
  try {
    return value instanceof Module;
  } catch {
    return false;
  }
}

/// None of them needs a `this`.
export const native = {
  Module,
  Instance,
  compile,
  instantiate,
  validate,
  compileStreaming,
  instantiateStreaming,
  exports,
  imports,
  customSections,
};
