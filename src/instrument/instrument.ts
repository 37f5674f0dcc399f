// Bytes in, bytes out: reads the module, decides who gets what, rewrites body after body and puts the parts together.
//
// Some things can only be known once all bodies have been read: whether one of them mentions an exported function that
// nothing else mentions, whether one outgrows the engine's limit, and how large the module becomes. The first attempt
// assumes the best, and when that proves wrong the bodies are rewritten with that knowledge, which happens to few modules.

import { isUint8Array, kindOf } from '../bytes.ts';
import { badRange, badType, shown, WasmFormatError } from '../errors.ts';
import { checkBoolean, checkFunction, readOptions } from '../options.ts';
import { RESERVED_PREFIX, SECTION_NAME } from './abi.ts';
import { Additions } from './additions.ts';
import { extensions, writeSetter } from './appended.ts';
import { ByteWriter } from './byte-writer.ts';
import { BODY_MAX, type Code, rewriteCode, TypeNames } from './code.ts';
import { custom } from './custom-sections.ts';
import { type FacePlan, planFaces } from './faces.ts';
import { type Marker, moduleId, type Site, type Skipped, writeMarker } from './marker.ts';
import { OffsetMap, RunList } from './offset-map.ts';
import { type ModuleInfo, readModule, SECTION_EXPORT, SECTION_START } from './reader.ts';
import { I32 } from './types.ts';
import { engineRefusal } from './validate.ts';
import { ModuleWriter } from './writer.ts';

// What V8 accepts; other engines accept as much or more.
const FUNCTIONS_MAX = 1_000_000;
const TYPES_MAX = 1_000_000;
const GLOBALS_MAX = 1_000_000;
const TABLES_MAX = 100_000;
const EXPORTS_MAX = 1_000_000;
// Older V8 stops here. A module that is above already will not run there anyway.
const EXPORTS_MAX_OLD = 100_000;

const GROWTH = 0.22;
// By what a plan may be off before it is worth making another: every other module is, by one or two hundredths, and would
// take twice the time.
const GROWTH_SLACK = 0.03;

export interface InstrumentOptions {
  /// Pass arguments and results to the engine as 64-bit words. Default false.
  readonly args?: boolean;
  /// `'defer'`: the start function does not run by itself, it is exported as `EXPORT_START`. Default `'keep'`.
  readonly start?: 'keep' | 'defer';
  /// Which functions get a gate. Default: all. Asked once for each defined function, in order.
  readonly only?: (fn: FunctionInfo) => boolean;
  /// Small bodies are written twice, which makes their gates cheaper while closed, as long as the module does not grow by
  /// more than this share of its size, give or take 0.03, everything that is added included. 0: never. Default 0.22.
  readonly growth?: number;
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
  /// The module. A view: its buffer is larger.
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
  if (!isUint8Array(bytes)) {
    throw badType(`instrument: expected the module's bytes as a Uint8Array, got ${kindOf(bytes)}`);
  }
  const read = readOptions('instrument', options, ['args', 'start', 'only', 'growth', 'validate']);
  if (read.only !== undefined) checkFunction('only', read.only);
  if (read.start !== undefined && read.start !== 'keep' && read.start !== 'defer') {
    throw badRange(`start is ${shown(read.start)}, expected 'keep' or 'defer'`);
  }
  checkBoolean('args', read.args);
  checkBoolean('validate', read.validate);
  const module = readModule(bytes);
  refuseOurs(module);
  const result = new Instrumenting(module, read).run();
  if (read.validate !== false) {
    const refusal = engineRefusal(bytes, result.bytes);
    if (refusal !== undefined) throw refusal;
  }
  return result;
}

function refuseOurs(module: ModuleInfo): void {
  const marked = module.sections.find((section) => section.name === SECTION_NAME);
  if (marked !== undefined) {
    throw new WasmFormatError(marked.header, 'mark of an instrumented module', 'a module that is not instrumented yet');
  }
  const taken = module.exports.find(({ name }) => name.startsWith(RESERVED_PREFIX));
  if (taken === undefined) return;
  const at = module.sections.find((section) => section.id === SECTION_EXPORT)!.start;
  throw new WasmFormatError(at, `export "${taken.name}"`, `no export that begins with ${RESERVED_PREFIX}`);
}

class Instrumenting {
  readonly #module: ModuleInfo;
  readonly #args: boolean;
  readonly #deferStart: boolean;
  readonly #growth: number;
  readonly #names: TypeNames;
  /// By defined function: a gate is wanted.
  readonly #wanted: Uint8Array;
  /// By defined function: copied as it is, because it is too large or would be.
  readonly #raw: Uint8Array;
  #codeMentionsExports = false;
  /// What of `growth` may be planned with: less than all of it once a plan turned out too bold.
  #allowance: number;

  constructor(module: ModuleInfo, options: InstrumentOptions) {
    this.#module = module;
    this.#args = options.args === true;
    this.#deferStart = options.start === 'defer' && module.start !== undefined;
    this.#growth = options.growth === undefined ? GROWTH : options.growth;
    if (typeof this.#growth !== 'number' || !(this.#growth >= 0))
      throw badRange(`growth is ${shown(this.#growth)}, expected a share of 0 or more`);
    this.#allowance = this.#growth;
    this.#names = new TypeNames(module);
    this.#raw = new Uint8Array(module.bodySizes.length);
    module.bodySizes.forEach((size, i) => {
      if (size > BODY_MAX) this.#raw[i] = 1;
    });
    this.#wanted = this.#choose(options.only);
  }

  run(): Instrumented {
    for (;;) {
      const additions = new Additions(this.#module, this.#gates());
      const setter = additions.addFunction(additions.pool.index([I32, I32], []), (out) => writeSetter(out, additions));
      const plan = this.#plan(additions);
      const tooMany = this.#tooMany(additions, plan);
      if (tooMany !== undefined) return this.#leaveAlone(tooMany);
      const options = {
        wanted: this.#wanted,
        raw: this.#raw,
        args: this.#args,
        growth: this.#allowance,
        names: this.#names,
      };
      const code = rewriteCode(this.#module, additions, plan, options);
      if (this.#learn(code)) continue;
      const result = this.#assemble(additions, plan, code, setter);
      if (code.twice === 0 || !this.#tooLarge(result.bytes.length)) return result;
    }
  }

  /// Whether writing bodies twice made the module too large; if so, fewer of them will be the next time.
  #tooLarge(size: number): boolean {
    const excess = size / this.#module.bytes.length - 1 - this.#growth;
    if (excess <= GROWTH_SLACK) return false;
    this.#allowance = Math.max(0, this.#allowance - excess);
    return true;
  }

  /// Takes note of what only the bodies could tell; returns whether anything was new.
  #learn({ mentionsExports, outgrown }: Code): boolean {
    const news = outgrown.length > 0 || (mentionsExports && !this.#codeMentionsExports);
    for (const defined of outgrown) this.#raw[defined] = 1;
    this.#codeMentionsExports ||= mentionsExports;
    return news;
  }

  #choose(only: InstrumentOptions['only']): Uint8Array {
    const { bodyOffsets, bodySizes, importedFunctions, exports } = this.#module;
    const wanted = new Uint8Array(bodySizes.length).fill(1);
    if (only === undefined) return wanted;
    const exported = new Set(exports.filter(({ kind }) => kind === 'function').map(({ index }) => index));
    for (let i = 0; i < wanted.length; i++) {
      const index = importedFunctions + i;
      const place = { index, offset: bodyOffsets[i]!, size: bodySizes[i]! };
      wanted[i] = only({ ...place, ...this.#names.of(index), exported: exported.has(index) }) ? 1 : 0;
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

  #assemble(additions: Additions, plan: FacePlan, code: Code, setter: number): Instrumented {
    const module = this.#module;
    const { sites, skipped, runs } = code;
    const facts = this.#facts(sites, skipped, plan);
    const warnings: string[] = [];
    // Bodies keep their order, so the runs of the code alone serve to translate offsets within a body.
    const codeMap = new OffsetMap(runs.original.subarray(0, runs.length), runs.instrumented.subarray(0, runs.length));
    const marker = new ByteWriter(sites.length * 6 + 64);
    writeMarker(marker, facts, module);
    const writer = new ModuleWriter(module, extensions(module, additions, plan, setter, this.#deferStart));
    const { bytes, offsets } = writer.write({
      code: code.section,
      codeRuns: runs,
      fate: (section) => custom(module, section, codeMap, warnings),
      dropped: this.#deferStart ? SECTION_START : -1,
      marker,
    });
    return { ...facts, bytes, offsets, warnings, catching: code.catching, start: module.start };
  }

  #facts(sites: readonly Site[], skipped: readonly Skipped[], plan?: FacePlan): Marker {
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
