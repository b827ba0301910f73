import { createHash } from "node:crypto";
import type { AgentSettings } from "../../../../gen/murmur/rotation/v1/agents";
import type { Phase } from "../../protocol";
import type { AgentAdoption } from "./agent-adoption";
import type { AgentHealth, AgentHealthCheck } from "./agent-health";
import type { AgentReload } from "./agent-reload";

/** How an agent ended, as its VM saw it. */
export interface ExitStatus {
  kind: "code" | "signal" | "unknown";
  value: string;
}

/** The last attempt of an agent's VM that failed and that no later success has made history. */
export interface Failure {
  generation: bigint;
  reason: string;
  at: Date;
}

/** One running (or ended) agent. */
export interface Agent {
  tenantId: string;
  id: string;
  workspace: string;
  slug: string;
  /** `parent/child`, from the root of its tree. */
  path: string;
  parentId: string | undefined;
  rootId: string;
  /** From the root down to the parent. */
  ancestorIds: readonly string[];
  vmId: string;
  vmName: string;
  /** Who spawned the root of its tree. */
  developer: string;
  phase: Phase;
  killRequested: boolean;
  /** 0: none yet. */
  desired: bigint;
  desiredAt: Date | undefined;
  /** 0: nothing, or not known. */
  applied: bigint;
  appliedAt: Date | undefined;
  failure: Failure | undefined;
  /** The last; absent when there was none. */
  reload?: AgentReload | undefined;
  /** How the last health check went; absent when there was none. */
  health?: AgentHealth | undefined;
  /** Of an adopted one, once its VM has reported. */
  adoption?: AgentAdoption | undefined;
  exit: ExitStatus | undefined;
  createdAt: Date;
  endedAt: Date | undefined;
  reportedAt: Date | undefined;
  /** Counts up with every change that its VM has to hear of. */
  revision: bigint;
  /** Whether spawn-time secrets were stored for it: without them it gets no environment. */
  expectsSpawnSecrets: boolean;
  /** The MAC over whose agent it is and where (agent-bindings.ts). */
  binding: Buffer;
}

/** An agent with what its VM needs to start it. */
export interface LaunchableAgent extends Agent {
  command: readonly string[];
  workingDirectory: string;
  /** What its spawner wished beside; absent: nothing. */
  settings?: AgentSettings | undefined;
  /** What its VM runs when it is on a canary's generation; absent: nothing. */
  healthCheck?: AgentHealthCheck | undefined;
  /** The MAC over what is run (agent-bindings.ts). */
  launchMac: Buffer;
  /** What the ack of the desired generation must show; empty while there is none. */
  fingerprint: Buffer;
}

/** The protocol's rules know "none" as undefined, the store as 0. */
export function generationOrNone(generation: bigint): bigint | undefined {
  return generation === 0n ? undefined : generation;
}

/** The word for an agent that a rollout skips: its phase, or the one that it is on its way to. */
export function skippedReason(agent: Pick<Agent, "phase" | "killRequested">): string {
  const isLiving =
    agent.phase === "starting" || agent.phase === "running" || agent.phase === "idle";
  return isLiving ? "cancelled" : agent.phase;
}

/** A digest of the fields that make two requests the same one. */
export function digestOf(...fields: readonly (string | Uint8Array)[]): Buffer {
  const hash = createHash("sha256");
  for (const field of fields) {
    const bytes = typeof field === "string" ? Buffer.from(field) : field;
    hash.update(`${bytes.length}:`).update(bytes);
  }
  return hash.digest();
}
