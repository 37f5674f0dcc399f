// How a host drives machines: it asks the engine for blocks, writes the records of machine-layout.ts into them, and runs programs,
// long ones or one step at a time. A program is checked word by word. What describes a CPU is trusted.
//
// While a program runs the engine's current task is that of the CPU task; when the export returns it is what it was before.

import { block_holds } from './block';
import { hostCall } from './host';
import { ABI_CALLING_MASK, EBUSY, EINVAL, TASK_CLOCK, TASK_CONTEXT, WORD_SIZE } from './layout';
import {
  cpu_call, cpu_enter, cpu_interrupt, cpu_interrupt_end, cpu_leave, cpu_tail, cpu_unwind,
} from './machine';
import { task_current, task_switch } from './machine-engine';
import {
  CALL_KIND, CALL_SKIPPED, CPU_DEPTH, CPU_FILE, CPU_FLOOR, CPU_TASK, ECHILD,
  MACHINE_CURRENT, MACHINE_HANDLER, MACHINE_POSITION, MACHINE_REGISTERS, MACHINE_RUNNING, MACHINE_SIZE, MACHINE_TASKS, OP_CALL,
  OP_END, OP_INTERRUPT, OP_INTERRUPT_END, OP_IRQS, OP_PREEMPTION, OP_RETURN, OP_SET, OP_SWITCH, OP_TAIL, OP_TIME, OP_UNWIND, OP_WAKE,
  REGISTER_RETVAL,
} from './machine-layout';

// ---- programs

/// Operations after which something else runs, and the host's own.
const TOLD: u32 =
  1 << OP_SWITCH | 1 << OP_INTERRUPT | 1 << OP_INTERRUPT_END | 1 << OP_UNWIND | 1 << OP_IRQS | 1 << OP_PREEMPTION | 1 << OP_WAKE;

/// Runs the first `words` words of the program at `program`, `times` times, from the CPU task that ran last. 0; -EINVAL: bad
/// operation, operand or block; -ECHILD: calls and returns do not match on some task; -EOVERFLOW: a stack is full; -EFAULT: a call
/// did not come back to its caller, and the tasks have to be unwound; -EBUSY: called by a handler of a program that runs. MACHINE_POSITION is the word where it ended. `times` 0: once,
/// and calls may stay open, or be closed that were open before.
export function machine_run(machine: u32, program: u32, words: u32, times: u32): i32 {
  if (!block_holds(machine, MACHINE_SIZE) || words >= 1 << 27 || !block_holds(program, words << 3)) return -EINVAL;
  const tasks = load<u32>(machine, MACHINE_TASKS);
  const count = load<u32>(machine, MACHINE_TASKS + 4);
  if (!count) return -EINVAL;
  const before = task_current();
  const end = program + (words << 3);
  let result: i32 = 0;
  if (!times) {
    result = runOnce(machine, tasks, count, program, end, false);
  } else {
    if (load<u32>(machine, MACHINE_RUNNING)) return -EBUSY;
    store<u32>(machine, 1, MACHINE_RUNNING);
    for (let k: u32 = 0; k < count; k++) {
      const cpu = load<u32>(tasks + (k << 2));
      store<u32>(cpu, load<u32>(cpu, CPU_DEPTH), CPU_FLOOR);
    }
    for (; times && !result; times--) {
      result = runOnce(machine, tasks, count, program, end, true);
      for (let k: u32 = 0; k < count && !result; k++) {
        const cpu = load<u32>(tasks + (k << 2));
        if (load<u32>(cpu, CPU_DEPTH) != load<u32>(cpu, CPU_FLOOR)) result = -ECHILD;
      }
    }
    store<u32>(machine, 0, MACHINE_RUNNING);
  }
  task_switch(before);
  return result;
}

/// Whether the innermost call of `cpu` has no body to run.
function isSkipped(cpu: u32): bool {
  const depth = load<u32>(cpu, CPU_DEPTH);
  return depth && load<u32>(cpu_call(cpu, depth - 1), CALL_KIND) == CALL_SKIPPED;
}

function runOnce(machine: u32, tasks: u32, count: u32, program: u32, end: u32, isClosed: bool): i32 {
  let cpu = load<u32>(tasks + (load<u32>(machine, MACHINE_CURRENT) << 2));
  let error: i32 = 0;
  let at = program;
  task_switch(load<u32>(cpu, CPU_TASK));
  while (at < end) {
    const word = load<u32>(at);
    const operation = word & 0xff;
    const operand = load<u32>(at, 4);
    const words = word >> 8 & 0xff;
    const next = at + WORD_SIZE + (words << 3);
    const open = load<u32>(cpu, CPU_DEPTH) - (isClosed ? load<u32>(cpu, CPU_FLOOR) : 0);
    if (next > end) {
      error = -EINVAL;
      break;
    }
    if (operation == OP_CALL) {
      error = cpu_enter(cpu, operand, at + WORD_SIZE, words);
    } else if (operation == OP_RETURN) {
      if (words && !isSkipped(cpu)) store<u64>(cpu, load<u64>(at, WORD_SIZE), CPU_FILE + REGISTER_RETVAL);
      error = open ? cpu_leave(cpu) : -ECHILD;
    } else if (operation == OP_TAIL) {
      error = open ? cpu_tail(cpu, operand, at + WORD_SIZE, words) : -ECHILD;
    } else if (operation == OP_SWITCH) {
      if (operand < count) {
        const context = load<u32>(load<u32>(cpu, CPU_TASK), TASK_CONTEXT);
        cpu = load<u32>(tasks + (operand << 2));
        store<u32>(machine, operand, MACHINE_CURRENT);
        task_switch(load<u32>(cpu, CPU_TASK));
        store<u32>(load<u32>(cpu, CPU_TASK), context, TASK_CONTEXT);
      } else {
        error = -EINVAL;
      }
    } else if (operation == OP_INTERRUPT) {
      error = cpu_interrupt(cpu, operand);
    } else if (operation == OP_INTERRUPT_END) {
      error = open ? cpu_interrupt_end(cpu) : -ECHILD;
    } else if (operation == OP_UNWIND) {
      error = operand <= open ? cpu_unwind(cpu, load<u32>(cpu, CPU_DEPTH) - operand) : -ECHILD;
    } else if (operation == OP_TIME && words == 1) {
      store<u64>(load<u32>(load<u32>(cpu, CPU_TASK), TASK_CLOCK), load<u64>(at, WORD_SIZE));
    } else if (operation == OP_SET && words == 1 && !(operand & 7) && operand < load<u32>(machine, MACHINE_REGISTERS)) {
      store<u64>(cpu + operand, load<u64>(at, WORD_SIZE), CPU_FILE);
    } else if (operation == OP_END) {
      break;
    } else if (operation < <u32>OP_IRQS || operation > <u32>OP_WAKE) {
      error = -EINVAL;
    }
    if (!error && TOLD >> operation & 1) error = tell(machine, operation, operand);
    if (error) break;
    at = next;
    if ((operation == OP_CALL || operation == OP_TAIL) && isSkipped(cpu)) at = skipBody(at, end);
  }
  store<u32>(machine, (at - program) >> 3, MACHINE_POSITION);
  return error;
}

/// Tells the host of an operation: of its own always, of those that change what runs while handlers of its own might ask. Its
/// answer is an error.
function tell(machine: u32, operation: u32, operand: u32): i32 {
  const handler = load<u32>(machine, MACHINE_HANDLER);
  if (!handler || operation < <u32>OP_IRQS && !load<u32>(0, ABI_CALLING_MASK)) return 0;
  return -hostCall(handler, operation, operand, 0, 0);
}

/// The return that ends the body that begins at `at`, or the end of the program.
function skipBody(at: u32, end: u32): u32 {
  let depth: u32 = 0;
  while (at < end) {
    const word = load<u32>(at);
    const operation = word & 0xff;
    if (operation == OP_END || operation == OP_RETURN && !depth) return at;
    if (operation == OP_CALL) depth++;
    else if (operation == OP_RETURN) depth--;
    at += WORD_SIZE + ((word >> 8 & 0xff) << 3);
  }
  return end;
}
