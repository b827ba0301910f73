import {
  EvidenceState,
  LaggardReason as ReasonMessage,
  type Evidence,
  type Laggard as LaggardMessage,
} from "../../../../../gen/murmur/rotation/v1/evidence";
import type { CaseStage, EvidenceCase, Laggard, LaggardReason } from "../domain/evidence-case";

const STATES: Record<CaseStage, EvidenceState> = {
  storing: EvidenceState.EVIDENCE_STATE_STORING,
  gathering: EvidenceState.EVIDENCE_STATE_GATHERING,
  evidence: EvidenceState.EVIDENCE_STATE_ENDED_ON_EVIDENCE,
  deadline: EvidenceState.EVIDENCE_STATE_ENDED_BY_DEADLINE,
  revoked: EvidenceState.EVIDENCE_STATE_REVOKED,
  cancelled: EvidenceState.EVIDENCE_STATE_CANCELLED,
};
const REASONS: Record<LaggardReason, ReasonMessage> = {
  starting: ReasonMessage.LAGGARD_REASON_STARTING,
  files: ReasonMessage.LAGGARD_REASON_FILES,
  coming: ReasonMessage.LAGGARD_REASON_COMING,
  process: ReasonMessage.LAGGARD_REASON_PROCESS,
  "cannot-be-told": ReasonMessage.LAGGARD_REASON_CANNOT_BE_TOLD,
  "not-reported": ReasonMessage.LAGGARD_REASON_NOT_REPORTED,
  used: ReasonMessage.LAGGARD_REASON_USED,
  "successor-ended": ReasonMessage.LAGGARD_REASON_SUCCESSOR_ENDED,
};

/** A case as the contract shows it. */
export function toEvidence(it: EvidenceCase): Evidence {
  return {
    state: STATES[it.stage],
    secretName: it.secretName,
    secretVersion: it.secretVersion ?? 0n,
    rolloutId: it.rolloutId ?? "",
    begunAt: it.begunAt,
    storedAt: it.storedAt,
    deadline: it.deadline,
    endedAt: it.endedAt,
    laggards: it.laggards.map(toLaggard),
    laggardCount: it.laggardCount,
    lookedAt: it.lookedAt,
    alarmedPercent: it.alarmed,
    problem: it.problem,
  };
}

function toLaggard({ reason, detail, agent, process, generation }: Laggard): LaggardMessage {
  return {
    ...{ reason: REASONS[reason], detail },
    ...{ agentId: agent?.id ?? "", workspace: agent?.workspace ?? "", path: agent?.path ?? "" },
    ...{ vm: agent?.vm ?? "", pid: process?.pid ?? 0, process: process?.name ?? "" },
    generation: BigInt(generation ?? 0),
  };
}
