import type { Db } from "../postgres/db";
import type { AuditSchema } from "./audit-rows";
import { createAuditStore } from "./audit-store";
import { eachOf } from "./pages";
import type { ChainReader } from "./verify-chain";

const PAGE = 1_000;

/** Reads a chain where it is stored. */
export function createStoredChainReader(
  db: Db,
  schema: AuditSchema,
  tenantId: string,
): ChainReader {
  const store = createAuditStore(db, schema);
  const slice = (after: bigint | undefined) => ({ limit: PAGE, after });
  return {
    links: (behind) =>
      eachOf((after: bigint | undefined) => store.links(tenantId, slice(after ?? behind))),
    checkpoints: () =>
      eachOf((after: bigint | undefined) => store.checkpoints(tenantId, slice(after))),
    unsealed: () =>
      eachOf(async (after: bigint | undefined) => {
        const { items, next, sealedThrough } = await store.unsealed(tenantId, slice(after));
        return { items: items.map((record) => ({ record, sealedThrough })), next };
      }),
  };
}
