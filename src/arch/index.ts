// The CPU models by name.

import { badRange, badType, shown } from '../errors.ts';
import { reading } from '../options.ts';
import type { CpuModel, CpuName } from './arch.ts';
import { arm64 } from './arm64.ts';
import { loongarch64 } from './loongarch64.ts';
import { powerpc64 } from './powerpc64.ts';
import { riscv64 } from './riscv64.ts';
import { s390x } from './s390x.ts';
import { x86_64 } from './x86_64.ts';

export const CPUS: Readonly<Record<CpuName, CpuModel>> = { x86_64, arm64, riscv64, loongarch64, powerpc64, s390x };

/// The model of a CPU. Throws RangeError for one that there is no model of.
export function cpuModel(name: string): CpuModel {
  if (typeof name === 'string' && Object.hasOwn(CPUS, name)) return CPUS[name as CpuName];
  throw badRange(`arch is ${shown(name)}, expected one of ${Object.keys(CPUS).join(', ')}`);
}

/// Throws TypeError for what is no model: neither one of `CPUS` nor that of a machine.
export function checkModel(model: CpuModel): void {
  const isModel = (): boolean => Object.values(CPUS).some(({ ptRegs }) => ptRegs === model.ptRegs);
  if (typeof model === 'object' && model !== null && reading('the model', isModel)) return;
  throw badType(`the model is ${shown(model)}, expected one that cpuModel returns`);
}
