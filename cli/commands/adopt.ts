import { ErrorReason } from "../../gen/murmur/errors/v1/error_reason";
import { failedPrecondition } from "../../lib/errors";
import { processWords } from "../agents/adoption-words";
import { openAgentKeeper } from "../agents/agent-keeper";
import { agentToJson } from "../agents/agent-table";
import { type AdoptionView, type AgentKeeper, type AgentView } from "../agents/agent-view";
import { type CommandContext, type Invocation, type Run } from "../command";
import { LocalError, UsageError } from "../errors";
import { parseDurationMs } from "../input/duration";
import { readSpawnVariables } from "../input/spawn-variables";
import { printable } from "../output/printable";

/** The most that Linux hands out; 1 is the machine's own. */
const MAX_PID = 4_194_304;
const LOOK_EVERY_MS = 150;

export const run: Run = async (context, call) => {
  const { output, terminal, clock } = context;
  const adoptPid = parsePid(call.text("pid"));
  const timeout = call.text("timeout") ?? "30s";
  const timeoutMs = parseDurationMs("--timeout", timeout);
  const given = { texts: call.list("env"), files: call.list("env-file") };
  const variables = await readSpawnVariables(terminal, given);
  const keeper = await openAgentKeeper(context);
  const { agentId, path, warnings } = await keeper.spawn({
    slug: call.arg("slug"),
    vm: call.text("vm"),
    workspace: call.text("workspace"),
    ...{ variables, command: [], adoptPid },
    workingDirectory: call.text("cwd"),
  });
  for (const warning of warnings) output.warn(warning);
  const endMs = clock.monotonicMs() + timeoutMs;
  const look = { keeper, workspace: call.text("workspace"), path, agentId };
  for (;;) {
    const agent = await lookAt(look);
    if (agent.adoption) {
      show(context, call, agent, agent.adoption);
      return;
    }
    requireLiving(agent, adoptPid);
    if (clock.monotonicMs() >= endMs)
      throw new LocalError(
        `VM "${agent.vm}" has not answered within ${timeout}`,
        `It adopts the process when it is back, unless that is gone by then. murmur kill ${path} takes the wish back.`,
      );
    await clock.sleep(LOOK_EVERY_MS);
  }
};

function parsePid(text: string | undefined): number {
  const pid = /^\d{1,7}$/.test(text ?? "") ? Number(text) : 0;
  if (pid > 1 && pid <= MAX_PID) return pid;
  throw new UsageError(
    "--pid must be the number of a process, from 2 up",
    "Try murmur adopt --help.",
  );
}

interface Look {
  keeper: AgentKeeper;
  workspace: string | undefined;
  path: string;
  agentId: string;
}

async function lookAt({ keeper, workspace, path, agentId }: Look): Promise<AgentView> {
  const { agent } = await keeper.get(workspace, path);
  if (agent.agentId === agentId) return agent;
  throw new LocalError("it was ended meanwhile, and another agent has its slug");
}

/** Its VM says in words why it did not adopt the process. */
function requireLiving({ phase, exit = phase }: AgentView, pid: number): void {
  if (phase === "starting" || phase === "running" || phase === "idle") return;
  const reason = ErrorReason.ERROR_REASON_PROCESS_NOT_ADOPTABLE;
  throw failedPrecondition(reason, exit, { pid: String(pid) });
}

function show(
  { output, clock }: CommandContext,
  call: Invocation,
  agent: AgentView,
  adoption: AdoptionView,
): void {
  if (call.flag("json")) {
    output.json(agentToJson(agent));
    return;
  }
  const process = processWords(adoption, clock.now());
  output.line(printable(`Adopted ${process} as agent "${agent.path}" on VM "${agent.vm}"`));
  output.line("It can use");
  output.lines(adoption.canUse.map((each) => `  ${printable(each)}`));
  output.line("It cannot use");
  output.lines(adoption.cannotUse.map((each) => `  ${printable(each)}`));
}
