import type { AwaitCredentialChangesResponse } from "../../../../gen/murmur/rotation/v1/credentials";
import { invalid } from "../../../../lib/errors";
import type { ToldChanges } from "../verification/change-feed";
import { type Position, readPosition } from "../verification/position";

/** The position that a request names; undefined when it names none. */
export function readAfter(text: string): Position | undefined {
  if (text === "") return undefined;
  const position = readPosition(text);
  if (!position)
    throw invalid("after", "after must be the position of an earlier answer, or empty");
  return position;
}

/** What is told of changes: which credentials, and not their hashes. */
export function toChanges(told: ToldChanges): AwaitCredentialChangesResponse {
  return {
    position: told.position.text,
    forgetAll: told.isAll,
    credentialIds: told.credentials.map(({ id }) => id),
    people: [...told.people],
  };
}
