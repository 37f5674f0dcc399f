// The machine in linear memory (machine.ts). Numbers only, for both compilers, like layout.ts.
//
// A machine is one block: the description of a CPU that the host lowered from its table (src/arch/), then lists. A CPU task is
// another: its registers, which always hold words in the engine's byte order, and one record per call that is under way. Its
// stack is a third.

// No such place.
export const NONE = 0xffffffff;

// ---------------------------------------------------------------------------------------------------------------
// Machine

export const MACHINE_FLAGS = 0; // u32 MACHINE_*
export const MACHINE_SITE = MACHINE_FLAGS + 4; // u32 engine id of the first site
export const MACHINE_SITES = MACHINE_SITE + 4; // u32 number of sites
export const MACHINE_RETURNS = MACHINE_SITES + 4; // u32 address of u64[sites]: where a call made by that function returns to
export const MACHINE_HOOK = MACHINE_RETURNS + 4; // u64 return_to_handler
export const MACHINE_OUTSIDE = MACHINE_HOOK + 8; // u64 where a call made by nobody returns to
export const MACHINE_RESUME_BYTES = MACHINE_OUTSIDE + 8; // u32 from the location to where the function goes on
export const MACHINE_FRAME_SIZE = MACHINE_RESUME_BYTES + 4; // u32 bytes of a function's frame
export const MACHINE_FRAME_CHAIN = MACHINE_FRAME_SIZE + 4; // i32 where the caller's chain is, from the stack pointer at entry
export const MACHINE_FRAME_LINK = MACHINE_FRAME_CHAIN + 4; // i32 where the return address is
export const MACHINE_FRAME_VALUE = MACHINE_FRAME_LINK + 4; // i32 value of the chain
export const MACHINE_RECORD_SIZE = MACHINE_FRAME_VALUE + 4; // u32 bytes of fregs
export const MACHINE_RECORD_SP = MACHINE_RECORD_SIZE + 4; // u32 field
export const MACHINE_RECORD_IP = MACHINE_RECORD_SP + 4; // u32 field
export const MACHINE_RECORD_RETURN = MACHINE_RECORD_IP + 4; // u32 field, if MACHINE_LINKED
export const MACHINE_RECORD_DIRECT = MACHINE_RECORD_RETURN + 4; // u32 field
export const MACHINE_REGISTERS = MACHINE_RECORD_DIRECT + 4; // u32 bytes of the register file
export const MACHINE_STACK_ARGUMENTS = MACHINE_REGISTERS + 4; // u32 bytes above sp of the first argument in memory; NONE
export const MACHINE_ARGUMENTS = MACHINE_STACK_ARGUMENTS + 4; // list of registers
export const MACHINE_CLOBBERS = MACHINE_ARGUMENTS + 8; // list of registers
export const MACHINE_KEEPS = MACHINE_CLOBBERS + 8; // list of registers that an exit keeps on the stack
export const MACHINE_KEEPS_AT = MACHINE_KEEPS + 8; // u32 bytes above the stack pointer
export const MACHINE_ENTRY = MACHINE_KEEPS_AT + 4; // trampoline
export const MACHINE_FULL = MACHINE_ENTRY + 32; // trampoline; the same as MACHINE_ENTRY where there is no full version
export const MACHINE_EXIT = MACHINE_FULL + 32; // trampoline
export const MACHINE_POSITION = MACHINE_EXIT + 32; // u32 word of the program at which the last run ended
export const MACHINE_CURRENT = MACHINE_POSITION + 4; // u32 number of the CPU task that runs
export const MACHINE_RUNNING = MACHINE_CURRENT + 4; // u32 nonzero: a program runs
export const MACHINE_HANDLER = MACHINE_RUNNING + 4; // u32 what the import `call` is told of operations by; 0: nothing
export const MACHINE_TASKS = MACHINE_HANDLER + 4; // list of CPU tasks
export const MACHINE_SIZE = MACHINE_TASKS + 8;

export const MACHINE_BIG_ENDIAN = 1;
export const MACHINE_LINKED = 2; // the return address is in the link register, and in a field of the record
export const MACHINE_POISON = 4; // fill a record before it is used, and the registers that a call may change
export const MACHINE_EXIT_SP = 8; // the stack pointer is stored at exit
export const MACHINE_RETP_CHAIN = 16; // the chain register is the identity of a return slot, not the stack pointer
export const MACHINE_ALL_FULL = 32; // every entry takes the full version

// Registers with a role are the first of the register file; the others follow in any order. A register is named by its
// offset. Where one register has two roles, as the stack pointer that links frames, the file has it twice.
export const REGISTER_SP = 0;
export const REGISTER_CHAIN = REGISTER_SP + 8; // links stack frames
export const REGISTER_LINK = REGISTER_CHAIN + 8;
export const REGISTER_PARENT = REGISTER_LINK + 8; // keeps the return address while an entry trampoline runs
export const REGISTER_RETVAL = REGISTER_PARENT + 8;
export const REGISTER_OTHERS = REGISTER_RETVAL + 8;

// A list is | address u32 | count u32 |, of entries of LIST_ENTRY bytes or, for registers and tasks, of u32.
export const TRAMPOLINE_SAVES = 0; // list of runs: registers → record
export const TRAMPOLINE_SETS = TRAMPOLINE_SAVES + 8; // list of constants
export const TRAMPOLINE_RESTORES = TRAMPOLINE_SETS + 8; // list of runs: record → registers
export const TRAMPOLINE_FRAME = TRAMPOLINE_RESTORES + 8; // u32 bytes of stack below the record, which belong to whoever is called there

export const RUN_FROM = 0; // u32 offset of the first word
export const RUN_TO = RUN_FROM + 4; // u32
export const RUN_COUNT = RUN_TO + 4; // u32 words
export const CONSTANT_FIELD = 0; // u32 offset in the record
export const CONSTANT_VALUE = 8; // u64
export const LIST_ENTRY = 16;

// ---------------------------------------------------------------------------------------------------------------
// CPU task

export const CPU_MACHINE = 0; // u32
export const CPU_TASK = CPU_MACHINE + 4; // u32 the engine's task
export const CPU_DELTA = CPU_TASK + 4; // u32 simulated address of the stack + this = address in linear memory, modulo 2^32
export const CPU_STACK = CPU_DELTA + 4; // u32 first byte of the stack in linear memory, below it room for one step
export const CPU_STACK_END = CPU_STACK + 4; // u32
export const CPU_DEPTH = CPU_STACK_END + 4; // u32 calls and interrupts under way
export const CPU_DEPTH_MAX = CPU_DEPTH + 4; // u32
export const CPU_FLOOR = CPU_DEPTH_MAX + 4; // u32 depth when the program began
export const CPU_LOWEST = CPU_FLOOR + 4; // u32 lowest byte of the stack that was used
export const CPU_DIRECT = CPU_LOWEST + 4; // u32 calls that were sent to a direct trampoline; the target of the last:
export const CPU_DIRECT_TARGET = CPU_DIRECT + 4; // u64
export const CPU_RESUMED = CPU_DIRECT_TARGET + 8; // u64 where the last entry trampoline went on
export const CPU_RETURNED = CPU_RESUMED + 8; // u64 where the last call returned to
export const CPU_FILE = CPU_RETURNED + 8; // the register file
export const CPU_FILE_SIZE = 400;
export const CPU_CALLS = CPU_FILE + CPU_FILE_SIZE; // call[CPU_DEPTH_MAX]

export const CALL_RETURN = 0; // u64 where it returns to
export const CALL_SP = CALL_RETURN + 8; // u64 stack pointer before the call
export const CALL_CHAIN = CALL_SP + 8; // u64 chain register before the call
export const CALL_SITE = CALL_CHAIN + 8; // u32 index of the function; CALL_INTERRUPT: no call
export const CALL_KIND = CALL_SITE + 4; // u32 CALL_*
export const CALL_MARK = CALL_KIND + 4; // u32 mark of the shadow stack before the call, see `save`
export const CALL_CONTEXT = CALL_MARK + 4; // u32 of an interrupt: the context it interrupted
export const CALL_SHIFT = 6;
export const CALL_SIZE = 1 << CALL_SHIFT;

export const CALL_BODY = 0; // the function runs
export const CALL_SKIPPED = 1; // its entry was sent elsewhere: the body does not run
export const CALL_INTERRUPT = 2;

// ---------------------------------------------------------------------------------------------------------------
// Programs: words of 8 bytes. The first word of an operation is | operation u8 | count u8 | 0 u16 | operand u32 |.

export const OP_END = 0;
export const OP_CALL = 1; // operand: function; then `count` arguments
export const OP_RETURN = 2; // count 1: then the return value
export const OP_TAIL = 3; // operand: function that takes over from the current one; then `count` arguments
export const OP_SWITCH = 4; // operand: CPU task, as a position in MACHINE_TASKS
export const OP_INTERRUPT = 5; // operand: CONTEXT_*
export const OP_INTERRUPT_END = 6;
export const OP_TIME = 7; // then the time in ns
export const OP_SET = 8; // operand: register; then its value
export const OP_UNWIND = 9; // operand: calls that are left without returning
// The host's own: the engine hands them on.
export const OP_IRQS = 10; // operand 1: interrupts off, 0: on again
export const OP_PREEMPTION = 11; // operand 1: preemption off, 0: on again
export const OP_WAKE = 12; // operand: CPU task that is ready to run

// What can be wrong with a call or a program, beside EINVAL: no such function, task, register, context or operation.
export const ECHILD = 10; // a return without a call, or a call without its return
export const EFAULT = 14; // the call did not come back to where it was made, or the stack pointer is outside of the stack
export const EOVERFLOW = 75; // no room on the stack of the task
export const MACHINE_ARGUMENTS_MAX = 12; // of one call
