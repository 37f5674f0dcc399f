// What the cases of spec/testcases.md are tried on: the same functions on every kind of target.

import * as fprobeLayout from '../../assembly/fprobe/layout.ts';
import * as layout from '../../assembly/layout.ts';
import type { Fprobe, Tracer } from '../../src/index.ts';

export interface Functions {
  /// v / 3 as an integer; calls `fixture.inside` first.
  fa(v: number): number;
  /// v / 3 + 1.
  fb(v: number): number;
  /// Calls f1 … f8, once each. f1(int) returns its argument + 1.
  trigger(): void;
  f1(v: number): number;
  /// Calls itself n times, and returns n.
  rec(n: number): number;
}

export interface Fixture {
  readonly tracer: Tracer;
  readonly call: Functions;
  /// What runs inside fa. Nothing at first.
  inside: () => void;
  /// Address of a function's location.
  ip(name: string): number | bigint;
  /// Words of a frame on the shadow stack, 3 unless given.
  readonly frameWords?: number;
  /// Functions that can be traced.
  readonly traceable: number;
  /// Takes the functions away.
  unload(): void;
  /// Brings them back, as others.
  load(): Promise<void>;
}

/// `stackWords`: size of the shadow stack.
export type MakeFixture = (stackWords?: number) => Promise<Fixture>;

const load32 = (tracer: Tracer, address: number): number =>
  new DataView(tracer.engine.memory.buffer).getUint32(address, true);

/// The lines of `enabled_functions`: ids of the sites that somebody wants.
export function enabled(tracer: Tracer): number[] {
  const sites = load32(tracer, layout.ABI_SITES);
  const ids = Array.from({ length: load32(tracer, layout.ABI_SITE_COUNT) }, (_, site) => site);
  return ids.filter((site) => load32(tracer, sites + site * layout.SITE_SIZE + layout.SITE_USERS) !== 0);
}

/// Whether callbacks hold the recursion lock of the current task: what "not preemptible" means here.
export const inCallback = ({ engine }: Tracer): boolean =>
  load32({ engine } as Tracer, engine.task_current() + layout.TASK_RECURSION) !== 0;

/// Everything that a registration changes, to be compared.
export function tables(tracer: Tracer): unknown {
  const at = (address: number) => load32(tracer, address);
  return {
    enabled: enabled(tracer),
    exits: at(fprobeLayout.ABI_FPROBE_EXITS),
    plains: at(fprobeLayout.ABI_FPROBE_PLAINS),
    graph: at(fprobeLayout.ABI_FPROBE_GRAPH),
    users: at(layout.ABI_GOPS_MASK),
    locations: at(fprobeLayout.ABI_LOCATION_COUNT),
    retired: at(fprobeLayout.ABI_FPROBE_RETIRED),
    request: at(fprobeLayout.ABI_FPROBE_REQUEST),
    table: tracer.engine.table.length,
  };
}

/// The code of the error that `action` throws, 0 when it throws none.
export function errno(action: () => unknown): string | 0 {
  try {
    action();
    return 0;
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
}

/// A record of which handlers ran, in their order: "entry P1", "exit P1".
export class Log {
  readonly lines: string[] = [];

  entry(name: string, result: unknown = 0): () => unknown {
    return () => {
      this.lines.push(`entry ${name}`);
      return result;
    };
  }

  exit(name: string): () => void {
    return () => {
      this.lines.push(`exit ${name}`);
    };
  }

  take(): string[] {
    return this.lines.splice(0);
  }
}

export const misses = (probes: readonly Fprobe[]): number[] => probes.map(({ nmissed }) => nmissed);
