// Argument and return words as text (spec/fgraph.md §12.3).

/// A parameter, as far as text needs to know its type. `kind` is what the field's type information calls it; every kind
/// that is not named here is printed as raw words behind its name.
export interface Param {
  /// Empty: no name and no `=`. A variadic tail has the name '' and `variadic`.
  name: string;
  kind: 'pointer' | 'signed' | 'unsigned' | 'enum' | 'unknown' | (string & {});
  variadic?: boolean;
  /// Words that the parameter takes, 1 unless given. Only raw kinds take more.
  words?: number;
  /// Of an enum: the names of its values.
  values?: ReadonlyMap<bigint, string>;
}

const hex = (word: bigint): string => `0x${BigInt.asUintN(64, word).toString(16)}`;
const signed = (word: bigint): string => BigInt.asIntN(64, word).toString();

/// The text between the parentheses. Without type information (`params` null) it is empty: a word alone says nothing.
/// Parameters for which no words are left show as `...`.
export function argumentText(params: readonly Param[] | null | undefined, words: readonly bigint[]): string {
  if (params == null) return '';
  let text = '';
  let at = 0;
  for (const param of params) {
    if (text !== '') text += ', ';
    if (at >= words.length) return `${text}...`;
    if (param.name !== '' || param.variadic) text += `${param.name}=`;
    const word = words[at++];
    switch (param.kind) {
      case 'pointer':
      case 'unsigned':
        text += hex(word);
        break;
      case 'unknown':
        text += `?${hex(word)}`;
        break;
      case 'signed':
        // The whole word, though an int fills only half of it: −100 passed in 32 bits prints as 4294967196.
        text += signed(word);
        break;
      case 'enum': {
        const name = param.values?.get(BigInt.asIntN(64, word));
        text += name === undefined ? signed(word) : `${signed(word)} [${name}]`;
        break;
      }
      default:
        text += `(${param.kind})[${hex(word)}`;
        for (let rest = (param.words ?? 1) - 1; rest > 0; rest--) {
          if (at >= words.length) return `${text}:...]`;
          text += `:${hex(words[at++])}`;
        }
        text += ']';
    }
  }
  return text;
}

const ERRNO_MAX = 4095n;

/// A return word. In the range of error numbers, also as 32 bits, it shows as a negative decimal, else as the raw word.
export function returnText(word: bigint, asHex: boolean): string {
  const raw = BigInt.asUintN(64, word);
  const value = raw >> 31n === 1n ? BigInt.asIntN(32, raw) : BigInt.asIntN(64, raw);
  return !asHex && value < 0n && value >= -ERRNO_MAX ? value.toString() : hex(raw);
}
