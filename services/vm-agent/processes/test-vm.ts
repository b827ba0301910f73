import { randomUUID } from "node:crypto";
import { chownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readBootId } from "../linux/boot-id";
import { type AgentUser, hasEnded, type SpawnRequest } from "./agent";
import { Supervisor, type SupervisorDeps } from "./supervisor";

const DAEMON_ENV = { PATH: "/usr/local/bin:/usr/bin:/bin", HOME: "/", LANG: "C.UTF-8" };

/** A VM of its own in a temporary directory, with as many daemons, one after the other, as wanted. */
export interface TestVm {
  readonly directory: string;
  readonly stateDir: string;
  readonly socketPath: string;
  /** A started supervisor on the VM's state directory. */
  supervisor(deps?: Partial<SupervisorDeps>): Supervisor;
  /** A request for a new agent, whose env file stands. */
  request(
    wanted: { argv: readonly string[]; cwd?: string; user?: AgentUser },
    envFile?: string,
  ): SpawnRequest;
  /** The path of an agent's output. */
  output(agentId: string): string;
  /** Ends every agent and removes the directory. */
  close(): Promise<void>;
}

export function createTestVm(): TestVm {
  const directory = mkdtempSync(join(tmpdir(), "murmur-vm-"));
  const stateDir = join(directory, "state");
  const socketPath = join(directory, "run", "agent.sock");
  const supervisors: Supervisor[] = [];
  const supervisor = (deps: Partial<SupervisorDeps> = {}): Supervisor => {
    const facts = { stateDir, socketPath, bootId: readBootId(), inheritedEnv: DAEMON_ENV };
    const made = new Supervisor({ ...facts, ...deps });
    made.start();
    supervisors.push(made);
    return made;
  };
  return {
    ...{ directory, stateDir, socketPath, supervisor },
    request(wanted, envFile = "") {
      const agentId = randomUUID();
      const envDir = join(directory, "run", "agents", agentId);
      writeEnvSet(envDir, envFile, wanted.user);
      return { agentId, envDir, ...wanted };
    },
    output: (agentId) => join(stateDir, "agents", agentId, "output.log"),
    async close() {
      for (const each of supervisors) await each.stop();
      const last = supervisor();
      for (const state of last.list().filter((each) => !hasEnded(each))) {
        await last.kill(state.agentId, { graceMs: 0, killMs: 15_000 });
      }
      await last.stop();
      // A shim whose agent is nobody's any more may still leave its status there.
      rmSync(directory, { recursive: true, force: true, maxRetries: 20 });
    },
  };
}

function writeEnvSet(envDir: string, text: string, user?: AgentUser): void {
  const generation = join(envDir, "..g1-test");
  mkdirSync(generation, { recursive: true });
  const path = join(generation, "env.sh");
  writeFileSync(path, `${text}export MURMUR_DIR='${envDir}'\n`, { mode: 0o400 });
  if (user) chownSync(path, user.uid, user.gid);
  symlinkSync("..g1-test", join(envDir, "..data"));
}
