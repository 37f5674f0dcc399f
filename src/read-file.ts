// Files that somebody else names: an environment variable, a module, whoever can write to a folder. Reading one must come to an end,
// so that it can be said that it is not what it should be.

import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from 'node:fs';

const PIECE = 1 << 16;

/// As the system's own errors are.
function refusal(code: string, message: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${message}, read '${path}'`), { code, syscall: 'read', path });
}

function kind(stats: Stats): string {
  if (stats.isDirectory()) return 'a directory';
  if (stats.isFIFO()) return 'a pipe';
  return stats.isSocket() ? 'a socket' : 'a device';
}

/// The bytes of a regular file, which has `limit` at most. Never waits for a writer. `flags` are further ones of `open`. Throws an
/// error of the system, EINVAL for what is no regular file, EFBIG for a larger one.
export function readRegularFile(path: string, limit: number, flags = 0): Buffer {
  const { O_RDONLY, O_NONBLOCK } = constants; // the latter undefined, so 0, where the system has none
  const file = openSync(path, O_RDONLY | O_NONBLOCK | flags);
  try {
    const stats = fstatSync(file);
    if (!stats.isFile()) throw refusal('EINVAL', `it is ${kind(stats)} (expected a file)`, path);
    if (stats.size > limit) throw refusal('EFBIG', `it has ${stats.size} bytes (expected ${limit} at most)`, path);
    // Some have more than they say, those of /proc above all, and others grow.
    let bytes = Buffer.allocUnsafe(Math.min(stats.size || PIECE, limit) + 1);
    for (let length = 0; ; ) {
      const count = readSync(file, bytes, length, bytes.length - length, null);
      if (count === 0) return bytes.subarray(0, length);
      length += count;
      if (length > limit) throw refusal('EFBIG', `it has more than ${limit} bytes`, path);
      if (length < bytes.length) continue;
      const larger = Buffer.allocUnsafe(Math.min(length * 2, limit + 1));
      bytes.copy(larger);
      bytes = larger;
    }
  } finally {
    closeSync(file);
  }
}
