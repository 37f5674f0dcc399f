// The public API of `fprobe`.

export type { CpuModel, CpuName } from './arch/arch.ts';
export { CPUS, cpuModel } from './arch/index.ts';
export type { CpuRegs } from './cpu-regs.ts';
export { EngineError, type EngineExports } from './engine.ts';
export { NoMatchError, SymbolMapError, WasmFormatError } from './errors.ts';
export type { EntryHandler, FgraphOptions, FgraphUser, ReturnHandler, WasmFgraphOptions } from './fgraph.ts';
export type { FgraphEvent } from './fgraph-event.ts';
export type { Filter, FilterPair } from './filter.ts';
export type { Bucket, Builtin, FprobeRow } from './fprobe/builtin.ts';
export {
  FPROBE_FL_DISABLED,
  FPROBE_FL_KPROBE_SHARED,
  FPROBE_FL_SHARED_EXIT,
  type Fprobe,
  type FprobeHandler,
  type FprobeHandlers,
  type FprobeOptions,
  type WasmFprobeHandlers,
  type WasmFprobeOptions,
} from './fprobe/fprobe.ts';
export type { FprobeWhere } from './fprobe/where.ts';
export type { CallHandler, FtraceOps, FtraceOptions, WasmFtraceOptions } from './ftrace.ts';
export type { FunctionOptions, FunctionTracer } from './function.ts';
export type { GraphOptions, GraphTracer } from './graph.ts';
export type { Context } from './interrupts.ts';
export type { LatencyName, LatencyOptions, LatencyTracer } from './latency.ts';
export type { TaskCounts } from './memory.ts';
export type { FunctionStatistics, ProfileOptions, Profiler } from './profile.ts';
export { PtRegs, queryRegisterName, queryRegisterOffset } from './pt-regs.ts';
export type { FtraceRegs, RegisterValue, Signature } from './regs.ts';
export type { SourceLocation } from './symbols/locations.ts';
export { parseSymbolMap, type SymbolMap } from './symbols/symbol-map.ts';
export type { MachineParam, MachineTypes } from './target/c-types.ts';
export type { AttachOptions, CallOptions, JsSite, JsTarget } from './target/js.ts';
export type { WasmOptions } from './target/load.ts';
export type { Body, DirectCall, Machine } from './target/machine.ts';
export { type GenerateOptions, generateProgram } from './target/machine-generate.ts';
export type { MachineOptions } from './target/machine-options.ts';
export { MachineProgram, ProgramError } from './target/machine-program.ts';
export { type Replay, ReplayError, readReplay } from './target/machine-replay.ts';
export type { MachineSite, MachineSymbol, SymbolOptions } from './target/machine-symbols.ts';
export type { MachineTask } from './target/machine-task.ts';
export type { NotraceFunction, Target, TargetSite } from './target/target.ts';
export type { WasmTarget } from './target/wasm.ts';
export type { Task, TaskOptions } from './tasks.ts';
export { type ClockName, type InstantiateResult, Tracer, type TracerOptions } from './tracer.ts';
export type { WasmFprobeHandler, WasmHandler } from './wasm-handlers.ts';
