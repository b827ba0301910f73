import { api, answerOf } from "../api/client";
import type { components } from "../api/rest-types";
import type { Tone } from "../parts/badge";

export type Rollout = components["schemas"]["Rollout"];
export type RolloutTarget = components["schemas"]["RolloutTarget"];

/** The newest, newest first. */
export async function listRollouts(signal: AbortSignal): Promise<Rollout[]> {
  const params = { query: { page_size: 100 } };
  return (await answerOf(api.GET("/v1/rollouts", { params, signal }))).rollouts;
}

/** What agents had before it; the rollout that gives it back to them. */
export async function rollBack(rolloutId: string): Promise<string> {
  const params = { path: { rollout_id: rolloutId } };
  const call = api.POST("/v1/rollouts/{rollout_id}/rollback", { params, body: {} });
  return (await answerOf(call)).rollout?.rollout_id ?? "";
}

/** Whom it was for, in words. */
export function subjectOf({ workspace, path, secret_name: secret }: Rollout): string {
  if (path) return `${workspace}/${path}`;
  if (secret) return `holders of ${secret}`;
  return workspace ? `all of ${workspace}` : "all agents";
}

export function stateOf(rollout: Rollout): { tone: Tone; name: string } {
  if (rollout.state === "open") return { tone: "busy", name: "under way" };
  if (rollout.targets_failed > 0) return { tone: "bad", name: "done, with failures" };
  return { tone: "good", name: "done" };
}

export const TARGET_TONES: Record<NonNullable<RolloutTarget["state"]>, Tone> = {
  ...{ pending: "busy", applied: "good", failed: "bad", skipped: "quiet" },
};

/** From when it was accepted until an agent was on it, ms. */
export function latencyMs(rollout: Rollout, target: RolloutTarget): number | undefined {
  if (target.acked_at === undefined || rollout.accepted_at === undefined) return undefined;
  return Date.parse(target.acked_at) - Date.parse(rollout.accepted_at);
}
