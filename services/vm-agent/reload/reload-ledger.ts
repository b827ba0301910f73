import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type ProcessIdentity } from "../linux/proc";
import { errnoOf } from "../linux/errno";
import { requireOwnDirectory } from "../processes/small-file";

/** How the last telling of an agent's programs stands. */
export interface ReloadState {
  generation: bigint;
  outcome: "running" | "done" | "failed";
  reason: string;
  at: Date;
}

/** What has to be told to an agent's programs, and what was. */
export interface ReloadEntry {
  /** The newest generation that changed the environment. */
  due: bigint;
  /** The newest one for which telling is over; 0: none yet. */
  done: bigint;
  /** The hook that runs. */
  hook?: ProcessIdentity | undefined;
  last?: ReloadState | undefined;
}

/**
 * Remembers reloads over the daemon's own end, in files of `directory`, which only the daemon's user
 * may change. Not durable against a power cut: no agent survives that either.
 */
export class ReloadLedger {
  readonly #entries = new Map<string, ReloadEntry>();

  constructor(private readonly directory: string) {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    requireOwnDirectory(directory);
  }

  get(agentId: string): ReloadEntry | undefined {
    const known = this.#entries.get(agentId);
    if (known) return known;
    const read = this.#read(agentId);
    if (read) this.#entries.set(agentId, read);
    return read;
  }

  set(agentId: string, entry: ReloadEntry): void {
    this.#entries.set(agentId, entry);
    const path = this.#pathOf(agentId);
    writeFileSync(`${path}.tmp`, JSON.stringify(entry, toJson), { mode: 0o600 });
    renameSync(`${path}.tmp`, path);
  }

  forget(agentId: string): void {
    this.#entries.delete(agentId);
    rmSync(this.#pathOf(agentId), { force: true });
  }

  #read(agentId: string): ReloadEntry | undefined {
    try {
      return parseEntry(readFileSync(this.#pathOf(agentId), "utf8"));
    } catch (error) {
      // Half a file: whoever wrote it did not get as far as the rename that counts.
      if (errnoOf(error) === "ENOENT" || error instanceof SyntaxError) return undefined;
      throw error;
    }
  }

  #pathOf(agentId: string): string {
    return join(this.directory, `${agentId}.json`);
  }
}

function toJson(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? String(value) : value;
}

interface StoredEntry {
  due: string;
  done: string;
  hook?: ProcessIdentity;
  last?: { generation: string; outcome: ReloadState["outcome"]; reason: string; at: string };
}

/** The directory is the daemon's own, so a whole file is one that it wrote. */
function parseEntry(text: string): ReloadEntry {
  const { due, done, hook, last } = JSON.parse(text) as StoredEntry;
  return {
    ...{ due: BigInt(due), done: BigInt(done), hook },
    last: last && { ...last, generation: BigInt(last.generation), at: new Date(last.at) },
  };
}
