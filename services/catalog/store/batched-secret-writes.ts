import type { Db } from "../../../lib/postgres/db";
import { isAppError } from "../../../lib/errors";
import type { Caller } from "../audit";
import { batched, type Ask } from "./batched";
import { secretFromRow, type SecretRow } from "./secret-row";
import { writeSecrets, type WriteVariant } from "./secret-statements";
import type { SealedWrite, WriteOutcome } from "./secret-store";

/** One write and who asks for it. */
export interface CallersWrite {
  caller: Caller;
  write: SealedWrite;
}

/** Writes one secret by a statement of its own, and says what became of it. */
export type WriteAlone = (caller: Caller, write: SealedWrite) => Promise<WriteOutcome>;

const MAX_BATCH_BYTES = 1024 * 1024;
const ROW_BYTES = 4096;

/**
 * Writes that come at the same time go into one statement and one commit. A write with a condition
 * goes alone; so does each write of a batch that PostgreSQL refused, so that none fails for another.
 */
export function createBatchedWrites(db: Db, writeAlone: WriteAlone): WriteAlone {
  const variants = [true, false].flatMap((keepsDescription) =>
    [true, false].map((keepsDelivery) => {
      const variant = { keepsDescription, keepsDelivery };
      return { ...variant, ask: createVariant(db, variant, writeAlone) };
    }),
  );
  return async (caller, write) => {
    if (write.expectedVersion !== undefined || write.needsFile) return writeAlone(caller, write);
    const variant = variants.find(
      ({ keepsDescription, keepsDelivery }) =>
        keepsDescription === (write.description === undefined) &&
        keepsDelivery === (write.asFile === undefined),
    );
    if (!variant) throw new Error("there is a statement for every variant");
    return variant.ask({ caller, write });
  };
}

function createVariant(
  db: Db,
  variant: WriteVariant,
  writeAlone: WriteAlone,
): Ask<CallersWrite, WriteOutcome> {
  const text = writeSecrets(variant);
  const name = `write-secrets-${variant.keepsDescription}-${variant.keepsDelivery}`;
  const writeTogether = async (writes: readonly CallersWrite[]) => {
    const { rows } = await db.query<SecretRow & { version_id: string }>(text, toArrays(writes), {
      name,
    });
    const byVersion = new Map(rows.map((row) => [row.version_id, row]));
    return writes.map(({ write }): WriteOutcome => {
      const row = byVersion.get(write.versionId);
      if (!row) throw new Error("a write without a condition gives a row");
      return { kind: "written", secret: secretFromRow(row) };
    });
  };
  const alone = ({ caller, write }: CallersWrite) => settled(writeAlone(caller, write));
  const writeAll = async (writes: readonly CallersWrite[]): Promise<Settled[]> => {
    if (writes.length === 1) return Promise.all(writes.map(alone));
    try {
      return (await writeTogether(writes)).map((outcome) => ({ outcome }));
    } catch (error) {
      if (isAppError(error, "UNAVAILABLE")) return writes.map(() => ({ error }));
      return Promise.all(writes.map(alone));
    }
  };
  const ask = batched((writes: readonly CallersWrite[]) => inRounds(writes, writeAll), {
    weightOf: ({ write }) => write.sealed.length + ROW_BYTES,
    maxWeight: MAX_BATCH_BYTES,
  });
  return async (write) => {
    const result = await ask(write);
    if ("error" in result) throw result.error;
    return result.outcome;
  };
}

/** Writes of one batch succeed and fail each for itself: some may be committed when others fail. */
type Settled = { outcome: WriteOutcome } | { error: unknown };

async function settled(write: Promise<WriteOutcome>): Promise<Settled> {
  try {
    return { outcome: await write };
  } catch (error) {
    return { error };
  }
}

/** A statement may write a secret once: a second write of it in one batch goes into the next round. */
async function inRounds(
  writes: readonly CallersWrite[],
  writeAll: (writes: readonly CallersWrite[]) => Promise<Settled[]>,
): Promise<Settled[]> {
  const results = new Map<CallersWrite, Settled>();
  let rest = [...writes];
  while (rest.length > 0) {
    const round = new Map<string, CallersWrite>();
    const later: CallersWrite[] = [];
    for (const one of rest) {
      const secret = `${one.caller.tenantId}\0${one.write.owner}\0${one.write.name}`;
      if (round.has(secret)) later.push(one);
      else round.set(secret, one);
    }
    const together = [...round.values()];
    const written = await writeAll(together);
    for (const [index, result] of written.entries()) {
      const one = together[index];
      if (one) results.set(one, result);
    }
    rest = later;
  }
  return writes.map((one) => results.get(one) as Settled);
}

/** The parameters of `writeSecrets`. */
export function toArrays(writes: readonly CallersWrite[]): unknown[] {
  const of = <T>(read: (one: CallersWrite) => T): T[] => writes.map(read);
  return [
    of(({ caller }) => caller.tenantId),
    of(({ caller }) => caller.kind),
    of(({ caller }) => caller.id),
    of(({ caller }) => caller.peer),
    of(({ write }) => write.name),
    of(({ write }) => write.versionId),
    of(({ write }) => write.dataKeyId),
    of(({ write }) => write.sealed),
    of(({ write }) => write.sizeBytes),
    of(({ write }) => write.asFile ?? null),
    of(({ write }) => write.description ?? null),
    of(({ write }) => write.request?.id ?? null),
    of(({ write }) => write.request?.bodyHash ?? null),
    of(({ write }) => write.owner),
    of(({ caller }) => caller.apiKeyId ?? null),
  ];
}
