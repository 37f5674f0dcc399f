// The names that `-p` takes.

import { LATENCY_NAMES } from '../latency.ts';
import { expectedNames, UsageError } from './usage.ts';

/// Throws UsageError for the name of a tracer that is none of `tracers`.
export function checkTracer<T extends string>(command: string, name: string, tracers: readonly T[]): T {
  if (tracers.includes(name as T)) return name as T;
  if (!LATENCY_NAMES.includes(name)) {
    throw new UsageError(`${command}: there is no tracer '${name}'${expectedNames(name, tracers)}`);
  }
  throw new UsageError(
    `${command}: -p ${name} needs a machine whose interrupts and wake-ups it can measure: in the library tracer.machine(…), ` +
      `then tracer.startLatency('${name}'); expected one of ${tracers.join(', ')}`,
  );
}
