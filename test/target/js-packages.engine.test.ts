// Real packages from npm, traced in full: what they compute is what they compute untouched, everything that is called is
// recorded, and afterwards every object is what it was.

import { createRequire } from 'node:module';
import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import type { JsTarget } from '../../src/index.ts';
import { Tracer } from '../../src/tracer.ts';
import { Nesting } from './events.ts';

const require = createRequire(import.meta.url);

interface Subject {
  readonly name: string;
  /// The objects that are attached, each with all that it inherits, in this order.
  readonly objects: Readonly<Record<string, object>>;
  /// Does what people use the package for; what comes out of it, as text.
  work(): string;
  readonly functionsMin: number;
  readonly callsMin: number;
}

/// Of errors without their stacks, which show other callers every time.
const show = (value: unknown): string =>
  value instanceof Error ? String(value) : inspect(value, { depth: 6, maxArrayLength: 20, breakLength: 200 });

function lodash(): Subject {
  const _ = require('lodash') as Record<string, (...args: unknown[]) => unknown>;
  // Those that answer otherwise each time, later, or change the library itself.
  const skipped =
    /^(random|shuffle|sample|sampleSize|now|uniqueId|delay|defer|debounce|throttle|runInContext|noConflict|mixin|tap|thru)$/;
  const data = () => [
    [3, 1, 2, { a: 1 }, [4, [5]]],
    { a: { b: [1, 2, 3] }, c: 'text' },
    'Some text, to be split',
    (x: number) => Number(x) + 1,
    7,
    new Map([[1, { a: 2 }]]),
    undefined,
  ];
  return {
    name: 'lodash',
    objects: { _ },
    functionsMin: 300,
    callsMin: 9000,
    work() {
      const out: string[] = [];
      for (const name of Object.keys(_).sort()) {
        if (typeof _[name] !== 'function' || skipped.test(name)) continue;
        const count = data().length;
        for (let a = 0; a < count; a++) {
          for (let b = 0; b < count; b++) {
            try {
              const result = _[name](data()[a], data()[b], data()[(a + b) % count]);
              out.push(`${name} ${a} ${b} ${show(typeof result === 'function' ? result.name : result)}`);
            } catch (error) {
              out.push(`${name} ${a} ${b} threw ${error}`);
            }
          }
        }
      }
      const chain = _.chain([4, 1, 3]) as { sortBy(): { map(f: (x: number) => number): { value(): unknown } } };
      out.push(
        show(
          chain
            .sortBy()
            .map((x) => x * 2)
            .value(),
        ),
      );
      return out.join('\n');
    },
  };
}

function acorn(): Subject {
  const library = require('acorn') as typeof import('acorn');
  const { readFileSync } = require('node:fs') as typeof import('node:fs');
  const text = readFileSync(require.resolve('acorn'), 'utf8');
  return {
    name: 'acorn',
    objects: { Parser: library.Parser, acorn: library },
    functionsMin: 150,
    callsMin: 100_000,
    work() {
      const options = { ecmaVersion: 2022, ranges: true } as const;
      const out: string[] = [JSON.stringify(library.parse(text, options))];
      class Own extends library.Parser {
        static plugins = 0;
      }
      out.push(JSON.stringify(Own.parse('class A { static #x = 1; get y() { return this } }', options)));
      out.push(JSON.stringify(library.parseExpressionAt('1 + (2 * x) ** 3', 0, options)));
      out.push(show([...library.tokenizer('let a = /x/g', options)]));
      for (const bad of ['let let', 'class {', '"\n"', 'a => { b', 'await x', '#y in z']) {
        try {
          library.parse(bad, options);
        } catch (error) {
          out.push(`${(error as Error).name} ${(error as Error).message} ${(error as { pos?: number }).pos}`);
        }
      }
      return out.join('\n');
    },
  };
}

function postcss(): Subject {
  const library = require('postcss') as typeof import('postcss');
  const { Root, Rule, Declaration, AtRule, Comment } = library as unknown as Record<string, object>;
  const css = `@media (min-width: 5px) { a:hover, b > c { color: red !important; /* c */ margin: 0 1px } }\n`.repeat(
    40,
  );
  return {
    name: 'postcss',
    objects: { Rule, Declaration, AtRule, Comment, Root, postcss: library },
    functionsMin: 60,
    callsMin: 4000,
    work() {
      const out: string[] = [];
      const plugin = {
        postcssPlugin: 'doubles',
        Declaration(declaration: { value: string }) {
          if (!declaration.value.startsWith('2')) declaration.value = `2 ${declaration.value}`;
        },
        Rule(rule: { selector: string; prepend(d: object): void; nodes: unknown[] }) {
          if (rule.nodes.length < 4) rule.prepend({ prop: 'top', value: '2px' });
        },
      };
      const result = library.default?.([plugin as never]) ?? (library as never as (p: unknown[]) => never)([plugin]);
      out.push((result as { process(css: string, o: object): { css: string } }).process(css, { from: undefined }).css);
      const root = library.parse(css);
      root.walkRules((rule) => {
        rule.selectors = rule.selectors.map((selector) => `.x ${selector}`);
        rule.first?.remove();
        rule.append(rule.clone().nodes[0]?.clone({ prop: 'left' }) ?? []);
      });
      root.each((node, index) => {
        if (index % 3 === 0) node.replaceWith(library.comment({ text: `was ${node.type}` }));
      });
      out.push(root.toString(), JSON.stringify(root.toJSON()).slice(0, 10_000));
      for (const bad of ['a {', '}', '@media "', 'a { b']) {
        try {
          library.parse(bad);
        } catch (error) {
          out.push(String(error));
        }
      }
      return out.join('\n');
    },
  };
}

/// Descriptors of an object and of what it inherits; of a class also those of what its instances inherit.
function everything(object: object): Map<object, Record<PropertyKey, PropertyDescriptor>> {
  const all = new Map<object, Record<PropertyKey, PropertyDescriptor>>();
  const starts = typeof object === 'function' ? [object, object.prototype as object] : [object];
  for (const start of starts) {
    for (let at: object | null = start; at; at = Object.getPrototypeOf(at)) {
      all.set(at, Object.getOwnPropertyDescriptors(at));
    }
  }
  return all;
}

/// The properties that are not the same, by name. By identity: the values are whole libraries.
function differences(before: ReturnType<typeof everything>, after: ReturnType<typeof everything>): string[] {
  const fields = ['value', 'get', 'set', 'writable', 'enumerable', 'configurable'] as const;
  const different: string[] = [];
  for (const [holder, then] of before) {
    const now = after.get(holder) ?? {};
    for (const key of new Set([...Reflect.ownKeys(then), ...Reflect.ownKeys(now)])) {
      const [a, b] = [then[key], now[key]];
      if (!a || !b || fields.some((field) => !Object.is(a[field], b[field]))) different.push(String(key));
    }
  }
  return different;
}

test.each([lodash, acorn, postcss])('%o', async (make) => {
  const subject = make();
  const expected = subject.work();
  const before = Object.values(subject.objects).map(everything);
  const tracer = await Tracer.create({ clock: 'counter' });
  const targets: JsTarget[] = Object.entries(subject.objects).map(([name, object]) =>
    tracer.attachObject(object, { name, prototypes: true }),
  );
  const sites = targets.flatMap((target) => target.sites);
  expect(sites.length).toBeGreaterThan(subject.functionsMin);
  expect(subject.work() === expected, 'gates closed').toBe(true);

  const nest = new Nesting();
  const graph = tracer.startGraph({ bufferPages: 16384 });
  const profile = tracer.startProfile();
  const user = tracer.registerFgraph({ entry: (_, fregs) => fregs.argument(0) !== undefined, return() {} });
  expect(subject.work() === expected, 'gates open').toBe(true);
  expect(tracer.frames()).toEqual([]);
  graph.pages((batch) => nest.page(batch));
  expect(nest.complaint).toBeUndefined();
  expect(nest.open).toEqual([]);
  const { entries, overrun, stray } = tracer.counts();
  expect({ overrun, stray, errors: user.errors }).toEqual({ overrun: 0, stray: 0, errors: 0 });
  expect(nest.entries).toBe(entries);
  expect(entries).toBeGreaterThan(subject.callsMin);
  expect(Object.fromEntries(profile.rows().map(({ site, count }) => [site, count]))).toEqual(
    Object.fromEntries(nest.calls),
  );

  graph.unregister();
  for (const target of targets.toReversed()) {
    tracer.detach(target);
    expect(target.left).toEqual([]);
  }
  Object.values(subject.objects).forEach((object, n) => {
    expect(differences(before[n], everything(object))).toEqual([]);
  });
  expect(subject.work() === expected, 'detached').toBe(true);
  expect(tracer.counts().entries).toBe(entries);
  console.log(`${subject.name}: ${sites.length} functions, ${entries} calls, ${expected.length} characters compared`);
});
