import { api, answerOf, idempotencyKey } from "../api/client";
import { allPages, PAGE_SIZE } from "../api/pages";
import type { components } from "../api/rest-types";
import type { Tone } from "../parts/badge";

export type Agent = components["schemas"]["Agent"];
export type AgentProcess = components["schemas"]["AgentProcess"];

/** In the place of a workspace: all of them. */
const ALL = "-";

/** By path; those that live, unless those that ended are asked for, too. */
export function listAgents(includeEnded: boolean, signal: AbortSignal): Promise<Agent[]> {
  return allPages(async (pageToken) => {
    const query = { include_ended: includeEnded, page_size: PAGE_SIZE, page_token: pageToken };
    const params = { path: { workspace: ALL }, query };
    const page = await answerOf(api.GET("/v1/workspaces/{workspace}/agents", { params, signal }));
    return { items: page.agents, nextPageToken: page.next_page_token };
  });
}

/** With its children and what its processes have taken over. */
export function getAgent(workspace: string, path: string, signal: AbortSignal) {
  const params = { path: { workspace, path } };
  return answerOf(api.GET("/v1/workspaces/{workspace}/agents/{path}", { params, signal }));
}

/** Gives an agent and its children a new generation; the rollout that brings it to them. */
export async function rekeyAgent({ workspace, path }: Agent): Promise<string> {
  const params = { path: { workspace, path }, header: idempotencyKey() };
  const call = api.POST("/v1/workspaces/{workspace}/agents/{path}/rekey", { params, body: {} });
  const { rollout } = await answerOf(call);
  return rollout?.rollout_id ?? "";
}

/** How many generations an agent is behind what it should have; an ended one is behind nothing. */
export function lagOf(agent: Agent): number {
  return agent.ended_at === undefined
    ? Math.max(0, agent.desired_generation - agent.applied_generation)
    : 0;
}

const PHASES: Record<NonNullable<Agent["phase"]>, Tone> = {
  ...{ starting: "busy", running: "good", idle: "good" },
  ...{ completed: "quiet", failed: "bad", cancelled: "quiet" },
};

export function toneOf({ phase }: Agent): Tone {
  return phase === undefined ? "quiet" : PHASES[phase];
}

/** Where a page tells all of an agent. A child's path has slashes, which are no steps of an address. */
export function addressOf({ workspace, path }: Pick<Agent, "workspace" | "path">): string {
  return `/agents/${encodeURIComponent(workspace)}/${encodeURIComponent(path)}`;
}
