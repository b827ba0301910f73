/**
 * Where a case is: `storing` and `gathering` are open; then it is over by evidence, by the deadline, by
 * somebody who revoked the old credential, or cancelled, in which case the old one stays.
 */
export type CaseStage = "storing" | "gathering" | CaseEnd;
export type CaseEnd = "evidence" | "deadline" | "revoked" | "cancelled";

/** Why somebody or something holds the old value back. */
export type LaggardReason =
  | "starting"
  | "files"
  | "coming"
  | "process"
  | "cannot-be-told"
  | "not-reported"
  | "used"
  | "successor-ended";

/** One that holds the old value back: plain JSON, as it is stored. */
export interface Laggard {
  reason: LaggardReason;
  /** In words. */
  detail: string;
  agent?: { id: string; workspace: string; path: string; vm: string };
  process?: { pid: number; name: string };
  /** Of the old value, as a decimal number; absent: it cannot be told. */
  generation?: string;
}

/** Which case, within its tenant. */
export interface CaseRef {
  tenantId: string;
  /** The new credential's id. */
  successorId: string;
}

/** The rotation of a credential that a tenant secret carries, whose old one ends on evidence. */
export interface EvidenceCase extends CaseRef {
  /** The old one's id. */
  credentialId: string;
  stage: CaseStage;
  secretName: string;
  /** Versions from this one and below `secretVersion` have the old value. */
  fromVersion: bigint;
  /** The one with the new value; undefined while it is being stored. */
  secretVersion: bigint | undefined;
  begunBy: string;
  begunAt: Date;
  storedAt: Date | undefined;
  /** When the old one ends in any case. */
  deadline: Date | undefined;
  endedAt: Date | undefined;
  /** The latest that brought the new value to holders. */
  rolloutId: string | undefined;
  /** By the last look, and how many they were. */
  laggards: readonly Laggard[];
  laggardCount: number;
  lookedAt: Date | undefined;
  /** Hundredths of the time until the deadline: 0, 50, 90 or 100. */
  alarmed: number;
  /** Why it was cancelled, or what keeps it from going on. */
  problem: string;
}

/** So many laggards are kept and shown. */
export const MAX_LAGGARDS = 100;

/** Hundredths of the time from storing to the deadline at which laggards are named. */
const ALARMS = [100, 90, 50] as const;

/** The alarm that is due and was not raised; undefined: none. */
export function dueAlarm(elapsedPercent: number, alarmed: number): number | undefined {
  const due = ALARMS.find((percent) => elapsedPercent >= percent);
  return due !== undefined && due > alarmed ? due : undefined;
}
