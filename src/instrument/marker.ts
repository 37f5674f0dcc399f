// The custom section that marks an instrumented module and says what was done to it, so that a module that arrives by
// other ways than through the instrumenter (structured clone to a worker, a cache) is recognised and can be attached.
//
//   version, flags, id u32, original size
//   signatures   vec (vec valtype, vec valtype)
//   sites        vec (index − previous index − 1, gap to the previous body's end, size, signature)
//   skipped      vec (index, gap, size, why)
//   faces        vec function index
//   imports      vec function index: imports called by reference
//
// All numbers are unsigned LEB128 unless said otherwise. Site ids are the positions in the list.

import { WasmFormatError } from '../errors.ts';
import { SECTION_NAME } from './abi.ts';
import type { ByteWriter } from './byte-writer.ts';
import { Cursor } from './cursor.ts';
import type { ModuleInfo } from './reader.ts';
import { type FuncType, readType, typeName, type ValType, writeType } from './types.ts';

const VERSION = 1;
const FLAG_ARGS = 1;
const FLAG_START = 2;
const FLAG_VIA = 4;

/// One function that can be probed.
export interface Site {
  /// Dense, in the order of definition: the gate's number.
  readonly id: number;
  /// In the module's function index space.
  readonly index: number;
  /// File offset of the body's first byte after its size field, in the original module.
  readonly offset: number;
  /// Bytes of the body.
  readonly size: number;
  /// Value types as the text format writes them.
  readonly params: readonly string[];
  readonly results: readonly string[];
}

/// A function that could not be given a gate.
export interface Skipped {
  readonly reason: 'limit';
  readonly index: number;
  readonly offset: number;
  readonly size: number;
  /// Which limit, in words.
  readonly why: string;
}

/// What the marker tells.
export interface Marker {
  /// Hash of where the original's bodies lie: the same for two instrumented forms of one module.
  readonly id: number;
  readonly originalSize: number;
  /// Arguments and results are passed to the engine.
  readonly args: boolean;
  /// The start function was moved to `EXPORT_START`.
  readonly startDeferred: boolean;
  /// Calls from inside set `GLOBAL_VIA`.
  readonly via: boolean;
  readonly sites: readonly Site[];
  readonly skipped: readonly Skipped[];
  /// Face → function index.
  readonly faces: readonly number[];
  /// Imported functions that calls through a reference can reach. Nobody clears `GLOBAL_VIA` on the way there, so
  /// whoever wraps imports does it for these.
  readonly importsByReference: readonly number[];
}

/// FNV-1a over the places of all bodies; 32 bits.
export function moduleId(module: ModuleInfo): number {
  let hash = 0x811c9dc5;
  const mix = (value: number) => {
    hash = Math.imul(hash ^ value, 0x01000193);
  };
  mix(module.bytes.length);
  for (let i = 0; i < module.bodyOffsets.length; i++) {
    mix(module.bodyOffsets[i]!);
    mix(module.bodySizes[i]!);
  }
  return hash >>> 0;
}

/// Writes name and contents of the section. `functionTypes` and `types` are the module's.
export function writeMarker(out: ByteWriter, marker: Marker, module: ModuleInfo): void {
  out.name(SECTION_NAME);
  out.u8(VERSION);
  out.u8((marker.args ? FLAG_ARGS : 0) | (marker.startDeferred ? FLAG_START : 0) | (marker.via ? FLAG_VIA : 0));
  for (let shift = 0; shift < 32; shift += 8) out.u8((marker.id >>> shift) & 0xff);
  out.u32(marker.originalSize);

  const signatures = new Map<number, number>();
  for (const { index } of marker.sites) {
    const type = module.functionTypes[index]!;
    if (!signatures.has(type)) signatures.set(type, signatures.size);
  }
  out.u32(signatures.size);
  for (const type of signatures.keys()) writeSignature(out, module.types[type]!.func!);

  out.u32(marker.sites.length);
  let index = -1;
  let end = 0;
  for (const site of marker.sites) {
    out.u32(site.index - index - 1);
    out.u32(site.offset - end);
    out.u32(site.size);
    out.u32(signatures.get(module.functionTypes[site.index]!)!);
    index = site.index;
    end = site.offset + site.size;
  }
  out.u32(marker.skipped.length);
  for (const skipped of marker.skipped) {
    out.u32(skipped.index);
    out.u32(skipped.offset);
    out.u32(skipped.size);
    out.name(skipped.why);
  }
  for (const list of [marker.faces, marker.importsByReference]) {
    out.u32(list.length);
    for (const item of list) out.u32(item);
  }
}

function writeSignature(out: ByteWriter, { params, results }: FuncType): void {
  for (const list of [params, results]) {
    out.u32(list.length);
    for (const type of list) writeType(out, type);
  }
}

/// Reads the contents of a marker (without its name, as `WebAssembly.Module.customSections` gives it). Throws
/// `WasmFormatError`, whose offset then counts from the start of `contents`.
export function readMarker(contents: Uint8Array): Marker {
  const cursor = new Cursor(contents);
  const version = cursor.u8('the version of a marker');
  if (version !== VERSION) throw new WasmFormatError(0, `marker version ${version}`, `version ${VERSION}`);
  const flags = cursor.u8('flags');
  let id = 0;
  for (let shift = 0; shift < 32; shift += 8) id |= cursor.u8('a module id') << shift;
  const originalSize = cursor.u32('a size');

  const readList = (): string[] =>
    Array.from({ length: cursor.count(1, 'value types') }, () => typeName(readAny(cursor)));
  const signatures = Array.from({ length: cursor.count(2, 'signatures') }, () => {
    const params = readList();
    return { params, results: readList() };
  });

  const sites: Site[] = [];
  const count = cursor.count(4, 'sites');
  let index = -1;
  let end = 0;
  for (let i = 0; i < count; i++) {
    index += cursor.u32('an index') + 1;
    const offset = end + cursor.u32('an offset');
    const size = cursor.u32('a size');
    const { params, results } = signatures[cursor.index(signatures.length, 'signature')]!;
    sites.push({ id: i, index, offset, size, params, results });
    end = offset + size;
  }
  const skipped = Array.from({ length: cursor.count(4, 'skipped functions') }, (): Skipped => {
    const place = { index: cursor.u32('an index'), offset: cursor.u32('an offset'), size: cursor.u32('a size') };
    return { reason: 'limit', ...place, why: cursor.name('a limit') };
  });
  const readNumbers = () => Array.from({ length: cursor.count(1, 'functions') }, () => cursor.u32('an index'));
  const faces = readNumbers();
  return {
    id: id >>> 0,
    originalSize,
    args: (flags & FLAG_ARGS) !== 0,
    startDeferred: (flags & FLAG_START) !== 0,
    via: (flags & FLAG_VIA) !== 0,
    sites,
    skipped,
    faces,
    importsByReference: readNumbers(),
  };
}

// The module's types are not at hand here and only names are made of them, so any index will do.
function readAny(cursor: Cursor): ValType {
  return readType(cursor, 1 << 24);
}

/// The sites of a marker's contents.
export function readSites(contents: Uint8Array): readonly Site[] {
  return readMarker(contents).sites;
}

/// Whether the module has been instrumented.
export function hasMarker(module: ModuleInfo): boolean {
  return module.sections.some((section) => section.name === SECTION_NAME);
}
