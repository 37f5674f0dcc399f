// Globs as function filters use them (spec/fprobe.md §3.1): `*`, `?`, classes, `\`; anchored at both ends, nothing
// special about dots or slashes, case sensitive.
//
// A pattern is taken apart once; matching then needs no recursion and no allocation. On a mismatch only the most recent
// `*` can still be given one more character: if an earlier one could save the match, the later one could too. So the worst
// case is quadratic, whatever the pattern.

export const ANY_RUN = -1;
const ANY_ONE = -2;
const CLASS = -3; // and below: class k is CLASS − k

interface CharacterClass {
  negated: boolean;
  /// Pairs: first and last code point of a range, both included.
  ranges: number[];
}

/// A pattern taken apart.
export interface Glob {
  /// One per element: a code point, `ANY_RUN`, or a negative number that `matchesItem` knows.
  readonly items: readonly number[];
  readonly classes: readonly CharacterClass[];
}

export function parseGlob(pattern: string): Glob {
  const classes: CharacterClass[] = [];
  return { items: parse(pattern, classes), classes };
}

/// Whether an item that stands for one character stands for this one.
export function matchesItem({ classes }: Glob, item: number, point: number): boolean {
  return item === point || item === ANY_ONE || isMember(classes, item, point);
}

/// Compiles `pattern` to a test of whole names. Every string is a pattern: an unterminated `[` and a `\` at the end stand
/// for themselves. The empty pattern matches the empty name only.
export function compileGlob(pattern: string): (name: string) => boolean {
  const glob = parseGlob(pattern);
  const { items } = glob;
  if (items.every((item) => item >= 0)) {
    const literal = items.map((point) => String.fromCodePoint(point)).join('');
    return (name) => name === literal;
  }
  return (name) => match(glob, name);
}

// One item per element of the pattern: a code point, or one of the negative numbers above.
function parse(pattern: string, classes: CharacterClass[]): number[] {
  const points = Array.from(pattern, (character) => character.codePointAt(0)!);
  const items: number[] = [];
  let at = 0;
  while (at < points.length) {
    const point = points[at++];
    switch (point) {
      case 0x2a: // *
        if (items.at(-1) !== ANY_RUN) items.push(ANY_RUN);
        break;
      case 0x3f: // ?
        items.push(ANY_ONE);
        break;
      case 0x5c: // \
        items.push(at < points.length ? points[at++] : point);
        break;
      case 0x5b: {
        // [
        const end = parseClass(points, at, classes);
        if (end < 0) {
          items.push(point);
        } else {
          items.push(CLASS - (classes.length - 1));
          at = end;
        }
        break;
      }
      default:
        items.push(point);
    }
  }
  return items;
}

// Reads the class whose `[` stands before `at`. Returns where the pattern goes on, −1 if no `]` ends the class.
function parseClass(points: readonly number[], at: number, classes: CharacterClass[]): number {
  const DASH = 0x2d;
  const END = 0x5d;
  const negated = points[at] === 0x21; // !
  if (negated) at++;
  const ranges: number[] = [];
  // The first character is a member whatever it is, so `[]abc]` contains `]` and there is no empty class.
  do {
    if (at >= points.length) return -1;
    const first = points[at++];
    let last = first;
    if (points[at] === DASH && at + 1 < points.length && points[at + 1] !== END) {
      last = points[at + 1];
      at += 2;
    }
    ranges.push(first, last);
  } while (points[at] !== END);
  classes.push({ negated, ranges });
  return at + 1;
}

function match(glob: Glob, name: string): boolean {
  const { items } = glob;
  let item = 0;
  let at = 0;
  let runItem = -1; // item after the most recent `*`
  let runAt = 0; // first character that this `*` does not cover
  while (at < name.length) {
    const wanted = items[item];
    if (wanted === ANY_RUN) {
      runItem = ++item;
      runAt = at;
      if (runItem === items.length) return true;
      continue;
    }
    const point = name.codePointAt(at)!;
    if (wanted !== undefined && matchesItem(glob, wanted, point)) {
      item++;
      at += width(point);
    } else if (runItem >= 0) {
      runAt += width(name.codePointAt(runAt)!);
      item = runItem;
      at = runAt;
    } else {
      return false;
    }
  }
  while (items[item] === ANY_RUN) item++;
  return item === items.length;
}

const width = (point: number): number => (point > 0xffff ? 2 : 1);

function isMember(classes: readonly CharacterClass[], item: number, point: number): boolean {
  if (item > CLASS) return false;
  const { negated, ranges } = classes[CLASS - item];
  let found = false;
  for (let i = 0; i < ranges.length && !found; i += 2) found = ranges[i] <= point && point <= ranges[i + 1];
  return found !== negated;
}
