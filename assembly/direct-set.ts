// Direct mode for several built-in users, or a profile user alone: what direct.ts is for a single graph user, a little
// slower and with one step per user. A task is in it while TASK_SET is not 0, under the conditions that direct.ts
// lists; every user of the set accepted the last event, and every graph user among them recorded it.
//
// A frame of the set is laid out the same way each time, so nothing is searched for:
//
//   base+0 ret | func | retp | site, BITMAP of the set | data of one | DATA | data of the next | DATA | ... <- top
//
// RING_TIME and RING_DEPTH of the ring buffers and TASK_RETURNS stand still, as in direct.ts; everything else is always
// up to date. All ring buffers take one record of eight bytes per event, at a return from before their page a second
// one, so one number says how long all of them have room.

import { direct_allowed, direct_count, direct_fits, ONE_EVENT } from './direct';
import { gops_address, gops_kind, graph_ring } from './gops';
import {
  ABI_COUNTER, ABI_SITE_COUNT, FGRAPH_INDEX_SHIFT, FGRAPH_SITE_SHIFT, FRAME_BITMAP, FRAME_BITMAP_EMPTY, FRAME_DATA,
  FRAME_FUNC, FRAME_RET, FRAME_RETP, FRAME_SITE, FRAME_WORDS, GOPS_GRAPH, GOPS_OPTIONS, GOPS_PROFILE, GOPS_STATS,
  SITE_IP, SITE_USERS, STEP_AT, STEP_HEADER, STEP_SIZE, STEP_STATS, TASK_BASE, TASK_DEPTH, TASK_LIMIT, TASK_SET,
  TASK_SET_COUNT, TASK_SET_END, TASK_SET_MIXED, TASK_SET_FRAME, TASK_SET_OLD, TASK_SET_SEEN, TASK_STEPS, TASK_TOP, WORD_SHIFT,
  WORD_SIZE,
} from './layout';
import {
  RECORD_ENTRY, RECORD_PAYLOAD_SHIFT, RECORD_RETURN, RECORD_RETURN_LONG, RECORD_SHIFT, RECORD_SIZE, RING_END,
  RING_EXTRA, RING_OLD, RING_WRITE,
} from './ring-layout';
import { makeBitmap, makeData, task_variable_address } from './shadow-stack';
import { site_address } from './site';
import { GRAPH_WORDS } from './tracer/graph';
import { graph_plain } from './tracer/graph-rules';
import { PROFILE_WORDS, profile_begin, profile_end } from './tracer/profile';

const GRAPH_SIZE: u32 = (GRAPH_WORDS + 1) * WORD_SIZE;
const PROFILE_SIZE: u32 = (PROFILE_WORDS + 1) * WORD_SIZE;

function append(ring: u32, record: u64): void {
  const at = load<u32>(ring, RING_WRITE);
  store<u64>(at, record);
  store<u32>(ring, at + RECORD_SIZE, RING_WRITE);
}

/// Appends the return of the frame `base`, whose entry, at `call`, may be on another page of this ring buffer.
function appendOld(ring: u32, record: u64, base: u32, call: u64): void {
  append(ring, record);
  if (base >= load<u32>(ring, RING_OLD)) return;
  const at = load<u32>(ring, RING_WRITE);
  store<u64>(at - RECORD_SIZE, record + (RECORD_RETURN_LONG - RECORD_RETURN));
  store<u64>(at, call);
  store<u32>(ring, at + RECORD_SIZE, RING_WRITE);
  store<u32>(ring, load<u32>(ring, RING_EXTRA) + 1, RING_EXTRA);
  store<u32>(ring, base, RING_OLD);
}

/// Enters `site`, if exactly the set wants it. Returns the cookie, or 0 with nothing changed.
export function set_enter(task: u32, site: u32): u32 {
  if (site >= load<u32>(0, ABI_SITE_COUNT)) return 0;
  const about = site_address(site);
  const bitmap = load<u32>(about, SITE_USERS) << FGRAPH_INDEX_SHIFT | FRAME_BITMAP_EMPTY;
  if (bitmap != load<u32>(task, TASK_SET)) return 0;
  const place = load<u64>(task, TASK_TOP); // and TASK_BASE
  const base = <u32>place;
  const top = base + load<u32>(task, TASK_SET_FRAME);
  const time = load<u64>(0, ABI_COUNTER) + 1;
  if (time > load<u64>(task, TASK_SET_END) || top >= load<u32>(task, TASK_LIMIT)) return 0;

  const parent = place >> 32;
  store<u64>(base, load<u64>(<u32>parent, FRAME_FUNC), FRAME_RET); // the null frame has func 0
  store<u64>(base, load<u64>(about, SITE_IP), FRAME_FUNC);
  store<u64>(base, parent, FRAME_RETP);
  store<u64>(base, <u64>site << FGRAPH_SITE_SHIFT | <u64>bitmap, FRAME_BITMAP);

  const record = ONE_EVENT | <u64>(site << RECORD_PAYLOAD_SHIFT | RECORD_ENTRY);
  let step = task + TASK_STEPS;
  let data = base + FRAME_DATA;
  if (!load<u32>(task, TASK_SET_MIXED)) {
    do {
      const what = load<u64>(step); // STEP_AT, and STEP_HEADER in the upper half
      append(<u32>what, record);
      store<u64>(data, time);
      store<u64>(data, what >> 32, GRAPH_SIZE - WORD_SIZE);
      data += GRAPH_SIZE;
      step += STEP_SIZE;
    } while (data < top);
  } else {
    while (data < top) {
      const what = load<u64>(step);
      const at = <u32>what;
      if (at & 1) {
        profile_begin(data, at - 1, time);
        data += PROFILE_SIZE;
      } else {
        append(at, record);
        store<u64>(data, time);
        data += GRAPH_SIZE;
      }
      store<u64>(data - WORD_SIZE, what >> 32);
      step += STEP_SIZE;
    }
  }
  store<u64>(task, place << 32 | <u64>top, TASK_TOP);
  store<i32>(task, load<i32>(task, TASK_DEPTH) + 1, TASK_DEPTH);
  store<u64>(0, time, ABI_COUNTER);
  return base;
}

/// Leaves the frame `cookie`, if it is the newest and of the set. False: nothing changed.
export function set_leave(task: u32, cookie: u32): bool {
  if (cookie != load<u32>(task, TASK_BASE)) return false;
  if (load<u32>(cookie, FRAME_BITMAP) != load<u32>(task, TASK_SET)) return false;
  const isOld = cookie < load<u32>(task, TASK_SET_OLD); // its entry may be on another page
  const time = load<u64>(0, ABI_COUNTER) + 1;
  if (time + (isOld ? 1 : 0) > load<u64>(task, TASK_SET_END)) return false;

  const site = load<u32>(cookie, FRAME_SITE);
  store<u64>(0, time, ABI_COUNTER);
  const record = ONE_EVENT | <u64>(site << RECORD_PAYLOAD_SHIFT | RECORD_RETURN);
  const end = cookie + load<u32>(task, TASK_SET_FRAME);
  let step = task + TASK_STEPS;
  let data = cookie + FRAME_DATA;
  if (!(load<u32>(task, TASK_SET_MIXED) | (isOld ? 1 : 0))) {
    do {
      append(load<u32>(step, STEP_AT), record);
      data += GRAPH_SIZE;
      step += STEP_SIZE;
    } while (data < end);
  } else {
    while (data < end) {
      const at = load<u32>(step, STEP_AT);
      if (at & 1) {
        profile_end(data, at - 1, time, load<u32>(step, STEP_STATS), site);
        data += PROFILE_SIZE;
      } else {
        appendOld(at, record, cookie, load<u64>(data));
        data += GRAPH_SIZE;
      }
      step += STEP_SIZE;
    }
  }
  store<u64>(task, load<u64>(cookie, FRAME_RETP) << 32 | <u64>cookie, TASK_TOP); // and TASK_BASE
  store<i32>(task, load<i32>(task, TASK_DEPTH) - 1, TASK_DEPTH);
  if (isOld) {
    store<u32>(task, cookie, TASK_SET_OLD);
    store<u64>(task, load<u64>(task, TASK_SET_END) - 1, TASK_SET_END);
  }
  return true;
}

/// Enters direct mode for the users in `bitmap`, who made the last event of `task`, if all of them are built in. The
/// first event of a set does not count yet: where sets alternate, entering direct mode each time would cost more than
/// it saves.
export function set_arm(task: u32, bitmap: u32): void {
  const seen = load<u32>(task, TASK_SET_SEEN);
  store<u32>(task, bitmap, TASK_SET_SEEN);
  if (seen != bitmap || !direct_allowed(task)) return;

  let step = task + TASK_STEPS;
  let words: u32 = FRAME_WORDS + 1;
  let room: u32 = u32.MAX_VALUE;
  let old: u32 = 0;
  let count: u32 = 0;
  let mixed: u32 = 0;
  for (let rest = bitmap; rest; rest &= rest - 1) {
    const index = ctz<u32>(rest);
    const kind = gops_kind(index);
    let size: u32 = PROFILE_WORDS;
    let at = task_variable_address(task, index) + 1;
    if (kind == GOPS_GRAPH) {
      size = GRAPH_WORDS;
      at = graph_ring(task, index);
      if (!at || !graph_plain(task, index) || !direct_fits(task, at)) return;
      const left: u32 = (load<u32>(at, RING_END) - load<u32>(at, RING_WRITE)) >> RECORD_SHIFT;
      if (left < room) room = left;
      if (load<u32>(at, RING_OLD) > old) old = load<u32>(at, RING_OLD);
    } else if (kind != GOPS_PROFILE || load<u32>(gops_address(index), GOPS_OPTIONS)) {
      return;
    } else {
      mixed = 1;
    }
    words += size + 1;
    store<u32>(step, at, STEP_AT);
    store<u32>(step, load<u32>(gops_address(index), GOPS_STATS), STEP_STATS);
    store<u32>(step, makeData(index, size, words - 1), STEP_HEADER);
    step += STEP_SIZE;
    count++;
  }
  store<u32>(task, count, TASK_SET_COUNT);
  store<u32>(task, mixed, TASK_SET_MIXED);
  store<u32>(task, words << WORD_SHIFT, TASK_SET_FRAME);
  store<u64>(task, load<u64>(0, ABI_COUNTER) + room, TASK_SET_END);
  store<u32>(task, old, TASK_SET_OLD);
  direct_count(task);
  store<u32>(task, makeBitmap(bitmap), TASK_SET);
}
