// Built-in handlers: what most clients would write themselves, run without leaving the engine. Each looks at one value
// (that there was a call, an argument, the result, the time between entry and exit) and keeps something of it per
// function: how many and their sum, and with some kinds a histogram, or the first or last values.
//
//   row of a node   | count u64 | sum i64 | cell u64 | cell | ... |
//
// The exit has to find the row that belongs to the function. It would have to search the nodes of the location for that
// of its probe, so the entry leaves the node's address in the probe's entry data, and the time next to it if that is
// wanted.

import { clock_is_mono } from '../clock';
import { FREGS_COUNT, FREGS_MAX, FREGS_WORDS, WORD_SHIFT, WORD_SIZE } from '../layout';
import {
  FPROBE_CELLS, FPROBE_CELLS_MAX, FPROBE_INDEX, FPROBE_KIND, FPROBE_KIND_COUNT, FPROBE_KIND_FIRST, FPROBE_KIND_LINEAR,
  FPROBE_KIND_LOG2, FPROBE_MIN, FPROBE_NODES, FPROBE_ROWS, FPROBE_ROW_SIZE, FPROBE_SOURCE, FPROBE_SOURCE_HIT,
  FPROBE_SOURCE_LATENCY, FPROBE_SOURCE_MASK, FPROBE_SOURCE_RESULT, FPROBE_SOURCE_SIGNED32, FPROBE_STEP, FPROBE_WORDS,
  LINEAR_OUTER, LOG2_BUCKETS, NODE_SHIFT, REQUEST_CELLS, REQUEST_INDEX, REQUEST_KIND, REQUEST_SOURCE, REQUEST_STEP,
  ROW_CELLS, ROW_COUNT, ROW_SUM,
} from './layout';

const DATA_NODE = 0;
const DATA_TIME = DATA_NODE + WORD_SIZE;

function source(word: u32): u32 {
  return word & FPROBE_SOURCE_MASK;
}

// ---- what is asked for

export function builtin_valid(request: u32): bool {
  const what = load<u32>(request, REQUEST_SOURCE);
  const kind = load<u32>(request, REQUEST_KIND);
  const cells = load<u32>(request, REQUEST_CELLS);
  if (what & ~(FPROBE_SOURCE_MASK | FPROBE_SOURCE_SIGNED32) || source(what) > <u32>FPROBE_SOURCE_LATENCY) return false;
  if (load<u32>(request, REQUEST_INDEX) >= <u32>FREGS_MAX) return false;
  if (kind == FPROBE_KIND_COUNT) return true;
  if (source(what) == FPROBE_SOURCE_HIT) return false;
  if (kind == FPROBE_KIND_LOG2) return true;
  if (kind == FPROBE_KIND_LINEAR && !load<u64>(request, REQUEST_STEP)) return false;
  return cells != 0 && cells <= <u32>FPROBE_CELLS_MAX;
}

export function builtin_is_exit(request: u32): bool {
  return source(load<u32>(request, REQUEST_SOURCE)) >= <u32>FPROBE_SOURCE_RESULT;
}

/// Words of entry data.
export function builtin_data_words(request: u32): u32 {
  const what = source(load<u32>(request, REQUEST_SOURCE));
  return what == FPROBE_SOURCE_LATENCY ? 2 : what == FPROBE_SOURCE_RESULT ? 1 : 0;
}

export function builtin_row_size(request: u32): u32 {
  const kind = load<u32>(request, REQUEST_KIND);
  if (kind == FPROBE_KIND_COUNT) return ROW_CELLS;
  if (kind == FPROBE_KIND_LOG2) return ROW_CELLS + LOG2_BUCKETS * WORD_SIZE;
  const cells = load<u32>(request, REQUEST_CELLS) + (kind == FPROBE_KIND_LINEAR ? LINEAR_OUTER : 0);
  return ROW_CELLS + (cells << WORD_SHIFT);
}

// ---- at entry and exit

/// Whether a probe reads a clock that is not the engine's own: that calls out.
export function builtin_calls_out(probe: u32): bool {
  return source(load<u32>(probe, FPROBE_SOURCE)) == FPROBE_SOURCE_LATENCY && clock_is_mono();
}

/// The probe was hit, at `time`, with `count` words of arguments. `data` is 0 unless an exit will follow.
export function builtin_entry(probe: u32, node: u32, fregs: u32, count: u32, data: u32, time: u64): void {
  const what = load<u32>(probe, FPROBE_SOURCE);
  const from = source(what);
  if (data) {
    builtin_begin(data, node, time, load<u32>(probe, FPROBE_WORDS));
  } else if (from == FPROBE_SOURCE_HIT) {
    const row = rowOf(probe, node);
    store<u64>(row, load<u64>(row, ROW_COUNT) + 1, ROW_COUNT);
  } else {
    const index = load<u32>(probe, FPROBE_INDEX);
    if (index < count) {
      keep(probe, rowOf(probe, node), read(what, load<u64>(fregs + FREGS_WORDS + (index << WORD_SHIFT))));
    }
  }
}

/// What the exit will need.
export function builtin_begin(data: u32, node: u32, time: u64, words: u32): void {
  store<u64>(data, node, DATA_NODE);
  if (words > 1) store<u64>(data, time, DATA_TIME);
}

/// The function returned at `time`, with `count` words of results.
export function builtin_exit(probe: u32, data: u32, count: u32, result: u64, time: u64): void {
  const what = load<u32>(probe, FPROBE_SOURCE);
  const row = rowOf(probe, load<u32>(data, DATA_NODE));
  if (source(what) == FPROBE_SOURCE_RESULT) {
    if (count) keep(probe, row, read(what, result));
    return;
  }
  const call = load<u64>(data, DATA_TIME);
  keep(probe, row, time > call ? time - call : 0);
}

function rowOf(probe: u32, node: u32): u32 {
  const index = node - load<u32>(probe, FPROBE_NODES) >> NODE_SHIFT;
  return load<u32>(probe, FPROBE_ROWS) + index * load<u32>(probe, FPROBE_ROW_SIZE);
}

/// A word of arguments or results as a number: i32 travels with zeros on top.
function read(what: u32, word: u64): i64 {
  return what & FPROBE_SOURCE_SIGNED32 ? <i64><i32>word : <i64>word;
}

function keep(probe: u32, row: u32, value: i64): void {
  const count = load<u64>(row, ROW_COUNT);
  store<u64>(row, count + 1, ROW_COUNT);
  store<i64>(row, load<i64>(row, ROW_SUM) + value, ROW_SUM);
  const kind = load<u32>(probe, FPROBE_KIND);
  if (kind == FPROBE_KIND_COUNT) return;
  const cells = <u64>load<u32>(probe, FPROBE_CELLS);
  if (kind == FPROBE_KIND_LOG2) {
    bump(row, value < 0 ? 0 : value == 0 ? 1 : <u32>(<i64>LOG2_BUCKETS - 1 - clz<i64>(value)));
  } else if (kind == FPROBE_KIND_LINEAR) {
    const min = load<i64>(probe, FPROBE_MIN);
    if (value < min) return bump(row, 0);
    const bucket = (<u64>value - <u64>min) / load<u64>(probe, FPROBE_STEP);
    bump(row, <u32>(bucket < cells ? bucket : cells) + 1);
  } else if (kind == FPROBE_KIND_FIRST) {
    if (count < cells) store<i64>(row + (<u32>count << WORD_SHIFT), value, ROW_CELLS);
  } else {
    store<i64>(row + (<u32>(count % cells) << WORD_SHIFT), value, ROW_CELLS);
  }
}

function bump(row: u32, cell: u32): void {
  const at = row + (cell << WORD_SHIFT);
  store<u64>(at, load<u64>(at, ROW_CELLS) + 1, ROW_CELLS);
}
