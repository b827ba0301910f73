import type { AgentSettings } from "../../../gen/murmur/rotation/v1/agents";
import type { Clock } from "../../../lib/clock";
import type { Sensitive } from "../../../lib/sensitive";
import type { AgentState } from "../processes/agent";
import { type HookDeps, type HookEnd, type HookRequest, runHook } from "../processes/run-hook";
import { addUnknown, MASK, redact } from "./redact";

export interface RunForAgentDeps {
  /** What its spawner wished; undefined until the rotation service has told of the agent. */
  launchOf(agentId: string): LaunchSettings | undefined;
  /** Every value that is in force now. */
  valuesOf(agentId: string): readonly Sensitive<Buffer>[];
  /** Calls the listener after each swap of the agent until what it returns is called. */
  onSwap(agentId: string, listener: () => void): () => void;
  /** What an agent's process starts with. */
  environmentOf(state: AgentState, layersOff: readonly string[]): Promise<Record<string, string>>;
  clock: Clock;
}

export interface LaunchSettings {
  workingDirectory: string;
  settings?: AgentSettings | undefined;
}

/** A command, and what it is called in the words for its end. */
export interface AgentCommand
  extends Pick<HookRequest, "argv" | "timeoutMs">, Pick<HookDeps, "signal" | "onStart"> {
  name: string;
}

/** How it went. */
export interface AgentCommandResult {
  /** Why it failed, in words without values; undefined when it ended with status 0. */
  reason: string | undefined;
  /** What it wrote, with every value masked. */
  output: string;
  isCut: boolean;
}

/** Runs a command as an agent's user, in its working directory and environment. */
export async function runForAgent(
  deps: RunForAgentDeps,
  state: AgentState,
  { name, argv, timeoutMs, signal, onStart }: AgentCommand,
): Promise<AgentCommandResult> {
  const { agentId, envDir, user } = state;
  const launch = deps.launchOf(agentId);
  const values = collectValues(deps, agentId);
  try {
    const { end, output, isCut } = await runHook(
      {
        ...{ argv, timeoutMs, user, envFile: `${envDir}/..data/env.sh` },
        cwd: launch?.workingDirectory === "" ? undefined : launch?.workingDirectory,
        environment: await deps.environmentOf(state, launch?.settings?.layersOff ?? []),
      },
      { clock: deps.clock, signal, onStart },
    );
    const why = reasonOf(end, timeoutMs);
    return {
      reason: why === undefined ? undefined : `${name}: ${why}`,
      output: values.mask(output, isCut),
      isCut,
    };
  } finally {
    values.close();
  }
}

/**
 * Every value that is in force between now and `close`: any number of swaps may come while a
 * command runs, it may read each of the sets, and their files are soon gone.
 */
function collectValues(deps: RunForAgentDeps, agentId: string) {
  const values: Sensitive<Buffer>[] = [];
  addUnknown(values, deps.valuesOf(agentId));
  let isWhole = true;
  const close = deps.onSwap(agentId, () => {
    try {
      addUnknown(values, deps.valuesOf(agentId));
    } catch {
      isWhole = false;
    }
  });
  return {
    /** Nothing of the output where a set could not be read. */
    mask: (output: Buffer, isCut: boolean) =>
      isWhole ? redact(output, values, isCut) : MASK.toString(),
    close,
  };
}

function reasonOf(end: HookEnd, timeoutMs: number): string | undefined {
  switch (end.kind) {
    case "code":
      return end.code === 0 ? undefined : `exit ${end.code}`;
    case "signal":
      return `ended by ${end.signal}`;
    case "timeout":
      return `timed out after ${timeoutMs / 1000} s`;
    case "stopped":
      return "the daemon was stopped";
  }
}
