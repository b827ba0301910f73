import type { Role } from "../../../../lib/identity/principal";

/** An agent that registered. */
export interface RegisteredAgent {
  tenantId: string;
  id: string;
  name: string;
  /** The developer whose it is. */
  owner: string;
  role: Role;
  createdAt: Date;
  revokedAt: Date | undefined;
  /** Its newest pair; every agent has one. */
  token: { id: string; prefix: string; createdAt: Date; firstUsedAt: Date | undefined };
  /** Until when a pair before it is valid; undefined: none is. */
  oldPairUntil: Date | undefined;
  /** Uses of tokens that had been rotated away. */
  reuses: bigint;
  reusedAt: Date | undefined;
  autoRotation: AutoRotation | undefined;
  /** Of the tenant, in the order in which they were made. */
  sequence: bigint;
}

/** How a VM rotates for an agent that runs on it. */
export interface AutoRotation extends AutoRotationWish {
  dueAt: Date;
}

export interface AutoRotationWish {
  everySeconds: number;
  /** Where the running agent is. */
  workspace: string;
  path: string;
  /** The names of its secrets that get the pair. */
  apiKeyName: string;
  rotationSecretName: string;
}

/** Which agent, within its tenant. */
export interface AgentRef {
  tenantId: string;
  id: string;
}
