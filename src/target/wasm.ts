// The `wasm` target, attached form: an instrumented module whose appended table holds the engine's functions.
//
// The invariant that makes the shadow stack right at every instant: whoever leaves a function without returning passes one
// of three places, and each of them puts the top back.
//   - the next `leave` of a frame further out: the engine drops what lies above that frame's own
//   - a landing pad of the module: restores the top that its function saved
//   - the border to JavaScript: every call from outside runs inside `#root`, whose `finally` sees traps and stack overflow too
// Calls from outside are told from calls inside by a flag that the module sets right before each inner call of a function
// that both can reach; `#root` clears what a failed call left of it.

import * as layout from '../../assembly/layout.ts';
import type { Engine } from '../engine.ts';
import * as abi from '../instrument/abi.ts';
import { native } from '../native.ts';
import type { Locations } from '../symbols/locations.ts';
import type { Facts } from './prepare.ts';
import { wasmFrames } from './real-stack.ts';
import type { NotraceFunction, Target, TargetSite } from './target.ts';

// Read now: of a module it may be a call away, where none is left.
const { MARK_TOP } = layout;

/// `(module (import "" "" (func (param i32) (result i32))) (export "" (func 0)))`: the way to put a JavaScript function into
/// a table, which takes exported WebAssembly functions only.
const BRIDGE = Uint8Array.of(
  ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
  ...[0x01, 0x06, 0x01, 0x60, 0x01, 0x7f, 0x01, 0x7f],
  ...[0x02, 0x05, 0x01, 0x00, 0x00, 0x00, 0x00],
  ...[0x07, 0x04, 0x01, 0x00, 0x00, 0x00],
);
let bridgeModule: WebAssembly.Module | undefined;

function bridge(root: (face: number) => number): (...args: never[]) => unknown {
  bridgeModule ??= new native.Module(BRIDGE);
  return new native.Instance(bridgeModule, { '': { '': root } }).exports[''] as (...args: never[]) => unknown;
}

export interface WasmTargetOptions {
  readonly name: string;
  readonly number: number;
  readonly firstSite: number;
  readonly sites: readonly TargetSite[];
  readonly notrace: readonly NotraceFunction[];
  readonly locations: Locations;
  /// Whether an import suspends its caller (JavaScript promise integration). A JavaScript frame between such an import and the
  /// promising export is not allowed, so these modules are entered without `#root`.
  readonly suspends: boolean;
  /// Functions of the original module, imports included; higher indices are our additions.
  readonly functions: number;
}

export class WasmTarget implements Target {
  readonly name: string;
  readonly number: number;
  readonly firstSite: number;
  readonly sites: readonly TargetSite[];
  readonly notrace: readonly NotraceFunction[];
  /// Where its functions begin in their sources: `locations.warnings` says what of the debug information could not be read.
  readonly locations: Locations;
  /// What the instrumenter returned, less the bytes: offsets, warnings.
  readonly instrumented: Facts;
  /// How the target reaches the engine.
  readonly link = 'attached' as const;
  /// True when calls from outside are not resynchronised, since the module suspends (JavaScript promise integration).
  readonly suspends: boolean;

  readonly #engine: Engine;
  readonly #set: (index: number, value: number) => void;
  readonly #call: ((face: number) => void) | undefined;
  readonly #start: (() => void) | undefined;
  readonly #functions: number;
  readonly #dispatcher: number;
  readonly #siteOfFunction = new Map<number, TargetSite>();
  readonly #indexOfIp = new Map<number, number>();
  #gates: Uint32Array;
  #watched = false;
  #wanted = false;
  #roots = 0;
  /// Watching began while WebAssembly was on the stack, in calls that did not come through `#root`.
  #unrooted = false;
  /// Where an outermost call could not put the shadow stack back to, since there was no stack left to do so; 0: nowhere.
  #owed = 0;

  constructor(engine: Engine, instance: WebAssembly.Instance, instrumented: Facts, options: WasmTargetOptions) {
    this.#engine = engine;
    this.name = options.name;
    this.number = options.number;
    this.firstSite = options.firstSite;
    this.sites = options.sites;
    this.notrace = options.notrace;
    this.locations = options.locations;
    this.instrumented = instrumented;
    this.suspends = options.suspends;
    this.#gates = new Uint32Array((options.sites.length + 31) >>> 5);
    const { exports } = instance;
    this.#set = exports[abi.EXPORT_SET] as (index: number, value: number) => void;
    this.#call = exports[abi.EXPORT_CALL] as ((face: number) => void) | undefined;
    this.#start = exports[abi.EXPORT_START] as (() => void) | undefined;
    this.#functions = options.functions;
    this.#dispatcher = Number(this.#call?.name ?? -1); // the name of an exported function is its index
    for (const site of options.sites) {
      this.#siteOfFunction.set(site.index, site);
      this.#indexOfIp.set(Number(site.ip), site.index);
    }
    this.#attach(exports[abi.EXPORT_TABLE] as WebAssembly.Table);
  }

  #attach(table: WebAssembly.Table): void {
    const engine = this.#engine.exports;
    table.set(abi.SLOT_ENTER, engine.enter);
    table.set(abi.SLOT_LEAVE, engine.leave);
    table.set(abi.SLOT_SAVE, engine.save);
    table.set(abi.SLOT_RESTORE, engine.restore);
    table.set(abi.SLOT_ROOT, bridge(this.#root));
    table.set(abi.SLOT_LEAVE_VALUE, engine.leave_value);
    table.set(abi.SLOT_WORD, engine.word);
    for (let n = 1; n <= abi.ENTER_WORDS_MAX; n++) {
      table.set(abi.SLOT_ENTER_WORDS + n - 1, engine[`enter_${n}` as 'enter_1']);
    }
    this.#set(abi.GLOBAL_BASE, this.firstSite);
  }

  /// Runs the module's start function, if it was deferred until somebody could watch it.
  start(): void {
    if (!this.#start) return;
    const { exports } = this.#engine;
    const mark = exports.save();
    let returned = false;
    try {
      this.#start();
      returned = true;
    } finally {
      if (!returned) this.#putBack(mark);
    }
  }

  /// The site of a function by its index in the module, undefined for a function that has none.
  siteOfFunction(index: number): TargetSite | undefined {
    return this.#siteOfFunction.get(index);
  }

  /// Code from outside begins to run in the middle of a call from inside.
  clearVia(): void {
    if (this.#watched) this.#set(abi.GLOBAL_VIA, 0);
  }

  /// Whether the instrumenter added the function of this index.
  isAppended(index: number): boolean {
    return index >= this.#functions;
  }

  /// Whether it is the function that `#root` calls faces through.
  isDispatcher(index: number): boolean {
    return index === this.#dispatcher;
  }

  setGates(words: Uint32Array): void {
    for (let i = 0; i < this.#gates.length; i++) {
      if (words[i] === this.#gates[i]) continue;
      this.#gates[i] = words[i];
      this.#set(abi.GLOBAL_GATES + i, words[i] | 0);
    }
  }

  setWatched(watched: boolean): void {
    this.#wanted = watched;
    // Frames in flight still need their landing pads and roots: the outermost root switches off when it is left.
    if (watched === this.#watched || (!watched && this.#roots > 0)) return;
    if (watched) {
      this.#unrooted ||= wasmFrames(false).length > 0;
      this.#set(abi.GLOBAL_VIA, 0);
    }
    this.#set(abi.GLOBAL_ANY, watched ? this.#engine.exports.save() & MARK_TOP : 0);
    this.#watched = watched;
  }

  settle(): boolean {
    if (!this.#unrooted && this.#owed === 0) return true;
    this.#set(abi.GLOBAL_VIA, 0); // nobody did when such a call ended in a trap
    if (this.#roots === 0) this.#catchUp(false);
    return !this.#unrooted;
  }

  #catchUp(skipEntry: boolean): void {
    if (this.#owed !== 0) {
      const frames = Array.from(this.#engine.memory.frames()).filter(({ base }) => base >= this.#owed);
      // Frames of another target may be alive: what it entered after us. It drops ours with its own.
      if (frames.every(({ ip }) => this.#indexOfIp.has(ip))) this.#engine.exports.restore(this.#owed);
      this.#owed = 0;
    }
    if (!this.#unrooted) return;
    const real = wasmFrames(skipEntry);
    this.#dropDead(real);
    this.#unrooted = real.length > 0;
  }

  /// Calls that were under way when watching began did not come through `#root`: a throw into JavaScript that one of them
  /// passes on tells nobody, and what it entered meanwhile stays behind. `real` is the engine's own stack. From the outermost
  /// frame of this target that is not on it, everything is dropped.
  #dropDead(real: readonly number[]): void {
    let at = real.length;
    for (const { base, ip } of Array.from(this.#engine.memory.frames()).reverse()) {
      const index = this.#indexOfIp.get(ip);
      if (index === undefined) continue; // another target's
      do at--;
      while (at >= 0 && real[at] !== index);
      if (at >= 0) continue;
      this.#engine.exports.restore(base);
      return;
    }
  }

  /// Carries out a call from outside. Returns 1 when it did, 0 when the caller has to go on by itself.
  readonly #root = (face: number): number => {
    if (this.suspends) return 0;
    if (this.#roots === 0 && (this.#unrooted || this.#owed !== 0)) {
      try {
        this.#catchUp(true);
      } catch {} // the stack is nearly full: another call will do it
    }
    const mark = this.#engine.exports.save();
    let returned = false;
    this.#roots++;
    try {
      this.#call!(face);
      returned = true;
      return 1;
    } finally {
      this.#roots--;
      if (!returned) {
        try {
          this.#putBack(mark);
        } catch {
          // The stack is nearly full, and the error on its way out must not be replaced by ours.
          if (this.#roots === 0) this.#owed ||= mark & MARK_TOP; // by then its handler is over
        }
      }
      if (!this.#wanted && this.#roots === 0) this.setWatched(false);
    }
  };

  /// After a throw or a trap: nobody is on the way into a face any more, and the frames above `mark` are gone.
  #putBack(mark: number): void {
    this.#set(abi.GLOBAL_VIA, 0);
    this.#engine.exports.restore(mark);
  }
}
