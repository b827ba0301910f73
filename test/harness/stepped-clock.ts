import type { TestDatabase } from "./postgres";

/** The clock of a test's database, ahead of the machine's by as much as a test says. */
export interface SteppedClock {
  /** What the database says now, milliseconds since the epoch. */
  now(): number;
  /** Steps it, forward or back, for every statement that begins after this has resolved. */
  step(ms: number): Promise<void>;
}

/** To be called before anybody else connects: it is by what `clock_timestamp()` is looked up as. */
export async function stepClockOf({ pool, name }: TestDatabase): Promise<SteppedClock> {
  let aheadMs = 0;
  await pool.query(`create schema stepped;
    create table stepped.ahead (by interval not null);
    insert into stepped.ahead values ('0');
    create function stepped.clock_timestamp() returns timestamptz language plpgsql volatile as
      'begin return pg_catalog.clock_timestamp() + (select by from stepped.ahead); end';
    alter database ${name} set search_path = stepped, pg_catalog`);
  return {
    now: () => Date.now() + aheadMs,
    async step(ms) {
      aheadMs += ms;
      await pool.query("update stepped.ahead set by = $1 * interval '1 millisecond'", [aheadMs]);
    },
  };
}
