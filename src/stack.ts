// Whoever calls may have little stack left, and then any call of ours may be one too many: also the one that would have taken back
// what the calls before it did. So what changes several things asks for room first, more than it can need, and there is nothing to
// take back when it is refused. What a host does for that is one call with so many arguments that they fill it.
//
//   limit ──────────────────────────────► asked by who begins: 32 KiB
//   limit ───────────► asked by who ends: 16 KiB, as who began does when something else goes wrong; he is not that much further down
//
// What is called more often, and has less to take back, asks for 4 KiB.

const BEGIN_WORDS = 4096;
const END_WORDS = BEGIN_WORDS / 2;
const CALL_WORDS = 512;

const beginRoom: readonly number[] = Array(BEGIN_WORDS).fill(0);
const endRoom: readonly number[] = Array(END_WORDS).fill(0);
const callRoom: readonly number[] = Array(CALL_WORDS).fill(0);
const nothing = (): void => {};
// As it is now: the program may trace it, or replace it.
const { apply } = Reflect;

/// For who makes, registers or edits something. Throws the host's own error, a RangeError in V8, when there is not enough stack.
export function roomToBegin(): void {
  apply(nothing, undefined, beginRoom);
}

/// For who ends something.
export function roomToEnd(): void {
  apply(nothing, undefined, endRoom);
}

/// For who calls something and has to go back from it, whatever happens.
export function roomToCall(): void {
  apply(nothing, undefined, callRoom);
}
