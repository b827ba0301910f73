/** A repeatable source of choices: the same seed gives the same ones. */
export interface Random {
  /** From 0 up to, not including, `limit`. */
  below(limit: number): number;
  chance(probability: number): boolean;
  /** One of the items; undefined when there is none. */
  pick<T>(items: readonly T[]): T | undefined;
}

/** The mulberry32 generator: 32 bits of state, enough for a hundred choices a schedule. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    below: (limit) => Math.floor(next() * limit),
    chance: (probability) => next() < probability,
    pick: (items) => items[Math.floor(next() * items.length)],
  };
}

/**
 * How often things happen in one schedule: each has its own bias, so that a schedule has much of
 * some and next to nothing of others. Schedules that have a little of everything all look alike.
 */
export function biased<T>(
  random: Random,
  weighted: readonly (readonly [number, T])[],
): readonly (readonly [number, T])[] {
  const biases = [0.1, 0.5, 1, 1, 2, 3];
  return weighted.map(([parts, item]) => [parts * (random.pick(biases) ?? 1), item]);
}

/** One of the items, the more often the more parts it has. */
export function pickWeighted<T>(
  random: Random,
  weighted: readonly (readonly [number, T])[],
): T | undefined {
  const total = weighted.reduce((sum, [parts]) => sum + parts, 0);
  let dice = random.below(1000) * (total / 1000);
  return weighted.find(([parts]) => (dice -= parts) < 0)?.[1];
}
