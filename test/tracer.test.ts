// The API from outside: what a small program's record reads like to the letter, what its counts are to the unit, and that the
// README's examples run as they stand. Times are event numbers where they are compared exactly.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { assembleText } from '../bench/shapes.ts';
import { type ClockName, type GraphOptions, Tracer } from '../src/index.ts';
import { ENTRY, LOST, TraceEvent } from '../src/trace/events.ts';

type Func = (...args: unknown[]) => unknown;

// main calls leaf, then mid, which calls leaf twice; `fail` is left by the throw of an import, below `pass`.
const PROGRAM = `(module
  (import "js" "throw" (func $throw))
  (func $leaf)
  (func $mid (call $leaf) (call $leaf))
  (func $main (export "main") (call $leaf) (call $mid))
  (func $fail (call $leaf) (call $throw))
  (func $pass (export "pass") (call $leaf) (call $fail))
  (func $loop (export "loop") (param $n i32)
    (loop $again
      (call $leaf)
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))`;

const THROWN = new Error('thrown by the import');

function fail(): void {
  throw THROWN;
}

async function start(clock: ClockName = 'counter', thrower = fail) {
  const tracer = await Tracer.create({ clock });
  const imports = { js: { throw: thrower } };
  const { instance } = await tracer.instantiate(await assembleText('small', PROGRAM), imports);
  return { tracer, f: instance.exports as Record<string, Func> };
}

const HEADER = `# tracer: function_graph
#
# CPU  DURATION                  FUNCTION CALLS
# |     |   |                     |   |   |   |
`;

const MAIN = ` 0)               |  main() {
 0)   0.001 us    |    leaf();
 0)               |    mid() {
 0)   0.001 us    |      leaf();
 0)   0.001 us    |      leaf();
 0)   0.005 us    |    }
 0)   0.009 us    |  }
`;

/// Entries and exits in a graph, and how many more it says were lost.
function tally(graph: ReturnType<Tracer['startGraph']>): { events: number; lost: number } {
  const result = { events: 0, lost: 0 };
  const event = new TraceEvent();
  graph.pages((batch) => {
    for (let i = 0; i < batch.count; i++) {
      batch.read(i, event);
      if (event.kind === LOST) result.lost += event.count;
      else result.events++;
    }
  });
  return result;
}

describe('the graph', () => {
  test('the text, to the letter', async () => {
    const { tracer, f } = await start();
    const graph = tracer.startGraph();
    expect(graph.matched).toBe(6);
    expect(graph.read()).toBe(HEADER);
    f.main();
    expect(graph.read()).toBe(HEADER + MAIN);
    expect([...graph.text()].join('')).toBe(HEADER + MAIN);
    expect(graph.lost).toBe(0);
    graph.unregister();
    f.main();
    expect(graph.read()).toBe(HEADER + MAIN);
    graph.close();
    expect(graph.read()).toBe(HEADER);
  });

  test('calls that were left without returning', async () => {
    const { tracer, f } = await start();
    const graph = tracer.startGraph();
    expect(() => f.pass()).toThrow(THROWN);
    f.main();
    expect(graph.read()).toBe(`${HEADER} 0)               |  pass() {
 0)   0.001 us    |    leaf();
 0)               |    fail() {
 0)   0.001 us    |      leaf();
 0)   0.003 us    |    } /* unwound */
 0)   0.007 us    |  } /* unwound */
${MAIN}`);
    expect(tracer.counts()).toEqual({ entries: 9, returns: 7, unwound: 2, overrun: 0, stray: 0 });
  });

  test('a leaf that was left without returning', async () => {
    const { tracer, f } = await start();
    const graph = tracer.startGraph({ filter: 'fail' });
    expect(graph.matched).toBe(1);
    expect(() => f.pass()).toThrow(THROWN);
    expect(graph.read()).toBe(`${HEADER} 0)   0.001 us    |  fail(); /* unwound */\n`);
  });

  test('trace_pipe takes what it shows', async () => {
    const { tracer, f } = await start();
    const graph = tracer.startGraph();
    f.main();
    expect([...graph.text({ consume: true })].join('')).toBe(HEADER + MAIN);
    expect([...graph.text({ consume: true })].join('')).toBe(HEADER);
    expect(graph.read()).toBe(HEADER);
    f.main();
    expect(graph.read()).toBe(HEADER + MAIN);
    expect(graph.lost).toBe(0);
    graph.clear();
    expect(graph.read()).toBe(HEADER);
  });

  const CALLS = 5000;
  const EVENTS = 2 * CALLS + 2;
  const lossy = async (options: GraphOptions) => {
    const { tracer, f } = await start();
    const graph = tracer.startGraph({ bufferPages: 2, ...options });
    f.loop(CALLS);
    return { graph, f, tracer };
  };

  test('overwrite: the newest are there, behind a line that says how many are not', async () => {
    const { graph } = await lossy({ mode: 'overwrite' });
    const { events, lost } = tally(graph);
    expect(lost).toBeGreaterThan(EVENTS - 2 * 512);
    expect(graph.lost).toBe(lost);
    expect(events + lost).toBe(EVENTS);
    const lines = graph.read().slice(HEADER.length).trimEnd().split('\n');
    expect(lines[0]).toBe(`CPU:0 [LOST ${lost} EVENTS]`);
    expect(lines.filter((line) => line.includes('LOST')).length).toBe(1);
    expect(lines.at(-1)).toBe(` 0) + 10.001 us   |  } /* loop */`);
    // Seen once, taken: no longer lost for the next reader.
    expect([...graph.text({ consume: true })].join('')).toContain(lines[0]);
    expect(graph.read()).toBe(HEADER);
    expect(graph.lost).toBe(lost);
  });

  test('stop: the oldest are there, and the calls that are not are counted', async () => {
    const { graph, tracer, f } = await lossy({ mode: 'stop' });
    const { events, lost } = tally(graph);
    expect(lost).toBe(0); // in front of nothing that was recorded
    const { entries } = tracer.counts();
    // An entry that cannot be recorded is refused, so that its exit is no event; the exit of `loop` is one that had no room.
    expect(events).toBe(2 * entries - 1);
    expect(graph.lost).toBe(CALLS + 1 - entries + 1);
    const text = graph.read();
    expect(text.startsWith(`${HEADER} 0)               |  loop() {\n`)).toBe(true);
    expect(text.split('\n').filter((line) => line.includes('leaf();')).length).toBe(entries - 1);
    const before = graph.lost;
    f.main();
    expect(graph.read()).toBe(text);
    expect(graph.lost).toBe(before + 5);
    graph.close();
    expect(graph.lost).toBe(before + 5);
  });

  test('on = false halts, on = true goes on', async () => {
    const { tracer, f } = await start();
    const graph = tracer.startGraph();
    graph.on = false;
    f.main();
    expect(graph.read()).toBe(HEADER);
    graph.on = true;
    f.main();
    expect(graph.read()).toBe(HEADER + MAIN);
    graph.on = false;
    f.main();
    expect(graph.read()).toBe(HEADER + MAIN);
    expect(graph.lost).toBe(0);
  });
});

describe('the profile', () => {
  test('count, total, self, average and max, to the unit', async () => {
    const { tracer, f } = await start();
    const profile = tracer.startProfile();
    f.main();
    const row = (name: string, count: number, total: number, self: number, max: number) => {
      return { site: expect.any(Number), name, count, total, self, average: total / count, max };
    };
    expect(profile.rows()).toEqual([row('main', 1, 9, 3, 9), row('mid', 1, 5, 3, 5), row('leaf', 3, 3, 3, 1)]);
    expect(() => f.pass()).toThrow(THROWN);
    expect(profile.rows()).toEqual([
      row('leaf', 5, 5, 5, 1),
      row('main', 1, 9, 3, 9),
      row('pass', 1, 7, 3, 7),
      row('mid', 1, 5, 3, 5),
      row('fail', 1, 3, 2, 3),
    ]);
    const last = profile.rows();
    profile.unregister();
    f.main();
    expect(profile.rows()).toEqual(last);
    profile.clear();
    expect(profile.rows()).toEqual([]);
  });

  test('clear begins anew; the table is the one of trace_stat', async () => {
    const { tracer, f } = await start();
    const profile = tracer.startProfile({ filter: ['main', 'leaf'] });
    expect(profile.matched).toBe(2);
    f.loop(7);
    profile.clear();
    f.main();
    expect(profile.text()).toBe(
      [
        '  Function                               Hit    Time            Avg',
        '  --------                               ---    ----            ---',
        '  main                                     1    0.007 us        0.007 us    ',
        '  leaf                                     3    0.003 us        0.001 us    ',
        '',
      ].join('\n'),
    );
  });

  test('the monotonic clock: nothing is negative, self is part of total, and all of it fits into the time that passed', async () => {
    const { tracer, f } = await start('mono');
    const profile = tracer.startProfile();
    const graph = tracer.startGraph({ bufferPages: 64 });
    const before = process.hrtime.bigint();
    f.loop(2000);
    f.main();
    const passed = Number(process.hrtime.bigint() - before);
    const rows = profile.rows();
    expect(rows.map(({ name, count }) => [name, count]).sort()).toEqual([
      ['leaf', 2003],
      ['loop', 1],
      ['main', 1],
      ['mid', 1],
    ]);
    for (const { total, self, max, average, count } of rows) {
      expect(self).toBeGreaterThanOrEqual(0);
      expect(total).toBeGreaterThanOrEqual(self);
      expect(max).toBeLessThanOrEqual(total);
      expect(max).toBeGreaterThanOrEqual(average);
      expect(average).toBe(total / count);
    }
    const self = rows.reduce((sum, row) => sum + row.self, 0);
    const outermost = rows.filter(({ name }) => name === 'loop' || name === 'main');
    expect(self).toBe(outermost.reduce((sum, row) => sum + row.total, 0));
    expect(self).toBeGreaterThan(0);
    expect(self).toBeLessThanOrEqual(passed);
    let newest = 0;
    const event = new TraceEvent();
    graph.pages((batch) => {
      for (let i = 0; i < batch.count; i++) {
        batch.read(i, event);
        expect(event.time).toBeGreaterThanOrEqual(newest);
        newest = event.time;
        if (event.kind !== ENTRY) expect(event.time).toBeGreaterThanOrEqual(event.call);
      }
    });
  });

  test('the monotonic clock counts nanoseconds', async () => {
    const MS = 1_000_000;
    let waited = 0;
    const wait = () => {
      const from = process.hrtime.bigint();
      while (waited < 3 * MS) waited = Number(process.hrtime.bigint() - from);
    };
    const { tracer, f } = await start('mono', wait);
    const profile = tracer.startProfile();
    const before = process.hrtime.bigint();
    f.pass();
    const passed = Number(process.hrtime.bigint() - before);
    const { total, self, max } = profile.rows().find(({ name }) => name === 'fail')!;
    expect(max).toBe(total);
    expect(self).toBeGreaterThan(0.99 * waited);
    expect(total).toBeLessThanOrEqual(passed);
  });
});

describe('at once', () => {
  test('what createSync, compileSync and instantiateSync make is what the others make', async () => {
    const bytes = await assembleText('small', PROGRAM);
    const tracer = Tracer.createSync({ clock: 'counter' });
    const graph = tracer.startGraph();
    const { instance, module, target } = tracer.instantiateSync(tracer.compileSync(bytes), { js: { throw: fail } });
    expect(target!.sites.length).toBe(6);
    expect(WebAssembly.Module.exports(module).map(({ name }) => name)).toEqual(['main', 'pass', 'loop']);
    (instance.exports as Record<string, Func>).main();
    expect(graph.read()).toBe(HEADER + MAIN);
  });

  test('a start function runs under who watches already, and its error comes out', async () => {
    const tracer = Tracer.createSync({ clock: 'counter' });
    const graph = tracer.startGraph();
    const bytes = await assembleText('starts', '(module (func $go unreachable) (start $go))');
    expect(() => tracer.instantiateSync(bytes)).toThrow(WebAssembly.RuntimeError);
    expect(graph.read()).toBe(`${HEADER} 0)   0.001 us    |  go(); /* unwound */\n`);
    expect(tracer.targets.size).toBe(0);
  });

  test('errors are those of the others', async () => {
    const tracer = Tracer.createSync();
    expect(() => tracer.instantiateSync(Uint8Array.of(1, 2, 3))).toThrow('wasm: 0x01 at byte 0');
    expect(() => tracer.instantiateSync(5 as never)).toThrow('expected the bytes of a module');
    const bytes = await assembleText('small', PROGRAM);
    expect(() => tracer.instantiateSync(bytes, {})).toThrow('WebAssembly.Instance(): Import #0');
    expect(() => tracer.instantiateSync(bytes, {}, { nam: 'x' } as never)).toThrow(
      "instantiateSync has no option 'nam'",
    );
    expect(() => Tracer.createSync({ engine: bytes })).toThrow('not an engine');
    expect(() => Tracer.createSync({ stackWords: 0 })).toThrow('a shadow stack has 64 to 16777216 words, not 0');
    const { instance, target } = tracer.instantiateSync(
      Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 0, 9, 6, ...Buffer.from('fprobe'), 1, 0),
      {},
      { fallback: true },
    );
    expect({ target, exports: Object.keys(instance.exports) }).toEqual({ target: undefined, exports: [] });
  });
});

describe('README.md', async () => {
  const root = join(import.meta.dirname, '..');
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  /// By the heading they stand under.
  const examples = new Map<string, string>();
  for (const [, heading, chapter] of readme.matchAll(/^#+ (.*?)\n(.*?)(?=^#+ |$(?![\s\S]))/gms)) {
    const codes = Array.from(chapter.matchAll(/^```js\n(.*?)^```$/gms), ([, code]) => code);
    for (const [k, code] of codes.entries()) examples.set(k === 0 ? heading : `${heading} ${k + 1}`, code);
  }
  const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    exports: Record<string, { default?: string }>;
  };

  /// What `import … from 'fprobe/…'` gives, out of the sources that package.json's files are made of.
  function packageModule(specifier: string): Promise<unknown> {
    const built = exports[specifier.replace(/^fprobe/, '.')]?.default;
    if (!built) throw new Error(`README.md imports '${specifier}', which package.json does not export`);
    return import(join(root, built.replace(/^\.\/dist\//, '').replace(/\.js$/, '.ts')));
  }

  const log: unknown[] = [];
  const tables: unknown[] = [];
  const graphs: string[] = [];
  const quiet = {
    log: (text: unknown, ...more: string[]) => log.push(text) && graphs.push(...more),
    table: (rows: unknown) => tables.push(rows),
  };

  /// Runs an example as it stands, but for `import`, which a function body cannot have. Answers with what it declared.
  async function run(code: string, given: Record<string, unknown>): Promise<Record<string, unknown>> {
    const AsyncFunction = (async () => {}).constructor as new (
      ...args: string[]
    ) => (...args: unknown[]) => Promise<never>;
    const names = Array.from(code.matchAll(/^(?:const|let) (?:\{(.*?)\}|(\w+)) =/gm), ([, many, one]) => many ?? one);
    const body = code.replace(/^import (\{.*\}) from '(.*)';$/gm, "const $1 = await packageModule('$2');");
    const all = { ...given, packageModule, console: quiet };
    return new AsyncFunction(...Object.keys(all), `${body}\nreturn { ${names.join(', ')} };`)(...Object.values(all));
  }

  const bytes = await assembleText(
    'readme',
    `(module (import "js" "note" (func $note))
      (func $sqlite3_step (call $parse1)) (func $sqlite3_free) (func $parse1 (call $note)) (func $parse22)
      (func $run (export "run") (call $sqlite3_step) (call $parse22) (call $sqlite3_free)))`,
  );

  test('has the examples that are tested here', () => {
    expect([...examples.keys()]).toEqual([
      'Use it',
      'Users of your own',
      'JavaScript functions',
      'Only the instrumenter',
      'The machine',
      ...['fprobe on fgraph', 'fprobe on fgraph 2', 'fprobe on fgraph 3'], // in fprobe/readme.test.ts
    ]);
  });

  test('Use it', async () => {
    let notes = 0;
    const imports = { js: { note: () => notes++ } };
    const { tracer, graph, profile } = await run(examples.get('Use it')!, { bytes, imports });
    expect(tracer).toBeInstanceOf(Tracer);
    expect(notes).toBe(2);
    expect(graph).toMatchObject({ matched: 2, lost: 0 });
    expect(log.length).toBe(1);
    const text = String(log[0])
      .replace(/\d+\.\d+ us {1,4}/g, (time) => 'N'.padEnd(time.length))
      .replace(/[+!#*@$] N/g, '  N');
    expect(text.slice(0, HEADER.length)).toBe(HEADER);
    const lines = text.slice(HEADER.length).trimEnd().split('\n');
    expect(lines.map((line) => line.slice(line.indexOf('|') + 3))).toEqual(['sqlite3_step() {', '  parse1();', '}']);
    expect(tables).toEqual([(profile as { rows(): unknown }).rows()]);
    const [row] = tables[0] as object[];
    expect(Object.keys(row)).toEqual(['site', 'name', 'count', 'total', 'self', 'average', 'max']);
    expect((tables[0] as { name: string }[]).map(({ name }) => name).sort()).toEqual([
      'parse1',
      'parse22',
      'run',
      'sqlite3_free',
      'sqlite3_step',
    ]);
  });

  test('Users of your own', async () => {
    log.length = 0;
    const tracer = await Tracer.create();
    const { instance, target } = await tracer.instantiate(bytes, { js: { note() {} } });
    const given = { tracer, instance };
    const { user, ops } = await run(examples.get('Users of your own')!, given);
    const address = (name: string) => target!.sites.find((site) => site.name === name)!.ip.toString(16);
    const [parse1, parse22] = [address('parse1'), address('parse22')];
    // At return, innermost first, before and after the filter was changed; entries as they come.
    expect(log).toEqual([
      ...[parse1, 'sqlite3_step', parse22, 'sqlite3_free'],
      ...[parse1, 'parse1', parse22, 'parse22'],
    ]);
    for (const client of [user, ops]) expect(client).toMatchObject({ errors: 0, registered: false, matched: 2 });
  });

  test('JavaScript functions', async () => {
    log.length = graphs.length = 0;
    const tracer = await Tracer.create();
    const { target, store } = await run(examples.get('JavaScript functions')!, { tracer });
    const shape = (text: string) => text.replace(/[ +!#*@$] *\d+\.\d+ us {1,4}/g, (time) => ' '.repeat(time.length));
    const shown = /### JavaScript functions\n.*?^```\n\n```\n(.*?)^```$/ms.exec(readme)![1];
    expect(log).toEqual([1]);
    expect(shape(graphs[0])).toBe(HEADER + shape(shown));
    expect(target).toMatchObject({ left: [], notrace: [{ name: 'store.constructor' }] });
    expect(Object.getOwnPropertyDescriptor((store as object).constructor.prototype, 'put')!.value.name).toBe('put');
    for (const left of tracer.targets) tracer.detach(left);
  });

  test('The machine', async () => {
    log.length = graphs.length = 0;
    const { machine, probe } = await run(examples.get('The machine')!, { tracer: await Tracer.create() });
    const shown = /### The machine\n.*?^```\n\n```\n(.*?)^```$/ms.exec(readme)![1];
    expect(log.join('\n')).toBe(shown);
    expect(machine).toMatchObject({ name: 's390x', time: 1500n });
    expect(probe).toMatchObject({ hits: 1, errors: 0 });
  });

  test('Only the instrumenter', async () => {
    const result = await run(examples.get('Only the instrumenter')!, { original: bytes });
    expect(result).toMatchObject({ skipped: [], warnings: [], sites: { length: 5 } });
    let notes = 0;
    const { instance } = await WebAssembly.instantiate(result.bytes as Uint8Array<ArrayBuffer>, {
      js: { note: () => notes++ },
    });
    (instance.exports.run as Func)();
    expect(notes).toBe(1);
  });
});
