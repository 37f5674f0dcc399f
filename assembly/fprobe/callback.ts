// What runs at entry and exit of a function that probes watch (spec/fprobe.md §9).
//
// All exit probes of an activation share one block on the shadow stack, reserved before the first handler runs. A
// record per probe whose entry handler returned 0, in the order in which they ran, newest registration first:
//
//   | header | data words | header | header | data words | 0 | not used |
//
// A probe that was cancelled leaves no record, and the next one takes its place. If the block does not fit nobody runs.
//
// A handler may do anything, also register and unregister probes, this one too. What is read from a probe after a
// handler ran is therefore read again, or was read before for good reason: a header names the generation that the entry
// handler was called for.

import { clock_mono } from '../clock';
import { settle } from '../fgraph';
import { hostCall } from '../host';
import {
  FGRAPH_MAX_DATA_SIZE, FPROBE_CALL_DATA, FPROBE_CALL_PRIVATE, FPROBE_CALL_RET, FRAME_FUNC, FRAME_RET, FREGS_COUNT,
  FREGS_WORDS, LOCK_INDEX, LOCK_INDEX_NONE, LOCK_SHARED, SITE_IP, TASK_CLOCK, TASK_FPROBE, TASK_TOP, WORD_SHIFT,
  WORD_SIZE,
} from '../layout';
import {
  FPROBE_ENTRY, FPROBE_EXIT, FPROBE_FLAGS, FPROBE_FL_DISABLED, FPROBE_FL_KPROBE_SHARED, FPROBE_FL_SHARED_EXIT,
  FPROBE_HEADER, FPROBE_HEADER_SIZE_SHIFT, FPROBE_HEADER_WORDS, FPROBE_HITS, FPROBE_KIND, FPROBE_KIND_HOST,
  FPROBE_KIND_WASM, FPROBE_NMISSED, FPROBE_OVERRUN, FPROBE_PRIVATE, FPROBE_RECURSION, FPROBE_WORDS, LOCATION_EXITS,
  LOCATION_PLAINS, LOCATION_WORDS, NODE_NEXT, NODE_OWNER,
} from './layout';
import { lock_shared, recursion_mine } from '../recursion';
import { data_find, data_reserve, data_size } from '../shadow-stack';
import { site_address } from '../site';
import { builtin_calls_out, builtin_entry, builtin_exit } from './builtin';
import { location_of } from './location';
import { fprobe_find } from './probe';

const BLOCK_WORDS_MAX: u32 = FGRAPH_MAX_DATA_SIZE / WORD_SIZE;

function isDisabled(probe: u32): bool {
  return <bool>(load<u32>(probe, FPROBE_FLAGS) & FPROBE_FL_DISABLED);
}

function add32(probe: u32, at: u32): void {
  store<u32>(probe + at, load<u32>(probe + at) + 1);
}

function add64(probe: u32, at: u32): void {
  store<u64>(probe + at, load<u64>(probe + at) + 1);
}

/// The probe of a node, 0 when the node was removed.
function probeOf(node: u32): u32 {
  return load<u32>(node, NODE_OWNER);
}

/// Inlined where a function has no other probe.
export class Client {
  /// Calls the handler that stands at `which` of the probe's record.
  @inline static call(
    task: u32, probe: u32, which: u32, site: u32, ip: u64, ret: u64, base: u32, fregs: u32, data: u32
  ): i32 {
    const handler = load<u32>(probe + which);
    const private_ = load<u32>(probe, FPROBE_PRIVATE);
    return load<u32>(probe, FPROBE_KIND) == FPROBE_KIND_WASM
      ? call_indirect<i32>(handler, private_, ip, ret, fregs, data)
      : callHost(task, handler, private_, site, ret, base, fregs, data);
  }
}

function callHost(
  task: u32, handler: u32, private_: u32, site: u32, ret: u64, base: u32, fregs: u32, data: u32
): i32 {
  store<u64>(task, ret, TASK_FPROBE + FPROBE_CALL_RET);
  store<u32>(task, data, TASK_FPROBE + FPROBE_CALL_DATA);
  store<u32>(task, private_, TASK_FPROBE + FPROBE_CALL_PRIVATE);
  return hostCall(handler, task + TASK_FPROBE, site, base, fregs);
}

/// The same, called.
function callOut(
  task: u32, probe: u32, which: u32, site: u32, ip: u64, ret: u64, base: u32, fregs: u32, data: u32
): i32 {
  return Client.call(task, probe, which, site, ip, ret, base, fregs, data);
}

/// How many words of arguments or results there are. The registers of a machine are none.
function words(task: u32, fregs: u32): u32 {
  return load<u32>(task, TASK_CLOCK) ? 0 : load<u32>(fregs, FREGS_COUNT);
}

/// Calls a probe's entry handler. Returns what it said; nonzero too when the lock is gone afterwards.
function enterProbe(
  task: u32, lock: u32, serial: u32, probe: u32, node: u32, site: u32, base: u32, from: u32, fregs: u32, ip: u64,
  ret: u64, data: u32, number: u64
): i32 {
  if (load<u32>(probe, FPROBE_KIND) > <u32>FPROBE_KIND_HOST) {
    add64(probe, FPROBE_HITS);
    if (!builtin_calls_out(probe)) {
      builtin_entry(probe, node, fregs, words(task, fregs), data, number);
      return 0;
    }
    const time = clock_mono();
    if (!settle(task, from, lock, serial)) return 1;
    builtin_entry(probe, node, fregs, words(task, fregs), data, time);
    return 0;
  }
  if (!load<u32>(probe, FPROBE_ENTRY)) {
    add64(probe, FPROBE_HITS);
    return 0;
  }
  const flags = load<u32>(probe, FPROBE_FLAGS);
  const isShared = <bool>(flags & FPROBE_FL_KPROBE_SHARED);
  if (isShared) {
    if (lock_shared(task)) {
      add64(probe, FPROBE_NMISSED);
      return flags & FPROBE_FL_SHARED_EXIT ? 0 : 1;
    }
    store<u8>(lock, 1, LOCK_SHARED);
  }
  add64(probe, FPROBE_HITS);
  const result = callOut(task, probe, FPROBE_ENTRY, site, ip, ret, base, fregs, data);
  if (!settle(task, from, lock, serial)) return 1;
  if (isShared) store<u8>(lock, 0, LOCK_SHARED);
  return result;
}

/// The graph user's entry callback, for the frame at `base`, under `lock`. True: somebody wants the exit.
export function fprobe_entry(
  task: u32, lock: u32, serial: u32, index: u32, site: u32, base: u32, fregs: u32, number: u64
): bool {
  const location = location_of(site);
  if (!location) return false;
  store<u32>(lock, LOCK_INDEX_NONE, LOCK_INDEX); // the block is all that there is to reserve
  let node = load<u32>(location, LOCATION_EXITS);
  const need = load<u32>(location, LOCATION_WORDS);
  const block = need <= BLOCK_WORDS_MAX ? data_reserve(task, index, need) : 0;
  if (!block) {
    count(node, FPROBE_NMISSED);
    return false;
  }
  const ip = load<u64>(base, FRAME_FUNC);
  const ret = load<u64>(base, FRAME_RET);
  const end = block + (need << WORD_SHIFT);
  let at = block;
  while (node) {
    const probe = probeOf(node);
    if (probe && !isDisabled(probe)) {
      const words = load<u32>(probe, FPROBE_WORDS);
      const next = at + (FPROBE_HEADER_WORDS + words << WORD_SHIFT);
      if (next > end) {
        add64(probe, FPROBE_NMISSED);
      } else {
        const header = load<u64>(probe, FPROBE_HEADER); // before the handler, which may register it anew
        const data = words ? at + FPROBE_HEADER_WORDS * WORD_SIZE : 0;
        const result = enterProbe(task, lock, serial, probe, node, site, base, base + 1, fregs, ip, ret, data, number);
        if (!recursion_mine(lock, serial)) return false;
        if (!result) {
          store<u64>(at, header);
          at = next;
        }
      }
    }
    node = load<u32>(node, NODE_NEXT);
  }
  if (at == block) return false;
  if (at < end) store<u64>(at, 0); // what lies there is whatever lay there before
  return true;
}

function exitBuiltin(task: u32, probe: u32, fregs: u32, data: u32, time: u64): void {
  builtin_exit(probe, data, words(task, fregs), load<u64>(fregs, FREGS_WORDS), time);
}

/// The graph user's return callback. Who is called is what the block says, if it is still registered.
export function fprobe_return(
  task: u32, lock: u32, serial: u32, index: u32, site: u32, base: u32, fregs: u32, number: u64
): void {
  const end = data_find(load<u32>(task, TASK_TOP), index);
  if (!end) return;
  const ip = load<u64>(base, FRAME_FUNC);
  const ret = load<u64>(base, FRAME_RET);
  let at = end - data_size(end);
  while (at < end) {
    const header = load<u64>(at);
    const data = at + FPROBE_HEADER_WORDS * WORD_SIZE;
    const words = <u32>(header >> FPROBE_HEADER_SIZE_SHIFT);
    at = data + (words << WORD_SHIFT);
    if (!header || at > end) return;
    const probe = fprobe_find(header);
    if (!probe || isDisabled(probe)) continue;
    if (load<u32>(probe, FPROBE_KIND) <= <u32>FPROBE_KIND_HOST) {
      callOut(task, probe, FPROBE_EXIT, site, ip, ret, base, fregs, words ? data : 0);
    } else if (builtin_calls_out(probe)) {
      const time = clock_mono();
      // The clock is the host's: it may have unregistered the probe.
      if (fprobe_find(header)) exitBuiltin(task, probe, fregs, data, time);
    } else {
      exitBuiltin(task, probe, fregs, data, number);
      continue;
    }
    if (!settle(task, base + 1, lock, serial)) return;
  }
}

/// The plain ops' callback: the probes without an exit handler. Their entry handler's result is nobody's concern, and
/// they get no data. `from`: what the stack is put back to after each of them.
export function fprobe_plain(
  task: u32, lock: u32, serial: u32, site: u32, from: u32, fregs: u32, parent: u64
): void {
  const location = location_of(site);
  if (!location) return;
  let node = load<u32>(location, LOCATION_PLAINS);
  while (node) {
    const probe = probeOf(node);
    if (probe && !isDisabled(probe) && load<u32>(probe, FPROBE_ENTRY)) {
      enterProbe(task, lock, serial, probe, node, site, 0, from, fregs, load<u64>(site_address(site), SITE_IP), parent, 0, 0);
      if (!recursion_mine(lock, serial)) return;
    }
    node = load<u32>(node, NODE_NEXT);
  }
}

// ---- those that were not called

/// Adds one to the counter at `which` of every enabled probe of a list.
function count(node: u32, which: u32): void {
  while (node) {
    const probe = probeOf(node);
    if (probe && !isDisabled(probe)) {
      if (which == FPROBE_NMISSED) add64(probe, which);
      else add32(probe, which);
    }
    node = load<u32>(node, NODE_NEXT);
  }
}

/// An entry of `site` was refused before any probe was asked: FPROBE_RECURSION or FPROBE_OVERRUN, for the exit probes
/// or the others. Not a miss in the kernel's sense, which never learns of it (§13).
export function fprobe_refused(site: u32, isExit: bool, which: u32): void {
  const location = location_of(site);
  if (location) count(load<u32>(location + (isExit ? LOCATION_EXITS : LOCATION_PLAINS)), which);
}

/// The same for the exit of the newest frame.
export function fprobe_return_refused(task: u32, index: u32): void {
  const end = data_find(load<u32>(task, TASK_TOP), index);
  if (!end) return;
  for (let at = end - data_size(end); at < end; ) {
    const header = load<u64>(at);
    if (!header) return;
    const probe = fprobe_find(header);
    if (probe && !isDisabled(probe)) add32(probe, FPROBE_RECURSION);
    at += FPROBE_HEADER_WORDS + <u32>(header >> FPROBE_HEADER_SIZE_SHIFT) << WORD_SHIFT;
  }
}
