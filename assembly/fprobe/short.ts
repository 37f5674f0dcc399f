// The short way (../short.ts) for a function that one probe watches and nobody else: nothing has to be searched for, and
// handlers are called without a word on behalf of other users.
//
//   base+0 ret | func | retp | site, BITMAP | header | data words | DATA <- top
//
// A site says which probe is its only one (SITE_PROBE). Whatever else there is (a flag, a handler that reads the host's
// clock, a user besides, no room) goes another way, with nothing changed yet.

import { clock_is_mono, clock_mono, counter, counter_set } from '../clock';
import { above, anyTimed, fgraph_ask, fgraph_enter_users, GONE, settle, siteUsers } from '../fgraph';
import { gops_generation } from '../gops';
import {
  FGRAPH_DATA_INDEX_SHIFT, FGRAPH_DATA_SHIFT, FGRAPH_INDEX_SHIFT, FGRAPH_SITE_SHIFT, FGRAPH_TYPE_DATA,
  FGRAPH_TYPE_SHIFT, FRAME_BITMAP, FRAME_BITMAP_EMPTY, FRAME_DATA, FRAME_FUNC, FRAME_RET, FRAME_WORDS, FREGS_PARENT,
  FREGS_WORDS, LOCK_SERIAL, RECURSION_CALLBACK, RECURSION_LIST, SITE_COUNT_BITS, SITE_COUNT_MASK, SITE_FLAGS, SITE_HAS_OPS,
  SITE_IP, SITE_NODE, SITE_PROBE, SITE_USERS, TASK_BASE, TASK_FREGS, TASK_LIMIT, TASK_RECURSION, TASK_SHORT, TASK_TOP, WORD_SHIFT,
  WORD_SIZE,
} from '../layout';
import {
  ABI_FPROBE_GRAPH, FPROBE_ENTRY, FPROBE_EXIT, FPROBE_FLAGS, FPROBE_HEADER, FPROBE_HEADER_SIZE_SHIFT, FPROBE_HITS,
  FPROBE_KIND, FPROBE_KIND_HOST,
} from './layout';
import { recursion_first, recursion_undisturbed, recursion_unlock, SHORT_OPEN } from '../recursion';
import { frame_pop } from '../shadow-stack';
import { SHORT_DONE, short_pop, short_push } from '../short';
import { builtin_begin, builtin_calls_out, builtin_entry, builtin_exit } from './builtin';
import { Client } from './callback';
import { fprobe_find } from './probe';
import { sync } from '../task';

const RECORD_DATA: u32 = FRAME_DATA + WORD_SIZE;

function hit(probe: u32): void {
  store<u64>(probe, load<u64>(probe, FPROBE_HITS) + 1, FPROBE_HITS);
}

function isBuiltin(probe: u32): bool {
  return load<u32>(probe, FPROBE_KIND) > <u32>FPROBE_KIND_HOST;
}

/// The same for a probe without an exit handler: no frame.
function plain(task: u32, site: u32, about: u32, probe: u32, builtin: bool, count: u32): u32 {
  const flags = load<u32>(about, SITE_FLAGS);
  if ((flags & SITE_COUNT_MASK) - (flags >> SITE_COUNT_BITS & 1) != 1) return 0; // plain ops, the manager left out
  if (!load<u32>(probe, FPROBE_ENTRY)) return SHORT_DONE;
  hit(probe);
  const fregs = task + TASK_FREGS;
  if (builtin) {
    builtin_entry(probe, load<u32>(about, SITE_NODE), fregs, count, 0, 0);
    return SHORT_DONE;
  }
  const top = load<u32>(task, TASK_TOP);
  const ip = load<u64>(about, SITE_IP);
  const parent = load<u64>(load<u32>(task, TASK_BASE), FRAME_FUNC);
  const lock = recursion_first(task, top - 1, RECURSION_LIST, ip, count);
  const serial = load<u32>(lock, LOCK_SERIAL);
  store<u64>(fregs, parent, FREGS_PARENT);
  Client.call(task, probe, FPROBE_ENTRY, site, ip, parent, 0, fregs, 0);
  if (recursion_undisturbed(task, serial)) store<u64>(task, SHORT_OPEN, TASK_SHORT);
  else if (settle(task, top, lock, serial)) {
    recursion_unlock(task, lock);
    sync(); // of the task that is current now
    const cookie = fgraph_enter_users(task, site, count, parent, load<u32>(task, TASK_BASE)); // who has come meanwhile
    if (cookie) return cookie;
  }
  return SHORT_DONE;
}

/// Inlined in short.ts, since one more call would be felt.
export class OnlyProbe {
  /// Enters `site`, which has an only probe, while the short way is open. Returns the cookie, SHORT_DONE, or 0 with nothing
  /// changed.
  @inline static enter(task: u32, site: u32, about: u32, count: u32): u32 {
    const probe = load<u32>(about, SITE_PROBE);
    if (load<u32>(probe, FPROBE_FLAGS)) return 0;
    const builtin = isBuiltin(probe);
    if (builtin && builtin_calls_out(probe)) return 0;
    const users = load<u32>(about, SITE_USERS);
    if (users == SITE_HAS_OPS) return plain(task, site, about, probe, builtin, count);
    if (users != load<u32>(0, ABI_FPROBE_GRAPH)) return 0;
    const header = load<u64>(probe, FPROBE_HEADER);
    const words = <u32>(header >> FPROBE_HEADER_SIZE_SHIFT);
    const base = load<u32>(task, TASK_TOP);
    const end = base + RECORD_DATA + (words << WORD_SHIFT);
    if (end + WORD_SIZE >= load<u32>(task, TASK_LIMIT)) return 0;

    const index = ctz<u32>(users);
    const number = counter() + 1;
    store<u64>(base, header, FRAME_DATA);
    const kind: u32 = FGRAPH_TYPE_DATA << FGRAPH_TYPE_SHIFT;
    store<u64>(end, index << FGRAPH_DATA_INDEX_SHIFT | words << FGRAPH_DATA_SHIFT | kind | words + FRAME_WORDS + 2);
    const bitmap = users << FGRAPH_INDEX_SHIFT | FRAME_BITMAP_EMPTY;
    short_push(task, about, base, <u64>site << FGRAPH_SITE_SHIFT | <u64>bitmap, end + WORD_SIZE);
    hit(probe);
    const data = base + RECORD_DATA;
    if (builtin) {
      builtin_begin(data, load<u32>(about, SITE_NODE), number, words);
    } else if (load<u32>(probe, FPROBE_ENTRY)) {
      const generation = gops_generation(index);
      const ip = load<u64>(base, FRAME_FUNC);
      const ret = load<u64>(base, FRAME_RET);
      const lock = recursion_first(task, base, RECURSION_CALLBACK, ip, count);
      const serial = load<u32>(lock, LOCK_SERIAL);
      const result = Client.call(task, probe, FPROBE_ENTRY, site, ip, ret, base, task + TASK_FREGS, words ? data : 0);
      if (recursion_undisturbed(task, serial)) {
        store<u64>(task, SHORT_OPEN, TASK_SHORT);
        if (result) {
          frame_pop(task, base);
          return SHORT_DONE;
        }
      } else {
        const mono = clock_is_mono();
        const time = mono && anyTimed(siteUsers(site)) ? clock_mono() : 0;
        if (!settle(task, base + 1, lock, serial)) return SHORT_DONE;
        if (result || gops_generation(index) != generation) {
          store<u32>(task, base + FRAME_DATA, TASK_TOP);
          store<u32>(base, load<u32>(base, FRAME_BITMAP) & ~(users << FGRAPH_INDEX_SHIFT), FRAME_BITMAP);
        } else {
          counter_set(counter() + 1);
        }
        // Who has come meanwhile is asked as on the general path.
        const accepted = fgraph_ask(task, lock, serial, site, base, above(siteUsers(site), index), mono, time);
        if (accepted == GONE) return SHORT_DONE;
        recursion_unlock(task, lock);
        if (accepted) return base;
        frame_pop(task, base);
        return SHORT_DONE;
      }
    }
    counter_set(number);
    return base;
  }

  /// Leaves the newest frame, `cookie`, while the short way is open, with `count` words of results, the first of which is
  /// `value`. False: nothing changed.
  @inline static leave(task: u32, cookie: u32, count: u32, value: u64): bool {
    const word = load<u64>(cookie, FRAME_BITMAP); // and FRAME_SITE
    if (<u32>word != (load<u32>(0, ABI_FPROBE_GRAPH) << FGRAPH_INDEX_SHIFT | FRAME_BITMAP_EMPTY)) return false;
    const header = load<u64>(cookie, FRAME_DATA);
    const words = <u32>(header >> FPROBE_HEADER_SIZE_SHIFT);
    const data = cookie + RECORD_DATA;
    // A block with more than one record, or less, is longer or shorter than this one.
    if (data + (words + 1 << WORD_SHIFT) != load<u32>(task, TASK_TOP)) return false;
    const probe = fprobe_find(header);
    if (!probe || load<u32>(probe, FPROBE_FLAGS)) return false;
    const builtin = isBuiltin(probe);
    if (builtin && builtin_calls_out(probe)) return false;

    const number = counter() + 1;
    counter_set(number);
    if (builtin) {
      builtin_exit(probe, data, count, value, number);
    } else {
      const ip = load<u64>(cookie, FRAME_FUNC);
      const ret = load<u64>(cookie, FRAME_RET);
      const fregs = task + TASK_FREGS;
      store<u32>(cookie, FRAME_BITMAP_EMPTY, FRAME_BITMAP);
      const lock = recursion_first(task, cookie, RECURSION_CALLBACK, ip, count);
      const serial = load<u32>(lock, LOCK_SERIAL);
      if (count) store<u64>(fregs, value, FREGS_WORDS);
      const site = <u32>(word >> FGRAPH_SITE_SHIFT);
      Client.call(task, probe, FPROBE_EXIT, site, ip, ret, cookie, fregs, words ? data : 0);
      if (recursion_undisturbed(task, serial)) {
        store<u64>(task, SHORT_OPEN, TASK_SHORT);
      } else {
        if (!settle(task, cookie + 1, lock, serial)) return true;
        recursion_unlock(task, lock);
        if (!clock_is_mono() && counter() != number) counter_set(counter() + 1); // the exit comes after what handlers did
      }
    }
    short_pop(task, cookie);
    return true;
  }
}
