import type { DataKey } from "./data-key";
import { macOf, type MacPart } from "./envelope";
import type { SecretWrite } from "./secret";

/**
 * Tells one request's body from another's, keyed, so that what is stored beside the request id
 * lets nobody guess a weak value.
 */
export function bodyHashOf(key: DataKey, write: Omit<SecretWrite, "requestId">): Buffer {
  const { owner, name, value, description, expectedVersion, delivery } = write;
  return macOf(key.subkey("request-hash"), [
    ...(owner === "" ? ["set-secret"] : ["set-user-secret", owner]),
    name,
    ...optional(description),
    ...optional(expectedVersion?.toString()),
    ...optional(delivery),
    value,
  ]);
}

/** Absent and empty are not the same. */
function optional(text: string | undefined): MacPart[] {
  return text === undefined ? ["absent"] : ["present", text];
}
