import { createHash, randomUUID } from "node:crypto";
import { EnvironmentServiceService } from "../../../gen/murmur/catalog/v1/environments";
import { AgentServiceService } from "../../../gen/murmur/rotation/v1/agents";
import { RolloutServiceService } from "../../../gen/murmur/rotation/v1/rollouts";
import type { RouteKit } from "./rpc-route";
import type { RestRequest, Route } from "./route";

const tag = "agents";
const OF_WORKSPACE = "/v1/workspaces/{workspace}/agents";
const ONE = `${OF_WORKSPACE}/{path}`;
/** In the place of a workspace; no workspace can have this name. */
const ALL_WORKSPACES = "-";
const PATH_HINT = "`path` is the slug, or the path of a child with its slash as `%2F`.";

/** Agents that run on VMs. */
export function agentRoutes({ rpc }: RouteKit): Route[] {
  return [
    rpc({
      ...{ method: "GET", path: OF_WORKSPACE, tag, summary: "List agents by path" },
      description: `\`${ALL_WORKSPACES}\` in the place of the workspace: those of all.`,
      rpc: AgentServiceService.listAgents,
      set: ({ params }) => ({
        workspace: params["workspace"] === ALL_WORKSPACES ? "" : String(params["workspace"]),
      }),
    }),
    rpc({
      ...{ method: "POST", path: OF_WORKSPACE, tag, summary: "Spawn an agent" },
      description:
        "`agent_id` is made up when it is not given: of the `Idempotency-Key` where there is one.",
      rpc: AgentServiceService.spawnAgent,
      status: 201,
      hidden: ["parent_agent_id"],
      set: (request) => ({ agentId: agentIdOf(request) }),
    }),
    rpc({
      ...{ method: "PUT", path: "/v1/spawn-secrets/{agent_id}", tag },
      summary: "Store secrets for one agent that is about to be spawned",
      rpc: EnvironmentServiceService.storeSpawnSecrets,
    }),
    rpc({
      ...{ method: "GET", path: ONE, tag, description: PATH_HINT },
      summary: "Show an agent, its children and its processes",
      rpc: AgentServiceService.getAgent,
    }),
    rpc({
      ...{ method: "POST", path: `${ONE}/kill`, tag, description: PATH_HINT },
      summary: "End an agent and its child tree",
      rpc: AgentServiceService.killAgent,
      hidden: ["caller_agent_id"],
    }),
    rpc({
      ...{ method: "GET", path: `${ONE}/explain`, tag, description: PATH_HINT },
      summary: "Say hop by hop why an agent is not where it should be",
      rpc: AgentServiceService.explainAgent,
    }),
    rpc({
      ...{ method: "POST", path: `${ONE}/rekey`, tag, description: PATH_HINT },
      summary: "Give an agent and its descendants a new generation",
      rpc: RolloutServiceService.rekeyAgent,
      status: 201,
    }),
  ];
}

function agentIdOf({ body, header }: RestRequest): string {
  const given = body["agent_id"];
  if (typeof given === "string" && given !== "") return given;
  const key = header("idempotency-key");
  return key === undefined ? randomUUID() : uuidOf(key);
}

/** A UUID of a text: version 8 of RFC 9562. */
function uuidOf(text: string): string {
  const bytes = createHash("sha256").update(`murmur-spawn\0${text}`).digest().subarray(0, 16);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x80, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  return bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
