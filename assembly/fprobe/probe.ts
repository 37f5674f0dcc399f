// Probes: one record each, and who is registered (spec/fprobe.md §6.1, §9.3).
//
// The kernel keeps the address of a probe on the shadow stack and looks it up at the exit; an address that was used
// again is taken for the old probe. Here a slot number and the slot's generation stand there: unregistering counts the
// generation up, so that what was written before is nobody's from then on. A record never moves and its memory is never
// used for anything else, so the slot number is where it lies, and looking it up is comparing one word. A handle that a
// client holds is that word without the size.
//
//   header   63..60 size in words   59..28 generation   27..0 address / 128

import { ABI_HEAP } from '../layout';
import {
  ABI_FPROBE_CHUNKS, ABI_FPROBE_CHUNK_COUNT, ABI_FPROBE_FREE, FPROBE_CHUNKS_MAX, FPROBE_CHUNK_MIN, FPROBE_GENERATION,
  FPROBE_HEADER, FPROBE_HEADER_SIZE_SHIFT, FPROBE_HEADER_SLOT_BITS, FPROBE_HEADER_SLOT_MASK, FPROBE_NEXT, FPROBE_SHIFT,
  FPROBE_SIZE, FPROBE_WORDS,
} from './layout';
import { region_alloc } from '../region';

const HANDLE_MASK: u64 = (1 << FPROBE_HEADER_SIZE_SHIFT) - 1;

/// Writes the header of a probe that is registered from now on.
export function fprobe_publish(probe: u32): void {
  const handle = <u64>load<u32>(probe, FPROBE_GENERATION) << FPROBE_HEADER_SLOT_BITS | <u64>(probe >> FPROBE_SHIFT);
  store<u64>(probe, <u64>load<u32>(probe, FPROBE_WORDS) << FPROBE_HEADER_SIZE_SHIFT | handle, FPROBE_HEADER);
}

export function fprobe_handle(probe: u32): u64 {
  return load<u64>(probe, FPROBE_HEADER) & HANDLE_MASK;
}

/// Where the record lies that a header or a handle names: memory that can be read, 0 for what is neither.
function recordOf(word: u64): u32 {
  const at = (<u32>word & FPROBE_HEADER_SLOT_MASK) << FPROBE_SHIFT;
  return at < load<u32>(0, ABI_HEAP) ? at : 0;
}

/// The probe that a header on the shadow stack names; 0 = not registered any more.
export function fprobe_find(header: u64): u32 {
  const probe = recordOf(header);
  return load<u64>(probe, FPROBE_HEADER) == header ? probe : 0;
}

/// The probe that a handle names; 0 = not registered, or no handle at all.
export function fprobe_of(handle: u64): u32 {
  const probe = recordOf(handle);
  return fprobe_handle(probe) == handle ? probe : 0;
}

/// Takes a record; 0 = no memory.
export function probe_take(): u32 {
  let probe = load<u32>(0, ABI_FPROBE_FREE);
  if (!probe) {
    const chunks = load<u32>(0, ABI_FPROBE_CHUNK_COUNT);
    if (chunks == FPROBE_CHUNKS_MAX) return 0;
    const bytes: u32 = FPROBE_CHUNK_MIN << (chunks + FPROBE_SHIFT);
    const chunk = region_alloc(bytes);
    if (!chunk) return 0;
    store<u32>(chunks << 2, chunk, ABI_FPROBE_CHUNKS);
    store<u32>(0, chunks + 1, ABI_FPROBE_CHUNK_COUNT);
    for (probe = chunk + bytes; probe > chunk; ) {
      probe -= FPROBE_SIZE;
      probe_give(probe);
    }
  }
  store<u32>(0, load<u32>(probe, FPROBE_NEXT), ABI_FPROBE_FREE);
  return probe;
}

/// Gives a record back. What a registration left in it goes, its generation stays.
export function probe_give(probe: u32): void {
  const generation = load<u32>(probe, FPROBE_GENERATION);
  memory.fill(probe, 0, FPROBE_SIZE);
  store<u32>(probe, generation, FPROBE_GENERATION);
  store<u32>(probe, load<u32>(0, ABI_FPROBE_FREE), FPROBE_NEXT);
  store<u32>(0, probe, ABI_FPROBE_FREE);
}
