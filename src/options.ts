// Arguments as they come from outside. A misspelt option must not pass for a wish that was granted; and what is read may be a Proxy
// or have getters, so it is read once, before anything is done, and what goes wrong there is told as any other bad argument.

import { badRange, badType, isArray, shown } from './errors.ts';

/// What `options` say: a copy, so that they are the same each time somebody looks. Throws TypeError unless `options` is an object
/// whose own keys are all among `known`. `what` names who was called.
export function readOptions<Options extends object>(what: string, options: Options, known: readonly string[]): Options {
  if (typeof options !== 'object' || options === null || isArray(options)) {
    throw badType(`${what}: the options are ${describe(options)}, expected an object`);
  }
  const read: Record<string, unknown> = {};
  const keys = reading(`${what}: the options`, () => {
    for (const key of known) {
      const value = (options as Record<string, unknown>)[key];
      if (value !== undefined) read[key] = value;
    }
    return Object.keys(options);
  });
  const unknown = keys.find((key) => !known.includes(key));
  if (unknown !== undefined) throw badType(`${what} has no option '${unknown}', expected ${known.join(', ')}`);
  return read as Options;
}

/// The items of an array, copied; undefined for what is none.
export function readArray(what: string, value: unknown): readonly unknown[] | undefined {
  return isArray(value) ? reading(what, () => [...value]) : undefined;
}

/// Runs `read`, which may run code of whoever gave the arguments. Throws TypeError with what that throws as its cause.
export function reading<Result>(what: string, read: () => Result): Result {
  try {
    return read();
  } catch (cause) {
    throw badType(`${what} cannot be read: ${told(cause)}`, { cause });
  }
}

function told(thrown: unknown): string {
  try {
    return String(thrown);
  } catch {
    return shown(thrown);
  }
}

const describe = (value: unknown): string =>
  typeof value === 'object' ? shown(value) : `${shown(value)} (${typeof value})`;

export function checkString(what: string, value: unknown): asserts value is string | undefined {
  if (value !== undefined && typeof value !== 'string') throw badType(`${what} is ${shown(value)}, expected a string`);
}

/// `tracing_thresh`, in units of the clock.
export function checkThreshold(value: unknown): asserts value is number {
  if (typeof value === 'number' && value >= 0 && value <= Number.MAX_SAFE_INTEGER) return;
  throw badRange(`threshold is ${shown(value)}, expected 0 to ${Number.MAX_SAFE_INTEGER}`);
}

export function checkBoolean(what: string, value: unknown): asserts value is boolean | undefined {
  if (value !== undefined && typeof value !== 'boolean') {
    throw badType(`${what} is ${shown(value)}, expected true or false`);
  }
}

/// Options with a default each, whose type is theirs too. Throws TypeError for one of another type, RangeError for NaN and infinity.
export function checkLike<Options extends object>(options: Partial<Options>, defaults: Readonly<Options>): void {
  for (const [name, value] of Object.entries(options)) {
    const type = typeof defaults[name as keyof Options];
    if (type === 'boolean') checkBoolean(name, value);
    else if (type === 'string') checkString(name, value);
    else if (!Number.isFinite(value)) throw badRange(`${name} is ${shown(value)}, expected a number`);
  }
}

export function checkFunction(what: string, value: unknown): asserts value is (...args: never[]) => unknown {
  if (typeof value !== 'function') throw badType(`${what} is ${shown(value)}, expected a function`);
}

/// An address, or a word of a machine's.
export function checkWord(what: string, value: unknown): asserts value is bigint {
  if (typeof value !== 'bigint') throw badType(`${what} is ${shown(value)}, expected a bigint`);
}
