// Where everything lives in linear memory. Numbers only: asc compiles this file into the engine and tsc into the host,
// so writer and reader cannot disagree. Each offset is derived from the one before it. Sizes are in bytes unless the
// name says WORDS; one word is the kernel's long, 8 bytes.

export const WORD_SHIFT = 3;
export const WORD_SIZE = 8;
export const PAGE_SIZE = 65536;

// ---------------------------------------------------------------------------------------------------------------
// ABI page: the first 4096 bytes. An embedder who knows nothing else starts reading here.

export const ABI_MAGIC_VALUE = 0x42525046; // "FPRB", little-endian
export const ABI_VERSION_VALUE = 3;

export const ABI_PAGE_SIZE = 4096;
export const ABI_MAGIC = 16; // u32. Addresses below it stay zero: 0 is the null pointer, and the null frame has func 0
export const ABI_VERSION = ABI_MAGIC + 4; // u32
export const ABI_HEAP = ABI_VERSION + 4; // u32 first byte that the region allocator never handed out
export const ABI_SITES = ABI_HEAP + 4; // u32 address of the site table; moves when the table grows
export const ABI_SITE_COUNT = ABI_SITES + 4; // u32
export const ABI_SITE_CAPACITY = ABI_SITE_COUNT + 4; // u32
export const ABI_TASKS = ABI_SITE_CAPACITY + 4; // u32 newest task, linked through TASK_NEXT
export const ABI_DEAD = ABI_TASKS + 4; // u32 kill switch: nonzero = push refuses for good
export const ABI_CLOCK = ABI_DEAD + 4; // u32 CLOCK_*
export const ABI_GOPS_MASK = ABI_CLOCK + 4; // u32 allocated function-graph user indices
export const ABI_COUNTER = ABI_GOPS_MASK + 4; // u64 the `counter` clock: events so far
export const ABI_MONO = ABI_COUNTER + 8; // u64 newest reading of the `mono` clock
export const ABI_TIMED_MASK = ABI_MONO + 8; // u32 users that need the time of an event
export const ABI_CALLING_MASK = ABI_TIMED_MASK + 4; // u32 users who see arguments and results: handlers, and graphs that record them
export const ABI_RINGS = ABI_CALLING_MASK + 4; // u32 newest ring buffer, linked through RING_NEXT
export const ABI_SERIAL = ABI_RINGS + 4; // u32 last number given to a lock holder or a task, odd
export const ABI_LOOPED = ABI_SERIAL + 4; // u32 nonzero: every event takes the general path, none direct mode
export const ABI_LRU_NEXT = ABI_LOOPED + 4; // u32 position in ABI_LRU that the next registration takes from
export const ABI_LRU_LAST = ABI_LRU_NEXT + 4; // u32 position in ABI_LRU that the next release puts back to
export const ABI_LRU = ABI_LRU_LAST + 4; // i32[16] free user indices, the one freed longest ago first; -1 = taken out
export const ABI_FREE = ABI_LRU + 16 * 4; // u32[32] free lists of the region allocator, by size class
export const ABI_FREE_CLASSES = 32;
export const ABI_OPS = ABI_FREE + ABI_FREE_CLASSES * 4; // u32 address of the table of plain ops; moves when it grows
export const ABI_OPS_CAPACITY = ABI_OPS + 4; // u32
export const ABI_OPS_FREE = ABI_OPS_CAPACITY + 4; // u32 slot of the ops that will be used next, plus 1; 0 = none is free
export const ABI_OPS_SERIAL = ABI_OPS_FREE + 4; // u32 registrations so far
export const ABI_OPS_CALLING = ABI_OPS_SERIAL + 4; // u32 ops that see arguments: handlers, and function tracers that record them
export const ABI_GRAPH_FILTER = ABI_OPS_CALLING + 4; // u32 nonzero: only sites with SITE_GRAPH_FUNCTION start a graph
export const ABI_GRAPH_NOTRACE = ABI_GRAPH_FILTER + 4; // u32 sites with SITE_GRAPH_NOTRACE
export const ABI_GRAPH_DEPTH = ABI_GRAPH_NOTRACE + 4; // u32 max_graph_depth, 0 = unlimited
export const ABI_SLEEP_USERS = ABI_GRAPH_DEPTH + 4; // u32 users with GRAPH_SKIP_SLEEP: task switches are stamped for them
export const ABI_BLOCKS = ABI_SLEEP_USERS + 4; // u32 newest block of the host's (block.ts)
export const ABI_GOPS_SERIAL = ABI_BLOCKS + 4; // u32 registrations of function-graph users so far
export const ABI_NO_SITE = ABI_GOPS_SERIAL + 4; // u32 always zero: the set of no site
export const ABI_MANAGER = ABI_NO_SITE + 4; // u32 MANAGER_*: what the manager's filters are
export const ABI_DISABLED = ABI_MANAGER + 4; // u32 nonzero: switched off, until it is switched on again
export const ABI_GOPS = 1024; // gops[16]
export const ABI_END = 4096;

// What the host asked `block_alloc` for: its own bytes follow the header.
export const BLOCK_NEXT = 0; // u32
export const BLOCK_BYTES = BLOCK_NEXT + 4; // u32
export const BLOCK_HEADER_SIZE = 16;

export const CLOCK_COUNTER = 0;
export const CLOCK_MONO = 1;

// Errors are returned as negative numbers, with the kernel's values.
export const ENOENT = 2;
export const E2BIG = 7;
export const ENOMEM = 12;
export const EBUSY = 16;
export const ENODEV = 19;
export const EINVAL = 22;
export const ENOSPC = 28;

// ---------------------------------------------------------------------------------------------------------------
// Function-graph users (spec/fgraph.md §2)

export const FGRAPH_ARRAY_SIZE = 16;
export const FGRAPH_ARRAY_MASK = (1 << FGRAPH_ARRAY_SIZE) - 1;

export const GOPS_KIND = 0; // u32 GOPS_*, 0 = stub
export const GOPS_ENTRY = GOPS_KIND + 4; // u32 entry handler: index in the engine's table, or the host's handler id
export const GOPS_RETURN = GOPS_ENTRY + 4; // u32 the same for the return handler
export const GOPS_STATS = GOPS_RETURN + 4; // u32 statistics table, for GOPS_PROFILE; moves when the site table grows
export const GOPS_STATS_ROWS = GOPS_STATS + 4; // u32 rows of that table
export const GOPS_GENERATION = GOPS_STATS_ROWS + 4; // u32 counts the owners that this index has had
export const GOPS_OPTIONS = GOPS_GENERATION + 4; // u32 GRAPH_* of a graph or profile user
export const GOPS_THRESHOLD = GOPS_OPTIONS + 8; // u64 tracing_thresh of a graph user, 0 = none
export const GOPS_FILTER = GOPS_THRESHOLD + 8; // u32 filter set, and after it the notrace set
export const GOPS_SERIAL = GOPS_FILTER + 8; // u32 number of the registration
export const GOPS_END = GOPS_SERIAL + 4; // the rest of the record is reserved
export const GOPS_SHIFT = 6;
export const GOPS_SIZE = 1 << GOPS_SHIFT;

export const GOPS_STUB = 0;
export const GOPS_GRAPH = 1;
export const GOPS_PROFILE = 2;
export const GOPS_WASM = 3;
export const GOPS_HOST = 4;
export const GOPS_FPROBE = 5; // the one user that serves all probes with an exit handler; nobody else registers it
export const GOPS_FRAME = 6; // accepts every activation and does nothing, so that functions below it have a parent

// GOPS_OPTIONS
export const GRAPH_SKIP_IRQS = 1; // what runs in hard irq context is left out
export const GRAPH_SKIP_SLEEP = 2; // time asleep does not count
export const GRAPH_HAS_THRESHOLD = 4; // set with GOPS_THRESHOLD
export const GRAPH_ARGUMENTS = 8; // entries are recorded with their arguments
export const GRAPH_RESULTS = 16; // returns with the first word of their results
export const GRAPH_CALLERS = 32; // entries with the address that they return to
export const GRAPH_NOTES = GRAPH_ARGUMENTS | GRAPH_RESULTS | GRAPH_CALLERS;

// The task variable of a graph user: its ring buffer of the task, and in the upper half where the task is.
export const GRAPH_RING = 0; // u32
export const GRAPH_STATE = GRAPH_RING + 4; // u32
export const GRAPH_INSIDE = 1; // below a function that starts a graph
export const GRAPH_UNTRACED = 2; // below a function of set_graph_notrace
export const GRAPH_IRQ = 4; // that function was called in hard irq context
export const GRAPH_STATE_SHIFT = 3; // depth of that function, all of it

// ---------------------------------------------------------------------------------------------------------------
// Plain ops (spec/fgraph.md §1): clients of entries alone. A handle is | generation | slot |; the generation begins
// with 1, so no handle is 0.

export const OPS_KIND = 0; // u32 OPS_*, 0 = free
export const OPS_HANDLER = OPS_KIND + 4; // u32 index in the engine's table, the host's handler id, or the ring buffer
export const OPS_FLAGS = OPS_HANDLER + 4; // u32 OPS_FL_*
export const OPS_SERIAL = OPS_FLAGS + 4; // u32 number of its registration: lists are in descending order
export const OPS_GENERATION = OPS_SERIAL + 4; // u32 counts the owners that this slot has had, from 1
export const OPS_SITES = OPS_GENERATION + 4; // u32 sites that it is attached to
export const OPS_FILTER = OPS_SITES + 4; // u32 filter set, and after it the notrace set
export const OPS_NEXT = OPS_FILTER; // u32 of a free one: next free slot, plus 1
export const OPS_SHIFT = 5;
export const OPS_SIZE = 1 << OPS_SHIFT;
export const OPS_SLOT_BITS = 12;
export const OPS_SLOT_MASK = (1 << OPS_SLOT_BITS) - 1;
export const OPS_GENERATION_MAX = (1 << (31 - OPS_SLOT_BITS)) - 1;

export const OPS_NONE = 0;
export const OPS_FUNCTION = 1; // the function tracer
export const OPS_WASM = 2;
export const OPS_HOST = 3;
export const OPS_FPROBE = 4; // the one that serves all probes without an exit handler; nobody else registers it

// OPS_FLAGS, the kernel's bits
export const OPS_FL_SAVE_REGS = 1 << 2;
export const OPS_FL_SAVE_REGS_IF_SUPPORTED = 1 << 3;
export const OPS_FL_REGS_MASK = OPS_FL_SAVE_REGS | OPS_FL_SAVE_REGS_IF_SUPPORTED;
export const OPS_FL_STUB = 1 << 5;
export const OPS_FL_PERMANENT = 1 << 16; // not to be switched off
export const OPS_FL_DIRECT = 1 << 17;
export const FUNC_SHIFT = 8; // ours, of OPS_FUNCTION alone: the options of the function tracer, as it numbers them
export const FUNC_STACK_TRACE = 1 << FUNC_SHIFT;
export const FUNC_NO_REPEATS = 2 << FUNC_SHIFT;
export const FUNC_ARGUMENTS = 4 << FUNC_SHIFT; // goes with none of the others
export const FUNC_MASK = FUNC_STACK_TRACE | FUNC_NO_REPEATS | FUNC_ARGUMENTS;
export const OPS_PIDS_SHIFT = 20; // ours, for the kernel's PID: bit k stands for pid filter k, which may leave tasks out
export const OPS_PIDS_COUNT = 12;
export const OPS_PIDS_MASK = -1 << OPS_PIDS_SHIFT;
export const OPS_FL_MASK = OPS_FL_REGS_MASK | OPS_FL_STUB | OPS_FL_PERMANENT | OPS_FL_DIRECT | FUNC_MASK | OPS_PIDS_MASK;

// ---------------------------------------------------------------------------------------------------------------
// Filters (spec/fgraph.md §1.2, §1.5). What the kernel keeps in a hash of locations is a set of sites here: the size of its
// region, then a bit per site; sites beyond its end are not in it. A client has two, 0 standing for the empty hash: a
// filter that is 0 has all sites, those to come included, a notrace that is 0 has none.

export const FILTER = 0; // offset in a pair
export const NOTRACE = FILTER + 4;

export const SET_BYTES = 0; // u32 of the region; 0: the set of no site
export const SET_BITS = SET_BYTES + 4; // u32[]

export const MANAGER_ALL = 1; // the manager's filter is empty: all sites
export const MANAGER_NOTRACE = 2; // and his notrace is what the notrace sets of all users have in common

// ---------------------------------------------------------------------------------------------------------------
// Sites: one record per patchable function entry, dense ids

export const SITE_SHIFT = 5;
export const SITE_SIZE = 1 << SITE_SHIFT;
export const SITE_IP = 0; // u64
export const SITE_FLAGS = SITE_IP + 8; // u32 record flags and count (spec/fgraph.md §1.3)
export const SITE_USERS = SITE_FLAGS + 4; // u32 bit k: function-graph user k wants this site; SITE_HAS_OPS
export const SITE_OPS = SITE_USERS + 4; // u32 list of the ops attached to this site, 0 = none
export const SITE_NODE = SITE_OPS + 4; // u32 the node of the probe that watches it, if it is the only one
export const SITE_PROBE = SITE_NODE + 4; // u32 and that probe
export const SITE_LOCATION = SITE_PROBE + 4; // u32 location record of the site, 0 = no probe watches it
export const SITE_HAS_OPS = 1 << 16; // of SITE_USERS: SITE_OPS is not 0. No frame has the bit, so direct mode never fits

// SITE_FLAGS: how many are attached, where all function-graph users count as one, and the kernel's bits.
export const SITE_COUNT_BITS = 19;
export const SITE_COUNT_MASK = (1 << SITE_COUNT_BITS) - 1;
export const SITE_MANAGED = 1 << SITE_COUNT_BITS; // ours: the manager's filters have this site, and he is in the count
export const SITE_FL_ENABLED = 1 << 31;
export const SITE_FL_REGS = 1 << 30;
export const SITE_FL_REGS_EN = 1 << 29;
export const SITE_FL_DISABLED = 1 << 25; // unloaded: nobody is attached any more
export const SITE_FL_DIRECT = 1 << 24;
export const SITE_FL_DIRECT_EN = 1 << 23;
export const SITE_FL_TOUCHED = 1 << 20;
// Ours, in place of CALL_OPS and CALL_OPS_EN, which only make sense where code is patched.
export const SITE_GRAPH_FUNCTION = 1 << 22; // set_graph_function
export const SITE_GRAPH_NOTRACE = 1 << 21; // set_graph_notrace
export const SITE_GRAPH_MASK = SITE_GRAPH_FUNCTION | SITE_GRAPH_NOTRACE;

// The list of a site: the slots of its ops, newest registration first, those with OPS_FL_DIRECT last.
export const LIST_COUNT = 0; // u32
export const LIST_SIZE = LIST_COUNT + 4; // u32 bytes of the region
export const LIST_SLOTS = LIST_SIZE + 4; // u32[]

// ---------------------------------------------------------------------------------------------------------------
// Tasks. The first 64 bytes are one cache line and hold all that an entry and an exit touch in direct mode.

export const TASK_TOP = 0; // u32 address of the next free word of the shadow stack
export const TASK_BASE = TASK_TOP + 4; // u32 address of the newest frame; 0 = empty. Written with TASK_TOP
export const TASK_LIMIT = TASK_BASE + 4; // u32 address of word LIMIT
export const TASK_DEPTH = TASK_LIMIT + 4; // i32, -1 when empty
export const TASK_DIRECT = TASK_DEPTH + 4; // u32 low half of the bitmap word of a direct frame; 0 = not in direct mode
export const TASK_DIRECT_HEADER = TASK_DIRECT + 4; // u32 DATA word of a direct frame. Read with TASK_DIRECT
export const TASK_DIRECT_RING = TASK_DIRECT_HEADER + 4; // u32 ring buffer of the direct user
export const TASK_CONTEXT = TASK_DIRECT_RING + 4; // u32 bit number of the current context inside a group
export const TASK_DIRECT_TIME = TASK_CONTEXT + 4; // u64 number of the event recorded at w, less w >> RECORD_SHIFT
export const TASK_SHORT = TASK_DIRECT_TIME + 8; // u32 SHORT_OPEN; number of a lock holder whom nothing disturbed so far; 0
export const TASK_RECURSION = TASK_SHORT + 4; // u32 context bits (spec/fgraph.md §9). Read and written with TASK_SHORT
export const TASK_STACK = TASK_RECURSION + 4; // u32 address of word 0; 0 = no stack
export const TASK_PAUSE = TASK_STACK + 4; // u32 pause counter
export const TASK_WORDS = TASK_PAUSE + 4; // u32 size of the stack in words
export const TASK_OVERRUN = TASK_WORDS + 4; // u32 pushes refused for lack of room
export const TASK_UNWOUND = TASK_OVERRUN + 4; // u32 frames left without returning
export const TASK_STRAY = TASK_UNWOUND + 4; // u32 leaves whose frame was already gone
export const TASK_NEXT = TASK_STRAY + 4; // u32
export const TASK_ID = TASK_NEXT + 4; // u32 pid, from 1
export const TASK_PENDING = TASK_ID + 4; // u32 words of arguments or results that were sent ahead
export const TASK_IGNORED = TASK_PENDING + 4; // u32 who passes this task over: bit k user k, and OPS_PIDS_MASK
export const TASK_RETURNS = TASK_IGNORED + 4; // u64 frames left by a return. Frames kept: returns + unwound + depth + 1
export const TASK_DIRECT_RETURNS = TASK_RETURNS + 8; // i64 2 × returns − events + depth, constant in direct mode
export const TASK_SLEEP = TASK_DIRECT_RETURNS + 8; // u64 time that the task was not the current one
export const TASK_STAMP = TASK_SLEEP + 8; // u64 when it stopped being it, 0 = it is, or nobody asked then
export const TASK_LOCKS = TASK_STAMP + 8; // lock[10]: who holds each bit of the groups callback and list
export const TASK_LOCK_COUNT = 10;

export const LOCK_BASE = 0; // u32 base of the frame that is entered or left
export const LOCK_SERIAL = LOCK_BASE + 4; // u32 number of this holder, odd; 0 = the lock is free
export const LOCK_INDEX = LOCK_SERIAL + 4; // u32 user whose entry handler runs; LOCK_INDEX_NONE when none does
export const LOCK_SHARED = LOCK_INDEX + 3; // u8 nonzero while a handler of the exclusive group runs
export const LOCK_FREGS = LOCK_INDEX + 4; // u32 registers that its handlers see
export const LOCK_SHIFT = 4;
export const LOCK_SIZE = 1 << LOCK_SHIFT;
export const LOCK_INDEX_NONE = FGRAPH_ARRAY_SIZE;

export const TASK_FREGS = TASK_LOCKS + TASK_LOCK_COUNT * LOCK_SIZE; // fregs[10]: of a callback, of one nested in it, …
export const TASK_FREGS_COUNT = TASK_LOCK_COUNT;

export const FREGS_IP = 0; // u64
export const FREGS_COUNT = FREGS_IP + 8; // u32 words of arguments (entry) or results (return) present
export const FREGS_RESERVED = FREGS_COUNT + 4; // u32
export const FREGS_PARENT = FREGS_RESERVED + 4; // u64 ip of the caller, for plain ops
export const FREGS_WORDS = FREGS_PARENT + 8; // u64[FREGS_MAX]
export const FREGS_MAX = 32;
export const FREGS_SIZE = FREGS_WORDS + FREGS_MAX * WORD_SIZE;

// Direct mode for a set of users (assembly/direct-set.ts).
export const TASK_SET = TASK_FREGS + TASK_FREGS_COUNT * FREGS_SIZE; // u32 low half of a set frame's bitmap word; 0 = no
export const TASK_SET_SEEN = TASK_SET + 4; // u32 users of the last event on the general path
export const TASK_SET_COUNT = TASK_SET_SEEN + 4; // u32 users of the set
export const TASK_SET_FRAME = TASK_SET_COUNT + 4; // u32 bytes of a set frame with all its data
export const TASK_SET_END = TASK_SET_FRAME + 4; // u64 number of the last event that all ring buffers have room for
export const TASK_SET_OLD = TASK_SET_END + 8; // u32 highest RING_OLD of the ring buffers
export const TASK_SET_MIXED = TASK_SET_OLD + 4; // u32 1: a profile user is among them
export const TASK_STEPS = TASK_SET_MIXED + 4; // step[16]: what to do for each user, in their order

export const STEP_AT = 0; // u32 ring buffer of a graph user; address of the task variable of a profile user, plus 1
export const STEP_HEADER = STEP_AT + 4; // u32 DATA word; read together with STEP_AT
export const STEP_STATS = STEP_HEADER + 4; // u32 statistics table of a profile user
export const STEP_SHIFT = 4;
export const STEP_SIZE = 1 << STEP_SHIFT;

// What the host's handler of an fprobe is called with, besides what every handler is.
export const TASK_FPROBE = TASK_STEPS + FGRAPH_ARRAY_SIZE * STEP_SIZE;
export const FPROBE_CALL_RET = 0; // u64 ret_ip
export const FPROBE_CALL_DATA = FPROBE_CALL_RET + 8; // u32 address of the entry data, 0 = none
export const FPROBE_CALL_PRIVATE = FPROBE_CALL_DATA + 4; // u32
export const FPROBE_CALL_SIZE = 16;

// Of the task of a machine (machine.ts); 0 on all others.
export const TASK_CLOCK = TASK_FPROBE + FPROBE_CALL_SIZE; // u32 address of a u64, the time in ns
export const TASK_HOOKED = TASK_CLOCK + 4; // u32 nonzero: retp of a frame may be anything. Read with TASK_CLOCK
export const TASK_CALL_FP = TASK_HOOKED + 4; // u64 the frame pointer of the entry at hand
export const TASK_FRAME_FP = TASK_CALL_FP + 8; // u32 bytes of the frame pointer below each frame: WORD_SIZE where it is tested

export const TASK_SIZE = TASK_FRAME_FP + 8;

// Groups of TASK_RECURSION and the contexts inside each (spec/fgraph.md §9).
export const RECURSION_CALLBACK = 0;
export const RECURSION_LIST = 5;
export const RECURSION_INTERNAL = 10;
export const MARK_TOP = -8; // of a mark: the top of the shadow stack. Below it the number of list walkers at work then
export const RECURSION_CALLBACK_MASK = (1 << RECURSION_LIST) - 1;
export const RECURSION_LIST_MASK = RECURSION_CALLBACK_MASK << RECURSION_LIST;
export const RECURSION_LOCK_MASK = (1 << RECURSION_INTERNAL) - 1; // bits that have a lock
export const CONTEXT_NMI = 0;
export const CONTEXT_IRQ = 1;
export const CONTEXT_SOFTIRQ = 2;
export const CONTEXT_NORMAL = 3;
export const CONTEXT_TRANSITION = 4;

// ---------------------------------------------------------------------------------------------------------------
// Shadow stack (spec/fgraph.md §4)
//
//   word   0 ............................... LIMIT-1   LIMIT ..........   WORDS-16 ...... WORDS-1
//         | frames, bitmap words, client data        | slack           | task variable[0..15]   |
//
// A frame: ret, func, retp, then the bitmap word, then per user its data words and a data header.

export const SHADOW_STACK_WORDS = 512; // the kernel's page; a task may ask for more
export const SHADOW_STACK_WORDS_MIN = 64;
export const SHADOW_STACK_WORDS_MAX = 1 << 24;
export const SHADOW_STACK_NONE = -1; // in place of a size: a task without a stack, on which nothing is hooked

export const FRAME_RET = 0;
export const FRAME_FUNC = FRAME_RET + WORD_SIZE;
export const FRAME_RETP = FRAME_FUNC + WORD_SIZE;
export const FRAME_WORDS = 3;
export const FRAME_SIZE = FRAME_WORDS * WORD_SIZE;

// Words between LIMIT and the end of the stack.
export const SHADOW_STACK_SLACK = FRAME_WORDS + 1 + FGRAPH_ARRAY_SIZE;

export const FGRAPH_FRAME_OFFSET_BITS = 10;
export const FGRAPH_FRAME_OFFSET_MASK = (1 << FGRAPH_FRAME_OFFSET_BITS) - 1;
export const FGRAPH_TYPE_SHIFT = FGRAPH_FRAME_OFFSET_BITS;
export const FGRAPH_TYPE_BITS = 2;
export const FGRAPH_TYPE_MASK = (1 << FGRAPH_TYPE_BITS) - 1;
export const FGRAPH_TYPE_RESERVED = 0;
export const FGRAPH_TYPE_BITMAP = 1;
export const FGRAPH_TYPE_DATA = 2;

export const FGRAPH_INDEX_SHIFT = FGRAPH_TYPE_SHIFT + FGRAPH_TYPE_BITS;
export const FGRAPH_INDEX_BITS = 16;
export const FGRAPH_INDEX_MASK = (1 << FGRAPH_INDEX_BITS) - 1;

export const FGRAPH_DATA_SHIFT = FGRAPH_TYPE_SHIFT + FGRAPH_TYPE_BITS;
export const FGRAPH_DATA_BITS = 5;
export const FGRAPH_DATA_MASK = (1 << FGRAPH_DATA_BITS) - 1;
export const FGRAPH_DATA_INDEX_SHIFT = FGRAPH_DATA_SHIFT + FGRAPH_DATA_BITS;
export const FGRAPH_DATA_INDEX_BITS = 4;
export const FGRAPH_DATA_INDEX_MASK = (1 << FGRAPH_DATA_INDEX_BITS) - 1;

export const FGRAPH_MAX_DATA_SIZE = 256;

// Ours: the upper half of a BITMAP word is the site id, so that an exit finds its site without a search; bit 21 of a
// DATA word says that its owner unregistered, so that the next owner of the index cannot retrieve it, and bit 28 of the
// BITMAP word that the frame may hold such data.
export const FRAME_BITMAP = FRAME_SIZE; // the BITMAP word, from the base of the frame
export const FRAME_SITE = FRAME_BITMAP + 4; // u32
export const FRAME_DATA = FRAME_BITMAP + WORD_SIZE; // data of the first user that reserved some
export const FGRAPH_SITE_SHIFT = 32;
export const FRAME_BITMAP_EMPTY = (FGRAPH_TYPE_BITMAP << FGRAPH_TYPE_SHIFT) | FRAME_WORDS; // a BITMAP word of nobody
export const FGRAPH_BITMAP_ORPHAN = 1 << (FGRAPH_INDEX_SHIFT + FGRAPH_INDEX_BITS);
export const FGRAPH_DATA_ORPHAN = 1 << (FGRAPH_DATA_INDEX_SHIFT + FGRAPH_DATA_INDEX_BITS);
