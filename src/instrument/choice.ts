// One of many cases by number, as a tree of comparisons. A `br_table` would need one more level for each case, and
// engines limit both the nesting they accept and the length of the table; the tree is never deeper than 20.

import type { ByteWriter } from './byte-writer.ts';
import * as op from './opcodes.ts';

/// Writes code that runs `writeCase(k)` where `writeSubject` leaves k on the stack, 0 ≤ k < `count`; a larger k runs the
/// last case. Cases leave the stack as it was.
export function writeChoice(
  out: ByteWriter,
  count: number,
  writeSubject: () => void,
  writeCase: (number: number) => void,
): void {
  const split = (low: number, high: number): void => {
    if (high - low === 1) {
      writeCase(low);
      return;
    }
    const middle = (low + high) >>> 1;
    writeSubject();
    out.u8(op.OP_I32_CONST);
    out.s32(middle);
    out.u8(op.OP_I32_LT_U);
    out.pair(op.OP_IF, 0x40);
    split(low, middle);
    out.u8(op.OP_ELSE);
    split(middle, high);
    out.u8(op.OP_END);
  };
  split(0, count);
}
