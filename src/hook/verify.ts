// `--verify`: holds the shadow stack against the engine's real one, at every so many entries of whatever program runs (design §6).
//
// A user of the function graph watches what is traced. Its handlers are WebAssembly and count down, so that an entry that is not
// looked at costs a call; at zero they call JavaScript, which reads both stacks:
//
//   real, innermost first:  our handler · the engine … · the function that is entered · … the program's frames
//   shadow:                                              the function that is entered · … its callers
//
// All that the real stack says of a module is a name which the engine made up. Which target it belongs to is learned here: the first
// frame behind the engine's is the function that is entered.

import type { FilterPair } from '../filter.ts';
import { native } from '../native.ts';
import type { VerifyResult } from '../recording.ts';
import type { TargetSite } from '../target/target.ts';
import { type RealFrame, realStack } from '../target/verify.ts';
import type { WasmTarget } from '../target/wasm.ts';
import type { Tracer } from '../tracer.ts';
import type { WasmHandler } from '../wasm-handlers.ts';

const EXAMPLES_MAX = 5;
/// Frames of an example, of each stack.
const SHOWN = 12;

// (module
//   (import "" "rate" (global i32)) (import "" "sample" (func (param i32)))
//   (global $left (export "left") (mut i32) (i32.const 1))
//   (func (export "entry") (param i32 i32 i32 i32) (result i32)
//     (global.set $left (local.tee 2 (i32.sub (global.get $left) (i32.const 1))))
//     (if (i32.eqz (local.get 2)) (then (global.set $left (global.get 0)) (call 0 (local.get 1))))
//     (i32.const 1)))
const COUNTDOWN = Uint8Array.of(
  ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
  ...[0x01, 0x0d, 0x02, 0x60, 0x01, 0x7f, 0x00, 0x60, 0x04, 0x7f, 0x7f, 0x7f, 0x7f, 0x01, 0x7f],
  ...[
    0x02, 0x14, 0x02, 0x00, 0x04, 0x72, 0x61, 0x74, 0x65, 0x03, 0x7f, 0x00, 0x00, 0x06, 0x73, 0x61, 0x6d, 0x70, 0x6c,
    0x65, 0x00, 0x00,
  ],
  ...[0x03, 0x02, 0x01, 0x01],
  ...[0x06, 0x06, 0x01, 0x7f, 0x01, 0x41, 0x01, 0x0b],
  ...[0x07, 0x10, 0x02, 0x04, 0x6c, 0x65, 0x66, 0x74, 0x03, 0x01, 0x05, 0x65, 0x6e, 0x74, 0x72, 0x79, 0x00, 0x01],
  ...[
    0x0a, 0x1d, 0x01, 0x1b, 0x00, 0x23, 0x01, 0x41, 0x01, 0x6b, 0x22, 0x02, 0x24, 0x01, 0x20, 0x02, 0x45, 0x04, 0x40,
    0x23, 0x00, 0x24, 0x01, 0x20, 0x01, 0x10, 0x00, 0x0b, 0x41, 0x01, 0x0b,
  ],
);

export class Verifier {
  readonly #tracer: Tracer;
  readonly #wanted: (site: TargetSite) => boolean;
  readonly #left: WebAssembly.Global;
  /// By what the engine calls their module. Instances of the same module have one name, and the same functions.
  readonly #targets = new Map<string, WasmTarget>();
  readonly #moduleOf = new Map<WasmTarget, string>();
  /// By engine site id.
  readonly #known: RealFrame[] = [];
  readonly #examples: string[] = [];
  #samples = 0;
  #differences = 0;

  /// Looks at one entry in `rate`, of the functions of the filter. `wanted`: what that is.
  constructor(tracer: Tracer, rate: number, { filter, notrace }: FilterPair, wanted: (site: TargetSite) => boolean) {
    this.#tracer = tracer;
    this.#wanted = wanted;
    const sample = (site: number): void => {
      try {
        this.#sample(site);
      } catch {} // no stack left to look at it; the program goes on
    };
    const instance = new native.Instance(new native.Module(COUNTDOWN), { '': { rate, sample } });
    const { entry, left } = instance.exports;
    this.#left = left as WebAssembly.Global;
    tracer.registerFgraph({ name: 'verify', filter, notrace, entry: entry as WasmHandler });
  }

  get result(): VerifyResult {
    return { samples: this.#samples, differences: this.#differences, examples: this.#examples };
  }

  add(target: WasmTarget): void {
    for (const site of target.sites) this.#known[site.id] = { target, site };
    this.#left.value = 1; // the sooner it is known which module on the stack it is, the better
  }

  #sample(id: number): void {
    const { target: entered, site } = this.#known[id];
    if (entered.suspends) return; // such a stack is in pieces
    const above: string[] = []; // our handler, the engine
    let learned = false;
    let strange = false;
    const real = realStack((module, index) => {
      if (above.length < 2 && !above.includes(module)) above.push(module);
      if (above.includes(module)) return undefined;
      if (!learned && index === site.index) {
        learned = true;
        if (!this.#targets.has(module)) this.#targets.set(module, entered);
        this.#moduleOf.set(entered, module);
      }
      const target = this.#targets.get(module);
      strange ||= target === undefined;
      return target;
    });
    if (strange) return;
    const name = ({ target, site }: RealFrame): string => `${this.#moduleOf.get(target)} ${site.index}`;
    const wanted = real.filter((frame) => this.#wanted(frame.site));
    const shadow = this.#tracer.frames().map((frame) => this.#known[frame.id]);
    if (shadow.some(({ target }) => !this.#moduleOf.has(target))) return;
    const same = wanted.length === shadow.length && wanted.every((frame, i) => name(frame) === name(shadow[i]));
    // Calls for which there was no room are on the real stack alone.
    if (!same && this.#tracer.counts().overrun > 0) return;
    this.#samples++;
    if (same) return;
    this.#differences++;
    if (this.#examples.length < EXAMPLES_MAX) this.#examples.push(`shadow ${shown(shadow)}, real ${shown(wanted)}`);
  }
}

const shown = (frames: readonly RealFrame[]): string => {
  const names = frames.slice(0, SHOWN).map(({ site }) => site.name);
  return `[${names.join(' < ')}${frames.length > SHOWN ? ' < …' : ''}]`;
};
