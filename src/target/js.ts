// The `js` target: functions that JavaScript reaches through properties of an object, or that somebody wraps one by one.
//
// What is replaced is the property, not the function: who holds the function by another way calls it untraced. A function has
// one stand-in, whatever properties it is found under, and a stand-in never gets one of its own.

import * as layout from '../../assembly/layout.ts';
import type { Engine } from '../engine.ts';
import { badType, shown } from '../errors.ts';
import { compileFilter, type FilterPair } from '../filter.ts';
import { reading } from '../options.ts';
import { Gate, JsCalls, plainTraps, type Traps } from './js/calls.ts';
import { resumersOf } from './js/generators.ts';
import {
  findMembers,
  hasPrivateStatics,
  isModuleNamespace,
  isProxy,
  type Member,
  type Part,
  type Property,
} from './js/members.ts';
import { copyNamespace } from './js/module.ts';
import { wordReaders } from './js/readers.ts';
import { JsRegs } from './js/regs.ts';
import { isAsync, SettleTasks, settleTraps } from './js/settle.ts';
import { acquireSource, type Callable, releaseSource, standsFor } from './js/source.ts';
import type { NotraceFunction, Target, TargetSite } from './target.ts';

const { defineProperty, deleteProperty, getOwnPropertyDescriptor } = Reflect;

/// Number × TARGET_STRIDE is the address of a target's first function.
const TARGET_STRIDE = 2 ** 32;

export interface AttachOptions extends FilterPair, CallOptions {
  /// Name of the target, and what the names of its functions begin with. Default: `jsN`, N being its number.
  readonly name?: string;
  /// Also what the object inherits and, if it is a class, what its instances do. Default: only its own properties.
  readonly prototypes?: boolean;
}

/// How calls are seen that are not over when they return.
export interface CallOptions {
  /// Calls of `async` functions (with `wrap`: of any function that returns a promise) return when their promise settles.
  /// Default: at once.
  readonly settle?: boolean;
  /// Also the methods that resume a generator, as functions of their own: `svc.items.next`. Default: only the call that makes it.
  readonly resume?: boolean;
}

export interface JsSite extends TargetSite {
  /// Further properties that hold the same function.
  readonly aliases: readonly string[];
}

/// A property that was replaced.
interface Replaced {
  readonly holder: object;
  readonly key: PropertyKey;
  readonly name: string;
  /// Undefined: there was none.
  readonly original: PropertyDescriptor | undefined;
  readonly ours: PropertyDescriptor;
}

export class JsTarget implements Target {
  readonly name: string;
  readonly number: number;
  readonly firstSite: number;
  readonly sites: readonly JsSite[];
  readonly notrace: readonly NotraceFunction[];
  readonly regs: JsRegs;
  /// After `detach`: the properties that were not put back, since somebody else had changed them meanwhile.
  left: readonly NotraceFunction[] = [];
  readonly #calls: JsCalls;
  readonly #gates: readonly Gate[];
  readonly #replaced: readonly Replaced[];
  readonly #forget: () => void;
  #isDetached = false;

  /// Made by `JsFunctions`.
  constructor(
    calls: JsCalls,
    regs: JsRegs,
    facts: Pick<JsTarget, 'name' | 'number' | 'firstSite' | 'sites' | 'notrace'>,
    gates: readonly Gate[],
    replaced: readonly Replaced[],
    forget: () => void,
  ) {
    this.#calls = calls;
    this.regs = regs;
    this.name = facts.name;
    this.number = facts.number;
    this.firstSite = facts.firstSite;
    this.sites = facts.sites;
    this.notrace = facts.notrace;
    this.#gates = gates;
    this.#replaced = replaced;
    this.#forget = forget;
  }

  setGates(words: Uint32Array): void {
    const { memory } = this.#calls.engine;
    const handlers = memory.load32(layout.ABI_CALLING_MASK) | layout.SITE_HAS_OPS;
    const readers = wordReaders(memory);
    this.#gates.forEach((gate, k) => {
      const open = ((words[k >>> 5] >>> (k & 31)) & 1) !== 0;
      const users = open ? memory.siteUsers(gate.site) : 0;
      gate.turn(open, (users & handlers) !== 0, (users & readers) !== 0);
    });
  }

  setWatched(): void {}

  settle(): boolean {
    return this.#calls.settle();
  }

  /// Puts the properties back as they were, but for those that are not ours any more: see `left`.
  detach(): void {
    if (this.#isDetached) return;
    this.#isDetached = true;
    const left: NotraceFunction[] = [];
    for (const { holder, key, name, original, ours } of this.#replaced.toReversed()) {
      const index = left.length;
      if (!isSame(getOwnPropertyDescriptor(holder, key), ours)) {
        left.push({ index, name, reason: 'somebody else has changed the property' });
      } else if (!restore(holder, key, original)) {
        left.push({ index, name, reason: 'the object does not let its property be changed any more' });
      }
    }
    this.left = left.reverse();
    this.#forget();
  }
}

const restore = (holder: object, key: PropertyKey, original: PropertyDescriptor | undefined): boolean =>
  original ? defineProperty(holder, key, original) : deleteProperty(holder, key);

function isSame(a: PropertyDescriptor | undefined, b: PropertyDescriptor): boolean {
  if (!a) return false;
  return (['value', 'get', 'set', 'writable', 'enumerable', 'configurable'] as const).every((field) =>
    Object.is(a[field], b[field]),
  );
}

const isObject = (value: unknown): value is object =>
  typeof value === 'function' || (typeof value === 'object' && value !== null);

function checkName(what: string, name: unknown): void {
  if (name !== undefined && (typeof name !== 'string' || name === '')) {
    throw badType(`${what} is ${shown(name)}, expected a string that is not empty`);
  }
}

function checkBoolean(what: string, value: unknown): void {
  if (typeof value !== 'boolean') throw badType(`${what} is ${shown(value)}, expected a boolean`);
}

/// The functions of one tracer that are traced.
export class JsFunctions {
  readonly calls: JsCalls;
  readonly #engine: Engine;
  readonly #regs: JsRegs;
  readonly #settling: SettleTasks;
  /// By function while it is traced, and by stand-in for ever.
  readonly #gates = new WeakMap<object, Gate>();
  readonly #numbers = new Set<number>();

  constructor(engine: Engine) {
    this.#engine = engine;
    this.calls = new JsCalls(engine, (ip) => this.#numbers.has(Math.floor(ip / TARGET_STRIDE)));
    this.#regs = new JsRegs(this.calls);
    this.#settling = new SettleTasks(this.calls);
  }

  /// Replaces the functions in `object`'s properties. Runs no code of the program.
  attach(number: number, object: object, options: AttachOptions): JsTarget {
    const { name = `js${number}`, prototypes = false } = options;
    checkObject(object);
    checkName('name', options.name);
    checkBoolean('prototypes', prototypes);
    const matches = compileFilter(options);
    const making = this.#making(options);
    for (const property of findMembers(object, name, prototypes)) {
      making.replace(property, (member) => matches({ name: member.name, aliases: [member.ownName] }));
    }
    return this.#finish(making, number, name);
  }

  /// A copy of a module's exports, with functions replaced.
  attachModule(number: number, namespace: object, options: AttachOptions): { exports: object; target: JsTarget } {
    if (!isObject(namespace)) throw badType(`attachModule: ${shown(namespace)} is no module`);
    const { copy, complete } = reading('attachModule: the namespace', () => copyNamespace(namespace));
    const target = this.attach(number, copy, options);
    complete();
    return { exports: copy, target };
  }

  /// The stand-in for `fn`, and its target if it has none yet.
  wrap(
    number: number,
    fn: Callable,
    name: string | undefined,
    options: CallOptions,
  ): { standIn: Callable; target: JsTarget | undefined } {
    if (typeof fn !== 'function') {
      throw badType(`wrap: ${shown(fn)} is no function; attachObject takes objects`);
    }
    checkName('wrap: the name', name);
    const original = this.#gates.get(fn)?.fn ?? fn;
    const known = this.#gates.get(original);
    if (known) return { standIn: known.standIn, target: undefined };
    if (hasPrivateStatics(original)) {
      throw badType(`wrap: ${PRIVATE_STATICS}; attachObject can trace what the class holds`);
    }
    const own: unknown = isProxy(original) ? '' : getOwnPropertyDescriptor(original, 'name')?.value;
    const label = name ?? (typeof own === 'string' && own !== '' ? own : `js${number}`);
    const making = this.#making(options);
    const { standIn } = making.add(original, label);
    return { standIn, target: this.#finish(making, number, label) };
  }

  #making({ settle = false, resume = false }: CallOptions): Making {
    checkBoolean('settle', settle);
    checkBoolean('resume', resume);
    const settled = settle ? settleTraps(this.#settling) : plainTraps;
    return new Making(this.calls, this.#gates, settled, resume);
  }

  #finish(making: Making, number: number, name: string): JsTarget {
    const { gates, names, replaced, notrace } = making;
    let firstSite = this.#engine.memory.siteCount();
    try {
      if (gates.length > 0) firstSite = this.#engine.addSites(gates.length);
    } catch (error) {
      for (const { holder, key, original } of replaced) restore(holder, key, original);
      throw error;
    }
    const sites = gates.map((gate, k): JsSite => {
      const { index, aliases, isResumer } = names[k];
      const ip = number * TARGET_STRIDE + index;
      gate.site = firstSite + k;
      this.#engine.memory.setSiteIp(gate.site, ip);
      if (!isResumer) this.#gates.set(gate.fn, gate);
      this.#gates.set(gate.standIn, gate);
      standsFor(gate.standIn, gate.fn);
      return { id: gate.site, ip, index, name: gate.name, aliases };
    });
    this.#numbers.add(number);
    acquireSource();
    const forget = () => {
      for (const gate of gates) if (this.#gates.get(gate.fn) === gate) this.#gates.delete(gate.fn);
      releaseSource();
    };
    return new JsTarget(this.calls, this.#regs, { name, number, firstSite, sites, notrace }, gates, replaced, forget);
  }
}

const PRIVATE_STATICS = 'a class with private static members, which are bound to the class itself';

function checkObject(object: unknown): void {
  if (!isObject(object)) {
    throw badType(`attachObject: ${shown(object)} has no functions, expected an object`);
  }
  if (isProxy(object)) {
    throw badType('attachObject: the object is a Proxy, whose traps would run; attach what stands behind it');
  }
  if (isModuleNamespace(object)) {
    throw badType('attachObject: the exports of a module cannot be replaced; attachModule makes a traced copy');
  }
}

/// Collects the gates of a target that is being made. A gate counts from the moment when a property has taken its stand-in.
class Making {
  readonly gates: Gate[] = [];
  /// Of each gate.
  readonly names: { readonly index: number; readonly aliases: string[]; readonly isResumer: boolean }[] = [];
  readonly replaced: Replaced[] = [];
  readonly notrace: NotraceFunction[] = [];
  readonly #calls: JsCalls;
  readonly #known: WeakMap<object, Gate>;
  /// For functions that return a promise.
  readonly #settled: Traps;
  readonly #resume: boolean;
  readonly #made = new Map<Callable, number>();
  #members = 0;

  constructor(calls: JsCalls, known: WeakMap<object, Gate>, settled: Traps, resume: boolean) {
    this.#calls = calls;
    this.#known = known;
    this.#settled = settled;
    this.#resume = resume;
  }

  /// Makes the gate of a function that has none.
  add(fn: Callable, name: string): Gate {
    const gate = new Gate(this.#calls, fn, name, this.#settled);
    this.#keep(gate, this.#members++);
    return gate;
  }

  /// Replaces the functions of a property that `wanted` says yes to, if the property lets itself be changed.
  replace({ holder, key, descriptor, members, notrace }: Property, wanted: (member: Member) => boolean): void {
    const ours: PropertyDescriptor = { ...descriptor };
    const gates: { gate: Gate; index: number; name: string }[] = [];
    for (const member of members) {
      const index = this.#members++;
      if (!wanted(member)) continue;
      const refuse = (reason: string) => this.notrace.push({ index, name: member.name, reason });
      if (notrace !== undefined) {
        refuse(notrace);
        continue;
      }
      const gate = this.#gateOf(member, refuse);
      if (!gate) continue;
      ours[member.part satisfies Part] = gate.standIn;
      gates.push({ gate, index, name: member.name });
    }
    if (isSame(descriptor, ours)) return;
    if (!defineProperty(holder, key, ours)) {
      for (const { index, name } of gates) {
        this.notrace.push({ index, name, reason: 'the object does not let its property be changed' });
      }
      return;
    }
    this.replaced.push({ holder, key, name: members[0].name, original: descriptor, ours });
    for (const { gate, index, name } of gates) this.#keep(gate, index, name);
  }

  /// The gate for a function as it is found in a property; undefined: the property stays.
  #gateOf({ fn, part, name }: Member, refuse: (reason: string) => void): Gate | undefined {
    const original = this.#known.get(fn)?.fn ?? fn;
    const made = this.#made.get(original);
    if (made !== undefined) return this.gates[made];
    const known = this.#known.get(original);
    if (known) {
      refuse(`traced as ${known.name}`);
      // The property that holds the stand-in itself belongs to somebody already.
      return known.standIn === fn ? undefined : known;
    }
    if (part === 'value' && hasPrivateStatics(original)) {
      refuse(PRIVATE_STATICS);
      return undefined;
    }
    const traps = isAsync(original) ? this.#settled : plainTraps;
    return new Gate(this.#calls, original, name, traps, part !== 'value');
  }

  #keep(gate: Gate, index: number, name = gate.name): void {
    const made = this.#made.get(gate.fn);
    if (made !== undefined) {
      this.names[made].aliases.push(name);
    } else if (this.#known.get(gate.fn) !== gate) {
      this.#made.set(gate.fn, this.gates.length);
      this.gates.push(gate);
      this.names.push({ index, aliases: [], isResumer: false });
      if (this.#resume) this.#addResumers(gate);
    }
  }

  /// All generators share the same three methods; each generator function gets stand-ins of its own for them.
  #addResumers({ fn, name: of }: Gate): void {
    for (const { holder, key, fn: resumer, isAsync: isSettled } of resumersOf(fn)) {
      const name = `${of}.${key}`;
      const gate = new Gate(this.#calls, resumer, name, isSettled ? this.#settled : plainTraps);
      const ours = { value: gate.standIn, writable: true, enumerable: false, configurable: true };
      const index = this.#members++;
      if (!defineProperty(holder, key, ours)) {
        this.notrace.push({ index, name, reason: 'the object does not let its property be changed' });
        continue;
      }
      this.replaced.push({ holder, key, name, original: undefined, ours });
      this.gates.push(gate);
      this.names.push({ index, aliases: [], isResumer: true });
    }
  }
}
