// The cases of spec/testcases.md that are about probes, on a WebAssembly module.

import { assembleText } from '../../bench/shapes.ts';
import { Tracer } from '../../src/index.ts';
import type { Fixture, Functions } from './fixture.ts';
import { stress } from './stress.ts';
import { sectionA } from './suite.ts';
import { unitSuite } from './unit-suite.ts';

const small = Array.from({ length: 8 }, (_, k) => k + 1);

const PROGRAM = `(module
  (import "js" "inside" (func $inside))
  (func $fa (export "fa") (param i32) (result i32) (call $inside) (i32.div_s (local.get 0) (i32.const 3)))
  (func $fb (export "fb") (param i32) (result i32) (i32.add (i32.div_s (local.get 0) (i32.const 3)) (i32.const 1)))
  ${small.map((k) => `(func $f${k} (export "f${k}") (param i32) (result i32) (i32.add (local.get 0) (i32.const ${k})))`).join('\n')}
  (func $trigger (export "trigger") ${small.map((k) => `(drop (call $f${k} (i32.const 1)))`).join(' ')})
  (func $rec (export "rec") (param i32) (result i32)
    (if (result i32) (local.get 0)
      (then (i32.add (call $rec (i32.sub (local.get 0) (i32.const 1))) (i32.const 1)))
      (else (i32.const 0)))))`;

async function make(stackWords?: number): Promise<Fixture> {
  const tracer = await Tracer.create({ clock: 'counter', stackWords });
  const bytes = await assembleText('fprobe', PROGRAM);
  const load = () => tracer.instantiate(bytes, { js: { inside: () => fixture.inside() } });
  let { instance, target } = await load();
  const fixture: Fixture = {
    tracer,
    get call() {
      return instance.exports as unknown as Functions;
    },
    inside: () => {},
    ip: (name) => target!.sites.find((site) => site.name === name)!.ip,
    get traceable() {
      return target!.sites.length;
    },
    unload: () => tracer.detach(target!),
    async load() {
      ({ instance, target } = await load());
    },
  };
  return fixture;
}

sectionA('wasm', make);
unitSuite('wasm', make);
stress('wasm', make);
