// Puts the instrumented module together: sections are copied, extended at their end, or made where the module has none.
//
//   part   | new bytes (id, size, count) | bytes of the input | new bytes (additions) |
//
// Bodies make up most of a module and are not copied a second time: they are written into a buffer with room before and
// behind them, and the other parts are put around them there.

import { WasmFormatError } from '../errors.ts';
import { ByteWriter } from './byte-writer.ts';
import { Cursor } from './cursor.ts';
import type { CustomFate } from './custom-sections.ts';
import { u32Size } from './leb128.ts';
import { type OffsetMap, RunList } from './offset-map.ts';
import { HEADER_SIZE, type ModuleInfo, SECTION_CODE, SECTION_CUSTOM, SECTION_ORDER, type Section } from './reader.ts';

const SIZE_MAX = 2 ** 30;

/// Entries appended to a section.
export interface Extension {
  readonly count: number;
  readonly bytes: ByteWriter;
}

interface Part {
  readonly head: Uint8Array;
  readonly from: number;
  readonly to: number;
  readonly tail: Uint8Array;
  readonly code: boolean;
}

const NOTHING = new Uint8Array(0);

// What is added before and behind the bodies, for each of them and at any rate: entries of the function, global and element
// sections, and of the marker. Where that is too little, the module is put together elsewhere.
const AROUND_BODY = 8;
const AROUND = 4096;

/// Where the bodies are written to: with room for code that grows by `share` and `added` bytes, and for the rest around it.
export function codeWriter(module: ModuleInfo, share: number, added: number): ByteWriter {
  const { bytes, sections, bodySizes } = module;
  const section = sections.find(({ id }) => id === SECTION_CODE);
  const start = section?.header ?? bytes.length;
  const size = section === undefined ? 0 : section.end - section.start;
  const around = AROUND + AROUND_BODY * bodySizes.length;
  // Whoever allows a body to grow a hundredfold does not mean all of them.
  const room = Math.ceil(size * (1 + Math.min(share, 1))) + added;
  return new ByteWriter(room + around + (bytes.length - (section?.end ?? bytes.length)), start + around);
}

export class ModuleWriter {
  readonly #module: ModuleInfo;
  /// By section id.
  readonly #extensions: ReadonlyMap<number, Extension>;
  readonly #parts: Part[] = [];

  constructor(module: ModuleInfo, extensions: ReadonlyMap<number, Extension>) {
    this.#module = module;
    this.#extensions = extensions;
  }

  /// Lays the module out. `code` holds all bodies, those of the module rewritten; `fate` decides on custom sections;
  /// `dropStart` leaves the start section out; `marker` is the name and contents of one more custom section.
  write(options: {
    readonly code: Extension;
    readonly codeRuns: RunList;
    readonly fate: (section: Section) => CustomFate;
    readonly dropped: number;
    readonly marker: ByteWriter;
  }): { bytes: Uint8Array; offsets: OffsetMap } {
    const { sections } = this.#module;
    this.#copy(0, HEADER_SIZE);
    let rank = 0;
    const until = (limit: number) => {
      for (; rank < limit; rank++) this.#create(SECTION_ORDER[rank]!, options.code);
    };
    for (const section of sections) {
      if (section.id === SECTION_CUSTOM) {
        const fate = options.fate(section);
        if (fate === 'copy') this.#copy(section.header, section.end);
        else if (fate !== 'drop') this.#section(SECTION_CUSTOM, NOTHING, 0, 0, fate);
        continue;
      }
      until(SECTION_ORDER.indexOf(section.id));
      rank++;
      const extension = this.#extensions.get(section.id);
      if (section.id === SECTION_CODE) this.#code(options.code);
      else if (extension !== undefined) this.#extend(section, extension);
      else if (section.id !== options.dropped) this.#copy(section.header, section.end);
    }
    until(SECTION_ORDER.length);
    this.#section(SECTION_CUSTOM, NOTHING, 0, 0, options.marker.view());
    return this.#assemble(options.code.bytes, options.codeRuns);
  }

  #copy(from: number, to: number): void {
    this.#parts.push({ head: NOTHING, from, to, tail: NOTHING, code: false });
  }

  #create(id: number, code: Extension): void {
    const extension = this.#extensions.get(id);
    if (id === SECTION_CODE) this.#code(code);
    else if (extension !== undefined) this.#section(id, count(extension.count), 0, 0, extension.bytes.view());
  }

  #code({ count: bodies, bytes }: Extension): void {
    this.#section(SECTION_CODE, count(bodies), 0, 0, bytes.view());
  }

  #extend(section: Section, extension: Extension): void {
    const cursor = new Cursor(this.#module.bytes, section.start, section.end);
    const existing = cursor.u32('the number of entries');
    this.#section(section.id, count(existing + extension.count), cursor.pos, section.end, extension.bytes.view());
  }

  #section(id: number, start: Uint8Array, from: number, to: number, tail: Uint8Array): void {
    const size = start.length + (to - from) + tail.length;
    const head = new ByteWriter(1 + u32Size(size) + start.length);
    head.u8(id);
    head.u32(size);
    head.copy(start, 0, start.length);
    this.#parts.push({ head: head.view(), from, to, tail, code: id === SECTION_CODE });
  }

  #assemble(code: ByteWriter, codeRuns: RunList): { bytes: Uint8Array; offsets: OffsetMap } {
    const input = this.#module.bytes;
    let before = 0; // bytes up to the first body
    let total = 0;
    for (const { head, from, to, tail, code: isCode } of this.#parts) {
      total += head.length + (to - from);
      if (isCode) before = total;
      total += tail.length;
    }
    if (total > SIZE_MAX) throw new WasmFormatError(0, 'instrumented form of more than 1 GiB', 'a smaller module');
    const first = code.start - before;
    const inPlace = first >= 0 && first + total <= code.bytes.length;
    const bytes = inPlace ? code.bytes.subarray(first, first + total) : new Uint8Array(total);
    const runs = new RunList(codeRuns.length + this.#parts.length + 1);
    let at = 0;
    for (const { head, from, to, tail, code: isCode } of this.#parts) {
      bytes.set(head, at);
      at += head.length;
      if (to > from) {
        runs.add(from, at);
        bytes.set(input.subarray(from, to), at);
        at += to - from;
      }
      if (isCode) runs.append(codeRuns, at - code.start);
      if (!isCode || !inPlace) bytes.set(tail, at);
      at += tail.length;
    }
    return { bytes, offsets: runs.finish(input.length, total) };
  }
}

function count(value: number): Uint8Array {
  const out = new ByteWriter(5);
  out.u32(value);
  return out.view();
}
