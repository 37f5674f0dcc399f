// The contract between an instrumented module and whoever attaches to it. The instrumenter writes it, the `wasm` target
// reads it; a module that nobody attaches to runs with every gate off and touches none of it.

/// Every name that the instrumenter adds to a module begins with this.
export const RESERVED_PREFIX = '__fprobe_';

/// Exported table, `SLOT_COUNT` entries, null until somebody attaches. All calls to the engine go through it.
export const EXPORT_TABLE = `${RESERVED_PREFIX}table`;

/// Exported `(index: i32, value: i32) → ()`: the one setter for the appended i32 globals, see `GLOBAL_*`.
export const EXPORT_SET = `${RESERVED_PREFIX}set`;

/// Exported `(face: i32) → ()`: calls the face's function with the spilled arguments and spills its results. Only
/// present when the module has faces; called by `SLOT_ROOT`'s function and nobody else.
export const EXPORT_CALL = `${RESERVED_PREFIX}call`;

/// Exported `() → ()`: the module's start function, present when `start: 'defer'` moved it here.
export const EXPORT_START = `${RESERVED_PREFIX}start`;

/// Name of the custom section that marks an instrumented module.
export const SECTION_NAME = 'fprobe';

// Slots of the table, with their types.
export const SLOT_ENTER = 0; // (site i32) → cookie i32; 0 = not recorded, nothing to leave
export const SLOT_LEAVE = 1; // (cookie i32) → ()
export const SLOT_SAVE = 2; // () → mark i32, never 0: the top of the shadow stack
export const SLOT_RESTORE = 3; // (mark i32) → (): drops what lies above the mark
export const SLOT_ROOT = 4; // (face i32) → done i32: a call from outside; 1 = it was carried out, results are spilled
export const SLOT_LEAVE_VALUE = 5; // (cookie i32, word i64) → (): leave with the first word of the results
export const SLOT_WORD = 6; // (index i32, word i64) → (): an argument word past 15, or a result word past 0
export const SLOT_ENTER_WORDS = 7; // 7 + n − 1 for n in 1..16: (site i32, n × i64) → cookie i32
export const ENTER_WORDS_MAX = 16; // the others are sent ahead, see `SLOT_WORD`
export const SLOT_COUNT = SLOT_ENTER_WORDS + ENTER_WORDS_MAX;

// Indices that EXPORT_SET takes. Gate bit k of the module is bit k & 31 of global GLOBAL_GATES + (k >> 5).
export const GLOBAL_ANY = 0; // nonzero while anybody watches: the mark (SLOT_SAVE) of when that began. No gate is open without it
export const GLOBAL_VIA = 1; // nonzero: the next call of a face comes from inside the module
export const GLOBAL_BASE = 2; // engine's site id of this module's site 0
export const GLOBAL_GATES = 3;
