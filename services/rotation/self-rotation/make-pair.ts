import { randomUUID } from "node:crypto";
import { createCredentialValue, createMarkedValue } from "../../../lib/identity/credential-value";
import type { Tx } from "../../../lib/postgres/db";
import { type Sensitive, sensitive } from "../../../lib/sensitive";
import type { AgentRef } from "./domain/registered-agent";
import type { Kept, PairStore } from "./store/pair-store";

/** A new pair, which is shown to the caller and to nobody after. */
export interface Pair {
  /** The token's id. */
  credentialId: string;
  apiKey: Sensitive<string>;
  rotationSecret: Sensitive<string>;
}

/** How long an old pair lasts at most while the new one is not used. */
export const TWO_PHASE_SECONDS = 86_400;

/** Nothing stays valid beside the new pair. */
export const AT_ONCE: Kept = { ids: [], seconds: 0 };

/** Makes the newest pair of an agent whose row is locked. */
export async function makePair(
  pairs: PairStore,
  tx: Tx,
  agent: AgentRef,
  kept: Kept,
): Promise<Pair> {
  const credentialId = randomUUID();
  const { text: apiKey, hash, prefix } = createCredentialValue("agent-token");
  const { text: rotationSecret, hash: secretHash } = createMarkedValue("mur_rot_");
  await pairs.insert(tx, agent, { id: credentialId, hash, prefix, secretHash }, kept);
  return { credentialId, apiKey, rotationSecret };
}

/** A pair as it is sealed, with whose it is. */
export function packPair(agentId: string, pair: Pair): Sensitive<string> {
  const { credentialId, apiKey, rotationSecret } = pair;
  return sensitive(
    JSON.stringify([agentId, credentialId, apiKey.expose(), rotationSecret.expose()]),
  );
}

/** The reverse. */
export function unpackPair(packed: Sensitive<string>): { agentId: string; pair: Pair } {
  const [agentId = "", credentialId = "", apiKey = "", rotationSecret = ""] = JSON.parse(
    packed.expose(),
  ) as string[];
  const pair = {
    credentialId,
    apiKey: sensitive(apiKey),
    rotationSecret: sensitive(rotationSecret),
  };
  return { agentId, pair };
}
