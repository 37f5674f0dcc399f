// Rollup, whose parser is Rust compiled to WebAssembly, bundles a package with several modules.
import { createHash } from 'node:crypto';
import { rollup } from '@rollup/wasm-node';

const modules = {
  main: `import { area, unused } from './shapes'; import * as text from './text'; console.log(text.title(area(3)))`,
  './shapes': 'export const area = (r) => Math.PI * r ** 2; export const unused = () => import.meta.url',
  './text':
    'export class Title { #n; constructor(n) { this.#n = n } toString() { return "area " + this.#n } }\nexport const title = (n) => String(new Title(n))',
};
const build = (entries) =>
  rollup({
    input: 'main',
    plugins: [{ name: 'memory', resolveId: (id) => id, load: (id) => entries[id] ?? null }],
    onwarn() {},
  });
const bundle = await build(modules);
const { output } = await bundle.generate({ format: 'iife', name: 'shapes' });
console.log(output[0].code.length, createHash('sha256').update(output[0].code).digest('hex'));
await build({ ...modules, './text': 'export const title = (' }).catch((error) => console.log(error.code, error.pos));
await bundle.close();
