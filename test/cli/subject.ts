// Small WebAssembly files for tests of the command line, written to a folder of their own.

import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import wabt from 'wabt';

export const folder = mkdtempSync(join(tmpdir(), 'fprobe-test-'));
const { parseWat } = await wabt();

/// Writes a module and returns its path.
function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, parseWat(name, text).toBinary({ write_debug_names: true }).buffer);
  return path;
}

/// `run` calls `parse` three times, each of which calls `next_token`; `spin` never returns; `crash` traps inside of `parse`.
export const SUBJECT = file(
  'subject.wasm',
  `(module
    (func $next_token (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
    (func $parse (param i32) (result i32)
      (if (i32.lt_s (local.get 0) (i32.const 0)) (then unreachable))
      (call $next_token (call $next_token (local.get 0))))
    (func $run (export "run") (result i32)
      (call $parse (call $parse (call $parse (i32.const 1)))))
    (func $crash (export "crash") (result i32) (call $parse (i32.const -1)))
    (func $spin (export "spin") (loop $again (drop (call $next_token (i32.const 1))) (br $again))))`,
);

/// `outer` calls the import `js.inside`, and then `after`.
export const NESTED = file(
  'nested.wasm',
  '(module (import "js" "inside" (func $inside)) (func $after) (func $outer (export "outer") (call $inside) (call $after)))',
);

/// A program for `node -e` with the exports of SUBJECT in `wasm`.
export const script = (body: string): string[] => [
  '-e',
  `const { exports: wasm } = new WebAssembly.Instance(new WebAssembly.Module(require('fs').readFileSync('${SUBJECT}'))); ${body}`,
];

const WASI = (name: string, types: string): string =>
  `(import "wasi_snapshot_preview1" "${name}" (func $${name} ${types}))`;

/// Prints its arguments and its environment with the zero bytes in them, copies standard input, ends with the number of
/// arguments.
export const COPY = file(
  'copy.wasm',
  `(module
    ${WASI('args_sizes_get', '(param i32 i32) (result i32)')}
    ${WASI('args_get', '(param i32 i32) (result i32)')}
    ${WASI('environ_sizes_get', '(param i32 i32) (result i32)')}
    ${WASI('environ_get', '(param i32 i32) (result i32)')}
    ${WASI('fd_read', '(param i32 i32 i32 i32) (result i32)')}
    ${WASI('fd_write', '(param i32 i32 i32 i32) (result i32)')}
    ${WASI('proc_exit', '(param i32)')}
    (memory (export "memory") 2)
    (func $print (param i32 i32)
      (i32.store (i32.const 0) (local.get 0))
      (i32.store (i32.const 4) (local.get 1))
      (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))
    (func $copy
      (loop $again
        (i32.store (i32.const 0) (i32.const 32768))
        (i32.store (i32.const 4) (i32.const 4096))
        (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
        (if (i32.load (i32.const 8))
          (then (call $print (i32.const 32768) (i32.load (i32.const 8))) (br $again)))))
    (func (export "_start")
      (drop (call $environ_sizes_get (i32.const 16) (i32.const 20)))
      (drop (call $environ_get (i32.const 2048) (i32.const 8192)))
      (call $print (i32.const 8192) (i32.load (i32.const 20)))
      (drop (call $args_sizes_get (i32.const 16) (i32.const 20)))
      (drop (call $args_get (i32.const 1024) (i32.const 4096)))
      (call $print (i32.const 4096) (i32.load (i32.const 20)))
      (call $copy)
      (call $proc_exit (i32.load (i32.const 16)))))`,
);

export const TRAP = file(
  'trap.wasm',
  '(module (memory (export "memory") 1) (func $oops (export "_start") unreachable))',
);
export const LIBRARY = file('library.wasm', '(module (memory (export "memory") 1) (func (export "add")))');
export const FOREIGN = file('foreign.wasm', '(module (import "env" "draw" (func)) (func (export "_start")))');

/// What can be read of MALFORMED ends at byte 10.
export const MALFORMED = join(folder, 'malformed.wasm');
writeFileSync(MALFORMED, Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 9, 1));
