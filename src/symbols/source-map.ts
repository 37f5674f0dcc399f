// Source maps of WebAssembly modules: line 1 of the "generated file" is the module, its columns are byte offsets in it.

import { decodedMappings, FlattenMap } from '@jridgewell/trace-mapping';
import type { SourceLocation } from './locations.ts';

/// One mapping: offset, source, line from 0, column; or the offset alone, where no source is known.
type Segment = readonly number[];

export class SourceMap {
  readonly #segments: readonly Segment[];
  readonly #sources: readonly (string | null)[];

  /// `json`: the text of a source map, indexed maps included. Throws SyntaxError or TypeError for what is none.
  constructor(json: string) {
    const text = json.startsWith(")]}'") ? json.slice(json.indexOf('\n')) : json;
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed !== 'object' || parsed === null) throw new TypeError('a source map is an object');
    const { version } = parsed as { version?: unknown };
    if (Number(version) !== 3) throw new TypeError(`version ${String(version)}, expected 3`);
    const map = new FlattenMap(parsed as ConstructorParameters<typeof FlattenMap>[0], null);
    this.#segments = (decodedMappings(map)[0] ?? []) as readonly Segment[];
    this.#sources = map.resolvedSources;
  }

  get size(): number {
    return this.#segments.length;
  }

  /// The first place that is mapped in the bytes `start` … `end`.
  find(start: number, end: number): SourceLocation | undefined {
    let low = 0;
    let high = this.#segments.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#segments[middle][0] < start) low = middle + 1;
      else high = middle;
    }
    for (; low < this.#segments.length && this.#segments[low][0] < end; low++) {
      const [, source, line] = this.#segments[low];
      const file = source === undefined ? null : this.#sources[source];
      if (line !== undefined && file) return { file, line: line + 1 };
    }
    return undefined;
  }
}
