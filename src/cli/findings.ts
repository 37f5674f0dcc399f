// What there is to say about a traced run besides its trace: a line each, on standard error.

import { nearestHint } from '../errors.ts';
import type { GlobUse, Recording } from '../recording.ts';
import type { Ending } from './child.ts';

export interface Findings {
  readonly messages: readonly string[];
  /// A wish of the command line came to nothing.
  readonly failed: boolean;
  /// The shadow stack was found to differ from the real one.
  readonly different: boolean;
}

const LETTERS: Readonly<Record<GlobUse['option'], string>> = {
  filter: '-l',
  notrace: '-n',
  graph: '-g',
  graphNotrace: '--graph-notrace',
  module: '--module',
  pids: '-P',
  notracePids: '--notrace-pid',
};
const PIDS: readonly GlobUse['option'][] = ['pids', 'notracePids'];
const MOST_NEAREST = 3;
const MOST_MODULES = 8;
const NOTHING_LOADED = 'no WebAssembly module was loaded in a Node process';

/// `problems`: what could not be read or written. `signal`: what ended the program.
export function findings(
  recordings: readonly Recording[],
  problems: readonly string[],
  signal: Ending['signal'] = null,
): Findings {
  const messages = [...problems];
  const loaded = recordings.flatMap(({ modules }) => modules);
  for (const { name, error } of loaded)
    if (error !== undefined) messages.push(`${name || 'a module without a name'} is not traced: ${error}`);
  for (const { comm, pid, notes } of recordings) messages.push(...notes.map((note) => `${comm}-${pid}: ${note}`));

  const unmatched = unmatchedGlobs(recordings, [...new Set(loaded.map(({ name }) => name))]);
  messages.push(...unmatched);
  if (recordings.length === 0 && signal !== null) {
    messages.push(`nothing was recorded: ${signal} ended the program before it could leave anything`);
  } else if (loaded.length === 0 && unmatched.length === 0) {
    messages.push(`nothing to trace: ${NOTHING_LOADED}`);
  }

  const lost = recordings.reduce((sum, recording) => sum + recording.lost, 0);
  if (lost > 0) messages.push(`${lost} events did not fit into the buffers; -b gives more room, -l asks for less`);
  const overrun = recordings.reduce((sum, { counts }) => sum + counts.overrun, 0);
  if (overrun > 0) messages.push(`${overrun} calls were too deep to record`);

  let different = false;
  for (const { comm, pid, tid, verify } of recordings) {
    if (!verify) continue;
    const thread = tid === 0 ? `${comm}-${pid}` : `${comm}-${pid}, thread ${tid}`;
    messages.push(
      `verify: ${thread}: ${verify.samples} samples, ${verify.differences} differences`,
      ...verify.examples,
    );
    different ||= verify.differences > 0;
  }
  return { messages, failed: unmatched.length > 0, different };
}

/// A glob is at fault when it matched nothing in any thread. Without a module there is no function that it could have matched.
/// `modules`: the names of what was loaded.
function unmatchedGlobs(recordings: readonly Recording[], modules: readonly string[]): string[] {
  const uses = new Map<string, { use: GlobUse; matched: number; nearest: Set<string> }>();
  for (const use of recordings.flatMap(({ globs }) => globs)) {
    if (modules.length === 0 && use.option !== 'module') continue;
    const key = `${use.option} ${use.glob}`;
    const all = uses.get(key) ?? { use, matched: 0, nearest: new Set<string>() };
    all.matched += use.matched;
    for (const name of use.nearest) all.nearest.add(name);
    uses.set(key, all);
  }
  return [...uses.values()]
    .filter(({ matched }) => matched === 0)
    .map(({ use, nearest }) => {
      const what = use.option === 'module' ? 'module' : PIDS.includes(use.option) ? 'task' : 'function';
      const near = nearestHint([...nearest].slice(0, MOST_NEAREST));
      const list = `; ${use.option === 'module' ? whatWasLoaded(modules) : 'fprobe list shows the names of a file'}`;
      return `${LETTERS[use.option]} '${use.glob}' matches no ${what}${near || list}`;
    });
}

function whatWasLoaded(modules: readonly string[]): string {
  if (modules.length === 0) return NOTHING_LOADED;
  const more = modules.length > MOST_MODULES ? ', …' : '';
  return `loaded: ${modules.slice(0, MOST_MODULES).join(', ')}${more}`;
}
