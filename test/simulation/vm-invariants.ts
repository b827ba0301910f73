import type { Event } from "../../services/rotation/protocol/machine/messages";
import type { World } from "../../services/rotation/protocol/machine/world";
import type { History } from "./observer";
import { isOver } from "./rotation-invariants";
import { Violation } from "./violation";

type VmEvent = Extract<Event, { to: "vm" }>;

/** No VM goes back within a boot, gives up a living agent, or uses a version that was ended. */
export function lookAtVm(history: History, before: World, event: VmEvent, after: World): void {
  const was = before.vms[event.id];
  const is = after.vms[event.id];
  if (was === undefined || is === undefined || was.files === is.files) return;
  for (const [agentId, { generation, pins }] of Object.entries(is.files)) {
    if (was.files[agentId] === is.files[agentId]) continue;
    const key = `${is.bootId} ${agentId}`;
    const high = history.reachedInBoot.get(key) ?? 0;
    if (generation < high) {
      throw new Violation(`${agentId} went back from generation ${high} to ${generation}`);
    }
    if (history.endedInBoot.has(key)) throw new Violation(`${agentId} ended and has files again`);
    history.reachedInBoot.set(key, generation);
    history.reached.set(agentId, Math.max(generation, history.reached.get(agentId) ?? 0));
    // An agent whose end was asked for holds no version back: it may be told late.
    if (isOver(after, agentId)) continue;
    for (const [name, version] of Object.entries(pins)) {
      if (after.catalog.secrets[name]?.revoked.includes(version) === true) {
        throw new Violation(`${agentId} got ${name}@${version} after it was ended`);
      }
    }
  }
  if (was.bootId !== is.bootId) return;
  for (const agentId of Object.keys(was.files)) {
    if (agentId in is.files) continue;
    history.endedInBoot.add(`${is.bootId} ${agentId}`);
    if (event.message.kind === "exit" || isOver(after, agentId)) continue;
    throw new Violation(`${event.id} removed the files of ${agentId}, which lives`);
  }
}
