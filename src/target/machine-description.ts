// A CPU's table, lowered for the engine (assembly/machine-layout.ts): names become places in the register file and in records,
// lists of names become runs of words.

import * as layout from '../../assembly/machine-layout.ts';
import type { CpuModel, Trampoline } from '../arch/arch.ts';
import { PLACE_OUTSIDE, PLACE_RETURN_TO_HANDLER } from '../arch/arch.ts';
import type { Engine } from '../engine.ts';

export interface DescriptionOptions {
  readonly firstSite: number;
  /// Where a call made by each function returns to.
  readonly returns: readonly bigint[];
  readonly poison: boolean;
  /// Entries save all registers, where the CPU can.
  readonly full: boolean;
  readonly tasksMax: number;
}

/// Where each register is in the register file. The first places belong to roles; the others are in the order of the record
/// that callbacks see, so that trampolines copy long runs.
export function registerFile(model: CpuModel): { places: Map<string, number>; size: number } {
  const places = new Map<string, number>();
  const claim = (name: string | undefined, place: number) => {
    if (name !== undefined && !places.has(name)) places.set(name, place);
  };
  claim(model.stackPointer, layout.REGISTER_SP);
  claim(model.frame.chain, layout.REGISTER_CHAIN);
  claim(model.link === 'stack' ? undefined : model.link.register, layout.REGISTER_LINK);
  claim(model.siteRegisters?.parent, layout.REGISTER_PARENT);
  claim(model.returnRegisters[0], layout.REGISTER_RETVAL);
  let size = layout.REGISTER_OTHERS;
  for (const { fields } of [model.fregs, model.ptRegs]) {
    for (const { name, size: bytes } of fields) {
      if (bytes !== 8 || places.has(name) || !model.ptRegs.field.has(name)) continue;
      places.set(name, size);
      size += 8;
    }
  }
  return { places, size };
}

interface Run {
  from: number;
  to: number;
  count: number;
}

/// Pairs of places, joined where both sides go on.
function joined(pairs: readonly (readonly [from: number, to: number])[]): Run[] {
  const runs: Run[] = [];
  for (const [from, to] of pairs.toSorted((a, b) => a[0] - b[0])) {
    const last = runs.at(-1);
    if (last && from === last.from + last.count * 8 && to === last.to + last.count * 8) last.count++;
    else runs.push({ from, to, count: 1 });
  }
  return runs;
}

/// Writes the description of `model` into a block and returns its address.
export function describe(engine: Engine, model: CpuModel, options: DescriptionOptions): number {
  const { memory } = engine;
  const { places, size: fileSize } = registerFile(model);
  const place = (name: string): number => places.get(name)!;
  const field = (name: string): number => model.fregs.field.get(name)!.offset;

  const saves = ({ saves }: Trampoline) => joined(saves.map((name) => [place(name), field(name)]));
  const restores = ({ restores }: Trampoline) => joined(restores.map((name) => [field(name), place(name)]));
  const { entry, exit } = model;
  const full = model.fullEntry ?? entry;
  const keeps = exit.keeps?.registers ?? [];
  const constants = [entry, full, exit].reduce((sum, { sets }) => sum + Object.keys(sets).length, 0);
  const runs = [entry, full, exit].reduce((sum, t) => sum + saves(t).length + restores(t).length, 0);
  const registers = model.argumentRegisters.length + model.clobbered.length + keeps.length + options.tasksMax;
  const bytes =
    layout.MACHINE_SIZE + 16 + (constants + runs) * layout.LIST_ENTRY + registers * 4 + 8 + options.returns.length * 8;
  const machine = engine.allocateBlock(bytes);
  let free = (machine + layout.MACHINE_SIZE + 15) & ~15;

  const store = (at: number, value: number): void => memory.store32(machine + at, value);
  const store64 = (address: number, value: bigint): void => memory.view.setBigUint64(address, value, true);
  const list = <T>(at: number, items: readonly T[], bytes: number, write: (address: number, item: T) => void): void => {
    store(at, free);
    store(at + 4, items.length);
    for (const item of items) {
      write(free, item);
      free += bytes;
    }
  };
  const runList = (at: number, items: readonly Run[]): void =>
    list(at, items, layout.LIST_ENTRY, (address, { from, to, count }) => {
      memory.store32(address + layout.RUN_FROM, from);
      memory.store32(address + layout.RUN_TO, to);
      memory.store32(address + layout.RUN_COUNT, count);
    });
  const trampoline = (at: number, t: Trampoline): void => {
    runList(at + layout.TRAMPOLINE_SAVES, saves(t));
    runList(at + layout.TRAMPOLINE_RESTORES, restores(t));
    list(at + layout.TRAMPOLINE_SETS, Object.entries(t.sets), layout.LIST_ENTRY, (address, [name, value]) => {
      memory.store32(address + layout.CONSTANT_FIELD, field(name));
      store64(address + layout.CONSTANT_VALUE, value);
    });
    store(at + layout.TRAMPOLINE_FRAME, t.frame);
  };
  const registerList = (at: number, names: readonly string[]): void =>
    list(at, names, 4, (address, name) => memory.store32(address, place(name)));

  trampoline(layout.MACHINE_ENTRY, entry);
  trampoline(layout.MACHINE_FULL, full);
  trampoline(layout.MACHINE_EXIT, exit);
  store(layout.MACHINE_RETURNS, free);
  for (const address of options.returns) {
    store64(free, address);
    free += 8;
  }
  registerList(layout.MACHINE_ARGUMENTS, model.argumentRegisters);
  registerList(layout.MACHINE_CLOBBERS, model.clobbered);
  registerList(layout.MACHINE_KEEPS, keeps);
  store(layout.MACHINE_KEEPS_AT, exit.keeps?.at ?? 0);
  store(layout.MACHINE_TASKS, free); // filled as tasks are made

  const isLinked = model.link !== 'stack';
  store(
    layout.MACHINE_FLAGS,
    (model.bigEndian ? layout.MACHINE_BIG_ENDIAN : 0) |
      (isLinked ? layout.MACHINE_LINKED : 0) |
      (options.poison ? layout.MACHINE_POISON : 0) |
      (exit.stackPointer !== null ? layout.MACHINE_EXIT_SP : 0) |
      (model.retp === 'framePointer' ? layout.MACHINE_RETP_CHAIN : 0) |
      (options.full && model.fullEntry ? layout.MACHINE_ALL_FULL : 0),
  );
  store(layout.MACHINE_SITE, options.firstSite);
  store(layout.MACHINE_SITES, options.returns.length);
  store64(machine + layout.MACHINE_HOOK, model.addresses.trampolines + PLACE_RETURN_TO_HANDLER);
  store64(machine + layout.MACHINE_OUTSIDE, model.addresses.trampolines + PLACE_OUTSIDE);
  store(layout.MACHINE_RESUME_BYTES, model.resume);
  store(layout.MACHINE_FRAME_SIZE, model.frame.size);
  store(layout.MACHINE_FRAME_CHAIN, model.frame.chainAt);
  store(layout.MACHINE_FRAME_LINK, model.frame.linkAt);
  store(layout.MACHINE_FRAME_VALUE, model.frame.chainValue);
  store(layout.MACHINE_RECORD_SIZE, model.fregs.size);
  store(layout.MACHINE_RECORD_SP, field(model.stackPointer));
  store(layout.MACHINE_RECORD_IP, field(model.instructionPointer));
  store(layout.MACHINE_RECORD_RETURN, model.returnField === null ? layout.NONE : field(model.returnField));
  store(layout.MACHINE_RECORD_DIRECT, field(model.directSlot));
  store(layout.MACHINE_REGISTERS, fileSize);
  store(layout.MACHINE_STACK_ARGUMENTS, model.stackArguments ?? layout.NONE);
  return machine;
}
