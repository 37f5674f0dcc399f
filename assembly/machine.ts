// The machine: a CPU that calls functions through patched sites, with the trampolines and register records that its table
// describes (spec/arch.md). All of it is driven by the description in memory; no CPU is known here.
//
//   call        return address to the stack or the link register
//   site        watched? ── no ──► prologue, body
//                 │ yes
//   entry       registers ─► record on the stack ─► enter_call ─► accepted? the return address becomes the hook
//               registers ◄─ record; execution goes on where the record says
//   …
//   return      epilogue, to the return address. Is it the hook?
//   exit        registers ─► record ─► leave_call ─► registers ◄─ record; on to the real address, perhaps the hook again
//
// Handlers see the address of the record as word 0 of their fregs. While they run the stack pointer is below the record, so
// they may call functions of the machine themselves.
//
// Invariant: nothing is written outside of the task's stack, whatever its registers hold; each step first looks whether the
// stack pointer leaves room for all that it may store.

import { fregs_enter } from './fregs';
import {
  CONTEXT_NORMAL, EINVAL, FRAME_RET, FREGS_WORDS, SITE_FLAGS, SITE_FL_REGS, SITE_IP, SITE_USERS, TASK_BASE,
  TASK_CONTEXT, WORD_SHIFT, WORD_SIZE,
} from './layout';
import {
  CALL_BODY, CALL_CHAIN, CALL_CONTEXT, CALL_INTERRUPT, CALL_KIND, CALL_MARK, CALL_RETURN, CALL_SHIFT, CALL_SITE,
  CALL_SKIPPED, CALL_SP, CONSTANT_FIELD, CONSTANT_VALUE, CPU_CALLS, CPU_DELTA, CPU_DEPTH, CPU_DEPTH_MAX,
  CPU_DIRECT, CPU_DIRECT_TARGET, CPU_FILE, CPU_LOWEST, CPU_MACHINE, CPU_RESUMED, CPU_RETURNED, CPU_STACK,
  CPU_STACK_END, CPU_TASK, ECHILD, EFAULT, EOVERFLOW, LIST_ENTRY, MACHINE_ALL_FULL, MACHINE_ARGUMENTS,
  MACHINE_ARGUMENTS_MAX, MACHINE_BIG_ENDIAN, MACHINE_CLOBBERS, MACHINE_ENTRY, MACHINE_EXIT, MACHINE_EXIT_SP,
  MACHINE_FLAGS, MACHINE_FRAME_CHAIN, MACHINE_FRAME_LINK, MACHINE_FRAME_SIZE, MACHINE_FRAME_VALUE, MACHINE_FULL,
  MACHINE_HOOK, MACHINE_KEEPS, MACHINE_KEEPS_AT, MACHINE_LINKED, MACHINE_OUTSIDE, MACHINE_POISON,
  MACHINE_RECORD_DIRECT, MACHINE_RECORD_IP, MACHINE_RECORD_RETURN, MACHINE_RECORD_SIZE, MACHINE_RECORD_SP,
  MACHINE_REGISTERS, MACHINE_RESUME_BYTES, MACHINE_RETP_CHAIN, MACHINE_RETURNS, MACHINE_SITE, MACHINE_SITES,
  MACHINE_STACK_ARGUMENTS, NONE, REGISTER_CHAIN, REGISTER_LINK, REGISTER_PARENT, REGISTER_RETVAL, REGISTER_SP, RUN_COUNT, RUN_FROM,
  RUN_TO, TRAMPOLINE_FRAME, TRAMPOLINE_RESTORES, TRAMPOLINE_SAVES, TRAMPOLINE_SETS,
} from './machine-layout';
import { enter_call, leave_call, restore, task_current, task_switch } from './machine-engine';
import { recursion_fregs, recursion_mark } from './recursion';
import { NOTE_ARGUMENTS_MAX } from './ring-layout';
import { frame_is_sound } from './shadow-stack';
import { site_address } from './site';

/// What nobody stored reads as this.
const POISON: u64 = 0x5a5a5a5a5a5a5a5a;
/// Bytes that must lie between the stack pointer and the ends of the stack: above, the save area and the arguments of the
/// caller; below, besides records and frames, what a call pushes.
const ROOM_ABOVE: u32 = 320;
const ROOM_BELOW: u32 = 64;

// Words of the simulated memory are in the byte order of the CPU.

function get(machine: u32, at: u32): u64 {
  const word = load<u64>(at);
  return isBig(machine) ? bswap<u64>(word) : word;
}

function put(machine: u32, at: u32, value: u64): void {
  store<u64>(at, isBig(machine) ? bswap<u64>(value) : value);
}

function isBig(machine: u32): bool {
  return <bool>(load<u32>(machine, MACHINE_FLAGS) & MACHINE_BIG_ENDIAN);
}

function isLinked(machine: u32): bool {
  return <bool>(load<u32>(machine, MACHINE_FLAGS) & MACHINE_LINKED);
}

function stackPointer(cpu: u32): u64 {
  return load<u64>(cpu, CPU_FILE + REGISTER_SP);
}

function setStackPointer(cpu: u32, address: u64): void {
  store<u64>(cpu, address, CPU_FILE + REGISTER_SP);
}

export function cpu_call(cpu: u32, k: u32): u32 {
  return cpu + CPU_CALLS + (k << CALL_SHIFT);
}

/// Where `sp` points to in linear memory, if there is room around it for what one step may store; else 0.
function stackAt(cpu: u32, sp: u64): u32 {
  const below = stepSize(load<u32>(cpu, CPU_MACHINE));
  const at = <u32>sp + load<u32>(cpu, CPU_DELTA);
  const low = load<u32>(cpu, CPU_STACK);
  if (at < low || at - low < below || at > load<u32>(cpu, CPU_STACK_END) - ROOM_ABOVE) return 0;
  return at;
}

/// The most that one step stores below the stack pointer.
function stepSize(machine: u32): u32 {
  const record = load<u32>(machine, MACHINE_RECORD_SIZE) + load<u32>(machine + MACHINE_FULL, TRAMPOLINE_FRAME);
  return record + load<u32>(machine, MACHINE_FRAME_SIZE) + load<u32>(machine, MACHINE_REGISTERS) + ROOM_BELOW;
}

// ---- records

function poison(at: u32, bytes: u32): void {
  for (const end = at + bytes; at < end; at += WORD_SIZE) store<u64>(at, POISON);
}

/// Begins the record of `trampoline` at `record`: what is saved of the registers, and constants.
function saveRegisters(cpu: u32, machine: u32, trampoline: u32, record: u32): void {
  if (record < load<u32>(cpu, CPU_LOWEST)) store<u32>(cpu, record, CPU_LOWEST);
  if (load<u32>(machine, MACHINE_FLAGS) & MACHINE_POISON) poison(record, load<u32>(machine, MACHINE_RECORD_SIZE));
  const big = isBig(machine);
  const file = cpu + CPU_FILE;
  let run = load<u32>(trampoline, TRAMPOLINE_SAVES);
  for (let n = load<u32>(trampoline, TRAMPOLINE_SAVES + 4); n; n--, run += LIST_ENTRY) {
    let from = file + load<u32>(run, RUN_FROM);
    let to = record + load<u32>(run, RUN_TO);
    const end = to + (load<u32>(run, RUN_COUNT) << WORD_SHIFT);
    for (; to < end; to += WORD_SIZE, from += WORD_SIZE) {
      const word = load<u64>(from);
      store<u64>(to, big ? bswap<u64>(word) : word);
    }
  }
  let constant = load<u32>(trampoline, TRAMPOLINE_SETS);
  for (let n = load<u32>(trampoline, TRAMPOLINE_SETS + 4); n; n--, constant += LIST_ENTRY) {
    put(machine, record + load<u32>(constant, CONSTANT_FIELD), load<u64>(constant, CONSTANT_VALUE));
  }
}

/// Ends it: the callbacks have used the registers that a call may change, and what is restored comes back.
function restoreRegisters(cpu: u32, machine: u32, trampoline: u32, record: u32): void {
  const big = isBig(machine);
  const file = cpu + CPU_FILE;
  if (load<u32>(machine, MACHINE_FLAGS) & MACHINE_POISON) {
    let name = load<u32>(machine, MACHINE_CLOBBERS);
    for (let n = load<u32>(machine, MACHINE_CLOBBERS + 4); n; n--, name += 4) store<u64>(file + load<u32>(name), POISON);
  }
  let run = load<u32>(trampoline, TRAMPOLINE_RESTORES);
  for (let n = load<u32>(trampoline, TRAMPOLINE_RESTORES + 4); n; n--, run += LIST_ENTRY) {
    let from = record + load<u32>(run, RUN_FROM);
    let to = file + load<u32>(run, RUN_TO);
    const end = to + (load<u32>(run, RUN_COUNT) << WORD_SHIFT);
    for (; to < end; to += WORD_SIZE, from += WORD_SIZE) {
      const word = load<u64>(from);
      store<u64>(to, big ? bswap<u64>(word) : word);
    }
  }
}

// ---- trampolines

/// The entry trampoline of a watched site; `at` is where the stack pointer points to. Whether the function goes on behind
/// its site; if not, execution was sent elsewhere.
function entryTrampoline(cpu: u32, machine: u32, site: u32, at: u32): bool {
  const flags = load<u32>(machine, MACHINE_FLAGS);
  const isFull = flags & MACHINE_ALL_FULL || load<u32>(site_address(site), SITE_FLAGS) & SITE_FL_REGS;
  const trampoline = machine + (isFull ? MACHINE_FULL : MACHINE_ENTRY);
  const sp = stackPointer(cpu);
  const resume = load<u64>(site_address(site), SITE_IP) + load<u32>(machine, MACHINE_RESUME_BYTES);
  let record = at - load<u32>(machine, MACHINE_RECORD_SIZE);
  let parent: u64;
  if (flags & MACHINE_LINKED) {
    parent = load<u64>(cpu, CPU_FILE + REGISTER_LINK);
    store<u64>(cpu, parent, CPU_FILE + REGISTER_PARENT);
  } else {
    parent = get(machine, at);
    put(machine, at - WORD_SIZE, resume); // what the call at the site pushes
    record -= WORD_SIZE;
  }
  saveRegisters(cpu, machine, trampoline, record);
  put(machine, record + load<u32>(machine, MACHINE_RECORD_SP), sp);
  put(machine, record + load<u32>(machine, MACHINE_RECORD_IP), resume);
  // Where the return address is that the function will use: a field of the record, or the slot itself.
  const slot = flags & MACHINE_LINKED ? record + load<u32>(machine, MACHINE_RECORD_RETURN) : at;
  put(machine, slot, parent);

  const task = load<u32>(cpu, CPU_TASK);
  const chain = load<u64>(cpu, CPU_FILE + REGISTER_CHAIN);
  const words = fregs_enter(task, site);
  if (words) readArguments(cpu, machine, at, words + WORD_SIZE);
  setStackPointer(cpu, sp - (at - record + load<u32>(trampoline, TRAMPOLINE_FRAME)));
  const retp = flags & MACHINE_RETP_CHAIN ? chain : sp;
  if (enter_call(task, site, record, parent, retp, chain)) put(machine, slot, load<u64>(machine, MACHINE_HOOK));

  restoreRegisters(cpu, machine, trampoline, record);
  setStackPointer(cpu, sp);
  if (flags & MACHINE_LINKED) store<u64>(cpu, get(machine, slot), CPU_FILE + REGISTER_LINK);
  const direct = get(machine, record + load<u32>(machine, MACHINE_RECORD_DIRECT));
  if (direct) {
    store<u32>(cpu, load<u32>(cpu, CPU_DIRECT) + 1, CPU_DIRECT);
    store<u64>(cpu, direct, CPU_DIRECT_TARGET);
  }
  const target = get(machine, record + load<u32>(machine, MACHINE_RECORD_IP));
  store<u64>(cpu, target, CPU_RESUMED);
  return target == resume;
}

/// The exit trampoline. Returns the real return address, or 0: the shadow stack is corrupt, the engine is dead.
function exitTrampoline(cpu: u32, machine: u32): u64 {
  const task = load<u32>(cpu, CPU_TASK);
  const sp = stackPointer(cpu);
  const at = stackAt(cpu, sp);
  const base = load<u32>(task, TASK_BASE);
  if (!at || !frame_is_sound(task, base, load<u64>(cpu, CPU_FILE + REGISTER_CHAIN))) return 0;
  const flags = load<u32>(machine, MACHINE_FLAGS);
  const trampoline = machine + MACHINE_EXIT;
  // Without a link register the slot that was popped is given back first.
  const record = at - (flags & MACHINE_LINKED ? 0 : WORD_SIZE) - load<u32>(machine, MACHINE_RECORD_SIZE);
  saveRegisters(cpu, machine, trampoline, record);
  if (flags & MACHINE_EXIT_SP) put(machine, record + load<u32>(machine, MACHINE_RECORD_SP), sp);
  const keeps = load<u32>(machine, MACHINE_KEEPS);
  const keepCount = load<u32>(machine, MACHINE_KEEPS + 4);
  const kept = at + load<u32>(machine, MACHINE_KEEPS_AT);
  for (let k: u32 = 0; k < keepCount; k++) {
    put(machine, kept + (k << 3), load<u64>(cpu + load<u32>(keeps + (k << 2)), CPU_FILE));
  }

  const ret = load<u64>(base, FRAME_RET);
  put(machine, record + load<u32>(machine, MACHINE_RECORD_IP), ret);
  setStackPointer(cpu, sp - (at - record + load<u32>(trampoline, TRAMPOLINE_FRAME)));
  store<u64>(recursion_fregs(task), load<u64>(cpu, CPU_FILE + REGISTER_RETVAL), FREGS_WORDS + WORD_SIZE);
  leave_call(task, base, record);

  restoreRegisters(cpu, machine, trampoline, record);
  for (let k: u32 = 0; k < keepCount; k++) {
    store<u64>(cpu + load<u32>(keeps + (k << 2)), get(machine, kept + (k << 3)), CPU_FILE);
  }
  setStackPointer(cpu, sp);
  store<u64>(cpu, ret, CPU_FILE + REGISTER_LINK);
  return ret;
}

// ---- functions

/// Enters function `index`, whose return address is where the CPU wants it: the site, and the prologue unless execution
/// was sent elsewhere. `at` is where the stack pointer points to.
function enterFunction(cpu: u32, machine: u32, call: u32, index: u32, at: u32): void {
  const site = load<u32>(machine, MACHINE_SITE) + index;
  store<u32>(call, index, CALL_SITE);
  store<u32>(call, CALL_BODY, CALL_KIND);
  if (load<u32>(site_address(site), SITE_USERS) && !entryTrampoline(cpu, machine, site, at)) {
    store<u32>(call, CALL_SKIPPED, CALL_KIND);
    return;
  }
  const sp = stackPointer(cpu);
  const low = at - load<u32>(machine, MACHINE_FRAME_SIZE);
  if (isLinked(machine)) put(machine, at + load<u32>(machine, MACHINE_FRAME_LINK), load<u64>(cpu, CPU_FILE + REGISTER_LINK));
  put(machine, at + load<u32>(machine, MACHINE_FRAME_CHAIN), load<u64>(cpu, CPU_FILE + REGISTER_CHAIN));
  setStackPointer(cpu, sp - load<u32>(machine, MACHINE_FRAME_SIZE));
  store<u64>(cpu, sp + <u64><i64>load<i32>(machine, MACHINE_FRAME_VALUE), CPU_FILE + REGISTER_CHAIN);
  if (low < load<u32>(cpu, CPU_LOWEST)) store<u32>(cpu, low, CPU_LOWEST);
}

/// The epilogue: return address and chain are where they were when the function was entered. Returns where the stack
/// pointer points to, or 0: it is outside of the stack.
function leaveFrame(cpu: u32, machine: u32): u32 {
  const sp = stackPointer(cpu) + load<u32>(machine, MACHINE_FRAME_SIZE);
  const at = stackAt(cpu, sp);
  if (!at) return 0;
  if (isLinked(machine)) store<u64>(cpu, get(machine, at + load<u32>(machine, MACHINE_FRAME_LINK)), CPU_FILE + REGISTER_LINK);
  store<u64>(cpu, get(machine, at + load<u32>(machine, MACHINE_FRAME_CHAIN)), CPU_FILE + REGISTER_CHAIN);
  setStackPointer(cpu, sp);
  return at;
}

/// Calls function `index` with `count` arguments at `words`. 0 or an error; then nothing has changed.
export function cpu_enter(cpu: u32, index: u32, words: u32, count: u32): i32 {
  const machine = load<u32>(cpu, CPU_MACHINE);
  if (index >= load<u32>(machine, MACHINE_SITES) || count > <u32>MACHINE_ARGUMENTS_MAX) return -EINVAL;
  const sp = stackPointer(cpu);
  const depth = load<u32>(cpu, CPU_DEPTH);
  let at = stackAt(cpu, sp);
  if (!at || depth >= load<u32>(cpu, CPU_DEPTH_MAX)) return -EOVERFLOW;

  const call = cpu_call(cpu, depth);
  let ret = load<u64>(machine, MACHINE_OUTSIDE);
  if (depth && load<u32>(cpu_call(cpu, depth - 1), CALL_KIND) != CALL_INTERRUPT) {
    const caller = load<u32>(cpu_call(cpu, depth - 1), CALL_SITE);
    ret = load<u64>(load<u32>(machine, MACHINE_RETURNS) + (caller << 3));
  }
  store<u64>(call, ret, CALL_RETURN);
  store<u64>(call, sp, CALL_SP);
  store<u64>(call, load<u64>(cpu, CPU_FILE + REGISTER_CHAIN), CALL_CHAIN);
  store<u32>(call, recursion_mark(load<u32>(cpu, CPU_TASK)), CALL_MARK);
  store<u32>(cpu, depth + 1, CPU_DEPTH);

  if (isLinked(machine)) {
    store<u64>(cpu, ret, CPU_FILE + REGISTER_LINK);
  } else {
    at -= WORD_SIZE;
    setStackPointer(cpu, sp - WORD_SIZE);
    put(machine, at, ret);
  }
  setArguments(cpu, machine, at, words, count);
  enterFunction(cpu, machine, call, index, at);
  store<u32>(cpu, depth + 1, CPU_DEPTH); // handlers may have left calls open
  return 0;
}

function setArguments(cpu: u32, machine: u32, at: u32, words: u32, count: u32): void {
  const names = load<u32>(machine, MACHINE_ARGUMENTS);
  const inRegisters = load<u32>(machine, MACHINE_ARGUMENTS + 4);
  const inMemory = load<u32>(machine, MACHINE_STACK_ARGUMENTS);
  for (let k: u32 = 0; k < count; k++) {
    const value = load<u64>(words + (k << 3));
    if (k < inRegisters) store<u64>(cpu + load<u32>(names + (k << 2)), value, CPU_FILE);
    else if (inMemory != NONE) put(machine, at + inMemory + (k - inRegisters << 3), value);
  }
}

/// The arguments that recorders keep, to `words`. A CPU with fewer registers for them has the others in memory.
function readArguments(cpu: u32, machine: u32, at: u32, words: u32): void {
  const names = load<u32>(machine, MACHINE_ARGUMENTS);
  const inRegisters = load<u32>(machine, MACHINE_ARGUMENTS + 4);
  for (let k: u32 = 0; k < <u32>NOTE_ARGUMENTS_MAX; k++) {
    const value = k < inRegisters
      ? load<u64>(cpu + load<u32>(names + (k << 2)), CPU_FILE)
      : get(machine, at + load<u32>(machine, MACHINE_STACK_ARGUMENTS) + (k - inRegisters << 3));
    store<u64>(words + (k << 3), value);
  }
}

/// The current function hands over to function `index`, which returns in its place. 0 or an error.
export function cpu_tail(cpu: u32, index: u32, words: u32, count: u32): i32 {
  const machine = load<u32>(cpu, CPU_MACHINE);
  const depth = load<u32>(cpu, CPU_DEPTH);
  if (index >= load<u32>(machine, MACHINE_SITES) || count > <u32>MACHINE_ARGUMENTS_MAX) return -EINVAL;
  if (!depth) return -ECHILD;
  const call = cpu_call(cpu, depth - 1);
  if (load<u32>(call, CALL_KIND) != CALL_BODY) return -ECHILD;
  const at = leaveFrame(cpu, machine);
  if (!at) return -EFAULT;
  setArguments(cpu, machine, at, words, count);
  enterFunction(cpu, machine, call, index, at);
  store<u32>(cpu, depth, CPU_DEPTH);
  return 0;
}

/// The current function returns, with what is in the register of the return value. 0 or an error; after EFAULT the task has
/// to be reset.
export function cpu_leave(cpu: u32): i32 {
  const machine = load<u32>(cpu, CPU_MACHINE);
  const depth = load<u32>(cpu, CPU_DEPTH);
  if (!depth) return -ECHILD;
  const call = cpu_call(cpu, depth - 1);
  const kind = load<u32>(call, CALL_KIND);
  if (kind == CALL_INTERRUPT) return -ECHILD;
  const at = kind == CALL_BODY ? leaveFrame(cpu, machine) : stackAt(cpu, stackPointer(cpu));
  if (!at) return -EFAULT;
  let ret = load<u64>(cpu, CPU_FILE + REGISTER_LINK);
  if (!isLinked(machine)) {
    ret = get(machine, at);
    setStackPointer(cpu, stackPointer(cpu) + WORD_SIZE);
  }
  while (ret == load<u64>(machine, MACHINE_HOOK)) ret = exitTrampoline(cpu, machine);
  store<u64>(cpu, ret, CPU_RETURNED);
  store<u32>(cpu, depth - 1, CPU_DEPTH);
  return ret == load<u64>(call, CALL_RETURN) ? 0 : -EFAULT;
}

/// Leaves calls without returning until `depth` are left, as an exception does. 0 or an error.
export function cpu_unwind(cpu: u32, depth: u32): i32 {
  const machine = load<u32>(cpu, CPU_MACHINE);
  const task = load<u32>(cpu, CPU_TASK);
  const now = load<u32>(cpu, CPU_DEPTH);
  if (depth > now) return -ECHILD;
  if (depth == now) return 0;
  for (let k = now; k-- > depth; ) {
    const call = cpu_call(cpu, k);
    if (load<u32>(call, CALL_KIND) == CALL_INTERRUPT) store<u32>(task, load<u32>(call, CALL_CONTEXT), TASK_CONTEXT);
  }
  const call = cpu_call(cpu, depth);
  setStackPointer(cpu, load<u64>(call, CALL_SP));
  store<u64>(cpu, load<u64>(call, CALL_CHAIN), CPU_FILE + REGISTER_CHAIN);
  store<u32>(cpu, depth, CPU_DEPTH);
  if (task_current() != task) task_switch(task); // a handler may have left another one behind
  restore(load<u32>(call, CALL_MARK));
  return 0;
}

// ---- interrupts

/// An interrupt of the more urgent `context` begins: all registers are kept on the stack. 0 or an error.
export function cpu_interrupt(cpu: u32, context: u32): i32 {
  const machine = load<u32>(cpu, CPU_MACHINE);
  const task = load<u32>(cpu, CPU_TASK);
  if (context >= <u32>CONTEXT_NORMAL || context >= load<u32>(task, TASK_CONTEXT)) return -EINVAL;
  const sp = stackPointer(cpu);
  const depth = load<u32>(cpu, CPU_DEPTH);
  const at = stackAt(cpu, sp);
  if (!at || depth >= load<u32>(cpu, CPU_DEPTH_MAX)) return -EOVERFLOW;
  const size = load<u32>(machine, MACHINE_REGISTERS);
  const call = cpu_call(cpu, depth);
  store<u64>(call, sp, CALL_SP);
  store<u64>(call, load<u64>(cpu, CPU_FILE + REGISTER_CHAIN), CALL_CHAIN);
  store<u32>(call, recursion_mark(task), CALL_MARK);
  store<u32>(call, CALL_INTERRUPT, CALL_KIND);
  store<u32>(call, load<u32>(task, TASK_CONTEXT), CALL_CONTEXT);
  store<u32>(cpu, depth + 1, CPU_DEPTH);
  memory.copy(at - size, cpu + CPU_FILE, size);
  setStackPointer(cpu, sp - size - load<u32>(machine + MACHINE_ENTRY, TRAMPOLINE_FRAME));
  if (at - size < load<u32>(cpu, CPU_LOWEST)) store<u32>(cpu, at - size, CPU_LOWEST);
  store<u32>(task, context, TASK_CONTEXT);
  return 0;
}

/// The interrupt ends; every register is what it was. 0 or an error.
export function cpu_interrupt_end(cpu: u32): i32 {
  const machine = load<u32>(cpu, CPU_MACHINE);
  const depth = load<u32>(cpu, CPU_DEPTH);
  if (!depth) return -ECHILD;
  const call = cpu_call(cpu, depth - 1);
  if (load<u32>(call, CALL_KIND) != CALL_INTERRUPT) return -ECHILD;
  const size = load<u32>(machine, MACHINE_REGISTERS);
  const at = stackAt(cpu, load<u64>(call, CALL_SP));
  if (!at) return -EFAULT;
  memory.copy(cpu + CPU_FILE, at - size, size);
  store<u32>(load<u32>(cpu, CPU_TASK), load<u32>(call, CALL_CONTEXT), TASK_CONTEXT);
  store<u32>(cpu, depth - 1, CPU_DEPTH);
  return 0;
}
