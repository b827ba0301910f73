import type { AttemptLimit, AttemptStore, AttemptSubject } from "./attempt-limit";

const SECONDS = `interval '1 second'`;

/**
 * One statement: the times of the last `max` attempts that were let through, and the next is when the
 * oldest of them is out of the window. Whoever asks at once waits for the row, and sees what the one
 * before wrote. A window of fixed ends would let twice as many through around each end.
 */
const TAKE = `with taken as (
    insert into rotation.attempts as it (tenant_id, limit_name, subject, times, over_at)
    values ($1, $2, $3, array[clock_timestamp()], clock_timestamp() + $5::int * ${SECONDS})
    on conflict (tenant_id, limit_name, subject) do update
      set times = (array[clock_timestamp()] || it.times)[1:$4::int], over_at = clock_timestamp() + $5::int * ${SECONDS}
      where coalesce(it.times[$4::int] <= clock_timestamp() - $5::int * ${SECONDS}, true)
    returning 1)
  select exists (select from taken) as taken, (
    select (extract(epoch from times[$4::int] - clock_timestamp()) * 1000)::float8
    from rotation.attempts where tenant_id = $1 and limit_name = $2 and subject = $3) as wait_ms`;

/** AttemptStore in `rotation.attempts`. */
export const postgresAttemptStore: AttemptStore = {
  async take(db, { name, max, windowSeconds }: AttemptLimit, who: AttemptSubject) {
    const { rows } = await db.query<{ taken: boolean; wait_ms: number | null }>(TAKE, [
      ...[who.tenantId, name, who.subject, max, windowSeconds],
    ]);
    const [row] = rows;
    if (row?.taken) return undefined;
    const windowMs = windowSeconds * 1000;
    // The row as it was before this statement: those that it waited for may have filled it just now.
    return Math.min(windowMs, Math.max(1, Math.ceil((row?.wait_ms ?? 0) + windowMs)));
  },
  async prune(db, limit) {
    const { rowCount } = await db.query(
      `delete from rotation.attempts where (tenant_id, limit_name, subject) in (
         select tenant_id, limit_name, subject from rotation.attempts
         where over_at < clock_timestamp() order by over_at limit $1
         for update skip locked) and over_at < clock_timestamp()`,
      [limit],
    );
    return rowCount;
  },
};
