// The types of WebAssembly as a project has them that uses the package: those of the library `dom` or of whoever else declares them,
// and where nobody does (Node without `dom`), as much of them as there is to see. The package's declarations refer to these
// (src/build.js); what is declared globally cannot be asked for otherwise, and must not be declared twice.

type Global = typeof globalThis;

export type Module = Global extends { WebAssembly: { Module: { prototype: infer T } } } ? T : object;

export type Instance = Global extends { WebAssembly: { Instance: { prototype: infer T } } }
  ? T
  : { readonly exports: Exports };

export type Exports = Global extends { WebAssembly: { Instance: { prototype: { exports: infer T } } } }
  ? T
  : Record<string, unknown>;

export type Imports = Global extends { WebAssembly: { Instance: new (module: never, imports?: infer T) => unknown } }
  ? NonNullable<T>
  : Record<string, Record<string, unknown>>;

export type Memory = Global extends { WebAssembly: { Memory: { prototype: infer T } } }
  ? T
  : { readonly buffer: ArrayBuffer; grow(pages: number): number };

export type Table = Global extends { WebAssembly: { Table: { prototype: infer T } } }
  ? T
  : { readonly length: number; get(index: number): unknown; grow(count: number): number };

export type BufferSource = ArrayBufferView | ArrayBuffer;
