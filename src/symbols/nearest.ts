// Which names somebody may have meant by a glob that matches none: those that the glob would match with the fewest edits.
//
// The distance is the one of strings (insert, delete, replace, swap two neighbours), except that the pattern is a glob: what a `*`
// covers costs nothing. One row of the table per item of the glob:
//
//            s  q  l  o  p  e  n
//   o  …     2  4  6  …            an edit costs 2, another case of the same letter 1
//   p  …
//   *        row[j] = min(above[j], row[j − 1])

import { ANY_RUN, type Glob, matchesItem, parseGlob } from '../glob.ts';
import type { Named } from './function-name.ts';

const EDIT = 2;
const CASE = 1;
const MOST = 3;
/// Of a pattern's letters, how many may be wrong.
const SHARE_WRONG = 1 / 3;
const LONGEST = 2000;

/// At most three names near `pattern`, best first, in the form (`name` or alias) that is near. Empty when nothing is. Takes time
/// proportional to the length of all names, not of their demangled forms if there is nothing to demangle.
export function nearestNames(pattern: string, functions: readonly Named[]): string[] {
  const glob = parseGlob(pattern);
  const letters = glob.items.filter((item) => item !== ANY_RUN).length;
  const limit = Math.max(1, Math.floor(letters * SHARE_WRONG)) * EDIT;
  if (letters === 0 || letters > LONGEST) return [];
  const near = search(glob, functions, limit);
  // Forgetting the stars is the other mistake.
  return near.length > 0 ? near : search(parseGlob(`*${pattern}*`), functions, limit >> 1);
}

function search(glob: Glob, functions: readonly Named[], limit: number): string[] {
  const distance = new Distance(glob);
  const best: { form: string; cost: number }[] = [];
  let bound = limit;
  const offer = (form: string): void => {
    if (form.length > LONGEST) return;
    const cost = distance.to(form, bound);
    if (cost > bound || best.some((other) => other.form === form)) return;
    best.push({ form, cost });
    best.sort((a, b) => a.cost - b.cost || a.form.length - b.form.length);
    if (best.length > MOST) best.pop();
    if (best.length === MOST) bound = best[MOST - 1].cost;
  };
  for (const { name, aliases } of functions) {
    offer(name);
    aliases?.forEach(offer);
  }
  // What is twice as far away as the best was hardly meant.
  return best.filter(({ cost }) => cost <= 2 * best[0].cost).map(({ form }) => form);
}

// Both cases of a letter share a bit.
const bit = (unit: number): number => 1 << (unit & 31);

function bitCount(set: number): number {
  let count = 0;
  for (let left = set; left !== 0; left &= left - 1) count++;
  return count;
}

class Distance {
  readonly #glob: Glob;
  readonly #letters: number;
  readonly #anchored: boolean;
  /// One bit for each letter that the pattern asks for.
  readonly #set: number;
  /// Three rows take turns: that of item i is row (i + 1) mod 3, above it are i and i − 1.
  #rows = [new Uint32Array(0), new Uint32Array(0), new Uint32Array(0)];

  constructor(glob: Glob) {
    this.#glob = glob;
    this.#letters = glob.items.filter((item) => item !== ANY_RUN).length;
    this.#anchored = this.#letters === glob.items.length;
    this.#set = glob.items.reduce((set, item) => (item < 0 ? set : set | bit(item)), 0);
  }

  /// The cost of making the glob match `name`, or anything above `bound`.
  to(name: string, bound: number): number {
    const { items } = this.#glob;
    const missing = this.#letters - name.length;
    if (missing * EDIT > bound || (this.#anchored && -missing * EDIT > bound)) return bound + 1;
    // A letter that does not occur costs an edit: this tells most names apart without a table.
    let set = 0;
    for (let j = 0; j < name.length; j++) set |= bit(name.charCodeAt(j));
    if (bitCount(this.#set & ~set) * EDIT > bound) return bound + 1;
    if (this.#rows[0].length <= name.length) this.#rows = this.#rows.map(() => new Uint32Array(name.length * 2 + 64));
    const first = this.#rows[0];
    for (let j = 0; j <= name.length; j++) first[j] = j * EDIT;
    for (let i = 0; i < items.length; i++) if (this.#fill(name, i) > bound) return bound + 1;
    return this.#rows[items.length % 3][name.length];
  }

  /// Fills the row of item `i`, returns the smallest number in it: no later row has a smaller one, since a swap, which skips a row,
  /// costs no less than replacing.
  #fill(name: string, i: number): number {
    const { items } = this.#glob;
    const row = this.#rows[(i + 1) % 3];
    const above = this.#rows[i % 3];
    const above2 = this.#rows[(i + 2) % 3];
    const item = items[i];
    const before = i > 0 ? items[i - 1] : ANY_RUN;
    const run = item === ANY_RUN;
    row[0] = run ? above[0] : above[0] + EDIT;
    let least = row[0];
    for (let j = 1; j <= name.length; j++) {
      let cost: number;
      if (run) {
        cost = Math.min(above[j], row[j - 1]);
      } else {
        const unit = name.charCodeAt(j - 1);
        cost = Math.min(above[j - 1] + this.#replace(item, unit), above[j] + EDIT, row[j - 1] + EDIT);
        const swapped = before === unit && j > 1 && item === name.charCodeAt(j - 2);
        if (swapped) cost = Math.min(cost, above2[j - 2] + EDIT);
      }
      row[j] = cost;
      least = Math.min(least, cost);
    }
    return least;
  }

  #replace(item: number, unit: number): number {
    if (item === unit) return 0;
    if (item < 0) return matchesItem(this.#glob, item, unit) ? 0 : EDIT;
    const letter = item | 0x20;
    return letter === (unit | 0x20) && letter >= 0x61 && letter <= 0x7a ? CASE : EDIT;
  }
}
