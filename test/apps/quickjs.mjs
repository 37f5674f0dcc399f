// QuickJS runs a script that throws, recurses and matches; then this program ends with an exit code of its own.
import variant from '@jitl/quickjs-wasmfile-release-sync';
import { newQuickJSWASMModuleFromVariant } from 'quickjs-emscripten-core';

const engine = await newQuickJSWASMModuleFromVariant(variant);
const script = `
  const fib = (n) => (n < 2 ? n : fib(n - 1) + fib(n - 2));
  let caught = 0;
  for (let i = 0; i < 200; i++) try { if (i % 3 === 0) throw new Error('x' + i) } catch (error) { caught += error.message.length }
  const words = Array.from({ length: 400 }, (_, i) => 'w' + (i * 7919 % 1009)).sort().join(' ');
  [fib(15), caught, words.match(/w1\\d+/g).length, words.slice(0, 40)].join()`;
console.log(engine.evalCode(script));
process.exitCode = 3;
