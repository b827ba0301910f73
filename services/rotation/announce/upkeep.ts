import { type Clock, systemClock } from "../../../lib/clock";
import { type Log, silentLog } from "../../../lib/log";
import type { Db } from "../../../lib/postgres/db";
import { pruneOutbox } from "../../../lib/postgres/outbox";
import type { SealedAnswerStore } from "../credentials/store/sealed-answer-store";
import type { AttemptStore } from "../limits/attempt-limit";
import type { InvitationStore } from "../self-rotation/store/invitation-store";
import type { SessionStore } from "../sessions/store/session-store";
import type { SignInStore } from "../sign-in/store/sign-in-store";

export interface UpkeepDeps {
  db: Db;
  answers: Pick<SealedAnswerStore, "prune">;
  attempts: Pick<AttemptStore, "prune">;
  invitations: Pick<InvitationStore, "prune">;
  signIns: Pick<SignInStore, "prune">;
  sessions: Pick<SessionStore, "prune">;
  /** Whether rows wait for the Kafka publisher, too. */
  hasPublisher: boolean;
  clock?: Clock;
  log?: Log;
}

const EVERY_MS = 60_000;
/** Tails are seconds behind at most; whoever was away longer reads the whole state. */
const KEEP_MS = 3_600_000;
const BATCH = 1000;

/**
 * Removes what nobody reads any more: announcements that everybody has seen, answers that may not be
 * asked for again, attempts that count no more, invitations, sessions and tokens of the identity provider
 * that are over, replicas that are gone.
 */
export async function runUpkeep(deps: UpkeepDeps, signal: AbortSignal): Promise<void> {
  const { clock = systemClock, log = silentLog } = deps;
  for (;;) {
    await clock.sleep(EVERY_MS, signal);
    if (signal.aborted) return;
    await removeOld(deps, signal).catch((error: unknown) => {
      log.warn("old rows could not be removed", { error });
    });
  }
}

/** In bounded batches, so that no statement holds others up. */
export async function removeOld(
  { db, answers, attempts, invitations, signIns, sessions, hasPublisher }: UpkeepDeps,
  signal: AbortSignal,
): Promise<void> {
  const publisher = hasPublisher ? { publisher: "kafka" } : {};
  let removed: number;
  do {
    removed = await pruneOutbox(db, { schema: "rotation", keepMs: KEEP_MS, ...publisher });
  } while (removed > 0 && !signal.aborted);
  for (const store of [answers, attempts, invitations, signIns, sessions])
    do {
      removed = await store.prune(db, BATCH);
    } while (removed > 0 && !signal.aborted);
  await db.query(
    `delete from rotation.replicas r where r.beat_at < clock_timestamp() - interval '1 day'
       and not exists (select from rotation.vms v where v.replica_id = r.replica_id)`,
  );
  await db.query(
    `delete from rotation.credential_use_reports
     where reported_at < clock_timestamp() - interval '8 days'`,
  );
}
