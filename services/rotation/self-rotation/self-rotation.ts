import type { GatherRecord } from "../../../lib/audit/audit";
import { type Clock, systemClock } from "../../../lib/clock";
import { type Log, silentLog } from "../../../lib/log";
import type { Pool } from "../../../lib/postgres/db";
import type { SealedAnswerStore } from "../credentials/store/sealed-answer-store";
import type { TokenUses } from "../credentials/verify-credentials";
import { postgresAttemptStore } from "../limits/postgres-attempt-store";
import type { PersonStore } from "../people/store/person-store";
import type { OpenRegistration } from "./register-agent";
import type { RotateForAgentDeps } from "./rotate-for-agent";
import { createReuseAlarms } from "./reuse-alarms";
import { createSelfRotationService } from "./rpc/self-rotation-service";
import { postgresInvitationStore } from "./store/postgres-invitation-store";
import { postgresPairStore } from "./store/postgres-pair-store";
import { postgresRegisteredAgentStore } from "./store/postgres-registered-agent-store";
import { createTokenUses } from "./token-uses";

export interface SelfRotationDeps {
  pool: Pool;
  answers: SealedAnswerStore;
  people: PersonStore;
  /** Whose agents are those that anyone may register. */
  openRegistration?: OpenRegistration;
  gather: GatherRecord;
  clock?: Clock;
  log?: Log;
}

/** What gives new values to agents that run. */
export type RunningAgentDeps = Omit<
  RotateForAgentDeps,
  "pool" | "agents" | "pairs" | "attempts" | "gather" | "log" | "runningAgents"
> & { agents: RotateForAgentDeps["runningAgents"] };

/** Agents that register and rotate their own pairs. */
export interface SelfRotation {
  /** Its handlers, when what running agents need is there. */
  service(running: RunningAgentDeps): ReturnType<typeof createSelfRotationService>;
  /** For whoever verifies tokens. */
  uses: TokenUses;
  /** Writes alarms until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
}

export function createSelfRotation(deps: SelfRotationDeps): SelfRotation {
  const { pool, answers, people, openRegistration, gather } = deps;
  const { clock = systemClock, log = silentLog } = deps;
  const stores = {
    ...{ pool, answers, people, agents: postgresRegisteredAgentStore, pairs: postgresPairStore },
    ...{ attempts: postgresAttemptStore, invitations: postgresInvitationStore },
  };
  const reuses = createReuseAlarms({ db: pool, agents: stores.agents, clock, log });
  return {
    service: (running) =>
      createSelfRotationService({
        ...{ ...running, ...stores, runningAgents: running.agents, reuses, gather, clock, log },
        ...(openRegistration && { openRegistration }),
      }),
    uses: createTokenUses({ ...stores, reuses, clock }),
    run: (signal) => reuses.run(signal),
  };
}
