import type { Clock } from "../clock";
import type { SigningKey } from "../identity/signing-key";
import type { AuditMetrics } from "./audit-metrics";
import type { AuditSchema } from "./audit-rows";
import { signCheckpoint } from "./checkpoint";
import { type ChainHead, EMPTY_CHAIN, linkHash } from "./record";
import type { HeldSealer, NewCheckpoint, NewLink, SealerStore, Unsealed } from "./sealer-store";

export interface TenureOptions {
  store: SealerStore;
  /** Also the service's name in what is hashed and signed. */
  schema: AuditSchema;
  signingKey: Pick<SigningKey, "kid" | "privateKey">;
  /** Most records of one statement. */
  batch: number;
  clock: Clock;
  metrics?: Pick<AuditMetrics, "sealed">;
}

/** One time of holding the lease: what is known for as long as nobody else seals. */
export interface Tenure {
  /** Whether nobody else sealed since, as the lease's row tells. */
  isSame(held: HeldSealer): boolean;
  /** Seals what there is, a batch at most; when to look again in milliseconds, undefined: lost. */
  step(): Promise<number | undefined>;
  /** Seals what came with a restore and begins the next epoch: another tenure, whatever comes. */
  startEpoch(): Promise<void>;
}

const SOON_MS = 20;
/** While other replicas write, who wake nobody here. */
const BESIDE_RIVALS_MS = 25;
const IDLE_MS = 1_000;
/** After a chain's last record, and while more come. */
const CHECKPOINT_QUIET_MS = 1_000;
const CHECKPOINT_BUSY_MS = 10_000;
const CHECKPOINT_LINKS = 10_000n;
const CHECKPOINTS_AT_ONCE = 500;
/** Tenants that are remembered; beyond them all are read again. */
const MAX_TENANTS = 10_000;

export function createTenure(options: TenureOptions, held: HeldSealer): Tenure {
  const { store, schema: service, signingKey, clock, batch } = options;
  let { cursor, hasRivals } = held;
  const { epoch } = held;
  const heads = new Map<string, ChainHead>();
  /** Ends that the key has not signed; undefined: not looked yet. */
  let unsigned: Map<string, ChainHead> | undefined;
  const signed = new Map<string, { size: bigint; atMs: number }>();

  const link = async ({ records }: Unsealed): Promise<NewLink[]> => {
    if (heads.size > MAX_TENANTS) heads.clear();
    const unknown = new Set(records.map((it) => it.tenantId).filter((it) => !heads.has(it)));
    if (unknown.size > 0)
      for (const [tenantId, head] of await store.heads([...unknown])) heads.set(tenantId, head);
    return records.map(({ tenantId, record }) => {
      const before = heads.get(tenantId) ?? EMPTY_CHAIN;
      const sequence = before.size + 1n;
      const hash = linkHash({ service, tenantId }, { sequence, epoch }, before.hash, record);
      heads.set(tenantId, { size: sequence, hash });
      return { tenantId, sequence, recordId: record.recordId, hash };
    });
  };
  const isDue = (tenantId: string, { size }: ChainHead, isBusy: boolean) => {
    const last = signed.get(tenantId);
    if (!last || size - last.size >= CHECKPOINT_LINKS) return true;
    const ageMs = clock.monotonicMs() - last.atMs;
    return ageMs >= (isBusy ? CHECKPOINT_BUSY_MS : CHECKPOINT_QUIET_MS);
  };
  const sign = (ends: Map<string, ChainHead>, { now, records }: Unsealed): NewCheckpoint[] => {
    const busy = new Set(records.map(({ tenantId }) => tenantId));
    return [...ends]
      .filter(([tenantId, head]) => isDue(tenantId, head, busy.has(tenantId)))
      .slice(0, CHECKPOINTS_AT_ONCE)
      .map(([tenantId, head]) => {
        const checkpoint = signCheckpoint(signingKey, { service, tenantId }, head, now);
        return { tenantId, ...checkpoint };
      });
  };
  const noteSigned = (ends: Map<string, ChainHead>, checkpoints: readonly NewCheckpoint[]) => {
    if (signed.size > MAX_TENANTS) signed.clear();
    for (const { tenantId, size } of checkpoints) {
      signed.set(tenantId, { size, atMs: clock.monotonicMs() });
      ends.delete(tenantId);
    }
  };
  /** False when the lease was lost. */
  const seal = async (unsealed: Unsealed): Promise<boolean> => {
    const ends = (unsigned ??= await store.unsigned(signingKey.kid));
    const links = await link(unsealed);
    for (const { tenantId } of links) ends.set(tenantId, heads.get(tenantId) ?? EMPTY_CHAIN);
    const checkpoints = sign(ends, unsealed);
    if (links.length + checkpoints.length === 0) return true;
    const last = unsealed.records.at(-1)?.record;
    const to = last ? { xid: last.transactionId, id: last.recordId } : cursor;
    if (!(await store.seal({ from: cursor, to, epoch, links, checkpoints }))) return false;
    cursor = to;
    noteSigned(ends, checkpoints);
    const [oldest] = unsealed.records;
    if (oldest) options.metrics?.sealed(Date.parse(unsealed.now) - Date.parse(oldest.record.time));
    return true;
  };
  const waitMs = (unsealed: Unsealed): number => {
    if (unsealed.records.length === batch) return 0;
    if (unsealed.isMoreComing) return SOON_MS;
    if (hasRivals) return BESIDE_RIVALS_MS;
    return unsigned && unsigned.size > 0 ? CHECKPOINT_QUIET_MS / 4 : IDLE_MS;
  };

  return {
    isSame(now) {
      ({ hasRivals } = now);
      return now.epoch === epoch && now.cursor.xid === cursor.xid && now.cursor.id === cursor.id;
    },
    async step() {
      const unsealed = await store.read(cursor, batch);
      return (await seal(unsealed)) ? waitMs(unsealed) : undefined;
    },
    async startEpoch() {
      if (held.restored === "cursor is ahead")
        for (;;) {
          const restored = await store.readRestored(cursor, batch);
          if (restored.records.length === 0) break;
          if (!(await seal(restored))) return;
        }
      await store.startEpoch(held);
    },
  };
}
