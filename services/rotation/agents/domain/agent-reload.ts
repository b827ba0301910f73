import { ReloadOutcome, type ReloadResult } from "../../../../gen/murmur/rotation/v1/agents";

/** The last reload of an agent, as its VM reported it: plain JSON, as it is stored. */
export interface AgentReload {
  /** A decimal number. */
  generation: string;
  outcome: "running" | "done" | "failed";
  reason: string;
  /** ISO 8601. */
  at?: string;
}

const OUTCOMES = {
  running: ReloadOutcome.RELOAD_OUTCOME_RUNNING,
  done: ReloadOutcome.RELOAD_OUTCOME_DONE,
  failed: ReloadOutcome.RELOAD_OUTCOME_FAILED,
} as const;

/** Undefined for what means nothing. `toText` cuts a text from a machine to what can be stored. */
export function fromReloadMessage(
  message: ReloadResult | undefined,
  toText: (text: string) => string,
): AgentReload | undefined {
  if (!message || message.generation <= 0n) return undefined;
  const { generation, reason, at } = message;
  const found = Object.entries(OUTCOMES).find(([, value]) => value === message.outcome);
  if (!found) return undefined;
  const isDate = at !== undefined && !Number.isNaN(at.getTime());
  return {
    generation: String(generation),
    outcome: found[0] as AgentReload["outcome"],
    reason: toText(reason),
    ...(isDate && { at: at.toISOString() }),
  };
}

export function toReloadMessage(reload: AgentReload | undefined): ReloadResult | undefined {
  return (
    reload && {
      generation: BigInt(reload.generation),
      outcome: OUTCOMES[reload.outcome],
      reason: reload.reason,
      at: reload.at === undefined ? undefined : new Date(reload.at),
    }
  );
}
