import type { Clock } from "../../../lib/clock";
import { permissionDenied } from "../../../lib/errors";
import type { Role } from "../../../lib/identity/principal";
import { leaseOver } from "../../../lib/lease";
import type { Pool, Tx } from "../../../lib/postgres/db";
import { withTransactionRetry } from "../../../lib/postgres/transaction";
import { type AuditEntry, type Caller, writeAudit } from "../audit";
import { lastOwner, personExists, personNotFound } from "./domain/people-errors";
import type { Person } from "./domain/person";
import type { KnownPerson, PersonRef, PersonStore } from "./store/person-store";

export interface PeopleDeps {
  pool: Pool;
  people: PersonStore;
  clock: Clock;
}

/** What ended with a membership, and what did not. */
export interface Removed {
  revokedCredentials: number;
  livingAgents: number;
}

/** Lets a developer in, or back in; throws PERSON_EXISTS when they are there with another role. */
export async function addPerson(
  deps: PeopleDeps,
  by: Caller,
  { developer, role }: { developer: string; role: Role },
): Promise<Person> {
  const { people } = deps;
  const as = { role, addedBy: by.id };
  return changePeople(deps, by, developer, async ({ tx, ref }) => {
    const added = await people.insert(tx, ref, as);
    if (added) return { result: added, entry: entry("person.add", developer, { role }) };
    const known = await people.lock(tx, ref);
    // The tenant was deleted since the caller was let in.
    if (!known) throw permissionDenied();
    if (known.isRemoved) {
      const result = await people.restore(tx, ref, as);
      return { result, entry: entry("person.add", developer, { role }) };
    }
    if (known.role !== role) throw personExists(known);
    return { result: known };
  });
}

/** Gives a person another role. */
export async function setPersonRole(
  deps: PeopleDeps,
  by: Caller,
  { developer, role }: { developer: string; role: Role },
): Promise<Person> {
  return changePeople(deps, by, developer, async ({ tx, ref, owners }) => {
    const person = await lockPresent(deps, tx, ref);
    if (person.role === role) return { result: person };
    if (role !== "owner") assertNotLast(owners, developer);
    const result = await deps.people.setRole(tx, ref, role);
    return { result, entry: entry("person.set-role", developer, { from: person.role, role }) };
  });
}

/** Ends a membership, and with it every credential of that person's. */
export async function removePerson(
  deps: PeopleDeps,
  by: Caller,
  developer: string,
): Promise<Removed> {
  return changePeople(deps, by, developer, async ({ tx, ref, owners }) => {
    const { role } = await lockPresent(deps, tx, ref);
    assertNotLast(owners, developer);
    const revokedCredentials = await deps.people.remove(tx, ref);
    const livingAgents = await deps.people.countLivingAgents(tx, ref);
    const detail = { role, revoked_credentials: revokedCredentials };
    return {
      result: { revokedCredentials, livingAgents },
      entry: entry("person.remove", developer, detail),
    };
  });
}

interface Change {
  tx: Tx;
  ref: PersonRef;
  /** Of the tenant, the caller among them; none of them changes until the transaction ends. */
  owners: readonly string[];
}

/**
 * One change at a time in a tenant. That the caller is an owner is asked again within: of two who take
 * the role from each other at once, the second is none any more. No replica of rotation lets anybody do what
 * they may not any more once this has resolved; the catalog remembers for a second whom it let in.
 */
async function changePeople<T>(
  { pool, people, clock }: PeopleDeps,
  by: Caller,
  developer: string,
  change: (within: Change) => Promise<{ result: T; entry?: AuditEntry }>,
): Promise<T> {
  const ref = { tenantId: by.tenantId, developer };
  const changed = await withTransactionRetry(pool, async (tx) => {
    const owners = await people.lockOwners(tx, by.tenantId);
    if (!owners.includes(by.id)) throw permissionDenied();
    const { result, entry: done } = await change({ tx, ref, owners });
    if (done) await writeAudit(tx, by, [done]);
    return result;
  });
  await leaseOver(clock);
  return changed;
}

async function lockPresent({ people }: PeopleDeps, tx: Tx, ref: PersonRef): Promise<KnownPerson> {
  const person = await people.lock(tx, ref);
  if (!person || person.isRemoved) throw personNotFound(ref.developer);
  return person;
}

function assertNotLast(owners: readonly string[], developer: string): void {
  if (owners.every((owner) => owner === developer)) throw lastOwner(developer);
}

function entry(
  action: string,
  developer: string,
  detail: Readonly<Record<string, unknown>>,
): AuditEntry {
  return { action, objectKind: "person", objectId: developer, outcome: "ok", detail };
}
