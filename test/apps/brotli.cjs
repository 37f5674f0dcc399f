// Brotli, Rust compiled to WebAssembly, loaded synchronously by CommonJS: compresses, decompresses, refuses rubbish.
const { createHash } = require('node:crypto');
const brotli = require('brotli-wasm');

const text = Array.from({ length: 3000 }, (_, i) => `line ${(i * 7919) % 997} of ${i % 13}`).join('\n');
const packed = brotli.compress(Buffer.from(text), { quality: 5 });
const back = Buffer.from(brotli.decompress(packed)).toString();
console.log(text.length, packed.length, back === text, createHash('sha256').update(packed).digest('hex'));
try {
  brotli.decompress(Buffer.from('this is no brotli'));
} catch (error) {
  console.log(String(error));
}
