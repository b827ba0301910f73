import { invalid } from "../../../lib/errors";
import type { Principal } from "../../../lib/identity/principal";
import type { PageQuery } from "../../../lib/page";
import type { CatalogClient } from "../catalog/catalog-client";
import type { Agent } from "./domain/agent";
import { manages } from "./domain/authority";
import { generationsOf, holdersOf, type Holder } from "./domain/holder";
import type { AgentEvidence, AgentStore } from "./store/agent-store";

export interface HoldersDeps {
  agents: Pick<AgentStore, "listEvidence">;
  catalog: Pick<CatalogClient, "findPins">;
}

/** Which secret, for whom. */
export interface HoldersRequest {
  secretName: string;
  /** 0: any. */
  version: bigint;
  /** Absent: all. */
  workspace: string | undefined;
}

/**
 * Who of one page of living agents has a secret. `rows` are the agents that were looked at, one more
 * than the page's limit when there are more.
 */
export async function findHolders(
  { agents, catalog }: HoldersDeps,
  principal: Principal,
  { secretName, version, workspace }: HoldersRequest,
  page: PageQuery,
): Promise<{ rows: AgentEvidence[]; holders: Holder[] }> {
  if (version < 0n) throw invalid("version", "versions start at 1");
  const { tenantId } = principal;
  const rows = await agents.listEvidence({ tenantId, workspace, page });
  const looked = rows.slice(0, page.limit);
  const found = await catalog.findPins(tenantId, secretName, generationsOf(looked));
  const seesOwn = (agent: Agent) => manages(principal, agent);
  return { rows, holders: holdersOf(looked, found, { version, seesOwn }) };
}
