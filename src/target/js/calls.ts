// Calls of traced JavaScript functions: what runs between a caller and the function that he calls.
//
// A Proxy stands in for every traced function: of all that JavaScript has it alone shares name, length, properties, prototype,
// what `new` and `class … extends` make of it, with the function that it stands for, now and later. Its handler is the gate. While
// the gate is closed a plain function has no `apply` trap and the JavaScript engine calls it by itself; a function that `new`
// works on keeps its `construct` trap, since `new.target` has to be the function and not what stands in for it.
//
//   gate open:   save() ─► enter(site) ─► the function ─► leave(cookie)
//                  └── in `finally`, when it was left any other way: restore(mark)
//
// The invariant is that of wasm.ts: whoever leaves a function without returning puts the top of the shadow stack back. Here
// the `finally` of each call does. Only when no stack is left to run it does the mark stay owed, to the next outermost call.

import * as layout from '../../../assembly/layout.ts';
import type { Engine, EngineExports } from '../../engine.ts';
import { ENTER_WORDS_MAX } from '../../instrument/abi.ts';
import { accessorStandIn } from './accessor.ts';
import { type Callable, originalOf } from './source.ts';
import { wordOf } from './words.ts';

// Kept from now: a program may trace `Reflect` and `Math`, too.
const { apply, construct } = Reflect;
const { min } = Math;
const { MARK_TOP } = layout; // likewise: of a module it may be a call away, where none is left

const NO_ARGUMENTS: readonly unknown[] = [];

/// What all calls that one engine sees have in common.
export class JsCalls {
  readonly engine: Engine;
  /// The arguments that the handlers of the entry under way see, and the result that those of the exit see and may replace.
  args = NO_ARGUMENTS;
  result: unknown;
  /// The exit under way is that of a constructor: what replaces its result has to be an object.
  constructs = false;
  /// Traced calls under way.
  depth = 0;
  /// Where a call could not put the shadow stack back to; 0 = nowhere.
  owed = 0;
  readonly #exports: EngineExports;
  readonly #isMine: (ip: number) => boolean;

  /// `isMine`: whether an address is that of a JavaScript function.
  constructor(engine: Engine, isMine: (ip: number) => boolean) {
    this.engine = engine;
    this.#exports = engine.exports;
    this.#isMine = isMine;
  }

  /// A mark for `unwind`.
  begin(): number {
    if (this.depth === 0 && this.owed !== 0) this.#payBack();
    return this.#exports.save();
  }

  /// Tells the engine of an entry. Returns the cookie for `leave`; 0 = nothing to leave.
  enter(gate: Gate, args: readonly unknown[]): number {
    if (!gate.shows) return this.#exports.enter(gate.site);
    const outer = this.args;
    this.args = args;
    const cookie = gate.words ? this.#enterWords(gate.site, args) : this.#exports.enter(gate.site);
    this.args = outer;
    return cookie;
  }

  /// Tells the engine of a return. Returns the result, or what a handler has put in its place.
  leave(gate: Gate, cookie: number, result: unknown, constructs: boolean): unknown {
    if (!gate.shows) {
      this.#exports.leave(cookie);
      return result;
    }
    const { result: outer, constructs: outerConstructs } = this;
    this.result = result;
    this.constructs = constructs;
    if (gate.words) this.#exports.leave_value(cookie, wordOf(result));
    else this.#exports.leave(cookie);
    const replaced = this.result;
    this.result = outer;
    this.constructs = outerConstructs;
    return replaced;
  }

  /// A call that began at `mark` was left without returning. Throws when the stack is nearly full: what is owed then is `owed`.
  unwind(mark: number): void {
    this.#exports.restore(mark);
  }

  /// Puts the stack back where that is still owed. False while it cannot be told what is dead.
  settle(): boolean {
    if (this.depth === 0 && this.owed !== 0) this.#payBack();
    return this.owed === 0;
  }

  #payBack(): void {
    const frames = Array.from(this.engine.memory.frames()).filter(({ base }) => base >= this.owed);
    // A frame of a module above may be alive. It drops ours with its own.
    if (frames.every(({ ip }) => this.#isMine(ip))) this.#exports.restore(this.owed);
    this.owed = 0;
  }

  #enterWords(site: number, args: readonly unknown[]): number {
    const count = args.length;
    if (count === 0) return this.#exports.enter(site);
    const most = min(count, layout.FREGS_MAX);
    for (let n = ENTER_WORDS_MAX; n < most; n++) this.#exports.word(n, wordOf(args[n]));
    const words: unknown[] = [site];
    const direct = min(count, ENTER_WORDS_MAX);
    for (let n = 0; n < direct; n++) words[n + 1] = wordOf(args[n]);
    return apply(this.#exports[`enter_${direct}` as 'enter_1'], undefined, words as [number, bigint]);
  }
}

type Apply = (this: Gate, fn: Callable, self: unknown, args: unknown[]) => unknown;
type Construct = (this: Gate, fn: Callable, args: unknown[], newTarget: Callable) => object;

/// Whether `new` works on a function. Asks without running anything of it.
export function isConstructor(fn: Callable): boolean {
  try {
    construct(new Proxy(fn, { construct: () => ({}) }) as never, NO_ARGUMENTS);
    return true;
  } catch {
    return false;
  }
}

/// How the calls of a gate that is open run.
export interface Traps {
  readonly apply: Apply;
  readonly construct: Construct;
}

/// The gate of one function: the handler of the Proxy that stands in for it, or what the function does that stands in for an
/// accessor. Traps of other names must never be found on it, also
/// not those that somebody puts on `Object.prototype`; hence the prototype, below.
export class Gate {
  readonly calls: JsCalls;
  readonly fn: Callable;
  readonly standIn: Callable;
  /// The name that it was first found under.
  readonly name: string;
  /// Engine site id.
  site = 0;
  /// Somebody wants arguments and results as words.
  words = false;
  /// Handlers run at entry or return, and may look at arguments and result.
  shows = false;
  apply: Apply | undefined = undefined;
  construct: Construct | undefined;
  readonly #open: Traps;
  readonly #constructs: boolean;

  constructor(calls: JsCalls, fn: Callable, name: string, open: Traps, isAccessor = false) {
    this.calls = calls;
    this.fn = fn;
    this.name = name;
    this.#open = open;
    this.#constructs = isConstructor(fn);
    this.construct = this.#constructs ? constructUntraced : undefined;
    this.standIn = (isAccessor ? accessorStandIn(this, fn) : undefined) ?? new Proxy<Callable>(fn, this);
  }

  /// Opens or closes it, from the next call on.
  turn(open: boolean, shows: boolean, words: boolean): void {
    this.shows = shows;
    this.words = words;
    this.apply = open ? this.#open.apply : undefined;
    if (this.#constructs) this.construct = open ? this.#open.construct : constructUntraced;
  }

  /// What the function shall see as `new.target`.
  newTarget(given: Callable): Callable {
    return given === this.standIn ? this.fn : originalOf(given);
  }
}
Object.setPrototypeOf(Gate.prototype, null);

const constructUntraced: Construct = function (fn, args, newTarget) {
  return construct(fn as never, args, this.newTarget(newTarget) as never);
};

/// Both traps: of a call `second` is `this` and `third` the list of arguments, of `new` they are that list and `new.target`, which
/// is a function. So there is one frame of ours on the program's stack, not two.
function traced(this: Gate, fn: Callable, second: unknown, third: unknown[] | Callable): unknown {
  const { calls } = this;
  const { args: outerArgs, result: outerResult, constructs } = calls;
  const mark = calls.begin();
  let returned = false;
  calls.depth++;
  try {
    const isNew = typeof third === 'function';
    const args = (isNew ? second : third) as never[];
    const cookie = calls.enter(this, args);
    let result: unknown = isNew
      ? construct(fn as never, args, this.newTarget(third) as never)
      : apply(fn, second, args);
    if (cookie !== 0) result = calls.leave(this, cookie, result, isNew);
    returned = true;
    return result;
  } finally {
    calls.depth--;
    if (!returned) {
      calls.args = outerArgs;
      calls.result = outerResult;
      calls.constructs = constructs;
      try {
        calls.unwind(mark);
      } catch {
        // The stack is nearly full: too full for any call, and the error on its way out must not be replaced by ours.
        const top = mark & MARK_TOP; // when it is paid back the handlers that run now are over
        if (calls.owed === 0 || top < calls.owed) calls.owed = top;
      }
    }
  }
}

/// Entry at the call, return at the return.
export const plainTraps: Traps = { apply: traced, construct: traced as Construct };
