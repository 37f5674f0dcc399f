import { binaryen } from './binaryen.ts';
import { box2d } from './box2d.ts';
import { draco } from './draco.ts';
import { lua } from './lua.ts';
import { oniguruma } from './oniguruma.ts';
import type { Program } from './program.ts';
import { quickjs } from './quickjs.ts';
import { rapier } from './rapier.ts';
import { sha256 } from './sha256.ts';
import { sourceMap } from './source-map.ts';
import { sqlite } from './sqlite.ts';
import { sqliteOfficial } from './sqlite-official.ts';
import { tiktoken } from './tiktoken.ts';
import { treeSitter } from './tree-sitter.ts';
import { wabt } from './wabt.ts';
import { webIfc } from './web-ifc.ts';
import { yoga } from './yoga.ts';
import { zstd } from './zstd.ts';

export { type Bytes, type Instantiate, type Program, type Session, untouched } from './program.ts';

/// Every program, the ones that the project's issues name first.
export const programs: readonly Program[] = [
  sqlite,
  sqliteOfficial,
  quickjs,
  treeSitter,
  tiktoken,
  lua,
  webIfc,
  wabt,
  binaryen,
  box2d,
  rapier,
  draco,
  zstd,
  oniguruma,
  yoga,
  sourceMap,
  sha256,
];

/// Those with the most calls for their run time: on them a price per call shows first.
export const callHeavy: readonly Program[] = [yoga, wabt, quickjs, tiktoken, lua, sqlite, zstd, box2d];
