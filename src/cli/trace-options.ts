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
  /// Off: a full buffer drops what is new, not what is oldest.
  readonly overwrite: boolean;
}

type Switches = {
  graph: Partial<GraphOptions>;
  func: Partial<FunctionOptions>;
  calls: CallOptions;
  overwrite: boolean;
};

interface TraceOption {
  /// The tracer that it belongs to; undefined: to all.
  readonly tracer?: TracerName;
  readonly set: (switches: Switches, on: boolean) => void;
}

const graph = (key: keyof GraphOptions): TraceOption => ({
  tracer: 'function_graph',
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
  tracer: 'function',
  set: (switches, on) => {
    switches.calls = { ...switches.calls, [key]: on };
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
  'funcgraph-cpu': graph('cpu'),
  'funcgraph-overhead': graph('overhead'),
  'funcgraph-proc': graph('proc'),
  'funcgraph-duration': graph('duration'),
  'funcgraph-abstime': graph('abstime'),
  'funcgraph-irqs': graph('irqs'),
  'funcgraph-tail': graph('tail'),
};

/// Those of ftrace for which a recording has nothing to print.
const NOT_RECORDED = ['funcgraph-args', 'funcgraph-retval', 'funcgraph-retval-hex', 'funcgraph-retaddr', 'func-args'];

/// Every name that `-O` takes.
export const TRACE_OPTION_NAMES: readonly string[] = Object.keys(OPTIONS);

/// Reads the values of `-O`, for a run with `tracer`. Throws UsageError for what is no option, or another tracer's.
export function parseTraceOptions(values: readonly string[], tracer: TracerName): TraceOptions {
  const switches: Switches = { graph: {}, func: {}, calls: {}, overwrite: true };
  for (const value of values) {
    const on = !value.startsWith('no');
    const name = on ? value : value.slice(2);
    if (NOT_RECORDED.includes(name)) {
      throw new UsageError(`trace: option ${name}: recordings have no arguments and return values`);
    }
    if (!Object.hasOwn(OPTIONS, name)) {
      throw new UsageError(`trace: there is no option '${value}'${expectedNames(name, TRACE_OPTION_NAMES)}`);
    }
    const option = OPTIONS[name];
    if (option.tracer !== undefined && option.tracer !== tracer) {
      throw new UsageError(`trace: option ${name} belongs to the tracer ${option.tracer}, this is ${tracer}`);
    }
    option.set(switches, on);
  }
  return switches;
}
