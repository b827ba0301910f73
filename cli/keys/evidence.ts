import {
  type Evidence,
  EvidenceState,
  type Laggard,
  LaggardReason,
} from "../../gen/murmur/rotation/v1/evidence";
import { relativeTime } from "../output/relative-time";

const STATES: Partial<Record<EvidenceState, string>> = {
  [EvidenceState.EVIDENCE_STATE_STORING]: "storing",
  [EvidenceState.EVIDENCE_STATE_GATHERING]: "gathering",
  [EvidenceState.EVIDENCE_STATE_ENDED_ON_EVIDENCE]: "ended on evidence",
  [EvidenceState.EVIDENCE_STATE_ENDED_BY_DEADLINE]: "ended by the deadline",
  [EvidenceState.EVIDENCE_STATE_REVOKED]: "revoked",
  [EvidenceState.EVIDENCE_STATE_CANCELLED]: "cancelled",
};
const REASONS: Partial<Record<LaggardReason, string>> = {
  [LaggardReason.LAGGARD_REASON_STARTING]: "starting",
  [LaggardReason.LAGGARD_REASON_FILES]: "files",
  [LaggardReason.LAGGARD_REASON_COMING]: "coming",
  [LaggardReason.LAGGARD_REASON_PROCESS]: "process",
  [LaggardReason.LAGGARD_REASON_CANNOT_BE_TOLD]: "cannot be told",
  [LaggardReason.LAGGARD_REASON_NOT_REPORTED]: "not reported",
  [LaggardReason.LAGGARD_REASON_USED]: "used",
  [LaggardReason.LAGGARD_REASON_SUCCESSOR_ENDED]: "successor ended",
};

/** `gathering`, `ended on evidence`, … */
export function evidenceWord({ state }: Evidence): string {
  return STATES[state] ?? "unknown";
}

/** Whether nothing changes any more. */
export function isOver({ state }: Evidence): boolean {
  return (
    state !== EvidenceState.EVIDENCE_STATE_STORING &&
    state !== EvidenceState.EVIDENCE_STATE_GATHERING
  );
}

/** Where the old one's end stands, in a line. */
export function evidenceWords(evidence: Evidence, now: Date): string {
  const { secretName, secretVersion, deadline, endedAt, laggardCount, problem } = evidence;
  const into = `the new one is ${secretName}@${secretVersion}`;
  const why = problem === "" ? "" : `: ${problem}`;
  if (endedAt) return `${evidenceWord(evidence)} ${relativeTime(endedAt, now)}${why}`;
  if (evidence.state === EvidenceState.EVIDENCE_STATE_STORING)
    return `the new one is on its way into ${secretName}${why}`;
  const held = laggardCount === 0 ? "" : `, held by ${laggardCount}`;
  const until = deadline ? `, ends ${relativeTime(deadline, now)} at the latest` : "";
  return `${into}${held}${until}${why}`;
}

/** Who holds the old one, a line each. */
export function laggardLines({ laggards, laggardCount }: Evidence): string[] {
  const lines = laggards.map((it) =>
    [whoOf(it), it.detail].filter((text) => text !== "").join(": "),
  );
  const more = laggardCount - laggards.length;
  return more > 0 ? [...lines, `and ${more} more`] : lines;
}

function whoOf({ workspace, path, vm, process, pid }: Laggard): string {
  if (path === "") return "";
  const program = pid === 0 ? "" : `, ${process} (pid ${pid})`;
  return `${workspace}/${path} on ${vm}${program}`;
}

/** For machines. */
export function evidenceToJson(evidence: Evidence) {
  return {
    state: evidenceWord(evidence),
    secret: evidence.secretName,
    version: evidence.secretVersion === 0n ? undefined : Number(evidence.secretVersion),
    rollout: evidence.rolloutId || undefined,
    begun_at: evidence.begunAt,
    stored_at: evidence.storedAt,
    deadline: evidence.deadline,
    ended_at: evidence.endedAt,
    looked_at: evidence.lookedAt,
    alarmed_percent: evidence.alarmedPercent,
    problem: evidence.problem || undefined,
    laggard_count: evidence.laggardCount,
    laggards: evidence.laggards.map((it) => ({
      reason: REASONS[it.reason] ?? "unknown",
      detail: it.detail,
      ...{ workspace: it.workspace || undefined, agent: it.path || undefined },
      ...{ vm: it.vm || undefined, pid: it.pid || undefined, process: it.process || undefined },
      generation: it.generation === 0n ? undefined : Number(it.generation),
    })),
  };
}
