import { AgentPhase } from "../../../gen/murmur/rotation/v1/agents";
import {
  type AgentReport,
  AgentWish,
  type VmDesiredState,
  type VmHello,
  type VmSyncServiceService,
  type WatchVmRequest,
  type WatchVmResponse,
} from "../../../gen/murmur/rotation/v1/vm_sync";
import { unauthenticated } from "../../../lib/errors";
import type { CallContext, ServerConversation } from "../../../lib/grpc/context";
import type { HandlersOf } from "../../../lib/grpc/definition";
import type { EndedTenants } from "../../../lib/identity/ended-tenants";
import type { Db } from "../../../lib/postgres/db";
import { principalOf } from "../agents/rpc/agent-service";
import type { DeletionStore } from "./store/deletion-store";

/** VMs of tenants that were deleted: they come back, by their key, to be told to end their agents. */
export interface EndedVms {
  /** Whether nothing is known of the tenant's agents any more. */
  isPurged(tenantId: string): Promise<boolean>;
  /** The same service, in which such a VM ends all that it says it has; nothing is written down of it. */
  serve(service: VmSync): VmSync;
}

type VmSync = HandlersOf<typeof VmSyncServiceService>;

const OVER: ReadonlySet<AgentPhase> = new Set([
  AgentPhase.AGENT_PHASE_COMPLETED,
  AgentPhase.AGENT_PHASE_FAILED,
  AgentPhase.AGENT_PHASE_CANCELLED,
]);

export function createEndedVms({
  db,
  ended,
  deletions,
}: {
  db: Db;
  ended: EndedTenants;
  deletions: Pick<DeletionStore, "stageOf">;
}): EndedVms {
  const isPurged = async (tenantId: string) => {
    if (!(await ended.has(tenantId))) return false;
    const stage = await deletions.stageOf(db, tenantId);
    return stage !== "asked" && stage !== "ending";
  };
  const isOfPurged = (context: CallContext) => isPurged(principalOf(context).tenantId);
  return {
    isPurged,
    serve: (service) => ({
      ...service,
      async watchVm(conversation, context) {
        if (await isOfPurged(context)) await endAll(conversation);
        else await service.watchVm(conversation, context);
      },
      async syncVm(request, context) {
        if (!(await isOfPurged(context))) return service.syncVm(request, context);
        const living = new Set<string>();
        note(living, request.hello);
        noteReports(living, request.update?.agents ?? []);
        return { desired: toEnd(living), coming: { agents: [] } };
      },
    }),
  };
}

/** For as long as it has something; then it is told what all are told. */
async function endAll(
  conversation: ServerConversation<WatchVmRequest, WatchVmResponse>,
): Promise<never> {
  const living = new Set<string>();
  for await (const { message } of conversation.requests) {
    if (message?.$case === "hello") note(living, message.value);
    if (message?.$case === "update") noteReports(living, message.value.agents);
    await conversation.send({ message: { $case: "desired", value: toEnd(living) } });
    if (living.size === 0) break;
  }
  throw unauthenticated();
}

function note(living: Set<string>, hello: VmHello | undefined): void {
  for (const { agentId } of hello?.applied ?? []) living.add(agentId);
  noteReports(living, hello?.agents ?? []);
}

function noteReports(living: Set<string>, reports: readonly AgentReport[]): void {
  for (const { agentId, phase } of reports)
    if (OVER.has(phase)) living.delete(agentId);
    else living.add(agentId);
}

/** Whole: what has ended and is not in it can be forgotten. */
function toEnd(living: ReadonlySet<string>): VmDesiredState {
  const agents = [...living].map((agentId) => ({
    ...{ agentId, workspace: "", path: agentId, wish: AgentWish.AGENT_WISH_END },
    ...{ generation: 0n, fingerprint: Buffer.alloc(0), command: [], workingDirectory: "" },
    ...{ parentAgentId: "", developer: "", phase: AgentPhase.AGENT_PHASE_UNSPECIFIED },
    ...{ settings: undefined, healthCheck: undefined },
  }));
  return { complete: true, agents, traceparent: "" };
}
