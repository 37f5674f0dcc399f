// Ring buffers and statistics in linear memory. Numbers only, for both compilers, like layout.ts.
//
// A ring buffer is a header, then a power-of-two number of pages. A page is the unit of overwriting and of consuming.
//
//   page: | base time u64 | depth i32 | used u32 | lost u32 | sequence u32 | events u32 | 0 | records ... |
//
// The header of the page that is written is filled in when the page is closed or read. The base time is that of the
// event before the page, or of its first.
//
// A record is one u64: the low half says what, the high half when, as the time since the record before it in the page.
//
//   low half    2..0  type    31..3  site id, or the payload of the type
//
// The depth of a record follows from the page's depth and the records before it (an entry is one deeper than the next
// return); RECORD_DEPTH states it where that would be wrong. RECORD_RETURN_LONG is a return whose entry may be on
// another page: one more word, the call time. RECORD_TIME is a gap that 32 bits cannot say: one more word, the time.
//
// RECORD_TIME with a payload is a note instead: words that belong to the event in front of it, on the same page.
//
//   low half    2..0  RECORD_TIME    5..3  NOTE_*    31..6  number of words that follow     high half 0

export const RING_PAGES = 0; // u32 number of pages, a power of two
export const RING_MODE = RING_PAGES + 4; // u32 RING_OVERWRITE or RING_STOP
export const RING_HEAD = RING_MODE + 4; // u32 sequence number of the newest page
export const RING_TAIL = RING_HEAD + 4; // u32 sequence number of the oldest readable page; head + 1 = nothing to read
export const RING_WRITE = RING_TAIL + 4; // u32 address of the next record
export const RING_END = RING_WRITE + 4; // u32 end of the page that is written; 0 = none is open, and RING_WRITE is 0, too
export const RING_OLD = RING_END + 4; // u32 frames below this address may have been entered before the page began
export const RING_DEPTH = RING_OLD + 4; // i32 depth that the next entry has unless a RECORD_DEPTH says otherwise
export const RING_TIME = RING_DEPTH + 4; // u64 time of the last record
export const RING_ON = RING_TIME + 8; // u32 tracing_on
export const RING_LOST = RING_ON + 4; // u32 events dropped (RING_STOP) or overwritten before they were read
export const RING_FIRST = RING_LOST + 4; // u32 address of the first page
export const RING_UNREPORTED = RING_FIRST + 4; // u32 losses that no page header carries yet
export const RING_EXTRA = RING_UNREPORTED + 4; // u32 words of the open page that are not the first of an event
export const RING_TASK = RING_EXTRA + 4; // u32 the task that records here; 0 = nobody, RING_ALL_TASKS = any
export const RING_NEXT = RING_TASK + 4; // u32
export const RING_PID = RING_NEXT + 4; // u32 what the last RECORD_TASK of the open page says, 0 = it has none
export const RING_RUN = RING_PID + 4; // the last call of a function tracer that counts repeats, in the words of NOTE_REPEATS
export const RING_RUN_SITE = RING_RUN; // u32 its function
export const RING_RUN_PID = RING_RUN_SITE + 4; // u32 who called it, 0 = there was none
export const RING_RUN_PARENT = RING_RUN_PID + 4; // u64 and from where
export const RING_RUN_COUNT = RING_RUN_PARENT + 8; // u64 how often it was repeated so far
export const RING_RUN_TIME = RING_RUN_COUNT + 8; // u64 when last
export const RING_HEADER_SIZE = 128;
export const RING_ALL_TASKS = 1;

export const RING_OVERWRITE = 0;
export const RING_STOP = 1;

export const RING_PAGE_SHIFT = 12;
export const RING_PAGE_SIZE = 1 << RING_PAGE_SHIFT;
export const RING_PAGE_TIME = 0; // u64
export const RING_PAGE_DEPTH = RING_PAGE_TIME + 8; // i32
export const RING_PAGE_USED = RING_PAGE_DEPTH + 4; // u32 bytes of records
export const RING_PAGE_LOST = RING_PAGE_USED + 4; // u32 events lost right before this page
export const RING_PAGE_SEQUENCE = RING_PAGE_LOST + 4; // u32
export const RING_PAGE_EVENTS = RING_PAGE_SEQUENCE + 4; // u32 entries, returns and unwound frames on the page
export const RING_PAGE_HEADER_SIZE = 32;
export const RING_PAGES_MAX = 1 << 16;

export const RECORD_SHIFT = 3;
export const RECORD_SIZE = 8;
export const RECORD_TYPE_BITS = 3;
export const RECORD_TYPE_MASK = (1 << RECORD_TYPE_BITS) - 1;
export const RECORD_PAYLOAD_SHIFT = RECORD_TYPE_BITS;
export const RECORD_ENTRY = 1; // payload: site
export const RECORD_RETURN = 2; // payload: site
export const RECORD_RETURN_LONG = 3; // payload: site; next word: call time
export const RECORD_UNWOUND = 4; // payload: site; next word: call time. The frame was left without returning
export const RECORD_DEPTH = 5; // payload: depth of the next entry, or of the next return plus one
export const RECORD_TIME = 6; // payload 0: next word is the time of the next record; else a note
export const RECORD_FUNCTION = 7; // payload: site; next word: ip of the caller
export const RECORD_TASK = 0; // payload: pid of the RECORD_FUNCTION records that follow on this page
export const RECORD_SITE_MAX = (1 << 29) - 1;

// The payload of a note.
export const NOTE_BITS = 3;
export const NOTE_MASK = (1 << NOTE_BITS) - 1;
export const NOTE_WORDS_SHIFT = NOTE_BITS;
export const NOTE_CALLER = 1; // of an entry, one word: the address that the function returns to
export const NOTE_ARGUMENTS = 2; // of an entry or a function, up to NOTE_ARGUMENTS_MAX words
export const NOTE_RESULT = 3; // of a return, one word
export const NOTE_REPEATS = 4; // of a function: how often the call before it was repeated, RING_RUN_*
export const NOTE_STACK = 5; // of a function, up to NOTE_STACK_MAX words: ips of the functions that it was called from
export const NOTE_ARGUMENTS_MAX = 6;
export const NOTE_REPEATS_WORDS = 4;
export const NOTE_STACK_MAX = 256;
export const REPEATS_MAX = 65535; // the kernel's counter has 16 bits

// ---------------------------------------------------------------------------------------------------------------
// Function statistics: one row per site

export const STAT_SHIFT = 5;
export const STAT_SIZE = 32;
export const STAT_COUNT = 0; // u64 calls that ended, by return or unwound
export const STAT_TOTAL = STAT_COUNT + 8; // u64 clock units between entry and exit
export const STAT_SELF = STAT_TOTAL + 8; // u64 the same without the recorded calls below it
export const STAT_MAX = STAT_SELF + 8; // u64 longest single call
