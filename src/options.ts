// A misspelt option must not pass for a wish that was granted.

import { badType, shown } from './errors.ts';

/// Throws TypeError unless `options` is an object whose own keys are all among `known`. `what` names who was called.
export function checkOptions(what: string, options: unknown, known: readonly string[]): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw badType(`${what}: the options are ${describe(options)}, expected an object`);
  }
  const unknown = Object.keys(options).find((key) => !known.includes(key));
  if (unknown !== undefined) throw badType(`${what} has no option '${unknown}', expected ${known.join(', ')}`);
}

const describe = (value: unknown): string =>
  typeof value === 'object' ? shown(value) : `${shown(value)} (${typeof value})`;

export function checkString(what: string, value: unknown): asserts value is string | undefined {
  if (value !== undefined && typeof value !== 'string') throw badType(`${what} is ${shown(value)}, expected a string`);
}

export function checkBoolean(what: string, value: unknown): asserts value is boolean | undefined {
  if (value !== undefined && typeof value !== 'boolean') {
    throw badType(`${what} is ${shown(value)}, expected true or false`);
  }
}
