import type {
  RolloutServiceService,
  WatchRolloutResponse,
} from "../../../../gen/murmur/rotation/v1/rollouts";
import { unavailable } from "../../../../lib/errors";
import type { CallContext } from "../../../../lib/grpc/context";
import type { HandlersOf } from "../../../../lib/grpc/definition";
import { readPage, toPage } from "../../../../lib/page";
import { toProcessMessage } from "../../agents/domain/agent-process";
import { toReloadMessage } from "../../agents/domain/agent-reload";
import { principalOf } from "../../agents/rpc/agent-service";
import { isUuid } from "../../agents/domain/spawn-request";
import { callerOf } from "../../audit";
import type { Rollout, RolloutTarget } from "../domain/rollout";
import { previewRekey, type PreviewRekeyDeps } from "../preview-rekey";
import { rekeyMany, type RekeyManyDeps } from "../rekey-many";
import { rekeyAgent, type RekeyDeps } from "../rekey";
import { rollbackRollout, rolloutNotFound, type RollbackDeps } from "../rollback";
import type { RolloutSignals } from "../rollout-signals";
import type { RolloutStore } from "../store/rollout-store";
import { toRollout, toTarget } from "./to-rollout";
import { watchRollout } from "./watch-rollout";

export interface RolloutServiceDeps
  extends RekeyDeps, RekeyManyDeps, PreviewRekeyDeps, RollbackDeps {
  agents: RekeyDeps["agents"] & RekeyManyDeps["agents"] & RollbackDeps["agents"];
  bindings: RekeyManyDeps["bindings"];
  catalog: RekeyDeps["catalog"] & RekeyManyDeps["catalog"] & PreviewRekeyDeps["catalog"];
  writer: RekeyDeps["writer"] & RekeyManyDeps["writer"] & RollbackDeps["writer"];
  rollouts: RolloutStore;
  signals: RolloutSignals;
  /** Aborts when the service stops: watchers are told to come back. */
  stopping: AbortSignal;
}

/** The handlers of RolloutService. */
export function createRolloutService(
  deps: RolloutServiceDeps,
): HandlersOf<typeof RolloutServiceService> {
  return {
    async rekeyAgent(request, context) {
      const principal = principalOf(context);
      const id = await rekeyAgent(deps, principal, callerOf(context), request);
      return accepted(await read(deps, principal.tenantId, id));
    },
    async rekeyAgents(request, context) {
      const principal = principalOf(context);
      const id = await rekeyMany(deps, principal, callerOf(context), request);
      return accepted(await read(deps, principal.tenantId, id));
    },
    previewRekey: ({ selection }, context) => previewRekey(deps, principalOf(context), selection),
    async rollbackRollout(request, context) {
      const principal = principalOf(context);
      const id = await rollbackRollout(deps, principal, callerOf(context), request);
      return accepted(await read(deps, principal.tenantId, id));
    },
    async getRollout({ rolloutId }, context) {
      const { rollout, targets } = await read(deps, principalOf(context).tenantId, rolloutId);
      return { rollout: toRollout(rollout), targets: targets.map(toTarget) };
    },
    async listRollouts(request, context) {
      const page = readPage("rollouts", request);
      const rows = await deps.rollouts.list({
        tenantId: principalOf(context).tenantId,
        workspace: request.workspace === "" ? undefined : request.workspace,
        page,
      });
      const keyOf = (rollout: Rollout) => String(rollout.sequence);
      const { items, nextPageToken } = toPage("rollouts", rows, page, keyOf);
      return { rollouts: items.map(toRollout), nextPageToken };
    },
    async listRolloutProcesses({ rolloutId }, context) {
      const { tenantId } = principalOf(context);
      const { rollout } = await read(deps, tenantId, rolloutId);
      const agents = await deps.rollouts.findProcesses(tenantId, rollout.id);
      return {
        agents: agents.map((agent) => ({
          ...agent,
          processes: agent.processes.map(toProcessMessage),
          reload: toReloadMessage(agent.reload),
        })),
      };
    },
    watchRollout: (request, context) => watch(deps, request.rolloutId, context),
  };
}

interface WholeRollout {
  rollout: Rollout;
  targets: RolloutTarget[];
}

function accepted({ rollout, targets }: WholeRollout) {
  return {
    rollout: toRollout(rollout),
    targets: targets.map(toTarget),
    warnings: [...rollout.warnings],
  };
}

async function read(
  { rollouts }: Pick<RolloutServiceDeps, "rollouts">,
  tenantId: string,
  rolloutId: string,
): Promise<WholeRollout> {
  const id = rolloutId.toLowerCase();
  if (!isUuid(id)) throw rolloutNotFound(rolloutId);
  const rollout = await rollouts.find(tenantId, id);
  if (!rollout) throw rolloutNotFound(rolloutId);
  // One after the other: of a rollout that is shown as completed, no target is shown as pending.
  return { rollout, targets: await rollouts.findTargets(tenantId, id) };
}

async function* watch(
  deps: RolloutServiceDeps,
  rolloutId: string,
  context: CallContext,
): AsyncGenerator<WatchRolloutResponse> {
  const { tenantId } = principalOf(context);
  const subscription = deps.signals.subscribe({ tenantId, rolloutId: rolloutId.toLowerCase() });
  try {
    const readNow = () => read(deps, tenantId, rolloutId);
    yield* watchRollout(readNow, subscription, {
      signal: AbortSignal.any([context.signal, deps.stopping]),
    });
    if (deps.stopping.aborted) throw unavailable("the service is stopping", undefined, 100);
  } finally {
    subscription.close();
  }
}
