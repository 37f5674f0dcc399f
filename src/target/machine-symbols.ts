// The functions of a machine: where they are, and where in them the patchable instruction is (spec/arch.md §1.1).

import { type CpuModel, PLACES_SIZE } from '../arch/arch.ts';
import { badRange, badType, shown } from '../errors.ts';
import { readArray, readOptions } from '../options.ts';
import type { TargetSite } from './target.ts';

export interface SymbolOptions {
  readonly name: string;
  /// Of the first instruction.
  readonly address: bigint;
  /// Bytes.
  readonly size: number;
  /// Of the patchable instruction. Default: where the usual form of that CPU has it.
  readonly location?: bigint;
  /// The module that it belongs to; without, the kernel itself.
  readonly module?: string;
  /// It lies where the kernel has its interrupt entries: `function_graph` draws arrows around it (spec/fgraph.md §12.4). Default
  /// false.
  readonly isInterrupt?: boolean;
}

export interface MachineSymbol extends SymbolOptions {
  readonly location: bigint;
}

export interface MachineSite extends TargetSite {
  readonly ip: bigint;
  readonly symbol: MachineSymbol;
  /// Where a call that this function makes returns to.
  readonly returns: bigint;
}

const KNOWN = ['name', 'address', 'size', 'location', 'module', 'isInterrupt'];
const LIMIT = 1n << 64n;

/// Bytes from where a function goes on behind its site to where its calls return: there is some code in between.
const CODE = 4n;

const hex = (address: bigint): string => `0x${address.toString(16)}`;

/// The sites of symbols, in the order of their addresses. Throws RangeError and TypeError for symbols that cannot be.
export function machineSites(model: CpuModel, symbols: readonly SymbolOptions[]): Omit<MachineSite, 'id'>[] {
  const given = readArray('symbols', symbols);
  if (!given) throw badType(`symbols is ${shown(symbols)}, expected an array`);
  const names = new Set<string>();
  const placed = given.map((symbol, k): MachineSymbol => {
    const read = readOptions(`symbol ${k}`, symbol as SymbolOptions, KNOWN);
    const { name, address, size, module, isInterrupt } = read;
    if (typeof name !== 'string' || name === '')
      throw badType(`symbol ${k}: the name is ${shown(name)}, expected a string`);
    if (names.has(name)) throw badRange(`there are two symbols ${name}, expected different names`);
    names.add(name);
    const what = `symbol ${name}`;
    if (typeof address !== 'bigint') throw badType(`${what}: the address is ${shown(address)}, expected a bigint`);
    if (!Number.isInteger(size) || size < 1)
      throw badRange(`${what}: the size is ${shown(size)}, expected a number of bytes`);
    if (address <= 0n || address + BigInt(size) > LIMIT)
      throw badRange(`${what} at ${hex(address)} lies outside of memory`);
    if (module !== undefined && typeof module !== 'string') throw badType(`${what}: the module is ${shown(module)}`);
    if (isInterrupt !== undefined && typeof isInterrupt !== 'boolean') {
      throw badType(`${what}: isInterrupt is ${shown(isInterrupt)}, expected true or false`);
    }
    const { location = address + BigInt(model.siteForms[0]!.offset) } = read;
    if (typeof location !== 'bigint') throw badType(`${what}: the location is ${shown(location)}, expected a bigint`);
    if (location < address || location >= address + BigInt(size)) {
      throw badRange(`${what}: the location ${hex(location)} is outside of its ${size} bytes at ${hex(address)}`);
    }
    if (location % BigInt(model.codeAlign) !== 0n) {
      throw badRange(`${what}: the location ${hex(location)} is no multiple of ${model.codeAlign}`);
    }
    return { name, address, size, location, module, isInterrupt };
  });
  placed.sort((a, b) => (a.address < b.address ? -1 : 1));
  const { trampolines } = model.addresses;
  placed.forEach((symbol, k) => {
    const end = symbol.address + BigInt(symbol.size);
    const next = placed[k + 1];
    if (next && next.address < end) {
      throw badRange(`symbols ${symbol.name} and ${next.name} overlap at ${hex(next.address)}`);
    }
    if (symbol.address < trampolines + BigInt(PLACES_SIZE) && end > trampolines) {
      throw badRange(`symbol ${symbol.name} lies where the trampolines are, at ${hex(trampolines)}`);
    }
  });
  return placed.map((symbol, index) => {
    const end = symbol.address + BigInt(symbol.size);
    const returns = symbol.location + BigInt(model.resume) + CODE;
    return {
      ip: symbol.location,
      index,
      name: symbol.name,
      isInterrupt: symbol.isInterrupt,
      symbol,
      returns: returns < end ? returns : end - 1n,
    };
  });
}
