// The code that goes into a body. `armed` is the cookie that `enter` gave, 0 when the call is not recorded; `saved` is
// the shadow stack's mark in functions that catch, 0 when nobody watches.
//
//   [ANY → face]                   a call from outside goes through the host
//   gate → armed = enter(site)     inside the face's test of ANY if there is one: a gate is only open when ANY is set
//   [ANY → saved = save()]         only in functions that catch
//   block                          in place of the function's own level, so labels keep their numbers
//     body                         return → br; tail calls and landing pads get theirs
//   end
//   armed → leave(armed)
//
// A body that neither returns early nor branches to its own end does without the block.
//
// A gate that is closed costs what `armed` costs: it is set at the entry, kept over all calls, and tested at the exit. Small
// bodies, where that counts most, are written twice: the first form is taken while the gate is closed (in a faced
// function: while nobody watches), tests once and knows nothing of `armed`; the second is the one above.
//
//   block
//     gate → br                    one test, not taken while closed
//     body ; return
//   end
//   … as above …

import {
  ENTER_WORDS_MAX,
  SLOT_ENTER,
  SLOT_ENTER_WORDS,
  SLOT_LEAVE,
  SLOT_LEAVE_VALUE,
  SLOT_RESTORE,
  SLOT_SAVE,
  SLOT_WORD,
} from './abi.ts';
import type { Additions } from './additions.ts';
import type { ByteWriter } from './byte-writer.ts';
import { type FaceGroup, writeConst, writeSpills, writeVia } from './face-groups.ts';
import * as op from './opcodes.ts';
import { EMPTY, F32, F64, type FuncType, I32, I64, isDefaultable, V128, type ValType, writeIndex33 } from './types.ts';

/// Begins the prologue of a faced function; `writeFaceEnd` ends it. What is written between them runs when somebody
/// watches and the call has been found to come from inside, by then at the latest; while nobody watches, all of it is
/// one test of a global.
export function writeFace(out: ByteWriter, additions: Additions, group: FaceGroup, face: number): void {
  out.op(op.OP_GLOBAL_GET, additions.any);
  out.pair(op.OP_IF, EMPTY);
  out.op(op.OP_GLOBAL_GET, additions.via);
  out.pair(op.OP_IF, EMPTY);
  writeVia(out, additions, 0);
  out.u8(op.OP_ELSE);
  if (group.spillsItself) writeSpills(out, group);
  else for (let i = 0; i < group.params.length; i++) out.op(op.OP_LOCAL_GET, i);
  writeConst(out, face);
  out.op(op.OP_CALL, group.passer);
  out.u8(op.OP_RETURN);
  out.u8(op.OP_END);
}

export function writeFaceEnd(out: ByteWriter): void {
  out.u8(op.OP_END);
}

/// `if` of the site's gate up to its `end`, without arguments.
export function writeEnter(out: ByteWriter, additions: Additions, site: number, armed: number): void {
  writeGateTest(out, additions, site);
  out.pair(op.OP_IF, EMPTY);
  writeSiteId(out, additions, site);
  additions.writeSlotCall(out, SLOT_ENTER, additions.enterType);
  out.op(op.OP_LOCAL_SET, armed);
  out.u8(op.OP_END);
}

/// The same with the parameters as 64-bit words. Words past the 16th go one by one ahead of the others, since no slot
/// takes more.
export function writeEnterWords(
  out: ByteWriter,
  additions: Additions,
  site: number,
  armed: number,
  params: readonly ValType[],
): void {
  const words = wordsOf(params);
  if (words.length === 0) {
    writeEnter(out, additions, site, armed);
    return;
  }
  writeGateTest(out, additions, site);
  out.pair(op.OP_IF, EMPTY);
  for (let i = ENTER_WORDS_MAX; i < words.length; i++) {
    writeConst(out, i);
    writeWord(out, words[i]!, words[i]!.value);
    additions.writeSlotCall(out, SLOT_WORD, additions.wordType);
  }
  writeSiteId(out, additions, site);
  const direct = Math.min(words.length, ENTER_WORDS_MAX);
  for (let i = 0; i < direct; i++) writeWord(out, words[i]!, words[i]!.value);
  additions.writeSlotCall(out, SLOT_ENTER_WORDS + direct - 1, additions.enterWordsType(direct));
  out.op(op.OP_LOCAL_SET, armed);
  out.u8(op.OP_END);
}

/// Nonzero on the stack when the site's gate is open.
export function writeGateTest(out: ByteWriter, additions: Additions, site: number): void {
  out.op(op.OP_GLOBAL_GET, additions.gateGlobal(site));
  writeConst(out, additions.gateBit(site));
  out.u8(op.OP_I32_AND);
}

function writeSiteId(out: ByteWriter, additions: Additions, site: number): void {
  writeConst(out, site);
  out.op(op.OP_GLOBAL_GET, additions.base);
  out.u8(op.OP_I32_ADD);
}

/// Leaves the frame if there is one; what is on the stack stays there.
export function writeLeave(out: ByteWriter, additions: Additions, armed: number): void {
  out.op(op.OP_LOCAL_GET, armed);
  out.pair(op.OP_IF, EMPTY);
  out.op(op.OP_LOCAL_GET, armed);
  additions.writeSlotCall(out, SLOT_LEAVE, additions.leaveType);
  out.u8(op.OP_END);
}

/// Whether a function's results can be handed to `leave`: they must wait in locals meanwhile, and a reference that has
/// no default value cannot. Its word would be 0 anyway.
export function passesResults({ results }: FuncType): boolean {
  return results.length > 0 && results.every(isDefaultable);
}

/// Leaves the frame with the results, which are on the stack and stay there. They wait in the locals `spare`, one for
/// each, in order.
export function writeLeaveWords(
  out: ByteWriter,
  additions: Additions,
  armed: number,
  results: readonly ValType[],
  spare: readonly number[],
): void {
  out.op(op.OP_LOCAL_GET, armed);
  out.u8(op.OP_IF);
  writeIndex33(out, additions.pool.index(results, results));
  for (let i = results.length - 1; i >= 0; i--) out.op(op.OP_LOCAL_SET, spare[i]!);
  const words = wordsOf(results);
  for (let i = 1; i < words.length; i++) {
    writeConst(out, i);
    writeWord(out, words[i]!, spare[words[i]!.value]!);
    additions.writeSlotCall(out, SLOT_WORD, additions.wordType);
  }
  out.op(op.OP_LOCAL_GET, armed);
  writeWord(out, words[0]!, spare[words[0]!.value]!);
  additions.writeSlotCall(out, SLOT_LEAVE_VALUE, additions.wordType);
  for (const local of spare) out.op(op.OP_LOCAL_GET, local);
  out.u8(op.OP_END);
}

/// Notes where the shadow stack is, for landing pads. `watched`: it is known already that somebody watches.
export function writeSave(out: ByteWriter, additions: Additions, saved: number, watched: boolean): void {
  if (!watched) {
    out.op(op.OP_GLOBAL_GET, additions.any);
    out.pair(op.OP_IF, EMPTY);
  }
  additions.writeSlotCall(out, SLOT_SAVE, additions.saveType);
  out.op(op.OP_LOCAL_SET, saved);
  if (!watched) out.u8(op.OP_END);
}

/// Beginning of a landing pad: drops the frames that the exception left behind. A function that was entered before anybody
/// watched saved nothing; all that came on the stack since then, ANY's mark on, came after it.
export function writeRestore(out: ByteWriter, additions: Additions, saved: number): void {
  out.op(op.OP_LOCAL_GET, saved);
  out.op(op.OP_GLOBAL_GET, additions.any);
  out.op(op.OP_LOCAL_GET, saved);
  out.u8(op.OP_SELECT);
  out.op(op.OP_LOCAL_TEE, saved);
  out.pair(op.OP_IF, EMPTY);
  out.op(op.OP_LOCAL_GET, saved);
  additions.writeSlotCall(out, SLOT_RESTORE, additions.leaveType);
  out.u8(op.OP_END);
}

/// One 64-bit word of a value list: the k-th half of the value numbered `value`.
interface Word {
  readonly value: number;
  readonly type: ValType;
  readonly half: 0 | 1;
}

function wordsOf(types: readonly ValType[]): Word[] {
  const words: Word[] = [];
  types.forEach((type, value) => {
    words.push({ value, type, half: 0 });
    if (type === V128) words.push({ value, type, half: 1 });
  });
  return words;
}

// The word as an i64, its value being in `local`. References have no bits to show: 0.
function writeWord(out: ByteWriter, word: Word, local: number): void {
  switch (word.type) {
    case I64:
      out.op(op.OP_LOCAL_GET, local);
      return;
    case I32:
      out.op(op.OP_LOCAL_GET, local);
      out.u8(op.OP_I64_EXTEND_I32_U);
      return;
    case F32:
      out.op(op.OP_LOCAL_GET, local);
      out.pair(op.OP_I32_REINTERPRET_F32, op.OP_I64_EXTEND_I32_U);
      return;
    case F64:
      out.op(op.OP_LOCAL_GET, local);
      out.u8(op.OP_I64_REINTERPRET_F64);
      return;
    case V128:
      out.op(op.OP_LOCAL_GET, local);
      out.op(op.PREFIX_SIMD, op.SIMD_I64X2_EXTRACT_LANE);
      out.u8(word.half);
      return;
    default:
      out.pair(op.OP_I64_CONST, 0);
  }
}
