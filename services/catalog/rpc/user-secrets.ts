import type { UserServiceService } from "../../../gen/murmur/catalog/v1/users";
import type { HandlersOf } from "../../../lib/grpc/definition";
import { sensitive } from "../../../lib/sensitive";
import { callerOf } from "../audit";
import type { Secrets } from "../secrets/secrets";
import { fromDelivery, toVersionMessage } from "./secret-message";
import { callerAbout, mayKnowAll } from "./user-caller";
import { toUserSecretMessage } from "./user-message";

type Handlers = HandlersOf<typeof UserServiceService>;
export type UserSecretHandlers = Pick<
  Handlers,
  | "setUserSecret"
  | "getUserSecret"
  | "listUserSecrets"
  | "deleteUserSecret"
  | "listUserSecretVersions"
>;

/** The handlers of UserService that are about developers' secrets. */
export function createUserSecretHandlers(secrets: Secrets): UserSecretHandlers {
  return {
    async setUserSecret(request, context) {
      const secret = await secrets.set(callerAbout(context, request.user, "user"), {
        owner: request.user,
        name: request.name,
        value: sensitive(request.plaintextValue),
        description: request.description,
        expectedVersion: request.expectedVersion,
        delivery: fromDelivery(request.delivery),
        requestId: request.requestId,
      });
      return { secret: toUserSecretMessage(secret) };
    },
    async getUserSecret({ user, name }, context) {
      const { tenantId } = callerAbout(context, user, "user");
      return { secret: toUserSecretMessage(await secrets.get(tenantId, { owner: user, name })) };
    },
    async listUserSecrets(request, context) {
      const user =
        request.user === "" && !mayKnowAll(context) ? callerOf(context).id : request.user;
      const { items, nextPageToken } =
        user === ""
          ? await secrets.listOfUsers(callerOf(context).tenantId, request)
          : await secrets.list(callerAbout(context, user, "user").tenantId, user, request);
      return { secrets: items.map(toUserSecretMessage), nextPageToken };
    },
    async deleteUserSecret({ user, name, expectedVersion }, context) {
      const caller = callerAbout(context, user, "user");
      await secrets.delete(caller, { owner: user, name }, expectedVersion);
      return {};
    },
    async listUserSecretVersions({ user, name, ...page }, context) {
      const { tenantId } = callerAbout(context, user, "user");
      const path = { owner: user, name };
      const { items, nextPageToken } = await secrets.history(tenantId, path, page);
      return { versions: items.map(toVersionMessage), nextPageToken };
    },
  };
}
