import type { MayWait } from "../../../lib/may-wait";
import type { Db } from "../../../lib/postgres/db";
import type { CredentialLease } from "../credentials/verification/credential-lease";
import { createLeasedMemory } from "../credentials/verification/leased-memory";
import type { KnownPerson, PersonRef, PersonStore } from "./store/person-store";

/** Finds people as they are; at once, from memory, where nothing can have changed them. */
export type FindPerson = (ref: PersonRef) => MayWait<KnownPerson | undefined>;

const MAX_KEPT = 10_000;

/** Keeps those who are in a tenant, under the lease; all else is looked up, or fails. */
export function createKnownPeople({
  db,
  people,
  lease,
}: {
  db: Db;
  people: Pick<PersonStore, "find">;
  lease: CredentialLease;
}): FindPerson {
  const memory = createLeasedMemory<KnownPerson>(lease, {
    keysOf: (changes) => changes.people.map(keyOf),
    maxKept: MAX_KEPT,
  });
  return (ref) => {
    const key = keyOf(ref);
    const known = memory.open()?.kept.get(key);
    if (known) return known;
    return memory.keep(
      () => people.find(db, ref),
      (found) => (found && !found.isRemoved ? [[key, found]] : []),
    );
  };
}

/** No developer's name has a space in it. */
function keyOf({ tenantId, developer }: PersonRef): string {
  return `${developer} ${tenantId}`;
}
