// Who calls: the script that loads a module is the best name for one that has none.

const DEPTH = 30;
// The directory of the compiled files, or of the sources.
const OURS = new URL('..', import.meta.url);

export interface Caller {
  /// A library inside Node itself, such as its HTTP parser: no part of the program.
  readonly internal: boolean;
  /// Path or URL of the nearest script that is neither Node's nor ours.
  readonly file: string | undefined;
}

export function caller(): Caller {
  const limit = Error.stackTraceLimit;
  const prepare = Error.prepareStackTrace;
  const holder: { stack?: NodeJS.CallSite[] } = {};
  try {
    Error.stackTraceLimit = DEPTH;
    Error.prepareStackTrace = (_, sites) => sites;
    Error.captureStackTrace(holder, caller);
    return find(holder.stack ?? []);
  } finally {
    Error.stackTraceLimit = limit;
    Error.prepareStackTrace = prepare;
  }
}

function find(sites: readonly NodeJS.CallSite[]): Caller {
  for (const site of sites) {
    const file = site.getFileName();
    if (!file || file.startsWith('wasm:') || isOurs(file)) continue;
    if (file.startsWith('node:internal/deps/')) return { internal: true, file: undefined };
    if (!file.startsWith('node:')) return { internal: false, file };
  }
  return { internal: false, file: undefined };
}

const isOurs = (file: string): boolean => file.startsWith(OURS.href) || file.startsWith(OURS.pathname);
