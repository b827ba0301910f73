import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ProcessIdentity } from "../../services/vm-agent/linux/proc";
import {
  AdoptedAgents,
  type AdoptedAgentsDeps,
} from "../../services/vm-agent/processes/adopted-agents";
import type { AdoptRequest } from "../../services/vm-agent/processes/adoption";
import { createStrangers, type Strangers } from "../../services/vm-agent/processes/test-strangers";
import { eventually } from "./eventually";

/** Daemons that adopt, on a state directory of their own, and processes to be adopted. */
export interface AdoptionRig {
  /** Of the daemons' state, of the agents' set, and for what the processes write. */
  readonly directory: string;
  readonly strangers: Strangers;
  /** The next daemon; the one before is taken for killed. */
  daemon(deps?: Partial<AdoptedAgentsDeps>): AdoptedAgents;
  request(pid: number, change?: Partial<AdoptRequest>): AdoptRequest;
  sleeper(): ProcessIdentity;
  /** Waits until a script has written the pid of one of its processes. */
  started(name: string): Promise<ProcessIdentity>;
  close(): Promise<void>;
}

export function createAdoptionRig(): AdoptionRig {
  const directory = mkdtempSync(join(tmpdir(), "murmur-adopt-"));
  const strangers = createStrangers();
  const daemons: AdoptedAgents[] = [];
  return {
    ...{ directory, strangers },
    daemon(deps = {}) {
      const facts = { stateDir: directory, socketPath: "/run/agent.sock", bootId: "boot-1" };
      const made = new AdoptedAgents({ ...facts, taken: () => [], ...deps });
      daemons.push(made);
      return made;
    },
    request: (pid, change = {}) => ({
      ...{ agentId: `agent-${pid}`, envDir: directory, path: "fix-auth" },
      ...{ pid, startTicks: 0, askedMsAgo: 0, ...change },
    }),
    sleeper: () => strangers.start(["sleep", "1000"]),
    started: (name) => eventually(() => strangers.from(join(directory, name))),
    async close() {
      for (const each of daemons) await each.stop();
      strangers.end();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
