import { createTestDatabase } from "../../../test/harness/postgres";
import { postgresSealedAnswerStore as answers } from "../credentials/store/postgres-sealed-answer-store";
import { postgresAttemptStore as attempts } from "../limits/postgres-attempt-store";
import { postgresInvitationStore as invitations } from "../self-rotation/store/postgres-invitation-store";
import { postgresSessionStore as sessions } from "../sessions/store/postgres-session-store";
import { postgresSignInStore as signIns } from "../sign-in/store/postgres-sign-in-store";
import { removeOld } from "./upkeep";

it("removes answers that may not be asked for again, and no others", async () => {
  const database = await createTestDatabase("rotation");
  const { pool } = database;
  try {
    await pool.query(
      `insert into rotation.sealed_answers (tenant_id, request, request_hash, sealed, expires_at)
       select 't1', int4send(n), '', '', now() + (n - 1500) * interval '1 minute'
       from generate_series(1, 1502) as n`,
    );
    const { signal } = new AbortController();
    await removeOld(
      { db: pool, answers, attempts, invitations, signIns, sessions, hasPublisher: false },
      signal,
    );
    const { rows } = await pool.query<{ n: bigint }>(
      "select count(*) as n from rotation.sealed_answers",
    );
    expect(rows[0]?.n).toBe(2n);
  } finally {
    await database.drop();
  }
});

it("removes old announcements, but none that Kafka has not had", async () => {
  const database = await createTestDatabase("rotation");
  const { pool } = database;
  try {
    await pool.query(
      `insert into rotation.outbox (at, event_id, rotation_id, tenant_id, vm_id, targets, traceparent)
       select now() - age * interval '1 hour', gen_random_uuid(), 'r', 't1', 'vm', '[]', ''
       from generate_series(0, 2500) as age`,
    );
    const left = async () => {
      const { rows } = await pool.query<{ n: bigint }>("select count(*) as n from rotation.outbox");
      return rows[0]?.n;
    };
    const { signal } = new AbortController();
    await removeOld(
      { db: pool, answers, attempts, invitations, signIns, sessions, hasPublisher: true },
      signal,
    );
    expect(await left()).toBe(2501n);
    await removeOld(
      { db: pool, answers, attempts, invitations, signIns, sessions, hasPublisher: false },
      signal,
    );
    expect(await left()).toBe(1n);
  } finally {
    await database.drop();
  }
});
