// What the clients of a tracer (users of the function graph, plain ops, tracers) share.

import type { Engine } from './engine.ts';
import type { Handlers } from './handlers.ts';
import type { LatencyTracer } from './latency.ts';
import type { MachineModule } from './machine-module.ts';
import type { Parents } from './parents.ts';
import type { Running } from './running.ts';
import type { Sites } from './sites.ts';
import type { Tasks } from './tasks.ts';
import type { Users } from './users.ts';
import type { WasmTable } from './wasm-handlers.ts';

export interface ClientHost {
  readonly engine: Engine;
  readonly users: Users;
  readonly handlers: Handlers;
  readonly sites: Sites;
  readonly tasks: Tasks;
  readonly parents: Parents;
  readonly running: Running;
  readonly wasmTable: WasmTable;
  readonly machineModule: MachineModule;
  /// The latency tracer that runs: there is one at a time.
  readonly latency: { current: LatencyTracer | undefined };
}
