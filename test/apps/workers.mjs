// Zstandard in several threads: one module compiled here and sent to workers by structured clone, one that each worker loads for
// itself; results come back out of order and are sorted.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

const THREADS = 3;

if (isMainThread) {
  const path = createRequire(import.meta.url).resolve('source-map/lib/mappings.wasm');
  const module = new WebAssembly.Module(readFileSync(path));
  const results = await Promise.all(
    Array.from(
      { length: THREADS },
      (_, n) =>
        new Promise((resolve, reject) => {
          const worker = new Worker(new URL(import.meta.url), { workerData: { n, module }, execArgv: [] });
          worker.once('message', resolve).once('error', reject);
        }),
    ),
  );
  for (const result of results.sort()) console.log(result);
} else {
  const { n, module } = workerData;
  const { compress, decompress, init } = createRequire(import.meta.url)('@bokuweb/zstd-wasm');
  await init();
  const data = Buffer.from(`worker ${n} `.repeat(2000 + n));
  const packed = compress(data, 3);
  const isSame = Buffer.from(decompress(packed)).equals(data);
  const { exports } = new WebAssembly.Instance(module, { env: { mapping_callback() {} } });
  const address = exports.allocate_mappings(64 + n);
  parentPort.postMessage(`${n}: ${data.length} ${packed.length} ${isSame} ${typeof address}`);
}
