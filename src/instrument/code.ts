// All bodies: which of them get a gate, what becomes of those that cannot have one, and the code section they make.

import type { Additions } from './additions.ts';
import { ByteWriter } from './byte-writer.ts';
import type { FacePlan } from './faces.ts';
import type { Site, Skipped } from './marker.ts';
import { RunList } from './offset-map.ts';
import { type ModuleInfo, SECTION_CODE, signature } from './reader.ts';
import { type BodyOptions, BodyRewriter, CATCHES, NO_SITE } from './rewriter.ts';
import { typeName } from './types.ts';
import { codeWriter, type Extension } from './writer.ts';

// What V8 accepts; other engines accept as much or more.
const LOCALS_MAX = 50_000;
export const BODY_MAX = 7_654_321;

// What a gate adds to a body, and a face on top of it, about; only used to guess sizes.
const GATE_BYTES = 44;
const WORDS_BYTES = 10;
const FACE_BYTES = 24;
// No body larger than this is written twice: its own work hides what that saves.
const QUICK_MAX = 512;

/// What is wanted, by defined function.
export interface CodeOptions {
  /// 1: a gate.
  readonly wanted: Uint8Array;
  /// 1: copied as it is, because it is too large or would be.
  readonly raw: Uint8Array;
  readonly args: boolean;
  /// How far bodies may be written twice: the module's growth as a share of its size, all included, that they may lead to.
  readonly growth: number;
  readonly names: TypeNames;
}

export interface Code {
  readonly section: Extension;
  /// Where bodies went, as offsets into the section's entries.
  readonly runs: RunList;
  readonly sites: readonly Site[];
  readonly skipped: readonly Skipped[];
  /// Functions with landing pads.
  readonly catching: number;
  /// A body mentions an exported function that nothing else mentions.
  readonly mentionsExports: boolean;
  /// Bodies (by defined function) that outgrew the limit: they have to be copied as they are.
  readonly outgrown: readonly number[];
  /// How many bodies were written twice.
  readonly twice: number;
}

/// Names of a function's types, made once for each type.
export class TypeNames {
  readonly #module: ModuleInfo;
  readonly #known: { readonly params: readonly string[]; readonly results: readonly string[] }[] = [];

  constructor(module: ModuleInfo) {
    this.#module = module;
  }

  of(index: number): { readonly params: readonly string[]; readonly results: readonly string[] } {
    const type = this.#module.functionTypes[index]!;
    const { params, results } = signature(this.#module, index);
    this.#known[type] ??= { params: params.map(typeName), results: results.map(typeName) };
    return this.#known[type];
  }
}

/// The largest size such that all bodies up to it can be written twice within `growth`, as far as that can be told ahead.
function quickMax(module: ModuleInfo, plan: FacePlan, { growth, args }: CodeOptions): number {
  const { bytes, bodySizes, importedFunctions } = module;
  const bytesOfSize = new Float64Array(QUICK_MAX + 1);
  let room = bytes.length * growth - plan.faces.length * FACE_BYTES;
  for (let i = 0; i < bodySizes.length; i++) {
    room -= GATE_BYTES + (args ? WORDS_BYTES : 0);
    if (bodySizes[i]! > QUICK_MAX) continue;
    bytesOfSize[bodySizes[i]!]! += bodySizes[i]! + (plan.faceOf[importedFunctions + i]! >= 0 ? 8 : 12);
  }
  let max = 0;
  while (max < QUICK_MAX) {
    room -= bytesOfSize[max + 1]!;
    if (room < 0) break;
    max++;
  }
  return max;
}

export function rewriteCode(module: ModuleInfo, additions: Additions, plan: FacePlan, options: CodeOptions): Code {
  return new CodeWriter(module, additions, plan, options).write();
}

class CodeWriter {
  readonly #module: ModuleInfo;
  readonly #additions: Additions;
  readonly #options: CodeOptions;
  readonly #out: ByteWriter;
  readonly #runs: RunList;
  readonly #rewriter: BodyRewriter;
  readonly #sites: Site[] = [];
  readonly #skipped: Skipped[] = [];
  readonly #outgrown: number[] = [];
  /// End of the input's code section, −1 when there is none.
  readonly #end: number;
  /// Bodies up to this size are written twice.
  readonly #quickMax: number;
  #catching = 0;
  #twice = 0;

  constructor(module: ModuleInfo, additions: Additions, plan: FacePlan, options: CodeOptions) {
    this.#module = module;
    this.#additions = additions;
    this.#options = options;
    const bodies = module.bodySizes.length;
    this.#end = module.sections.find(({ id }) => id === SECTION_CODE)?.end ?? -1;
    this.#quickMax = quickMax(module, plan, options);
    this.#out = codeWriter(module, options.growth, bodies * GATE_BYTES);
    this.#runs = new RunList(bodies * 3 + 64);
    this.#rewriter = new BodyRewriter(module, additions, plan, this.#out, this.#runs);
  }

  write(): Code {
    const bodies = this.#module.bodySizes.length;
    for (let i = 0; i < bodies; i++) {
      if (this.#options.raw[i] === 1) this.#copy(i);
      else this.#rewrite(i);
    }
    // The last run ends with the last body, not with what follows it.
    if (this.#end >= 0) this.#runs.add(this.#end, this.#out.length);
    for (const { body } of this.#additions.functions) {
      const scratch = new ByteWriter();
      body(scratch);
      this.#out.u32(scratch.length);
      this.#out.append(scratch);
    }
    return {
      section: { count: bodies + this.#additions.functions.length, bytes: this.#out },
      runs: this.#runs,
      sites: this.#sites,
      skipped: this.#skipped,
      catching: this.#catching,
      mentionsExports: this.#rewriter.mentionsExports,
      outgrown: this.#outgrown,
      twice: this.#twice,
    };
  }

  #skip(defined: number, why: string): void {
    const { importedFunctions, bodyOffsets, bodySizes } = this.#module;
    const place = { index: importedFunctions + defined, offset: bodyOffsets[defined]!, size: bodySizes[defined]! };
    this.#skipped.push({ reason: 'limit', ...place, why });
  }

  #copy(defined: number): void {
    const { bytes, bodyOffsets, bodySizes } = this.#module;
    const from = bodyOffsets[defined]!;
    const size = bodySizes[defined]!;
    this.#out.u32(size);
    this.#runs.add(from, this.#out.length);
    this.#out.copy(bytes, from, from + size);
    this.#skip(defined, `its body would be larger than ${BODY_MAX} bytes`);
  }

  #rewrite(defined: number): void {
    const { importedFunctions, bodyOffsets, bodySizes } = this.#module;
    const rewriter = this.#rewriter;
    const out = this.#out;
    const index = importedFunctions + defined;
    const size = bodySizes[defined]!;
    const start = out.length;
    const firstRun = this.#runs.length;
    const sizeGuess = size + GATE_BYTES;

    const locals = rewriter.readLocals(defined);
    let form = this.#form(defined, locals, false);
    let at = out.openSize(sizeGuess);
    // One local more is all that catching takes, if need be without a gate.
    if (rewriter.rewrite(index, form, locals < LOCALS_MAX) === CATCHES) {
      // Its beginning would have been different, so it begins again.
      out.length = start;
      this.#runs.length = firstRun;
      this.#catching++;
      if (form.site !== NO_SITE || this.#options.wanted[defined] === 0) form = this.#form(defined, locals, true);
      else form = { ...form, catches: true };
      at = out.openSize(sizeGuess);
      rewriter.rewrite(index, form, false);
    }
    const moved = out.closeSize(at, sizeGuess);
    if (moved !== 0) this.#runs.shift(firstRun, moved);
    if (out.length - at > BODY_MAX) this.#outgrown.push(defined);
    if (form.site === NO_SITE) return;
    if (form.quick) this.#twice++;
    const { params, results } = this.#options.names.of(index);
    this.#sites.push({ id: form.site, index, offset: bodyOffsets[defined]!, size, params, results });
  }

  /// The form that a body gets: with a gate if it is wanted and there is room for its locals.
  #form(defined: number, locals: number, catches: boolean): BodyOptions {
    const { args, wanted } = this.#options;
    const small = this.#module.bodySizes[defined]! <= this.#quickMax;
    if (wanted[defined] === 1) {
      const form = { site: this.#sites.length, args, catches, quick: small && !catches };
      if (locals + this.#rewriter.addedLocals(form) <= LOCALS_MAX) return form;
      this.#skip(defined, `it has ${locals} locals, ${LOCALS_MAX} are allowed`);
    }
    return { site: NO_SITE, args, catches, quick: false };
  }
}
