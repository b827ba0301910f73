import { isAlive, type ProcessIdentity, type ProcessInfo, readProcessTable } from "../linux/proc";
import { handlesSignal } from "../linux/process-facts";

/** Why nobody was told; undefined: it was sent. */
export type SignalFault = string | undefined;

/**
 * Sends a signal to a process, or to every process of the group that it leads; only to those that
 * handle it: the others would be ended by it. `name` is one of node:os. With `tree`, for a process
 * that was adopted: to its group, whoever leads that, as far as it is in the tree.
 */
export function sendSignal(
  leader: ProcessIdentity,
  name: NodeJS.Signals,
  to: "process" | "group",
  tree?: readonly ProcessInfo[],
): SignalFault {
  const group = () => (tree ? groupWithin(leader, tree) : groupOf(leader));
  const targets = to === "process" ? [leader] : group();
  const handling = targets.filter((target) => isAlive(target) && handlesSignal(target.pid, name));
  const sent = handling.filter((target) => send(target, name));
  if (sent.length > 0) return undefined;
  const who = to === "process" ? "the agent's first process" : "any process of the agent's group";
  return to === "process"
    ? `${who} does not handle ${name}`
    : `there is no handler for ${name} in ${who}`;
}

function groupOf(leader: ProcessIdentity): ProcessIdentity[] {
  return [...readProcessTable().values()].filter(
    ({ group, startTime }) => group === leader.pid && startTime >= leader.startTime,
  );
}

function groupWithin(leader: ProcessIdentity, tree: readonly ProcessInfo[]): ProcessInfo[] {
  const group = tree.find(({ pid }) => pid === leader.pid)?.group;
  return tree.filter((member) => member.group === group);
}

function send({ pid }: ProcessIdentity, name: NodeJS.Signals): boolean {
  try {
    process.kill(pid, name);
    return true;
  } catch {
    return false; // It has just ended, or is not ours to signal.
  }
}
