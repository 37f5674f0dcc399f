// What stands above the lines of a trace, and the context columns that several formats share (spec/tracefs.md §6.1,
// spec/fgraph.md §12.1 and §13). Trailing blanks are part of it.

import {
  FLAG_BH_OFF,
  FLAG_HARDIRQ,
  FLAG_IRQS_OFF,
  FLAG_NEED_RESCHED,
  FLAG_NEED_RESCHED_LAZY,
  FLAG_NMI,
  FLAG_PREEMPT_RESCHED,
  FLAG_SOFTIRQ,
} from './events.ts';

/// What the latency banner says about the buffer and the system.
export interface BufferInfo {
  /// Events that can be read, and events that were written.
  entries: number;
  written: number;
  /// The CPU that the buffer is read on, and how many there are.
  cpu: number;
  cpus: number;
  /// Version of the tracing system.
  release: string;
  /// Preemption model, e.g. `PREEMPT`.
  model: string;
  /// Of a latency tracer: how long the longest section took, in microseconds, of which task, and the functions where it began and
  /// ended, undefined where nobody knows.
  latency?: { us: number; comm: string; pid: number; from?: string; to?: string };
}

/// The two lines that every trace begins with, and two more when tracing was stopped for good (spec/fgraph.md §8): whoever reads
/// on has to know that it is not all.
export function tracerLine(tracer: string, isDead: boolean): string {
  const warning = '# WARNING: FUNCTION TRACING IS CORRUPTED\n#          MAY BE MISSING FUNCTION EVENTS\n';
  return `# tracer: ${tracer}\n#\n${isDead ? warning : ''}`;
}

/// What a buffer of the tracer's own has to tell: nothing interrupts a function there.
export const bufferInfo = (entries: number, written: number, cpus = 1): BufferInfo => ({
  ...{ entries, written, cpu: 0, cpus },
  ...{ release: 'fprobe', model: 'NONE' },
});

/// The banner of latency-format, down to its empty `#` line.
export function latencyBanner(tracer: string, info: BufferInfo): string {
  const { us, comm, pid, from, to } = { us: 0, comm: '', pid: 0, ...info.latency };
  const section =
    from === undefined && to === undefined
      ? ''
      : `#  => started at: ${from ?? '?'}\n#  => ended at:   ${to ?? '?'}\n#\n`;
  return `# ${tracer} latency trace v1.1.5 on ${info.release}
# --------------------------------------------------------------------
# latency: ${Math.floor(us)} us, #${info.entries}/${info.written}, CPU#${info.cpu} | (M:${info.model} VP:0, KP:0, SP:0 HP:0 #P:${info.cpus})
#    -----------------
#    | task: ${comm}-${pid} (uid:0 nice:0 policy:0 rt_prio:0)
#    -----------------
${section}#
`;
}

// By need-resched, preempt-resched and lazy, bits 0 to 2.
const RESCHED = ['.', 'n', 'p', 'N', 'l', 'b', 'L', 'B'];

/// The five flag characters of an event: irqs, reschedule, context, preemption depth, migrate-disable depth.
export function flagCharacters(flags: number, preempt: number): string {
  const irqs = flags & FLAG_IRQS_OFF ? (flags & FLAG_BH_OFF ? 'D' : 'd') : flags & FLAG_BH_OFF ? 'b' : '.';
  const resched =
    RESCHED[
      (flags & FLAG_NEED_RESCHED ? 1 : 0) |
        (flags & FLAG_PREEMPT_RESCHED ? 2 : 0) |
        (flags & FLAG_NEED_RESCHED_LAZY ? 4 : 0)
    ];
  const hard = flags & FLAG_HARDIRQ;
  let context = '.';
  if (flags & FLAG_NMI) context = hard ? 'Z' : 'z';
  else if (hard) context = flags & FLAG_SOFTIRQ ? 'H' : 'h';
  else if (flags & FLAG_SOFTIRQ) context = 's';
  return irqs + resched + context + depthDigit(preempt & 15) + depthDigit((preempt >> 4) & 15);
}

const depthDigit = (depth: number): string => (depth === 0 ? '.' : depth.toString(16));
