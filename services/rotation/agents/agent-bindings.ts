import { createHmac, timingSafeEqual, type KeyObject } from "node:crypto";
import { deriveKey } from "../../../lib/identity/derive-key";
import type { SigningKey } from "../../../lib/identity/signing-key";
import type { Agent, LaunchableAgent } from "./domain/agent";
import type { AgentHealthCheck } from "./domain/agent-health";
import { settingsBytes } from "./domain/agent-settings";

/** What decides whose secrets an agent gets, and on which machine. */
export type BoundFields = Pick<
  Agent,
  "tenantId" | "id" | "vmId" | "workspace" | "developer" | "parentId" | "expectsSpawnSecrets"
>;

/** What decides what is run with them. */
export type LaunchFields = Pick<
  LaunchableAgent,
  "tenantId" | "id" | "workingDirectory" | "command" | "settings"
>;

declare const GENUINE: unique symbol;

/** An agent whose record is as this service wrote it; nobody else's goes to the catalog. */
export type GenuineAgent = Agent & { readonly [GENUINE]: true };

/**
 * Ties an agent's record to this service: who can write the table and has no signing key cannot
 * make one up, and cannot change for whom one is, or what it runs.
 */
export interface AgentBindings {
  macOf(agent: BoundFields): Buffer;
  launchMacOf(agent: LaunchFields): Buffer;
  /** Over a health check of an agent and what it runs. */
  healthMacOf(agent: Pick<Agent, "tenantId" | "id">, check: HealthFields): string;
  /** Whether this service wrote the agent's health check. */
  mayCheck(agent: LaunchableAgent): boolean;
  isGenuine(agent: Agent): agent is GenuineAgent;
  /** Whether the record is genuine, with the command and the settings that the spawner gave. */
  mayLaunch(agent: LaunchableAgent): boolean;
}

export interface AgentBindingsDeps {
  /** Makes MACs. */
  signingKey: SigningKey;
  /** Signing keys before it: records of their times stay good. */
  earlierSigningKeys?: readonly SigningKey[];
}

type HealthFields = Pick<AgentHealthCheck, "id" | "argv" | "timeoutMs">;

interface Keys {
  binding: KeyObject;
  health: KeyObject;
  launch: KeyObject;
}

export function createAgentBindings({
  signingKey,
  earlierSigningKeys = [],
}: AgentBindingsDeps): AgentBindings {
  const keys = toKeys(signingKey);
  const accepted = [keys, ...earlierSigningKeys.map(toKeys)];
  const isBound = (agent: Agent) =>
    accepted.some(({ binding }) => isSame(bindingMac(binding, agent), agent.binding));
  return {
    macOf: (agent) => bindingMac(keys.binding, agent),
    launchMacOf: (agent) => launchMac(keys.launch, agent),
    healthMacOf: (agent, check) => healthMac(keys.health, agent, check).toString("base64"),
    mayCheck: (agent) => {
      const { healthCheck } = agent;
      if (!healthCheck || !isBound(agent)) return false;
      const mac = Buffer.from(healthCheck.mac, "base64");
      return accepted.some(({ health }) => isSame(healthMac(health, agent, healthCheck), mac));
    },
    isGenuine: (agent): agent is GenuineAgent => isBound(agent),
    mayLaunch: (agent) =>
      isBound(agent) &&
      accepted.some(({ launch }) => isSame(launchMac(launch, agent), agent.launchMac)),
  };
}

function toKeys(signingKey: SigningKey): Keys {
  return {
    binding: deriveKey(signingKey, "murmur-agent-binding-v1"),
    health: deriveKey(signingKey, "murmur-agent-health-v1"),
    launch: deriveKey(signingKey, "murmur-agent-launch-v1"),
  };
}

function bindingMac(key: KeyObject, agent: BoundFields): Buffer {
  const { tenantId, id, vmId, workspace, developer, parentId = "" } = agent;
  const expects = String(agent.expectsSpawnSecrets);
  return macOf(key, [tenantId, id, vmId, workspace, developer, parentId, expects]);
}

function launchMac(key: KeyObject, agent: LaunchFields): Buffer {
  const { tenantId, id, workingDirectory, command } = agent;
  const settings = settingsBytes(agent.settings).toString("base64");
  return macOf(key, [tenantId, id, workingDirectory, settings, ...command]);
}

function healthMac(
  key: KeyObject,
  { tenantId, id }: Pick<Agent, "tenantId" | "id">,
  { id: checkId, argv, timeoutMs }: HealthFields,
): Buffer {
  return macOf(key, [tenantId, id, checkId, String(timeoutMs), ...argv]);
}

/** Each field behind its length, so that no two lists of fields look the same. */
function macOf(key: KeyObject, fields: readonly string[]): Buffer {
  const mac = createHmac("sha256", key);
  for (const field of fields) {
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
