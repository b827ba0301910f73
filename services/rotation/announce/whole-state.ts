import type { Db } from "../../../lib/postgres/db";
import type { AgentStore } from "../agents/store/agent-store";
import { isTerminal } from "../protocol";
import type { VmStream } from "./vm-stream";
import type { VmRef } from "./vm-streams";

export interface WholeStateDeps {
  db: Db;
  agents: Pick<AgentStore, "desiredOf" | "desiredOfVm">;
}

/** Reads all that a VM should have and sends it; the VM's stream is registered and held back. */
export async function sendWholeState(
  { db, agents }: WholeStateDeps,
  { tenantId, vmId }: VmRef,
  stream: VmStream,
): Promise<void> {
  const unlisted = stream.begin(await agents.desiredOfVm(db, tenantId, vmId));
  if (unlisted.length === 0) return;
  const current = await agents.desiredOf(
    unlisted.map(() => tenantId),
    unlisted,
  );
  stream.offer(
    current.filter(({ phase }) => !isTerminal(phase)),
    "",
  );
}
