/// `fprobe/instrument`: WebAssembly in, WebAssembly with gates out. Stands alone; needs no engine.

export { WasmFormatError } from '../errors.ts';
export * from './abi.ts';
export { type FunctionInfo, type Instrumented, type InstrumentOptions, instrument } from './instrument.ts';
export { hasMarker, type Marker, readMarker, readSites, type Site, type Skipped } from './marker.ts';
export { OffsetMap } from './offset-map.ts';
export {
  customSections,
  type ExportInfo,
  type ExternalKind,
  type ImportInfo,
  type ModuleInfo,
  readModule,
  type Section,
  signature,
} from './reader.ts';
export { type FuncType, isReference, typeName, type ValType } from './types.ts';
