import {
  HealthOutcome,
  type HealthCheck,
  type HealthResult,
} from "../../../../gen/murmur/rotation/v1/agents";

/** What an agent's VM is to run: plain JSON, as it is stored. */
export interface AgentHealthCheck {
  /** The rollout that asks. */
  id: string;
  argv: readonly string[];
  timeoutMs: number;
  /** It waits for this one; a decimal number. */
  generation: string;
  /** Over the rest but the generation (agent-bindings.ts), in base64. */
  mac: string;
}

/** How a health check went, as its VM reported it: plain JSON, as it is stored. */
export interface AgentHealth {
  /** Of the check. */
  id: string;
  outcome: "passed" | "failed";
  reason: string;
}

const MAX_ID = 64;

export function toHealthCheck(check: AgentHealthCheck | undefined): HealthCheck | undefined {
  if (!check) return undefined;
  const { id: checkId, argv, timeoutMs, generation } = check;
  return { checkId, argv: [...argv], timeoutMs, generation: BigInt(generation) };
}

/** Undefined for what means nothing. `toText` cuts a text from a machine to what can be stored. */
export function fromHealthMessage(
  message: HealthResult | undefined,
  toText: (text: string) => string,
): AgentHealth | undefined {
  if (!message || message.checkId.length > MAX_ID) return undefined;
  const result = { id: toText(message.checkId), reason: toText(message.reason) };
  switch (message.outcome) {
    case HealthOutcome.HEALTH_OUTCOME_PASSED:
      return { ...result, outcome: "passed" };
    case HealthOutcome.HEALTH_OUTCOME_FAILED:
      return { ...result, outcome: "failed" };
    default:
      return undefined;
  }
}
