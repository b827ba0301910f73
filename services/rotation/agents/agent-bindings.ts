import { createHmac, timingSafeEqual, type KeyObject } from "node:crypto";
import { deriveKey } from "../../../lib/identity/derive-key";
import type { SigningKey } from "../../../lib/identity/signing-key";
import type { Agent } from "./domain/agent";

/** What decides whose secrets an agent gets, and on which machine. */
export type BoundFields = Pick<
  Agent,
  "tenantId" | "id" | "vmId" | "workspace" | "developer" | "parentId" | "expectsSpawnSecrets"
>;

declare const GENUINE: unique symbol;

/** An agent whose record is as this service wrote it; nobody else's goes to the catalog. */
export type GenuineAgent = Agent & { readonly [GENUINE]: true };

/**
 * Ties an agent's record to this service: who can write the table and has no signing key cannot
 * make one up, and cannot change for whom one is.
 */
export interface AgentBindings {
  macOf(agent: BoundFields): Buffer;
  isGenuine(agent: Agent): agent is GenuineAgent;
}

export interface AgentBindingsDeps {
  /** Makes MACs. */
  signingKey: SigningKey;
  /** Signing keys before it: records of their times stay good. */
  earlierSigningKeys?: readonly SigningKey[];
}

const PURPOSE = "murmur-agent-binding-v1";

export function createAgentBindings({
  signingKey,
  earlierSigningKeys = [],
}: AgentBindingsDeps): AgentBindings {
  const key = deriveKey(signingKey, PURPOSE);
  const accepted = [key, ...earlierSigningKeys.map((earlier) => deriveKey(earlier, PURPOSE))];
  return {
    macOf: (agent) => macOf(key, agent),
    isGenuine: (agent): agent is GenuineAgent =>
      accepted.some((it) => isSame(macOf(it, agent), agent.binding)),
  };
}

function macOf(key: KeyObject, agent: BoundFields): Buffer {
  const { tenantId, id, vmId, workspace, developer, parentId = "" } = agent;
  const expects = String(agent.expectsSpawnSecrets);
  const mac = createHmac("sha256", key);
  for (const field of [tenantId, id, vmId, workspace, developer, parentId, expects]) {
    const bytes = Buffer.from(field);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    mac.update(length).update(bytes);
  }
  return mac.digest();
}

function isSame(expected: Buffer, actual: Buffer): boolean {
  return actual.length === expected.length && timingSafeEqual(expected, actual);
}
