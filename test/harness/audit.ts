import { createStoredChainReader } from "../../lib/audit/chain-reader";
import type { ChainReport } from "../../lib/audit/chain-report";
import { createSealer, type Sealer, type SealerOptions } from "../../lib/audit/sealer";
import { verifyChain, type VerifyOptions } from "../../lib/audit/verify-chain";
import { generateSigningKey } from "../../lib/identity/signing-key";
import type { Db } from "../../lib/postgres/db";
import { eventually } from "./eventually";

/** Signs the checkpoints of tests. */
export const AUDIT_KEY = generateSigningKey("murmur-catalog");

export interface RunningSealer {
  sealer: Sealer;
  /** Lets another take over, as the end of a process does. */
  end: () => Promise<void>;
}

/** A sealer of the catalog's audit that runs until it is ended. */
export function startSealer(options: Partial<SealerOptions> & { db: Db }): RunningSealer {
  const ending = new AbortController();
  const sealer = createSealer({ schema: "catalog", signingKey: AUDIT_KEY, ...options });
  const running = sealer.run(ending.signal);
  return {
    sealer,
    end() {
      ending.abort();
      return running;
    },
  };
}

/** Records by a tenant, in one statement. */
export async function writeRecords(db: Db, tenantId: string, ...objects: string[]): Promise<void> {
  await db.query(
    `insert into catalog.audit (tenant_id, actor_kind, actor_id, peer, action, object_kind,
       object_id, outcome, detail)
     select $1, 'developer', 'github/alice', '127.0.0.1:1', 'secret.set', 'secret', o, 'ok',
       jsonb_build_object('version', 1)
     from unnest($2::text[]) as o`,
    [tenantId, objects],
  );
}

/** What an auditor says of a tenant's chain in the catalog. */
export function verifyStored(
  db: Db,
  tenantId: string,
  options: Partial<VerifyOptions> = {},
): Promise<ChainReport> {
  return verifyChain({
    chain: { service: "catalog", tenantId },
    reader: createStoredChainReader(db, "catalog", tenantId),
    findKey: (kid) => (kid === AUDIT_KEY.kid ? AUDIT_KEY.publicKey : undefined),
    now: new Date(),
    ...options,
  });
}

/** Waits until everything is sealed and signed, and returns what an auditor says. */
export function sealedReport(db: Db, tenantId: string, size: number): Promise<ChainReport> {
  return eventually(async () => {
    const report = await verifyStored(db, tenantId);
    expect(report).toMatchObject({ unsealed: { count: 0 }, end: { size: BigInt(size) } });
    expect(report.signed?.size).toBe(report.end.size);
    return report;
  });
}
