/** How many secrets an environment holds. */
export const SECRETS = 20;

export function secretName(at: number): string {
  return `BENCH_SECRET_${10 + at}`;
}

/** Of the same length in every round. */
export function secretValue(at: number, round: number): string {
  return `round-${round}-of-secret-${at}-`.padEnd(40, "x");
}

/** The round that an env file shows. */
export function roundOf(env: string): number {
  return Number(/^BENCH_SECRET_10='?round-(\d+)-/m.exec(env)?.[1] ?? Number.NaN);
}
