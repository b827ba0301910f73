import type { Db } from "../../../../lib/postgres/db";
import type { CatalogClient } from "../../catalog/catalog-client";
import { generationsToAsk, type HolderFacts } from "./domain/judge-holders";
import type { CaseStore, HeldCase } from "./store/case-store";

export interface LookDeps {
  pool: Db;
  cases: Pick<CaseStore, "readAgents">;
  catalog: Pick<CatalogClient, "findPins" | "findCredentialHolders">;
}

/** Facts, and of which agents they are. */
export interface Looked extends HolderFacts {
  agentIds: readonly string[];
}

/**
 * Who has the old value. With `retired` the catalog makes no generation with it any more, or does again:
 * then the facts have every generation with it that there will ever be.
 */
export async function lookAtHolders(
  { pool, cases, catalog }: LookDeps,
  held: HeldCase,
  retired?: boolean,
): Promise<Looked> {
  const { tenantId, secretName, fromVersion, secretVersion, hash } = held;
  if (secretVersion === undefined) throw new Error("the secret has no new value yet");
  const versions = { from: fromVersion, below: secretVersion };
  const found = await catalog.findCredentialHolders(
    tenantId,
    { secretName, ...versions, hash },
    retired,
  );
  const agentIds = [...new Set([...found.hadAgentIds, ...found.holders.map((it) => it.agentId)])];
  const agents = await cases.readAgents(pool, tenantId, agentIds, "");
  const asked = generationsToAsk(agents);
  const pins = await catalog.findPins(tenantId, secretName, asked);
  const before = new Set(held.agentsBefore);
  const carrying = new Map(found.holders.map((it) => [it.agentId, it.generations]));
  return { agentIds, agents, carrying, asked, pins, versions, before };
}
