// Bzip2 behind a C++ binding, with mangled names: unpacks, and refuses what is damaged or too large.
const { createHash } = require('node:crypto');
const Bzip2 = require('@foxglove/wasm-bz2');

// "fprobe watches what functions do\n" 4000 times, packed by bzip2 -9.
const PACKED = Buffer.from(
  'QlpoOTFBWSZTWWr3ilYAbV/RgAAQQAA/Yd6AMAEYAU0yMTExCmmRiYmIFKqDTTT1NqbUwCVWQSq/AlVwCVXcEqsAlVoEqtgSq2BKrIJVewSq+AlV6BKrgEqvAJVbglVgEqtwSq0CVXAJVcglVoEqugSq6BKrQJVZBKroEqtASqwCVWwJVcgSq/i7kinChINXvFKw',
  'base64',
);

Bzip2.init().then((bzip2) => {
  const text = bzip2.decompress(PACKED, 200_000, { small: false });
  console.log(text.length, createHash('sha256').update(text).digest('hex'));
  const damaged = Buffer.from(PACKED).fill(0, 40, 44);
  for (const [bytes, room] of [
    [damaged, 200_000],
    [PACKED, 100],
  ]) {
    try {
      bzip2.decompress(bytes, room, { small: true });
    } catch (error) {
      console.log(error.message);
    }
  }
});
