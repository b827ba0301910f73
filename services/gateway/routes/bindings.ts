import { BindingServiceService } from "../../../gen/murmur/rotation/v1/bindings";
import type { JsonSchema } from "../json/schema";
import type { RouteKit } from "./rpc-route";
import type { Route } from "./route";

const tag = "registered-agents";
const ONE = "/v1/agents/{agent_id}";
const AGENT = { $ref: "#/components/schemas/BoundAgent" };

const HASH = {
  type: "string",
  description:
    "The first 16 hex characters, lower case, of SHA-256(key), or of SHA-256(`key|name`) for an agent with a name. Never the key itself.",
};
const PROOF = {
  type: "string",
  description:
    "All 64 hex characters of the SHA-256 that the agent's hash is the beginning of. Compared, and kept nowhere.",
};
const PREFIX = {
  type: "string",
  description: "The first 16 characters of the key; none of a key under 32.",
};

/** What `rekey` answers (behaviour, section 9). */
const REKEYED: JsonSchema = {
  type: "object",
  properties: {
    success: { type: "boolean", const: true },
    agent_id: { type: "string" },
    rekeyed_at: { type: "string", format: "date-time" },
    key_prefix: { type: "string" },
  },
  required: ["success", "agent_id", "rekeyed_at"],
};
const CONFLICT = {
  description:
    "Another agent has the key. Which, is said of the caller's own and of unclaimed ones.",
  schema: {
    allOf: [
      { $ref: "#/components/schemas/Error" },
      { type: "object", properties: { conflict_agent_id: { type: "string" } } },
    ],
  },
};

/** Registered agents, and the provider keys that they are bound to. */
export function bindingRoutes({ rpc }: RouteKit): Route[] {
  return [
    rpc({
      ...{
        method: "GET",
        path: "/v1/agents",
        tag,
        summary: "List registered agents, newest first",
      },
      description:
        "Your own unless `agents_of` says otherwise; `name` is exact, and empty for unnamed ones.",
      rpc: BindingServiceService.listBoundAgents,
    }),
    toAgent(
      rpc({
        ...{ method: "GET", path: ONE, tag, summary: "Show a registered agent" },
        rpc: BindingServiceService.getBoundAgent,
      }),
    ),
    rekey(
      rpc({
        ...{ method: "POST", path: `${ONE}/rekey`, tag, operationId: "rebindAgent" },
        summary: "Bind an agent to a new provider key, by its hash",
        description: "At most 10 an hour per account. With the key that it has, nothing changes.",
        rpc: BindingServiceService.rebindAgent,
        narrow: { new_key_hash: HASH, key_prefix: PREFIX },
        required: ["new_key_hash"],
      }),
    ),
    rpc({
      ...{ method: "POST", path: `${ONE}/verify-binding`, tag },
      summary: "Say whether an agent is bound to a provider key, by its hash",
      description: "At most 60 an hour per account. A mismatch is no error.",
      rpc: BindingServiceService.verifyBinding,
      narrow: { key_hash: HASH },
      required: ["key_hash"],
    }),
    toAgent(
      rpc({
        ...{ method: "POST", path: `${ONE}/claim`, tag },
        summary: "Make an unclaimed agent yours, by the proof of its key",
        rpc: BindingServiceService.claimAgent,
        narrow: { hash_proof: PROOF },
        required: ["hash_proof"],
      }),
    ),
    toAgent(
      rpc({
        ...{ method: "POST", path: `${ONE}/deactivate`, tag },
        summary: "Free the key of an agent; what is recorded under its id stays",
        description: "Your own; or an unclaimed one without history, with `hash_proof`.",
        rpc: BindingServiceService.deactivateAgent,
        narrow: { hash_proof: PROOF },
      }),
    ),
    toAgent(
      rpc({
        ...{ method: "POST", path: `${ONE}/history`, tag },
        summary: "Say how much history other systems keep under an agent's id",
        description: "For an operator's systems. Counts only go up.",
        rpc: BindingServiceService.recordHistory,
        required: ["history"],
      }),
    ),
    rpc({
      ...{ method: "POST", path: "/v1/observations", tag },
      summary: "Say that a request under a provider key was seen, by its hash",
      description: "For an operator's LLM proxy. An unknown hash makes an unclaimed agent.",
      rpc: BindingServiceService.observeKey,
      narrow: { agent_hash: HASH, key_prefix: PREFIX },
      required: ["agent_hash"],
    }),
  ];
}

/** Answered is the agent itself, rather than a message that holds it. */
function toAgent(route: Route): Route {
  return reshaped(route, AGENT, ({ agent }) => agent);
}

function rekey(route: Route): Route {
  const told = reshaped(route, REKEYED, ({ agent, rekeyed_at }) => {
    const { agent_id, key_prefix } = agent as { agent_id: string; key_prefix: string };
    return { success: true, agent_id, rekeyed_at, ...(key_prefix !== "" && { key_prefix }) };
  });
  return { ...told, answers: { ...told.answers, 409: CONFLICT } };
}

function reshaped(
  route: Route,
  schema: JsonSchema,
  of: (body: Record<string, unknown>) => unknown,
): Route {
  return {
    ...route,
    answers: { 200: { description: "Done.", schema } },
    async handle(request) {
      const { status, body } = await route.handle(request);
      return { status, body: of(body as Record<string, unknown>) };
    },
  };
}
