import type { Db, Tx } from "../../../../../lib/postgres/db";
import type { AgentEvidence } from "../../../agents/store/agent-store";
import type { CredentialRef } from "../../store/credential-store";
import type { CaseEnd, CaseRef, EvidenceCase, Laggard } from "../domain/evidence-case";

/** A case that begins: its successor is inserted by the same transaction. */
export interface NewCase extends CaseRef {
  credentialId: string;
  secretName: string;
  graceSeconds: number;
  begunBy: string;
}

/** A case that this replica leads on for a while. */
export interface HeldCase extends EvidenceCase {
  /** SHA-256 of the old credential. */
  hash: Buffer;
  /** Hundredths of the time from storing to the deadline that are over; 0 while it is being stored. */
  elapsedPercent: number;
  /** Since the secret had the new value; 0 before. */
  ageMs: number;
  /** Agents that lived when the secret had the new value. */
  agentsBefore: readonly string[];
  /** Whether holders may be rekeyed again. */
  mayRekey: boolean;
}

/** What a look found. */
export interface Look {
  laggards: readonly Laggard[];
  /** The alarm that is raised with it; undefined: none. */
  alarm: number | undefined;
}

/**
 * Cases of evidence. All times are the database's. A case is led on by whoever claims it; one that is
 * not let go in time is claimed by another.
 */
export interface CaseStore {
  /** Held from the beginning for `holdMs`. */
  open(tx: Tx, wish: NewCase, holdMs: number): Promise<void>;
  /** The latest of an old credential. */
  findLatest(db: Db, ref: CredentialRef): Promise<EvidenceCase | undefined>;
  find(db: Db, ref: CaseRef): Promise<HeldCase | undefined>;
  /** Those that are due, nobody else's for `holdMs`. */
  claim(db: Db, limit: number, holdMs: number): Promise<HeldCase[]>;
  letGo(db: Db, ref: CaseRef, forMs: number): Promise<void>;
  /** The case while it is open, locked; its old credential is locked before. */
  lock(tx: Tx, ref: CaseRef): Promise<EvidenceCase | undefined>;
  /** The secret has the new value: the old one's time begins. */
  stored(tx: Tx, ref: CaseRef, version: bigint): Promise<void>;
  noteProblem(db: Db, ref: CaseRef, problem: string): Promise<void>;
  noteRollout(db: Db, ref: CaseRef, rolloutId: string, pauseMs: number): Promise<void>;
  /** False, and nothing is noted, when it is not open any more. */
  noteLook(db: Db, ref: CaseRef, look: Look): Promise<boolean>;
  /** False when it was not open any more. */
  end(tx: Tx, ref: CaseRef, how: CaseEnd, problem?: string): Promise<boolean>;
  /** Nothing is left to do. */
  finish(db: Db, ref: CaseRef): Promise<void>;
  /** Living agents of these, and those without a generation; locked against changes with a transaction. */
  readAgents(
    db: Db,
    tenantId: string,
    agentIds: readonly string[],
    lock: "" | "for share",
  ): Promise<AgentEvidence[]>;
  /** Whether one that came after a credential is valid; they stay as they are with a transaction. */
  hasValidSuccessor(db: Db, ref: CredentialRef, lock: "" | "for share"): Promise<boolean>;
  /** Whether a credential was not found valid for so long, as far as every replica has told. */
  isQuiet(db: Db, ref: CredentialRef, quietMs: number): Promise<boolean>;
}
