import type {
  IssueJoinTokenRequest,
  IssueJoinTokenResponse,
} from "../../../gen/murmur/catalog/v1/vms";
import { dnsLabelFault } from "../../../lib/dns-label";
import { invalid } from "../../../lib/errors";
import type { UnaryHandler } from "../../../lib/grpc/context";
import { createJoinToken, joinTokenHash } from "../../../lib/identity/join-token";
import { callerOf } from "../audit";
import type { Trust } from "../vms/trust";
import type { VmStore } from "../vms/vm-store";

const TTL_SECONDS = 600;

export interface IssueJoinTokenDeps {
  store: Pick<VmStore, "issueJoinToken">;
  trust: Trust;
}

/** Makes a join token for the VM of a name; the register keeps its hash only. */
export function issueJoinToken(
  deps: IssueJoinTokenDeps,
): UnaryHandler<IssueJoinTokenRequest, IssueJoinTokenResponse> {
  return async ({ name }, context) => {
    const fault = dnsLabelFault("name", name);
    if (fault !== undefined) throw invalid("name", fault);
    const token = createJoinToken(deps.trust.deliveryPublicKey);
    const expiresAt = await deps.store.issueJoinToken(callerOf(context), {
      id: token.id,
      hash: joinTokenHash(token.text),
      vmName: name,
      ttlSeconds: TTL_SECONDS,
    });
    return { joinToken: token.text.expose(), expiresAt };
  };
}
