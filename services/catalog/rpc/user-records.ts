import type { UserServiceService } from "../../../gen/murmur/catalog/v1/users";
import type { HandlersOf } from "../../../lib/grpc/definition";
import { isAppError } from "../../../lib/errors";
import type { Page } from "../../../lib/page";
import { callerOf } from "../audit";
import type { User } from "../domain/user";
import type { Users } from "../users/users";
import { callerAbout, mayKnowAll } from "./user-caller";
import { toUserMessage } from "./user-message";

type Handlers = HandlersOf<typeof UserServiceService>;
export type UserRecordHandlers = Pick<Handlers, "setUser" | "getUser" | "listUsers" | "deleteUser">;

/** The handlers of UserService that are about profiles. */
export function createUserRecordHandlers(users: Users): UserRecordHandlers {
  return {
    async setUser({ name, githubTokenSecret, expectedRevision }, context) {
      const caller = callerAbout(context, name, "name");
      const write = { name, githubTokenSecret, expectedRevision };
      const { user, warnings } = await users.set(caller, write);
      return { user: toUserMessage(user), warnings };
    },
    async getUser({ name }, context) {
      const { tenantId } = callerAbout(context, name, "name");
      return { user: toUserMessage(await users.get(tenantId, name)) };
    },
    async listUsers(request, context) {
      const { tenantId, id } = callerOf(context);
      const { items, nextPageToken } = mayKnowAll(context)
        ? await users.list(tenantId, request)
        : await ownOnly(users, tenantId, id);
      return { users: items.map(toUserMessage), nextPageToken };
    },
    async deleteUser({ name }, context) {
      await users.delete(callerAbout(context, name, "name"), name);
      return {};
    },
  };
}

/** The list of somebody who may know of nobody else. */
async function ownOnly(users: Users, tenantId: string, name: string): Promise<Page<User>> {
  try {
    return { items: [await users.get(tenantId, name)], nextPageToken: "" };
  } catch (error) {
    if (isAppError(error, "NOT_FOUND")) return { items: [], nextPageToken: "" };
    throw error;
  }
}
