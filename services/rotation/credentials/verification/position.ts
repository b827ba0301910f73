/**
 * How far the changes of a database are known: a snapshot of PostgreSQL. What it does not see was under way
 * when it was taken, or began later.
 */
export interface Position {
  /** As PostgreSQL writes a `pg_snapshot`. */
  readonly text: string;
  /** All transactions below are over. */
  readonly from: bigint;
  /** None from here on had begun. */
  readonly to: bigint;
}

const NUMBER = String.raw`[1-9]\d{0,18}`;
const SNAPSHOT = new RegExp(`^(${NUMBER}):(${NUMBER}):((?:${NUMBER},)*${NUMBER})?$`);
const MAX_NUMBER = 2n ** 63n - 1n;
/** No database has so many connections. */
const MAX_LENGTH = 200_000;

/** Undefined for anything that PostgreSQL would not take. */
export function readPosition(text: string): Position | undefined {
  const [, first = "", last = "", open] = (text.length <= MAX_LENGTH && SNAPSHOT.exec(text)) || [];
  const [from, to] = [BigInt(first), BigInt(last)];
  if (from === 0n || to < from || to > MAX_NUMBER) return undefined;
  let before = from;
  for (const number of open?.split(",") ?? []) {
    const xid = BigInt(number);
    if (xid < before || xid >= to) return undefined;
    before = xid;
  }
  return { text, from, to };
}

/** Whether one can have come after another in the same database: never in one that was set back. */
export function isAfter(later: Position, earlier: Position): boolean {
  return later.from >= earlier.from && later.to >= earlier.to;
}
