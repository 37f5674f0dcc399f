// What the shadow stack is held against (design §6): the engine's real one, as the sites of one target.

import { walkRealStack } from './real-stack.ts';
import type { TargetSite } from './target.ts';
import type { WasmTarget } from './wasm.ts';

/// A frame of a target's function on the real stack.
export interface RealFrame {
  readonly target: WasmTarget;
  readonly site: TargetSite;
}

/// The functions of targets that JavaScript's own stack shows, innermost first. Functions without a site are left out. `targetOf`
/// is asked for the target of each WebAssembly frame, by what the engine calls its module; undefined = none of ours.
///
/// A call from outside is on the stack twice: the face that was called, our spill function, the root in JavaScript, our
/// dispatcher, and the function itself. The face's frame is the one that is dropped.
export function realStack(targetOf: (module: string, index: number) => WasmTarget | undefined): RealFrame[] {
  const frames: RealFrame[] = [];
  let dropFace = false;
  walkRealStack((index, module) => {
    const target = index < 0 ? undefined : targetOf(module, index);
    if (!target) return true;
    if (target.isAppended(index)) dropFace = !target.isDispatcher(index);
    else if (dropFace) dropFace = false;
    else {
      const site = target.siteOfFunction(index);
      if (site) frames.push({ target, site });
    }
    return true;
  });
  return frames;
}

/// The same where one target is all that runs.
export function realFrames(target: WasmTarget): TargetSite[] {
  return realStack(() => target).map(({ site }) => site);
}
