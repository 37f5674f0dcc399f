// Which functions JavaScript can call, and how they find out that it did.
//
// A function that outside code can reach is *faced*: its body begins with a prologue that tells a call from inside the
// module from one that came over the border. The only witness there is: whoever calls a faced function from inside sets
// the global VIA right before the call, and the callee's prologue clears it. Hence the one invariant of this file:
//
//   VIA is 1 only between such a call instruction and the callee's prologue.
//
// A 0 too many costs time (the call is treated as one from outside, which is harmless); a 1 too many hides a call from
// outside. So wherever VIA is set, whatever can be reached must clear it:
//
//   call of a faced function        reaches that function
//   call through a reference        reaches the functions that are mentioned anywhere ("by reference") with a signature
//                                   that fits: those that are not faced clear VIA without further ado ("light")
//                                   … or an import or a foreign function: these never clear it, so in a module where
//                                   that can happen every direct call of an import clears it first, for the import to
//                                   find it 0 when it calls back. An import that is itself called by reference has
//                                   nobody to do that; it is reported to whoever wraps imports.

import type { Additions } from './additions.ts';
import { type FaceGroup, FaceGroups } from './face-groups.ts';
import type { ModuleInfo } from './reader.ts';
import { type FuncType, isForeignToJs } from './types.ts';

/// What a direct call does before it.
export const BEFORE_NOTHING = 0;
export const BEFORE_SET_VIA = 1;
export const BEFORE_CLEAR_VIA = 2;

/// Face number of functions without a face.
export const NO_FACE = -1;
/// The same, for those that clear VIA.
export const LIGHT_FACE = -2;

export interface FacePlan {
  /// Face → function index.
  readonly faces: readonly number[];
  /// Function index → face, `NO_FACE` or `LIGHT_FACE`.
  readonly faceOf: Int32Array;
  /// Function index → `BEFORE_*`.
  readonly beforeCall: Uint8Array;
  /// Type index → 1 when a call through a reference of that type sets VIA.
  readonly beforeReference: Uint8Array;
  /// How the face of a function passes its arguments.
  readonly groupOf: (index: number) => FaceGroup;
  /// Imports that calls through a reference can reach with VIA set.
  readonly importsByReference: readonly number[];
}

export interface FaceOptions {
  /// Whether a defined function's body is rewritten at all.
  readonly rewritten: (index: number) => boolean;
  /// The start function is exported instead of started.
  readonly startExported: boolean;
  /// A body mentions an exported function that no element segment and no initial value mentions.
  readonly codeMentionsExports: boolean;
}

/// Decides on faces and appends what they need to `additions`.
export function planFaces(module: ModuleInfo, additions: Additions, options: FaceOptions): FacePlan {
  const { functions, types } = module.spaces;
  const outside = exportedFunctions(module, options.startExported);
  const byReference = module.listed.slice();
  if (module.functionsEscape || options.codeMentionsExports) {
    for (let i = 0; i < functions; i++) byReference[i]! |= outside[i]!;
  }

  // Per type, not per function: signatures can be long and functions many.
  const keys = module.types.map(({ func }) => (func === undefined ? '' : keyOf(func)));
  const callable = module.types.map(({ func }) => func !== undefined && callableFromJs(func));
  const faces: number[] = [];
  const faceOf = new Int32Array(functions).fill(NO_FACE);
  const reached = new Set<string>();
  for (let i = module.importedFunctions; i < functions; i++) {
    const type = module.functionTypes[i]!;
    const reachable = outside[i] === 1 || (module.functionsEscape && byReference[i] === 1);
    if (!reachable || !callable[type] || !options.rewritten(i)) continue;
    faceOf[i] = faces.push(i) - 1;
    if (byReference[i] === 1) reached.add(keys[type]!);
  }

  // With subtyping a call may reach a function of another signature than its own, so every one of them counts.
  const everyKey = module.typeSection.subtyping && reached.size > 0;
  const beforeReference = new Uint8Array(types);
  module.types.forEach(({ func }, i) => {
    if (func !== undefined && (everyKey || reached.has(keys[i]!))) beforeReference[i] = 1;
  });

  const importsByReference: number[] = [];
  const beforeCall = new Uint8Array(functions);
  for (let i = 0; i < functions; i++) {
    const lightly = byReference[i] === 1 && faceOf[i] === NO_FACE && beforeReference[module.functionTypes[i]!] === 1;
    if (i < module.importedFunctions) {
      if (lightly) importsByReference.push(i);
    } else if (lightly) {
      faceOf[i] = LIGHT_FACE;
    } else if (faceOf[i]! >= 0) {
      beforeCall[i] = BEFORE_SET_VIA;
    }
  }
  if (reached.size > 0 && (module.functionsEscape || importsByReference.length > 0)) {
    beforeCall.fill(BEFORE_CLEAR_VIA, 0, module.importedFunctions);
  }

  const groups = new FaceGroups(module, additions, faces);
  return { faces, faceOf, beforeCall, beforeReference, groupOf: (index) => groups.of(index), importsByReference };
}

function exportedFunctions(module: ModuleInfo, startExported: boolean): Uint8Array {
  const exported = new Uint8Array(module.spaces.functions);
  for (const { kind, index } of module.exports) if (kind === 'function') exported[index] = 1;
  if (startExported && module.start !== undefined) exported[module.start] = 1;
  return exported;
}

function callableFromJs(type: FuncType): boolean {
  return !type.params.some(isForeignToJs) && !type.results.some(isForeignToJs);
}

// Equal for equal signatures. Named types are all alike here: two indices may mean one type.
function keyOf(type: FuncType): string {
  const list = (types: readonly number[]) => types.map((t) => (t < 0x1000000 ? t : 'ref')).join();
  return `${list(type.params)}>${list(type.results)}`;
}
