// assembly/ → build/fprobe.wasm, build/machine.wasm, and build/fprobe.h for C. The AssemblyScript compiler translates and leaves
// the code as it is; Binaryen, the optimiser that it comes with, does the rest, because here it can be told what to keep apart:
// inlining makes an entry and an exit fast, and everything else only larger. The limits are those of the compiler's own -O3.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import asc from 'assemblyscript/asc';
import binaryen from 'binaryen';
import { header } from './header.js';

/// Functions of the engine's control path, and such of the general path as are used in many places, by pattern: a call of them
/// stays a call.
const COLD = [
  '*/region/*',
  '*/ops/*',
  '*/filter/*',
  '*/manager/*',
  '*/control/*',
  '*/recursion/recursion_fregs',
  '*/recursion/recursion_break_walkers',
  '*/recursion/recursion_next',
  '*/recursion/recursion_unlock',
  '*/tracer/graph-rules/graph_set_state',
  '*/trampoline/enterLonger',
  '*/fgraph/tellBuiltin',
  '*/fprobe/register/*',
  '*/fprobe/location/location_make',
  '*/fprobe/location/location_settle',
  '*/fprobe/location/resize',
  '*/fprobe/node/*',
  '*/fprobe/probe/probe_*',
  '*/fprobe/probe/fprobe_of',
  '*/fprobe/callback/add64',
  '*/fprobe/callback/callHost',
  '*/ring-buffer/openPage',
  '*/ring-buffer/closePage',
  '*/ring-buffer/describeOpen',
  '*/ring-buffer/addExtra',
  '*/ring-buffer/writeGap',
  '*/ring-buffer/pageAt',
  '*/ring-buffer/ring_note',
  '*/ring-buffer/ring_exists',
  '*/ring-buffer/ring_attach',
  '*/task/task_exists',
  '*/task/sync',
  '*/gops/gops_registered',
  '*/direct/direct_sync',
  '*/direct/direct_fits',
  '*/direct/direct_count',
  '*/direct/countReturns',
  '*/gops/attachRing',
  '*/gops/detachRing',
  '*/gops/frames_forget',
  '*/gops/releaseIndex',
  '*/shadow-stack/frame_below',
  '*/shadow-stack/data_reserve',
  '*/shadow-stack/data_size',
  '*/clock/clock_read',
];

/// Expressions of a function that is inlined in any case. Two that are alike become one, so a small one kept apart would keep
/// another apart that an entry needs.
const TINY = 5;

const nodes = (body) => (body ? binaryen.emitText(body).split('(').length - 1 : 0);

mkdirSync('build', { recursive: true });
await build('assembly/index.ts', 'release', 'fprobe', COLD);
writeFileSync('build/fprobe.h', await header());
await build('assembly/machine-index.ts', 'machine', 'machine', []); // its size does not matter

/// `entry` → build/`name`.wasm, by a target of asconfig.json that puts it into build/`name`.raw.wasm first.
async function build(entry, target, name, cold) {
  const { error, stderr } = await asc.main([entry, '--target', target]);
  if (error) {
    console.error(stderr.toString());
    process.exit(1);
  }
  const module = binaryen.readBinary(readFileSync(`build/${name}.raw.wasm`));
  const { Features } = binaryen;
  module.setFeatures(
    Features.MutableGlobals |
      Features.SignExt |
      Features.NontrappingFPToInt |
      Features.Multivalue |
      Features.BulkMemory |
      Features.BulkMemoryOpt,
  );
  keepApart(module, cold);
  binaryen.setOptimizeLevel(3);
  binaryen.setShrinkLevel(0);
  binaryen.setAlwaysInlineMaxSize(12);
  binaryen.setFlexibleInlineMaxSize(70);
  binaryen.setOneCallerInlineMaxSize(400);
  for (let size = Number.POSITIVE_INFINITY; ; ) {
    module.optimize();
    module.runPasses(['reorder-functions']); // those that are called often get the short numbers
    const binary = module.emitBinary();
    if (binary.length >= size) break;
    size = binary.length;
    writeFileSync(`build/${name}.wasm`, binary);
    writeFileSync(`build/${name}.wat`, module.emitText());
  }
  module.dispose();
}

/// Marks the functions of `module` that are not to be inlined. Throws for a pattern that has none.
function keepApart(module, patterns) {
  const cold = patterns.map((pattern) => ({
    pattern,
    regexp: new RegExp(`^assembly${pattern.slice(1).replaceAll('*', '.*')}$`),
  }));
  const idle = new Set(patterns);
  for (let i = 0; i < module.getNumFunctions(); i++) {
    const { name, body } = binaryen.getFunctionInfo(module.getFunctionByIndex(i));
    const matching = cold.filter(({ regexp }) => regexp.test(name));
    if (matching.length === 0 || nodes(body) < TINY) continue;
    for (const { pattern } of matching) idle.delete(pattern);
    binaryen.setPassArgument('no-inline', name);
    module.runPasses(['no-inline']);
  }
  if (idle.size > 0) throw new Error(`no function is kept apart by ${[...idle].join(', ')}: renamed, or too small`);
}
