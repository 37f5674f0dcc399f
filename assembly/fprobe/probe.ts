// Probes: one slot each, and who is registered (spec/fprobe.md §6.1, §9.3).
//
// The kernel keeps the address of a probe on the shadow stack and looks it up at the exit; an address that was used
// again is taken for the old probe. Here it is a slot and the generation that the slot had: unregistering counts the
// generation up, so that what was written before is nobody's from then on. A handle that a client holds is that same
// word.
//
//   handle   59..28 generation   27..0 slot + 1               header = size in words << 60 | handle

import {
  ABI_FPROBES, ABI_FPROBE_CAPACITY, ABI_FPROBE_COUNT, ABI_FPROBE_FREE, ENOMEM, FPROBE_GENERATION,
  FPROBE_HEADER_SLOT_BITS, FPROBE_HEADER_SLOT_MASK, FPROBE_NEXT, FPROBE_NODES, FPROBE_SHIFT, FPROBE_SIZE,
} from '../layout';
import { region_alloc, region_free } from '../region';

const SLOTS_MIN: u32 = 8;

export function fprobe_address(slot: u32): u32 {
  return load<u32>(0, ABI_FPROBES) + (slot << FPROBE_SHIFT);
}

export function makeHandle(slot: u32, generation: u32): u64 {
  return <u64>generation << FPROBE_HEADER_SLOT_BITS | <u64>(slot + 1);
}

/// The record of the probe that a handle, or a header on the shadow stack, names; 0 = not registered any more.
export function fprobe_find(handle: u64): u32 {
  const slot = (<u32>handle & FPROBE_HEADER_SLOT_MASK) - 1;
  if (slot >= load<u32>(0, ABI_FPROBE_COUNT)) return 0;
  const probe = fprobe_address(slot);
  return load<u32>(probe, FPROBE_GENERATION) == <u32>(handle >> FPROBE_HEADER_SLOT_BITS)
    && load<u32>(probe, FPROBE_NODES) ? probe : 0;
}

/// Takes a slot; -ENOMEM.
export function slot_take(): i32 {
  const free = load<u32>(0, ABI_FPROBE_FREE);
  if (free) {
    store<u32>(0, load<u32>(fprobe_address(free - 1), FPROBE_NEXT), ABI_FPROBE_FREE);
    return free - 1;
  }
  const count = load<u32>(0, ABI_FPROBE_COUNT);
  const capacity = load<u32>(0, ABI_FPROBE_CAPACITY);
  if (count == capacity) {
    const larger = capacity ? capacity << 1 : SLOTS_MIN;
    const table = region_alloc(larger << FPROBE_SHIFT);
    if (!table) return -ENOMEM;
    if (capacity) {
      const old = load<u32>(0, ABI_FPROBES);
      memory.copy(table, old, capacity << FPROBE_SHIFT);
      region_free(old, capacity << FPROBE_SHIFT);
    }
    store<u32>(0, table, ABI_FPROBES);
    store<u32>(0, larger, ABI_FPROBE_CAPACITY);
  }
  store<u32>(0, count + 1, ABI_FPROBE_COUNT);
  return count;
}

/// Gives a slot back. What a registration left in it goes, its generation stays.
export function slot_give(slot: u32): void {
  const probe = fprobe_address(slot);
  const generation = load<u32>(probe, FPROBE_GENERATION);
  memory.fill(probe, 0, FPROBE_SIZE);
  store<u32>(probe, generation, FPROBE_GENERATION);
  store<u32>(probe, load<u32>(0, ABI_FPROBE_FREE), FPROBE_NEXT);
  store<u32>(0, slot + 1, ABI_FPROBE_FREE);
}
