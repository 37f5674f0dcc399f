// Random JavaScript programs: classes, objects, accessors, generators and bound functions with random bodies that call each other,
// construct, throw, catch and recurse. The text is made once from a seed and evaluated as often as somebody wants copies that do
// the same; what they see of themselves goes into a log.

import { Random } from './random-program.ts';

/// What a copy is given.
export interface Probe {
  log(...words: unknown[]): void;
  /// The body of a function begins, ends; `key` is that of the property which holds it. Constructors, generators and what is no
  /// property of a traced object do not tell.
  begin(key: string): void;
  end(): void;
}

export interface Copy {
  /// What can be called from outside, and what is traced.
  readonly ns: Record<string, unknown>;
  readonly o: Record<PropertyKey, unknown>;
  readonly b: Record<PropertyKey, unknown>;
  /// Calls that the program makes by itself before it only returns.
  setBudget(calls: number): void;
  kind(value: unknown): string;
}

const KEYS = ['m0', 'm1', 'm2', 'm3', 'm4'];

/// Writes the text of a program: the body of a function `(probe, r) → Copy`, in which `r` draws numbers.
export function randomObjects(rng: Random): string {
  let id = 0;
  const pick = <T>(list: readonly T[]): T => list[rng.below(list.length)];
  const key = () => pick(KEYS);
  const value = () => pick(['x', 'a', '1', '"s"', 'null', 'undefined', '{ v: x }', 'o', 'b', 'ns.A', 'more']);
  const object = () => pick(['o', 'b', 'o', 'b', 'this', 'ns']);

  const call = (inClass: boolean): string => {
    const args = Array.from({ length: rng.below(4) }, value).join(', ');
    return pick([
      `${object()}?.${key()}?.(${args})`,
      `${pick(['o', 'b'])}.${key()}?.(${args})`,
      `new ns.${pick(['A', 'B', 'F'])}(${args})`,
      `ns.f(${args})`,
      `ns.bound(${args})`,
      `ns.arrow(${args})`,
      `Reflect.apply(o.${key()} ?? ns.f, ${value()}, [${args}])`,
      `Reflect.construct(ns.${pick(['A', 'B', 'F'])}, [${args}], ns.${pick(['A', 'B', 'F'])})`,
      `[...o.gen(${rng.below(3)})].length`,
      `${pick(['o', 'b'])}.acc`,
      `(${pick(['o', 'b'])}.acc = ${value()})`,
      `ns.A.${pick(['s0', 's1'])}(${args})`,
      `ns.B.${pick(['s0', 's1'])}(${args})`,
      `o[sym](${args})`,
      inClass ? `super.${key()}?.(${args})` : 'ns.f()',
    ]);
  };

  const statement = (inClass: boolean): string =>
    pick([
      `if (more()) x = ${call(inClass)};`,
      `if (more()) x = ${call(inClass)};`,
      `try { if (more()) x = ${call(inClass)}; } catch (e) { log('caught', kind(e)); }`,
      `try { if (more()) x = ${call(inClass)}; } finally { log('finally', kind(x)); }`,
      `if (r(6) === 0) throw ${pick(['new Error("e" + r(9))', '"text"', 'undefined', 'x'])};`,
      `x = ${value()};`,
    ]);

  const statements = (inClass: boolean) => Array.from({ length: 1 + rng.below(3) }, () => statement(inClass)).join(' ');

  /// `name` '': does not tell that it runs.
  const body = (name: string, args: string, inClass: boolean): string => {
    const number = id++;
    const head = `let x = a; log(${number}, kind(this), ${args});`;
    const tail = pick(['return x;', 'return a;', 'return this;', 'return { x };', '', 'return x;']);
    if (name === '') return `{ ${head} ${statements(inClass)} }`;
    return `{ begin('${name}'); try { ${head} ${statements(inClass)} ${tail} } finally { end(); } }`;
  };
  const count = 'arguments.length';

  const method = (name: string, inClass: boolean): string =>
    pick([
      `${name}(a, b) ${body(name, count, inClass)}`,
      `${name}(a = 5, ...rest) ${body(name, 'rest.length', inClass)}`,
      `async ${name}(a) { try ${body(name, count, inClass)} catch (e) { log('caught', kind(e)); } }`,
    ]);
  const accessor = (between: string) =>
    `get acc() { const a = 1; ${body('acc', '1', true).slice(1)}${between} set acc(a) ${body('acc', '1', true)}`;
  const subset = () => KEYS.filter(() => rng.chance(60));
  const members = (): string =>
    [...subset().map((name) => method(name, true)), rng.chance(70) ? accessor('') : ''].join(' ');
  const statics = () => `static s0(a) ${body('s0', count, true)} static s1(a) ${body('s1', count, true)}`;

  const plain = subset().map((name) =>
    pick([
      `${method(name, true)}`,
      `${name}: function (a, b) ${body(name, `${count}, itself(new.target)`, false)}`,
      `${name}: function (a) { "use strict"; ${body(name, count, false).slice(1)}`,
      `${name}: ns.f`,
      `${name}: (a) => ${body(name, '0', false).replaceAll('this', 'undefined')}`,
    ]),
  );

  return `
    const { log, begin, end } = probe;
    let budget = 0;
    const more = () => --budget > 0;
    const sym = Symbol('sym');
    const known = new Map();
    const itself = (v) => (v === A ? 'A itself' : v === B ? 'B itself' : v === F ? 'F itself' : kind(v));
    const kind = (v) => known.get(v) ?? (typeof v === 'function' ? 'function ' + v.name : v instanceof Error ? v.name + v.message
      : typeof v === 'object' && v !== null ? Object.prototype.toString.call(v) + (Object.getPrototypeOf(v)?.constructor?.name ?? '')
      + Object.keys(v) : typeof v + String(v));
    class A {
      constructor(a) ${body('', 'itself(new.target)', false)}
      ${members()} ${statics()}
      static held = { n: 1 };
    }
    class B extends A {
      ${rng.chance(50) ? `constructor(a, b) { super(b); ${body('', 'itself(new.target)', true).slice(1)}` : ''}
      ${members()} ${rng.chance(50) ? statics() : ''}
    }
    function F(a) { if (!new.target) return 'called'; ${body('', 'itself(new.target)', false).slice(1)}
    F.prototype.m0 = function (a) ${body('', count, false)};
    const ns = {
      A, B, F,
      f: function f(a) ${body('f', count, false)},
      arrow: (a) => ${body('arrow', '0', false).replaceAll('this', 'undefined')},
    };
    ns.bound = ns.f.bind(ns, 7);
    const o = {
      ${plain.join(',\n')}${plain.length > 0 ? ',' : ''}
      ${rng.chance(60) ? `${accessor(',')},` : ''}
      *gen(a) { log('gen', kind(this)); for (let i = 0; i < a; i++) yield i; ${rng.chance(30) ? 'throw new Error("gen");' : ''} },
      [sym](a) ${body('Symbol(sym)', count, true)},
      deep(n) { return o.deep(n + 1) + 1; },
      __proto__: ${pick(['Object.prototype', 'null', 'A.prototype'])},
    };
    const fixed = { configurable: r(2) === 0, enumerable: r(2) === 0, writable: r(2) === 0 };
    if (Object.hasOwn(o, 'm1') && 'value' in Object.getOwnPropertyDescriptor(o, 'm1')) Object.defineProperty(o, 'm1', fixed);
    const b = Object.create(B.prototype, { own: { value: (a) => a, writable: true, enumerable: true } });
    known.set(o, 'o').set(b, 'b').set(ns, 'ns').set(A.prototype, 'A.prototype').set(globalThis, 'global');
    ${rng.chance(20) ? 'Object.freeze(A.prototype);' : ''}
    ${rng.chance(20) ? 'Object.seal(o);' : ''}
    return { ns, o, b, kind, setBudget(n) { budget = n; } };
  `;
}

/// Evaluates the text: one copy of the program.
export function makeCopy(text: string, seed: number, probe: Probe): Copy {
  const rng = new Random(seed);
  return new Function('probe', 'r', text)(probe, (n: number) => rng.below(n));
}
