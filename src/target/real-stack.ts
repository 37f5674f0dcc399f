// What the JavaScript engine itself says is on the stack, as far as it tells: the WebAssembly frames of `Error.stack`,
// innermost first. Slow (microseconds per frame); for checks and for rare decisions, never on a hot path.

/// V8 writes "at name (wasm://wasm/1a2b3c:wasm-function[12]:0x1f4)", SpiderMonkey and JavaScriptCore "wasm-function[12]".
const WASM_FRAME = /wasm-function\[(\d+)\]/;

/// Calls `visit` for every frame, innermost first: the function index for WebAssembly, -1 for JavaScript; and what the engine calls
/// the module, the same for all instances of the same bytes, '' where it does not say. Stops when `visit` returns false. The frame
/// of this function itself is not shown.
export function walkRealStack(visit: (functionIndex: number, module: string) => boolean): void {
  const holder: { stack?: string } = {};
  const limit = Error.stackTraceLimit;
  const prepare = Error.prepareStackTrace;
  Error.stackTraceLimit = Number.POSITIVE_INFINITY;
  // A program may have installed its own formatter; the text that we read is the engine's.
  (Error as { prepareStackTrace?: unknown }).prepareStackTrace = undefined;
  try {
    if (Error.captureStackTrace) Error.captureStackTrace(holder, walkRealStack);
    else holder.stack = new Error().stack;
    const text = holder.stack ?? '';
    for (const line of text.split('\n')) {
      const wasm = WASM_FRAME.exec(line);
      const frame = wasm ? Number(wasm[1]) : line.startsWith('    at ') || line.includes('@') ? -1 : undefined;
      if (frame !== undefined && !visit(frame, wasm ? moduleOf(line, wasm.index) : '')) return;
    }
  } finally {
    Error.stackTraceLimit = limit;
    Error.prepareStackTrace = prepare;
  }
}

/// The URL in front of `:wasm-function[…]`; names before it may hold anything.
function moduleOf(line: string, end: number): string {
  const open = line.lastIndexOf('(', end);
  const start = open < 0 ? line.indexOf('at ') + 3 : open + 1;
  return line.slice(start, Math.max(start, end - 1));
}

/// The function indices of the WebAssembly frames below the caller, whatever module they belong to, innermost first;
/// `skipEntry` leaves out the run of WebAssembly frames that called the caller directly.
export function wasmFrames(skipEntry: boolean): number[] {
  const frames: number[] = [];
  let inEntry = false;
  let entryOver = !skipEntry;
  walkRealStack((frame) => {
    if (frame < 0) entryOver ||= inEntry;
    else if (entryOver) frames.push(frame);
    else inEntry = true;
    return true;
  });
  return frames;
}
