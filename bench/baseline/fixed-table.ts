// What probes were found by up to Linux 6.17: a table of 256 buckets, however many functions are probed (spec/fprobe.md §6.2).
// Only that, and a stack of what was found, so what it costs is the least that the scheme can cost.

import { assembleText, distinct } from '../shapes.ts';

const BUCKETS = 256;
const NODES = 4096; // address of the first node; the buckets lie below, the addresses of the sites above
const NODE_SIZE = 16;
const PAGE = 65536;

/// A module with `enter_1` and `leave_value` as the engine has them, that calls slots 0 and 1 of its table, and `probe(site)`.
export async function fixedTable(sites: number): Promise<WebAssembly.Exports> {
  const addresses = NODES + sites * NODE_SIZE;
  const stack = addresses + sites * 8;
  const bytes = await assembleText(
    'fixed-table',
    `(module
      (type $handler (func (param i32 i64 i64 i32 i32) (result i32)))
      (memory (export "memory") ${Math.ceil((stack + PAGE) / PAGE) + 1})
      (table (export "table") 2 2 funcref)
      (global $top (mut i32) (i32.const ${stack}))
      (func $bucket (param $ip i64) (result i32)
        (i32.shl
          (i32.wrap_i64 (i64.shr_u (i64.mul (local.get $ip) (i64.const 0x61C8864680B583EB)) (i64.const 56)))
          (i32.const 2)))
      (func (export "probe") (param $site i32) (local $node i32) (local $bucket i32) (local $ip i64)
        (local.set $ip (i64.add (i64.const 0x100000000) (i64.mul (i64.extend_i32_u (local.get $site)) (i64.const 48))))
        (i64.store offset=${addresses} (i32.shl (local.get $site) (i32.const 3)) (local.get $ip))
        (local.set $node (i32.add (i32.const ${NODES}) (i32.mul (local.get $site) (i32.const ${NODE_SIZE}))))
        (local.set $bucket (call $bucket (local.get $ip)))
        (i64.store (local.get $node) (local.get $ip))
        (i32.store offset=8 (local.get $node) (i32.load (local.get $bucket)))
        (i32.store (local.get $bucket) (local.get $node)))
      (func (export "enter_1") (param $site i32) (param i64) (result i32) (local $ip i64) (local $node i32) (local $top i32)
        (local.set $ip (i64.load offset=${addresses} (i32.shl (local.get $site) (i32.const 3))))
        (local.set $node (i32.load (call $bucket (local.get $ip))))
        (block $found
          (loop $next
            (br_if $found (i32.eqz (local.get $node)))
            (br_if $found (i64.eq (i64.load (local.get $node)) (local.get $ip)))
            (local.set $node (i32.load offset=8 (local.get $node)))
            (br $next)))
        (if (i32.eqz (local.get $node)) (then (return (i32.const 0))))
        (local.set $top (global.get $top))
        (i64.store (local.get $top) (local.get $ip))
        (i32.store offset=8 (local.get $top) (local.get $node))
        (global.set $top (i32.add (local.get $top) (i32.const 32)))
        (drop (call_indirect (type $handler) (i32.const 0) (local.get $ip) (i64.const 0) (i32.const 0)
          (i32.add (local.get $top) (i32.const 16)) (i32.const 0)))
        (local.get $top))
      (func (export "leave_value") (param $cookie i32) (param i64)
        (drop (call_indirect (type $handler) (i32.const 0) (i64.load (local.get $cookie)) (i64.const 0) (i32.const 0)
          (i32.add (local.get $cookie) (i32.const 16)) (i32.const 1)))
        (global.set $top (local.get $cookie))))`,
  );
  const { exports } = (await WebAssembly.instantiate(distinct(bytes))).instance;
  for (let site = 0; site < sites; site++) (exports.probe as (site: number) => void)(site);
  return exports;
}

/// Bytes for each probed function, and for the table.
export const FIXED_TABLE_MEMORY = { location: NODE_SIZE, table: BUCKETS * 4 };
