import { type Peer } from "../linux/peer";
import { type ProcessIdentity } from "../linux/proc";

/** Who is at the other end of a connection. */
export type Caller =
  | { kind: "agent"; agentId: string }
  /** The daemon's own user, or root, outside of any agent. */
  | { kind: "operator" };

export interface CallerFacts {
  /** The living agent that a process belongs to, by the kernel's word (`Supervisor.agentOf`). */
  agentOf: (identity: ProcessIdentity) => string | undefined;
  /** The user that an agent's processes run as. */
  userOf: (agentId: string) => number | undefined;
  /** The user that the daemon runs as. */
  ownUid: number;
}

/**
 * Tells who connected, from the peer's process and its place among the agents' processes; nothing
 * that it sends plays a part. The peer is looked at once more afterwards: had its pid gone to
 * another process meanwhile, the answer would be about that one. Undefined for everybody else: a
 * process of an agent that is over, or one below an agent that runs as another user.
 */
export function identifyCaller(peer: Peer, facts: CallerFacts): Caller | undefined {
  const { agentOf, userOf, ownUid } = facts;
  const agentId = agentOf(peer);
  if (!peer.isStillThere()) return undefined;
  if (agentId !== undefined) {
    // Who is root can read the files anyway.
    const isAgents = peer.uid === userOf(agentId) || peer.uid === 0;
    return isAgents ? { kind: "agent", agentId } : undefined;
  }
  return peer.uid === ownUid || peer.uid === 0 ? { kind: "operator" } : undefined;
}
