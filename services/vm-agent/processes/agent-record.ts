import { type Cgroup } from "../linux/cgroup";
import { type AgentUser } from "./agent";

/** What the daemon notes of an agent before its shim starts. No command, no value. */
export interface AgentRecord {
  agentId: string;
  /** The boot that the agent belongs to: on another one, none of its processes can be alive. */
  bootId: string;
  envDir: string;
  user: AgentUser;
  /** Absent where there are no control groups to use. */
  cgroup?: Cgroup;
  createdAt: Date;
}

/** One line of JSON; `parseRecord` reads it back. */
export function formatRecord(record: AgentRecord): string {
  return `${JSON.stringify(record)}\n`;
}

/** The record of that text; undefined when it is damaged or of a later form than this one. */
export function parseRecord(text: string): AgentRecord | undefined {
  const value = parseObject(text);
  const user = value && toUser(value["user"]);
  const cgroup = value && toCgroup(value["cgroup"]);
  if (!value || !user) return undefined;
  const { agentId, bootId, envDir } = value;
  if (typeof agentId !== "string" || typeof bootId !== "string") return undefined;
  const createdAt = new Date(String(value["createdAt"]));
  if (typeof envDir !== "string" || Number.isNaN(createdAt.getTime())) return undefined;
  return { agentId, bootId, envDir, user, createdAt, ...(cgroup && { cgroup }) };
}

type Fields = Record<string, unknown>;

function parseObject(text: string): Fields | undefined {
  try {
    return toFields(JSON.parse(text));
  } catch {
    return undefined;
  }
}

function toFields(value: unknown): Fields | undefined {
  return typeof value === "object" && value !== null ? (value as Fields) : undefined;
}

function toUser(value: unknown): AgentUser | undefined {
  const { uid, gid, groups } = toFields(value) ?? {};
  if (typeof uid !== "number" || typeof gid !== "number") return undefined;
  const isList = Array.isArray(groups) && groups.every((group) => typeof group === "number");
  return { uid, gid, ...(isList && { groups: groups }) };
}

function toCgroup(value: unknown): Cgroup | undefined {
  const { path, name } = toFields(value) ?? {};
  return typeof path === "string" && typeof name === "string" ? { path, name } : undefined;
}
