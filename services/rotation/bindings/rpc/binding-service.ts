import type { BindingServiceService } from "../../../../gen/murmur/rotation/v1/bindings";
import { invalid } from "../../../../lib/errors";
import type { CallContext } from "../../../../lib/grpc/context";
import type { HandlersOf } from "../../../../lib/grpc/definition";
import { garbledPageToken, readPage, toPage } from "../../../../lib/page";
import { principalOf } from "../../agents/rpc/agent-service";
import { callerOf } from "../../audit";
import { developerOf } from "../../credentials/domain/authority";
import type { BindingDeps, By } from "../binding-call";
import { claimAgent, deactivateAgent } from "../claim-agent";
import { readAgentHash, readHashProof } from "../domain/agent-hash";
import { assertFound, assertSees } from "../domain/authority";
import { observeKey, recordHistory } from "../observe-key";
import { rebindAgent } from "../rebind-agent";
import { verifyBinding } from "../verify-binding";
import { readAgentId, readHistory, readKeyPrefix, readName, readOwner } from "./read-requests";
import { toBoundAgent } from "./to-bound-agent";

const PAGE = "bound-agents";
const SEQUENCE = /^\d{1,18}$/;

/** The handlers of BindingService. */
export function createBindingService(deps: BindingDeps): HandlersOf<typeof BindingServiceService> {
  const { pool, bindings } = deps;
  return {
    async observeKey({ agentHash, name, keyPrefix }, context) {
      const caller = callerOf(context);
      const hash = readAgentHash("agent_hash", agentHash);
      const { id, created } = await observeKey(deps, caller, {
        ...{ tenantId: caller.tenantId, hash, name: readName(name) },
        keyPrefix: readKeyPrefix(keyPrefix),
      });
      return { agentId: id, created };
    },
    async recordHistory({ agentId, history }, context) {
      const request = { id: readAgentId(agentId), history: readHistory(history) };
      return { agent: toBoundAgent(await recordHistory(deps, callerOf(context), request)) };
    },
    async rebindAgent({ agentId, newKeyHash, keyPrefix }, context) {
      const { agent, changed } = await rebindAgent(deps, callOf(context), {
        ...{ id: readAgentId(agentId), hash: readAgentHash("new_key_hash", newKeyHash) },
        keyPrefix: readKeyPrefix(keyPrefix),
      });
      const rekeyedAt = agent.rekeyedAt ?? agent.createdAt;
      return { agent: toBoundAgent(agent), rekeyedAt, changed };
    },
    async verifyBinding({ agentId, keyHash }, context) {
      const request = { id: readAgentId(agentId), hash: readAgentHash("key_hash", keyHash) };
      const { agent, bound } = await verifyBinding(deps, callOf(context), request);
      return { bound, keyPrefix: agent.keyPrefix };
    },
    async claimAgent({ agentId, hashProof }, context) {
      const request = { id: readAgentId(agentId), proof: readHashProof(hashProof) };
      if (!request.proof) throw invalid("hash_proof", "hash_proof is required");
      return { agent: toBoundAgent(await claimAgent(deps, callOf(context), request)) };
    },
    async deactivateAgent({ agentId, hashProof }, context) {
      const request = { id: readAgentId(agentId), proof: readHashProof(hashProof) };
      return { agent: toBoundAgent(await deactivateAgent(deps, callOf(context), request)) };
    },
    async getBoundAgent({ agentId }, context) {
      const { developer } = callOf(context);
      const id = readAgentId(agentId);
      const found = await bindings.find(pool, { tenantId: developer.tenantId, id });
      return { agent: toBoundAgent(assertSees(developer, assertFound(found, id))) };
    },
    async listBoundAgents(request, context) {
      const { developer } = callOf(context);
      const page = readPage(PAGE, request);
      if (page.after !== undefined && !SEQUENCE.test(page.after)) throw garbledPageToken();
      const { name, includeDeactivated } = request;
      const rows = await bindings.list(pool, {
        ...{ tenantId: developer.tenantId, owner: readOwner(developer, request), page },
        ...{ name: name === undefined ? undefined : readName(name), includeDeactivated },
      });
      const { items, nextPageToken } = toPage(PAGE, rows, page, (it) => String(it.sequence));
      return { agents: items.map(toBoundAgent), nextPageToken };
    },
  };
}

function callOf(context: CallContext): By {
  return { developer: developerOf(principalOf(context)), caller: callerOf(context) };
}
