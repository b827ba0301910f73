import { SelfRotationServiceService } from "../../../gen/murmur/rotation/v1/self_rotation";
import type { JsonSchema } from "../json/schema";
import type { OnBehalf } from "../upstream/backends";
import type { RouteKit } from "./rpc-route";
import type { RestRequest, Route } from "./route";

const tag = "self-rotation";
/** What an invitation begins with: it is no credential of anybody's, and goes to rotation as what it is. */
const INVITATION = "mur_inv_";
const AUTO_ROTATION = "/v1/self-rotating-agents/{agent_id}/auto-rotation";
const TEXT: JsonSchema = { type: "string" };
const IDEMPOTENCY_KEY: JsonSchema = { type: "string", maxLength: 128 };

/** Agents that register and rotate their own key. Names in these bodies are as in their specification. */
export function selfRotationRoutes(kit: RouteKit): Route[] {
  return [registerRoute(kit), rotateSelfRoute(kit), rotateCredentialsRoute(kit), ...ownRoutes(kit)];
}

function registerRoute({ backends }: RouteKit): Route {
  return {
    ...{ method: "POST", path: "/v1/auth/agent-register", tag, operationId: "registerAgent" },
    summary: "Register an agent and show its API key and rotation secret",
    description:
      "The bearer is an admin's, or an invitation that was not used. Both values are shown once.",
    params: {},
    headers: { "Idempotency-Key": IDEMPOTENCY_KEY },
    body: {
      ...{ type: "object", additionalProperties: false },
      properties: { name: { ...TEXT, description: "Made up when absent." } },
    },
    answers: { 201: { description: "Registered.", schema: pairSchema("agentId", "name") } },
    async handle({ body, header, on }) {
      const bearer = on.bearer?.expose() ?? "";
      const isInvitation = bearer.startsWith(INVITATION);
      const request = {
        ...{ invitation: isInvitation ? bearer : "", name: textOf(body["name"]) },
        requestId: header("idempotency-key") ?? "",
      };
      const { agent, apiKey, rotationSecret } = await backends.call(
        SelfRotationServiceService.registerAgent,
        request,
        isInvitation ? withoutBearer(on) : on,
      );
      const { agentId, name } = agent ?? { agentId: "", name: "" };
      return { status: 201, body: { agentId, name, apiKey, rotationSecret } };
    },
  };
}

function rotateSelfRoute({ backends }: RouteKit): Route {
  return {
    ...{ method: "POST", path: "/v1/agents/self/rotate-key", tag, operationId: "rotateSelf" },
    summary: "Replace the caller's API key and rotation secret",
    description:
      "The bearer is the agent's current API key. At most 3 attempts in any 15 minutes from one address. With an `Idempotency-Key` the same pair gets the same answer again, for 10 minutes or until the new key is used.",
    params: {},
    headers: { "Idempotency-Key": IDEMPOTENCY_KEY },
    // What is wrong with it is said after the attempt has been counted.
    hasLenientBody: true,
    body: {
      type: "object",
      properties: {
        rotationSecret: { description: "A text: the rotation secret that goes with the key." },
        confirm: {
          description: "`two-phase`: the old pair stays valid until the new key is first used.",
        },
      },
    },
    answers: {
      200: { description: "Rotated.", schema: pairSchema("message", "agentId", "agentName") },
    },
    async handle({ body, header, on }) {
      const request = {
        apiKey: on.bearer?.expose() ?? "",
        rotationSecret: textOf(body["rotationSecret"]),
        confirm: confirmOf(body["confirm"]),
        requestId: header("idempotency-key") ?? "",
      };
      const { message, apiKey, rotationSecret, agentId, agentName } = await backends.call(
        SelfRotationServiceService.rotateSelf,
        request,
        withoutBearer(on),
      );
      return { status: 200, body: { message, apiKey, rotationSecret, agentId, agentName } };
    },
  };
}

function rotateCredentialsRoute({ backends }: RouteKit): Route {
  return {
    ...{ method: "POST", path: "/v1/agents/{agent_id}/rotate-credentials", tag },
    operationId: "rotateAgentCredentials",
    summary: "Give an agent that lost its key or rotation secret new ones, and end the old",
    params: { agent_id: TEXT },
    headers: { "Idempotency-Key": IDEMPOTENCY_KEY },
    body: { type: "object", additionalProperties: false, properties: {} },
    answers: { 200: { description: "Replaced.", schema: pairSchema("agentId", "agentName") } },
    async handle({ params, header, on }: RestRequest) {
      const request = {
        agentId: String(params["agent_id"]),
        requestId: header("idempotency-key") ?? "",
      };
      const { agent, apiKey, rotationSecret } = await backends.call(
        SelfRotationServiceService.rotateAgentCredentials,
        request,
        on,
      );
      const { agentId, name: agentName } = agent ?? { agentId: "", name: "" };
      return { status: 200, body: { agentId, agentName, apiKey, rotationSecret } };
    },
  };
}

function ownRoutes({ rpc }: RouteKit): Route[] {
  return [
    rpc({
      ...{ method: "POST", path: "/v1/agent-invitations", tag },
      summary: "Make an invitation with which one agent may register, within 10 minutes",
      rpc: SelfRotationServiceService.inviteAgent,
      status: 201,
    }),
    rpc({
      ...{ method: "GET", path: "/v1/self-rotating-agents", tag },
      summary: "List the agents that rotate their own key, newest first",
      rpc: SelfRotationServiceService.listRegisteredAgents,
    }),
    rpc({
      ...{ method: "GET", path: "/v1/self-rotating-agents/{agent_id}", tag },
      summary: "Show an agent that rotates its own key",
      rpc: SelfRotationServiceService.getRegisteredAgent,
      hidden: ["name"],
    }),
    rpc({
      ...{ method: "PUT", path: AUTO_ROTATION, tag },
      summary: "Have the VM of a running agent rotate for it, or rotate at other times",
      rpc: SelfRotationServiceService.setAutoRotation,
      required: ["auto_rotation"],
    }),
    rpc({
      ...{ method: "DELETE", path: AUTO_ROTATION, tag, operationId: "endAutoRotation" },
      summary: "Have nobody rotate for an agent any more",
      rpc: SelfRotationServiceService.setAutoRotation,
      hidden: ["auto_rotation"],
    }),
    rpc({
      ...{ method: "POST", path: "/v1/agents/{agent_id}/revoke", tag },
      summary: "End an agent's API key and rotation secret for good",
      rpc: SelfRotationServiceService.revokeAgent,
    }),
  ];
}

/** The pair is in the request: as a credential it would be verified, and refused in other words. */
function withoutBearer(on: OnBehalf): OnBehalf {
  return { ...on, bearer: undefined };
}

/** What is no text counts as absent. */
function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/** What is no text is a word that is none. */
function confirmOf(value: unknown): string {
  return value === undefined || typeof value === "string" ? (value ?? "") : "?";
}

function pairSchema(...others: readonly string[]): JsonSchema {
  const names = [...others, "apiKey", "rotationSecret"];
  return {
    ...{ type: "object", required: names },
    properties: Object.fromEntries(names.map((name) => [name, TEXT])),
  };
}
