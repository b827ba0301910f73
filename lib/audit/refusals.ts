import type { RefusedCall } from "../grpc/run-call";
import { credentialIdOf } from "../identity/refused-credential";
import type { GatheredRecord } from "./gathered-records";

/** Whose refusals have no tenant: they are the installation's. */
const STRANGER = { tenantId: "", kind: "unknown", id: "" };

/** A refused call, as the audit has it. */
export function refusalOf(refused: RefusedCall): GatheredRecord {
  const { tenantId, kind, id } = refused.credential ?? refused.principal ?? STRANGER;
  return {
    ...{ tenantId, kind, id, peer: refused.peer, action: "call", objectKind: "rpc" },
    ...{ objectId: refused.method, outcome: "refused", detail: detailOf(refused) },
  };
}

/** The credential under the name that records of what was done by it have, too. */
function detailOf({ principal, credential }: RefusedCall): GatheredRecord["detail"] {
  const kind = credential?.kind ?? principal?.kind;
  const id = credential ? credential.credentialId : credentialIdOf(principal);
  return {
    ...(id !== undefined && { [kind === "agent" ? "agent_token" : "api_key"]: id }),
    ...(credential && { why: credential.why }),
  };
}
