// Blocks: memory that a host asks for, to write into it what an export or a machine reads.
//
//   | next u32 | bytes u32 | - u64 | the host's bytes ... |
//                                  ^ what the host knows, and ABI_BLOCKS or the next of another one

import { ABI_BLOCKS, BLOCK_BYTES, BLOCK_HEADER_SIZE, BLOCK_NEXT, EINVAL } from './layout';
import { region_alloc, region_free } from './region';
import { begin } from './task';

/// `bytes` zeroed bytes. Their address, 0: no memory.
export function block_alloc(bytes: u32): u32 {
  if (bytes > 1 << 30) return 0;
  const region = region_alloc(bytes + BLOCK_HEADER_SIZE);
  if (!region) return 0;
  store<u32>(region, load<u32>(0, ABI_BLOCKS), BLOCK_NEXT);
  store<u32>(region, bytes, BLOCK_BYTES);
  store<u32>(0, region + BLOCK_HEADER_SIZE, ABI_BLOCKS);
  return region + BLOCK_HEADER_SIZE;
}

/// Where the link to the block at `address` stands, 0: there is none.
function linkTo(address: u32): u32 {
  let link: u32 = ABI_BLOCKS;
  while (load<u32>(link) && load<u32>(link) != address) link = load<u32>(link) - BLOCK_HEADER_SIZE + BLOCK_NEXT;
  return load<u32>(link) ? link : 0;
}

/// Whether there is a block at `address` of `bytes` bytes or more.
export function block_holds(address: u32, bytes: u32): bool {
  return <bool>linkTo(address) && load<u32>(address - BLOCK_HEADER_SIZE, BLOCK_BYTES) >= bytes;
}

/// Gives a block back. 0, or -EINVAL: there is no such block.
export function block_free(address: u32): i32 {
  begin();
  const link = linkTo(address);
  if (!link) return -EINVAL;
  const region = address - BLOCK_HEADER_SIZE;
  store<u32>(link, load<u32>(region, BLOCK_NEXT));
  region_free(region, load<u32>(region, BLOCK_BYTES) + BLOCK_HEADER_SIZE);
  return 0;
}
