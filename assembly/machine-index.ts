// The machine's own module, machine.wasm. It works on the memory of the engine, for which fprobe.wasm was built from the same
// sources, and is only loaded by who has machines.

import { ABI_VERSION, ABI_VERSION_VALUE } from './layout';

export { machine_run } from './machine-run';

if (load<u32>(0, ABI_VERSION) != ABI_VERSION_VALUE) unreachable(); // offsets of another version
