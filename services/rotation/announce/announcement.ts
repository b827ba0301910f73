import { randomUUID } from "node:crypto";
import type { LaunchableAgent } from "../agents/domain/agent";
import { currentTraceparent } from "../../../lib/trace";

/** Says that a VM should look: one row of the outbox, one event. */
export interface Announcement {
  eventId: string;
  /** The rollout, or the agent whose spawn or kill changed the VM's desired state. */
  rotationId: string;
  tenantId: string;
  vmId: string;
  targets: readonly { agentId: string; generation: bigint }[];
  /** W3C trace context of the call that made the change; empty when there is none. */
  traceparent: string;
}

/** An announcement with the agents as they are after the change, for the replica's own streams. */
export interface LocalAnnouncement extends Announcement {
  agents: readonly LaunchableAgent[];
}

/** One announcement for each VM that has any of these agents. */
export function announce(
  rotationId: string,
  agents: readonly LaunchableAgent[],
): LocalAnnouncement[] {
  const traceparent = currentTraceparent();
  const byVm = new Map<string, LaunchableAgent[]>();
  for (const agent of agents) {
    const key = `${agent.tenantId}/${agent.vmId}`;
    byVm.set(key, [...(byVm.get(key) ?? []), agent]);
  }
  return [...byVm.values()].map((ofVm) => ({
    eventId: randomUUID(),
    rotationId,
    tenantId: ofVm[0]?.tenantId ?? "",
    vmId: ofVm[0]?.vmId ?? "",
    targets: ofVm.map(({ id, desired }) => ({ agentId: id, generation: desired })),
    traceparent,
    agents: ofVm,
  }));
}
