import type { CreateCredentialRequest } from "../../../../gen/murmur/rotation/v1/credentials";
import { dnsLabelFault } from "../../../../lib/dns-label";
import { type FieldViolation, invalidFields } from "../../../../lib/errors";
import { isScope } from "../../../../lib/identity/scope";
import { labelFault } from "../../../../lib/label";
import { readTimestamp } from "../../../../lib/timestamp";
import { quoted } from "../../../../lib/quoted";
import { sensitive } from "../../../../lib/sensitive";
import type { CreateRequest } from "../issue-credential";
import { knownRpcs, nearestRpc } from "./known-rpcs";
import { namesRoute, nearestRoute } from "./known-routes";
import { readKind } from "./to-credential";

const MAX_SCOPES = 64;
/** Looking for what was meant takes time that others wait for. */
const MAX_HINTS = 3;

/** Throws INVALID_ARGUMENT that names every wrong field. */
export function readCreateRequest(request: CreateCredentialRequest): CreateRequest {
  const { label, agentName, scopes } = request;
  const expiresAt = readTimestamp("expires_at", request.expiresAt);
  const kind = readKind(request.kind) ?? "api-key";
  const violations = [
    ...(readKind(request.kind) ? [] : [fault("kind", "kind is required")]),
    ...labelFaults(label),
    ...(kind === "api-key" ? keyFaults(agentName, scopes) : tokenFaults(agentName, scopes)),
  ];
  if (violations.length > 0) throw invalidFields(violations);
  const requestId = sensitive(request.requestId);
  return { kind, label, agentName, scopes: [...new Set(scopes)], expiresAt, requestId };
}

function labelFaults(label: string): FieldViolation[] {
  const what = labelFault("label", label);
  return what === undefined ? [] : [fault("label", what)];
}

function keyFaults(agentName: string, scopes: readonly string[]): FieldViolation[] {
  const faults = agentName === "" ? [] : [fault("agent_name", "agent_name is for agent tokens")];
  if (scopes.length > MAX_SCOPES)
    return [...faults, fault("scopes", `scopes exceeds ${MAX_SCOPES} entries`)];
  let hints = MAX_HINTS;
  const wrong = scopes.flatMap((scope, at) => {
    const what = scopeFault(scope, () => hints-- > 0);
    return what === undefined ? [] : [fault(`scopes[${at}]`, `scope ${quoted(scope)} ${what}`)];
  });
  return [...faults, ...wrong];
}

/** A method or route that there is not would let nothing through, and nobody would know why. */
function scopeFault(scope: string, mayHint: () => boolean): string | undefined {
  if (!isScope(scope)) return SCOPE_RULE;
  const isRoute = scope.includes(" ");
  if (isRoute ? namesRoute(scope) : knownRpcs().has(scope)) return undefined;
  const findNearest = isRoute ? nearestRoute : nearestRpc;
  const nearest = mayHint() ? findNearest(scope) : undefined;
  const hint = nearest === undefined ? "" : `; the nearest is "${nearest}"`;
  return `names no ${isRoute ? "route of the gateway" : "method of Murmur's services"}${hint}`;
}

const SCOPE_RULE = `must be "METHOD /path" or "METHOD /prefix*", or "package.Service/Method"`;

function tokenFaults(agentName: string, scopes: readonly string[]): FieldViolation[] {
  const name = dnsLabelFault("agent_name", agentName);
  return [
    ...(name === undefined ? [] : [fault("agent_name", name)]),
    ...(scopes.length === 0 ? [] : [fault("scopes", "scopes are for API keys")]),
  ];
}

function fault(field: string, description: string): FieldViolation {
  return { field, description };
}
