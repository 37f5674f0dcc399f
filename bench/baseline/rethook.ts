// How exits were caught up to Linux 6.13: each probe has a pool of return nodes, made when it is registered (`nr_maxactive`); a
// call takes one, hangs it into the list of its thread, and gives it back when it returns (spec/fprobe.md §16). An empty pool is
// a miss. Only that, so what it costs is the least that the scheme can cost.

import { assembleText, distinct } from '../shapes.ts';

const NODE_SIZE = 32;
const POOL = 16; // address of the head of the pool
const LIST = 24; // of the list of the thread
const MISSED = 32;
const NODES = 64;
const PAGE = 65536;

/// The kernel's default for a probe on `functions` functions: twice as many nodes as there are CPUs, for each of them.
export const maxactive = (functions: number, cpus: number): number => 2 * cpus * functions;

/// A module with `enter_1` and `leave_value` as the engine has them, that calls slots 0 and 1 of its table, and `missed()`.
export async function rethook(nodes: number): Promise<WebAssembly.Exports> {
  const bytes = await assembleText(
    'rethook',
    `(module
      (type $handler (func (param i32 i64 i64 i32 i32) (result i32)))
      (memory (export "memory") ${Math.ceil((NODES + nodes * NODE_SIZE) / PAGE)})
      (table (export "table") 2 2 funcref)
      (func (export "fill") (param $count i32) (local $node i32)
        (local.set $node (i32.const ${NODES}))
        (loop $again
          (i32.store (local.get $node) (i32.load (i32.const ${POOL})))
          (i32.store (i32.const ${POOL}) (local.get $node))
          (local.set $node (i32.add (local.get $node) (i32.const ${NODE_SIZE})))
          (br_if $again (local.tee $count (i32.sub (local.get $count) (i32.const 1))))))
      (func (export "missed") (result i32) (i32.load (i32.const ${MISSED})))
      (func (export "enter_1") (param $site i32) (param i64) (result i32) (local $node i32) (local $ip i64)
        (local.set $node (i32.load (i32.const ${POOL})))
        (if (i32.eqz (local.get $node))
          (then
            (i32.store (i32.const ${MISSED}) (i32.add (i32.load (i32.const ${MISSED})) (i32.const 1)))
            (return (i32.const 0))))
        (i32.store (i32.const ${POOL}) (i32.load (local.get $node)))
        (i32.store (local.get $node) (i32.load (i32.const ${LIST})))
        (i32.store (i32.const ${LIST}) (local.get $node))
        (local.set $ip (i64.extend_i32_u (local.get $site)))
        (i64.store offset=8 (local.get $node) (local.get $ip))
        (drop (call_indirect (type $handler) (i32.const 0) (local.get $ip) (i64.const 0) (i32.const 0)
          (i32.add (local.get $node) (i32.const 16)) (i32.const 0)))
        (local.get $node))
      (func (export "leave_value") (param $cookie i32) (param i64) (local $node i32)
        (local.set $node (i32.load (i32.const ${LIST})))
        (drop (call_indirect (type $handler) (i32.const 0) (i64.load offset=8 (local.get $node)) (i64.const 0) (i32.const 0)
          (i32.add (local.get $node) (i32.const 16)) (i32.const 1)))
        (i32.store (i32.const ${LIST}) (i32.load (local.get $node)))
        (i32.store (local.get $node) (i32.load (i32.const ${POOL})))
        (i32.store (i32.const ${POOL}) (local.get $node))))`,
  );
  const { exports } = (await WebAssembly.instantiate(distinct(bytes))).instance;
  (exports.fill as (count: number) => void)(nodes);
  return exports;
}

/// Bytes for each node of the pool.
export const RETHOOK_NODE_SIZE = NODE_SIZE;
