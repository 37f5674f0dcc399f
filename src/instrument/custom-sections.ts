// What becomes of custom sections. Most are copied. Those that speak of code offsets would lie afterwards: they are
// translated where their format is simple, and dropped with a warning where it is not.

import { ByteWriter } from './byte-writer.ts';
import { Cursor } from './cursor.ts';
import type { OffsetMap } from './offset-map.ts';
import type { ModuleInfo, Section } from './reader.ts';

const STALE = new Set(['sourceMappingURL', 'external_debug_info', '.gnu_debuglink']);
const STALE_PREFIXES = ['.debug_', 'reloc.'];
const METADATA_PREFIX = 'metadata.code.';

const isStale = (name: string): boolean => STALE.has(name) || STALE_PREFIXES.some((prefix) => name.startsWith(prefix));

/// Whether sections of this name are copied as they are.
export const isKept = (name: string): boolean => !isStale(name) && !name.startsWith(METADATA_PREFIX);

/// Copied as it is, left out, or replaced by these contents (with its name).
export type CustomFate = 'copy' | 'drop' | Uint8Array;

/// Decides on one custom section; says in `warnings` what was lost. `map` translates offsets inside the code section.
export function custom(module: ModuleInfo, section: Section, map: OffsetMap, warnings: string[]): CustomFate {
  const name = section.name!;
  if (isStale(name)) {
    warnings.push(`custom section "${name}" dropped: its code offsets no longer hold`);
    return 'drop';
  }
  if (!name.startsWith(METADATA_PREFIX)) return 'copy';
  const translated = translateMetadata(module, section, map);
  if (translated === undefined) {
    warnings.push(
      `custom section "${name}" dropped: its contents are not understood and its code offsets no longer hold`,
    );
    return 'drop';
  }
  return translated;
}

// vec (function index, vec (offset in the body, vec byte)). Offset 0 speaks of the function as a whole.
function translateMetadata(module: ModuleInfo, section: Section, map: OffsetMap): Uint8Array | undefined {
  const cursor = new Cursor(module.bytes, section.start, section.end);
  const out = new ByteWriter(section.end - section.header);
  out.name(section.name!);
  try {
    const functions = cursor.count(2, 'functions');
    out.u32(functions);
    for (let i = 0; i < functions; i++) {
      const index = cursor.u32('a function index');
      const defined = index - module.importedFunctions;
      const body = module.bodyOffsets[defined];
      if (body === undefined) return undefined;
      const hints = cursor.count(2, 'hints');
      out.u32(index);
      out.u32(hints);
      for (let k = 0; k < hints; k++) {
        const offset = cursor.u32('an offset');
        if (offset >= module.bodySizes[defined]!) return undefined;
        out.u32(offset === 0 ? 0 : map.toInstrumented(body + offset) - map.toInstrumented(body));
        const size = cursor.count(1, 'bytes');
        out.u32(size);
        out.copy(module.bytes, cursor.pos, cursor.pos + size);
        cursor.pos += size;
      }
    }
  } catch {
    return undefined;
  }
  return cursor.pos === section.end ? out.view() : undefined;
}
