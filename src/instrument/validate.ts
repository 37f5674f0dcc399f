// The engine's own opinion on what we made. It sees every byte that was copied, so nothing that it refuses in the input
// can come out as something it accepts; what remains is to say where in the input the trouble is.

import { WasmFormatError } from '../errors.ts';

/// Why the engine refuses `output`, made of `input`; undefined when it does not, or when there is no engine to ask.
export function engineRefusal(input: Uint8Array, output: Uint8Array): WasmFormatError | undefined {
  if (typeof WebAssembly === 'undefined' || WebAssembly.validate(output as BufferSource)) return undefined;
  const message = compileError(input);
  if (message === undefined) {
    const ours = compileError(output) ?? 'no reason given';
    return new WasmFormatError(
      0,
      `instrumented form that the engine refuses (${ours})`,
      'a valid one: please report this',
    );
  }
  // "WebAssembly.Module(): … @+123": V8's way to name the byte.
  const offset = /@\+(\d+)/.exec(message)?.[1];
  const reason = message.replace(/^[^:]*:\s*/, '').replace(/\s*@\+\d+$/, '');
  return new WasmFormatError(offset === undefined ? 0 : Number(offset), reason, 'what this engine accepts');
}

function compileError(bytes: Uint8Array): string | undefined {
  try {
    new WebAssembly.Module(bytes as BufferSource);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
