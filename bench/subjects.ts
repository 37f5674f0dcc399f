// A shape, or any module with a way to drive it, in the forms that are compared. Each subject has an instance of its own, made
// from bytes that no other module has, so that it is compiled by itself and for what it does.

import { EXPORT_SET, EXPORT_TABLE, GLOBAL_ANY, GLOBAL_GATES, instrument, SLOT_COUNT } from '../src/instrument/index.ts';
import { Tracer, type TracerOptions } from '../src/tracer.ts';
import type { Case } from './harness.ts';
import { assembleText, distinct, driver, type Shape } from './shapes.ts';

const WARM_SECONDS = 0.2;

type When =
  /// Switched on after the code was optimised with its gates closed, as a user does.
  | 'late'
  /// Switched on before the first call.
  | 'early';

function subject(shape: Shape, name: string, run: () => number, switchOn?: () => void): Case {
  const { calls, expected } = shape;
  return { name: `${shape.name}: ${name}`, run, calls, expected, warm: WARM_SECONDS, prepare: switchOn };
}

/// The module as it is.
export async function untouched(shape: Shape): Promise<Case> {
  const { instance } = await WebAssembly.instantiate(distinct(shape.bytes), shape.imports);
  return subject(shape, 'untouched', driver(shape, instance.exports));
}

export interface TracedOptions extends TracerOptions {
  readonly when?: When;
  /// Registers whoever watches. Without it nobody does.
  readonly watch?: (tracer: Tracer) => void;
}

/// The module under a tracer.
export async function traced(shape: Shape, name: string, options: TracedOptions): Promise<Case> {
  const { watch, when = 'late', ...rest } = options;
  const tracer = await Tracer.create(rest);
  if (when === 'early') watch?.(tracer);
  const { instance } = await tracer.instantiate(distinct(shape.bytes), shape.imports, { name: shape.name });
  const run = driver(shape, instance.exports);
  return subject(shape, name, run, () => {
    if (!watch) return;
    if (when === 'late') watch(tracer);
    // What is measured is what it is said to be: so many calls are seen in one run.
    const before = tracer.counts().entries;
    run();
    const seen = tracer.counts().entries - before;
    if (seen !== shape.calls && seen !== 0) {
      throw new Error(`benchmark «${shape.name}: ${name}» made ${seen} traced calls, expected ${shape.calls}`);
    }
  });
}

let emptyEngine: Promise<WebAssembly.Exports> | undefined;

/// The least that an attached engine can be: it does nothing, and is called for it. Never the same cookie twice in a row, since
/// a compiler that knew it to be a constant would have no need to call.
async function empties(): Promise<WebAssembly.Exports> {
  emptyEngine ??= assembleText(
    'empty',
    `(module
      (func (export "enter") (param i32) (result i32) (i32.or (local.get 0) (i32.const 1)))
      (func (export "leave") (param i32))
      (func (export "save") (result i32) (i32.const 1))
      (func (export "root") (param i32) (result i32) (i32.const 0)))`,
  ).then(async (bytes) => (await WebAssembly.instantiate(bytes)).instance.exports);
  return emptyEngine;
}

/// The floor of the attached form: the instrumented module with all gates open, calling an engine that does nothing.
export async function floor(shape: Shape): Promise<Case> {
  const { enter, leave, save, root } = await empties();
  const { bytes, sites } = instrument(distinct(shape.bytes), { validate: false });
  const { instance } = await WebAssembly.instantiate(bytes as Uint8Array<ArrayBuffer>, shape.imports);
  const table = instance.exports[EXPORT_TABLE] as WebAssembly.Table;
  const set = instance.exports[EXPORT_SET] as (index: number, value: number) => void;
  [enter, leave, save, leave, root].forEach((fn, slot) => {
    if (slot < SLOT_COUNT) table.set(slot, fn);
  });
  return subject(shape, 'empty engine', driver(shape, instance.exports), () => {
    set(GLOBAL_ANY, 1);
    for (let k = 0; k * 32 < sites.length; k++) set(GLOBAL_GATES + k, -1);
  });
}
