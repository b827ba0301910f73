import { type ProcessIdentity } from "../linux/proc";
import { type AdoptedFacts } from "./adoption";
import { type AgentUser } from "./agent";

/** What the daemon notes of an adopted process, so that it finds it again. No value. */
export interface AdoptedRecord {
  agentId: string;
  /** On another boot, the process cannot be alive. */
  bootId: string;
  envDir: string;
  user: AgentUser;
  main: ProcessIdentity;
  createdAt: Date;
  facts: AdoptedFacts;
  /** Whether its end was asked for. */
  isCancelled: boolean;
}

/** One line of JSON; `parseAdopted` reads it back. */
export function formatAdopted(record: AdoptedRecord): string {
  return `${JSON.stringify(record)}\n`;
}

/** The record of that text; undefined when it is damaged or of a later form than this one. */
export function parseAdopted(text: string): AdoptedRecord | undefined {
  try {
    const { agentId, bootId, envDir, user, main, ...rest } = JSON.parse(text) as AdoptedRecord;
    const { name, canUse, cannotUse } = rest.facts;
    const createdAt = new Date(rest.createdAt);
    const startedAt = new Date(rest.facts.startedAt);
    const isWhole =
      [agentId, bootId, envDir, name].every((each) => typeof each === "string") &&
      [user.uid, user.gid, main.pid, main.startTime].every(Number.isSafeInteger) &&
      [...canUse, ...cannotUse].every((each) => typeof each === "string") &&
      typeof rest.isCancelled === "boolean" &&
      [createdAt, startedAt].every((each) => !Number.isNaN(each.getTime()));
    if (!isWhole) return undefined;
    const facts = { name, startedAt, canUse: [...canUse], cannotUse: [...cannotUse] };
    const { isCancelled } = rest;
    const { uid, gid } = user;
    return {
      ...{ agentId, bootId, envDir, user: { uid, gid }, createdAt, facts, isCancelled },
      main: { pid: main.pid, startTime: main.startTime },
    };
  } catch {
    return undefined; // Not JSON, or without a part.
  }
}
