import type { ComingGeneration, WatchVmResponse } from "../../../gen/murmur/rotation/v1/vm_sync";
import type { Clock } from "../../../lib/clock";
import type { AppError } from "../../../lib/errors";
import type { LaunchableAgent } from "../agents/domain/agent";
import { toDesiredState } from "./desired-state";

/** One VM's stream on this replica, from registration until it is closed. */
export interface VmStream {
  /** What to do when the stream has to end; rejects with the reason, never resolves. */
  readonly closed: Promise<never>;
  /**
   * The complete state that was read after the registration; from now on, messages go out. Changes
   * that waited for it are dropped when it does not list their agent: either the agent is newer than
   * the reading, or it is over, and must not be brought back. The caller looks which, and offers
   * those that live; their ids are returned.
   */
  begin(complete: readonly LaunchableAgent[]): string[];
  /** Holds messages back again while the complete state is read anew; \`begin\` follows. */
  hold(): void;
  /** Says which generations exist already and may become desired; a VM that is not told asks later. */
  foretell(coming: readonly ComingGeneration[]): void;
  /** Says what changed; what the VM has heard of in a later state is not said again. */
  offer(agents: readonly LaunchableAgent[], traceparent: string): void;
  heartbeat(watermarkAgeMs: number): void;
  /** An agent that is over needs no memory of what was said about it. */
  forget(agentIds: readonly string[]): void;
  close(reason: AppError): void;
  /** For how long the VM has not read what was sent, milliseconds. */
  stalledMs(): number;
}

/**
 * Keeps the order register → read → send: changes offered while the complete state is being read
 * wait and follow it. What waits is kept once per agent, so a VM that reads slowly costs no more
 * than its agents.
 */
export function createVmStream(
  send: (response: WatchVmResponse) => Promise<void>,
  clock: Pick<Clock, "monotonicMs">,
): VmStream {
  const waiting = new Map<string, LaunchableAgent>();
  const said = new Map<string, bigint>();
  let complete: readonly LaunchableAgent[] | undefined;
  let traceparent = "";
  let beatAgeMs: number | undefined;
  let coming: readonly ComingGeneration[] = [];
  let isBegun = false;
  let sendingSinceMs: number | undefined;
  let fail: (reason: unknown) => void = () => undefined;
  let isClosed = false;
  const closed = new Promise<never>((_resolve, reject) => {
    fail = reject;
  });
  closed.catch(() => undefined); // Whoever waits for it sees it; nobody has to.

  const isNews = (agent: LaunchableAgent) => agent.revision > (said.get(agent.id) ?? -1n);

  const next = (): WatchVmResponse | undefined => {
    if (!isBegun || isClosed) return undefined;
    if (complete) {
      const agents = complete;
      complete = undefined;
      for (const agent of agents) said.set(agent.id, agent.revision);
      return desired(toDesiredState(agents, true));
    }
    if (coming.length > 0) {
      const message = foretold(coming);
      coming = [];
      return message;
    }
    const agents = [...waiting.values()].filter(isNews);
    waiting.clear();
    if (agents.length > 0) {
      for (const agent of agents) said.set(agent.id, agent.revision);
      return desired(toDesiredState(agents, false, traceparent));
    }
    const message = beatAgeMs === undefined ? undefined : heartbeat(beatAgeMs);
    beatAgeMs = undefined;
    return message;
  };

  const pump = async () => {
    if (sendingSinceMs !== undefined) return;
    try {
      for (let message = next(); message; message = next()) {
        sendingSinceMs = clock.monotonicMs();
        await send(message);
      }
    } catch (error) {
      fail(error);
    } finally {
      sendingSinceMs = undefined;
    }
  };

  return {
    closed,
    begin(agents) {
      const listed = new Set(agents.map(({ id }) => id));
      const unlisted = [...waiting.keys()].filter((id) => !listed.has(id));
      for (const id of unlisted) waiting.delete(id);
      complete = agents;
      isBegun = true;
      void pump();
      return unlisted;
    },
    hold() {
      isBegun = false;
      said.clear();
    },
    foretell(generations) {
      coming = generations;
      void pump();
    },
    offer(agents, trace) {
      for (const agent of agents) {
        const known = waiting.get(agent.id);
        if (!known || known.revision < agent.revision) waiting.set(agent.id, agent);
      }
      traceparent = trace;
      void pump();
    },
    heartbeat(ageMs) {
      beatAgeMs = ageMs;
      void pump();
    },
    forget(agentIds) {
      for (const id of agentIds) said.delete(id);
    },
    close(reason) {
      isClosed = true;
      fail(reason);
    },
    stalledMs: () => (sendingSinceMs === undefined ? 0 : clock.monotonicMs() - sendingSinceMs),
  };
}

function foretold(agents: readonly ComingGeneration[]): WatchVmResponse {
  return { message: { $case: "coming", value: { agents: [...agents] } } };
}

function heartbeat(ageMs: number): WatchVmResponse {
  return { message: { $case: "heartbeat", value: { watermarkAgeMs: BigInt(Math.round(ageMs)) } } };
}

function desired(value: ReturnType<typeof toDesiredState>): WatchVmResponse {
  return { message: { $case: "desired", value } };
}
