import { readFileSync } from "node:fs";
import { constants } from "node:os";
import { isAlive, type ProcessIdentity, readProcessTable } from "../linux/proc";

/** Why nobody was told; undefined: it was sent. */
export type SignalFault = string | undefined;

/**
 * Sends a signal to a process, or to every process of the group that it leads; only to those that
 * handle it: the others would be ended by it. `name` is one of node:os.
 */
export function sendSignal(
  leader: ProcessIdentity,
  name: NodeJS.Signals,
  to: "process" | "group",
): SignalFault {
  const targets = to === "process" ? [leader] : groupOf(leader);
  const handling = targets.filter((target) => isAlive(target) && handles(target.pid, name));
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

/** Whether the process has a handler for the signal, or ignores it on purpose. */
function handles(pid: number, name: NodeJS.Signals): boolean {
  const status = readStatus(pid);
  const bit = 1n << BigInt(constants.signals[name] - 1);
  const masks = [...status.matchAll(/^Sig(?:Cgt|Ign):\s*([0-9a-f]+)$/gm)];
  return masks.some(([, mask = "0"]) => (BigInt(`0x${mask}`) & bit) !== 0n);
}

function readStatus(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/status`, "latin1");
  } catch {
    return ""; // It has just ended.
  }
}

function send({ pid }: ProcessIdentity, name: NodeJS.Signals): boolean {
  try {
    process.kill(pid, name);
    return true;
  } catch {
    return false; // It has just ended, or is not ours to signal.
  }
}
