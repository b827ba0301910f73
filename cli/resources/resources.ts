import { type Kind } from "./kind";
import { type Resource } from "./resource";
import { secretResource } from "./secret";
import { userResource } from "./user";
import { userSecretResource } from "./user-secret";
import { workspaceResource } from "./workspace";

const RESOURCES: Record<Kind, Resource> = {
  secret: secretResource,
  "user-secret": userSecretResource,
  user: userResource,
  workspace: workspaceResource,
};

export function resourceOf(kind: Kind): Resource {
  return RESOURCES[kind];
}
