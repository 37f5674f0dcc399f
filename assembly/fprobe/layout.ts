// fprobes in linear memory (spec/fprobe.md). Numbers only, for both compilers, like ../layout.ts.
//
// The records of probes come in chunks, each twice as large as the one before, and never move.

export const ABI_FPROBE = 3072;
export const ABI_FPROBE_CHUNKS = ABI_FPROBE; // u32[20] addresses of the chunks
export const FPROBE_CHUNKS_MAX = 20;
export const FPROBE_CHUNK_MIN = 8; // probes in the first one
export const ABI_FPROBE_CHUNK_COUNT = ABI_FPROBE_CHUNKS + FPROBE_CHUNKS_MAX * 4; // u32
export const ABI_FPROBE_FREE = ABI_FPROBE_CHUNK_COUNT + 4; // u32 first free record, linked through FPROBE_NEXT
export const ABI_FPROBE_EXITS = ABI_FPROBE_FREE + 4; // u32 live nodes of probes with an exit handler
export const ABI_FPROBE_PLAINS = ABI_FPROBE_EXITS + 4; // u32 live nodes of the others
export const ABI_FPROBE_GRAPH = ABI_FPROBE_PLAINS + 4; // u32 bit of the graph user that serves exit probes, 0 = stopped
export const ABI_FPROBE_OPS = ABI_FPROBE_GRAPH + 4; // u32 slot plus 1 of the plain ops that serve the others, 0 = stopped
export const ABI_FPROBE_RETIRED = ABI_FPROBE_OPS + 4; // u32 newest node array that a callback may still walk
export const ABI_FPROBE_REQUEST = ABI_FPROBE_RETIRED + 4; // u32 the request that `fprobe_register` reads, 0 = none
export const ABI_FPROBE_REQUEST_ROOM = ABI_FPROBE_REQUEST + 4; // u32 site ids that fit into it
export const ABI_LOCATIONS = ABI_FPROBE_REQUEST_ROOM + 4; // u32 buckets of the location table
export const ABI_LOCATION_BITS = ABI_LOCATIONS + 4; // u32 log2 of their number
export const ABI_LOCATION_COUNT = ABI_LOCATION_BITS + 4; // u32 locations in the table

export const FPROBE_SHIFT = 7;
export const FPROBE_SIZE = 1 << FPROBE_SHIFT;
export const FPROBE_HEADER = 0; // u64 what stands in front of its data on the shadow stack; 0 = not registered
export const FPROBE_FLAGS = FPROBE_HEADER + 8; // u32 FPROBE_FL_*
export const FPROBE_KIND = FPROBE_FLAGS + 4; // u32 FPROBE_KIND_*
export const FPROBE_ENTRY = FPROBE_KIND + 4; // u32 entry handler: table index, or the host's id; 0 = none
export const FPROBE_EXIT = FPROBE_ENTRY + 4; // u32 the same for the exit handler. Built-in kinds: 1 = runs there
export const FPROBE_PRIVATE = FPROBE_EXIT + 4; // u32 whatever the client wants handed to its handlers
export const FPROBE_WORDS = FPROBE_PRIVATE + 4; // u32 entry data in words
export const FPROBE_HITS = FPROBE_WORDS + 4; // u64 activations that the probe took part in
export const FPROBE_NODES = FPROBE_HITS + 8; // u32 node array
export const FPROBE_ROWS = FPROBE_NODES + 4; // u32 what a built-in kind keeps, one row per node; 0 = nothing
export const FPROBE_ROW_SIZE = FPROBE_ROWS + 4; // u32 bytes
export const FPROBE_SOURCE = FPROBE_ROW_SIZE + 4; // u32 FPROBE_SOURCE_* of a built-in kind
export const FPROBE_NODE_COUNT = FPROBE_SOURCE + 4; // u32
export const FPROBE_GENERATION = FPROBE_NODE_COUNT + 4; // u32 counts the registrations that this record has had
export const FPROBE_NMISSED = FPROBE_GENERATION + 4; // u64 handlers that should have run (spec/fprobe.md §13)
export const FPROBE_RECURSION = FPROBE_NMISSED + 8; // u32 callbacks that the recursion lock refused
export const FPROBE_OVERRUN = FPROBE_RECURSION + 4; // u32 activations that had no room on the shadow stack
export const FPROBE_CELLS = FPROBE_OVERRUN + 4; // u32 buckets or values of a built-in kind
export const FPROBE_INDEX = FPROBE_CELLS + 4; // u32 argument that a built-in kind looks at
export const FPROBE_MIN = FPROBE_INDEX + 4; // i64 lower end of the first bucket of FPROBE_KIND_LINEAR
export const FPROBE_STEP = FPROBE_MIN + 8; // u64 width of a bucket
export const FPROBE_NEXT = FPROBE_STEP + 8; // u32 next free record, of a free one
export const FPROBE_END = FPROBE_NEXT + 4; // the rest of the record is reserved

export const FPROBE_FL_DISABLED = 1;
export const FPROBE_FL_KPROBE_SHARED = 2;
/// Ours: the exit handler runs although KPROBE_SHARED skipped the entry handler, as in the kernel.
export const FPROBE_FL_SHARED_EXIT = 4;
export const FPROBE_FL_ALL = FPROBE_FL_DISABLED | FPROBE_FL_KPROBE_SHARED | FPROBE_FL_SHARED_EXIT;

export const FPROBE_KIND_NONE = 0; // no handler at all
export const FPROBE_KIND_WASM = 1; // functions (private, entry_ip, ret_ip, fregs, data) → i32 in the engine's table
export const FPROBE_KIND_HOST = 2; // the import `call`
export const FPROBE_KIND_COUNT = 3;
export const FPROBE_KIND_LOG2 = 4;
export const FPROBE_KIND_LINEAR = 5;
export const FPROBE_KIND_FIRST = 6;
export const FPROBE_KIND_LAST = 7;

// What the built-in kinds look at. The low bits say what, FPROBE_SOURCE_SIGNED32 how an argument or result is read.
export const FPROBE_SOURCE_HIT = 0;
export const FPROBE_SOURCE_ARGUMENT = 1;
export const FPROBE_SOURCE_RESULT = 2;
export const FPROBE_SOURCE_LATENCY = 3;
export const FPROBE_SOURCE_MASK = 15;
export const FPROBE_SOURCE_SIGNED32 = 16;

/// Words of entry data that a probe may ask for.
export const MAX_FPROBE_DATA_SIZE_WORD = 15;

// A record on the shadow stack: one header word, then the data words (spec/fprobe.md §8.1).
//
//   63..60 data size in words    59..28 generation    27..0 slot: address of the probe's record / 128
export const FPROBE_HEADER_WORDS = 1;
export const FPROBE_HEADER_SLOT_BITS = 28;
export const FPROBE_HEADER_SLOT_MASK = (1 << FPROBE_HEADER_SLOT_BITS) - 1;
export const FPROBE_HEADER_SIZE_SHIFT = FPROBE_HEADER_SLOT_BITS + 32;

// A node: one (probe, location) pair, in the array of its probe, in two lists at once.
export const NODE_OWNER = 0; // u32 its probe; 0 = not inserted, or removed
export const NODE_SITE = NODE_OWNER + 4; // u32
export const NODE_NEXT = NODE_SITE + 4; // u32 next older node of the same type there. Stays when the node is removed
export const NODE_LINK = NODE_NEXT + 4; // u32 address of the word that points here
export const NODE_SHIFT = 4;
export const NODE_SIZE = 1 << NODE_SHIFT;

// A location: a site that probes watch.
export const LOCATION_IP = 0; // u64 key of the location table
export const LOCATION_SITE = LOCATION_IP + 8; // u32
export const LOCATION_EXITS = LOCATION_SITE + 4; // u32 newest node of a probe with an exit handler
export const LOCATION_PLAINS = LOCATION_EXITS + 4; // u32 newest node of a probe without one
export const LOCATION_WORDS = LOCATION_PLAINS + 4; // u32 words that all records of an activation take
export const LOCATION_NEXT = LOCATION_WORDS + 4; // u32 next location in its bucket
export const LOCATION_LINK = LOCATION_NEXT + 4; // u32 address of the word that points here
export const LOCATION_SIZE = 32;
export const LOCATION_BITS_MIN = 6;

// The region that a probe's nodes stand in: a header, the nodes, and the rows of a built-in kind. When the probe goes
// the region waits until no callback runs.
export const NODES_NEXT = 0; // u32 next older region that waits
export const NODES_BYTES = NODES_NEXT + 4; // u32
export const NODES_HEADER_SIZE = 16;

// What `fprobe_register` is asked for.
export const REQUEST_KIND = 0; // u32
export const REQUEST_ENTRY = REQUEST_KIND + 4; // u32
export const REQUEST_EXIT = REQUEST_ENTRY + 4; // u32
export const REQUEST_DATA_SIZE = REQUEST_EXIT + 4; // u32 bytes of entry data
export const REQUEST_FLAGS = REQUEST_DATA_SIZE + 4; // u32
export const REQUEST_PRIVATE = REQUEST_FLAGS + 4; // u32
export const REQUEST_SOURCE = REQUEST_PRIVATE + 4; // u32
export const REQUEST_INDEX = REQUEST_SOURCE + 4; // u32
export const REQUEST_CELLS = REQUEST_INDEX + 4; // u32
export const REQUEST_RESERVED = REQUEST_CELLS + 4; // u32
export const REQUEST_MIN = REQUEST_RESERVED + 4; // i64
export const REQUEST_STEP = REQUEST_MIN + 8; // u64
export const REQUEST_SITES = REQUEST_STEP + 8; // u32[count] site ids

// A row of a built-in kind: how many values there were, their sum, and the cells: buckets that count, or the values.
export const ROW_COUNT = 0; // u64
export const ROW_SUM = ROW_COUNT + 8; // i64, modulo 2^64
export const ROW_CELLS = ROW_SUM + 8; // u64[cells]
/// Buckets of FPROBE_KIND_LOG2: below 0, 0, then 2^k up to 2^(k+1) for k = 0 … 63.
export const LOG2_BUCKETS = 66;
/// FPROBE_KIND_LINEAR has one bucket more at either end, for what lies outside.
export const LINEAR_OUTER = 2;
export const FPROBE_CELLS_MAX = 1024;
