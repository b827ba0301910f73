import type { UserServiceService } from "../../../gen/murmur/catalog/v1/users";
import type { HandlersOf } from "../../../lib/grpc/definition";
import type { Secrets } from "../secrets/secrets";
import type { Users } from "../users/users";
import { createUserRecordHandlers } from "./user-records";
import { createUserSecretHandlers } from "./user-secrets";

/** The handlers of UserService. */
export function createUserService(deps: {
  users: Users;
  secrets: Secrets;
}): HandlersOf<typeof UserServiceService> {
  return { ...createUserRecordHandlers(deps.users), ...createUserSecretHandlers(deps.secrets) };
}
