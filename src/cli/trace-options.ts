// `-O`: the trace options of ftrace by name (spec/tracefs.md §10), each mapped to what it switches.

import type { TracerName } from '../session.ts';
import type { CallOptions } from '../trace/calls.ts';
import type { FunctionOptions } from '../trace/function-text.ts';
import type { GraphOptions } from '../trace/graph-text.ts';
import { expectedNames, UsageError } from './usage.ts';

/// What the options of a command line come to; what they do not mention is left to its default.
export interface TraceOptions {
  readonly graph: Partial<GraphOptions>;
  readonly func: Partial<FunctionOptions>;
  readonly calls: CallOptions;
  readonly recorded: Recorded;
  /// Of profile: off, times are those that functions took themselves, without the profiled calls below them.
  readonly graphTime: boolean;
  /// Off: a full buffer drops what is new, not what is oldest.
  readonly overwrite: boolean;
}

/// What is to be recorded besides functions and times.
interface Recorded {
  readonly args?: boolean;
  readonly retval?: boolean;
  readonly retaddr?: boolean;
  readonly sleepTime?: boolean;
  readonly functionFork?: boolean;
}

type Switches = {
  graph: Partial<GraphOptions>;
  func: Partial<FunctionOptions>;
  calls: CallOptions;
  recorded: Recorded;
  graphTime: boolean;
  overwrite: boolean;
};

interface TraceOption {
  /// The tracers that it belongs to; undefined: to all.
  readonly tracers?: readonly TracerName[];
  readonly set: (switches: Switches, on: boolean) => void;
}

const graph = (key: keyof GraphOptions): TraceOption => ({
  tracers: ['function_graph'],
  set: (switches, on) => {
    switches.graph = { ...switches.graph, [key]: on };
  },
});
const func = (key: keyof FunctionOptions): TraceOption => ({
  set: (switches, on) => {
    switches.func = { ...switches.func, [key]: on };
  },
});
const both = (key: keyof FunctionOptions & keyof GraphOptions): TraceOption => ({
  set: (switches, on) => {
    switches.func = { ...switches.func, [key]: on };
    switches.graph = { ...switches.graph, [key]: on };
  },
});
const calls = (key: keyof CallOptions): TraceOption => ({
  tracers: ['function'],
  set: (switches, on) => {
    switches.calls = { ...switches.calls, [key]: on };
  },
});

/// What is recorded, and, where text has an option for it, printed.
const recorded = (key: keyof Recorded, tracer: TracerName = 'function_graph'): TraceOption => ({
  tracers: [tracer],
  set: (switches, on) => {
    switches.recorded = { ...switches.recorded, [key]: on };
    if (key !== 'args') switches.graph = { ...switches.graph, [key]: on };
  },
});

const OPTIONS: Readonly<Record<string, TraceOption>> = {
  'print-parent': func('printParent'),
  'sym-offset': func('symOffset'),
  'sym-addr': func('symAddr'),
  raw: func('raw'),
  hex: func('hex'),
  'irq-info': func('irqInfo'),
  'record-tgid': func('recordTgid'),
  annotate: func('annotate'),
  'context-info': both('contextInfo'),
  'latency-format': both('latencyFormat'),
  overwrite: {
    set: (switches, on) => {
      switches.overwrite = on;
    },
  },
  func_stack_trace: calls('stackTrace'),
  'func-no-repeats': calls('noRepeats'),
  'func-args': recorded('args', 'function'),
  'funcgraph-cpu': graph('cpu'),
  'funcgraph-overhead': graph('overhead'),
  'funcgraph-proc': graph('proc'),
  'funcgraph-duration': graph('duration'),
  'funcgraph-abstime': graph('abstime'),
  'funcgraph-irqs': graph('irqs'),
  'funcgraph-tail': graph('tail'),
  'funcgraph-args': recorded('args'),
  'funcgraph-retval': recorded('retval'),
  'funcgraph-retval-hex': graph('retvalHex'),
  'funcgraph-retaddr': recorded('retaddr'),
  'function-fork': {
    set: (switches, on) => {
      switches.recorded = { ...switches.recorded, functionFork: on };
    },
  },
  'sleep-time': {
    tracers: ['function_graph', 'profile'],
    set: (switches, on) => {
      switches.recorded = { ...switches.recorded, sleepTime: on };
    },
  },
  'graph-time': {
    tracers: ['profile'],
    set: (switches, on) => {
      switches.graphTime = on;
    },
  },
};

/// Every name that `-O` takes.
export const TRACE_OPTION_NAMES: readonly string[] = Object.keys(OPTIONS);

/// Reads the values of `-O`, for a run with `tracer`. Throws UsageError for what is no option, or another tracer's.
export function parseTraceOptions(values: readonly string[], tracer: TracerName): TraceOptions {
  const switches: Switches = { graph: {}, func: {}, calls: {}, recorded: {}, graphTime: true, overwrite: true };
  for (const value of values) {
    const on = !value.startsWith('no');
    const name = on ? value : value.slice(2);
    if (!Object.hasOwn(OPTIONS, name)) {
      throw new UsageError(`trace: there is no option '${value}'${expectedNames(name, TRACE_OPTION_NAMES)}`);
    }
    const option = OPTIONS[name];
    if (option.tracers && !option.tracers.includes(tracer)) {
      const [first, ...others] = option.tracers;
      const whose = others.length > 0 ? `tracers ${[first, ...others].join(' and ')}` : `tracer ${first}`;
      throw new UsageError(`trace: option ${name} belongs to the ${whose}, this is ${tracer}`);
    }
    option.set(switches, on);
  }
  if (tracer === 'function' && switches.recorded.args) {
    const { stackTrace, noRepeats } = switches.calls;
    const other = stackTrace ? 'func_stack_trace' : noRepeats ? 'func-no-repeats' : undefined;
    if (other) throw new UsageError(`trace: options func-args and ${other} exclude each other`);
  }
  return switches;
}
