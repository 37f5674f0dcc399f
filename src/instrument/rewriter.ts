// One body in, one body out, in a single pass over its bytes. What does not change is copied in runs; there is no
// intermediate form, and nesting is a counter and three arrays, so neither size nor depth of the input is a danger.
//
// The added block takes the place of the function's own level, so labels keep their numbers. The exception is a
// `try_table` that catches: each of its clauses must land in code of ours first, for which blocks are put around it.
//
//   try_table bt (catch $t 3) (catch_all 0)      block bt                          ;; 2: past the landing pads
//     …                                            block (params → label 0's)      ;; 1
//   end                                              block (params → label 3's)    ;; 0
//                                                      try_table bt (catch $t 0) (catch_all 1) … end
//                                                      br 2
//                                                    end  restore  br 3+2
//                                                  end  restore  br 0+1
//                                                end
//
// Inside them, and only there, labels that lead outside are counted up (`#label`).

import { WasmFormatError } from '../errors.ts';
import type { Additions } from './additions.ts';
import type { ByteWriter } from './byte-writer.ts';
import { badIndex, Cursor, hex } from './cursor.ts';
import { writeVia } from './face-groups.ts';
import { BEFORE_NOTHING, BEFORE_SET_VIA, type FacePlan, LIGHT_FACE } from './faces.ts';
import {
  passesResults,
  writeEnter,
  writeEnterWords,
  writeFace,
  writeFaceEnd,
  writeGateTest,
  writeLeave,
  writeLeaveWords,
  writeRestore,
  writeSave,
} from './gate.ts';
import { skipBlockType, skipImmediates } from './immediates.ts';
import { LocalsDeclaration } from './locals.ts';
import type { RunList } from './offset-map.ts';
import * as op from './opcodes.ts';
import { type ModuleInfo, signature } from './reader.ts';
import { EMPTY, type FuncType, readType, type ValType } from './types.ts';

/// No gate for this function.
export const NO_SITE = -1;

/// What a body turned out to need, see `BodyRewriter.rewrite`.
export const DONE = 0;
export const CATCHES = 1;

const NO_LOCAL = -1;
const CATCH_REF_ALL = 3;
const NOTHING: FuncType = { params: [], results: [] };

export interface BodyOptions {
  readonly site: number;
  readonly args: boolean;
  /// Landing pads restore the shadow stack.
  readonly catches: boolean;
  /// The body is written twice: in front of the form that can be watched, one that is taken while the gate is closed.
  readonly quick: boolean;
}

export class BodyRewriter {
  /// A body mentioned a function by `ref.func` that no element segment or initial value mentions.
  mentionsExports = false;

  readonly #module: ModuleInfo;
  readonly #additions: Additions;
  readonly #plan: FacePlan;
  readonly #out: ByteWriter;
  readonly #runs: RunList;
  readonly #cursor: Cursor;
  /// By function index: may be named by `ref.func` in a body.
  readonly #declared: Uint8Array;
  readonly #locals = new LocalsDeclaration();
  readonly #blocks = new Map<readonly ValType[], Map<readonly ValType[], FuncType>>();
  readonly #singles = new Map<ValType, readonly ValType[]>();

  // One entry per open level: offset of its block type, opcode, how many of our blocks are open around it, and for a
  // wrapped `try_table` the offset of its catch clauses (otherwise −1).
  #levelType = new Int32Array(64);
  #levelCode = new Uint8Array(64);
  #levelAround = new Int32Array(64);
  #levelCatches = new Int32Array(64);
  #levels = 0;
  #around = 0;

  // The body being rewritten.
  #func: FuncType = NOTHING;
  #armed = NO_LOCAL;
  #saved = NO_LOCAL;
  #runStart = 0;
  /// Something branches to the function's own level.
  #targeted = false;

  constructor(module: ModuleInfo, additions: Additions, plan: FacePlan, out: ByteWriter, runs: RunList) {
    this.#module = module;
    this.#additions = additions;
    this.#plan = plan;
    this.#out = out;
    this.#runs = runs;
    this.#cursor = new Cursor(module.bytes);
    this.#declared = module.listed.slice();
    for (const { kind, index } of module.exports) if (kind === 'function') this.#declared[index] = 1;
  }

  /// Reads the declaration of locals of the `defined`-th body. Returns their number, parameters included.
  readLocals(defined: number): number {
    const module = this.#module;
    const start = module.bodyOffsets[defined]!;
    this.#cursor.pos = start;
    this.#cursor.end = start + module.bodySizes[defined]!;
    this.#func = signature(module, module.importedFunctions + defined);
    return this.#func.params.length + this.#locals.read(this.#cursor, module.types.length);
  }

  /// How many locals a rewritten form adds to the body whose locals were read last.
  addedLocals(options: BodyOptions): number {
    const results =
      options.site !== NO_SITE && options.args && passesResults(this.#func) ? this.#func.results.length : 0;
    return (options.site === NO_SITE ? 0 : 1) + (options.catches ? 1 : 0) + results;
  }

  /// Writes the rewritten form of the body whose locals were read last, without its size field. Returns `DONE`, or
  /// `CATCHES` when the body turned out to catch although `stopAtCatch` was set: what was written is then worthless.
  rewrite(index: number, options: BodyOptions, stopAtCatch: boolean): number {
    const { site, args, catches } = options;
    const out = this.#out;
    const additions = this.#additions;
    const { params, results } = this.#func;
    const cursor = this.#cursor;
    cursor.pos = this.#locals.end;

    let next = params.length + this.#locals.count;
    this.#armed = site === NO_SITE ? NO_LOCAL : next++;
    this.#saved = catches ? next++ : NO_LOCAL;
    const valued = site !== NO_SITE && args && passesResults(this.#func);
    const spare = valued ? results.map(() => next++) : [];
    this.#runs.add(this.#locals.start, out.length);
    this.#locals.write(
      out,
      cursor.bytes,
      next - spare.length - params.length - this.#locals.count,
      valued ? results : [],
    );

    const localCount = params.length + this.#locals.count;
    const face = this.#plan.faceOf[index]!;
    if (face === LIGHT_FACE) writeVia(out, additions, 0);
    if (options.quick && !this.#quickBody(site, face, localCount)) return CATCHES;
    if (face >= 0) writeFace(out, additions, this.#plan.groupOf(index), face);
    if (site !== NO_SITE) {
      if (args) writeEnterWords(out, additions, site, this.#armed, params);
      else writeEnter(out, additions, site, this.#armed);
    }
    if (catches) writeSave(out, additions, this.#saved, face >= 0);
    if (face >= 0) writeFaceEnd(out);
    if (!this.#body(localCount, stopAtCatch, site !== NO_SITE)) return CATCHES;
    if (site === NO_SITE) return DONE;
    if (valued) writeLeaveWords(out, additions, this.#armed, results, spare);
    else writeLeave(out, additions, this.#armed);
    out.u8(op.OP_END);
    return DONE;
  }

  /// The body for while nobody watches. One test decides, at the entry; after it there is nothing to remember and nothing to
  /// leave, and the engine finds no reason to put the code for watching in its way. Returns false when it catches.
  #quickBody(site: number, face: number, localCount: number): boolean {
    const out = this.#out;
    const armed = this.#armed;
    out.pair(op.OP_BLOCK, EMPTY);
    if (face >= 0) out.op(op.OP_GLOBAL_GET, this.#additions.any);
    else writeGateTest(out, this.#additions, site);
    out.op(op.OP_BR_IF, 0);
    this.#armed = NO_LOCAL;
    const whole = this.#body(localCount, true, true);
    this.#armed = armed;
    this.#runs.add(this.#cursor.end, out.length);
    out.pair(op.OP_RETURN, op.OP_END);
    this.#cursor.pos = this.#locals.end;
    return whole;
  }

  /// The instructions from the cursor to the body's end, in a block that takes the place of the function's own level when
  /// `inBlock` is set and anything leads there. Returns false when it stopped at a catch.
  #body(localCount: number, stopAtCatch: boolean, inBlock: boolean): boolean {
    const out = this.#out;
    const cursor = this.#cursor;
    const block = out.length;
    const firstRun = this.#runs.length;
    if (inBlock) {
      out.u8(op.OP_BLOCK);
      this.#additions.pool.writeBlockType(out, this.#blockOf(NOTHING.params, this.#func.results));
    }
    const inside = out.length;
    this.#runStart = cursor.pos;
    this.#targeted = false;
    if (!this.#instructions(localCount, stopAtCatch)) return false;
    this.#flush(cursor.end);
    if (inBlock && !this.#targeted) {
      // The block goes: its beginning here, its `end` as the last byte.
      out.bytes.copyWithin(block, inside, out.length - 1);
      out.length -= inside - block + 1;
      this.#runs.shift(firstRun, block - inside);
    }
    return true;
  }

  #flush(to: number): void {
    if (to > this.#runStart) {
      this.#runs.add(this.#runStart, this.#out.length);
      this.#out.copy(this.#cursor.bytes, this.#runStart, to);
    }
    this.#runStart = to;
  }

  #open(typeAt: number, code: number, catchesAt: number): void {
    const level = this.#levels++;
    if (level === this.#levelCode.length) this.#growLevels();
    this.#levelType[level] = typeAt;
    this.#levelCode[level] = code;
    this.#levelAround[level] = this.#around;
    this.#levelCatches[level] = catchesAt;
  }

  #growLevels(): void {
    const grown = <T extends Int32Array | Uint8Array>(array: T, larger: T): T => {
      larger.set(array);
      return larger;
    };
    const size = this.#levelCode.length * 2;
    this.#levelType = grown(this.#levelType, new Int32Array(size));
    this.#levelCode = grown(this.#levelCode, new Uint8Array(size));
    this.#levelAround = grown(this.#levelAround, new Int32Array(size));
    this.#levelCatches = grown(this.#levelCatches, new Int32Array(size));
  }

  /// Passes over all instructions. Returns false when it stopped at a catch.
  #instructions(localCount: number, stopAtCatch: boolean): boolean {
    const cursor = this.#cursor;
    const { bytes, end } = cursor;
    const { spaces } = this.#module;
    const { beforeCall } = this.#plan;
    const kinds = op.PLAIN_KINDS;
    this.#levels = 0;
    this.#around = 0;
    this.#open(0, op.OP_BLOCK, -1);
    let pos = cursor.pos;
    for (;;) {
      if (pos >= end) throw new WasmFormatError(end, 'end of the body', 'an instruction');
      const at = pos;
      const code = bytes[pos++]!;
      const kind = kinds[code]!;
      if (kind === op.IMM_NONE) continue;
      // The common immediates are read here, mostly in one byte; the cursor takes over for the others.
      if (kind === op.IMM_LOCAL) {
        let local = bytes[pos++]!;
        if (local >= 0x80) {
          cursor.pos = pos - 1;
          local = cursor.u32('a local index');
          pos = cursor.pos;
        }
        if (local >= localCount) throw badIndex(at, 'local', local, localCount);
        continue;
      }
      if (kind === op.IMM_I32) {
        if (bytes[pos++]! >= 0x80) {
          cursor.pos = pos - 1;
          cursor.skipLeb(5, 'an i32 constant');
          pos = cursor.pos;
        }
        continue;
      }
      if (kind === op.IMM_MEMARG) {
        const flags = bytes[pos]!;
        if (flags < 0x40 && bytes[pos + 1]! < 0x80) {
          pos += 2;
          continue;
        }
      }
      cursor.pos = pos;
      switch (kind) {
        case op.IMM_FUNC: {
          const callee = cursor.index(spaces.functions, 'function');
          if (code === op.OP_RETURN_CALL) this.#beforeTailCall(at);
          const before = beforeCall[callee]!;
          if (before !== BEFORE_NOTHING) {
            this.#flush(at);
            writeVia(this.#out, this.#additions, before === BEFORE_SET_VIA ? 1 : 0);
          }
          break;
        }
        case op.IMM_LABEL:
          this.#readLabel(at);
          break;
        case op.IMM_BLOCK:
          skipBlockType(cursor, spaces.types);
          this.#open(pos, code, -1);
          break;
        case op.IMM_END:
          this.#levels--;
          if (this.#levels === 0) {
            if (pos === end) return true;
            throw new WasmFormatError(pos, `${end - pos} bytes left over`, 'the end of the body');
          }
          if (this.#levelCatches[this.#levels]! >= 0) this.#closeTryTable(this.#levels);
          break;
        case op.IMM_GLOBAL:
          cursor.index(spaces.globals, 'global');
          break;
        case op.IMM_RETURN:
          if (this.#armed !== NO_LOCAL) {
            this.#flush(at);
            this.#out.op(op.OP_BR, this.#levels - 1 + this.#around);
            this.#runStart = pos;
            this.#targeted = true;
          }
          break;
        case op.IMM_CALL_INDIRECT: {
          const type = cursor.index(spaces.types, 'type');
          cursor.index(spaces.tables, 'table');
          if (code === op.OP_RETURN_CALL_INDIRECT) this.#beforeTailCall(at);
          this.#beforeReference(at, type);
          break;
        }
        case op.IMM_CALL_REF: {
          const type = cursor.index(spaces.types, 'type');
          if (code === op.OP_RETURN_CALL_REF) this.#beforeTailCall(at);
          this.#beforeReference(at, type);
          break;
        }
        case op.IMM_BR_TABLE:
          this.#readBrTable(at);
          break;
        case op.IMM_CATCH:
        case op.IMM_CATCH_ALL:
          skipImmediates(cursor, kind, spaces);
          if (stopAtCatch) return false;
          if (this.#saved !== NO_LOCAL) {
            this.#flush(cursor.pos);
            writeRestore(this.#out, this.#additions, this.#saved);
          }
          break;
        case op.IMM_DELEGATE:
          // Its label is counted from outside the `try` that it ends.
          this.#levels--;
          if (this.#levels === 0) throw new WasmFormatError(at, 'delegate', 'a try that it ends');
          this.#readLabel(at);
          break;
        case op.IMM_TRY_TABLE:
          if (!this.#readTryTable(at, stopAtCatch)) return false;
          break;
        case op.IMM_REF_FUNC: {
          const index = cursor.index(spaces.functions, 'function');
          if (this.#declared[index] !== 1) {
            throw new WasmFormatError(
              at,
              `ref.func ${index}, which nothing outside of bodies mentions`,
              'a declared one',
            );
          }
          if (this.#module.listed[index] !== 1) this.mentionsExports = true;
          break;
        }
        case op.IMM_PREFIX:
          this.#readPrefixed(at, code);
          break;
        case op.IMM_UNKNOWN:
          throw op.unknownOpcode(at, code);
        default:
          skipImmediates(cursor, kind, spaces);
      }
      pos = cursor.pos;
    }
  }

  #readPrefixed(at: number, prefix: number): void {
    const cursor = this.#cursor;
    const sub = cursor.u32('an opcode');
    const kind = op.prefixedKind(prefix, sub);
    if (kind === op.IMM_UNKNOWN) throw op.unknownOpcode(at, prefix, sub);
    if (kind !== op.IMM_BR_ON_CAST) {
      skipImmediates(cursor, kind, this.#module.spaces);
      return;
    }
    cursor.skip(1, 'cast flags');
    const labelAt = cursor.pos;
    const label = this.#checkLabel(at);
    if (this.#label(label) !== label) {
      this.#flush(labelAt);
      this.#out.u32(this.#label(label));
      this.#runStart = cursor.pos;
    }
    skipImmediates(cursor, op.IMM_HEAP, this.#module.spaces);
    skipImmediates(cursor, op.IMM_HEAP, this.#module.spaces);
  }

  #checkLabel(at: number): number {
    const label = this.#cursor.u32('a label');
    if (label >= this.#levels) throw badIndex(at, 'label', label, this.#levels);
    if (label === this.#levels - 1) this.#targeted = true;
    return label;
  }

  /// What a label of the input is in the output: one more for each of our blocks between here and there.
  #label(label: number): number {
    return label + this.#around - this.#levelAround[this.#levels - 1 - label]!;
  }

  /// Instruction with an opcode of one byte and a label as its only immediate.
  #readLabel(at: number): void {
    const label = this.#checkLabel(at);
    const moved = this.#label(label);
    if (moved === label) return;
    this.#flush(at + 1);
    this.#out.u32(moved);
    this.#runStart = this.#cursor.pos;
  }

  #readBrTable(at: number): void {
    const cursor = this.#cursor;
    const count = cursor.count(1, 'labels');
    // The default label comes after the vector and is not counted by it.
    const first = cursor.pos;
    for (let i = 0; i <= count; i++) this.#checkLabel(at);
    if (this.#around === 0) return;
    const after = cursor.pos;
    this.#flush(first);
    cursor.pos = first;
    for (let i = 0; i <= count; i++) this.#out.u32(this.#label(cursor.u32('a label')));
    this.#runStart = after;
  }

  #beforeTailCall(at: number): void {
    if (this.#armed === NO_LOCAL) return;
    this.#flush(at);
    writeLeave(this.#out, this.#additions, this.#armed);
  }

  #beforeReference(at: number, type: number): void {
    if (this.#plan.beforeReference[type] !== 1) return;
    this.#flush(at);
    writeVia(this.#out, this.#additions, 1);
  }

  /// Returns false when it stopped at the catch clauses.
  #readTryTable(at: number, stopAtCatch: boolean): boolean {
    const cursor = this.#cursor;
    const typeAt = cursor.pos;
    const { spaces } = this.#module;
    skipBlockType(cursor, spaces.types);
    const catchesAt = cursor.pos;
    const count = cursor.count(2, 'catch clauses');
    const firstClause = cursor.pos;
    for (let i = 0; i < count; i++) {
      this.#skipClauseHead();
      this.#checkLabel(at);
    }
    const after = cursor.pos;
    if (count > 0 && stopAtCatch) return false;
    if (count === 0 || this.#saved === NO_LOCAL) {
      this.#open(typeAt, op.OP_TRY_TABLE, -1);
      return true;
    }

    const out = this.#out;
    this.#flush(at);
    out.u8(op.OP_BLOCK);
    out.copy(cursor.bytes, typeAt, catchesAt);
    // The last clause's block is the outermost one, so that clause i lands at label i.
    const labels = new Uint32Array(count);
    cursor.pos = firstClause;
    for (let i = 0; i < count; i++) {
      this.#skipClauseHead();
      labels[i] = cursor.u32('a label');
    }
    for (let i = count - 1; i >= 0; i--) {
      out.u8(op.OP_BLOCK);
      this.#additions.pool.writeBlockType(out, this.#landingType(typeAt, labels[i]!));
    }
    out.u8(op.OP_TRY_TABLE);
    out.copy(cursor.bytes, typeAt, firstClause);
    cursor.pos = firstClause;
    for (let i = 0; i < count; i++) {
      const head = cursor.pos;
      this.#skipClauseHead();
      out.copy(cursor.bytes, head, cursor.pos);
      out.u32(i);
      cursor.u32('a label');
    }
    this.#runStart = after;
    this.#around += count + 1;
    this.#open(typeAt, op.OP_TRY_TABLE, catchesAt);
    return true;
  }

  #skipClauseHead(): void {
    const cursor = this.#cursor;
    const at = cursor.pos;
    const kind = cursor.u8('a catch clause');
    if (kind > CATCH_REF_ALL) throw new WasmFormatError(at, `catch clause ${hex(kind)}`, 'a clause of 0x00 … 0x03');
    if (kind < 2) cursor.index(this.#module.spaces.tags, 'tag');
  }

  /// After the `end` of a wrapped `try_table`, which was level number `level`.
  #closeTryTable(level: number): void {
    const cursor = this.#cursor;
    const out = this.#out;
    const after = cursor.pos;
    this.#flush(after);
    cursor.pos = this.#levelCatches[level]!;
    const count = cursor.u32('the number of catch clauses');
    out.op(op.OP_BR, count);
    for (let i = 0; i < count; i++) {
      out.u8(op.OP_END);
      this.#around--;
      writeRestore(out, this.#additions, this.#saved);
      this.#skipClauseHead();
      out.op(op.OP_BR, this.#label(cursor.u32('a label')));
    }
    out.u8(op.OP_END);
    this.#around--;
    cursor.pos = after;
  }

  /// Type of the block around a `try_table` that a clause lands behind: it passes the parameters in and leaves what the
  /// clause's label takes. Taken from the label and not from the tag, it is right for whatever the engine accepts.
  #landingType(typeAt: number, label: number): FuncType {
    const level = this.#levels - 1 - label;
    const params = this.#blockType(typeAt).params;
    if (level === 0) return this.#blockOf(params, this.#func.results);
    const target = this.#blockType(this.#levelType[level]!);
    return this.#blockOf(params, this.#levelCode[level] === op.OP_LOOP ? target.params : target.results);
  }

  /// The signature as one object for the same two lists, so that whoever looks it up need not compare them.
  #blockOf(params: readonly ValType[], results: readonly ValType[]): FuncType {
    let byResults = this.#blocks.get(params);
    if (byResults === undefined) {
      byResults = new Map();
      this.#blocks.set(params, byResults);
    }
    let type = byResults.get(results);
    if (type === undefined) {
      type = { params, results };
      byResults.set(results, type);
    }
    return type;
  }

  #blockType(at: number): FuncType {
    const cursor = new Cursor(this.#cursor.bytes, at);
    const first = cursor.bytes[at]!;
    if (first >= 0x40 && first < 0x80) {
      if (first === EMPTY) return NOTHING;
      const type = readType(cursor, this.#module.types.length);
      return { params: NOTHING.params, results: this.#single(type) };
    }
    const index = cursor.s33('a block type');
    if (index < 0) return NOTHING;
    const func = this.#module.types[index]!.func;
    if (func !== undefined) return func;
    throw new WasmFormatError(at, `type ${index}, which is not a function type`, 'a function type');
  }

  #single(type: ValType): readonly ValType[] {
    let list = this.#singles.get(type);
    if (list === undefined) {
      list = [type];
      this.#singles.set(type, list);
    }
    return list;
  }
}
