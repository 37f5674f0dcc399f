// Where the bytes went. The output is made of runs of the input with additions between them:
//
//   input    | run 0        | run 1 |x| run 2 |          x: replaced (`return` becomes `br`)
//   output   | run 0        |+++| run 1 |++| run 2 |     +: added
//
// Two parallel arrays hold each run's first byte in input and output. A run ends where the next one begins, in the input: that
// is also what an added byte is mapped to. Output offsets rise; input offsets do too, but for bodies that were written twice:
// behind the first form they step back to where the second begins.

/// Grows while the output is written; becomes an `OffsetMap` when it is complete.
export class RunList {
  original: Uint32Array;
  instrumented: Uint32Array;
  length = 0;

  constructor(capacity = 64) {
    this.original = new Uint32Array(capacity);
    this.instrumented = new Uint32Array(capacity);
  }

  add(original: number, instrumented: number): void {
    if (this.length === this.original.length) {
      const capacity = this.length + (this.length >>> 1) + 16;
      this.original = grown(this.original, capacity);
      this.instrumented = grown(this.instrumented, capacity);
    }
    this.original[this.length] = original;
    this.instrumented[this.length++] = instrumented;
  }

  /// Adds the runs of `other`, whose output is placed at `base` of this one's.
  append(other: RunList, base: number): void {
    for (let i = 0; i < other.length; i++) this.add(other.original[i]!, base + other.instrumented[i]!);
  }

  /// Moves the runs from number `from` on by `distance` output bytes.
  shift(from: number, distance: number): void {
    for (let i = from; i < this.length; i++) this.instrumented[i]! += distance;
  }

  finish(originalSize: number, instrumentedSize: number): OffsetMap {
    this.add(originalSize, instrumentedSize);
    return new OffsetMap(this.original.slice(0, this.length), this.instrumented.slice(0, this.length));
  }
}

function grown(array: Uint32Array, capacity: number): Uint32Array {
  const larger = new Uint32Array(capacity);
  larger.set(array);
  return larger;
}

/// Translates byte offsets between a module and its instrumented form, as found in stack traces and error messages.
export class OffsetMap {
  readonly #original: Uint32Array;
  readonly #instrumented: Uint32Array;
  // The same without the first forms of bodies that were written twice, so that both rise.
  // Made when first asked for: most maps only ever translate the other way.
  #rising: { readonly original: Uint32Array; readonly instrumented: Uint32Array } | undefined;

  /// The last run is only there to end the one before it.
  constructor(original: Uint32Array, instrumented: Uint32Array) {
    this.#original = original;
    this.#instrumented = instrumented;
  }

  /// Offset in the original module of the byte at `offset` of the instrumented one. A byte that was added maps to the
  /// original byte that follows it, and one past the end to the original's size.
  toOriginal(offset: number): number {
    const run = findRun(this.#instrumented, offset);
    const start = this.#original[run]!;
    const end = this.#original[run + 1] ?? start;
    return end < start ? end : Math.min(start + (offset - this.#instrumented[run]!), end);
  }

  /// Offset in the instrumented module of the byte at `offset` of the original one. A byte that was dropped or replaced
  /// maps to what stands in its place, one that was written twice to the form that can be watched.
  toInstrumented(offset: number): number {
    this.#rising ??= rising(this.#original, this.#instrumented);
    const { original, instrumented } = this.#rising;
    const run = findRun(original, offset);
    const start = instrumented[run]!;
    return Math.min(start + (offset - original[run]!), instrumented[run + 1] ?? start);
  }
}

// Each run that no later one goes back before.
function rising(
  original: Uint32Array,
  instrumented: Uint32Array,
): { readonly original: Uint32Array; readonly instrumented: Uint32Array } {
  const kept: number[] = [];
  let least = Number.POSITIVE_INFINITY;
  let steps = 0;
  for (let i = 1; i < original.length; i++) if (original[i]! < original[i - 1]!) steps++;
  if (steps === 0) return { original, instrumented };
  for (let i = original.length - 1; i >= 0; i--) {
    if (original[i]! > least) continue;
    least = original[i]!;
    kept.push(i);
  }
  kept.reverse();
  return {
    original: Uint32Array.from(kept, (i) => original[i]!),
    instrumented: Uint32Array.from(kept, (i) => instrumented[i]!),
  };
}

// The last run that begins at or before `offset`; 0 when there is none.
function findRun(starts: Uint32Array, offset: number): number {
  let low = 0;
  let high = starts.length;
  while (high - low > 1) {
    const middle = (low + high) >>> 1;
    if (starts[middle]! <= offset) low = middle;
    else high = middle;
  }
  return low;
}
