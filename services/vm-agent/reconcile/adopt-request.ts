import {
  type AdoptProcess,
  type Reload,
  ReloadTarget,
} from "../../../gen/murmur/rotation/v1/agents";
import type { DesiredAgent } from "../../../gen/murmur/rotation/v1/vm_sync";
import type { AdoptRequest, ReloadWish } from "../processes/adoption";
import type { AgentUser } from "../processes/agent";

/** Where an agent's files are, whose it is to be, and the service's time. */
export interface AdoptFacts {
  envDir: string;
  user: AgentUser | undefined;
  now: Date;
}

/** The wish for an adoption as the supervisor takes it. */
export function toAdoptRequest(
  { agentId, path, settings }: DesiredAgent,
  adopt: AdoptProcess,
  { envDir, user, now }: AdoptFacts,
): AdoptRequest {
  const reload = settings?.reload && toReloadWish(settings.reload);
  return {
    ...{ agentId, envDir, path, pid: adopt.pid, startTicks: Number(adopt.startTicks) },
    askedMsAgo: now.getTime() - (adopt.askedAt ?? now).getTime(),
    ...(user && { user }),
    ...(reload && { reload }),
  };
}

function toReloadWish({ how, target }: Reload): ReloadWish | undefined {
  if (!how) return undefined;
  if (how.$case === "hook") return { kind: "hook" };
  const to = target === ReloadTarget.RELOAD_TARGET_GROUP ? "group" : "process";
  return { kind: "signal", signal: how.value as NodeJS.Signals, to };
}
