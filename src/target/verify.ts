// What the shadow stack is held against (design §6): the engine's real one, as the sites of one target.

import { walkRealStack } from './real-stack.ts';
import type { TargetSite } from './target.ts';
import type { WasmTarget } from './wasm.ts';

/// The target's functions that JavaScript's own stack shows, innermost first. Functions without a site are left out.
///
/// A call from outside is on the stack twice: the face that was called, our spill function, the root in JavaScript, our
/// dispatcher, and the function itself. The face's frame is the one that is dropped.
export function realFrames(target: WasmTarget): TargetSite[] {
  const frames: TargetSite[] = [];
  let dropFace = false;
  walkRealStack((index) => {
    if (index < 0) return true;
    if (target.isAppended(index)) dropFace = !target.isDispatcher(index);
    else if (dropFace) dropFace = false;
    else {
      const site = target.siteOfFunction(index);
      if (site) frames.push(site);
    }
    return true;
  });
  return frames;
}
