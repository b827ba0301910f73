import { createInterface } from "node:readline";
import { readBootId } from "../linux/boot-id";
import { findCgroupParent } from "../linux/cgroup";
import { lockDirectory } from "../linux/directory-lock";
import { loadSystemCalls } from "../linux/system-calls";
import { type SpawnRequest } from "./agent";
import { LocalSocketServer } from "../local-socket/local-socket-server";
import { Supervisor } from "./supervisor";

/** One line of JSON on standard input; the answer is one on standard output. */
export type DaemonCommand =
  | { method: "spawn"; request: SpawnRequest }
  | { method: "kill"; agentId: string }
  | { method: "processes"; agentId: string }
  | { method: "list" };

/** A vm-agent reduced to its processes and socket: a program for tests that kill daemons. */
async function main([
  stateDir = "",
  socketPath = "",
  bootId = readBootId(),
]: string[]): Promise<void> {
  const supervisor = new Supervisor({
    ...{ stateDir, bootId, socketPath, sweepEveryMs: 100 },
    inheritedEnv: { PATH: "/usr/bin:/bin", HOME: "/" },
    cgroupParent: findCgroupParent(),
  });
  const systemCalls = await loadSystemCalls();
  lockDirectory(systemCalls, stateDir);
  systemCalls.seal();
  supervisor.start();
  const answer = (callerId: string): Promise<object> => Promise.resolve({ caller: callerId });
  const server = new LocalSocketServer({
    ...{ path: socketPath, systemCalls, ownUid: process.getuid?.() ?? -1 },
    agentOf: (identity) => supervisor.agentOf(identity),
    userOf: (agentId) => supervisor.get(agentId)?.user.uid,
    handlers: {
      ...{
        onSpawnChild: answer,
        onAdoptChild: answer,
        onList: answer,
        onStatus: answer,
        onKill: answer,
      },
      ...{ onGetValues: answer, onGetSettings: answer },
      onDaemonStatus: () => Promise.resolve({}),
    },
  });
  await server.start();
  process.stdout.write(`${JSON.stringify({ ready: process.pid })}\n`);
  for await (const line of createInterface({ input: process.stdin })) {
    const result = await obey(supervisor, JSON.parse(line) as DaemonCommand);
    process.stdout.write(`${JSON.stringify(result)}\n`);
  }
  await server.stop();
  await supervisor.stop();
}

async function obey(supervisor: Supervisor, command: DaemonCommand): Promise<unknown> {
  switch (command.method) {
    case "spawn":
      return supervisor.spawn(command.request);
    case "kill":
      return supervisor.kill(command.agentId, { graceMs: 300, killMs: 15_000 });
    case "processes":
      return supervisor.processes(command.agentId);
    case "list":
      return supervisor.list();
  }
}

main(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(`${String(error)}\n`);
  process.exitCode = 1;
});
