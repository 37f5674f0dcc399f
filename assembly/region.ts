// Where tables, stacks and buffers come from. Control path only: nothing that runs at a function's entry or exit
// allocates.
//
//   0 ......... ABI_END ........................ ABI_HEAP ............ end of memory
//    | ABI page | regions, used or on a free list | never used yet      |
//
// A region is a power of two of bytes, at least 16, aligned to its size up to STEP. Freed regions wait on a list per size
// for the next request of that size; they are neither split nor joined, so what a size once needed stays with it. All
// big requests are powers of two already: nothing is wasted on them.
//
// Large regions do not follow each other without a gap, which becomes small regions. Ring buffers are written in step: if
// the distance from one to the next were a power of two, all of them would compete for the same set of a cache.

import { ABI_END, ABI_FREE, ABI_HEAP, PAGE_SIZE } from './layout';

const REGION_MIN: u32 = 16;
const REGION_MAX: u32 = 1 << 30;
const REGION_LARGE: u32 = 4096;
const STEP: u32 = 128; // two cache lines, as some processors fetch them

function sizeClass(size: u32): u32 {
  return 32 - clz<u32>((size < REGION_MIN ? REGION_MIN : size) - 1);
}

function freeList(sizeClass: u32): u32 {
  return ABI_FREE + (sizeClass << 2);
}

export function region_start(): void {
  const heap = <u32>__heap_base;
  store<u32>(0, ((heap < <u32>ABI_END ? <u32>ABI_END : heap) + REGION_MIN - 1) & ~(REGION_MIN - 1), ABI_HEAP);
}

/// A region of at least `size` zeroed bytes, or 0 when memory cannot grow that far.
export function region_alloc(size: u32): u32 {
  if (size > REGION_MAX) return 0;
  const class_ = sizeClass(size);
  const bytes: u32 = 1 << class_;
  const list = freeList(class_);
  const free = load<u32>(list);
  if (free) {
    store<u32>(list, load<u32>(free));
    memory.fill(free, 0, bytes);
    return free;
  }
  const heap = load<u32>(0, ABI_HEAP);
  const align = (bytes < STEP ? bytes : STEP) - 1;
  const start = (<u64>heap + align + (bytes < REGION_LARGE ? 0 : 1)) & ~(<u64>align);
  const end = start + bytes;
  const pages = <i32>((end + (PAGE_SIZE - 1)) / PAGE_SIZE) - memory.size();
  if (pages > 0 && memory.grow(pages) < 0) return 0;
  // The gap, of STEP bytes at most, becomes regions of its own, each as large as its address allows.
  let at = heap;
  while (at < <u32>start) {
    const piece: u32 = 1 << ctz<u32>(at | STEP);
    region_free(at, piece);
    at += piece;
  }
  store<u32>(0, <u32>end, ABI_HEAP);
  return <u32>start;
}

/// Gives back what `region_alloc(size)` returned.
export function region_free(address: u32, size: u32): void {
  const list = freeList(sizeClass(size));
  store<u32>(address, load<u32>(list));
  store<u32>(list, address);
}
