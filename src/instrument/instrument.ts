// Bytes in, bytes out: reads the module, decides who gets what, rewrites body after body and puts the parts together.
//
// Two things can only be known once all bodies have been read: whether one of them mentions an exported function that
// nothing else mentions, and whether one outgrows the engine's limit. The first attempt assumes neither, and when that
// proves wrong the bodies are rewritten again with that knowledge, which happens to few modules and at most twice.

import { WasmFormatError } from '../errors.ts';
import { EXPORT_CALL, EXPORT_SET, EXPORT_START, EXPORT_TABLE, RESERVED_PREFIX, SLOT_COUNT } from './abi.ts';
import { Additions } from './additions.ts';
import { ByteWriter } from './byte-writer.ts';
import { writeChoice } from './choice.ts';
import { custom } from './custom-sections.ts';
import { writeConst, writeRefNull } from './face-groups.ts';
import { type FacePlan, planFaces } from './faces.ts';
import { hasMarker, type Marker, moduleId, type Site, type Skipped, writeMarker } from './marker.ts';
import { OffsetMap, RunList } from './offset-map.ts';
import * as op from './opcodes.ts';
import {
  type ModuleInfo,
  readModule,
  SECTION_CODE,
  SECTION_ELEMENT,
  SECTION_EXPORT,
  SECTION_FUNCTION,
  SECTION_GLOBAL,
  SECTION_START,
  SECTION_TABLE,
  SECTION_TYPE,
  signature,
} from './reader.ts';
import { type BodyOptions, BodyRewriter, CATCHES, NO_SITE } from './rewriter.ts';
import { FUNCREF, I32, isReference, typeName, writeType } from './types.ts';
import { engineRefusal } from './validate.ts';
import { type Extension, ModuleWriter } from './writer.ts';

// What V8 accepts; other engines accept as much or more.
const LOCALS_MAX = 50_000;
const BODY_MAX = 7_654_321;
const FUNCTIONS_MAX = 1_000_000;
const TYPES_MAX = 1_000_000;
const GLOBALS_MAX = 1_000_000;
const TABLES_MAX = 100_000;
const EXPORTS_MAX = 1_000_000;
// Older V8 stops here. A module that is above already will not run there anyway.
const EXPORTS_MAX_OLD = 100_000;

// What a gate adds to a body, about; only used to guess sizes.
const GATE_BYTES = 44;

export interface InstrumentOptions {
  /// Pass arguments and results to the engine as 64-bit words. Default false.
  readonly args?: boolean;
  /// `'defer'`: the start function does not run by itself, it is exported as `EXPORT_START`. Default `'keep'`.
  readonly start?: 'keep' | 'defer';
  /// Which functions get a gate. Default: all. Asked once for each defined function, in order.
  readonly only?: (fn: FunctionInfo) => boolean;
  /// Have the engine check the result, and refuse input that it would refuse. Default true; a loader that compiles the
  /// result anyway saves the time. Nothing is checked where there is no `WebAssembly`.
  readonly validate?: boolean;
}

export interface FunctionInfo {
  /// In the module's function index space.
  readonly index: number;
  /// File offset of the body's first byte after its size field.
  readonly offset: number;
  /// Bytes of the body.
  readonly size: number;
  readonly params: readonly string[];
  readonly results: readonly string[];
  readonly exported: boolean;
}

/// The instrumented module and what there is to know about it.
export interface Instrumented extends Marker {
  readonly bytes: Uint8Array;
  readonly offsets: OffsetMap;
  /// What could not be kept, in words.
  readonly warnings: readonly string[];
  /// Functions with landing pads, which watch the shadow stack.
  readonly catching: number;
  /// Function index of the start function, if the module has one, deferred or not.
  readonly start?: number;
}

/// Gives every function of a WebAssembly module a gate, closed for now. Pure and synchronous; no engine is needed to
/// run the result.
///
/// Throws `WasmFormatError` (with the byte offset, and what was expected there) for input that is not a module, is
/// malformed, uses something unknown, or has been instrumented before.
export function instrument(bytes: Uint8Array, options: InstrumentOptions = {}): Instrumented {
  const module = readModule(bytes);
  refuseOurs(module);
  const result = new Instrumenting(module, options).run();
  if (options.validate !== false) {
    const refusal = engineRefusal(bytes, result.bytes);
    if (refusal !== undefined) throw refusal;
  }
  return result;
}

function refuseOurs(module: ModuleInfo): void {
  const marked = module.sections.find((section) => section.name === 'fprobe');
  if (hasMarker(module))
    throw new WasmFormatError(marked!.header, 'instrumented module', 'one that is not instrumented yet');
  const taken = module.exports.find(({ name }) => name.startsWith(RESERVED_PREFIX));
  if (taken === undefined) return;
  const at = module.sections.find((section) => section.id === SECTION_EXPORT)!.start;
  throw new WasmFormatError(at, `export "${taken.name}"`, `no export that begins with ${RESERVED_PREFIX}`);
}

interface Rewritten {
  readonly code: Extension;
  readonly runs: RunList;
  readonly sites: Site[];
  readonly skipped: Skipped[];
  readonly catching: number;
}

class Instrumenting {
  readonly #module: ModuleInfo;
  readonly #args: boolean;
  readonly #deferStart: boolean;
  /// By defined function: a gate is wanted.
  readonly #wanted: Uint8Array;
  /// By defined function: copied as it is, because it is too large or would be.
  readonly #raw: Uint8Array;
  readonly #names: (readonly [params: string[], results: string[]])[] = [];
  #codeMentionsExports = false;

  constructor(module: ModuleInfo, options: InstrumentOptions) {
    this.#module = module;
    this.#args = options.args === true;
    this.#deferStart = options.start === 'defer' && module.start !== undefined;
    this.#raw =
      module.bodySizes.length === 0
        ? new Uint8Array(0)
        : Uint8Array.from(module.bodySizes, (n) => (n > BODY_MAX ? 1 : 0));
    this.#wanted = this.#choose(options.only);
  }

  run(): Instrumented {
    for (;;) {
      const additions = new Additions(this.#module, this.#gates());
      const setter = additions.addFunction(additions.pool.index([I32, I32], []), (out) => writeSetter(out, additions));
      const plan = this.#plan(additions);
      const tooMany = this.#tooMany(additions, plan);
      if (tooMany !== undefined) return this.#leaveAlone(tooMany);
      const rewritten = this.#rewrite(additions, plan);
      if (rewritten !== undefined) return this.#assemble(additions, plan, rewritten, setter);
    }
  }

  #typeNames(index: number): readonly [params: string[], results: string[]] {
    const type = this.#module.functionTypes[index]!;
    const { params, results } = signature(this.#module, index);
    this.#names[type] ??= [params.map(typeName), results.map(typeName)];
    return this.#names[type];
  }

  #choose(only: InstrumentOptions['only']): Uint8Array {
    const { bodyOffsets, bodySizes, importedFunctions, exports } = this.#module;
    const wanted = new Uint8Array(bodySizes.length).fill(1);
    if (only === undefined) return wanted;
    const exported = new Set(exports.filter(({ kind }) => kind === 'function').map(({ index }) => index));
    for (let i = 0; i < wanted.length; i++) {
      const index = importedFunctions + i;
      const [params, results] = this.#typeNames(index);
      const place = { index, offset: bodyOffsets[i]!, size: bodySizes[i]! };
      wanted[i] = only({ ...place, params, results, exported: exported.has(index) }) ? 1 : 0;
    }
    return wanted;
  }

  #gates(): number {
    let count = 0;
    for (let i = 0; i < this.#wanted.length; i++) if (this.#wanted[i] === 1 && this.#raw[i] === 0) count++;
    return count;
  }

  #plan(additions: Additions): FacePlan {
    const { importedFunctions } = this.#module;
    return planFaces(this.#module, additions, {
      rewritten: (index) => this.#raw[index - importedFunctions] === 0,
      startExported: this.#deferStart,
      codeMentionsExports: this.#codeMentionsExports,
    });
  }

  // Appending may cross one of the limits on how many of a thing a module can have.
  #tooMany(additions: Additions, plan: FacePlan): string | undefined {
    const { spaces, exports } = this.#module;
    const exportsMax = exports.length <= EXPORTS_MAX_OLD ? EXPORTS_MAX_OLD : EXPORTS_MAX;
    const counts: [what: string, count: number, max: number][] = [
      ['functions', spaces.functions + additions.functions.length, FUNCTIONS_MAX],
      ['types', spaces.types + additions.pool.added.length, TYPES_MAX],
      ['globals', spaces.globals + additions.settable + additions.spills.length, GLOBALS_MAX],
      ['tables', spaces.tables + (plan.faces.length > 0 ? 2 : 1), TABLES_MAX],
      ['exports', exports.length + 4, exportsMax],
    ];
    const crossed = counts.find(([, count, max]) => count > max);
    return crossed && `the module would have ${crossed[1]} ${crossed[0]}, ${crossed[2]} are allowed`;
  }

  #rewrite(additions: Additions, plan: FacePlan): Rewritten | undefined {
    const module = this.#module;
    const { bytes, bodyOffsets, bodySizes, importedFunctions } = module;
    const bodies = bodySizes.length;
    const codeSize = module.sections.find((section) => section.id === SECTION_CODE);
    const guess = codeSize === undefined ? 0 : codeSize.end - codeSize.start;
    const out = new ByteWriter(guess + (guess >>> 5) + (bodies + 16) * GATE_BYTES);
    const runs = new RunList(bodies * 3 + 64);
    const rewriter = new BodyRewriter(module, additions, plan, out, runs);
    const sites: Site[] = [];
    const skipped: Skipped[] = [];
    let catching = 0;
    let again = false;
    for (let i = 0; i < bodies; i++) {
      const index = importedFunctions + i;
      const place = { index, offset: bodyOffsets[i]!, size: bodySizes[i]! };
      if (this.#raw[i] === 1) {
        out.u32(place.size);
        runs.add(place.offset, out.length);
        out.copy(bytes, place.offset, place.offset + place.size);
        skipped.push({ reason: 'limit', ...place, why: `its body would be larger than ${BODY_MAX} bytes` });
        continue;
      }
      const locals = rewriter.readLocals(i);
      let options: BodyOptions = {
        site: this.#wanted[i] === 1 ? sites.length : NO_SITE,
        args: this.#args,
        catches: false,
      };
      if (options.site !== NO_SITE && locals + rewriter.addedLocals({ ...options, catches: true }) > LOCALS_MAX) {
        options = { ...options, site: NO_SITE };
        skipped.push({ reason: 'limit', ...place, why: `it has ${locals} locals, ${LOCALS_MAX} are allowed` });
      }
      const roomToCatch = locals + rewriter.addedLocals({ ...options, catches: true }) <= LOCALS_MAX;

      const start = out.length;
      const firstRun = runs.length;
      const sizeGuess = place.size + GATE_BYTES;
      let at = out.openSize(sizeGuess);
      if (rewriter.rewrite(index, options, roomToCatch) === CATCHES) {
        out.length = start;
        runs.length = firstRun;
        at = out.openSize(sizeGuess);
        catching++;
        rewriter.rewrite(index, { ...options, catches: true }, false);
      }
      const moved = out.closeSize(at, sizeGuess);
      if (moved !== 0) runs.shift(firstRun, moved);
      if (out.length - start > BODY_MAX) {
        this.#raw[i] = 1;
        again = true;
      }
      if (options.site !== NO_SITE) {
        const [params, results] = this.#typeNames(index);
        sites.push({ id: options.site, ...place, params, results });
      }
    }
    if (rewriter.mentionsExports && !this.#codeMentionsExports) {
      this.#codeMentionsExports = true;
      again = true;
    }
    if (again) return undefined;
    for (const { body } of additions.functions) {
      const scratch = new ByteWriter();
      body(scratch);
      out.u32(scratch.length);
      out.append(scratch);
    }
    return { code: { count: bodies + additions.functions.length, bytes: out }, runs, sites, skipped, catching };
  }

  #assemble(additions: Additions, plan: FacePlan, rewritten: Rewritten, setter: number): Instrumented {
    const module = this.#module;
    const { sites, skipped } = rewritten;
    const facts = this.#facts(sites, skipped, plan);
    const warnings: string[] = [];
    // Bodies keep their order, so the runs of the code alone serve to translate offsets within a body.
    const { code, runs } = rewritten;
    const codeMap = new OffsetMap(runs.original.subarray(0, runs.length), runs.instrumented.subarray(0, runs.length));
    const marker = new ByteWriter(sites.length * 6 + 64);
    writeMarker(marker, facts, module);
    const writer = new ModuleWriter(module, extensions(module, additions, plan, setter, this.#deferStart));
    const { bytes, offsets } = writer.write({
      code,
      codeRuns: runs,
      fate: (section) => custom(module, section, codeMap, warnings),
      dropped: this.#deferStart ? SECTION_START : -1,
      marker,
    });
    return { ...facts, bytes, offsets, warnings, catching: rewritten.catching, start: module.start };
  }

  #facts(sites: Site[], skipped: Skipped[], plan?: FacePlan): Marker {
    const module = this.#module;
    return {
      id: moduleId(module),
      originalSize: module.bytes.length,
      args: this.#args,
      startDeferred: plan !== undefined && this.#deferStart,
      via: plan !== undefined && plan.faces.length > 0,
      sites,
      skipped,
      faces: plan?.faces ?? [],
      importsByReference: plan?.importsByReference ?? [],
    };
  }

  /// The module with a marker and nothing else.
  #leaveAlone(why: string): Instrumented {
    const module = this.#module;
    const { bytes, bodyOffsets, bodySizes, importedFunctions } = module;
    const skipped = Array.from(bodyOffsets, (offset, i): Skipped => {
      return { reason: 'limit', index: importedFunctions + i, offset, size: bodySizes[i]!, why };
    });
    const facts = this.#facts([], skipped);
    const contents = new ByteWriter(64);
    writeMarker(contents, facts, module);
    const out = new ByteWriter(bytes.length + contents.length + 8);
    out.copy(bytes, 0, bytes.length);
    out.u8(0);
    out.u32(contents.length);
    out.append(contents);
    const runs = new RunList(2);
    runs.add(0, 0);
    const offsets = runs.finish(bytes.length, out.length);
    return { ...facts, bytes: out.view(), offsets, warnings: [why], catching: 0, start: module.start };
  }
}

// (index, value) → (): an index past the end sets nothing.
function writeSetter(out: ByteWriter, additions: Additions): void {
  const count = additions.settable;
  out.u8(0); // locals
  out.op(op.OP_LOCAL_GET, 0);
  writeConst(out, count);
  out.u8(op.OP_I32_GE_U);
  out.pair(op.OP_IF, 0x40);
  out.u8(op.OP_RETURN);
  out.u8(op.OP_END);
  writeChoice(
    out,
    count,
    () => out.op(op.OP_LOCAL_GET, 0),
    (k) => {
      out.op(op.OP_LOCAL_GET, 1);
      out.op(op.OP_GLOBAL_SET, additions.any + k);
    },
  );
  out.u8(op.OP_END);
}

// What is appended to each section but the code section.
function extensions(
  module: ModuleInfo,
  additions: Additions,
  plan: FacePlan,
  setter: number,
  deferStart: boolean,
): Map<number, Extension> {
  const faced = plan.faces.length > 0;
  const found = new Map<number, Extension>();
  const extend = (id: number, count: number, write: (out: ByteWriter) => void) => {
    if (count === 0) return;
    const bytes = new ByteWriter();
    write(bytes);
    found.set(id, { count, bytes });
  };

  extend(SECTION_TYPE, additions.pool.added.length, (out) => additions.pool.write(out));
  extend(SECTION_FUNCTION, additions.functions.length, (out) => {
    for (const { type } of additions.functions) out.u32(type);
  });
  extend(SECTION_TABLE, faced ? 2 : 1, (out) => {
    for (const size of faced ? [SLOT_COUNT, plan.faces.length] : [SLOT_COUNT]) {
      out.pair(FUNCREF, 1); // 1: has a maximum
      out.u32(size);
      out.u32(size);
    }
  });
  const plain = additions.settable;
  extend(SECTION_GLOBAL, plain + additions.spills.length, (out) => {
    for (let i = 0; i < plain; i++) writeGlobal(out, I32);
    for (const type of additions.spills) writeGlobal(out, type);
  });
  extend(SECTION_EXPORT, 2 + (faced ? 1 : 0) + (deferStart ? 1 : 0), (out) => {
    writeExport(out, EXPORT_TABLE, 1, additions.table);
    writeExport(out, EXPORT_SET, 0, setter);
    if (faced) writeExport(out, EXPORT_CALL, 0, setter + 1);
    if (deferStart) writeExport(out, EXPORT_START, 0, module.start!);
  });
  extend(SECTION_ELEMENT, faced ? 1 : 0, (out) => {
    out.u8(2); // active, with a table index
    out.u32(additions.facesTable);
    writeConst(out, 0);
    out.u8(op.OP_END);
    out.u8(0); // functions
    out.u32(plan.faces.length);
    for (const index of plan.faces) out.u32(index);
  });
  return found;
}

function writeExport(out: ByteWriter, name: string, kind: number, index: number): void {
  out.name(name);
  out.u8(kind);
  out.u32(index);
}

const ZERO_BYTES: Record<string, readonly number[]> = {
  i32: [op.OP_I32_CONST, 0],
  i64: [op.OP_I64_CONST, 0],
  f32: [0x43, 0, 0, 0, 0],
  f64: [0x44, 0, 0, 0, 0, 0, 0, 0, 0],
};

// Mutable, zero.
function writeGlobal(out: ByteWriter, type: number): void {
  writeType(out, type);
  out.u8(1);
  if (isReference(type)) writeRefNull(out, type);
  else for (const byte of ZERO_BYTES[typeName(type)]!) out.u8(byte);
  out.u8(op.OP_END);
}
