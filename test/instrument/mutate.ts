// Ways to break a module. Half of them keep its sections in order, since a size that is wrong is found at once and hides
// everything behind it.

import { readModule } from '../../src/instrument/index.ts';
import { IMM_UNKNOWN, PLAIN_KINDS } from '../../src/instrument/opcodes.ts';
import type { Random } from '../random-program.ts';
import { leb } from './proposals.ts';

export type Bytes = Uint8Array<ArrayBuffer>;

const OPCODES = [...PLAIN_KINDS.subarray(0, 256).keys()].filter((code) => PLAIN_KINDS[code] !== IMM_UNKNOWN);

// Bytes that mean something somewhere: value types, block types, opcodes with bodies, small and large numbers.
const TELLING = [
  0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15,
  0x18, 0x19, 0x1f, 0x20, 0x23, 0x40, 0x41, 0x60, 0x63, 0x64, 0x69, 0x6e, 0x6f, 0x70, 0x73, 0x7b, 0x7e, 0x7f, 0x80,
  0xd0, 0xd2, 0xd5, 0xfb, 0xfc, 0xfd, 0xff,
];
const NUMBERS = [
  [0x80, 0x00],
  [0x80, 0x80, 0x80, 0x80, 0x00],
  [0xff, 0xff, 0xff, 0xff, 0x0f],
  [0xff, 0xff, 0xff, 0xff, 0x07],
  [0xff, 0xff, 0x03],
  [0x80, 0x80, 0x80, 0x80, 0x80, 0x00],
  [0xff, 0x7f],
  [0x7f],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
];

const replaced = (bytes: Bytes, at: number, count: number, by: ArrayLike<number>): Bytes => {
  const out = new Uint8Array(bytes.length - count + by.length);
  out.set(bytes.subarray(0, at));
  out.set(by as Uint8Array, at);
  out.set(bytes.subarray(at + count), at + by.length);
  return out;
};

/// Changes a few bytes, somewhere.
function change(random: Random, bytes: Bytes): Bytes {
  const out = bytes.slice();
  for (let i = random.below(3); i >= 0; i--) {
    const at = random.below(out.length);
    const way = random.below(4);
    if (way === 0) out[at] = random.below(256);
    else if (way === 1) out[at]! ^= 1 << random.below(8);
    else if (way === 2) out[at] = TELLING[random.below(TELLING.length)]!;
    else out[at]! += random.below(2) === 0 ? 1 : -1;
  }
  return out;
}

// Instructions that leave the stack as it was, or make it not matter: where one happens to fall between two others, the
// module may stay valid and becomes one that nobody would write.
const NEUTRAL = [
  [0x01],
  [0x00],
  [0x0f],
  [0x41, 0x00, 0x1a],
  [0x02, 0x40, 0x0b],
  [0x02, 0x40, 0x0c, 0x01, 0x0b],
  [0x03, 0x40, 0x0b],
  [0x0c, 0x00],
  [0x41, 0x00, 0x0d, 0x00],
  [0x41, 0x00, 0x0e, 0x01, 0x00, 0x00],
  [0x06, 0x40, 0x0b],
  [0x06, 0x40, 0x19, 0x0b],
  [0x06, 0x40, 0x00, 0x07, 0x00, 0x00, 0x0b],
  [0x06, 0x40, 0x18, 0x00],
  [0x1f, 0x40, 0x00, 0x0b],
  [0x1f, 0x40, 0x01, 0x02, 0x00, 0x0b],
  [0x1f, 0x40, 0x02, 0x02, 0x00, 0x02, 0x01, 0x41, 0x00, 0x0d, 0x01, 0x0b],
  [0x12, 0x00],
  [0x12, 0x01],
  [0x10, 0x00, 0x1a],
  [0x20, 0x00, 0x21, 0x00],
  [0x41, 0x00, 0x11, 0x00, 0x00],
  [0xd2, 0x00, 0x1a],
];

function neutral(random: Random, bytes: Bytes): Bytes {
  return replaced(bytes, random.below(bytes.length + 1), 0, NEUTRAL[random.below(NEUTRAL.length)]!);
}

/// Replaces a stretch of bytes: by nothing, by a piece of `donor`, by a number in an odd form, by instructions.
function stretch(random: Random, bytes: Bytes, donor: Bytes): Bytes {
  const at = random.below(bytes.length + 1);
  const count = Math.min(random.below(random.chance(50) ? 3 : 20), bytes.length - at);
  const way = random.below(4);
  if (way === 0) return replaced(bytes, at, count, []);
  if (way === 1) {
    const from = random.below(donor.length);
    return replaced(bytes, at, count, donor.subarray(from, from + random.below(24)));
  }
  if (way === 2) return replaced(bytes, at, Math.min(1, count), NUMBERS[random.below(NUMBERS.length)]!);
  const code = Array.from({ length: 1 + random.below(3) }, () => OPCODES[random.below(OPCODES.length)]!);
  return replaced(bytes, at, random.chance(50) ? 0 : count, code);
}

const truncate = (random: Random, bytes: Bytes): Bytes => bytes.slice(0, random.below(bytes.length));

/// Takes the module apart, has `edit` change one section or one body, and puts it together with sizes that are right.
function inside(random: Random, bytes: Bytes, edit: (contents: Bytes) => Bytes): Bytes {
  let module: ReturnType<typeof readModule>;
  try {
    module = readModule(bytes);
  } catch {
    return edit(bytes);
  }
  const { sections, bodyOffsets, bodySizes } = module;
  if (sections.length === 0) return edit(bytes);
  const inCode = bodySizes.length > 0 && random.chance(60);
  const section = inCode ? sections.find(({ id }) => id === 10)! : sections[random.below(sections.length)]!;
  // From the size field on, so that the section can be put back whole; for code, the size of the body as well.
  let contents = bytes.slice(section.start, section.end);
  if (inCode) {
    const i = random.below(bodySizes.length);
    const from = bodyOffsets[i]! - section.start;
    const body = edit(contents.slice(from, from + bodySizes[i]!));
    const field = leb(bodySizes[i]!).length;
    contents = replaced(contents, from - field, field + bodySizes[i]!, [...leb(body.length), ...body]);
  } else {
    contents = edit(contents);
  }
  if (section.name !== undefined) return replaced(bytes, section.start, section.end - section.start, contents);
  const whole = [section.id, ...leb(contents.length), ...contents];
  return replaced(bytes, section.header, section.end - section.header, whole);
}

/// Sections in another order, twice, or gone.
function shuffle(random: Random, bytes: Bytes): Bytes {
  try {
    const { sections } = readModule(bytes);
    if (sections.length === 0) return bytes;
    const pick = () => sections[random.below(sections.length)]!;
    const one = pick();
    const piece = bytes.slice(one.header, one.end);
    if (random.chance(40)) return replaced(bytes, one.header, piece.length, []);
    return replaced(bytes, pick().header, 0, piece);
  } catch {
    return bytes;
  }
}

/// One to three mutations of `bytes`; `donor` gives away pieces of itself.
export function mutate(random: Random, bytes: Bytes, donor: Bytes): Bytes {
  let out = bytes;
  for (let i = random.chance(70) ? 0 : 1 + random.below(2); i >= 0 && out.length > 0; i--) {
    const way = random.below(16);
    const within = (part: Bytes): Bytes => {
      if (part.length > 0 && random.chance(40)) return change(random, part);
      return random.chance(60) ? neutral(random, part) : stretch(random, part, donor);
    };
    if (way === 0) out = truncate(random, out);
    else if (way === 1) out = shuffle(random, out);
    else if (way < 4) out = change(random, out);
    else if (way < 5) out = stretch(random, out, donor);
    else out = inside(random, out, within);
  }
  return out;
}
