import { UserServiceService } from "../../../gen/murmur/catalog/v1/users";
import type { RouteKit } from "./rpc-route";
import type { RestRequest, Route } from "./route";

const tag = "users";
const ONE = "/v1/users/{provider}/{username}";
const SECRET = `${ONE}/secrets/{name}`;
const params = ["provider", "username"];

/** Developers' profiles, and their own secrets. */
export function userRoutes({ rpc }: RouteKit): Route[] {
  const profile = { tag, params, hidden: ["name"], set: asName };
  const secret = { tag, params, hidden: ["user"], set: asUser };
  return [
    rpc({
      ...{ method: "GET", path: "/v1/users", tag, summary: "List profiles by name" },
      rpc: UserServiceService.listUsers,
    }),
    rpc({
      ...{ ...profile, method: "PUT", path: ONE, rpc: UserServiceService.setUser },
      summary: "Create a profile, or replace its fields",
    }),
    rpc({
      ...{ ...profile, method: "GET", path: ONE, rpc: UserServiceService.getUser },
      summary: "Show a profile",
    }),
    rpc({
      ...{ ...profile, method: "DELETE", path: ONE, rpc: UserServiceService.deleteUser },
      summary: "Delete a profile; the developer's secrets stay",
    }),
    rpc({
      ...{ ...secret, method: "GET", path: `${ONE}/secrets` },
      summary: "List a developer's secrets by name",
      rpc: UserServiceService.listUserSecrets,
    }),
    rpc({
      ...{ ...secret, method: "PUT", path: SECRET, rpc: UserServiceService.setUserSecret },
      summary: "Write a new version of a developer's secret",
    }),
    rpc({
      ...{ ...secret, method: "GET", path: SECRET, rpc: UserServiceService.getUserSecret },
      summary: "Show a developer's secret",
    }),
    rpc({
      ...{ ...secret, method: "DELETE", path: SECRET, rpc: UserServiceService.deleteUserSecret },
      summary: "End a developer's secret for future snapshots",
    }),
    rpc({
      ...{ ...secret, method: "GET", path: `${SECRET}/versions` },
      summary: "List the versions of a developer's secret, newest first",
      rpc: UserServiceService.listUserSecretVersions,
    }),
  ];
}

function asName(request: RestRequest): { name: string } {
  return { name: nameOf(request) };
}

function asUser(request: RestRequest): { user: string } {
  return { user: nameOf(request) };
}

function nameOf({ params: given }: RestRequest): string {
  return `${String(given["provider"])}/${String(given["username"])}`;
}
