import { agentRoutes } from "./agents";
import { auditRoutes } from "./audit";
import { bindingRoutes } from "./bindings";
import { credentialRoutes } from "./credentials";
import { encryptionRoutes } from "./encryption";
import { identityRoutes } from "./identity";
import { peopleRoutes } from "./people";
import { rolloutRoutes } from "./rollouts";
import type { Route } from "./route";
import type { RouteKit } from "./rpc-route";
import { secretRoutes } from "./secrets";
import { selfRotationRoutes } from "./self-rotation";
import { sessionRoutes } from "./sessions";
import { tenantRoutes } from "./tenant";
import { userRoutes } from "./users";
import { vmRoutes } from "./vms";
import { workspaceRoutes } from "./workspaces";

/** Every route under `/v1`: one function per noun. */
export function allRoutes(kit: RouteKit): Route[] {
  const nouns = [
    ...[secretRoutes, userRoutes, workspaceRoutes, vmRoutes, agentRoutes, rolloutRoutes],
    ...[credentialRoutes, bindingRoutes, selfRotationRoutes, identityRoutes, peopleRoutes],
    ...[encryptionRoutes, tenantRoutes, auditRoutes, sessionRoutes],
  ];
  return nouns.flatMap((routesOf) => routesOf(kit));
}
