// What the machine takes of the engine: the memory, which the compiler imports from `env`, and these of its exports. All else that it
// knows of a task it reads in memory.

// @ts-ignore: decorator
@external("env", "enter_call")
export declare function enter_call(task: u32, site: u32, first: i64, ret: i64, retp: i64, fp: i64): u32;

// @ts-ignore: decorator
@external("env", "leave_call")
export declare function leave_call(task: u32, cookie: u32, first: i64): void;

// @ts-ignore: decorator
@external("env", "restore")
export declare function restore(mark: u32): void;

// @ts-ignore: decorator
@external("env", "task_current")
export declare function task_current(): u32;

// @ts-ignore: decorator
@external("env", "task_switch")
export declare function task_switch(task: u32): u32;
