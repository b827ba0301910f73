import { type RolloutTarget } from "../../gen/murmur/rotation/v1/rollouts";
import { reloadWords } from "../agents/agent-table";
import { type ReloadView } from "../agents/agent-view";
import { toReloadView } from "../agents/rotation-agent-keeper";
import { LocalError } from "../errors";
import { type Output } from "../output/output";
import { printable } from "../output/printable";
import { type AgentProcesses } from "./wait-for-processes";

/** How the programs of one agent were told of its new set. */
interface ReloadOf {
  path: string;
  reload?: ReloadView | undefined;
}

/** What targets say of it; of most nothing is known by the time that their VMs ack. */
export function reloadsOf(targets: readonly RolloutTarget[]): ReloadOf[] {
  return targets.map(({ path, reload }) => ({ path, reload: reload && toReloadView(reload) }));
}

/** A line for each signal or hook that failed: the set is in force, but its programs may not know. */
export function warnOfReloads(output: Output, agents: readonly ReloadOf[]): void {
  for (const { path, reload } of agents)
    if (reload?.outcome === "failed") output.warn(`${path}: reload ${reloadWords(reload)}`);
}

/** Throws unless every program that was to be told was told. */
export function requireReloads(agents: readonly AgentProcesses[]): void {
  const without = (outcome: string) =>
    agents.filter(({ reload }) => reload?.outcome === outcome).map(({ path }) => path);
  const failed = without("failed");
  const running = without("running");
  if (failed.length > 0)
    throw new LocalError(
      printable(`${reloadsWord(failed)} of ${failed.join(", ")} failed`),
      "The files are in place. What a hook wrote is in the log of its VM's daemon.",
    );
  if (running.length > 0)
    throw new LocalError(
      printable(
        `${reloadsWord(running)} of ${running.join(", ")} ${running.length === 1 ? "is" : "are"} still under way`,
      ),
      "The files are in place. Use murmur status to see how it ended.",
    );
}

function reloadsWord({ length }: readonly string[]): string {
  return length === 1 ? "the reload" : "the reloads";
}
