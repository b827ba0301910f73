import type { User as UserMessage, UserSecret } from "../../../gen/murmur/catalog/v1/users";
import type { Secret } from "../domain/secret";
import type { User } from "../domain/user";
import { toSecretMessage } from "./secret-message";

/** A profile as callers see it. */
export function toUserMessage({ githubTokenSecret, ...user }: User): UserMessage {
  return { ...user, githubTokenSecret: githubTokenSecret ?? "" };
}

/** A developer's secret as callers see it. */
export function toUserSecretMessage(secret: Secret): UserSecret {
  return { user: secret.owner, secret: toSecretMessage(secret) };
}
