// Repeatable randomness for tests: the seed goes into every message, so that a failure can be run again.

/// `random(n)` is a whole number from 0 to n − 1.
export function seeded(seed = 0x5eed): { seed: number; random: (below: number) => number } {
  let state = seed;
  const random = (below: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  return { seed, random };
}
