// `--verify`: the shadow stack against the engine's real one, in a real program, in modules that call one another, and when they
// really differ.

import { afterAll, describe, expect, test } from 'vitest';
import { assembleText } from '../../bench/shapes.ts';
import { Verifier } from '../../src/hook/verify.ts';
import type { WasmTarget } from '../../src/target/wasm.ts';
import { Tracer } from '../../src/tracer.ts';
import { Programs } from './run.ts';

const programs = new Programs();
afterAll(() => programs.remove());

// Goes down n levels, leaves the module at each, and traps at the bottom when told to.
const MODULE = (name: string): string => `(module $${name}
  (import "js" "out" (func $out (param i32)))
  (func $leaf)
  (func $again (param i32) (call $leaf) (call $down (i32.sub (local.get 0) (i32.const 1))))
  (func $down (export "down") (param i32)
    (call $leaf)
    (call $out (local.get 0))
    (if (i32.eq (local.get 0) (i32.const -3)) (then unreachable))
    (if (i32.gt_s (local.get 0) (i32.const 0)) (then (call $again (local.get 0))))))`;

type Down = (n: number) => void;

/// Two modules, one of them twice, that call each other at every level; some calls trap or throw on the way.
async function entangled(tracer: Tracer, verifier?: Verifier): Promise<void> {
  const all: Down[] = [];
  let turn = 0;
  const out = (n: number): void => {
    if (n <= 0 || turn++ % 3 !== 0) return;
    try {
      all[turn % all.length](n % 4 === 0 ? -3 : n - 2);
    } catch (error) {
      if (n % 3 === 0) throw error;
    }
  };
  for (const name of ['one', 'two', 'one']) {
    const { instance, target } = await tracer.instantiate(await assembleText(name, MODULE(name)), { js: { out } });
    verifier?.add(target as WasmTarget);
    all.push(instance.exports.down as Down);
  }
  for (let i = 0; i < 36; i++) {
    try {
      all[i % 3](i % 13);
    } catch {}
  }
}

describe('verify', () => {
  test('SQLite, with calls into JavaScript and back, and throws out of them', async () => {
    programs.write(
      'verified.cjs',
      `require('sql.js')().then((SQL) => {
         const db = new SQL.Database();
         db.create_function('js', (x) => { if (x === 7) throw new Error('seven'); const inner = new SQL.Database();
           const result = inner.exec('select ' + x)[0].values[0][0]; inner.close(); return result; });
         console.log(db.exec('select js(3) + js(4)')[0].values);
         try { db.exec('select js(7)'); } catch (error) { console.log(error.message); }
       });`,
    );
    const { recordings, stdout } = await programs.traced('verified.cjs', { verify: 25, bufferPages: 16 });
    expect(stdout).toBe('[ [ 7 ] ]\nseven\n');
    const { verify, counts, notes } = recordings[0];
    expect(verify).toMatchObject({ differences: 0, examples: [] });
    expect(verify!.samples).toBeGreaterThan(0.9 * Math.floor(counts.entries / 25));
    expect(notes).toEqual([]);
  });

  test.each([
    ['all functions', {}],
    ['some', { filter: ['down', 'leaf'] }],
    ['all but one', { notrace: 'again' }],
  ])('modules that call one another, traps and throws: %s', async (_, filter) => {
    const tracer = Tracer.createSync({ clock: 'counter' });
    const names = new Set(Object.values(filter).flat());
    const wanted = ({ name }: { name: string }) =>
      names.size === 0 || ('notrace' in filter ? !names.has(name) : names.has(name));
    const verifier = new Verifier(tracer, 1, filter, wanted);
    await entangled(tracer, verifier);
    const { samples, differences, examples } = verifier.result;
    expect(examples).toEqual([]);
    expect(differences).toBe(0);
    expect(tracer.counts().unwound).toBeGreaterThan(10);
    // Until all three are known, what they are on the stack of is not compared.
    expect(samples).toBeGreaterThan(0.8 * tracer.counts().entries);
  });

  test('a stack that differs is told, with both', async () => {
    const tracer = Tracer.createSync({ clock: 'counter' });
    const verifier = new Verifier(tracer, 1, {}, ({ name }) => name !== 'again');
    await entangled(tracer, verifier);
    const { samples, differences, examples } = verifier.result;
    expect(differences).toBeGreaterThan(0);
    expect(differences).toBeLessThan(samples);
    expect(examples.length).toBe(5);
    for (const example of examples) expect(example).toMatch(/^shadow \[.*again.*\], real \[[^g]*\]$/);
  });
});
