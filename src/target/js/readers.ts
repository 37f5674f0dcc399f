// Who wants arguments and results as words. Making them costs more than all else in a call, and handlers in JavaScript see the
// values themselves; so words are made for the others alone.

import * as fprobeLayout from '../../../assembly/fprobe/layout.ts';
import * as layout from '../../../assembly/layout.ts';
import type { Memory } from '../../memory.ts';

/// The bits of SITE_USERS whose owners read words. An owner may be known only as one of several: then all of them do.
export function wordReaders(memory: Memory): number {
  let readers = memory.load32(layout.ABI_CALLING_MASK);
  const probes = probesRead(memory);
  for (let k = 0; k < layout.FGRAPH_ARRAY_SIZE; k++) {
    const kind = memory.load32(layout.ABI_GOPS + k * layout.GOPS_SIZE + layout.GOPS_KIND);
    if (kind === layout.GOPS_HOST || (kind === layout.GOPS_FPROBE && !probes)) readers &= ~(1 << k);
  }
  return opsRead(memory, probes) ? readers : readers & ~layout.SITE_HAS_OPS;
}

/// Whether any of the plain ops does.
function opsRead(memory: Memory, probes: boolean): boolean {
  const table = memory.load32(layout.ABI_OPS);
  for (let slot = memory.load32(layout.ABI_OPS_CAPACITY); slot-- > 0; ) {
    const kind = memory.load32(table + slot * layout.OPS_SIZE + layout.OPS_KIND);
    if (kind === layout.OPS_WASM || (kind === layout.OPS_FPROBE && probes)) return true;
    const flags = memory.load32(table + slot * layout.OPS_SIZE + layout.OPS_FLAGS);
    if (kind === layout.OPS_FUNCTION && flags & layout.FUNC_ARGUMENTS) return true;
  }
  return false;
}

/// Whether any of the probes does.
function probesRead(memory: Memory): boolean {
  const chunks = memory.load32(fprobeLayout.ABI_FPROBE_CHUNK_COUNT);
  for (let chunk = 0; chunk < chunks; chunk++) {
    let probe = memory.load32(fprobeLayout.ABI_FPROBE_CHUNKS + chunk * 4);
    const end = probe + (fprobeLayout.FPROBE_CHUNK_MIN << chunk) * fprobeLayout.FPROBE_SIZE;
    for (; probe < end; probe += fprobeLayout.FPROBE_SIZE) if (probeReads(memory, probe)) return true;
  }
  return false;
}

function probeReads(memory: Memory, probe: number): boolean {
  if (memory.load32(probe + fprobeLayout.FPROBE_NODES) === 0) return false; // not registered
  const kind = memory.load32(probe + fprobeLayout.FPROBE_KIND);
  if (kind === fprobeLayout.FPROBE_KIND_NONE || kind === fprobeLayout.FPROBE_KIND_HOST) return false;
  if (kind === fprobeLayout.FPROBE_KIND_WASM) return true;
  const source = memory.load32(probe + fprobeLayout.FPROBE_SOURCE) & fprobeLayout.FPROBE_SOURCE_MASK;
  return source === fprobeLayout.FPROBE_SOURCE_ARGUMENT || source === fprobeLayout.FPROBE_SOURCE_RESULT;
}
