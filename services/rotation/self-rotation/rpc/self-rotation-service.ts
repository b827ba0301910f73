import type { SelfRotationServiceService } from "../../../../gen/murmur/rotation/v1/self_rotation";
import { dnsLabelFault } from "../../../../lib/dns-label";
import { invalid, permissionDenied } from "../../../../lib/errors";
import type { CallContext } from "../../../../lib/grpc/context";
import type { HandlersOf } from "../../../../lib/grpc/definition";
import type { VmPrincipal } from "../../../../lib/identity/principal";
import { garbledPageToken, readPage, toPage } from "../../../../lib/page";
import { sensitive } from "../../../../lib/sensitive";
import { isUuid } from "../../agents/domain/spawn-request";
import { principalOf } from "../../agents/rpc/agent-service";
import { callerOf } from "../../audit";
import { developerOf, visibleOwner } from "../../credentials/domain/authority";
import { assertVisible } from "../domain/authority";
import { type By, revokeAgent, rotateAgentCredentials, setAutoRotation } from "../manage-agent";
import { inviteAgent, registerAgent, type RegisterAgentDeps } from "../register-agent";
import { rotateForAgent, type RotateForAgentDeps } from "../rotate-for-agent";
import { rotateSelf, type RotateSelfDeps } from "../rotate-self";
import { readAutoRotation, toRegisteredAgent } from "./to-registered-agent";

const PAGE = "registered-agents";
const SEQUENCE = /^\d{1,18}$/;
/** Interface (behaviour, section 8). */
const ROTATED =
  "API key and rotation secret rotated successfully. Save both — they will not be shown again.";

export type SelfRotationServiceDeps = RegisterAgentDeps & RotateSelfDeps & RotateForAgentDeps;

/** The handlers of SelfRotationService. */
export function createSelfRotationService(
  deps: SelfRotationServiceDeps,
): HandlersOf<typeof SelfRotationServiceService> {
  const { pool, agents } = deps;
  return {
    async inviteAgent(_request, context) {
      const { invitation, expiresAt } = await inviteAgent(deps, byOf(context));
      return { invitation: invitation.expose(), expiresAt };
    },
    async registerAgent({ invitation, name, requestId }, context) {
      const made = await registerAgent(deps, {
        by: context.principal && byOf(context),
        ...{ invitation: sensitive(invitation), name, requestId: sensitive(requestId) },
        peer: context.peer,
      });
      return { agent: toRegisteredAgent(made.agent), ...shown(made) };
    },
    async listRegisteredAgents(request, context) {
      const { developer } = byOf(context);
      const page = readPage(PAGE, request);
      if (page.after !== undefined && !SEQUENCE.test(page.after)) throw garbledPageToken();
      const rows = await agents.list(pool, {
        ...{ tenantId: developer.tenantId, owner: visibleOwner(developer), page },
        includeRevoked: request.includeRevoked,
      });
      const { items, nextPageToken } = toPage(PAGE, rows, page, (it) => String(it.sequence));
      return { agents: items.map(toRegisteredAgent), nextPageToken };
    },
    async getRegisteredAgent({ which }, context) {
      const { developer } = byOf(context);
      const { tenantId } = developer;
      if (!which) throw invalid("which", "agent_id or name is required");
      const found =
        which.$case === "name"
          ? await agents.findByName(pool, tenantId, readName(which.value))
          : await agents.find(pool, { tenantId, id: readId(which.value) });
      return { agent: toRegisteredAgent(assertVisible(developer, found, which.value)) };
    },
    async rotateSelf({ apiKey, rotationSecret, confirm, requestId }, context) {
      const rotated = await rotateSelf(deps, {
        ...{ apiKey: sensitive(apiKey), rotationSecret: sensitive(rotationSecret) },
        ...{ confirm, requestId: sensitive(requestId), peer: context.peer },
      });
      const { agentId, agentName } = rotated;
      return { message: ROTATED, ...shown(rotated), agentId, agentName };
    },
    async rotateAgentCredentials({ agentId, requestId }, context) {
      const request = { id: readId(agentId), requestId: sensitive(requestId) };
      const made = await rotateAgentCredentials(deps, byOf(context), request);
      return { agent: toRegisteredAgent(made.agent), ...shown(made) };
    },
    async revokeAgent({ agentId }, context) {
      const agent = await revokeAgent(deps, byOf(context), readId(agentId));
      return { agent: toRegisteredAgent(agent) };
    },
    async setAutoRotation({ agentId, autoRotation }, context) {
      const request = { id: readId(agentId), wish: readAutoRotation(autoRotation) };
      const agent = await setAutoRotation(deps, byOf(context), request);
      return { agent: toRegisteredAgent(agent) };
    },
    async listDueRotations(_request, context) {
      const { tenantId, id } = vmOf(context);
      const due = await agents.listDue(pool, tenantId, id);
      return {
        rotations: due.map(({ agentId, name, dueInMs }) => ({
          ...{ agentId, name, dueIn: toDuration(dueInMs) },
        })),
      };
    },
    async rotateForAgent({ agentId }, context) {
      const vm = vmOf(context);
      return rotateForAgent(deps, { vmId: vm.id, caller: callerOf(context) }, readId(agentId));
    },
  };
}

/** The access table lets in nobody else. */
function vmOf(context: CallContext): VmPrincipal {
  const principal = principalOf(context);
  if (principal.kind !== "vm") throw permissionDenied();
  return principal;
}

function toDuration(ms: number) {
  return { seconds: BigInt(Math.floor(ms / 1000)), nanos: Math.round(ms % 1000) * 1_000_000 };
}

function byOf(context: CallContext): By {
  return { developer: developerOf(principalOf(context)), caller: callerOf(context) };
}

function shown({ apiKey, rotationSecret }: Pick<RotatedPair, "apiKey" | "rotationSecret">) {
  return { apiKey: apiKey.expose(), rotationSecret: rotationSecret.expose() };
}

type RotatedPair = Awaited<ReturnType<typeof rotateSelf>>;

function readId(text: string): string {
  if (isUuid(text)) return text.toLowerCase();
  throw invalid("agent_id", "agent_id must be an id, as lists show it");
}

function readName(text: string): string {
  const fault = dnsLabelFault("name", text);
  if (fault === undefined) return text;
  throw invalid("name", fault);
}
