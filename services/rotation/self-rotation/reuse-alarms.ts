import { metrics } from "@opentelemetry/api";
import { type Clock, systemClock } from "../../../lib/clock";
import { type Log, silentLog } from "../../../lib/log";
import type { Db } from "../../../lib/postgres/db";
import { writeAudit } from "../audit";
import type { RegisteredAgentStore } from "./store/registered-agent-store";

/** A token that had been rotated away and was used. */
export interface ReusedToken {
  tenantId: string;
  id: string;
  agent: { id: string; name: string } | undefined;
}

/**
 * Alarms of tokens that are used after they were rotated away: somebody has what they should not have.
 * They are gathered and written a moment later, so that whoever presents one waits for nothing that
 * others do not wait for.
 */
export interface ReuseAlarms {
  note(token: ReusedToken): void;
  flush(): Promise<void>;
  run(signal: AbortSignal): Promise<void>;
}

export interface ReuseAlarmsDeps {
  db: Db;
  agents: Pick<RegisteredAgentStore, "noteReuses">;
  clock?: Clock;
  log?: Log;
}

const EVERY_MS = 500;
/** Each is an agent's; those beyond are dropped until the next round, whose agents come again. */
const MAX_WAITING = 10_000;

interface Waiting {
  tenantId: string;
  agentId: string;
  name: string;
  tokenId: string;
  count: number;
}

export function createReuseAlarms(deps: ReuseAlarmsDeps): ReuseAlarms {
  const { clock = systemClock, log = silentLog } = deps;
  const counter = metrics.getMeter("murmur").createCounter("murmur.rotation.token_reuses", {
    description: "Uses of agents' tokens that had been rotated away",
  });
  let waiting = new Map<string, Waiting>();
  const add = (entry: Waiting) => {
    const known = waiting.get(entry.tokenId);
    if (known) known.count += entry.count;
    else if (waiting.size < MAX_WAITING) waiting.set(entry.tokenId, entry);
  };
  const flush = async () => {
    const batch = waiting;
    waiting = new Map();
    for (const entry of batch.values()) {
      try {
        await write(deps, entry);
      } catch (error) {
        add(entry);
        log.debug("a token's reuse could not be noted yet", { error });
        continue;
      }
      const { tenantId, agentId, name, tokenId, count } = entry;
      const fields = { tenantId, agentId, name, tokenId, count };
      log.error("ALARM: a token that was rotated away was used", fields);
    }
  };
  return {
    note({ tenantId, id, agent }) {
      if (!agent) return;
      counter.add(1);
      add({ tenantId, agentId: agent.id, name: agent.name, tokenId: id, count: 1 });
    },
    flush,
    async run(signal) {
      while (!signal.aborted) {
        await clock.sleep(EVERY_MS, signal);
        await flush();
      }
    },
  };
}

async function write(
  { db, agents }: ReuseAlarmsDeps,
  { tenantId, agentId, name, tokenId, count }: Waiting,
): Promise<void> {
  const caller = { tenantId, kind: "service" as const, id: "rotation", peer: "" };
  await agents.noteReuses(db, { tenantId, id: agentId }, count);
  await writeAudit(db, caller, [
    {
      ...{ action: "agent.token-reused", objectKind: "registered-agent", objectId: agentId },
      ...{ outcome: "refused" as const, detail: { name, token: tokenId, count } },
    },
  ]);
}
