import { permissionDenied, unauthenticated } from "../../../lib/errors";
import { type DeveloperPrincipal, hasRole } from "../../../lib/identity/principal";
import { isWaiting, type MayWait } from "../../../lib/may-wait";
import type { Tx } from "../../../lib/postgres/db";
import { withTransactionRetry } from "../../../lib/postgres/transaction";
import { writeAudit } from "../audit";
import type { CredentialLease } from "../credentials/verification/credential-lease";
import type { PeopleDeps } from "./change-people";
import { createKnownPeople } from "./known-people";
import type { KnownPerson, PersonStore } from "./store/person-store";

/**
 * Who the bearer of a good identity token is now: with the role that the person has, whatever the token
 * says, or nobody. An operator's token brings somebody into the tenant who never was there before.
 */
export function createAdmission({
  pool,
  people,
  lease,
}: Omit<PeopleDeps, "clock"> & { lease: CredentialLease }) {
  const find = createKnownPeople({ db: pool, people, lease });
  const orIntroduced = async (
    finding: Promise<KnownPerson | undefined>,
    developer: DeveloperPrincipal,
    peer: string,
  ) => {
    const known =
      (await finding) ??
      (await withTransactionRetry(pool, (tx) => introduce(people, tx, developer, peer)));
    return known && asIs(developer, known);
  };
  return (
    developer: DeveloperPrincipal,
    { peer }: { peer: string },
  ): MayWait<DeveloperPrincipal | undefined> => {
    const found = find({ tenantId: developer.tenantId, developer: developer.id });
    if (isWaiting(found)) return orIntroduced(found, developer, peer);
    return found && asIs(developer, found);
  };
}

function asIs(developer: DeveloperPrincipal, known: KnownPerson): DeveloperPrincipal | undefined {
  return isGood(developer, known) ? { ...developer, role: known.role } : undefined;
}

/**
 * Holds the caller, whose credential is about to be made, as they are until the transaction ends. Throws
 * UNAUTHENTICATED when they were removed since they were let in, PERMISSION_DENIED when they may do less.
 */
export async function holdDeveloper(
  people: PersonStore,
  tx: Tx,
  developer: DeveloperPrincipal,
): Promise<void> {
  const { tenantId, id, role } = developer;
  const person = await people.hold(tx, { tenantId, developer: id });
  if (!person || person.isRemoved) throw unauthenticated();
  if (!hasRole(person.role, role)) throw permissionDenied("the role of the caller has changed");
}

function isGood(
  { firstIssuedAt = Number.NaN }: DeveloperPrincipal,
  { isRemoved, tokensAfter }: KnownPerson,
): boolean {
  if (isRemoved) return false;
  return tokensAfter === undefined || firstIssuedAt > tokensAfter;
}

/** Undefined: the tenant was deleted. */
async function introduce(
  people: PersonStore,
  tx: Tx,
  { tenantId, id, role }: DeveloperPrincipal,
  peer: string,
): Promise<KnownPerson | undefined> {
  const ref = { tenantId, developer: id };
  const added = await people.insert(tx, ref, { role, addedBy: "" });
  if (added) {
    const entry = { action: "person.introduce", objectKind: "person", objectId: id };
    await writeAudit(tx, { tenantId, kind: "developer", id, peer }, [
      { ...entry, outcome: "ok", detail: { role } },
    ]);
  }
  return people.find(tx, ref);
}
