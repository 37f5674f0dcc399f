// Makes one file, and what it shares with the others, of each module that programs import from dist/. The hook stands in front of
// every program that is started with it, and a hundred small modules take Node twice as long to load as a few large ones. What
// several entries use stays one: a class has one identity however one comes by it.

import { build } from 'esbuild';

await build({
  entryPoints: ['index', 'register', 'instrument/index'].map((name) => `dist/src/${name}.js`),
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  packages: 'external',
  // In place, and nothing in a folder of its own: files are found relative to their modules.
  outdir: 'dist/src',
  outbase: 'dist/src',
  chunkNames: 'shared-[hash]',
  allowOverwrite: true,
  logLevel: 'warning',
});
