import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { type Agent, AgentPhase, AgentServiceService } from "../../gen/murmur/rotation/v1/agents";
import { createClient, openChannel } from "../../lib/grpc/client";
import { bearerCredentials } from "../../lib/identity/credentials";
import { sensitive } from "../../lib/sensitive";

const END_MS = 8_000;
const POLL_MS = 50;

/** Ends every living agent and waits until the VM daemons say that they are gone. */
export async function endAgents(rotation: string, token: string): Promise<void> {
  const channel = openChannel({
    address: rotation,
    credentials: bearerCredentials(sensitive(token)),
    timeoutMs: 10_000,
  });
  const agents = createClient(AgentServiceService, channel);
  const living = async (): Promise<Agent[]> => {
    const page = await agents.listAgents({
      workspace: "",
      includeEnded: false,
      pageSize: 1000,
      pageToken: "",
    });
    return page.agents.filter(({ phase }) => phase < AgentPhase.AGENT_PHASE_COMPLETED);
  };
  try {
    for (const { workspace, path, parentAgentId } of await living()) {
      if (parentAgentId === "") await agents.killAgent({ workspace, path, callerAgentId: "" });
    }
    const endMs = performance.now() + END_MS;
    while ((await living()).length > 0 && performance.now() < endMs) await delay(POLL_MS);
  } finally {
    channel.close();
  }
}

/**
 * Ends what is left of agents whose files are below `runDir`, when their daemon cannot: an agent
 * outlives its daemon, but must not outlive the stack.
 */
export function killLeftovers(runDir: string): void {
  for (const name of readdirSync("/proc").filter((entry) => /^\d+$/.test(entry))) {
    try {
      const text =
        readFileSync(`/proc/${name}/environ`, "latin1") +
        readFileSync(`/proc/${name}/cmdline`, "latin1");
      if (text.includes(`${runDir}/`)) process.kill(Number(name), "SIGKILL");
    } catch {
      // Gone meanwhile, or somebody else's.
    }
  }
}
