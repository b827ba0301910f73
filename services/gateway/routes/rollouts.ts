import { RolloutServiceService } from "../../../gen/murmur/rotation/v1/rollouts";
import type { RouteKit } from "./rpc-route";
import { rolloutEvents } from "./rollout-events";
import type { Route } from "./route";

const tag = "rollouts";
const ONE = "/v1/rollouts/{rollout_id}";

/** Wishes to bring agents to a new generation, and who has got there. */
export function rolloutRoutes(kit: RouteKit): Route[] {
  const { rpc } = kit;
  return [
    rpc({
      ...{ method: "GET", path: "/v1/rollouts", tag, summary: "List rollouts, newest first" },
      rpc: RolloutServiceService.listRollouts,
    }),
    rpc({
      ...{ method: "POST", path: "/v1/rollouts", tag },
      summary: "Give every agent of a selection a new generation",
      rpc: RolloutServiceService.rekeyAgents,
      status: 201,
      required: ["selection"],
    }),
    rpc({
      ...{ method: "POST", path: "/v1/rollouts/preview", tag },
      summary: "Say whom a rekey would change, and which names",
      rpc: RolloutServiceService.previewRekey,
      required: ["selection"],
    }),
    rpc({
      ...{ method: "GET", path: ONE, tag, summary: "Show a rollout with its targets" },
      rpc: RolloutServiceService.getRollout,
    }),
    rolloutEvents(kit, { path: `${ONE}/events`, tag }),
    rpc({
      ...{ method: "GET", path: `${ONE}/processes`, tag },
      summary: "List what the processes of a rollout's agents have taken over",
      rpc: RolloutServiceService.listRolloutProcesses,
    }),
    rpc({
      ...{ method: "POST", path: `${ONE}/rollback`, tag },
      summary: "Give the agents of a rollout what they had before it",
      rpc: RolloutServiceService.rollbackRollout,
      status: 201,
    }),
  ];
}
