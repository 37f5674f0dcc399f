// Recordings for tests: one thread's, with what matters to a test given and the rest made up.

import type { Recording } from '../../src/recording.ts';
import { PageWriter } from '../trace/pages.ts';

/// A recording of `names`' functions; site n is the n-th of them.
export function recording(names: readonly string[], wishes: Partial<Recording> = {}): Recording {
  return {
    pid: 100,
    ppid: 1,
    tid: 0,
    comm: 'app.js',
    command: ['node', 'app.js'],
    began: 0,
    ended: 1e9,
    end: 'exit',
    clock: 'mono',
    clockOffset: 0,
    tracer: 'function_graph',
    modules: [
      {
        name: 'main',
        functions: names.length,
        notrace: 0,
        matched: names.length,
        size: 0,
        instrumentedSize: 0,
        loadTime: 0,
        cached: false,
      },
    ],
    symbols: names.map((name, site) => ({
      site,
      name,
      module: 0,
      index: site,
      offset: 0x1000 + site,
      ip: 0x1000 + site,
      size: 8,
    })),
    tasks: [],
    globs: [],
    counts: { entries: 0, returns: 0, unwound: 0, overrun: 0 } as Recording['counts'],
    lost: 0,
    notes: [],
    pages: new Uint32Array(0),
    rows: [],
    ...wishes,
  };
}

/// Pages one after the other, as words.
export function pages(...writers: readonly PageWriter[]): Uint32Array {
  const words = writers.flatMap((writer) => Array.from(writer.words));
  return Uint32Array.from(words);
}

export { PageWriter };
