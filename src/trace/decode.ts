// Ring-buffer pages → events.
//
// A page is decoded in one pass over 32-bit words into the columns of a `Batch`, with nothing allocated and nothing
// called per record. The writer keeps a record to 8 bytes by leaving out what the reader can know:
//
//   page                      time   depth
//   base time, depth          100    2
//   ENTRY  f  +5              105    2        depth goes up after an entry
//   ENTRY  g  +1              106    3
//   RETURN g  +4              110    3        … and down before a return; called at 106: the entry is on this page
//   RETURN_LONG e +1, 40      111    1        DEPTH 2 stood before it; called at 40, before the page began
//
// Hence the one piece of state besides time and depth: the entries of this page that are still open.
//
// Invariant: whatever the bytes are, decoding ends after at most one page of steps, writes only inside the batch, throws
// nothing, and yields calls that do not end before they begin. A page that breaks the format is given up at the first
// such record: what came before it stays, a LOST event of unknown size stands for the rest.

import { FRAME_WORDS, SHADOW_STACK_WORDS_MAX } from '../../assembly/layout.ts';
import {
  NOTE_ARGUMENTS,
  NOTE_CALLER,
  NOTE_MASK,
  NOTE_REPEATS,
  NOTE_RESULT,
  NOTE_STACK,
  NOTE_WORDS_SHIFT,
  RECORD_DEPTH,
  RECORD_ENTRY,
  RECORD_FUNCTION,
  RECORD_PAYLOAD_SHIFT,
  RECORD_RETURN,
  RECORD_RETURN_LONG,
  RECORD_SIZE,
  RECORD_TASK,
  RECORD_TIME,
  RECORD_TYPE_MASK,
  RECORD_UNWOUND,
  RING_PAGE_DEPTH,
  RING_PAGE_HEADER_SIZE,
  RING_PAGE_LOST,
  RING_PAGE_SIZE,
  RING_PAGE_TIME,
  RING_PAGE_USED,
} from '../../assembly/ring-layout.ts';
import { Batch, ENTRY, FUNCTION, RETURN, UNWOUND } from './events.ts';
import { noteFits } from './notes.ts';

const HIGH = 2 ** 32;
const WORD_BYTES_SHIFT = 2;
const RECORD_WORDS = RECORD_SIZE >>> WORD_BYTES_SHIFT;
const TIME_HIGH_LIMIT = 2 ** 21; // a high half from here on is a time that a number cannot hold

// No stack holds more frames: each takes its words and the bitmap word.
const DEPTH_LIMIT = Math.floor(SHADOW_STACK_WORDS_MAX / (FRAME_WORDS + 1));

/// Most records that fit on one page.
export const PAGE_RECORDS_MAX = Math.floor((RING_PAGE_SIZE - RING_PAGE_HEADER_SIZE) / RECORD_SIZE);

/// A batch that holds any page: its records, and the losses before and after them.
export function pageBatch(): Batch {
  return new Batch(PAGE_RECORDS_MAX + 2);
}

// Open entries of the page in hand, as indices into the batch, their depths ascending. Shared by all calls: decoding
// does not call out, so there is never more than one page in hand.
const open = new Int32Array(PAGE_RECORDS_MAX + 1);

/// Decodes one page into `batch`, replacing what was there.
///
/// `words` is a view of the memory, `page` the page's address in bytes (a multiple of 4). `used`, the bytes of records,
/// is taken from the page header unless given: the header of the page that is being written may lag behind.
/// Returns false when the page was damaged; the batch then ends with a LOST event of unknown size. A `page` outside of
/// `words` is a damaged page too.
export function decodePage(words: Uint32Array, page: number, batch: Batch, used?: number): boolean {
  const header = page >>> WORD_BYTES_SHIFT;
  const kind = batch.kind;
  const func = batch.func;
  const depths = batch.depth;
  const times = batch.time;
  const calls = batch.call;
  batch.count = 0;
  batch.notes.clear();

  if (header + (RING_PAGE_SIZE >>> WORD_BYTES_SHIFT) > words.length) {
    batch.lost(0, 0);
    return false;
  }
  const base = readTime(words, header + (RING_PAGE_TIME >>> WORD_BYTES_SHIFT));
  const lostBefore = words[header + (RING_PAGE_LOST >>> WORD_BYTES_SHIFT)];
  if (lostBefore !== 0) batch.lost(lostBefore, Math.max(base, 0));

  const bytes = used ?? words[header + (RING_PAGE_USED >>> WORD_BYTES_SHIFT)];
  if (base < 0 || bytes > RING_PAGE_SIZE - RING_PAGE_HEADER_SIZE || (bytes & (RECORD_SIZE - 1)) !== 0) {
    batch.lost(0, Math.max(base, 0));
    return false;
  }

  let at = header + (RING_PAGE_HEADER_SIZE >>> WORD_BYTES_SHIFT);
  const end = at + (bytes >>> WORD_BYTES_SHIFT);
  let time = base;
  let depth = words[header + (RING_PAGE_DEPTH >>> WORD_BYTES_SHIFT)] | 0;
  let n = batch.count;
  let opened = 0;
  let pid = 0;
  let sound = depth >= 0 && depth < DEPTH_LIMIT;

  while (sound && at < end) {
    const low = words[at];
    const type = low & RECORD_TYPE_MASK;
    const payload = low >>> RECORD_PAYLOAD_SHIFT;
    time += words[at + 1];
    at += RECORD_WORDS;

    if (type === RECORD_ENTRY) {
      // An open entry at this depth or deeper lost its return: this one took its place.
      while (opened > 0 && depths[open[opened - 1]] >= depth) opened--;
      open[opened++] = n;
      kind[n] = ENTRY;
      func[n] = payload;
      depths[n] = depth++;
      times[n] = time;
      calls[n] = time;
      n++;
    } else if (type === RECORD_RETURN) {
      depth--;
      while (opened > 0 && depths[open[opened - 1]] > depth) opened--;
      sound = opened > 0 && depths[open[opened - 1]] === depth && func[open[opened - 1]] === payload;
      if (!sound) break;
      kind[n] = RETURN;
      func[n] = payload;
      depths[n] = depth;
      times[n] = time;
      calls[n] = times[open[--opened]];
      n++;
    } else if (type === RECORD_RETURN_LONG || type === RECORD_UNWOUND) {
      depth--;
      sound = depth >= 0 && at < end;
      if (!sound) break;
      const call = readTime(words, at);
      at += RECORD_WORDS;
      sound = call >= 0;
      if (!sound) break;
      while (opened > 0 && depths[open[opened - 1]] >= depth) opened--;
      kind[n] = type === RECORD_UNWOUND ? UNWOUND : RETURN;
      func[n] = payload;
      depths[n] = depth;
      times[n] = time;
      // The clock may have been switched while the function ran: that is no damage, but no duration either.
      calls[n] = Math.min(call, time);
      n++;
    } else if (type === RECORD_DEPTH) {
      depth = payload;
      sound = depth < DEPTH_LIMIT;
    } else if (type === RECORD_TIME && payload !== 0) {
      at = addNote(batch, n - 1, words, at, end);
      sound = at > 0;
    } else if (type === RECORD_TIME) {
      sound = at < end;
      if (!sound) break;
      const next = readTime(words, at);
      at += RECORD_WORDS;
      sound = next >= time;
      if (!sound) break;
      time = next;
    } else if (type === RECORD_FUNCTION) {
      sound = at < end;
      if (!sound) break;
      kind[n] = FUNCTION;
      func[n] = payload;
      depths[n] = depth;
      times[n] = time;
      calls[n] = words[at + 1] * HIGH + words[at];
      batch.callerLow[n] = words[at];
      batch.callerHigh[n] = words[at + 1];
      batch.pid[n] = pid;
      at += RECORD_WORDS;
      n++;
    } else if (type === RECORD_TASK) {
      // No task has pid 0 and no time passes there: a word of zeros is damage.
      sound = payload !== 0 && words[at - 1] === 0;
      pid = payload;
    } else {
      sound = false;
    }
  }

  batch.count = n;
  if (!sound) batch.lost(0, time);
  return sound;
}

/// The kinds of events that a note may follow, by its own kind.
const EVENTS_OF: Readonly<Record<number, readonly number[]>> = {
  [NOTE_CALLER]: [ENTRY],
  [NOTE_ARGUMENTS]: [ENTRY, FUNCTION],
  [NOTE_RESULT]: [RETURN],
  [NOTE_REPEATS]: [FUNCTION],
  [NOTE_STACK]: [FUNCTION],
};

/// Adds the note whose words begin at `at`, behind its record, to event `n`. Returns where it ends; 0: it is damaged.
function addNote(batch: Batch, n: number, words: Uint32Array, at: number, end: number): number {
  const payload = words[at - RECORD_WORDS] >>> RECORD_PAYLOAD_SHIFT;
  const note = payload & NOTE_MASK;
  const size = payload >>> NOTE_WORDS_SHIFT;
  const behind = at + size * RECORD_WORDS;
  if (n < 0 || words[at - 1] !== 0 || behind > end || !noteFits(note, size)) return 0;
  if (!EVENTS_OF[note].includes(batch.kind[n])) return 0;
  return batch.notes.add(n, note, words, at, size) ? behind : 0;
}

/// The 64-bit time at word index `at`, or −1 for one that a number cannot hold exactly.
function readTime(words: Uint32Array, at: number): number {
  const high = words[at + 1];
  return high < TIME_HIGH_LIMIT ? high * HIGH + words[at] : -1;
}
