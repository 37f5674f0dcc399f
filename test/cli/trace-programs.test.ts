// Real programs, each run untouched and under `fprobe trace`: what they print and how they end must be the same. Three of them run
// on every Node, in trace-programs.engine.test.ts.

import { describe, test } from 'vitest';
import { apps } from './apps.ts';
import { COMPARE_TIMEOUT, compare } from './compare.ts';

const MODES = ['function_graph', 'profile', 'function'];

describe('the program runs as if it were untouched', () => {
  test.each(apps.map((app, i) => [app.name, MODES[i % MODES.length], app] as const))(
    '%s, %s',
    (_, mode, app) => compare(app, ['-p', mode, '-C', 'counter']),
    COMPARE_TIMEOUT,
  );
});
