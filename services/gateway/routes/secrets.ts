import { SecretServiceService } from "../../../gen/murmur/catalog/v1/secrets";
import { AgentServiceService } from "../../../gen/murmur/rotation/v1/agents";
import type { RouteKit } from "./rpc-route";
import type { Route } from "./route";

const tag = "secrets";
/** A thousand values of 64 KiB would not fit into a call, but 4 MiB of them do, in base64, too. */
const MAX_IMPORT_BYTES = 6 * 1024 * 1024;

/** Tenant secrets. Values go in and never come out. */
export function secretRoutes({ rpc }: RouteKit): Route[] {
  return [
    rpc({
      ...{ method: "GET", path: "/v1/secrets", tag, summary: "List secrets by name" },
      rpc: SecretServiceService.listSecrets,
    }),
    rpc({
      ...{ method: "POST", path: "/v1/secrets/import", tag },
      summary: "Write many secrets, all or none",
      rpc: SecretServiceService.importSecrets,
      required: ["secrets"],
      maxBodyBytes: MAX_IMPORT_BYTES,
    }),
    rpc({
      ...{ method: "PUT", path: "/v1/secrets/{name}", tag },
      summary: "Write a new version of a secret",
      rpc: SecretServiceService.setSecret,
      hidden: ["created_at"],
    }),
    rpc({
      ...{ method: "GET", path: "/v1/secrets/{name}", tag, summary: "Show a secret" },
      rpc: SecretServiceService.getSecret,
    }),
    rpc({
      ...{ method: "DELETE", path: "/v1/secrets/{name}", tag },
      summary: "End a secret for future snapshots",
      rpc: SecretServiceService.deleteSecret,
    }),
    rpc({
      ...{ method: "GET", path: "/v1/secrets/{name}/versions", tag },
      summary: "List the versions of a secret, newest first",
      rpc: SecretServiceService.listSecretVersions,
    }),
    rpc({
      ...{ method: "GET", path: "/v1/secrets/{secret_name}/holders", tag },
      summary: "List the agents that hold a secret",
      rpc: AgentServiceService.listHolders,
    }),
    rpc({
      ...{ method: "POST", path: "/v1/secrets/{name}/revoke", tag },
      summary: "End a secret, and tell which agents hold it",
      rpc: SecretServiceService.revokeSecret,
    }),
    rpc({
      ...{ method: "POST", path: "/v1/secrets/{name}/versions/{version}/destroy", tag },
      summary: "Make one version of a secret unreadable for ever",
      rpc: SecretServiceService.destroySecretVersion,
    }),
  ];
}
