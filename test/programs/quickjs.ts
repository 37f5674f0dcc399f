// QuickJS, a JavaScript engine: an interpreter loop in one huge function, calls through tables for every built-in, deep
// recursion, and host functions that the script calls and that call the script.
import variant from '@jitl/quickjs-wasmfile-release-sync';
import {
  type EmscriptenModuleLoaderOptions,
  newQuickJSWASMModuleFromVariant,
  newVariant,
  type QuickJSContext,
  type QuickJSSyncVariant,
} from 'quickjs-emscripten-core';
import { type Bytes, bytesOf, type Program, throughHook } from './program.ts';

const STACK_BYTES = 24 * 1024;

const wasm = (): Bytes => bytesOf('@jitl/quickjs-wasmfile-release-sync/dist/emscripten-module.wasm');

export const quickjs: Program = {
  name: 'quickjs',
  package: '@jitl/quickjs-wasmfile-release-sync',
  language: 'C',
  wasm,
  async start(instantiate) {
    const engine = await throughHook(instantiate, wasm(), (instantiateWasm) =>
      newQuickJSWASMModuleFromVariant(
        newVariant(variant as unknown as QuickJSSyncVariant, {
          emscriptenModule: { instantiateWasm } as EmscriptenModuleLoaderOptions,
        }),
      ),
    );
    return {
      run(scale = 1) {
        const runtime = engine.newRuntime();
        // Low enough that the script's endless recursion ends here, by an exception of the script, and not in the
        // outer engine: at what depth that overflows depends on how far it has optimised the interpreter.
        runtime.setMaxStackSize(STACK_BYTES);
        const context = runtime.newContext();
        try {
          return runScripts(context, scale);
        } finally {
          context.dispose();
          runtime.dispose();
        }
      },
    };
  },
};

function runScripts(context: QuickJSContext, scale: number): string {
  const lines: string[] = [];
  const host = context.newFunction('host', (text, callback) => {
    lines.push(`host: ${context.getString(text)}`);
    // Back into the engine while it waits for us.
    return context.typeof(callback) === 'function'
      ? context.callFunction(callback, context.undefined, context.newNumber(lines.length))
      : context.undefined;
  });
  context.setProp(context.global, 'host', host);
  host.dispose();
  const evaluate = (code: string) => {
    const result = context.evalCode(code, 'workload.js');
    const value = context.dump(result.error ?? result.value);
    result.dispose();
    return result.error ? `${value.name}: ${value.message}` : String(value);
  };
  for (const code of SCRIPTS) lines.push(evaluate(`{ const scale = ${2 * scale};\n${code} }`));
  for (const code of MISTAKES) lines.push(`${code}: ${evaluate(code)}`);
  return lines.join('\n');
}

const SCRIPTS = [
  `function fib(n) { return n < 2 ? n : fib(n - 1) + fib(n - 2) }
   let sum = 0; for (let i = 0; i < 6 * scale; i++) sum += fib(19); 'fib ' + sum`,

  `const text = Array.from({ length: 900 * scale }, (_, i) => 'user' + i + '@host' + (i % 7) + '.example, id=' + i * 37 % 101 + ';').join(' ');
   let mails = 0, total = 0;
   const mail = /(?<user>[a-z]+)(\\d+)@([\\w.]+), id=(\\d+)/gu;
   for (let match; (match = mail.exec(text)); ) { mails++; total += +match[4] + match.groups.user.length }
   const swapped = text.replace(/(\\w+)@(\\w+)/g, (_, a, b) => b + '@' + a).split(/[;,]\\s*/);
   'regexp ' + [mails, total, swapped.length, swapped[9], /^(a+)+$/.test('aaaaaaaaaaaaab')].join()`,

  `class Shape { constructor(n) { this.n = n } area() { return 0 } get kind() { return this.constructor.name } }
   class Square extends Shape { area() { return this.n ** 2 } }
   class Disc extends Shape { area() { return Math.round(Math.PI * this.n ** 2) } }
   const shapes = Array.from({ length: 3000 * scale }, (_, i) => i % 3 ? new Square(i % 50) : new Disc(i % 40));
   const groups = new Map();
   for (const shape of shapes) groups.set(shape.kind, (groups.get(shape.kind) ?? 0) + shape.area());
   shapes.sort((a, b) => a.area() - b.area() || a.n - b.n);
   'objects ' + JSON.stringify([...groups]) + shapes.slice(0, 5).map((s) => s.kind + s.n)`,

  `const tree = (depth) => depth ? { depth, left: tree(depth - 1), right: [tree(depth - 1), 'é\\u{1F600}', depth / 3] } : null;
   const json = JSON.stringify(tree(8)); let back;
   for (let i = 0; i < 4 * scale; i++) back = JSON.stringify(JSON.parse(json, (key, value) => key === 'depth' ? value + 1 : value));
   'json ' + json.length + ' ' + back.length + ' ' + back.slice(0, 60)`,

  `let caught = 0, cleaned = 0;
   function thrower(n) { try { if (n === 0) throw new RangeError('bottom'); thrower(n - 1) } finally { cleaned++ } }
   for (let i = 0; i < 300 * scale; i++) try { thrower(i % 20) } catch (error) { caught += error.message.length }
   try { null.property } catch (error) { caught += ' ' + error.name }
   'exceptions ' + caught + ' ' + cleaned`,

  `let depth = 0; function dive() { depth++; dive() }
   let name; try { dive() } catch (error) { name = error.name + ' ' + error.message } 'overflow ' + name + ' ' + depth`,

  `function* primes(limit) { const sieve = new Uint8Array(limit); for (let i = 2; i < limit; i++) if (!sieve[i]) { yield i; for (let j = i * i; j < limit; j += i) sieve[j] = 1 } }
   let count = 0, last = 0; for (const p of primes(40000 * scale)) { count++; last = p }
   let factorial = 1n; for (let i = 1n; i <= 120n; i++) factorial *= i;
   'numbers ' + [count, last, factorial % 1000003n, String(factorial).length, (0.1 + 0.2).toFixed(20)]`,

  `const { proxy, log } = (() => { const log = []; return { log, proxy: new Proxy({}, { get: (_, key) => (log.push(key), key.length), has: () => true }) } })();
   const seen = []; for (let i = 0; i < 40; i++) seen.push(host('call ' + i, i % 4 ? undefined : (n) => n * proxy.width + fib2(12)));
   function fib2(n) { return n < 2 ? n : fib2(n - 1) + fib2(n - 2) }
   'host ' + seen + ' ' + log.length`,
];

const MISTAKES = ['let let = 1', 'undefinedName', 'throw new TypeError("on purpose")', 'new Array(-1)', '/(/.test("")'];
