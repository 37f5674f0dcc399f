// The three things that the engine cannot do itself. An embedder who needs none of them passes functions that return 0.
// (TypeScript has no decorators on functions, hence the marks; asc needs them to name the module.)

/// Runs handler `handler` of user `index` for the frame at `frame`. From an entry handler, nonzero asks for the exit
/// callback; the result of a return handler is ignored. Must not throw: what is thrown passes through the traced
/// program.
// @ts-ignore: decorator
@external("fprobe", "call")
export declare function hostCall(handler: u32, index: u32, site: u32, frame: u32, fregs: u32): i32;

/// Nanoseconds since any fixed moment. Called only while `clock_set(CLOCK_MONO)` holds and somebody needs the time.
// @ts-ignore: decorator
@external("fprobe", "clock")
export declare function hostClock(): f64;

/// Blocks until `ring` may have something to read. 0 = give up.
// @ts-ignore: decorator
@external("fprobe", "wait")
export declare function hostWait(ring: u32): i32;
