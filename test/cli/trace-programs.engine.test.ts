// A few real programs under `fprobe trace`, on every Node: errors that leave the module, several threads, WASI.

import { describe, test } from 'vitest';
import { apps } from './apps.ts';
import { compare } from './compare.ts';

const NAMES = ['lua', 'zstd', 'flite'];

describe('the program runs as if it were untouched', () => {
  test.each(apps.filter((app) => NAMES.includes(app.name)).map((app) => [app.name, app] as const))('%s', (_, app) =>
    compare(app, ['-p', 'function_graph']),
  );
});
