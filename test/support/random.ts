// Random numbers that a seed repeats: for tests, the torture and the bench.

/** A random number in [0, 1). */
export type Random = () => number;

/** A new seed for each run, printed to stderr. Set HEADRACE_SEED to repeat a run with its seed. */
export function printedSeed(): number {
  const seed = Number(process.env["HEADRACE_SEED"] ?? Date.now() % 2 ** 32);
  process.stderr.write(`seed ${seed} (HEADRACE_SEED=${seed} repeats this run)\n`);
  return seed;
}

/** The generator mulberry32. The same seed gives the same numbers. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A number in [low, high). */
export function between(random: Random, low: number, high: number): number {
  return low + random() * (high - low);
}

/** One of the items. Throws if there are none. */
export function pick<T>(random: Random, items: readonly T[]): T {
  const item = items[Math.floor(random() * items.length)];
  if (item === undefined) throw new Error("nothing to pick from");
  return item;
}

/** The items in a random order (Fisher-Yates). */
export function shuffled<T>(random: Random, items: readonly T[]): T[] {
  const left = [...items];
  const result: T[] = [];
  while (left.length > 0) result.push(...left.splice(Math.floor(random() * left.length), 1));
  return result;
}
